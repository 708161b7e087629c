//! What Meta's words mean: one item each, and the traps of reading several together.

use serde_json::{Value, json};

use crate::{
    engine::{
        fact::{CallOutcome, Fact, NumberReport, RequestOutcome, Told},
        gate::Profiles,
        pair::PhoneNumberId,
        profile::Profile,
        time::Millis,
    },
    webhook::translate::{Meaning, Translation, translate},
};

const ANA: &str = "15550199001";
const ANA_USER: &str = "US.1000";
const T: u64 = 1_794_830_400;

fn at(seconds: u64) -> Millis {
    Millis(seconds * 1000)
}

fn change(field: &str, value: Value) -> Value {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "9", "time": T,
        "changes": [{"field": field, "value": value}]}]})
}

/// A change of the usual kind, with one contact.
fn about(field: &str, list: &str, items: Value) -> Value {
    change(
        field,
        json!({
        "metadata": {"display_phone_number": "15550100001", "phone_number_id": "800000000000001"},
        "contacts": [{"profile": {"name": "Ana"}, "wa_id": ANA, "user_id": ANA_USER}],
        list: items}),
    )
}

fn with_errors(mut body: Value, errors: Value) -> Value {
    body["entry"][0]["changes"][0]["value"]["errors"] = errors;
    body
}

fn translated(body: &Value) -> Translation<'_> {
    translate(body, at(T + 1), &Profiles::new(Profile::meta()))
}

fn meanings(body: &Value) -> Vec<Meaning> {
    translated(body).items.into_iter().map(|item| item.meaning).collect()
}

/// The one fact of a body: whose, when, what.
fn fact(body: &Value) -> (String, String, Millis, Fact) {
    match <[Meaning; 1]>::try_from(meanings(body)) {
        Ok([Meaning::Fact(event)]) => {
            let customer = &event.pair.customer;
            let wa = customer.wa().map_or("", |wa| wa.spelled()).to_owned();
            let user = customer.user().map_or("", |user| user.as_str()).to_owned();
            assert!(event.meta_spelling);
            (wa, user, event.occurred_at, event.fact)
        }
        other => panic!("not one fact: {other:?}"),
    }
}

fn unclear(body: &Value) -> String {
    match <[Meaning; 1]>::try_from(meanings(body)) {
        Ok([Meaning::Unclear(reason)]) => reason.into_owned(),
        other => panic!("not one unclear item: {other:?}"),
    }
}

fn ignored(body: &Value) -> &'static str {
    match <[Meaning; 1]>::try_from(meanings(body)) {
        Ok([Meaning::Ignored(why)]) => why,
        other => panic!("not one ignored item: {other:?}"),
    }
}

// ---- replies -----------------------------------------------------------------------------------

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

// ---- identity ----------------------------------------------------------------------------------

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

// ---- calls -------------------------------------------------------------------------------------

fn terminate(id: &str, more: Value) -> Value {
    let mut call = json!({"id": id, "from": "15550100001", "to": ANA, "event": "terminate",
        "direction": "BUSINESS_INITIATED", "timestamp": T, "status": "FAILED"});
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call
}

fn call_fact(body: &Value) -> crate::engine::fact::CallReport {
    match fact(body).3 {
        Fact::Call(report) => report,
        other => panic!("not a report of a call: {other:?}"),
    }
}

#[test]
fn a_call_is_answered_if_its_start_or_its_duration_is_told() {
    for (more, answered_at, ended_at) in [
        (json!({"start_time": (T - 60).to_string(), "end_time": T - 5}), T - 60, T - 5),
        (json!({"start_time": T - 60, "duration": 60}), T - 60, T),
        (json!({"start_time": T - 60, "duration": "long"}), T - 60, T),
        (json!({"duration": 30}), T - 30, T),
        (json!({"duration": "0"}), T, T),
        (json!({"duration": 30, "end_time": T - 5}), T - 35, T - 5),
        (json!({"start_time": T - 60, "duration": 20, "timestamp": null}), T - 60, T - 40),
    ] {
        let report = call_fact(&about("calls", "calls", json!([terminate("wacid.A", more)])));
        assert_eq!(report.outcome, CallOutcome::Answered);
        assert_eq!((report.answered_at, report.ended_at), (at(answered_at), at(ended_at)));
    }
    let rang_out = json!([terminate("wacid.A", json!({"start_time": null, "duration": ""}))]);
    let report = call_fact(&about("calls", "calls", rang_out));
    assert_eq!((report.outcome, report.ended_at), (CallOutcome::Unanswered, at(T)));
    for more in [
        json!({"start_time": "soon"}),
        json!({"start_time": 0}),
        json!({"duration": "long"}),
        json!({"duration": 1_794_830_400_000_u64}),
        json!({"end_time": "late"}),
        json!({"timestamp": null}),
        json!({"id": null}),
        json!({"direction": "SIDEWAYS"}),
        json!({"to": "15550100001", "direction": "BUSINESS_INITIATED"}),
    ] {
        unclear(&about("calls", "calls", json!([terminate("wacid.A", more)])));
    }
}

