//! The present state of many pairs, made to be of one point in the log: so that what follows, follows
//! for each of them.
//!
//! A pair is settled in one step, which tells its state and where the log of its partition ended; the
//! steps of many pairs end at several places. The last of them is the point. What changed between a
//! pair's own place and the point stands in the log, with the state that it led to.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{State, filter::Filter};
use crate::engine::{
    Result,
    change::{ChangeLog, Logged, Position},
    gate::{Answer, Gate},
    store::partition_of,
};

/// Pairs that are settled at once.
const SETTLED_AT_ONCE: usize = 32;
/// Changes that are read at once.
const PAGE: usize = 256;

/// The states of the filter's pairs, in their order, and the point: by `partitions`, in their order.
///
/// # Errors
/// See [`Store`](crate::engine::store::Store).
pub(super) async fn take(
    gate: &Gate,
    log: &dyn ChangeLog,
    filter: &Filter,
    partitions: &[u16],
) -> Result<(Vec<State>, Vec<Position>)> {
    let settle = |pair| gate.settle(pair);
    let pairs = filter.pairs().iter().cloned();
    let answers: Vec<Answer> =
        stream::iter(pairs.map(settle)).buffered(SETTLED_AT_ONCE).try_collect().await?;
    let count = gate.store().partitions();
    let ends: Vec<Position> = answers.iter().map(|answer| answer.reply.log_end).collect();
    let mut by_partition: HashMap<u16, Vec<usize>> = HashMap::new();
    let mut by_id: HashMap<(String, String), Vec<usize>> = HashMap::new();
    for (index, answer) in answers.iter().enumerate() {
        let number = &answer.pair.number;
        by_partition.entry(partition_of(number, count)).or_default().push(index);
        for id in gate.store().kept(&answer.pair.customer).keys() {
            by_id.entry((number.as_str().to_owned(), id)).or_default().push(index);
        }
    }
    let settled = |answer| State::Settled(Box::new(answer));
    let mut states: Vec<State> = answers.into_iter().map(settled).collect();
    let mut points = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let here = by_partition.get(partition).into_iter().flatten().map(|index| ends[*index]);
        let first = here.clone().min().unwrap_or_default();
        let point = here.max().unwrap_or_default();
        for Logged { position, change } in between(log, *partition, first, point).await? {
            for id in [&change.wa, &change.user] {
                let key = (change.number.clone(), id.clone());
                for index in by_id.get(&key).into_iter().flatten() {
                    if ends[*index] < position {
                        states[*index] = State::After(Arc::clone(&change));
                    }
                }
            }
        }
        points.push(point);
    }
    Ok((states, points))
}

/// The changes after `first`, up to `last`.
async fn between(
    log: &dyn ChangeLog,
    partition: u16,
    first: Position,
    last: Position,
) -> Result<Vec<Logged>> {
    let mut found = Vec::new();
    let mut after = first;
    while after < last {
        let page = log.read(partition, after, PAGE).await?;
        let is_end = page.len() < PAGE;
        after = page.last().map_or(last, |entry| entry.position);
        found.extend(page.into_iter().filter(|entry| entry.position <= last));
        if is_end {
            break;
        }
    }
    Ok(found)
}
