//! An embedded store that was damaged is refused at start, with the mend, and never begun afresh.

mod repair;

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use callgate::{
    engine::{store::Store as _, time::Millis},
    store::embedded::{Durability, Embedded, Options},
};

use crate::{
    embedded::{NOW, NUMBER, RECORDED, aside, clock, open, record, wrote},
    support::tally,
    twins::Dice,
};

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
        (
            "table of contents gone",
            Box::new(|dir, _| fs::remove_file(dir.join("data/keyspaces/1/current")).unwrap()),
        ),
        (
            "the engine's own gone",
            Box::new(|dir, _| fs::remove_file(dir.join("data/keyspaces/0/current")).unwrap()),
        ),
        ("tables gone", Box::new(|dir, _| fs::remove_dir_all(dir.join("data/keyspaces")).unwrap())),
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
        if !["data gone", "tables gone"].contains(&name) {
            let tables = dir.path().join("data/keyspaces/1");
            assert!(tables.exists(), "{name}: a refused start leaves what is left");
        }
    }
}

/// Does something to a store that no gate does. `older` is an earlier copy of it. Says what.
fn harm(dir: &Path, older: &Path, dice: &mut Dice) -> String {
    let all = files(dir);
    let with_content: Vec<&PathBuf> = all.iter().filter(|f| !content(f).is_empty()).collect();
    let file = (*dice.pick(&with_content)).clone();
    let name = file.strip_prefix(dir).unwrap().to_owned();
    let mut bytes = fs::read(&file).unwrap();
    let used = content(&file).len();
    let at = usize::try_from(dice.below(used as u64)).unwrap();
    let block = *dice.pick(&[512, 4096]);
    let stretch = |at: usize| at / block * block..(at / block * block + block).min(used);
    let what = match dice.below(8) {
        0 => {
            bytes[at] ^= 1 << dice.below(8);
            format!("a bit flipped at {at}")
        }
        1 => {
            bytes[at] = bytes[at].wrapping_add(1 + u8::try_from(dice.below(255)).unwrap());
            format!("a byte changed at {at}")
        }
        2 => {
            bytes[stretch(at)].fill(0);
            format!("{block} bytes zeroed around {at}")
        }
        3 => {
            bytes[stretch(at)].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31) ^ 0x5a);
            format!("{block} bytes garbled around {at}")
        }
        4 => {
            let other = usize::try_from(dice.below(used as u64)).unwrap();
            let (one, two) = (stretch(at), stretch(other));
            if one.len() == two.len() && one != two {
                let kept = bytes[one.clone()].to_vec();
                bytes.copy_within(two.clone(), one.start);
                bytes[two].copy_from_slice(&kept);
            }
            format!("blocks of {block} bytes swapped at {at} and {other}")
        }
        5 => {
            bytes.truncate(at);
            format!("cut at {at}")
        }
        6 => {
            fs::remove_file(&file).unwrap();
            return format!("{name:?} removed");
        }
        _ => {
            let old: Vec<PathBuf> = files(older);
            let from = dice.pick(&old).clone();
            let name = from.strip_prefix(older).unwrap();
            fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
            fs::copy(&from, dir.join(name)).unwrap();
            return format!("{name:?} put back from an older copy");
        }
    };
    fs::write(&file, bytes).unwrap();
    format!("{name:?}: {what}")
}

/// Whatever is done to the files: refused, or no harm was done.
async fn damage_at_random(trials: usize, is_over: impl Fn() -> bool) {
    let mut dice = Dice::throw();
    let (whole, older) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    filled(whole.path(), true).await;
    copy(whole.path(), older.path());
    // Journals of an older copy are mostly room, which is slow to copy.
    drop(open(older.path()).unwrap());
    let store = open(whole.path()).unwrap();
    for n in 0..200 {
        let wa = format!("1555{n:07}");
        assert_eq!(record(&store, &wa, "", Millis(NOW.0 + 1), wrote()).await, RECORDED);
    }
    drop(store);
    let expected = open(whole.path()).unwrap().entries().await.unwrap();
    let (mut refused, mut harmless) = (0, 0);
    while refused + harmless < trials && !is_over() {
        let dir = tempfile::tempdir().unwrap();
        copy(whole.path(), dir.path());
        let what = harm(dir.path(), older.path(), &mut dice);
        match open(dir.path()) {
            Err(error) => {
                refused += 1;
                let error = error.to_string();
                assert!(error.contains("backup") && error.contains("repair"), "{what}: {error}");
            }
            Ok(store) => {
                harmless += 1;
                let found = store.entries().await.unwrap();
                assert!(found == expected, "{what}: damage was not noticed");
            }
        }
    }
    assert!(refused > 0 && harmless > 0, "{refused} refused, {harmless} harmless");
    tally::count("damages to a store refused", refused);
    tally::count("damages to a store without harm", harmless);
}

mod slow {
    #[tokio::test]
    async fn any_damage_is_refused_or_harmless() {
        super::damage_at_random(25, || false).await;
    }
}

mod soak {
    use std::time::Instant;

    #[tokio::test]
    #[ignore = "make soak"]
    async fn any_damage_is_refused_or_harmless() {
        let began = Instant::now();
        let is_over = || crate::support::tally::soak() <= began.elapsed();
        super::damage_at_random(usize::MAX, is_over).await;
    }
}
