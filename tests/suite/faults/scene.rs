//! Two gates under load on a Redis that something happens to, and what must hold of every fault: it
//! makes answers late or leaves them out, never wrong; gates stay small, and recover by themselves.

use std::{collections::BTreeSet, future::Future, path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    proof::{
        again,
        check::{self, Sums},
        gates::Gates,
        ledger::{Answer, Ledger},
        load::Load,
        rules::Rules,
    },
    support::{process::Process, tally},
    twins::Dice,
};

/// What one command may take in the store.
pub(super) const STORE_TIMEOUT: u64 = 300;
/// What replicas may take, where they are waited for. Two waits may come one after the other.
pub(super) const WAIT_TIMEOUT: u64 = 150;
/// So much later than it should an answer may be before it is a fault of ours: test machines are busy.
const LATENESS_MAX: u64 = 3000;
/// So much may a gate grow over a fault, once it is warm, KiB. Measured: 1000 to 3000 mostly, 7300 where
/// the master of a cluster hands over.
const GROWTH_MAX: u64 = 12 * 1024;
/// Recovery takes no longer.
const PATIENCE: Duration = Duration::from_secs(40);

/// Fewer calls and requests that were allowed would show nothing.
const ALLOWS_MIN: usize = 50;

/// What is set up.
pub(super) struct Scene {
    pub(super) ledger: Arc<Ledger>,
    processes: Vec<Process>,
    gates: Gates,
    rules: Rules,
    budget: u64,
    _directory: TempDir,
}

/// Whether callers notice a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Felt {
    /// Some questions have no answer.
    Yes,
    /// All have.
    No,
    /// As it happens.
    Perhaps,
}

impl Scene {
    /// Two gates on this store; so many replicas are waited for.
    pub(super) fn start(store: &str, wait_replicas: u32) -> Self {
        Self::start_within(STORE_TIMEOUT, store, wait_replicas)
    }

    /// As [`Scene::start`], where no command takes long but for a busy machine.
    pub(super) fn start_patient(store: &str) -> Self {
        Self::start_within(10 * STORE_TIMEOUT, store, 0)
    }

    fn start_within(store_timeout: u64, store: &str, wait_replicas: u32) -> Self {
        let directory = TempDir::new().unwrap();
        let rules = Rules::seconds();
        let config = rules.config(Path::new(directory.path()));
        let (timeout, wait_timeout) = (format!("{store_timeout}ms"), format!("{WAIT_TIMEOUT}ms"));
        let replicas = wait_replicas.to_string();
        let arguments = [
            "--config",
            &config,
            "--store-timeout",
            &timeout,
            "--redis-wait-replicas",
            &replicas,
            "--redis-wait-timeout",
            &wait_timeout,
        ];
        let serve = || Process::serve(store, "127.0.0.1:0", &arguments);
        let processes: Vec<Process> = (0..2).map(|_| serve()).collect();
        let gates = Gates::new(processes.iter().map(|process| process.grpc.clone()).collect());
        let waits = if wait_replicas == 0 { 0 } else { 2 * WAIT_TIMEOUT };
        let budget = store_timeout + waits;
        Self { ledger: Ledger::new(), processes, gates, rules, budget, _directory: directory }
    }

    /// Plays a fault under load. When its future is over, the store is well again. Nothing may be
    /// wrong and nothing lost.
    pub(super) async fn survives(&self, name: &str, felt: Felt, fault: impl Future) -> Sums {
        let mut dice = Dice::throw();
        self.under_load(name, felt, &mut dice, fault).await;
        again::ask(&self.ledger, &self.gates, &self.rules, &mut dice).await;
        self.errors_are_told_as_what_they_are(name);
        let sums = check::must_hold(&self.ledger, &self.rules);
        assert!(sums.allows > ALLOWS_MIN, "{name}: hardly anything happened");
        tally::count("steps acknowledged under kills and faults", self.ledger.answered());
        sums
    }

