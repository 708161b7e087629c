//! Which keys a store takes, on both stores: those that it was written under and no others.

use std::{sync::Arc, time::Duration};

use ::redis::cmd;
use callgate::{
    config,
    engine::{
        Error, Result,
        pseudonym::{Fingerprints, Keys},
        store::Store,
        time::WallClock,
    },
    store::{
        LogLimits,
        embedded::{self, Embedded, repair},
        redis::{self, RedisStore, Target},
    },
};

use super::{KEYS, keys};
use crate::servers::Server;

fn fingerprints(lines: &[&str]) -> Fingerprints {
    if lines.is_empty() { Fingerprints::default() } else { keys(lines).fingerprints() }
}

pub async fn on_redis(url: &str, prefix: &str, lines: &[&str]) -> Result<RedisStore> {
    Ok(RedisStore::open(Target::parse(url)?, options(prefix, lines)).await?)
}

fn options(prefix: &str, lines: &[&str]) -> redis::Options {
    let patience = Duration::from_secs(20);
    redis::Options {
        prefix: prefix.to_owned(),
        call_deadline: patience,
        connect_deadline: patience,
        pseudonyms: fingerprints(lines),
        // What is told of the past stays.
        log: LogLimits { age: Duration::from_secs(1000 * 24 * 3600), ..LogLimits::default() },
        ..redis::Options::default()
    }
}

pub fn on_disk(dir: &std::path::Path, lines: &[&str]) -> Result<Embedded> {
    let options =
        embedded::Options { pseudonyms: fingerprints(lines), ..embedded::Options::default() };
    Embedded::open(dir, &options, Arc::new(WallClock::default()))
}

/// What each of these keys is told by a store that was made with each of them.
const SETS: [&[&str]; 5] = [&[], &[KEYS[0]], &[KEYS[1]], &[KEYS[0], KEYS[1]], &[KEYS[1], KEYS[0]]];

fn expected(made: &[&str], mine: &[&str]) -> Option<&'static str> {
    if made == mine {
        None
    } else if made.is_empty() {
        Some("unset privacy.key_file")
    } else if mine.is_empty() {
        Some("set privacy.key_file to the file that has them")
    } else if made.starts_with(mine) {
        Some("put back the lines that are missing")
    } else if mine.starts_with(made) {
        Some("callgate export and callgate import")
    } else {
        Some("give it the file that has them")
    }
}

fn check(made: &[&str], mine: &[&str], opened: Result<Arc<dyn Store>>) {
    match (expected(made, mine), opened) {
        (None, Ok(_)) => {}
        (Some(mend), Err(why)) => {
            let why = why.to_string();
            assert!(why.contains(mend), "{why}");
            assert!(KEYS.iter().all(|key| !why.contains(key)), "{why}");
        }
        (expected, opened) => panic!("{made:?} under {mine:?}: {expected:?}, {opened:?}"),
    }
}

#[tokio::test]
async fn redis_takes_the_keys_that_it_was_made_with() {
    let server = Server::redis7();
    for (n, made) in SETS.into_iter().enumerate() {
        let prefix = format!("s{n}");
        drop(on_redis(server.url(), &prefix, made).await.unwrap());
        for mine in SETS {
            let opened = on_redis(server.url(), &prefix, mine).await;
            check(made, mine, opened.map(|store| Arc::new(store) as Arc<dyn Store>));
        }
        // A callgate of before looks at the version alone, which is 1.
        let mut client = server.client();
        let meta = format!("{prefix}:meta");
        let version: String = cmd("HGET").arg(&meta).arg("schema").query(&mut client).unwrap();
        assert_eq!(version, if made.is_empty() { "1" } else { "1001" });
        let fields: usize = cmd("HLEN").arg(&meta).query(&mut client).unwrap();
        assert_eq!(fields, if made.is_empty() { 3 } else { 4 }, "of no keys nothing is kept");
    }
}

#[tokio::test]
async fn a_directory_takes_the_keys_that_it_was_made_with() {
    for made in SETS {
        let dir = tempfile::tempdir().unwrap();
        drop(on_disk(dir.path(), made).unwrap());
        for mine in SETS {
            let opened = on_disk(dir.path(), mine);
            check(made, mine, opened.map(|store| Arc::new(store) as Arc<dyn Store>));
        }
    }
}

/// Of two gates with different keys that find a store empty at once, one has it.
#[tokio::test]
async fn an_empty_store_is_taken_once() {
    let server = Server::redis7();
    for n in 0..10 {
        let prefix = format!("race{n}");
        let gates = [0, 1, 2].map(|key| on_redis(server.url(), &prefix, &KEYS[key..=key]));
        let [a, b, c] = gates;
        let (a, b, c) = tokio::join!(a, b, c);
        assert_eq!([a, b, c].iter().filter(|opened| opened.is_ok()).count(), 1);
    }
}

