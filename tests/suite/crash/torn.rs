//! The last write, which nobody was told of, is torn at every kind of place.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use callgate::{engine::store::Store as _, store::embedded::Embedded};

use crate::{
    embedded::{NOW, NUMBER, RECORDED, number, open, record, wrote},
    support::tally,
    twins::Dice,
};

const ACKNOWLEDGED: usize = 20;

fn wa(n: usize) -> String {
    format!("1555{n:07}")
}

fn journal(dir: &Path) -> PathBuf {
    let found = fs::read_dir(dir.join("data")).unwrap().map(|entry| entry.unwrap().path());
    found.filter(|path| path.extension().is_some_and(|e| e == "jnl")).max().unwrap()
}

fn content(file: &Path) -> Vec<u8> {
    let mut bytes = fs::read(file).unwrap();
    let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(used);
    bytes
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// A store as it is when its process dies in the midst of its last write: the seal knows of
/// [`ACKNOWLEDGED`], and behind them stands one commit more. Returns where that begins and its bytes.
async fn died_writing(dir: &Path) -> (usize, Vec<u8>) {
    let store = open(dir).unwrap();
    for n in 0..ACKNOWLEDGED {
        assert_eq!(record(&store, &wa(n), "", NOW, wrote()).await, RECORDED);
    }
    drop(store);
    // The engine cuts the room off.
    drop(open(dir).unwrap());
    let begins = content(&journal(dir)).len();
    let seal = fs::read(dir.join("callgate.seal")).unwrap();
    let store = open(dir).unwrap();
    assert_eq!(record(&store, &wa(ACKNOWLEDGED), "", NOW, wrote()).await, RECORDED);
    drop(store);
    fs::write(dir.join("callgate.seal"), seal).unwrap();
    let bytes = content(&journal(dir));
    assert!(begins + 100 < bytes.len());
    (begins, bytes)
}

async fn has(store: &Embedded, n: usize) -> bool {
    let customer = callgate::engine::pair::Customer::parse(&wa(n), "", "").unwrap();
    store.raw(&number(NUMBER), &customer).await.unwrap().0.is_some()
}

/// Opens, and returns what was logged.
fn open_and_listen(dir: &Path) -> (Embedded, String) {
    let told = Told::default();
    let lines = told.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || lines.clone())
        .finish();
    let store = tracing::subscriber::with_default(subscriber, || open(dir)).unwrap();
    let text = String::from_utf8(told.0.lock().unwrap().clone()).unwrap();
    (store, text)
}

#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Told {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_torn_end_that_nobody_was_told_of_is_cut_and_told() {
    let mut dice = Dice::throw();
    let whole = tempfile::tempdir().unwrap();
    let (begins, bytes) = died_writing(whole.path()).await;
    let length = bytes.len() - begins;
    let mut torn = 0;
    // At every place near both ends, and at some between.
    let mut places: Vec<usize> = (0..12).chain(length - 12..=length).collect();
    places.extend((0..16).map(|_| usize::try_from(dice.below(length as u64)).unwrap()));
    for place in places {
        for harm in ["cut", "zeros", "garbled", "garbage behind"] {
            let dir = tempfile::tempdir().unwrap();
            copy(whole.path(), dir.path());
            let mut tail = bytes[begins..].to_vec();
            match harm {
                "cut" => tail.truncate(place),
                "zeros" => tail[place.min(length)..].fill(0),
                "garbled" if place < length => tail[place] ^= 0x5a,
                "garbled" => continue,
                _ => tail.extend((0..=place).map(|n| u8::try_from(n % 250).unwrap() + 1)),
            }
            let file = OpenOptions::new().write(true).open(journal(dir.path())).unwrap();
            file.set_len(begins as u64).unwrap();
            file.write_all_at(&tail, begins as u64).unwrap();
            drop(file);
            let (store, told) = open_and_listen(dir.path());
            for n in 0..ACKNOWLEDGED {
                assert!(has(&store, n).await, "{harm} at {place} of {length}: {n} is lost");
            }
            let is_whole = has(&store, ACKNOWLEDGED).await;
            // Its sequence number may have grown; it is the newest all the same.
            let is_in_frame = place < 13;
            assert!(harm != "garbled" || !is_whole || is_in_frame, "garbled at {place}, and whole");
            let is_left = tail.iter().any(|byte| *byte != 0);
            let is_torn = is_left && (!is_whole || harm == "garbage behind");
            assert_eq!(told.contains("torn by a crash"), is_torn, "{harm} at {place}: {told:?}");
            // It goes on as ever.
            assert_eq!(record(&store, &wa(99), "", NOW, wrote()).await, RECORDED);
            drop(store);
            let store = open(dir.path()).unwrap();
            assert!(has(&store, 99).await && has(&store, 0).await, "{harm} at {place}");
            torn += 1;
        }
    }
    tally::count("torn ends of a journal", torn);
}

