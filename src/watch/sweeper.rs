//! The sweeper: lets time's own changes happen on pairs on which nothing else does.
//!
//! A store keeps for each record when time alone changes its state next. What is due is settled: a step
//! as any other, which tells the change once, whoever takes it. So the sweeper may come late, twice, or
//! from several replicas at once, and never matters to what is true, only to how soon it is told.

use std::{collections::HashSet, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::backoff::Backoff;
use crate::engine::{
    Error, Result,
    gate::Gate,
    pair::{Customer, Pair, PhoneNumberId},
    store::Due,
};

/// How often it is looked what is due: a change is told within a second of its time.
const EVERY: Duration = Duration::from_millis(200);
/// Looked at once.
const PAGE: usize = 500;
/// Settled at once.
const SETTLED_AT_ONCE: usize = 64;
/// Settled at once of all customers of a business number, which is not urgent.
const OF_NUMBER_AT_ONCE: usize = 16;

/// A record that cannot be settled is complained of so often.
const COMPLAINS_EVERY: Duration = Duration::from_secs(60);

/// Settles what is due, for as long as the process lives.
pub async fn sweep(gate: Gate) {
    let mut sweeper = Sweeper {
        gate,
        numbers: JoinSet::new(),
        under_way: HashSet::new(),
        complains_at: Instant::now(),
    };
    let mut backoff = Backoff::default();
    let mut is_well = true;
    loop {
        let next = Instant::now() + EVERY;
        match sweeper.round().await {
            Ok(has_more) => {
                if !is_well {
                    tracing::info!("changes by time are told again");
                }
                (is_well, backoff) = (true, Backoff::default());
                let next = if has_more { Instant::now() } else { next };
                sweeper.wait(next).await;
            }
            Err(error) => {
                if is_well {
                    tracing::warn!(%error, "changes by time are late; trying again");
                }
                is_well = false;
                sweeper.wait(Instant::now() + backoff.next().max(EVERY)).await;
            }
        }
    }
}

struct Sweeper {
    gate: Gate,
    /// Business numbers of which all customers are being settled, beside what is more urgent.
    numbers: JoinSet<(PhoneNumberId, Result<()>)>,
    under_way: HashSet<PhoneNumberId>,
    complains_at: Instant,
}

impl Sweeper {
    /// Settles what is due now. Says whether there may be more.
    async fn round(&mut self) -> Result<bool> {
        // Numbers stay due until all their customers are settled: they must not take the place of others.
        let limit = PAGE + self.under_way.len();
        let due = self.gate.store().due(limit).await?;
        let is_full = due.len() == limit;
        let mut pairs = Vec::with_capacity(due.len());
        for due in due {
            match due.customer.clone() {
                Some(customer) => pairs.push((due, customer)),
                None if self.under_way.insert(due.number.clone()) => {
                    self.numbers.spawn(settle_number(self.gate.clone(), due));
                }
                None => {}
            }
        }
        let gate = &self.gate;
        let settle = |(due, customer): (Due, Customer)| settle(gate, due, customer);
        let results: Vec<Result<()>> =
            stream::iter(pairs).map(settle).buffer_unordered(SETTLED_AT_ONCE).collect().await;
        let has_settled = results.iter().any(Result::is_ok);
        for result in results {
            match result {
                Ok(()) => {}
                Err(error) if error.passes() => return Err(error),
                // One record that is damaged must not make all others late.
                Err(error) => self.complain(&error),
            }
        }
        Ok(is_full && has_settled)
    }

    fn complain(&mut self, error: &Error) {
        metrics::counter!("callgate_settle_failures_total").increment(1);
        if self.complains_at <= Instant::now() {
            self.complains_at = Instant::now() + COMPLAINS_EVERY;
            tracing::error!(%error, "a pair cannot be settled; others are");
        }
    }

    /// Waits, and sees to the business numbers meanwhile.
    async fn wait(&mut self, until: Instant) {
        loop {
            let done = tokio::select! {
                biased;
                Some(done) = self.numbers.join_next() => done,
                () = sleep_until(until) => return,
            };
            match done {
                Ok((number, settled)) => {
                    self.under_way.remove(&number);
                    if let Err(error) = settled {
                        // It stays due.
                        tracing::warn!(%error, %number, "customers of a number are not settled yet");
                    }
                }
                // It panicked; which one is not known, and those still running are merely begun anew.
                Err(_) => self.under_way.clear(),
            }
        }
    }
}

async fn settle(gate: &Gate, due: Due, customer: Customer) -> Result<()> {
    let answer = gate.settle(Pair { number: due.number, customer }).await?;
    metrics::counter!("callgate_pairs_settled_total").increment(1);
    let late = Duration::from_millis(answer.reply.now.0.saturating_sub(due.at.0));
    metrics::histogram!("callgate_settle_late_seconds").record(late.as_secs_f64());
    Ok(())
}

/// All customers of a number, since its own settings have changed.
async fn settle_number(gate: Gate, due: Due) -> (PhoneNumberId, Result<()>) {
    let number = due.number.clone();
    (number, settle_all(&gate, &due).await)
}

async fn settle_all(gate: &Gate, due: &Due) -> Result<()> {
    let mut from = Some(String::new());
    while let Some(start) = from {
        let page = gate.store().customers(&due.number, &start).await?;
        let settle = |customer| {
            let pair = Pair { number: due.number.clone(), customer };
            async move { gate.settle(pair).await.map(drop) }
        };
        let settled: Vec<Result<()>> = stream::iter(page.customers)
            .map(settle)
            .buffer_unordered(OF_NUMBER_AT_ONCE)
            .collect()
            .await;
        metrics::counter!("callgate_pairs_settled_total").increment(settled.len() as u64);
        for error in settled.into_iter().filter_map(Result::err) {
            if error.passes() {
                return Err(error);
            }
            metrics::counter!("callgate_settle_failures_total").increment(1);
            tracing::error!(%error, number = %due.number, "a pair cannot be settled; others are");
        }
        from = page.next;
    }
    gate.store().settled(due).await
}
