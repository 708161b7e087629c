//! Calls and statuses.

use super::*;

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
fn no_permission_goes_before_all_else_that_is_said_of_a_call() {
    let errors = |codes: &[i32]| codes.iter().map(|code| json!({"code": code})).collect::<Value>();
    let one = |more: Value| about("calls", "calls", json!([terminate("wacid.A", more)]));
    let with_own = |codes: &[i32]| one(json!({"errors": errors(codes)}));
    for (codes, outcome) in [
        (&[138_021, 138_006][..], CallOutcome::Failed),
        (&[138_006, 138_023], CallOutcome::Uncertain),
        (&[138_023, 138_006], CallOutcome::Uncertain),
    ] {
        for body in [
            with_own(codes),
            with_errors(one(json!({})), errors(codes)),
            with_errors(one(json!({"errors": []})), errors(codes)),
        ] {
            let report = call_fact(&body);
            assert_eq!((report.outcome, report.error), (outcome, 138_006), "{codes:?}");
        }
    }
    assert_eq!(call_fact(&with_own(&[138_021, 138_020])).error, 138_021);
    // Also beside what cannot be read.
    let garbled = json!([{"title": "x"}, {"code": "138006"}, {"code": u64::MAX}]);
    for body in [one(json!({"errors": garbled})), with_errors(one(json!({})), garbled.clone())] {
        assert_eq!(call_fact(&body).error, 138_006);
    }
    // One call that is listed twice is one.
    let ended = terminate("wacid.A", json!({}));
    let twice = about("calls", "calls", json!([ended, ended]));
    for meaning in meanings(&with_errors(twice, errors(&[138_006]))) {
        assert!(
            matches!(&meaning, Meaning::Fact(event)
                if matches!(&event.fact, Fact::Call(report) if report.error == 138_006)),
            "{meaning:?}"
        );
    }
}

#[test]
fn our_calls_are_their_customers_by_whichever_id_can_be_read() {
    let ids = |more: Value| {
        let mut call = terminate("wacid.A", json!({"duration": 9}));
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut status = json!({"id": "wacid.A", "type": "call", "status": "RINGING",
            "timestamp": T, "recipient_id": call["to"], "recipient_user_id": call["to_user_id"]});
        if status["recipient_user_id"].is_null() {
            status.as_object_mut().unwrap().remove("recipient_user_id");
        }
        [("calls", call), ("statuses", status)].map(|(list, item)| {
            let mut body = about("calls", list, json!([item]));
            body["entry"][0]["changes"][0]["value"]["contacts"] = json!(null);
            body
        })
    };
    for (more, wa, user) in [
        (json!({"to_user_id": "US-1000"}), ANA, ""),
        (json!({"to_user_id": {"id": ANA_USER}}), ANA, ""),
        (json!({"to": "Ana", "to_user_id": ANA_USER}), "", ANA_USER),
        (json!({"to": {"wa_id": ANA}, "to_user_id": ANA_USER}), "", ANA_USER),
    ] {
        for body in ids(more.clone()) {
            let (got_wa, got_user, ..) = fact(&body);
            assert_eq!((&*got_wa, &*got_user), (wa, user), "{more}");
        }
    }
    for body in ids(json!({"to": "Ana", "to_user_id": "US-1000"})) {
        unclear(&body);
    }
    // Calling in may give consent: to nobody who is not named in full.
    let theirs = json!([{"id": "wacid.A", "event": "connect", "timestamp": T, "from": ANA,
        "from_user_id": "US-1000", "to": "15550100001", "direction": "USER_INITIATED"}]);
    unclear(&about("calls", "calls", theirs));
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
        matches!(&all.items[0].meaning, Meaning::Ignored("missed_call_of_a_customer")),
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
fn a_customer_calls_when_the_call_begins_and_not_once_more_when_nobody_came() {
    let theirs = |event: &str| {
        about(
            "calls",
            "calls",
            json!([{"id": "wacid.A", "event": event, "timestamp": T,
            "direction": "USER_INITIATED", "from": ANA, "to": "15550100001"}]),
        )
    };
    for event in ["connect", "call_created"] {
        let (_, _, when, fact) = fact(&theirs(event));
        assert!(matches!(fact, Fact::InboundCall(call) if !call.answered) && when == at(T));
    }
    assert_eq!(ignored(&theirs("terminate")), "missed_call_of_a_customer");
}

#[test]
fn what_does_not_say_what_happened_is_not_understood() {
    let call = |event: Value| {
        about(
            "calls",
            "calls",
            json!([{"id": "wacid.A", "event": event, "timestamp": T,
            "direction": "BUSINESS_INITIATED", "from": "15550100001", "to": ANA, "duration": 5}]),
        )
    };
    assert_eq!(ignored(&call(json!("call_transferred"))), "call_event");
    for event in [json!(null), json!(""), json!(7)] {
        assert_eq!(unclear(&call(event)), "event is missing");
    }
    for (field, id) in [("calls", "wacid.A"), ("messages", "wamid.A")] {
        let status = json!([{"id": id, "timestamp": T, "recipient_id": ANA}]);
        assert_eq!(unclear(&about(field, "statuses", status)), "status is missing");
    }
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
