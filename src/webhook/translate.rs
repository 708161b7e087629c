//! From Meta's words to ours: each change becomes items, and each item is a fact, a report of a
//! business number, something to ignore, or something that was not understood.
//!
//! Nothing here decides and nothing is guessed. An item that can be read in two ways is not
//! understood; an item that says nothing to us is ignored by name, so that it can be counted. What
//! stands beside a bad item is not touched by it.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    engine::{
        fact::{Event, Fact, NumberReport},
        gate::Profiles,
        pair::{Customer, Pair, PhoneNumberId, UserId, WaId},
        time::Millis,
    },
    webhook::{
        account, calls, messages,
        payload::{self, Change, Reason, list, text},
    },
};

/// More than this of one change is not kept aside. Bytes.
const KEPT_MAX: usize = 64 * 1024;

/// What a webhook says.
#[derive(Debug, Default)]
pub(crate) struct Translation<'a> {
    /// Every item, in the order of the body.
    pub(crate) items: Vec<Item<'a>>,
    /// Display numbers that were seen together with their ids.
    pub(crate) displays: Vec<Display>,
}

impl Translation<'_> {
    /// The times that Meta stamped on what is understood.
    pub(crate) fn stamps(&self) -> impl Iterator<Item = Millis> {
        self.items.iter().filter_map(|item| match &item.meaning {
            Meaning::Fact(event) => Some(event.occurred_at),
            Meaning::Number(_, report) | Meaning::Display(_, report) => Some(report.at),
            Meaning::Ignored(_) | Meaning::Unclear(_) => None,
        })
    }
}

/// A display number and its id, seen together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Display {
    pub(crate) display: WaId,
    pub(crate) number: PhoneNumberId,
    /// When Meta says that it sent this.
    pub(crate) at: Option<Millis>,
}

/// One thing that a webhook says.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    /// What kind of thing, for the metrics.
    pub(crate) event: &'static str,
    /// What it means.
    pub(crate) meaning: Meaning,
    /// Where it stands, to be kept aside if need be.
    pub(crate) source: Source<'a>,
}

/// What an item means to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A fact about a pair.
    Fact(Box<Event>),
    /// A report of a business number.
    Number(PhoneNumberId, NumberReport),
    /// The same, where only the display number is told.
    Display(WaId, NumberReport),
    /// Nothing to us; says why.
    Ignored(&'static str),
    /// It was not understood; says why.
    Unclear(Reason),
}

/// Where an item stands in its change.
#[derive(Debug, Clone)]
pub(crate) struct Source<'a> {
    change: Change<'a>,
    number: String,
    /// The list and those of its items that are meant; `None`: the change as a whole.
    items: Option<(&'static str, Vec<&'a Value>)>,
    /// The customers named in the change who may be meant.
    contacts: Vec<&'a Value>,
    /// Whether the errors beside the list belong to the story.
    with_errors: bool,
}

impl<'a> Source<'a> {
    /// The change as a whole.
    pub(crate) fn whole(change: Change<'a>, number: &str) -> Self {
        let number = number.to_owned();
        Self { change, number, items: None, contacts: Vec::new(), with_errors: false }
    }

    /// Some items of a list of the change.
    pub(crate) fn items(
        scope: &Scope<'a>,
        list: &'static str,
        items: Vec<&'a Value>,
        with_errors: bool,
    ) -> Self {
        let contacts = scope.contacts_near(&items);
        let number = scope.number.as_str().to_owned();
        Self { change: scope.change, number, items: Some((list, items)), contacts, with_errors }
    }

