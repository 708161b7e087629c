//! What a broken rulebook has to get past: the stories, then random histories.

use std::{
    cell::Cell,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, Once},
    time::Instant,
};

use callgate::store::lua::Vm;
use futures_util::FutureExt as _;

use super::breaks::Mutant;
use crate::{
    changes::history,
    rulebook,
    stories::{START, Story, bare::Bare, run, stories},
    twins::Dice,
};

/// No step of a sound rulebook takes a hundredth of it.
pub(super) const PATIENCE: u32 = 20_000_000;

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// By a story, or since it does not even load.
    ByStory,
    /// By a random history.
    ByHistory,
    Survived,
}

/// All that may kill.
pub struct Killers {
    stories: Vec<Story>,
    /// The stories by number, the likely killers first: of a function, and of a file.
    lately: Mutex<HashMap<(&'static str, String), Vec<usize>>>,
    seed: u64,
}

type Random = fn(&mut Dice, Vm);

/// The random histories, each of a seed of its own.
const RANDOM: [Random; 3] = [
    |dice, mut vm| rulebook::any_order(&mut vm, dice, 20),
    |dice, mut vm| rulebook::folding(&mut vm, dice, 20),
    |dice, vm| {
        history::play(vm, dice, 0);
    },
];
const ROUNDS: usize = 6;

impl Killers {
    /// The stories are put in the order of how long they take; all of them hold on the sound rulebook.
    pub fn new(seed: u64) -> Self {
        quiet();
        let stories = stories(START);
        let mut timed: Vec<_> = stories
            .into_iter()
            .map(|story| {
                let begin = Instant::now();
                let fails = fails(Vm::new().expect("the rulebook compiles"), &story);
                assert!(!fails, "{}:{} {} does not hold", story.file, story.line, story.title);
                (begin.elapsed(), story)
            })
            .collect();
        timed.sort_by_key(|(took, _)| *took);
        let stories = timed.into_iter().map(|(_, story)| story).collect();
        Self { stories, lately: Mutex::default(), seed }
    }

    /// Lets everything try, until one thing kills.
    pub fn judge(&self, mutant: &Mutant) -> Fate {
        let text = mutant.text();
        let Ok(vm) = Vm::with_rulebook(&text, PATIENCE) else { return Fate::ByStory };
        let mut host = Bare::of(vm);
        for number in self.order(mutant) {
            let story = &self.stories[number];
            let is_killed = quietly(|| run::fails(&host, story, START).now_or_never());
            if is_killed != Ok(Some(false)) {
                self.remember(mutant, number);
                return Fate::ByStory;
            }
            host = host.emptied();
        }
        drop(host);
        for round in 0..ROUNDS {
            for (n, random) in RANDOM.iter().enumerate() {
                let seed = self.seed + (round * RANDOM.len() + n) as u64;
                let vm = Vm::with_rulebook(&text, PATIENCE).expect("it was loaded before");
                if quietly(|| random(&mut Dice(seed), vm)).is_err() {
                    return Fate::ByHistory;
                }
            }
        }
        Fate::Survived
    }

    fn order(&self, mutant: &Mutant) -> Vec<usize> {
        let lately = self.lately.lock().expect("nobody panics with it");
        let mut order = Vec::new();
        let mut is_in = vec![false; self.stories.len()];
        let of =
            |name: &str| lately.get(&(mutant.file, name.to_owned())).cloned().unwrap_or_default();
        let by_function = of(&mutant.function).into_iter().rev();
        for number in
            by_function.chain(of("").into_iter().rev().take(40)).chain(0..self.stories.len())
        {
            if !std::mem::replace(&mut is_in[number], true) {
                order.push(number);
            }
        }
        order
    }

    fn remember(&self, mutant: &Mutant, number: usize) {
        let mut lately = self.lately.lock().expect("nobody panics with it");
        for name in ["", &mutant.function] {
            let list = lately.entry((mutant.file, name.to_owned())).or_default();
            list.retain(|known| *known != number);
            list.push(number);
        }
    }
}

fn fails(vm: Vm, story: &Story) -> bool {
    run::fails(&Bare::of(vm), story, START).now_or_never().expect("a bare host never waits")
}

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// A kill is no news: what panics inside [`quietly`] is not printed.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                before(info);
            }
        }));
    });
}

/// `Err` if it panicked.
fn quietly<R>(body: impl FnOnce() -> R) -> Result<R, ()> {
    IS_QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(body));
    IS_QUIET.set(false);
    result.map_err(|_| ())
}
