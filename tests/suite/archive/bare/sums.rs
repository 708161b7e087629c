//! What was summed up under one id, or in one place, meets what was summed up elsewhere.

use super::*;

#[test]
pub(crate) fn each_side_of_a_join_is_folded_by_itself_first() {
    let mut vm = vm();
    let at = |n: u64| NOW - 30 * DAY + n * MINUTE;
    // Folded here, and as it was told there.
    let (mut here, mut there) = (Place::default(), Place::default());
    for place in [&mut here, &mut there] {
        for n in 0..3 {
            place.ask(&mut vm, WA, at(n), call(&format!("c{n}"), at(n), CallOutcome::Unanswered));
        }
        place.ask(&mut vm, WA, at(3), request("r1", at(3)));
    }
    here.ask(&mut vm, WA, NOW, reply(NOW, true));
    assert_eq!(here.record(WA.0)["base_streak"], 3);
    let kept = there.groups(&mut vm).remove(0);
    for _ in 0..2 {
        here.join(&mut vm, &kept, NOW);
        assert_eq!(here.record(WA.0)["base_streak"], 3, "nothing is counted twice");
        assert_eq!(here.record(WA.0)["calls"], Value::Array(Vec::new()));
    }
    let state = here.ask(&mut vm, WA, NOW, Command::View { as_of: Millis::ZERO }).view;
    assert_eq!((state.status, state.streak), (3, 3));
    // And the other way round.
    let mut other = there.clone();
    let kept = here.groups(&mut vm).remove(0);
    other.join(&mut vm, &kept, NOW);
    let state = other.ask(&mut vm, WA, NOW, Command::View { as_of: Millis::ZERO }).view;
    assert_eq!((state.status, state.streak), (3, 3));
}

/// The misses of each id and what came after, folded apart: seen together they are more, never fewer.
#[test]
pub(crate) fn misses_that_were_folded_apart_add_up() {
    let mut vm = vm();
    let at = |n: u64| NOW - 30 * DAY + n * MINUTE;
    let (user, both) = (NAMES[2], BOTH);
    let miss = |n| call(&format!("c{n}"), at(n), CallOutcome::Unanswered);
    let mut from = Place::default();
    for n in 0..3 {
        from.ask(&mut vm, user, at(n), miss(n));
    }
    from.ask(&mut vm, WA, at(3), call("c3", at(3), CallOutcome::Answered));
    let view = Command::View { as_of: Millis::ZERO };
    let mut to = Place::default();
    to.join_all(&mut vm, &mut from, NOW);
    assert_eq!(
        (&to.record("US.1")["base_streak"], &to.record(WA.0)["base_at"]),
        (&3.into(), &at(3).into())
    );
    assert_eq!(
        to.ask(&mut vm, both, NOW, view.clone()).view.streak,
        3,
        "nobody can say which was last"
    );
    // Seen together, they are one sum under both; and it counts once.
    to.ask(&mut vm, both, NOW, reply(NOW, true));
    to.ask(&mut vm, WA, NOW, call("c4", NOW - 1, CallOutcome::Failed));
    assert_eq!(to.ask(&mut vm, both, NOW, view.clone()).view.streak, 3);
    let mut later = Place::default();
    later.join_all(&mut vm, &mut to, NOW + 9 * DAY);
    assert_eq!(later.ask(&mut vm, both, NOW + 9 * DAY, view.clone()).view.streak, 3);
    later.ask(&mut vm, user, NOW + 9 * DAY, call("c5", NOW + 9 * DAY, CallOutcome::Unanswered));
    let revoked = later.ask(&mut vm, both, NOW + 9 * DAY, view.clone()).view;
    assert_eq!((revoked.status, revoked.streak), (6, 0), "the fourth miss revokes");
    let far = NOW + 30 * DAY;
    let mut last = Place::default();
    last.join_all(&mut vm, &mut later, far);
    for record in [WA.0, "US.1"] {
        assert_eq!(
            (&last.record(record)["base_streak"], &last.record(record)["base_at"]),
            (&0.into(), &(NOW + 9 * DAY).into())
        );
    }
    // More than there can be: the next one revokes.
    let mut from = Place::default();
    for n in 0..3 {
        from.ask(&mut vm, user, at(n), miss(n));
        from.ask(&mut vm, WA, at(n + 3), miss(n + 3));
    }
    to = Place::default();
    to.join_all(&mut vm, &mut from, NOW);
    assert_eq!(to.ask(&mut vm, both, NOW, view).view.streak, 3);
}

