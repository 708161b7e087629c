//! Replies, and who sent them.

use super::*;

fn reply(context: Value, body: Value) -> Value {
    about(
        "messages",
        "messages",
        json!([{"from": ANA, "id": "wamid.A", "timestamp": T,
        "context": context,
        "interactive": {"type": "call_permission_reply", "call_permission_reply": body}}]),
    )
}

fn reply_fact(context: Value, body: Value) -> crate::engine::fact::Reply {
    match fact(&reply(context, body)).3 {
        Fact::Reply(reply) => reply,
        other => panic!("not a reply: {other:?}"),
    }
}

#[test]
fn a_grant_given_by_calling_is_known_by_its_source_or_else_by_its_call() {
    let by_call = json!({"id": "wacid.X"});
    let accept = |source: Value| json!({"response": "ACCEPT", "response_source": source});
    for (context, source, automatic, request_id) in [
        (&by_call, json!("automatic"), true, ""),
        (&by_call, json!(null), true, ""),
        (&by_call, json!("user_action"), false, ""),
        (&json!({"id": "wamid.R"}), json!(null), false, "wamid.R"),
        (&json!({"id": "wamid.R"}), json!("USER_ACTION"), false, "wamid.R"),
        (&json!(null), json!("automatic"), true, ""),
        (&json!(null), json!("user_action"), false, ""),
    ] {
        let reply = reply_fact(context.clone(), accept(source.clone()));
        assert_eq!((reply.automatic, &*reply.request_id), (automatic, request_id), "{source}");
        assert!(reply.accept && !reply.permanent);
    }
}

#[test]
fn a_no_is_a_no_whatever_else_it_says() {
    for (more, automatic) in [
        (json!({"response": "reject"}), false),
        (json!({"response": "Reject", "response_source": "automatic"}), true),
        (json!({"response": "reject", "response_source": 7}), false),
        (json!({"response": "reject", "expiration_timestamp": "soon", "is_permanent": "x"}), false),
        (json!({"response": "reject", "response_source": "someone_else"}), false),
    ] {
        let reply = reply_fact(json!(null), more);
        assert_eq!((reply.accept, reply.automatic), (false, automatic));
    }
    for context in [json!({"id": {"x": 1}}), json!({"id": "w".repeat(300)})] {
        let reply = reply_fact(context, json!({"response": "reject"}));
        assert_eq!((reply.accept, &*reply.request_id), (false, ""));
    }
    let ids = |from: &str, user: &str| {
        let mut body = reply(json!(null), json!({"response": "reject"}));
        let value = &mut body["entry"][0]["changes"][0]["value"];
        value["contacts"] = json!(null);
        value["messages"][0]["from"] = json!(from);
        value["messages"][0]["from_user_id"] = json!(user);
        body
    };
    let told = |from, user| {
        let (wa, user, ..) = fact(&ids(from, user));
        (wa, user)
    };
    assert_eq!(told(ANA, "no user id"), (ANA.to_owned(), String::new()));
    assert_eq!(told("no number", ANA_USER), (String::new(), ANA_USER.to_owned()));
    assert_eq!(told("", ANA_USER), (String::new(), ANA_USER.to_owned()));
    let mut by_contact = ids("no number", "no user id");
    by_contact["entry"][0]["changes"][0]["value"]["contacts"] = json!([{"wa_id": ANA}]);
    let (wa, user, ..) = fact(&by_contact);
    assert_eq!((&*wa, &*user), (ANA, ""), "the only one who can be meant");
    unclear(&ids("no number", "no user id"));
}

#[test]
fn a_no_without_a_readable_time_is_of_when_it_was_sent_or_came() {
    let of = |timestamp: Value, entry: Value| {
        let mut body = reply(json!(null), json!({"response": "reject"}));
        body["entry"][0]["time"] = entry;
        body["entry"][0]["changes"][0]["value"]["messages"][0]["timestamp"] = timestamp;
        fact(&body).2
    };
    for timestamp in [json!(null), json!("soon"), json!(T * 1000), json!(T as f64 + 0.5)] {
        assert_eq!(of(timestamp.clone(), json!(T)), at(T), "{timestamp}");
        assert_eq!(of(timestamp.clone(), json!(null)), at(T + 1), "{timestamp}: when it came");
        assert_eq!(of(timestamp.clone(), json!(T + 9)), at(T + 1), "{timestamp}: not later");
    }
    assert_eq!(of(json!(T - 5), json!(T)), at(T - 5));
}

