//! The reference model: an independent referee of the law. It keeps the whole history of a business
//! number as a list and works every answer out from it by the words of the rules, in plain Rust; random
//! histories are played to it and to the hosts that judge, and whatever they answer must be the same.

mod author;
mod consent;
mod facts;
mod judge;
mod play;
mod quotas;
mod referee;
mod write;

pub use author::{ALONE, FORGETTING, Scope, TWO};
use author::{Author, Used};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callgate::{
    engine::{profile::Profile, store::TOMBSTONE_AGE_MAX, time::ManualClock},
    rulebook::DEFINITIONS,
    store::{
        embedded::{self, Embedded},
        redis,
    },
};
use futures_util::FutureExt as _;
use play::{Deed, Difference, Game};

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

/// Where a random history went wrong.
struct Failed {
    profile: Profile,
    deeds: Vec<Deed>,
    difference: Difference,
}

fn game<'a>(host: &'a dyn Host, profile: &Profile, scope: Scope) -> Game<'a> {
    let mut game = Game::new(host, profile.clone());
    game.referee.remembers_erasures_for = scope.remembers_erasures_for;
    game.counts_revisions = scope.ids.len() == 1;
    game
}

/// Plays one random history, up to the first difference.
async fn one(host: &dyn Host, dice: &mut Dice, scope: Scope, count: usize) -> Result<(), Failed> {
    let profile = author::profile(dice);
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

async fn replay(
    host: &dyn Host,
    profile: &Profile,
    scope: Scope,
    deeds: &[Deed],
) -> Option<(usize, Difference)> {
    let mut game = game(host, profile, scope);
    let mut used = Used::default();
    if !deeds.iter().all(|deed| used.is_proper(deed, quotas::horizon(profile))) {
        return None;
    }
    for (n, deed) in deeds.iter().enumerate() {
        if let Err(difference) = game.play(deed).await {
            return Some((n, difference));
        }
    }
    None
}

/// Leaves out whatever can be left out, and tells the rest as a story.
async fn shortest(host: &dyn Host, scope: Scope, failed: Failed) -> String {
    let Failed { profile, mut deeds, mut difference } = failed;
    let profile = &profile;
    let mut is_shorter = true;
    while is_shorter {
        is_shorter = false;
        for n in (0..deeds.len()).rev() {
            let mut fewer = deeds.clone();
            fewer.remove(n);
            if let Some((last, other)) = replay(host, profile, scope, &fewer).await {
                fewer.truncate(last + 1);
                (deeds, difference, is_shorter) = (fewer, other, true);
                break;
            }
        }
        for n in 0..deeds.len() {
            for simpler in write::simpler(&deeds[n]) {
                let mut fewer = deeds.clone();
                fewer[n] = simpler;
                if let Some((last, other)) = replay(host, profile, scope, &fewer).await {
                    fewer.truncate(last + 1);
                    (deeds, difference, is_shorter) = (fewer, other, true);
                    break;
                }
            }
            if n + 1 >= deeds.len() {
                break;
            }
        }
    }
    told(host, profile, &deeds, &difference)
}

fn told(host: &dyn Host, profile: &Profile, deeds: &[Deed], difference: &Difference) -> String {
    format!("on {}:\n{}\n{}", host.name(), write::story(profile, deeds), difference)
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

/// Broken in one word each: a rulebook that judges otherwise, one that fails, and one that never ends.
#[test]
fn a_broken_rulebook_is_found_out() {
    let right = "ending < grant.second";
    let wrong =
        ["ending <= grant.second", "error('broken')", "(function() while true do end end)()"];
    assert_eq!(DEFINITIONS.matches(right).count(), 1, "{right}");
    for wrong in wrong {
        let vm = broken_vm(&DEFINITIONS.replace(right, wrong)).expect("it loads");
        let checked = check(&Bare::of(vm), 1, 2000, FORGETTING);
        assert!(checked.is_err(), "{wrong} is not noticed");
    }
    assert_eq!(check(&Bare::new(), 1, 2000, FORGETTING), Ok(()));
}

#[test]
fn a_history_can_be_told_as_a_story() {
    let mut dice = Dice::throw();
    for _ in 0..50 {
        let profile = author::profile(&mut dice);
        let mut author = Author::new(&mut dice, TWO);
        let nothing = referee::Referee::new(profile.clone());
        let deeds: Vec<Deed> = (0..40).map(|_| author.next(&nothing)).collect();
        let text = write::story(&profile, &deeds);
        let stories = story::parse("x.story", &text, START);
        assert_eq!(stories.map(|stories| stories[0].rows.len()), Ok(deeds.len()), "{text}");
    }
}

/// A test that is short enough for a busy machine plays a part of all; each begins from a seed of its
/// own.
macro_rules! on_the_bare_rulebook {
    ($($name:ident: $scope:expr,)*) => {
        $(#[tokio::test]
        async fn $name() {
            compare(&Bare::new(), $scope, 25_500).await;
        })*
    };
}

on_the_bare_rulebook! {
    one_customer_under_one_id_first_part: FORGETTING,
    one_customer_under_one_id_second_part: FORGETTING,
    one_customer_under_one_id_third_part: FORGETTING,
    one_customer_under_one_id_fourth_part: FORGETTING,
    one_customer_under_two_ids_first_part: TWO,
    one_customer_under_two_ids_second_part: TWO,
    one_customer_under_one_id_fifth_part: FORGETTING,
    one_customer_under_one_id_sixth_part: FORGETTING,
}

/// A store whose clock is moved by hand.
async fn embedded(store: Embedded, clock: Arc<ManualClock>) -> Stored {
    Stored::new(Arc::new(store), Some(clock)).await
}

/// As a store keeps a tombstone.
const fn stored(scope: Scope) -> Scope {
    Scope { remembers_erasures_for: TOMBSTONE_AGE_MAX, ..scope }
}

#[tokio::test]
async fn one_customer_in_memory() {
    let clock = Arc::new(ManualClock::at(START));
    let host = embedded(Embedded::memory(clock.clone()).unwrap(), clock).await;
    compare(&host, stored(FORGETTING), 10_000).await;
    compare(&host, stored(TWO), 10_000).await;
}

#[tokio::test]
async fn one_customer_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let options = embedded::Options::default();
    let store = Embedded::open(folder.path(), &options, clock.clone()).unwrap();
    compare(&embedded(store, clock).await, stored(TWO), 800).await;
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
const TWO_ON_REDIS: Scope = Scope { forgets: false, ..TWO };

mod slow {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn one_customer_on_redis() {
        let server = Server::redis7();
        let host = on_redis(server.url()).await;
        compare(&host, ALONE, 10_000).await;
        compare(&host, TWO_ON_REDIS, 10_000).await;
    }
}

mod soak {
    use super::*;

    /// Until the time is over, on the bare rulebook and in memory.
    async fn long(host: &dyn Host, scope: Scope) {
        let end = Instant::now() + tally::soak() / 2;
        while Instant::now() < end {
            compare(host, scope, 2000).await;
        }
    }

    #[tokio::test]
    #[ignore = "make soak"]
    async fn random_histories_on_the_bare_rulebook() {
        let host = Bare::new();
        long(&host, FORGETTING).await;
        long(&host, TWO).await;
    }

    #[tokio::test]
    #[ignore = "make soak"]
    async fn random_histories_in_memory() {
        let clock = Arc::new(ManualClock::at(START));
        let host = embedded(Embedded::memory(clock.clone()).unwrap(), clock).await;
        long(&host, stored(FORGETTING)).await;
        long(&host, stored(TWO)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "make soak"]
    async fn random_histories_on_redis() {
        let server = Server::redis7();
        let host = on_redis(server.url()).await;
        long(&host, ALONE).await;
        long(&host, TWO_ON_REDIS).await;
    }
}