    /// The webhook field.
    pub(crate) fn field(&self) -> &'a str {
        self.change.field
    }

    /// The business number it names, or "".
    pub(crate) fn number(&self) -> &str {
        &self.number
    }

    /// The smallest change that says the same: `{"field": …, "value": …}`, without what people
    /// wrote to each other. `time` is the entry's.
    pub(crate) fn json(&self) -> String {
        let mut kept = Map::new();
        if let Some(time) = self.change.time {
            kept.insert("time".to_owned(), json!(time.0 / 1000));
        }
        match &self.items {
            None if self.change.field.is_empty() => {
                kept.insert("value".to_owned(), self.change.raw.clone());
            }
            None => {
                kept.insert("field".to_owned(), json!(self.change.field));
                if let Some(value) = self.change.raw.get("value") {
                    kept.insert("value".to_owned(), bare_value(value));
                }
            }
            Some((list, items)) => {
                kept.insert("field".to_owned(), json!(self.change.field));
                kept.insert("value".to_owned(), self.value(list, items));
            }
        }
        let text = Value::Object(kept).to_string();
        if text.len() <= KEPT_MAX {
            return text;
        }
        let value = json!({
            "too_large_to_keep": text.len(), "sha256": hex::encode(Sha256::digest(&text)),
        });
        json!({"field": self.change.field, "value": value}).to_string()
    }

    fn value(&self, list: &'static str, items: &[&Value]) -> Value {
        let mut value = Map::new();
        if let Some(metadata) = self.change.value.get("metadata") {
            value.insert("metadata".to_owned(), metadata.clone());
        }
        if !self.contacts.is_empty() {
            let contacts = self.contacts.iter().map(|contact| without(contact, &["profile"]));
            value.insert("contacts".to_owned(), contacts.collect());
        }
        value.insert(list.to_owned(), items.iter().map(|item| bare(item)).collect());
        if self.with_errors
            && let Some(errors) = self.change.value.get("errors")
        {
            value.insert("errors".to_owned(), errors.clone());
        }
        Value::Object(value)
    }
}

/// The value of a change without what people said to each other, and without their names.
fn bare_value(value: &Value) -> Value {
    let mut value = value.clone();
    for (list, strip) in [
        ("messages", bare as fn(&Value) -> Value),
        ("statuses", bare),
        ("calls", bare),
        ("contacts", |contact| without(contact, &["profile"])),
    ] {
        if let Some(items) = value.get_mut(list).and_then(Value::as_array_mut) {
            items.iter_mut().for_each(|item| *item = strip(item));
        }
    }
    value
}

/// An item without what two people said to each other and without media descriptions.
fn bare(item: &Value) -> Value {
    // A message's content stands under the name of its type.
    match item.get("type").and_then(Value::as_str) {
        Some(kind) if kind != "interactive" && kind != "system" => {
            without(item, &[kind, "session", "referral"])
        }
        _ => without(item, &["session", "referral"]),
    }
}

fn without(item: &Value, keys: &[&str]) -> Value {
    let mut item = item.clone();
    if let Some(fields) = item.as_object_mut() {
        fields.retain(|key, _| !keys.contains(&key.as_str()));
    }
    item
}

/// Where items name who sent them, or whom they are for.
const SIDES: [&str; 6] =
    ["from", "from_user_id", "to", "to_user_id", "recipient_id", "recipient_user_id"];

/// What all items of one change share: the business number and the customers that it names.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) change: Change<'a>,
    /// When it came.
    now: Millis,
    pub(crate) number: PhoneNumberId,
    /// The business's own number as people dial it.
    pub(crate) display: Option<WaId>,
    contacts: Vec<Contact<'a>>,
}

#[derive(Debug)]
struct Contact<'a> {
    wa: Option<WaId>,
    user: Option<UserId>,
    raw: &'a Value,
}

impl<'a> Scope<'a> {
    /// Reads `metadata` and `contacts`. A contact that cannot be read is as good as absent: it only
    /// adds to what the items themselves say.
    fn read(change: Change<'a>, now: Millis) -> Result<Self, Reason> {
        let metadata = change.value.get("metadata").unwrap_or(&Value::Null);
        let number =
            text(metadata, "phone_number_id")?.ok_or("metadata.phone_number_id is missing")?;
        let number = PhoneNumberId::parse(&number, "metadata.phone_number_id")
            .map_err(|error| error.to_string())?;
        let display = display(metadata, "display_phone_number");
        let contacts = change.value.get("contacts").and_then(Value::as_array);
        let contacts = contacts.into_iter().flatten().map(Contact::read).collect();
        Ok(Self { change, now, number, display, contacts })
    }