#[test]
fn a_yes_is_read_narrowly_or_not_at_all() {
    let permanent = reply_fact(json!(null), json!({"response": "accept", "is_permanent": "True"}));
    assert!(permanent.permanent);
    for body in [
        json!(null),
        json!({}),
        json!({"response": "maybe"}),
        json!({"response": true}),
        json!({"response": "accept", "is_permanent": "yes"}),
        json!({"response": "accept", "expiration_timestamp": "soon"}),
        json!({"response": "accept", "expiration_timestamp": 0}),
        json!({"response": "accept", "expiration_timestamp": 1_795_435_500_000_u64}),
        json!({"response": "accept", "response_source": "someone_else"}),
    ] {
        let reason = unclear(&reply(json!(null), body.clone()));
        assert!(!reason.contains(ANA), "{body}: {reason}");
    }
    let mut untimed = reply(json!(null), json!({"response": "accept"}));
    untimed["entry"][0]["changes"][0]["value"]["messages"][0]["timestamp"] = json!(null);
    assert_eq!(unclear(&untimed), "timestamp is missing");
}

#[test]
fn a_message_needs_no_type_to_be_a_reply_and_is_a_message_otherwise() {
    let message = |item: Value| about("messages", "messages", json!([item]));
    let with = |interactive: Value| {
        message(json!({"from": ANA, "id": "wamid.A",
        "timestamp": T.to_string(), "interactive": interactive}))
    };
    let body = json!({"response": "reject"});
    assert!(matches!(fact(&with(json!({"call_permission_reply": body}))).3, Fact::Reply(_)));
    assert!(matches!(fact(&with(json!({"type": "button_reply"}))).3, Fact::InboundMessage(_)));
    let reaction = json!({"from": ANA, "id": "wamid.A", "timestamp": T, "type": "reaction"});
    let (wa, user, when, _) = fact(&message(reaction));
    assert_eq!((&*wa, &*user, when), (ANA, ANA_USER, at(T)));
    let own = json!({"from": "+15550100001", "id": "wamid.A", "timestamp": T, "type": "text"});
    assert_eq!(ignored(&message(own)), "from_the_business");
}

#[test]
fn contacts_are_matched_by_id_and_never_by_place() {
    let message = |who: Value, contacts: Value| {
        let mut item = json!({"id": "wamid.A", "timestamp": T, "type": "text"});
        item.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
        let mut body = about("messages", "messages", json!([item]));
        body["entry"][0]["changes"][0]["value"]["contacts"] = contacts;
        body
    };
    let ana = json!({"wa_id": ANA, "user_id": ANA_USER});
    let beto = json!({"wa_id": "15550199002", "user_id": "US.2000"});
    let both = json!([beto, ana]);
    for (who, contacts, wa, user) in [
        (json!({"from": ANA}), both.clone(), ANA, ANA_USER),
        (json!({"from": 15_550_199_001_u64}), both.clone(), ANA, ANA_USER),
        (json!({"from_user_id": ANA_USER}), both.clone(), ANA, ANA_USER),
        (json!({"from": "", "from_user_id": "US.2000"}), both.clone(), "15550199002", "US.2000"),
        (json!({"from": "15550199003"}), both.clone(), "15550199003", ""),
        (json!({"from": ANA, "from_user_id": "US.1001"}), both.clone(), ANA, "US.1001"),
        (json!({"from": ANA}), json!([ana, {"wa_id": ANA, "user_id": "US.1001"}]), ANA, ""),
        (json!({"from": ANA}), json!([{"wa_id": ANA, "user_id": "?"}, 7]), ANA, ""),
        (json!({"from": ANA}), json!(null), ANA, ""),
        (json!({}), json!([ana]), ANA, ANA_USER),
        (
            json!({"from": "5511987654321"}),
            json!([{"wa_id": "551187654321", "user_id": "BR.1"}]),
            "5511987654321",
            "BR.1",
        ),
    ] {
        let (got_wa, got_user, ..) = fact(&message(who.clone(), contacts));
        assert_eq!((&*got_wa, &*got_user), (wa, user), "{who}");
    }
    for (who, contacts) in [
        (json!({}), both),
        (json!({}), json!([])),
        (json!({"from": "not a number"}), json!([ana])),
        (json!({"from": ANA, "from_user_id": "1000"}), json!([ana])),
        (json!({"from": {"wa_id": ANA}}), json!([ana])),
    ] {
        let reason = unclear(&message(who.clone(), contacts));
        assert!(!reason.contains("number\""), "{who}: {reason}");
    }
}

#[test]
fn a_change_of_number_binds_the_two_new_ids_and_nothing_else() {
    let system = |system: Value| {
        about(
            "messages",
            "messages",
            json!([{"from": ANA,
        "from_user_id": ANA_USER, "id": "wamid.S", "timestamp": T, "type": "system",
        "system": system}]),
        )
    };
    let (wa, user, _, fact) = fact(&system(json!({"type": "user_changed_number",
        "wa_id": "15550199005", "user_id": "US.5000"})));
    assert_eq!((&*wa, &*user, fact), ("15550199005", "US.5000", Fact::Identity {}));
    let one = json!({"type": "user_changed_user_id", "user_id": "US.5000"});
    assert_eq!(ignored(&system(one)), "identity_of_one_id");
    assert_eq!(ignored(&system(json!({"type": "customer_identity_changed"}))), "system_message");
}
