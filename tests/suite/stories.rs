//! Rule stories: the law as text tables (`tests/stories/*.story`), run on every host that judges.
//! How a story is written stands in `tests/stories/README.md`.
//!
//! `STORIES=window cargo nextest run stories` runs only the files whose name contains "window".

pub(crate) mod bare;
mod command;
mod expect;
pub(crate) mod host;
pub(crate) mod moment;
pub(crate) mod profile;
pub(crate) mod run;
pub(crate) mod story;
mod told;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use callgate::{
    engine::{
        store::Store as _,
        time::{ManualClock, Millis},
    },
    store::{embedded, redis},
};

use crate::{pseudonyms, servers::Server};

pub(crate) use story::Story;

/// 2026-11-16T12:00:00Z: where stories start, unless a host has a clock of its own.
pub(crate) const START: Millis = Millis(1_794_830_400_000);

/// Where the stories are.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stories")
}

/// Every story file and what it says, by name.
pub(crate) fn files() -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder()).expect("tests/stories is part of the repository");
    entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "story"))
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("a readable story"))
        })
        .collect()
}

/// Reads stories from a text.
pub(crate) fn parse(file: &str, text: &str, start: Millis) -> Result<Vec<Story>, Vec<String>> {
    story::parse(file, text, start)
}

/// All stories, or those of the files that `STORIES` names.
///
/// # Panics
/// With every line that cannot be read.
pub(crate) fn stories(start: Millis) -> Vec<Story> {
    let wanted = std::env::var("STORIES").unwrap_or_default();
    let mut stories = Vec::new();
    let mut problems = Vec::new();
    for (name, text) in files() {
        if name.contains(&wanted) {
            match story::parse(&name, &text, start) {
                Ok(mut parsed) => stories.append(&mut parsed),
                Err(mut errors) => problems.append(&mut errors),
            }
        }
    }
    assert!(problems.is_empty(), "stories that cannot be read:\n{}", problems.join("\n"));
    stories
}

#[test]
fn every_story_can_be_read() {
    assert!(!stories(START).is_empty());
}

#[tokio::test]
async fn stories_on_the_bare_rulebook() {
    run::run_all(&bare::Bare::new(), &stories(START), START).await;
}

#[tokio::test]
async fn stories_in_memory() {
    let clock = Arc::new(ManualClock::at(START));
    let store = Arc::new(embedded::Embedded::memory(clock.clone()).unwrap());
    let host = host::Stored::new(store, Some(clock)).await;
    run::run_all(&host, &stories(START), START).await;
}

/// Under pseudonyms, which decide as ids do.
#[tokio::test]
async fn stories_under_pseudonyms() {
    let clock = Arc::new(ManualClock::at(START));
    let store = pseudonyms::memory(clock.clone(), pseudonyms::keys(&pseudonyms::KEYS));
    let host = host::Stored::new(store, Some(clock)).await;
    let mut stories = stories(START);
    for row in stories.iter_mut().flat_map(|story| &mut story.rows) {
        // Ids that were not asked for are not known.
        row.expects.retain(|expect| expect.key != "wa" && expect.key != "user");
    }
    run::run_all(&host, &stories, START).await;
}

#[tokio::test]
async fn stories_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let store =
        embedded::Embedded::open(folder.path(), &embedded::Options::default(), clock.clone())
            .unwrap();
    let host = host::Stored::new(Arc::new(store), Some(clock)).await;
    run::run_all(&host, &stories(START), START).await;
}

/// Redis has a clock of its own and expires keys by it, so there stories start today. Those that
/// move the clock are left out; what is erased in Redis is in the conformance tests.
#[tokio::test(flavor = "multi_thread")]
async fn stories_on_redis() {
    let server = Server::redis7();
    let options = redis::Options {
        call_deadline: Duration::from_secs(20),
        connect_deadline: Duration::from_secs(20),
        ..redis::Options::default()
    };
    let target = redis::Target::parse(server.url()).unwrap();
    let store = redis::RedisStore::open(target, options).await.unwrap();
    let now = store.now().await.unwrap();
    let start = Millis(now.0 - now.0 % 1000);
    let host = host::Stored::new(Arc::new(store), None).await;
    run::run_all(&host, &stories(start), start).await;
}
