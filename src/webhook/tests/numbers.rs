//! Business numbers.

use super::*;

fn restriction(info: Value) -> Value {
    change(
        "account_update",
        json!({"phone_number": "+1 555-010-0001",
        "event": "ACCOUNT_RESTRICTION", "restriction_info": info}),
    )
}

fn settings(calling: Value) -> Value {
    change(
        "account_settings_update",
        json!({"timestamp": T - 5,
        "type": "PHONE_NUMBER_SETTINGS",
        "phone_number_settings": {"phone_number_id": 800_000_000_000_001_u64, "calling": calling}}),
    )
}

fn restricted(info: Value) -> NumberReport {
    match <[Meaning; 1]>::try_from(meanings(&restriction(info))) {
        Ok([Meaning::Display(display, report)]) => {
            assert_eq!((display.key(), report.at), ("15550100001", at(T)));
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
    let one = json!({"type": "RESTRICTED_BUSINESS_INITIATED_CALLING"});
    for restrictions in [json!({"restrictions_list": one}), json!([one]), json!(one)] {
        let report = told(json!({"restrictions": restrictions}));
        assert_eq!(report.pause, Told::Yes, "{restrictions}");
    }
    for restrictions in [json!({"restrictions_list": []}), json!({}), json!([]), json!(null)] {
        let report = told(json!({"status": "ENABLED", "restrictions": restrictions}));
        assert_eq!(report.pause, Told::Not, "{restrictions} ends nothing");
    }
    unclear(&settings(json!({"status": "ENABLED", "restrictions": "some"})));
    unclear(&settings(json!({"status": "ENABLED", "restrictions": {"restriction_list": 7}})));
    assert_eq!(ignored(&settings(json!(null))), "other_settings");
    assert_eq!(ignored(&settings(json!({"call_icon_visibility": "DEFAULT"}))), "other_settings");
    assert!(unclear(&settings(json!({"status": "PERHAPS"}))).starts_with("status is neither"));
    unclear(&settings(json!("on")));
}

#[test]
fn a_pause_that_can_be_read_does_not_wait_for_one_that_cannot() {
    let call = "RESTRICTED_BUSINESS_INITIATED_CALLING";
    let good = json!({"restriction_type": call, "expiration": T + 60});
    let garbled = json!({"restriction_type": call, "expiration": "soon"});
    match &meanings(&restriction(json!([garbled, good])))[..] {
        [Meaning::Display(_, report), Meaning::Unclear(_)] => {
            assert_eq!(report.paused_until, at(T + 60));
        }
        other => panic!("{other:?}"),
    }
    let calling = json!({"status": "DISABLED", "callback_permission_status": "ENABLED",
        "restrictions": {"restriction_list": [garbled]}});
    match &meanings(&settings(calling))[..] {
        [Meaning::Number(_, report), Meaning::Unclear(_)] => {
            let told = (report.calling, report.inbound_call_grants, report.pause);
            assert_eq!(told, (Told::No, Told::Not, Told::Not), "only what narrows");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_narrows_does_not_wait_for_a_word_that_is_not_known() {
    let restricted = json!({"restrictions_list":
        [{"type": "RESTRICTED_BUSINESS_INITIATED_CALLING", "expiration": T + 60}]});
    for (calling, told) in [
        (
            json!({"status": "PENDING", "callback_permission_status": "ENABLED",
                "restrictions": restricted}),
            (Told::Not, Told::Not, Told::Yes),
        ),
        (
            json!({"status": "ENABLED", "callback_permission_status": "ENABLED_ALWAYS",
                "restrictions": restricted}),
            (Told::Not, Told::Not, Told::Yes),
        ),
        (
            json!({"status": "DISABLED", "callback_permission_status": "UNSET"}),
            (Told::No, Told::Not, Told::Not),
        ),
    ] {
        match &meanings(&settings(calling.clone()))[..] {
            [Meaning::Number(_, report), Meaning::Unclear(_)] => {
                let got = (report.calling, report.inbound_call_grants, report.pause);
                assert_eq!((got, report.at), (told, at(T - 5)), "{calling}");
            }
            other => panic!("{calling}: {other:?}"),
        }
    }
}

#[test]
fn settings_without_a_readable_time_are_of_when_they_were_sent_and_give_nothing_without_one() {
    let of = |timestamp: Value, entry: Value, status: &str| {
        let mut body = settings(json!({"status": status}));
        body["entry"][0]["time"] = entry;
        body["entry"][0]["changes"][0]["value"]["timestamp"] = timestamp;
        meanings(&body)
    };
    match &of(json!("2026-12-01T00:00:00"), json!(T), "DISABLED")[..] {
        [Meaning::Number(_, report), Meaning::Unclear(_)] => {
            assert_eq!((report.calling, report.at), (Told::No, at(T)));
        }
        other => panic!("{other:?}"),
    }
    match &of(json!(null), json!(T), "ENABLED")[..] {
        [Meaning::Number(_, report)] => assert_eq!((report.calling, report.at), (Told::Yes, at(T))),
        other => panic!("{other:?}"),
    }
    match &of(json!(null), json!(null), "DISABLED")[..] {
        [Meaning::Number(_, report)] => {
            assert_eq!((report.calling, report.at), (Told::No, at(T + 1)));
        }
        other => panic!("{other:?}"),
    }
    // It may be older than a "no" that was told with its time.
    assert!(matches!(&of(json!(null), json!(null), "ENABLED")[..], [Meaning::Unclear(_)]));
}
