//! The embedded store's clock, when somebody sets the clock of the host.

use std::sync::{Arc, Mutex};

use callgate::engine::{
    time::{Clock as _, Millis, WallClock},
    wall::{Host, Reading},
};

use crate::twins::Dice;

mod slow;

const START: i64 = 1_790_000_000_000;
const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// A host whose clocks tests move.
#[derive(Debug, Clone)]
struct Hands(Arc<Mutex<Reading>>);

impl Hands {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Reading { wall: START, boot: 5_000_000 })))
    }

    /// Time goes by.
    fn pass(&self, ms: i64) {
        let mut hands = self.0.lock().unwrap();
        hands.wall += ms;
        hands.boot += ms;
    }

    /// Somebody sets the wall clock.
    fn set(&self, ms: i64) {
        self.0.lock().unwrap().wall += ms;
    }

    fn wall(&self) -> i64 {
        self.0.lock().unwrap().wall
    }
}

impl Host for Hands {
    fn read(&self) -> Reading {
        *self.0.lock().unwrap()
    }
}

fn clock() -> (Hands, WallClock) {
    let hands = Hands::new();
    let clock = WallClock::of(hands.clone());
    assert_eq!(now(&clock), START);
    (hands, clock)
}

fn now(clock: &WallClock) -> i64 {
    i64::try_from(clock.now().0).unwrap()
}

fn hear(clock: &WallClock, stamp: i64) {
    clock.hear(Millis(u64::try_from(stamp).unwrap()));
}

#[test]
fn it_follows_a_clock_that_nobody_sets() {
    let (hands, clock) = clock();
    for ms in [0, 1, 999, HOUR, 40 * DAY] {
        hands.pass(ms);
        assert_eq!(now(&clock), hands.wall());
    }
}

#[test]
fn after_a_step_back_it_stands_until_the_clock_has_caught_up() {
    for step in [1, SECOND, HOUR, 3 * DAY] {
        let (hands, clock) = clock();
        hands.set(-step);
        assert_eq!(now(&clock), START);
        hands.pass(step - 1);
        assert_eq!(now(&clock), START, "-1 ms");
        hands.pass(1);
        assert_eq!(now(&clock), START, "caught up");
        hands.pass(1);
        assert_eq!(now(&clock), START + 1, "+1 ms");
        // It has caught up: a step forward to where it was before is a step forward.
        hands.set(step);
        let expected = if step <= 2 * SECOND { START + 1 + step } else { START + 1 };
        assert_eq!(now(&clock), expected);
    }
}

#[test]
fn a_step_back_that_is_taken_back_leaves_no_trace() {
    let (hands, clock) = clock();
    hands.set(-HOUR);
    hands.pass(600 * SECOND);
    assert_eq!(now(&clock), START);
    hands.set(HOUR);
    assert_eq!(now(&clock), START + 600 * SECOND);
    hands.pass(DAY);
    assert_eq!(now(&clock), hands.wall());
}

#[test]
fn after_a_step_forward_it_goes_on_at_its_own_pace() {
    let (hands, clock) = clock();
    hands.pass(HOUR);
    hands.set(DAY);
    assert_eq!(now(&clock), START + HOUR);
    hands.pass(90 * SECOND - 1);
    assert_eq!(now(&clock), START + HOUR + 90 * SECOND - 1);
    hands.pass(10 * DAY);
    assert_eq!(now(&clock), hands.wall() - DAY);
    // A second one adds to it; taken back, all is as it was.
    hands.set(HOUR);
    assert_eq!(now(&clock), hands.wall() - DAY - HOUR);
    hands.set(-DAY - HOUR);
    assert_eq!(now(&clock), hands.wall());
    hands.pass(1);
    assert_eq!(now(&clock), hands.wall());
    // A restart takes the clock as it is.
    hands.set(DAY);
    let restarted = WallClock::of(hands.clone());
    restarted.resume(clock.now());
    assert_eq!(now(&restarted), hands.wall());
}

#[test]
fn small_steps_forward_are_taken_once_an_hour() {
    for (step, is_taken) in [(1, true), (2 * SECOND, true), (2 * SECOND + 1, false)] {
        let (hands, clock) = clock();
        hands.set(step);
        assert_eq!(now(&clock) == hands.wall(), is_taken, "{step}");
    }
    for (wait, is_taken) in [(HOUR - 1, false), (HOUR, true)] {
        let (hands, clock) = clock();
        hands.pass(wait);
        hands.set(2 * SECOND);
        now(&clock);
        hands.set(1);
        assert_eq!(now(&clock) == hands.wall(), is_taken, "after {wait}");
    }
}

#[test]
fn a_drip_of_small_steps_does_not_carry_it_away() {
    let (hands, clock) = clock();
    for _ in 0..10 * 3600 {
        hands.pass(SECOND);
        hands.set(SECOND);
        now(&clock);
    }
    let gained = now(&clock) - START - 10 * HOUR;
    assert!((0..=11 * 2 * SECOND).contains(&gained), "gained {gained} ms in 10 h");
}

