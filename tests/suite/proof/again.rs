//! When the work is over, everything is asked once more: what every pair is, whether every ALLOW has
//! its call, whether every event is known. The answers go into the ledger like all others.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use callgate::proto::Event;
use tokio::task::JoinSet;

use crate::{
    proof::{
        gates::{Gates, Teller},
        ledger::{Answer, Asked, Ledger},
        rules::Rules,
    },
    twins::Dice,
};

/// Questions under way at once.
const AT_ONCE: usize = 16;
/// Events told at once, at most.
const BATCH: usize = 100;
/// How long the gates may take to come back.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks everything once more. The gates and their store are well again.
///
/// # Panics
/// A question gets no answer for very long.
pub(crate) async fn ask(ledger: &Arc<Ledger>, gates: &Gates, rules: &Rules, dice: &mut Dice) {
    let entries = ledger.entries();
    let teller = Teller::new(gates, ledger, Duration::from_secs(10));
    let pairs: BTreeSet<String> = entries.iter().map(|entry| entry.pair.clone()).collect();
    let views = |as_of: Option<u64>| {
        let of = move |pair: &String| (pair.clone(), Asked::View { as_of });
        pairs.iter().map(of).collect::<Vec<_>>()
    };
    ask_all(&teller, views(None), dice).await;

    let mut asked = BTreeSet::new();
    let calls = entries.iter().filter_map(|entry| match &entry.asked {
        Asked::Call { call_id, .. } if asked.insert(call_id.clone()) => {
            let call = Asked::Call { call_id: call_id.clone(), lease: None };
            Some((entry.pair.clone(), call))
        }
        _ => None,
    });
    let calls: Vec<_> = calls.collect();
    // The newest first: their leases still run.
    ask_all(&teller, calls.into_iter().rev().take(600).collect(), dice).await;

    let mut told = BTreeSet::new();
    let events = entries.iter().filter_map(|entry| match &entry.asked {
        Asked::Tell(event) if told.insert(event.event_id.clone()) => Some((**event).clone()),
        _ => None,
    });
    tell_all(&teller, events.collect(), dice).await;

    ask_all(&teller, views(None), dice).await;
    let now = ledger.now();
    for _ in 0..4 {
        ask_all(&teller, views(Some(now - dice.below(5 * rules.call_window))), dice).await;
    }
}

async fn ask_all(teller: &Teller, questions: Vec<(String, Asked)>, dice: &mut Dice) {
    let mut tasks = JoinSet::new();
    for (pair, asked) in questions {
        if tasks.len() == AT_ONCE {
            tasks.join_next().await.unwrap().unwrap();
        }
        let (teller, mut dice) = (teller.clone(), Dice(dice.below(u64::MAX)));
        tasks.spawn(async move {
            let asking = async {
                while let Answer::Unknown(_) = teller.ask(&pair, asked.clone(), &mut dice).await {}
            };
            tokio::time::timeout(PATIENCE, asking).await.expect("an answer");
        });
    }
    tasks.join_all().await;
}

async fn tell_all(teller: &Teller, events: Vec<Event>, dice: &mut Dice) {
    let (mut rest, mut size) = (&events[..], BATCH);
    while !rest.is_empty() {
        let telling = async {
            loop {
                let (batch, _) = rest.split_at(size.min(rest.len()));
                // Twice: what was unknown is known then, and known again.
                if is_told(teller, batch, dice).await && is_told(teller, batch, dice).await {
                    return batch.len();
                }
                // So many may be more than a busy machine does within the store's budget.
                size = (size / 2).max(1);
            }
        };
        let told = tokio::time::timeout(PATIENCE, telling).await.expect("an answer");
        rest = &rest[told..];
        size = (size + 5).min(BATCH);
    }
}

async fn is_told(teller: &Teller, batch: &[Event], dice: &mut Dice) -> bool {
    !matches!(teller.tell(batch.to_vec(), dice).await[0], Answer::Unknown(_))
}
