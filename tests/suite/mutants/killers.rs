//! What a broken rulebook has to get past: the stories, then random histories.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, Once},
    time::Instant,
};

use callgate::rulebook::DEFINITIONS;
use futures_util::FutureExt as _;

use super::breaks::{self, Mutant};
use crate::{
    archive::bare,
    changes::{self, history},
    lapses, model, rulebook,
    stories::{START, Story, bare::Bare, run, stories},
    support::vm::{broken_vm, vm, with_broken},
    twins::Dice,
};

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// By a story, or since it does not even load.
    ByStory,
    /// By a test of the rulebook alone, or by a random history.
    ByTest,
    Survived,
}

/// All that may kill.
pub struct Killers {
    stories: Vec<Story>,
    /// What each story calls of the rulebook, as `consent.lua in_effect`.
    calls: Vec<HashSet<String>>,
    /// The stories by number, the likely killers first: of a function, and of a file.
    lately: Mutex<HashMap<(&'static str, String), Vec<usize>>>,
    seed: u64,
    rounds: u64,
}

/// The tests that ask the rulebook alone.
const TESTS: [fn(); 41] = [
    bare::what_was_replaced_under_two_numbers_stays_replaced_where_one_is_forgotten,
    bare::what_was_replaced_under_a_number_that_is_not_known_any_more_stays_replaced,
    rulebook::a_call_is_allowed_after_an_accept_and_not_before,
    rulebook::a_number_is_known_by_the_display_number_told_last,
    changes::a_change_names_its_event_and_time_names_none,
    changes::the_deadline_is_written_when_it_changes_and_gone_when_nothing_is_due,
    changes::a_record_of_a_format_before_is_read_and_its_state_is_not_news,
    changes::who_is_forgotten_was_what_was_told_last,
    changes::a_profile_that_was_changed_is_told_as_that_and_not_as_what_happens_next,
    changes::a_profile_that_was_changed_is_told_as_that_where_a_permission_was_to_end,
    changes::a_profile_that_was_changed_is_told_as_that_where_a_limit_was_to_free,
    changes::the_deadline_of_a_full_permission_is_when_enough_calls_are_too_old,
    changes::a_deadline_moves_where_nothing_else_of_the_record_does,
    rulebook::who_is_refused_is_told_which_id_to_change,
    rulebook::of_numbers_seen_longest_ago_the_smallest_is_forgotten,
    rulebook::of_nine_numbers_the_one_seen_longest_ago_is_forgotten,
    changes::a_profile_that_was_changed_is_told_as_that_and_not_as_what_both_ids_say,
    changes::what_both_ids_say_is_told_at_the_revision_that_it_makes,
    changes::a_record_says_by_number_why_a_permission_was_taken,
    changes::what_is_told_again_writes_nothing,
    changes::a_step_loads_each_record_once_and_few_of_a_long_chain,
    lapses::a_call_that_lapsed_is_found_once_by_the_next_step_that_writes,
    lapses::a_call_of_which_something_was_told_has_not_lapsed,
    lapses::a_sign_of_life_holds_on,
    lapses::of_a_customer_with_two_ids_each_call_is_found_once,
    lapses::a_step_that_refuses_says_what_it_told_and_found_before,
    bare::a_join_is_refused_where_its_times_cannot_be,
    bare::what_was_forgotten_is_left_out_of_a_join,
    bare::what_was_told_of_one_id_is_not_forgotten_with_another,
    bare::what_may_have_been_told_of_a_forgotten_id_gives_nothing,
    bare::an_accept_that_may_be_of_a_forgotten_id_ends_an_older_one,
    bare::who_loses_a_number_by_a_join_expires_like_others,
    bare::an_answered_call_that_may_be_stale_starts_no_misses_anew,
    bare::a_bond_that_was_half_forgotten_is_one_that_went_back_and_forth,
    bare::what_a_join_changes_is_told_once_at_its_revision,
    bare::sums::each_side_of_a_join_is_folded_by_itself_first,
    bare::sums::misses_that_were_folded_apart_add_up,
    bare::sums::the_later_sum_counts_on_whichever_side_it_is,
    bare::sums::sums_of_several_ids_add_up_and_one_counts_once,
    bare::sums::a_folded_call_that_counts_for_nothing_outweighs_no_misses,
    bare::a_join_that_has_no_room_changes_nothing,
];

/// Random histories, each of a seed of its own; the referee of the law is the last.
const RANDOM: [fn(&mut Dice); 10] = [
    |dice| rulebook::any_order(dice, 20),
    |dice| rulebook::folding(dice, 20),
    |dice| bare::splits(dice, 10),
    |dice| bare::moves(dice, 5),
    |dice| bare::forgettings(dice, 30),
    |dice| {
        history::play(dice, 0);
    },
    |dice| referee(dice, model::FORGETTING),
    |dice| referee(dice, model::TWO),
    |dice| referee(dice, model::BOUND),
    |dice| referee(dice, model::OWNERS),
];
/// How often each is played in a full check.
pub const ROUNDS: u64 = 4;

fn referee(dice: &mut Dice, scope: model::Scope) {
    model::check(&Bare::of(vm()), dice.0, 800, scope).expect("the referee agrees");
}

impl Killers {
    /// The stories are put in the order of how long they take; all of them hold on the sound rulebook.
    pub fn new(seed: u64, rounds: u64) -> Self {
        quiet();
        let marked = breaks::marked();
        let mut timed: Vec<_> = stories(START)
            .into_iter()
            .map(|story| {
                let begin = Instant::now();
                let host = Bare::of(broken_vm(&marked).expect("marks break nothing"));
                let fails = run::fails(&host, &story, START).now_or_never();
                let place = format!("{}:{} {}", story.file, story.line, story.title);
                assert_eq!(fails, Some(false), "{place} does not hold");
                (begin.elapsed(), story, host.called())
            })
            .collect();
        timed.sort_by_key(|(took, ..)| *took);
        let (stories, calls) = timed.into_iter().map(|(_, story, calls)| (story, calls)).unzip();
        Self { stories, calls, lately: Mutex::default(), seed, rounds }
    }

