//! What Meta's words mean: one item each, and the traps of reading several together.

mod calls;
mod numbers;
mod replies;

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
fn what_is_too_large_is_kept_by_name_only_each_by_its_own() {
    let kept = ["x", "y"].map(|text| {
        let body = change("messages", json!(text.repeat(100_000)));
        translated(&body).items[0].source.json()
    });
    assert!(kept[0].len() < 200, "{}", kept[0].len());
    assert_ne!(kept[0], kept[1]);
}

#[test]
fn what_is_kept_names_whom_it_is_about_and_nobody_else() {
    let kept = |item: Value, contacts: Value| {
        let mut body = about("messages", "messages", json!([item]));
        body["entry"][0]["changes"][0]["value"]["contacts"] = contacts;
        let kept: Value = serde_json::from_str(&translated(&body).items[0].source.json()).unwrap();
        kept["value"]["contacts"].clone()
    };
    let no = |from: Value| {
        json!({"from": from, "id": "wamid.A", "interactive": {"type": "call_permission_reply",
            "call_permission_reply": {"response": "perhaps"}}})
    };
    let ana = json!({"wa_id": "551187654321"});
    let others: Vec<Value> =
        (0..1000).map(|n| json!({"wa_id": (15_550_200_000_u64 + n).to_string()})).collect();
    let mut all = others.clone();
    all.push(ana.clone());
    assert_eq!(kept(no(json!("5511987654321")), json!(all)), json!([ana]), "whatever the spelling");
    assert_eq!(kept(no(json!("nobody")), json!(others)), json!(null));
    assert_eq!(kept(no(json!(null)), json!(others)), json!(null), "any of them may be meant");
    assert_eq!(kept(no(json!(null)), json!([ana])), json!([ana]), "the only one that can be meant");
    assert_eq!(kept(no(json!("15550199009")), json!([ana])), json!(null), "somebody else");
}

#[test]
fn nothing_that_people_wrote_is_kept_where_the_change_is_kept_as_a_whole() {
    let mut body = about(
        "messages",
        "messages",
        json!([{"from": ANA, "id": "wamid.A", "timestamp": T, "type": "text",
            "text": {"body": "secret"}}]),
    );
    body["entry"][0]["changes"][0]["value"]["metadata"] = json!(null);
    let kept = translated(&body).items[0].source.json();
    assert!(kept.contains(ANA) && kept.contains("wamid.A"), "{kept}");
    assert!(!kept.contains("secret") && !kept.contains("\"Ana\""), "{kept}");
}

#[test]
fn a_display_number_is_one_in_every_spelling() {
    let mexico = "525512345678";
    for spelled in ["+52 1 55 1234 5678", "5215512345678", mexico] {
        let mut body = about("messages", "messages", json!([]));
        let value = &mut body["entry"][0]["changes"][0]["value"];
        value["metadata"]["display_phone_number"] = json!(spelled);
        assert_eq!(translated(&body).displays[0].display.key(), mexico);
        let restriction = json!({"phone_number": spelled, "event": "ACCOUNT_RESTRICTION",
            "restriction_info": [{"restriction_type": "RESTRICTED_BUSINESS_INITIATED_CALLING"}]});
        match &meanings(&change("account_update", restriction))[..] {
            [Meaning::Display(display, _)] => assert_eq!(display.key(), mexico),
            other => panic!("{other:?}"),
        }
    }
}
