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

use author::{Author, Scope, Used};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callgate::{
    engine::{profile::Profile, store::TOMBSTONE_AGE_MAX, time::ManualClock},
    store::{
        embedded::{self, Embedded},
        redis,
    },
};
use play::{Deed, Difference, Game};

use crate::{
    servers::Server,
    stories::{
        START,
        bare::Bare,
        run::{Host, Stored},
        story,
    },
    support::tally,
    twins::Dice,
};

/// Plays one random history; the seed says which. Where it goes wrong, it is made as short as it gets
/// and told as a story.
async fn one(host: &dyn Host, dice: &mut Dice, scope: Scope, count: usize) -> Result<(), String> {
    let profile = author::profile(dice);
    let mut game = Game::new(host, profile.clone());
    game.referee.remembers_erasures_for = scope.remembers_erasures_for;
    game.counts_revisions = scope.ids.len() == 1;
    let mut author = Author::new(dice, scope);
    let mut deeds = Vec::new();
    for _ in 0..count {
        let deed = author.next(&game.referee);
        deeds.push(deed.clone());
        if let Err(difference) = game.play(&deed).await {
            return Err(shortest(host, &profile, scope, deeds, difference).await);
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
    let mut game = Game::new(host, profile.clone());
    game.referee.remembers_erasures_for = scope.remembers_erasures_for;
    game.counts_revisions = scope.ids.len() == 1;
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

/// Leaves out whatever can be left out.
async fn shortest(
    host: &dyn Host,
    profile: &Profile,
    scope: Scope,
    mut deeds: Vec<Deed>,
    mut difference: Difference,
) -> String {
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
    format!("on {}:\n{}\n{}", host.name(), write::story(profile, &deeds), difference)
}

/// Plays that many random commands on this host. For whoever changes the law, to see whether it is
/// noticed.
///
/// # Errors
/// The first difference, as a story.
pub async fn check(
    host: &dyn Host,
    seed: u64,
    commands: usize,
    scope: Scope,
) -> Result<(), String> {
    const LENGTH: usize = 40;
    let mut dice = Dice(seed);
    let mut differences = Vec::new();
    for _ in 0..commands.div_ceil(LENGTH) {
        differences.extend(one(host, &mut dice, scope, LENGTH).await.err());
        if differences.len() == DIFFERENCES {
            break;
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
}

/// How many histories that went wrong are told at once.
const DIFFERENCES: usize = 5;

async fn compare(host: &dyn Host, scope: Scope, commands: usize) {
    let seed = Dice::throw().0;
    let checked = check(host, seed, commands, scope).await;
    assert!(checked.is_ok(), "{}", checked.unwrap_err());
    tally::count(&format!("commands compared with the model: {}", host.name()), commands);
}

#[test]
fn a_history_can_be_told_as_a_story() {
    let mut dice = Dice::throw();
    for _ in 0..50 {
        let profile = author::profile(&mut dice);
        let mut author = Author::new(&mut dice, author::TWO);
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
    one_customer_under_one_id_first_part: author::FORGETTING,
    one_customer_under_one_id_second_part: author::FORGETTING,
    one_customer_under_one_id_third_part: author::FORGETTING,
    one_customer_under_one_id_fourth_part: author::FORGETTING,
    one_customer_under_two_ids_first_part: author::TWO,
    one_customer_under_two_ids_second_part: author::TWO,
    one_customer_under_one_id_fifth_part: author::FORGETTING,
    one_customer_under_one_id_sixth_part: author::FORGETTING,
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
    compare(&host, stored(author::FORGETTING), 10_000).await;
    compare(&host, stored(author::TWO), 10_000).await;
}

#[tokio::test]
async fn one_customer_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let options = embedded::Options::default();
    let store = Embedded::open(folder.path(), &options, clock.clone()).unwrap();
    compare(&embedded(store, clock).await, stored(author::TWO), 800).await;
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
const TWO_ON_REDIS: Scope = Scope { forgets: false, ..author::TWO };

mod slow {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn one_customer_on_redis() {
        let server = Server::redis7();
        let host = on_redis(server.url()).await;
        compare(&host, author::ALONE, 10_000).await;
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
        long(&host, author::FORGETTING).await;
        long(&host, author::TWO).await;
    }

    #[tokio::test]
    #[ignore = "make soak"]
    async fn random_histories_in_memory() {
        let clock = Arc::new(ManualClock::at(START));
        let host = embedded(Embedded::memory(clock.clone()).unwrap(), clock).await;
        long(&host, stored(author::FORGETTING)).await;
        long(&host, stored(author::TWO)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "make soak"]
    async fn random_histories_on_redis() {
        let server = Server::redis7();
        let host = on_redis(server.url()).await;
        long(&host, author::ALONE).await;
        long(&host, TWO_ON_REDIS).await;
    }
}