#[test]
fn an_error_beside_the_calls_is_tied_to_the_only_call_it_can_be_about() {
    let error = |code: Value| json!([{"code": code}]);
    let one = || about("calls", "calls", json!([terminate("wacid.A", json!({}))]));
    for (code, outcome) in [
        (json!(138_021), CallOutcome::Failed),
        (json!("138006"), CallOutcome::Failed),
        (json!(138_023), CallOutcome::Uncertain),
    ] {
        let report = call_fact(&with_errors(one(), error(code.clone())));
        assert_eq!(report.outcome, outcome, "{code}");
        assert_eq!(json!(report.error).to_string(), code.as_str().unwrap_or(&code.to_string()));
    }
    assert_eq!(call_fact(&one()).outcome, CallOutcome::Unanswered);
    assert_eq!(call_fact(&with_errors(one(), json!([]))).outcome, CallOutcome::Unanswered);
    let own = about(
        "calls",
        "calls",
        json!([terminate("wacid.A", json!({"errors": [{"code": 138_020}]}))]),
    );
    assert_eq!(call_fact(&own).error, 138_020);
    // The answered one cannot be meant.
    let two = about(
        "calls",
        "calls",
        json!([terminate("wacid.A", json!({"duration": 9})), terminate("wacid.B", json!({}))]),
    );
    let outcomes: Vec<_> = meanings(&with_errors(two, error(json!(138_021))))
        .into_iter()
        .map(|meaning| match meaning {
            Meaning::Fact(event) => match event.fact {
                Fact::Call(report) => report.outcome,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(outcomes, [CallOutcome::Answered, CallOutcome::Failed]);
    unclear(&with_errors(one(), json!([{"message": "no code"}])));
    unclear(&with_errors(one(), json!("boom")));
}

#[test]
fn an_error_that_could_be_about_two_calls_is_about_neither_not_even_later() {
    let body = about(
        "calls",
        "calls",
        json!([terminate("wacid.A", json!({})),
        terminate("wacid.B", json!({})), {"id": "wacid.C", "direction": "USER_INITIATED",
        "from": ANA, "to": "15550100001", "event": "terminate", "timestamp": T}]),
    );
    let body = with_errors(body, json!([{"code": 138_021}]));
    let all = translated(&body);
    assert_eq!(all.items.len(), 2);
    assert!(
        matches!(&all.items[0].meaning, Meaning::Fact(event)
        if matches!(event.fact, Fact::InboundCall(_))),
        "of the customer's call it says nothing"
    );
    assert!(matches!(&all.items[1].meaning, Meaning::Unclear(_)));
    // What is kept of it is as ambiguous as it was.
    let kept: Value = serde_json::from_str(&all.items[1].source.json()).unwrap();
    assert_eq!(kept["value"]["calls"].as_array().unwrap().len(), 3);
    let kept = json!({"entry": [{"changes": [kept]}]});
    assert!(meanings(&kept).iter().any(|meaning| matches!(meaning, Meaning::Unclear(_))));
}

#[test]
fn the_customer_is_the_side_that_is_not_the_business() {
    let connect = |more: Value| {
        let mut call = json!({"id": "wacid.A", "event": "connect", "timestamp": T});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        about("calls", "calls", json!([call]))
    };
    let business = "15550100001";
    for (more, is_ours) in [
        (json!({"from": business, "to": ANA}), true),
        (json!({"from": ANA, "to": business}), false),
        (json!({"from": business, "to_user_id": ANA_USER}), true),
        (json!({"from_user_id": ANA_USER, "to": business}), false),
        (json!({"from": ANA, "to": business, "direction": "BUSINESS_INITIATED"}), true),
        (json!({"from": business, "to": ANA, "direction": "user_initiated"}), false),
        (json!({"from": "15550100009", "to": ANA, "direction": "BUSINESS_INITIATED"}), true),
        (json!({"to_user_id": ANA_USER, "direction": "BUSINESS_INITIATED"}), true),
    ] {
        let (wa, user, _, fact) = fact(&connect(more.clone()));
        assert_eq!((&*wa, &*user), (ANA, ANA_USER), "{more}");
        match fact {
            Fact::Call(report) => assert!(is_ours && report.outcome == CallOutcome::Placed),
            Fact::InboundCall(call) => assert!(!is_ours && !call.answered),
            other => panic!("{other:?}"),
        }
    }
    unclear(&connect(json!({"from": "15550100009", "to": ANA})));
    unclear(&connect(json!({"to_user_id": ANA_USER})));
    let recording = json!({"event": "call_recording_available", "from": ANA, "to": business});
    assert_eq!(ignored(&connect(recording)), "call_event");
}

#[test]
fn a_customers_call_is_answered_at_its_pick_up() {
    let call = |more| json!([terminate("wacid.A", more)]);
    let theirs = json!({"direction": "USER_INITIATED", "from": ANA, "to": "15550100001",
        "start_time": T - 9, "duration": 9});
    let (_, _, when, fact) = fact(&about("calls", "calls", call(theirs)));
    assert!(matches!(fact, Fact::InboundCall(call) if call.answered) && when == at(T - 9));
}

#[test]
fn statuses_are_of_calls_or_of_messages_whichever_field_they_came_in() {
    let status = |field, id: &str, kind: Value, status: &str| {
        about(
            field,
            "statuses",
            json!([{
        "id": id, "type": kind, "status": status, "timestamp": T, "recipient_id": ANA,
        "biz_opaque_callback_data": "ours-1"}]),
        )
    };
    for (field, id, kind) in [
        ("calls", "wacid.A", json!("call")),
        ("calls", "odd", json!(null)),
        ("messages", "wacid.A", json!(null)),
        ("messages", "odd", json!("call")),
    ] {
        for (word, outcome) in [
            ("RINGING", CallOutcome::Ringing),
            ("ACCEPTED", CallOutcome::Answered),
            ("REJECTED", CallOutcome::Rejected),
        ] {
            let report = call_fact(&status(field, id, kind.clone(), word));
            assert_eq!((report.outcome, &*report.call_id), (outcome, "ours-1"));
        }
    }
    for field in ["calls", "messages"] {
        for (word, outcome) in [
            ("sent", RequestOutcome::Sent),
            ("delivered", RequestOutcome::Delivered),
            ("read", RequestOutcome::Delivered),
            ("failed", RequestOutcome::Undelivered),
        ] {
            let Fact::Request(report) = fact(&status(field, "wamid.A", json!(null), word)).3 else {
                panic!("not a report of a request")
            };
            assert_eq!((report.outcome, report.known_only), (outcome, true));
            assert_eq!((&*report.request_id, &*report.provider_message_id), ("ours-1", "wamid.A"));
        }
    }
    assert_eq!(ignored(&status("messages", "wamid.A", json!(null), "deleted")), "message_status");
    assert_eq!(ignored(&status("calls", "wacid.A", json!("call"), "TRANSFERRED")), "call_status");
}

// ---- business numbers --------------------------------------------------------------------------

fn restriction(info: Value) -> Value {
    change(
        "account_update",
        json!({"phone_number": "+1 555-010-0001",
        "event": "ACCOUNT_RESTRICTION", "restriction_info": info}),
    )
}

fn restricted(info: Value) -> NumberReport {
    match <[Meaning; 1]>::try_from(meanings(&restriction(info))) {
        Ok([Meaning::Display(display, report)]) => {
            assert_eq!((&*display, report.at), ("15550100001", at(T)));
            report
        }
        other => panic!("not one report: {other:?}"),
    }
}

#[test]
fn restrictions_are_known_in_every_spelling() {
    let paused = |until| NumberReport {
        at: at(T),
        pause: Told::Yes,
        paused_until: until,
        ..NumberReport::default()
    };
    for kind in [
        "RESTRICTED_BUSINESS_INITIATED_CALLING",
        "restricted_biz_initiated_calling",
        "RESTRICTED_BIZ_INITIATED_AND_USER_INITIATED_CALLING",
        "RESTRICTED_BUSINESS_INITIATED_AND_USER_INITIATED_CALLING",
    ] {
        let info = json!([{"restriction_type": kind, "expiration": (T + 60).to_string()}]);
        assert_eq!(restricted(info), paused(at(T + 60)), "{kind}");
        assert_eq!(restricted(json!({"restriction_type": kind})), paused(Millis::ZERO), "{kind}");
    }
    let messaging = restricted(json!([
        {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": T + 60},
        {"restriction_type": "RESTRICTED_CUSTOMER_INITIATED_MESSAGING", "expiration": T + 90}]));
    assert_eq!((messaging.pause, messaging.request_pause), (Told::Not, Told::Yes));
    assert_eq!(messaging.requests_paused_until, at(T + 90), "the longer one");
    let call = "RESTRICTED_BUSINESS_INITIATED_CALLING";
    for info in [
        json!([{"type": call, "expiration": T + 60}, {"type": call}]),
        json!([{"type": call}, {"type": call, "expiration": T + 60}]),
    ] {
        assert_eq!(restricted(info).paused_until, Millis::ZERO, "without end is the longest");
    }
    for kind in [
        "RESTRICTED_USER_INITIATED_CALLING",
        "RESTRICTED_USER_INITIATED_CALLING_CALL_BUTTON_HIDDEN",
        "RESTRICTED_ADD_PHONE_NUMBER_ACTION",
    ] {
        let body = restriction(json!([{"restriction_type": kind}]));
        assert_eq!(ignored(&body), "restriction_of_something_else", "{kind}");
    }
    unclear(&restriction(json!(null)));
    unclear(&restriction(json!([{"expiration": T}])));
    unclear(&restriction(json!([{"restriction_type": call, "expiration": "soon"}])));
    let mut nameless = restriction(json!([{"restriction_type": call}]));
    nameless["entry"][0]["changes"][0]["value"]["phone_number"] = json!(null);
    unclear(&nameless);
    let violation = json!({"event": "ACCOUNT_VIOLATION", "phone_number": "15550100001"});
    assert_eq!(ignored(&change("account_update", violation)), "account_event");
}

#[test]
fn settings_tell_what_they_name_and_no_more() {
    let settings = |calling: Value| {
        change(
            "account_settings_update",
            json!({"timestamp": T - 5,
        "type": "PHONE_NUMBER_SETTINGS",
        "phone_number_settings": {"phone_number_id": 800_000_000_000_001_u64, "calling": calling}}),
        )
    };
    let told = |calling| match <[Meaning; 1]>::try_from(meanings(&settings(calling))) {
        Ok([Meaning::Number(number, report)]) => {
            assert_eq!((number.as_str(), report.at), ("800000000000001", at(T - 5)));
            report
        }
        other => panic!("not one report: {other:?}"),
    };
    let report = told(json!({"status": "disabled"}));
    assert_eq!((report.calling, report.inbound_call_grants), (Told::No, Told::Not));
    let report = told(json!({"callback_permission_status": "ENABLED"}));
    assert_eq!((report.calling, report.inbound_call_grants), (Told::Not, Told::Yes));
    for key in ["restrictions_list", "restriction_list"] {
        let restrictions = json!({key: [{"type": "RESTRICTED_BUSINESS_INITIATED_CALLING"}]});
        assert_eq!(told(json!({"restrictions": restrictions})).pause, Told::Yes, "{key}");
    }
    let report = told(json!({"status": "ENABLED", "restrictions": {"restrictions_list": []}}));
    assert_eq!(report.pause, Told::Not, "an empty list ends nothing");
    assert_eq!(ignored(&settings(json!(null))), "other_settings");
    assert_eq!(ignored(&settings(json!({"call_icon_visibility": "DEFAULT"}))), "other_settings");
    unclear(&settings(json!({"status": "PERHAPS"})));
    unclear(&settings(json!("on")));
}

// ---- frames ------------------------------------------------------------------------------------

#[test]
fn a_bad_neighbour_does_no_harm_and_what_is_kept_is_only_the_bad_one() {
    let body = about(
        "messages",
        "messages",
        json!([
        {"from": "oops", "id": "wamid.A", "timestamp": T, "type": "text", "text": {"body": "secret"}},
        {"from": ANA, "id": "wamid.B", "timestamp": T, "type": "text", "text": {"body": "hi"}},
        "not an object"]),
    );
    let all = translated(&body);
    let is_fact: Vec<_> =
        all.items.iter().map(|item| matches!(item.meaning, Meaning::Fact(_))).collect();
    assert_eq!(is_fact, [false, true, false]);
    let kept = all.items[0].source.json();
    assert!(kept.contains("oops") && kept.contains("800000000000001"), "{kept}");
    for absent in ["wamid.B", "secret", "\"Ana\""] {
        assert!(!kept.contains(absent), "{kept}");
    }
    let again = json!({"entry": [{"changes": [serde_json::from_str::<Value>(&kept).unwrap()]}]});
    assert_eq!(
        unclear(&again),
        match &all.items[0].meaning {
            Meaning::Unclear(reason) => reason.to_string(),
            other => panic!("{other:?}"),
        }
    );
}

#[test]
fn numbers_that_are_not_named_in_the_configuration_are_not_ours() {
    let mut profiles = Profiles::new(Profile::meta());
    profiles.name_number(PhoneNumberId::parse("800000000000002", "").unwrap(), None);
    let body = about(
        "messages",
        "messages",
        json!([{"from": ANA, "id": "wamid.A",
        "timestamp": "garbage"}]),
    );
    let all = translate(&body, at(T), &profiles);
    assert_eq!(all.items.len(), 1);
    assert_eq!(all.items[0].meaning, Meaning::Ignored("number_not_served"));
    assert!(all.displays.is_empty(), "nothing is learned of it");
}

#[test]
fn what_is_too_large_is_kept_by_name_only() {
    let long = "x".repeat(100_000);
    let body = change("messages", json!(long));
    let kept = translated(&body).items[0].source.json();
    assert!(kept.len() < 200, "{}", kept.len());
}
