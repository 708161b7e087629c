//! A disk that is full: a small file system of its own, filled under load. Who may not mount one does
//! so in a user namespace, or by sudo where there are none.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use tempfile::TempDir;

use super::{
    check,
    ledger::Seen,
    world::{Clients, PATIENCE, World},
};
use crate::{support::tally, twins::Dice};

/// A file system in memory, unmounted when dropped.
struct Small {
    at: PathBuf,
    by_sudo: bool,
}

/// `mount` or `umount`, as root.
fn privileged(by_sudo: bool, program: &str) -> Command {
    if by_sudo {
        let mut command = Command::new("sudo");
        command.args(["--non-interactive", program]);
        return command;
    }
    Command::new(program)
}

/// What went wrong, if it did.
fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Small {
    fn mount(at: &Path, size: &str) -> Self {
        fs::create_dir(at).unwrap();
        let owner = fs::metadata(at).unwrap();
        let options = format!("size={size},uid={},gid={}", owner.uid(), owner.gid());
        let mount = |by_sudo: bool| {
            let mut mount = privileged(by_sudo, "mount");
            run(mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at))
        };
        let by_sudo = match mount(false) {
            Ok(()) => false,
            Err(plain) => match mount(true) {
                Ok(()) => true,
                Err(sudo) => panic!(
                    "a full disk cannot be tried here: mounting a tmpfs needs user namespaces \
                     (`unshare -rm`: {}), root ({plain}) or sudo without a password ({sudo})",
                    own_mounts().err().unwrap_or_default()
                ),
            },
        };
        Self { at: at.to_owned(), by_sudo }
    }

    /// Leaves this much room. Bytes.
    fn fill(&self, room: u64) {
        let block = vec![1; 64 * 1024];
        let mut filler = Vec::new();
        let path = self.at.join("filler");
        while fs::write(&path, &filler).is_ok() {
            filler.extend_from_slice(&block);
        }
        filler.truncate(filler.len() - block.len() - usize::try_from(room).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, filler).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.at.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = privileged(self.by_sudo, "umount").arg("-l").arg(&self.at).status();
    }
}

/// Whether this user may mount in a namespace of their own.
fn own_mounts() -> Result<(), String> {
    let directory = TempDir::new().unwrap();
    let mut mount = Command::new("unshare");
    mount.args(["--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs"]);
    run(mount.arg(directory.path()))
}

mod slow {
    use std::process::Command;

    use tokio::{runtime::Runtime, task::LocalSet};

    use super::{full, own_mounts};
    use crate::twins::Dice;

    #[test]
    fn a_full_disk_loses_nothing_and_allows_nothing_without_its_hold() {
        const INSIDE: &str = "CALLGATE_TEST_OWN_MOUNTS";
        const NAME: &str =
            "crash::space::slow::a_full_disk_loses_nothing_and_allows_nothing_without_its_hold";
        if std::env::var_os(INSIDE).is_none() && own_mounts().is_ok() {
            // This test once more, where nobody else sees what is mounted.
            let mut inside = Command::new("unshare");
            inside.args(["--map-root-user", "--mount"]).arg(std::env::current_exe().unwrap());
            inside.args(["--exact", NAME, "--nocapture"]).env(INSIDE, "1");
            let output = inside.output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            println!("{said}{}", String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success() && said.contains(" 1 passed"), "see above");
            return;
        }
        let mut dice = Dice::throw();
        for durability in ["sync", "os"] {
            let runtime = Runtime::new().unwrap();
            LocalSet::new().block_on(&runtime, full(durability, &mut dice));
        }
    }
}

async fn full(durability: &str, dice: &mut Dice) {
    let directory = TempDir::new().unwrap();
    let small = Small::mount(&directory.path().join("disk"), "16m");
    let world = World::start_on(small.at.join("store"), directory, durability);
    let seen = Arc::new(Seen::default());
    let clients = Clients::start(&world, &seen, 6, dice);
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
        // Built with assertions, the engine panics where it reads a torn batch; that is a refusal.
        let is_ours = |line: &str| line.contains("panicked") && !line.contains("fjall");
        assert!(!log.lines().any(is_ours), "{log}");
        small.make_room();
        world.restart_beside().await;
    }
    clients.stop(&world, &seen).await;
    world.kill();
    check::log_and_views(&world.store(), None).await;
    seen.count();
    tally::count("disks filled under a gate", 3);
}