    /// Lets everything try, until one thing kills.
    pub fn judge(&self, mutant: &Mutant) -> Fate {
        let text = mutant.text();
        let Some(vm) = broken_vm(&text) else { return Fate::ByStory };
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
        with_broken(&text, || match self.test_that_fails() {
            Some(_) => Fate::ByTest,
            None => Fate::Survived,
        })
    }

    /// Nothing that kills may kill the sound rulebook: else all would be killed.
    pub fn spare_the_sound(&self) {
        let killer = with_broken(DEFINITIONS, || self.test_that_fails());
        assert_eq!(killer, None, "kills the sound rulebook");
    }

    fn test_that_fails(&self) -> Option<String> {
        let by_test = TESTS.iter().position(|test| quietly(test).is_err());
        if let Some(index) = by_test {
            return Some(format!("TESTS[{index}]"));
        }
        let histories =
            (0..self.rounds).flat_map(|round| (0..RANDOM.len()).map(move |index| (round, index)));
        histories.into_iter().find_map(|(round, index)| {
            let seed = self.seed + round;
            let fails = quietly(|| RANDOM[index](&mut Dice(seed))).is_err();
            fails.then(|| format!("RANDOM[{index}] of seed {seed}"))
        })
    }

    fn order(&self, mutant: &Mutant) -> Vec<usize> {
        let lately = self.lately.lock().expect("nobody panics with it");
        let mut order = Vec::new();
        let mut is_in = vec![false; self.stories.len()];
        let of =
            |name: &str| lately.get(&(mutant.file, name.to_owned())).cloned().unwrap_or_default();
        let name = format!("{} {}", mutant.file, mutant.function);
        let may_kill =
            |number: &usize| mutant.function == "-" || self.calls[*number].contains(&name);
        let by_function = of(&mutant.function).into_iter().rev();
        for number in
            by_function.chain(of("").into_iter().rev().take(40)).chain(0..self.stories.len())
        {
            if !std::mem::replace(&mut is_in[number], true) {
                order.push(number);
            }
        }
        order.retain(may_kill);
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
