//! Looks at an embedded store without changing it.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access, statvfs};

use super::{open, repair, seal};
use crate::{
    engine::{Error, pseudonym::Fingerprints},
    store::finding::{Finding, KEYS_MEND, bytes},
};

/// Less room is little.
const ROOM_LOW: u64 = 1 << 30;
/// With less the next table may not fit.
const ROOM_MIN: u64 = 128 << 20;

/// What is found in `dir`.
pub fn examine(dir: &Path, pseudonyms: &Fingerprints) -> Vec<Finding> {
    let mut found = vec![writable(dir)];
    let room = room(dir);
    found.push(room_of(dir, room));
    if !dir.join("data").is_dir() {
        found.push(Finding::ok("store data", "there is none yet: the first gate makes it"));
        return found;
    }
    if is_in_use(dir) {
        found.push(Finding::ok("store in use", "a running gate has it open"));
        found.push(Finding::ok(
            "store data",
            "that gate has read all of it when it started; it is not looked at while it is in use",
        ));
        return found;
    }
    found.push(Finding::ok("store in use", "no gate has it open"));
    found.push(data(dir, room, pseudonyms));
    found
}

/// The directory, or the nearest one above it that is there.
fn nearest(dir: &Path) -> PathBuf {
    let there = dir.ancestors().find(|at| at.exists() && !at.as_os_str().is_empty());
    there.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn writable(dir: &Path) -> Finding {
    let there = nearest(dir);
    let shown = dir.display();
    if !there.is_dir() {
        let mend = "name a directory with --store embedded:DIR";
        return Finding::fail("store directory", format!("{} is a file", there.display()), mend);
    }
    match access(&there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) if there == dir => Finding::ok("store directory", format!("{shown} is writable")),
        Ok(()) => {
            Finding::ok("store directory", format!("{shown} is not there yet and can be made"))
        }
        Err(error) => Finding::fail(
            "store directory",
            format!("this user cannot write to {}: {error}", there.display()),
            "let the user that runs callgate own the directory, or name another with --store \
             embedded:DIR",
        ),
    }
}

/// Free for this user; unset: not known.
fn room(dir: &Path) -> Option<u64> {
    let on = statvfs(nearest(dir)).ok()?;
    Some(on.f_bavail.saturating_mul(on.f_frsize))
}

fn room_of(dir: &Path, room: Option<u64>) -> Finding {
    let mend = format!("make room on the file system of {}", dir.display());
    match room {
        None => Finding::warn("store space", "the free space is not known", mend),
        Some(free) if free < ROOM_MIN => {
            Finding::fail("store space", format!("{} are free", bytes(free)), mend)
        }
        Some(free) if free < ROOM_LOW => {
            Finding::warn("store space", format!("{} are free", bytes(free)), mend)
        }
        Some(free) => Finding::ok("store space", format!("{} are free", bytes(free))),
    }
}

fn is_in_use(dir: &Path) -> bool {
    let locked = |name: &str| {
        let file = File::open(dir.join(name)).ok()?;
        Some(matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    };
    locked(seal::NAME) == Some(true) || locked("data/lock") == Some(true)
}

fn data(dir: &Path, room: Option<u64>, pseudonyms: &Fingerprints) -> Finding {
    let check = "store data";
    let size = size_of(dir);
    if room.is_some_and(|free| free < 2 * size) {
        return Finding::warn(
            check,
            format!("{}: not looked at, since that takes a copy beside it", bytes(size)),
            "make room for two copies, or let a gate start on it, which reads all of it as well",
        );
    }
    match repair::damage(dir, pseudonyms) {
        Ok(None) => Finding::ok(check, format!("{}: all of it was read and is whole", bytes(size))),
        Ok(Some(refusal)) => Finding::fail(
            check,
            refusal,
            "restore the directory from a backup, or see what is left: callgate repair",
        ),
        Err(Error::Invalid { field, problem }) if field == open::KEY_FILE => {
            Finding::fail(check, problem, KEYS_MEND)
        }
        Err(Error::Invalid { problem, .. }) => Finding::warn(check, problem, "run it once more"),
        Err(error) => Finding::warn(
            check,
            format!("not looked at: {error}"),
            "let this user write beside the directory: it is looked at in a copy",
        ),
    }
}

fn size_of(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => size_of(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
