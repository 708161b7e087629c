//! The mutation check: the rulebook is broken on purpose, one token at a time, and every mutant has to
//! be found out by the stories or by random histories, or to be shown to mean the same.
//!
//! `make mutants` runs all; `make test` a part that a seed chooses. `MUTANTS=consent.lua make mutants`
//! runs those whose name contains that.

mod breaks;
mod killers;
mod list;
mod witness;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{support::tally, twins::Dice};

use breaks::{Key, Mutant};
use killers::{Fate, Killers, ROUNDS};
use witness::Witnesses;

/// The histories of a full run are the same each time, so that a mutant is killed today if it was
/// yesterday.
const SEED: u64 = 20_261_122;

/// What became of each, in order; those after `end` are left out.
fn run(
    mutants: &[Mutant],
    list: &BTreeMap<Key, String>,
    threads: usize,
    rounds: u64,
    end: Option<Instant>,
) -> Vec<(usize, Fate)> {
    let killers = Killers::new(SEED, rounds);
    killers.spare_the_sound();
    let witnesses = std::env::var("WITNESSES").ok().and_then(|count| count.parse().ok());
    let witnesses = witnesses.map(|count| Witnesses::new(SEED, count));
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= mutants.len() || end.is_some_and(|end| end < Instant::now()) {
                        return;
                    }
                    let fate = killers.judge(&mutants[n]);
                    if fate == Fate::Survived && !list.contains_key(&mutants[n].key()) {
                        let shown = witnesses.as_ref().and_then(|all| all.against(&mutants[n]));
                        eprintln!("{}{}", survivor(&mutants[n]), shown.unwrap_or_default());
                    }
                    let mut done = done.lock().unwrap();
                    done.push((n, fate));
                    if done.len().is_multiple_of(100) {
                        eprintln!("{:5} of {}", done.len(), mutants.len());
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_unstable_by_key(|(n, _)| *n);
    done
}

fn survivor(mutant: &Mutant) -> String {
    let key = mutant.key();
    format!("survived: {}\n    {}\n    {}\n", mutant.name(), key.line, key.change)
}

/// What is wrong with the list, and who survived without being listed.
fn report(mutants: &[Mutant], fates: &[(usize, Fate)], list: &BTreeMap<Key, String>) -> String {
    let mut wrong = String::new();
    let (mut counts, mut equivalent) = ([0; 3], 0);
    for (n, fate) in fates {
        let mutant = &mutants[*n];
        counts[*fate as usize] += 1;
        match (fate, list.get(&mutant.key())) {
            (Fate::Survived, Some(_)) => equivalent += 1,
            (Fate::Survived, None) => wrong += &survivor(mutant),
            (_, Some(_)) => {
                let _ = writeln!(wrong, "listed as equivalent, but killed: {}", mutant.name());
            }
            _ => {}
        }
    }
    let [by_story, by_test, survived] = counts;
    eprintln!(
        "{} mutants: {by_story} killed by stories, {by_test} by tests and random histories, {equivalent} \
         equivalent, {} survived",
        fates.len(),
        survived - equivalent
    );
    tally::count("mutants of the rulebook killed", by_story + by_test);
    wrong
}

/// Entries of the list that name no mutant.
fn strangers(mutants: &[Mutant], list: &BTreeMap<Key, String>) -> String {
    let known: std::collections::BTreeSet<Key> = mutants.iter().map(Mutant::key).collect();
    let strangers = list.keys().filter(|key| !known.contains(key));
    strangers
        .map(|key| format!("listed as equivalent, but not in the rulebook: {key:?}\n"))
        .collect()
}

#[test]
fn every_mutant_has_a_name_of_its_own() {
    let mutants = breaks::all();
    assert!(mutants.len() > 2000, "{} mutants", mutants.len());
    let mut keys = std::collections::HashSet::new();
    for mutant in &mutants {
        assert!(keys.insert(mutant.key()), "{:?}", mutant.key());
    }
    assert_eq!(strangers(&mutants, &list::equivalent()), "");
}

/// One in `one_in`, by luck, without those that are listed.
fn some(dice: &mut Dice, one_in: u64, list: &BTreeMap<Key, String>) -> Vec<Mutant> {
    let mutants = breaks::all().into_iter();
    mutants
        .filter(|mutant| !list.contains_key(&mutant.key()))
        .filter(|_| dice.below(one_in) == 0)
        .collect()
}

/// By the same histories as all of them, so that none survives here that does not survive there.
#[test]
fn some_mutants_are_killed() {
    let list = list::equivalent();
    let mutants = some(&mut Dice::throw(), 50, &list);
    let fates = run(&mutants, &list, 1, ROUNDS, None);
    let wrong = report(&mutants, &fates, &list);
    assert!(wrong.is_empty(), "\n{wrong}");
}

mod soak {
    use super::*;

    #[test]
    #[ignore = "make soak"]
    fn mutants_are_killed() {
        let list = list::equivalent();
        let mut dice = Dice::throw();
        let mut mutants = some(&mut dice, 1, &list);
        for i in (1..mutants.len()).rev() {
            mutants.swap(i, usize::try_from(dice.below(i as u64 + 1)).unwrap());
        }
        let fates = run(&mutants, &list, 1, ROUNDS, Some(Instant::now() + tally::soak()));
        let wrong = report(&mutants, &fates, &list);
        assert!(wrong.is_empty(), "\n{wrong}");
    }
}

#[test]
#[ignore = "make mutants"]
fn all_mutants_are_killed() {
    let (list, all) = (list::equivalent(), breaks::all());
    let wanted = std::env::var("MUTANTS").unwrap_or_default();
    let mutants: Vec<Mutant> = all
        .iter()
        .filter(|mutant| wanted.split(',').any(|wanted| mutant.name().contains(wanted)))
        .filter(|mutant| wanted.is_empty() || !list.contains_key(&mutant.key()))
        .cloned()
        .collect();
    let begin = Instant::now();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let fates = run(&mutants, &list, threads, ROUNDS, None);
    let wrong = strangers(&all, &list) + &report(&mutants, &fates, &list);
    eprintln!("in {:?}", Duration::from_secs(begin.elapsed().as_secs()));
    assert!(wrong.is_empty(), "\n{wrong}");
}