    /// When Meta sent this, as far as that is told: nothing in it can be later.
    pub(crate) fn sent_at(&self) -> Millis {
        self.change.time.map_or(self.now, |time| time.min(self.now))
    }

    /// Whether this is the business's own number.
    pub(crate) fn is_business(&self, number: Option<&str>) -> bool {
        let number = number.and_then(|number| WaId::parse(number, "").ok());
        number.is_some() && number == self.display
    }

    /// The pair of an item that names its customer by one id, by both, or (where the change holds
    /// but one item and one contact) not at all. The contacts add the id that is not named: matched
    /// by the other one, never by their place.
    pub(crate) fn pair(
        &self,
        wa: Option<&str>,
        user: Option<&str>,
        is_alone: bool,
    ) -> Result<Pair, Reason> {
        let customer =
            Customer::parse(wa.unwrap_or_default(), user.unwrap_or_default(), "customer");
        let (mut wa, mut user) = match (wa, user, &*self.contacts) {
            (None, None, [only]) if is_alone => (only.wa.clone(), only.user.clone()),
            _ => {
                let customer = customer.map_err(|error| error.to_string())?;
                (customer.wa().cloned(), customer.user().cloned())
            }
        };
        match (&wa, &user) {
            (Some(named), None) => {
                user = one(self.contacts.iter().filter(|c| c.wa.as_ref() == Some(named)), |c| {
                    c.user.clone()
                });
            }
            (None, Some(named)) => {
                wa = one(self.contacts.iter().filter(|c| c.user.as_ref() == Some(named)), |c| {
                    c.wa.clone()
                });
            }
            _ => {}
        }
        let wa = wa.as_ref().map_or("", WaId::spelled);
        let user = user.as_ref().map_or("", UserId::as_str);
        let customer = Customer::parse(wa, user, "customer").map_err(|_| "it names no customer")?;
        Ok(Pair { number: self.number.clone(), customer })
    }

    /// The pair by the `wa_id`, or, if that cannot be read, by the user id, or else by the only contact.
    pub(crate) fn pair_by_either(
        &self,
        wa: Option<&str>,
        user: Option<&str>,
        is_alone: bool,
    ) -> Option<Pair> {
        let by_wa = self.pair(wa, None, false);
        let by_either = by_wa.or_else(|_| self.pair(None, user, false));
        by_either.or_else(|_| self.pair(None, None, is_alone)).ok()
    }

    /// The contacts that the items name, whatever the spelling; where they name nobody, the only one there
    /// is. Others have nothing to do with them, and what is kept is erased with everyone whom it names.
    fn contacts_near(&self, items: &[&Value]) -> Vec<&'a Value> {
        let named: Vec<&str> = items
            .iter()
            .filter_map(|item| item.as_object())
            .flat_map(|fields| fields.values().filter_map(Value::as_str))
            .collect();
        let numbers: Vec<WaId> = named.iter().filter_map(|id| WaId::parse(id, "").ok()).collect();
        let is_near = |contact: &&Contact<'_>| {
            contact.wa.as_ref().is_some_and(|wa| numbers.contains(wa))
                || contact.user.as_ref().is_some_and(|user| named.contains(&user.as_str()))
        };
        match &*self.contacts {
            [only] if !items.iter().any(|item| self.names_a_customer(item)) => vec![only.raw],
            contacts => contacts.iter().filter(is_near).map(|contact| contact.raw).collect(),
        }
    }

    fn names_a_customer(&self, item: &Value) -> bool {
        let named = SIDES.iter().filter_map(|key| text(item, key).ok().flatten());
        named.filter(|id| !self.is_business(Some(id))).count() > 0
    }

    /// A fact of Meta's about a pair.
    pub(crate) fn fact(
        &self,
        pair: Pair,
        event_id: String,
        occurred_at: Millis,
        fact: Fact,
    ) -> Meaning {
        Meaning::Fact(Box::new(Event { event_id, pair, occurred_at, meta_spelling: true, fact }))
    }
}