    async fn under_load(&self, name: &str, felt: Felt, dice: &mut Dice, fault: impl Future) {
        let load = Load { clients: 24, pairs: 18, ..Load::new(Dice(dice.below(u64::MAX))) };
        let evil = async {
            self.serves(200).await;
            let (small, unknown) = (self.memory(), self.unknown());
            fault.await;
            let (large, well) = (self.memory(), Instant::now());
            self.serves(200).await;
            println!("{name}: 200 answers within {} ms of its end", well.elapsed().as_millis());
            // A busy machine takes longer for as much.
            while self.allows() <= ALLOWS_MIN {
                self.serves(20).await;
            }
            let unknown = self.unknown() - unknown;
            println!("{name}: {unknown} without an answer, memory {small} to {large} KiB");
            assert!(large < small + GROWTH_MAX, "{name}: a gate grew from {small} to {large} KiB");
            match felt {
                Felt::Yes => assert!(unknown > 0, "{name}: nobody noticed"),
                Felt::No => assert_eq!(unknown, 0, "{name}: {:?}", self.why_unknown()),
                Felt::Perhaps => {}
            }
        };
        load.run(&self.gates, &self.ledger, evil).await;
        self.answers_were_in_time(name);
        tally::count("faults of Redis", 1);
    }

    /// Waits until so many questions more have an answer.
    pub(super) async fn serves(&self, more: usize) {
        let wanted = self.ledger.answered() + more;
        let arrive = async {
            while self.ledger.answered() < wanted {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let last = || self.why_unknown();
        if tokio::time::timeout(PATIENCE, arrive).await.is_err() {
            panic!("no recovery within {PATIENCE:?}: {:?}", last());
        }
    }

    /// An answer comes within the budget of the store, whatever it is.
    fn answers_were_in_time(&self, name: &str) {
        let entries = self.ledger.entries();
        let took = |entry: &crate::proof::ledger::Entry| {
            entry.answer.as_ref().map_or(0, |(at, _)| at.ms.saturating_sub(entry.sent.ms))
        };
        let slowest = entries.iter().map(took).max().unwrap_or_default();
        let over = slowest.saturating_sub(self.budget);
        println!("{name}: the slowest answer took {slowest} ms, {over} ms over the store's budget");
        assert!(over < LATENESS_MAX, "{name}: {over} ms over the store's budget");
    }

    /// Calls and requests that were allowed so far.
    fn allows(&self) -> usize {
        let entries = self.ledger.entries();
        let is_allow = |entry: &crate::proof::ledger::Entry| matches!(&entry.answer, Some((_, Answer::Verdict(verdict))) if verdict.is_allowed && !verdict.is_replayed);
        entries.iter().filter(|entry| is_allow(entry)).count()
    }

    fn unknown(&self) -> usize {
        let entries = self.ledger.entries();
        entries.iter().filter(|entry| matches!(entry.answer, Some((_, Answer::Unknown(_))))).count()
    }

    /// A fault of the store is UNAVAILABLE or DEADLINE_EXCEEDED, which callers repeat, nothing else.
    fn errors_are_told_as_what_they_are(&self, name: &str) {
        let mut others = BTreeSet::new();
        for entry in self.ledger.entries() {
            let Some((_, Answer::Unknown(why))) = entry.answer else { continue };
            if !["Unavailable: ", "DeadlineExceeded: "].iter().any(|code| why.starts_with(code)) {
                others.insert(why);
            }
        }
        assert!(others.is_empty(), "{name}: {others:#?}");
    }

    fn why_unknown(&self) -> Vec<String> {
        let entries = self.ledger.entries();
        let whys = entries.into_iter().rev().filter_map(|entry| match entry.answer {
            Some((_, Answer::Unknown(why))) => Some(why),
            _ => None,
        });
        whys.take(5).collect()
    }

    /// The resident memory of the larger gate, KiB.
    fn memory(&self) -> u64 {
        let of = |process: &Process| {
            let status =
                std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        self.processes.iter().map(of).max().unwrap()
    }
}
