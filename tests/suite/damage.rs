//! An embedded store that was damaged is refused at start, with the mend, and never begun afresh.

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use callgate::{
    engine::store::Store as _,
    store::embedded::{Durability, Embedded, Options},
};

use crate::embedded::{NOW, NUMBER, RECORDED, aside, clock, open, record, wrote};

/// A closed store with 300 pairs in its journal and, if asked, 20 MB in tables.
async fn filled(dir: &Path, with_tables: bool) {
    let options = Options { durability: Durability::Os, ..Options::default() };
    let store = Embedded::open(dir, &options, clock()).unwrap();
    if with_tables {
        for n in 0..320 {
            let change = format!("{n}").repeat(64 * 1024 / format!("{n}").len());
            store.quarantine(aside(&format!("q{n:03}"), NUMBER, NOW, &change)).await.unwrap();
        }
    }
    for n in 0..300 {
        let wa = format!("1555{n:07}");
        assert_eq!(record(&store, &wa, "", NOW, wrote()).await, RECORDED);
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

fn flip(file: &Path, at: u64) {
    let mut file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut bytes = [0; 8];
    file.seek(SeekFrom::Start(at)).unwrap();
    let length = file.read(&mut bytes).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&bytes[..length]).unwrap();
}

/// Where a file has content; a journal is mostly room.
fn content(file: &Path) -> Vec<u64> {
    let bytes = fs::read(file).unwrap();
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    (0..used as u64).collect()
}

#[tokio::test]
async fn damage_anywhere_is_refused_or_harmless() {
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path(), true).await;
    // Recovery moves a part of the journals into tables.
    let expected = open(whole.path()).unwrap().entries().await.unwrap();
    let tables =
        files(whole.path()).iter().filter(|f| f.to_string_lossy().contains("tables")).count();
    assert!(tables > 0, "nothing was flushed to a table: {:?}", files(whole.path()));

    let mut refused = 0;
    for file in files(whole.path()) {
        let places = content(&file);
        for part in 0..6 {
            let Some(&at) = places.get(places.len() * part / 6) else { continue };
            let dir = tempfile::tempdir().unwrap();
            copy(whole.path(), dir.path());
            flip(&dir.path().join(file.strip_prefix(whole.path()).unwrap()), at);
            match open(dir.path()) {
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains("backup"), "{file:?} at {at}: {error}");
                }
                Ok(store) => {
                    let found = store.entries().await.unwrap();
                    assert!(found == expected, "{file:?} at {at}: damage was not noticed");
                }
            }
        }
    }
    assert!(refused >= 12, "only {refused} refused");
}

#[tokio::test]
async fn a_store_that_lacks_a_part_is_refused_and_not_begun_afresh() {
    let whole = tempfile::tempdir().unwrap();
    filled(whole.path(), false).await;
    let journal =
        files(whole.path()).into_iter().find(|f| f.extension().is_some_and(|e| e == "jnl"));
    let journal = journal.unwrap();
    let used = *content(&journal).last().unwrap();
    let cut = |to: u64| {
        move |dir: &Path, journal: &Path| {
            let file = OpenOptions::new().write(true).open(dir.join(journal)).unwrap();
            file.set_len(to).unwrap();
        }
    };
    type Harm = Box<dyn Fn(&Path, &Path)>;
    let harms: Vec<(&str, Harm)> = vec![
        ("journal cut by one byte", Box::new(cut(used))),
        ("journal cut in half", Box::new(cut(used / 2))),
        ("journal emptied", Box::new(cut(0))),
        ("journal gone", Box::new(|dir, journal| fs::remove_file(dir.join(journal)).unwrap())),
        ("data gone", Box::new(|dir, _| fs::remove_dir_all(dir.join("data")).unwrap())),
        ("seal gone", Box::new(|dir, _| fs::remove_file(dir.join("callgate.seal")).unwrap())),
        ("seal emptied", Box::new(|dir, _| fs::write(dir.join("callgate.seal"), "").unwrap())),
        ("wrong magic", Box::new(|dir, _| flip(&dir.join("callgate.seal"), 0))),
        ("wrong engine version", Box::new(|dir, _| flip(&dir.join("data/version"), 0))),
    ];
    for (name, harm) in harms {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        harm(dir.path(), journal.strip_prefix(whole.path()).unwrap());
        for attempt in ["first", "second"] {
            let refusal = match open(dir.path()) {
                Err(error) => error.to_string(),
                Ok(_) => panic!("{name}, {attempt} start: it started"),
            };
            assert!(refusal.contains("damaged") && refusal.contains("backup"), "{name}: {refusal}");
        }
    }
}
