//! Convergence: the same events in any order, with any repeats, split into any batches, told to any
//! of several gates on one store, give the same view.

mod webhooks;

use std::sync::Arc;

use callgate::{
    engine::{
        fact::Event,
        gate::{Gate, Profiles},
        pair::Pair,
        profile::Profile,
        step::View,
        store::Store,
        time::{ManualClock, Millis},
    },
    store::embedded::Embedded,
};
use futures_util::future::join_all;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tokio::runtime::Runtime;

use crate::{
    conformance::t,
    pseudonyms,
    rulebook::NAMES,
    support::tally,
    twins::{Dice, fact, is_free_of_order},
};

const DAY: u64 = 24 * 3_600_000;
/// Gates on one store.
const REPLICAS: usize = 3;

/// Several gates that share a store.
struct Fleet {
    gates: Vec<Gate>,
    now: u64,
    numbers: u64,
}

impl Fleet {
    /// `now` is what the store's clock says, about.
    fn over(store: &Arc<dyn Store>, profile: &Profile, now: u64) -> Self {
        let gate = || Gate::new(Arc::clone(store), Profiles::new(profile.clone()));
        Self { gates: (0..REPLICAS).map(|_| gate()).collect(), now, numbers: 0 }
    }

    /// An event per seed, all within the horizon.
    fn events(&self, seeds: &[u64]) -> Vec<(u64, Event)> {
        let event = |&seed: &u64| {
            let mut dice = Dice(seed);
            let names = if dice.below(2) == 0 { &NAMES[..] } else { &NAMES[..2] };
            let (wa, user) = *dice.pick(names);
            let span = *dice.pick(&[4, 7 * DAY / 1000]);
            let at = self.now - dice.below(span) * 1000 - dice.below(2);
            let fact = fact(&mut dice, self.now);
            let event = Event {
                event_id: format!("e{seed}"),
                pair: Pair::parse("1", wa, user, "").unwrap(),
                occurred_at: Millis(at),
                meta_spelling: seed % 2 == 0,
                fact,
            };
            is_free_of_order(&event.fact).then_some((seed, event))
        };
        seeds.iter().filter_map(event).collect()
    }

    /// Tells them to a business number of its own, arranged by `arrangement`; 0: as they are. Gives
    /// what is seen then of everybody, from every gate.
    async fn told(&mut self, events: &[(u64, Event)], arrangement: u64) -> Vec<View> {
        self.numbers += 1;
        let number = format!("{}", 700_000 + self.numbers);
        let mut dice = Dice(arrangement);
        let mut all: Vec<Event> = events.iter().map(|(_, event)| event.clone()).collect();
        if arrangement > 0 {
            let again = all.clone();
            all.extend(again.into_iter().filter(|_| dice.below(3) == 0));
            dice.shuffle(&mut all);
        }
        for event in &mut all {
            event.pair.number = Pair::parse(&number, "", "US.1", "").unwrap().number;
        }
        while !all.is_empty() {
            // What several gates are told at the same time.
            let mut told = Vec::new();
            for _ in 0..1 + if arrangement > 0 { dice.below(3) } else { 0 } {
                let count = usize::try_from(1 + dice.below(4)).unwrap().min(all.len());
                let batch: Vec<Event> = all.drain(..count).collect();
                told.push(dice.pick(&self.gates).record_all(batch));
            }
            for result in join_all(told).await.into_iter().flat_map(Result::unwrap) {
                result.unwrap();
            }
        }
        self.seen(&number).await
    }

    async fn seen(&self, number: &str) -> Vec<View> {
        let mut seen = Vec::new();
        for (n, (wa, user)) in NAMES.into_iter().enumerate() {
            let pair = Pair::parse(number, wa, user, "").unwrap();
            // Of one instant, whatever the store's clock says.
            let asked = self.gates[n % REPLICAS].permission(pair, Millis(self.now + 1000));
            seen.push(View { revision: 0, ..asked.await.unwrap().reply.view });
        }
        seen
    }
}

/// Histories of up to 14 events, each arranged in three ways beside the one in which it was made.
fn converges(store: &Arc<dyn Store>, now: u64, runtime: &Runtime, cases: u32) {
    let mut dice = Dice::throw();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let seed: Vec<u8> = (0..32).map(|_| u8::try_from(dice.below(256)).unwrap()).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut fleets: Vec<Fleet> =
        Profile::built_in().iter().map(|profile| Fleet::over(store, profile, now)).collect();
    for (n, fleet) in fleets.iter_mut().enumerate() {
        fleet.numbers = 1_000_000 * n as u64;
    }
    let fleets = std::cell::RefCell::new(fleets);
    let histories = (vec(any::<u64>(), 1..14), 1..u64::MAX, 0..Profile::built_in().len());
    let told = std::cell::Cell::new(0);
    let played = TestRunner::new_with_rng(config, rng).run(&histories, |(seeds, by, profile)| {
        let fleet = &mut fleets.borrow_mut()[profile];
        let events = fleet.events(&seeds);
        runtime.block_on(async {
            let plain = fleet.told(&events, 0).await;
            for arrangement in [by, by ^ 0xaaaa, by ^ 0x5555] {
                let arranged = fleet.told(&events, arrangement.max(1)).await;
                prop_assert_eq!(&arranged, &plain, "of {:#?}", events);
            }
            told.set(told.get() + 4 * events.len());
            Ok(())
        })
    });
    played.unwrap();
    tally::count("events told in another order, in batches, to several gates", told.get());
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn memory(cases: u32) {
    let clock = Arc::new(ManualClock::at(Millis(t())));
    let store: Arc<dyn Store> = Arc::new(Embedded::memory(clock).unwrap());
    converges(&store, t(), &runtime(), cases);
}

#[test]
fn events_in_any_order_and_batches_over_any_gates_give_the_same_view() {
    memory(150);
}

#[test]
fn events_in_any_order_under_pseudonyms_give_the_same_view() {
    let clock = Arc::new(ManualClock::at(Millis(t())));
    let store = pseudonyms::memory(clock, pseudonyms::keys(&pseudonyms::KEYS));
    converges(&store, t(), &runtime(), 100);
}

mod slow {
    use super::*;
    use crate::{servers::Server, stores::redis};

    #[test]
    fn events_in_any_order_over_gates_on_redis_give_the_same_view() {
        let (server, runtime) = (Server::redis7(), runtime());
        let store = runtime.block_on(redis(server.url()));
        let now = runtime.block_on(store.now()).unwrap();
        converges(&store, now.0, &runtime, 150);
    }
}

mod soak {
    use std::time::Instant;

    use super::*;

    #[test]
    #[ignore = "make soak"]
    fn events_in_any_order_and_batches_over_any_gates_give_the_same_view() {
        let end = Instant::now() + tally::soak();
        while Instant::now() < end {
            memory(1000);
        }
    }
}
