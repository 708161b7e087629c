//! The reference model: an independent referee of the law. It keeps the whole history of a business
//! number as a list and works every answer out from it by the words of the rules, in plain Rust; random
//! histories are played to it and to the hosts that judge, and whatever they answer must be the same.

mod attempts;
mod author;
mod authorize;
mod changes;
mod closing;
mod consent;
mod facts;
mod judge;
mod number;
mod owners;
mod play;
mod quotas;
mod referee;
mod scope;
mod shorten;
mod telling;
mod told;
mod used;
mod write;

use author::Author;
pub use scope::{ALONE, BOUND, FORGETTING, MANY, OWNERS, Scope, TWO};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callgate::{
    engine::{store::TOMBSTONE_AGE_MAX, time::ManualClock},
    rulebook::DEFINITIONS,
    store::{
        LogLimits,
        embedded::{self, Durability, Embedded},
        redis,
    },
};
use futures_util::FutureExt as _;
use play::Deed;
use shorten::{Failed, game, shortest, told};

use crate::{
    servers::Server,
    stories::{
        START,
        bare::Bare,
        host::{Host, Stored},
        story,
    },
    support::{tally, vm::broken_vm},
    twins::Dice,
};

/// Plays one random history, up to the first difference.
async fn one(host: &dyn Host, dice: &mut Dice, scope: Scope, count: usize) -> Result<(), Failed> {
    let profile = scope::profile(dice);
    let mut game = game(host, &profile, scope);
    let mut author = Author::new(dice, scope);
    let mut deeds = Vec::new();
    for _ in 0..count {
        let deed = author.next(&game.referee);
        deeds.push(deed.clone());
        if let Err(difference) = game.play(&deed).await {
            return Err(Failed { profile, deeds, difference });
        }
    }
    Ok(())
}

/// How many commands a history has.
const LENGTH: usize = 40;

/// Plays that many random commands, the same by the same seed, up to the first difference. For whoever
/// changes the law, to see whether it is noticed. `host` must answer at once, as the bare rulebook does.
///
/// # Errors
/// The first difference, and the history that led to it.
pub fn check(host: &dyn Host, seed: u64, commands: usize, scope: Scope) -> Result<(), String> {
    let mut dice = Dice(seed);
    for _ in 0..commands.div_ceil(LENGTH) {
        match one(host, &mut dice, scope, LENGTH).now_or_never() {
            Some(Ok(())) => {}
            Some(Err(Failed { profile, deeds, difference })) => {
                return Err(told(host, &profile, &deeds, &difference));
            }
            None => return Err(format!("{} does not answer at once", host.name())),
        }
    }
    Ok(())
}

/// How many histories that went wrong are told at once.
const DIFFERENCES: usize = 5;