#[test]
fn behind_the_store_it_stands_however_the_clock_gets_past_it() {
    let behind = |hands: &Hands| {
        let clock = WallClock::of(hands.clone());
        clock.resume(Millis(u64::try_from(START + HOUR).unwrap()));
        assert_eq!(now(&clock), START + HOUR);
        clock
    };
    let hands = Hands::new();
    let clock = behind(&hands);
    hands.pass(HOUR);
    assert_eq!(now(&clock), START + HOUR);
    hands.pass(1);
    assert_eq!(now(&clock), START + HOUR + 1);
    hands.set(DAY);
    assert_eq!(now(&clock), START + HOUR + 1, "it has caught up, and this is a step");

    // A host that boots without a battery, and NTP that comes later.
    let hands = Hands::new();
    let clock = behind(&hands);
    hands.pass(SECOND);
    hands.set(HOUR - 2 * SECOND);
    assert_eq!(now(&clock), START + HOUR);
    hands.set(9 * DAY);
    assert_eq!(now(&clock), hands.wall());
    hands.set(9 * DAY);
    assert_eq!(now(&clock), hands.wall() - 9 * DAY);
}

const AHEAD: i64 = 300 * SECOND;

#[test]
fn a_stamp_of_metas_moves_it_on_if_one_of_the_clocks_says_the_same() {
    // Set right: the wall clock confirms.
    let (hands, clock) = clock();
    hands.set(HOUR);
    assert_eq!(now(&clock), START);
    hear(&clock, START + AHEAD);
    assert_eq!(now(&clock), START, "within what facts may lie ahead: there is no need");
    hear(&clock, START + AHEAD + 1);
    assert_eq!(now(&clock), START + AHEAD + 1);
    hands.pass(SECOND);
    assert_eq!(now(&clock), START + AHEAD + 1 + SECOND, "on at its own pace");
    hear(&clock, START + HOUR + SECOND + AHEAD + 1);
    assert_eq!(now(&clock), START + AHEAD + 1 + SECOND, "no clock confirms that");
    hear(&clock, START + HOUR + SECOND + AHEAD);
    assert_eq!(now(&clock), hands.wall(), "never past the clock that confirms");
    hands.pass(DAY);
    assert_eq!(now(&clock), hands.wall());

    // Set wrong, back: our own pace confirms.
    let (hands, clock) = self::clock();
    hands.set(-DAY);
    hands.pass(HOUR);
    assert_eq!(now(&clock), START);
    hear(&clock, START + HOUR);
    assert_eq!(now(&clock), START + HOUR);
    hear(&clock, START + HOUR + AHEAD + 1);
    assert_eq!(now(&clock), START + HOUR, "no clock confirms that");

    // Not set at all: Meta alone moves nothing.
    let (hands, clock) = self::clock();
    hear(&clock, START + DAY);
    hear(&clock, START + AHEAD + 1);
    assert_eq!(now(&clock), hands.wall());
}

#[test]
fn a_clock_that_is_known_to_be_wrong_needs_no_second_witness_within_bounds() {
    let newest = START + DAY;
    for (stamp, is_believed) in [
        (newest + AHEAD, false),
        (newest + AHEAD + 1, true),
        (newest + 30 * DAY, true),
        (newest + 31 * DAY, false),
    ] {
        let hands = Hands::new();
        let clock = WallClock::of(hands.clone());
        clock.resume(Millis(u64::try_from(newest).unwrap()));
        hear(&clock, stamp);
        assert_eq!(now(&clock), if is_believed { stamp } else { newest }, "{}", stamp - newest);
    }
}

/// Whatever is done to the clock and told, time never goes back, and without a stamp it never goes
/// faster than the time since boot, but for two seconds an hour.
#[test]
fn whatever_is_done_it_never_goes_back_and_never_jumps() {
    let mut dice = Dice::throw();
    for _ in 0..200 {
        let (hands, clock) = clock();
        let (mut before, mut passed) = (START, 0);
        for _ in 0..300 {
            let span_max = if dice.below(9) == 0 { 86_400_000 } else { 5_000 };
            let span = i64::try_from(dice.below(span_max)).unwrap();
            match dice.below(4) {
                0 => hands.set(span),
                1 => hands.set(-span),
                _ => {
                    hands.pass(span);
                    passed += span;
                }
            }
            let after = now(&clock);
            assert!(before <= after, "it went back");
            let allowed = START + passed + (passed / HOUR + 2) * 2 * SECOND;
            assert!(after <= allowed, "it gained {} ms", after - START - passed);
            before = after;
        }
    }
    crate::support::tally::count("histories of a clock that is set", 200);
}
