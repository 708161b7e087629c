//! Gates on one store, each a process that may be killed at any time.

use std::{path::Path, sync::Mutex};

use tempfile::TempDir;

use crate::{
    proof::{gates::Gates, rules::Rules},
    support::process::Process,
    twins::Dice,
};

/// Several gates, and where they listen.
pub(crate) struct Fleet {
    /// For the load.
    pub(crate) gates: Gates,
    store: String,
    config: String,
    processes: Mutex<Vec<Process>>,
    _directory: TempDir,
}

impl Fleet {
    /// Starts so many on this store.
    ///
    /// # Panics
    /// One does not start.
    pub(crate) fn start(store: &str, count: usize, rules: &Rules) -> Self {
        let directory = TempDir::new().unwrap();
        let config = rules.config(Path::new(directory.path()));
        let processes: Vec<_> = (0..count).map(|_| serve(store, &config)).collect();
        let gates = Gates::new(processes.iter().map(|process| process.grpc.clone()).collect());
        let processes = Mutex::new(processes);
        Self { gates, store: store.to_owned(), config, processes, _directory: directory }
    }

    /// Kills one as SIGKILL does, and starts another in its place.
    ///
    /// # Panics
    /// It does not start.
    pub(crate) fn kill_one(&self, dice: &mut Dice) {
        let mut processes = self.processes.lock().unwrap();
        let place = usize::try_from(dice.below(processes.len() as u64)).unwrap();
        processes[place].kill();
        processes[place] = serve(&self.store, &self.config);
        self.gates.moved(place, &processes[place].grpc);
    }
}

fn serve(store: &str, config: &str) -> Process {
    Process::serve(store, "127.0.0.1:0", &["--config", config, "--store-timeout", "2s"])
}