/// While it runs as well: after a failover, or a restart without its data, it may be another store.
#[tokio::test]
async fn a_gate_that_meets_a_store_of_other_keys_answers_nothing() {
    let server = Server::redis7();
    let store = on_redis(server.url(), "s", &KEYS[..1]).await.unwrap();
    store.now().await.unwrap();
    let mut client = server.client();
    cmd("FLUSHALL").query::<()>(&mut client).unwrap();
    drop(on_redis(server.url(), "s", &KEYS[1..2]).await.unwrap());
    refuses(&store, "has others").await;
}

/// It looks every second; until then it goes on as in a store that was emptied.
async fn refuses(store: &RedisStore, mend: &str) {
    let mut last = None;
    let refused = async {
        loop {
            match store.now().await {
                Err(error) if error.to_string().contains(mend) => return,
                answer => last = Some(answer),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(30), refused).await;
    assert!(waited.is_ok(), "it goes on, though \"{mend}\": {last:?}");
}

/// `callgate import` keeps the key of the tombstones: nothing else tells that all was emptied and came
/// back under other keys, between two looks.
#[tokio::test]
async fn nor_does_one_whose_store_was_moved_to_other_keys_under_it() {
    let server = Server::redis7();
    for (n, (made, moved)) in [
        (&[][..], &KEYS[..1]),
        (&KEYS[..1], &KEYS[..2]),
        (&KEYS[..2], &KEYS[..1]),
        (&KEYS[..1], &[][..]),
    ]
    .into_iter()
    .enumerate()
    {
        let [here, there] = [format!("s{n}"), format!("moved{n}")];
        let store = on_redis(server.url(), &here, made).await.unwrap();
        let secret = Some(store.secret().unwrap());
        let imported = redis::Options { secret, ..options(&there, moved) };
        drop(RedisStore::open(Target::parse(server.url()).unwrap(), imported).await.unwrap());
        let [here, there] = [here, there].map(|prefix| format!("{prefix}:meta"));
        cmd("RENAME").arg(there).arg(here).query::<()>(&mut server.client()).unwrap();
        refuses(&store, expected(moved, made).unwrap()).await;
    }
}

/// Tools that open a store by themselves say the same.
#[test]
fn a_directory_of_other_keys_is_not_taken_for_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("store");
    drop(on_disk(&dir, &KEYS[..1]).unwrap());
    assert_eq!(repair::damage(&dir, &fingerprints(&KEYS[..1])).unwrap(), None);
    for lines in [&[][..], &KEYS[1..2]] {
        for refused in [
            repair::damage(&dir, &fingerprints(lines)).map(drop),
            repair::examine(&dir, &fingerprints(lines)).map(drop),
        ] {
            let Err(Error::Invalid { field, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!(field, "privacy.key_file");
        }
        let found = embedded::doctor::examine(&dir, &fingerprints(lines));
        assert!(found.iter().any(|finding| finding.mend.contains("the key file")), "{found:?}");
    }
}

#[test]
fn a_bad_key_file_is_told_with_its_place_and_without_its_keys() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let load = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        let name = file.path().display().to_string();
        let env = [("CALLGATE_PRIVACY_KEY_FILE".to_owned(), name)].into();
        config::load(&config::Inputs { env, ..config::Inputs::default() })
    };
    let short = format!("{}\n{}\n", KEYS[0], &KEYS[1][..31]);
    let refused = load(&short).unwrap_err().to_string();
    assert!(refused.contains("CALLGATE_PRIVACY_KEY_FILE: privacy.key_file ="), "{refused}");
    assert!(refused.contains("line 2 is shorter than 32") && !refused.contains(&KEYS[1][..31]));
    let good = load(&KEYS.join("\n")).unwrap();
    assert_eq!(good.config.privacy.keys, Some(keys(&KEYS)));
    let shown = config::show::show(&good) + &format!("{:?}", good.config);
    assert!(shown.contains("[privacy]") && KEYS.iter().all(|key| !shown.contains(key)));
    // A change of the keys waits for a restart.
    let mut next = load(&KEYS[..2].join("\n")).unwrap().config;
    assert_eq!(next.keep_what_runs(&good.config), ["privacy.key_file"]);
    assert_eq!(next.privacy, good.config.privacy);
}

#[test]
fn keys_are_shown_nowhere() {
    let shown = format!("{:?}", keys(&KEYS));
    assert_eq!(shown, "Keys(3)");
    let of = |keys: &Keys| keys.fingerprints().to_string();
    assert!(KEYS.iter().all(|key| !of(&keys(&KEYS)).contains(&key[..16])));
}
