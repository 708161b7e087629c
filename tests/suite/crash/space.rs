//! A disk that is full: a small file system of its own, filled under load.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::Ordering},
};

use tempfile::TempDir;
use tokio::task::{JoinSet, LocalSet};

use super::{
    check,
    client::Client,
    ledger::Seen,
    world::{PATIENCE, World},
};
use crate::{support::tally, twins::Dice};

/// A file system in memory, unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, size: &str) -> Self {
        fs::create_dir(at).unwrap();
        let size = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at);
        let output = mount.output().unwrap();
        assert!(
            output.status.success(),
            "a full disk cannot be tried, since mounting a tmpfs is not permitted here: run this \
             test as root ({})",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Self(at.to_owned())
    }

    /// Leaves this much room. Bytes.
    fn fill(&self, room: u64) {
        let block = vec![1; 64 * 1024];
        let mut filler = Vec::new();
        let path = self.0.join("filler");
        while fs::write(&path, &filler).is_ok() {
            filler.extend_from_slice(&block);
        }
        filler.truncate(filler.len() - block.len() - usize::try_from(room).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, filler).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

mod slow {
    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_disk_loses_nothing_and_allows_nothing_without_its_hold() {
        let mut dice = super::Dice::throw();
        for durability in ["sync", "os"] {
            super::LocalSet::new().run_until(super::full(durability, &mut dice)).await;
        }
    }
}

async fn full(durability: &str, dice: &mut Dice) {
    let directory = TempDir::new().unwrap();
    let small = Small::mount(&directory.path().join("disk"), "16m");
    let world = World::start_on(small.0.join("store"), directory, durability);
    let seen = Arc::new(Seen::default());
    let mut clients = JoinSet::new();
    for n in 0..6 {
        let client = Client::new(&world, &seen, n, Dice(dice.below(u64::MAX)));
        clients.spawn_local(client.live());
    }
    for _ in 0..3 {
        // Some more is written, and then there is no room.
        small.fill(50_000 + dice.below(50_000));
        let waiting = Arc::clone(&world);
        let ended = tokio::task::spawn_blocking(move || waiting.ended());
        let ended =
            tokio::time::timeout(PATIENCE, ended).await.expect("it ends by itself").unwrap();
        assert_eq!(ended.code(), Some(1));
        let log = world.log();
        assert!(log.contains("cannot write") && log.contains("No space left"), "{log}");
        assert!(!log.contains("panicked"), "{log}");
        small.make_room();
        let again = Arc::clone(&world);
        tokio::task::spawn_blocking(move || again.restart()).await.unwrap();
    }
    world.stop.store(true, Ordering::SeqCst);
    let mut forgotten = Vec::new();
    while let Some(client) = clients.join_next().await {
        forgotten.extend(client.expect("a client found something wrong"));
    }
    check::quarantine(&world, &seen).await;
    world.kill();
    check::log_and_views(&world.store(), None).await;
    seen.count();
    tally::count("disks filled under a gate", 3);
}