/// The engine's checksums cover items, not the frame around them.
#[tokio::test]
async fn no_bit_of_a_commit_can_be_changed_unnoticed() {
    let whole = tempfile::tempdir().unwrap();
    let store = open(whole.path()).unwrap();
    // Each overwrites what the one before wrote.
    for n in 0..6 {
        let at = callgate::engine::time::Millis(NOW.0 + n);
        assert_eq!(record(&store, &wa(0), "", at, wrote()).await, RECORDED);
    }
    drop(store);
    drop(open(whole.path()).unwrap());
    let expected = open(whole.path()).unwrap().entries().await.unwrap();
    let bytes = content(&journal(whole.path()));
    let mut dice = Dice::throw();
    let (mut refused, turns) = (0, 120);
    for _ in 0..turns {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        let at = bytes.len() - 1 - usize::try_from(dice.below(1500)).unwrap();
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << dice.below(8);
        fs::write(journal(dir.path()), bytes).unwrap();
        match open(dir.path()) {
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("repair"), "at {at}: {error}");
            }
            Ok(store) => {
                let found = store.entries().await.unwrap();
                assert!(found == expected, "a bit at {at} was changed and not noticed");
            }
        }
    }
    assert!(refused > turns / 2);
    tally::count("damages to a store refused", refused);
}

/// Where each batch of a journal ends.
fn batch_ends(bytes: &[u8]) -> Vec<usize> {
    let marks = bytes.windows(4).enumerate().filter(|(_, bytes)| bytes == b"FJL\x03");
    marks.map(|(at, _)| at + 4).collect()
}

/// The numbers of order grow over all journals. Where one is changed at the border of two, the engine
/// would show an older value in place of the newest.
#[tokio::test]
async fn the_order_is_compared_over_the_border_of_two_journals() {
    let whole = tempfile::tempdir().unwrap();
    let store = open(whole.path()).unwrap();
    for n in 0..6 {
        let at = callgate::engine::time::Millis(NOW.0 + n);
        assert_eq!(record(&store, &wa(0), "", at, wrote()).await, RECORDED);
    }
    drop(store);
    drop(open(whole.path()).unwrap());
    let expected = open(whole.path()).unwrap().entries().await.unwrap();
    let bytes = content(&journal(whole.path()));
    let ends = batch_ends(&bytes);
    let (border, last) = (ends[ends.len() - 3], ends[ends.len() - 4]);
    let number = |at: usize| u64::from_le_bytes(bytes[at + 5..at + 13].try_into().unwrap());
    let newest = number(ends[ends.len() - 2]);
    // What is changed, to what, and whether that is damage.
    let cases = [
        (last, number(last), false),
        (last, number(border) - 1, false),
        (last, number(border), true),
        (last, newest + 1, true),
        (last, newest + (1 << 40), true),
        (border, number(border) + 1, true),
        (border, number(last) + 1, false),
        (border, number(last), true),
        (border, 1, true),
    ];
    for (at, to, is_damage) in cases {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        let mut bytes = bytes.clone();
        bytes[at + 5..at + 13].copy_from_slice(&to.to_le_bytes());
        let older = journal(dir.path());
        let stem: u64 = older.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        fs::write(&older, &bytes[..border]).unwrap();
        fs::write(older.with_file_name(format!("{}.jnl", stem + 1)), &bytes[border..]).unwrap();
        match open(dir.path()) {
            Err(error) => assert!(is_damage, "{at} to {to}: {error}"),
            Ok(store) => {
                assert!(!is_damage, "{at} to {to} was not noticed");
                assert!(store.entries().await.unwrap() == expected, "{at} to {to}");
            }
        }
    }
}

/// After a loss of power the seal may be a second old: commits behind its own are whole, and answered.
#[tokio::test]
async fn only_what_is_torn_is_cut_behind_an_old_seal_and_it_is_kept() {
    let whole = tempfile::tempdir().unwrap();
    let (begins, _) = died_writing(whole.path()).await;
    let seal = fs::read(whole.path().join("callgate.seal")).unwrap();
    let store = open(whole.path()).unwrap();
    for n in ACKNOWLEDGED + 1..ACKNOWLEDGED + 6 {
        assert_eq!(record(&store, &wa(n), "", NOW, wrote()).await, RECORDED);
    }
    drop(store);
    fs::write(whole.path().join("callgate.seal"), seal).unwrap();
    let bytes = content(&journal(whole.path()));
    let ends: Vec<usize> = batch_ends(&bytes).into_iter().filter(|end| begins < *end).collect();
    assert_eq!(ends.len(), 6);
    for torn in 0..6_usize {
        let start = torn.checked_sub(1).map_or(begins, |before| ends[before]);
        // In a value; in the engine's checksum, which we cannot compute; in the form.
        for at in [start + 100, ends[torn] - 8, start] {
            let dir = tempfile::tempdir().unwrap();
            copy(whole.path(), dir.path());
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x5a;
            fs::write(journal(dir.path()), &bytes).unwrap();
            let (store, told) = open_and_listen(dir.path());
            for n in 0..ACKNOWLEDGED + 6 {
                let is_expected = n < ACKNOWLEDGED + torn;
                assert_eq!(has(&store, n).await, is_expected, "{torn} torn at {at}: {n}");
            }
            drop(store);
            assert!(told.contains("torn by a crash"), "{told}");
            let mut kept = Vec::new();
            for entry in fs::read_dir(dir.path()).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if let Some(name) = name.strip_prefix("torn-") {
                    assert!(told.contains(name), "{told}");
                    let begins: usize = name.split('-').nth(1).unwrap().parse().unwrap();
                    kept.push((begins, fs::read(path).unwrap()));
                }
            }
            kept.sort();
            let kept: Vec<u8> = kept.into_iter().flat_map(|(_, bytes)| bytes).collect();
            assert!(kept == bytes[start..], "{torn} torn at {at}: {} bytes kept", kept.len());
        }
    }
}
