//! The pairs under load: few at a time, each replaced by a fresh one before its record is full, so that
//! no fact has to make room.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use callgate::proto::Event;

use tokio::sync::OnceCell;

use crate::{
    proof::ledger::{self, Known},
    twins::Dice,
};

/// Business numbers: several partitions, in a cluster on several nodes.
const NUMBERS: [&str; 3] = ["4001", "4002", "4003"];
/// A record has room for 512 calls and 64 requests.
const CALLS_MAX: usize = 400;
const REQUESTS_MAX: usize = 50;
/// How far back one remembers.
const RECENT: usize = 24;

/// A pair, and what is known of it to all who work on it.
#[derive(Debug)]
pub(crate) struct Place {
    /// As [`ledger::name`] gives it.
    pub(crate) pair: String,
    /// Set once both ids were told together, where either may be used from then on.
    pub(crate) is_met: OnceCell<()>,
    calls: Mutex<Vec<String>>,
    requests: Mutex<Vec<String>>,
    events: Mutex<Vec<Event>>,
}

impl Place {
    fn new(slot: u64, generation: u64, known: Known) -> Self {
        let number = NUMBERS[usize::try_from(slot).unwrap() % NUMBERS.len()];
        Self {
            pair: format!("{number} {}{slot:03}{generation:04}", known.digits()),
            is_met: OnceCell::new(),
            calls: Mutex::default(),
            requests: Mutex::default(),
            events: Mutex::default(),
        }
    }

    pub(crate) fn remember_call(&self, id: &str) {
        self.calls.lock().unwrap().push(id.to_owned());
    }

    pub(crate) fn known_call(&self, dice: &mut Dice) -> Option<String> {
        recent(&self.calls.lock().unwrap(), dice)
    }

    pub(crate) fn remember_event(&self, event: &Event) {
        self.events.lock().unwrap().push(event.clone());
    }

    pub(crate) fn known_event(&self, dice: &mut Dice) -> Option<Event> {
        recent(&self.events.lock().unwrap(), dice)
    }

    /// A new request id, or one that was asked for before.
    pub(crate) fn request(&self, pairs: &Pairs, dice: &mut Dice) -> Option<String> {
        let mut requests = self.requests.lock().unwrap();
        if requests.len() < REQUESTS_MAX && dice.below(3) != 0 {
            requests.push(pairs.id("r"));
            return requests.last().cloned();
        }
        recent(&requests, dice)
    }

    fn is_full(&self) -> bool {
        self.calls.lock().unwrap().len() >= CALLS_MAX
    }
}

fn recent<X: Clone>(all: &[X], dice: &mut Dice) -> Option<X> {
    let latest = &all[all.len().saturating_sub(RECENT)..];
    (!latest.is_empty()).then(|| dice.pick(latest).clone())
}

fn known_by(known: &[Known], slot: u64) -> Known {
    known[usize::try_from(slot).unwrap() % known.len()]
}

/// Those at work now.
#[derive(Debug)]
pub(crate) struct Pairs {
    places: Vec<Mutex<Arc<Place>>>,
    known: Vec<Known>,
    generation: AtomicU64,
    ids: AtomicU64,
}

impl Pairs {
    /// So many at a time, known in these ways in turn.
    pub(crate) fn new(count: u64, known: Vec<Known>) -> Self {
        let new = |slot| Mutex::new(Arc::new(Place::new(slot, 0, known_by(&known, slot))));
        let places = (0..count).map(new).collect();
        Self { places, known, generation: AtomicU64::new(1), ids: AtomicU64::new(0) }
    }

    /// An id that nothing else has.
    pub(crate) fn id(&self, kind: &str) -> String {
        format!("{kind}{}", self.ids.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn any(&self, dice: &mut Dice) -> Arc<Place> {
        self.at(dice.below(self.places.len() as u64))
    }

    pub(crate) fn at(&self, slot: u64) -> Arc<Place> {
        let mut place = self.places[usize::try_from(slot).unwrap()].lock().unwrap();
        if place.is_full() {
            let generation = self.generation.fetch_add(1, Ordering::Relaxed);
            *place = Arc::new(Place::new(slot, generation, known_by(&self.known, slot)));
        }
        Arc::clone(&place)
    }

    /// For those who repeat it, if its pair is still at work.
    pub(crate) fn remember_event(&self, event: &Event) {
        let name = event.pair.as_ref().map(ledger::name).unwrap_or_default();
        for place in &self.places {
            let place = place.lock().unwrap();
            if place.pair == name {
                place.remember_event(event);
            }
        }
    }
}