/// Sums of several ids that are one customer's add up, whichever is the later; one that stands under two of
/// them is one, and counts once. What ended a streak between them has done its work.
#[test]
pub(crate) fn sums_of_several_ids_add_up_and_one_counts_once() {
    let mut vm = vm();
    let second = "15550199002";
    let mut bound = Place::default();
    for (number, at) in [(second, NOW - 2000), (WA.0, NOW - 1000)] {
        bound.ask(&mut vm, (number, USER.1), NOW, self::at(message(), at));
    }
    let (earlier, later) = (NOW - 20 * DAY, NOW - 19 * DAY);
    for (of_number, of_user, of_second, expected) in [
        ((1, earlier), (1, later), (0, 0), 2),
        ((1, later), (1, earlier), (0, 0), 2),
        ((1, earlier), (1, later), (1, later), 2),
        ((1, earlier), (1, later), (1, earlier), 2),
        ((1, earlier), (1, earlier), (1, later), 2),
        ((0, 0), (1, earlier), (2, later), 3),
    ] {
        let mut place = bound.clone();
        for (id, (streak, at)) in [(WA.0, of_number), (USER.1, of_user), (second, of_second)] {
            place.sum_up(id, streak, at);
        }
        let mut no = place.record(WA.0);
        no["reject_at"] = (earlier + DAY / 2).into();
        place.records.insert(WA.0.to_owned(), record_from_json(no).unwrap());
        let seen = place.ask(&mut vm, BOTH, NOW, LOOK).view.streak;
        assert_eq!(seen, expected, "{of_number:?} {of_user:?} {of_second:?}");
    }
}

/// Of what was summed up on both sides the later one counts; at one time the longer one.
#[test]
pub(crate) fn the_later_sum_counts_on_whichever_side_it_is() {
    let mut vm = vm();
    let mut first = Place::default();
    first.ask(&mut vm, WA, NOW, at(message(), NOW - 1000));
    let summed = |streak, at| {
        let mut place = first.clone();
        place.sum_up(WA.0, streak, at);
        place
    };
    let (earlier, later) = (NOW - 20 * DAY, NOW - 19 * DAY);
    for (here, there, expected) in [
        ((1, later), (3, earlier), (1, later)),
        ((3, earlier), (1, later), (1, later)),
        ((1, later), (3, later), (3, later)),
        ((3, later), (1, later), (3, later)),
    ] {
        let (mut to, mut from) = (summed(here.0, here.1), summed(there.0, there.1));
        to.join_all(&mut vm, &mut from, NOW);
        let record = to.record(WA.0);
        assert_eq!(record["base_streak"], expected.0, "{here:?} {there:?}");
        assert_eq!(record["base_at"], expected.1, "{here:?} {there:?}");
    }
}

/// A sum is as old as the last call in it that counts.
#[test]
pub(crate) fn a_folded_call_that_counts_for_nothing_outweighs_no_misses() {
    let mut vm = vm();
    let at = |n: u64| NOW - 30 * DAY + n * MINUTE;
    let (mut here, mut there) = (Place::default(), Place::default());
    for n in 0..3 {
        here.ask(&mut vm, WA, at(n), call(&format!("c{n}"), at(n), CallOutcome::Unanswered));
    }
    there.ask(&mut vm, WA, at(3), call("c3", at(3), CallOutcome::Failed));
    for (one, other) in [(&here, &there), (&there, &here)] {
        let (mut one, mut other) = (one.clone(), other.clone());
        one.join_all(&mut vm, &mut other, NOW);
        one.ask(&mut vm, WA, NOW, reply(NOW, true));
        let record = one.record(WA.0);
        assert_eq!((&record["base_streak"], &record["base_at"]), (&3.into(), &at(2).into()));
        assert_eq!(record["calls"], Value::Array(Vec::new()));
    }
}