impl<'a> Contact<'a> {
    fn read(raw: &'a Value) -> Self {
        let id = |key| text(raw, key).ok().flatten().unwrap_or_default();
        Self {
            wa: WaId::parse(&id("wa_id"), "").ok(),
            user: UserId::parse(&id("user_id"), "").ok(),
            raw,
        }
    }
}

/// The one id that the contacts agree on.
fn one<'c, T: PartialEq>(
    contacts: impl Iterator<Item = &'c Contact<'c>>,
    id: impl Fn(&'c Contact<'c>) -> Option<T>,
) -> Option<T> {
    let mut ids = contacts.filter_map(id);
    let first = ids.next()?;
    ids.all(|other| other == first).then_some(first)
}

/// A display number, whatever it is grouped with: "+1 555-010-0001" is 15550100001.
pub(crate) fn display(value: &Value, key: &str) -> Option<WaId> {
    let told = text(value, key).ok().flatten()?;
    let digits: String = told.chars().filter(|c| !" -().+".contains(*c)).collect();
    WaId::parse(&digits, "").ok()
}

/// Translates every change of a body. `now` stands in for the time of what tells none.
pub(crate) fn translate<'a>(body: &'a Value, now: Millis, profiles: &Profiles) -> Translation<'a> {
    let mut all = Translation::default();
    for change in payload::changes(body) {
        all.change(change, now, profiles);
    }
    all
}

impl<'a> Translation<'a> {
    /// Translates one change.
    pub(crate) fn change(&mut self, change: Change<'a>, now: Millis, profiles: &Profiles) {
        if let Some(why) = change.misfit {
            self.unclear_whole(change, why.into());
            return;
        }
        match change.field {
            "messages" | "calls" => self.items_of(change, now, profiles),
            "account_update" => account::update(self, change, now),
            "account_settings_update" => account::settings(self, change, now, profiles),
            _ => self.ignored_whole(change, "unknown_field"),
        }
    }

    fn items_of(&mut self, change: Change<'a>, now: Millis, profiles: &Profiles) {
        if !change.value.is_object() {
            self.unclear_whole(change, "the value is not an object".into());
            return;
        }
        let scope = match Scope::read(change, now) {
            Ok(scope) => scope,
            Err(why) => {
                self.unclear_whole(change, why);
                return;
            }
        };
        if !profiles.serves(&scope.number) {
            self.ignored_whole(change, "number_not_served");
            return;
        }
        if let Some(display) = &scope.display {
            self.displays.push(Display {
                display: display.clone(),
                number: scope.number.clone(),
                at: change.time,
            });
        }
        let before = self.items.len();
        self.list(&scope, "messages", messages::messages);
        self.list(&scope, "statuses", messages::statuses);
        self.list(&scope, "calls", calls::calls);
        if self.items.len() == before {
            self.ignored_whole(change, "nothing_to_us");
        }
    }

    fn list(
        &mut self,
        scope: &Scope<'a>,
        key: &'static str,
        translate: fn(&mut Self, &Scope<'a>, &'a [Value]),
    ) {
        match list(scope.change.value, key) {
            Ok(items) => translate(self, scope, items),
            Err(why) => self.unclear_whole(scope.change, why),
        }
    }

    /// Adds an item of a list; what could not be read of it is kept aside.
    pub(crate) fn add(
        &mut self,
        event: &'static str,
        meaning: Result<Meaning, Reason>,
        source: Source<'a>,
    ) {
        let meaning = meaning.unwrap_or_else(Meaning::Unclear);
        self.items.push(Item { event, meaning, source });
    }

    pub(crate) fn unclear_whole(&mut self, change: Change<'a>, why: Reason) {
        let number = change.value.get("metadata").and_then(|m| text(m, "phone_number_id").ok());
        let number = number.flatten().filter(|n| PhoneNumberId::parse(n, "").is_ok());
        let source = Source::whole(change, &number.unwrap_or_default());
        self.add("change", Err(why), source);
    }

    pub(crate) fn ignored_whole(&mut self, change: Change<'a>, why: &'static str) {
        self.add("change", Ok(Meaning::Ignored(why)), Source::whole(change, ""));
    }
}