async fn compare(host: &dyn Host, scope: Scope, commands: usize) {
    let mut dice = Dice::throw();
    let mut differences = Vec::new();
    for _ in 0..commands.div_ceil(LENGTH) {
        if let Err(failed) = one(host, &mut dice, scope, LENGTH).await {
            differences.push(shortest(host, scope, failed).await);
        }
        if differences.len() == DIFFERENCES {
            break;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    tally::count(&format!("commands compared with the model: {}", host.name()), commands);
}

/// Judges otherwise, fails, or never ends.
#[test]
fn a_broken_rulebook_is_found_out() {
    let right = "ending < grant.second";
    for wrong in
        ["ending <= grant.second", "error('broken')", "(function() while true do end end)()"]
    {
        is_found_out(right, wrong, FORGETTING);
    }
    assert_eq!(check(&Bare::new(), 1, 2000, FORGETTING), Ok(()));
}

#[track_caller]
fn is_found_out(right: &str, wrong: &str, scope: Scope) {
    assert_eq!(DEFINITIONS.matches(right).count(), 1, "{right}");
    let vm = broken_vm(&DEFINITIONS.replace(right, wrong)).expect("it loads");
    assert!(check(&Bare::of(vm), 1, 20_000, scope).is_err(), "{wrong} is not noticed");
}

#[test]
fn a_stream_that_tells_otherwise_is_found_out() {
    // Again and again; late; with the wrong status before; under the wrong id.
    let told = "told.told_warned < state.told_warned";
    is_found_out(told, "told.told_warned ~= state.told_warned", FORGETTING);
    is_found_out("due = math.min(due, quotas.calls_free_at(ctx))", "due = due", FORGETTING);
    is_found_out("state, by), told.told_status", "state, by), state.told_status", FORGETTING);
    is_found_out("ends_at or ends_at - ctx.profile.expiring_soon", "ends_at", FORGETTING);
    is_found_out("return who.number_id, who.owner_id", "return who.number_id, \"\"", BOUND);
}

#[test]
fn a_number_that_changes_hands_otherwise_is_found_out() {
    is_found_out("return since <= at end", "return since < at end", OWNERS);
    is_found_out("return others_last < at end", "return others_last <= at end", OWNERS);
    is_found_out(
        "kept[register] < links[owner + LAST]",
        "kept[register] <= links[owner + LAST]",
        OWNERS,
    );
    is_found_out("and identity.newest(record) == who.owner_id", "", OWNERS);
    is_found_out(
        "if has_neighbours(who) then\n    tell_neighbours",
        "if false then\n    tell_neighbours",
        OWNERS,
    );
    is_found_out("for _ = 1, 2 do", "for _ = 1, 1 do", OWNERS);
}

#[test]
fn a_history_can_be_told_as_a_story() {
    let mut dice = Dice::throw();
    for _ in 0..50 {
        let profile = scope::profile(&mut dice);
        let mut author = Author::new(&mut dice, TWO);
        let nothing = referee::Referee::new(profile.clone());
        let deeds: Vec<Deed> = (0..40).map(|_| author.next(&nothing)).collect();
        let text = write::story(&profile, &deeds);
        let stories = story::parse("x.story", &text, START);
        assert!(stories.is_ok_and(|stories| stories[0].rows.len() >= deeds.len()), "{text}");
    }
}

/// A test that is short enough for a busy machine plays a part of all; each begins from a seed of its
/// own.
macro_rules! on_the_bare_rulebook {
    ($($name:ident: $commands:literal, $scope:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            compare(&Bare::new(), $scope, $commands).await;
        })*
    };
}

on_the_bare_rulebook! {
    one_customer_under_one_id_first_part: 15_000, FORGETTING;
    one_customer_under_one_id_second_part: 15_000, FORGETTING;
    one_customer_under_one_id_third_part: 15_000, FORGETTING;
    one_customer_under_one_id_fourth_part: 15_000, FORGETTING;
    one_customer_under_two_ids_first_part: 15_000, TWO;
    one_customer_under_two_ids_second_part: 15_000, TWO;
    one_customer_under_two_ids_third_part: 15_000, TWO;
    one_customer_under_two_ids_fourth_part: 15_000, TWO;
    one_customer_under_two_ids_from_the_start_first_part: 15_000, BOUND;
    one_customer_under_two_ids_from_the_start_second_part: 15_000, BOUND;
    one_customer_under_two_ids_from_the_start_third_part: 15_000, BOUND;
    one_customer_under_two_ids_from_the_start_fourth_part: 15_000, BOUND;
    numbers_that_change_hands_first_part: 4_500, OWNERS;
    numbers_that_change_hands_second_part: 4_500, OWNERS;
    numbers_that_change_hands_third_part: 4_500, OWNERS;
    numbers_that_change_hands_fourth_part: 4_500, OWNERS;
    numbers_that_change_hands_among_many_first_part: 3_500, MANY;
    numbers_that_change_hands_among_many_second_part: 3_500, MANY;
}

/// A store whose clock is moved by hand.
async fn embedded(store: Embedded, clock: Arc<ManualClock>) -> Stored {
    Stored::new(Arc::new(store), Some(clock)).await
}

/// As a store keeps a tombstone.
const fn stored(scope: Scope) -> Scope {
    Scope { remembers_erasures_for: TOMBSTONE_AGE_MAX, ..scope }
}

/// So many commands of each scope.
async fn compare_all(host: &dyn Host, commands: usize, of: impl Fn(Scope) -> Scope) {
    for scope in [FORGETTING, TWO, BOUND, OWNERS, MANY] {
        compare(host, of(scope), commands).await;
    }
}

async fn in_memory() -> Stored {
    let clock = Arc::new(ManualClock::at(START));
    embedded(Embedded::memory(clock.clone()).unwrap(), clock).await
}

#[tokio::test]
async fn everything_in_memory_first_part() {
    compare_all(&in_memory().await, 2100, stored).await;
}

#[tokio::test]
async fn everything_in_memory_second_part() {
    compare_all(&in_memory().await, 2100, stored).await;
}

/// One history after the other: flushed at leisure, as each would wait for the disk alone.
#[tokio::test]
async fn everything_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let options = embedded::Options { durability: Durability::Os, ..embedded::Options::default() };
    let store = Embedded::open(folder.path(), &options, clock.clone()).unwrap();
    compare_all(&embedded(store, clock).await, 2100, stored).await;
}

