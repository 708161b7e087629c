//! What a client writes down, and what the gate must show of it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use callgate::proto::{Customer, Event, Pair, Permission, QuotaKind};

use crate::{stream::now, support::tally};

/// What all clients went through together.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) steps: AtomicUsize,
    pub(super) unsure: AtomicUsize,
    pub(super) allows: AtomicUsize,
    pub(super) retold: AtomicUsize,
    pub(super) looks: AtomicUsize,
    /// Ids of webhooks that were taken in and not understood, in order.
    pub(super) aside: Mutex<Vec<String>>,
}

impl Seen {
    pub(super) fn count(&self) {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        tally::count("steps acknowledged between kills", of(&self.steps));
        tally::count("steps cut off by kills", of(&self.unsure));
        tally::count("ALLOWs looked for after kills", of(&self.allows));
        tally::count("events told again after kills", of(&self.retold));
        tally::count("customers looked at after kills", of(&self.looks));
        assert!(of(&self.unsure) > 0 && of(&self.allows) > 0 && of(&self.retold) > 0);
    }
}

/// What is known of a call or a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Allowed; nothing else was told.
    Held,
    /// Over, and counts.
    Counts,
    /// Over, and does not count.
    Free,
    /// The gate died: held or nothing.
    MaybeHeld,
    /// The gate died: held or counted.
    HeldOrCounts,
    /// The gate died: held or over without counting.
    HeldOrFree,
}

/// One customer of one number.
pub(super) struct Person {
    pub(super) pair: Pair,
    pub(super) is_granted: bool,
    /// The newest reply; whole seconds, since consent is ordered by them.
    pub(super) said_at: i64,
    pub(super) calls: BTreeMap<String, Slot>,
    pub(super) requests: BTreeMap<String, Slot>,
    /// What was acknowledged.
    pub(super) events: Vec<Event>,
    /// What was told when the gate died.
    pub(super) maybe: Vec<Event>,
}

impl Person {
    pub(super) fn new(wa_id: String, number: &str) -> Self {
        let customer = Customer { wa_id, user_id: String::new() };
        Self {
            pair: Pair { phone_number_id: number.to_owned(), customer: Some(customer) },
            is_granted: false,
            said_at: now().seconds - 7_200,
            calls: BTreeMap::new(),
            requests: BTreeMap::new(),
            events: Vec::new(),
            maybe: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> String {
        let customer = self.pair.customer.as_ref().unwrap();
        format!("{} {}", self.pair.phone_number_id, customer.wa_id)
    }
}

/// How a slot may show: (it must be listed, it may be listed).
pub(super) fn listed(slot: Slot) -> (bool, bool) {
    match slot {
        Slot::Held | Slot::Counts | Slot::HeldOrCounts => (true, true),
        Slot::MaybeHeld | Slot::HeldOrFree => (false, true),
        Slot::Free => (false, false),
    }
}

pub(super) fn bounds(slots: &BTreeMap<String, Slot>) -> (usize, usize) {
    let count = |is: fn((bool, bool)) -> bool| slots.values().filter(|s| is(listed(**s))).count();
    (count(|s| s.0), count(|s| s.1))
}

/// What counts and what is held is what the ledger says.
pub(super) fn agrees(
    seen: &Permission,
    kind: QuotaKind,
    slots: &BTreeMap<String, Slot>,
    name: &str,
) {
    let quota = seen.quotas.iter().find(|quota| quota.kind() == kind).unwrap();
    let listed_ids: BTreeMap<&str, bool> =
        quota.entries.iter().map(|entry| (entry.id.as_str(), entry.held)).collect();
    for (id, slot) in slots {
        let (must, may) = listed(*slot);
        let found = listed_ids.get(id.as_str());
        assert!(!must || found.is_some(), "{name}: {kind:?} LOST {slot:?} {id}");
        assert!(may || found.is_none(), "{name}: {kind:?} lists {slot:?} {id}");
        match slot {
            Slot::Held => assert_eq!(found, Some(&true), "{name}: {id}"),
            Slot::Counts => assert_eq!(found, Some(&false), "{name}: {id}"),
            _ => {}
        }
    }
    for id in listed_ids.keys() {
        assert!(slots.contains_key(*id), "{name}: {kind:?} lists {id}, which nobody asked for");
    }
    let held = listed_ids.values().filter(|held| **held).count();
    assert_eq!((quota.used as usize, quota.held as usize), (quota.entries.len() - held, held));
}