/// Many histories at once, each of another business number, flushed together. Nobody is forgotten: that
/// is by the store's clock, of which there is one.
#[tokio::test]
async fn everything_at_once_on_disk() {
    const AT_ONCE: u64 = 32;
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    // Each history has a time of its own, and none may make another's changes too old to be read.
    let log = LogLimits { age: Duration::from_secs(1000 * 24 * 3600), ..LogLimits::default() };
    let options = embedded::Options { log, ..embedded::Options::default() };
    let store = Embedded::open(folder.path(), &options, clock).unwrap();
    let host = Stored::new(Arc::new(store), None).await;
    let seed = Dice::throw().0;
    let many = (0..AT_ONCE).map(|n| {
        let host = &host;
        async move {
            let scopes = [ALONE, MANY, BOUND, OWNERS];
            let scope = Scope { forgets: false, ..scopes[usize::try_from(n % 4).unwrap()] };
            let mut dice = Dice(seed.wrapping_add(n));
            for _ in 0..8 {
                if let Err(failed) = one(host, &mut dice, scope, LENGTH).await {
                    return Some(told(host, &failed.profile, &failed.deeds, &failed.difference));
                }
            }
            None
        }
    });
    let differences = futures_util::future::join_all(many).await;
    let differences: Vec<String> = differences.into_iter().flatten().collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let commands = usize::try_from(AT_ONCE).unwrap() * 8 * LENGTH;
    tally::count(&format!("commands compared with the model: {}", host.name()), commands);
}

async fn on_redis(url: &str) -> Stored {
    let options = redis::Options {
        call_deadline: Duration::from_secs(20),
        connect_deadline: Duration::from_secs(20),
        ..redis::Options::default()
    };
    let store = redis::RedisStore::open(redis::Target::parse(url).unwrap(), options).await.unwrap();
    Stored::new(Arc::new(store), None).await
}

/// Nobody is forgotten there: a tombstone lives by the server's own clock, which is not ours to move.
const fn on_redis_clock(scope: Scope) -> Scope {
    Scope { forgets: false, ..scope }
}

mod slow {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn everything_on_redis_first_part() {
        let server = Server::redis7();
        compare_all(&on_redis(server.url()).await, 2100, on_redis_clock).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn everything_on_redis_second_part() {
        let server = Server::redis7();
        compare_all(&on_redis(server.url()).await, 2100, on_redis_clock).await;
    }
}

mod soak {
    use super::*;

    /// Until the time is over.
    async fn long(host: &dyn Host, of: impl Fn(Scope) -> Scope) {
        let end = Instant::now() + tally::soak();
        while Instant::now() < end {
            compare_all(host, 400, &of).await;
        }
    }

    #[tokio::test]
    #[ignore = "make soak"]
    async fn random_histories_on_the_bare_rulebook() {
        long(&Bare::new(), |scope| scope).await;
    }

    #[tokio::test]
    #[ignore = "make soak"]
    async fn random_histories_in_memory() {
        long(&in_memory().await, stored).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "make soak"]
    async fn random_histories_on_redis() {
        let server = Server::redis7();
        long(&on_redis(server.url()).await, on_redis_clock).await;
    }
}
