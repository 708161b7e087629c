//! What is due by itself, and who looks for it.
//!
//! Partitions are looked after in a few groups, each by the gate that holds its lease. A lease only
//! saves work: what two gates settle is told once all the same, and a gate asks the store whether it
//! still has a lease each time before it looks, so that one that slept believes nothing stale.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use redis::{Value, cmd};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    engine::{
        Error, Result,
        pair::{Customer, PhoneNumberId},
        store::{CustomersPage, Due},
        time::{Millis, millis},
    },
    store::redis::{RedisStore, call::Call, script, typed, wire},
};

/// Groups of partitions.
const GROUPS: u16 = 8;
/// A lease that is not renewed ends after this long.
const LEASE: Duration = Duration::from_secs(3);
/// Who found a lease taken asks again when it would end, and up to this long after.
const JITTER: Duration = Duration::from_secs(1);
/// So much of a partition is asked for at once.
const DUE_MAX: usize = 1000;
/// Keys that one page of customers looks at.
const PAGE: usize = 1000;

/// This process among those that share the store.
#[derive(Debug)]
pub(super) struct Sweeper {
    id: String,
    /// When to ask for the lease of each group; past, where we had it the last time.
    ask_at: Mutex<Vec<Instant>>,
}

impl Sweeper {
    pub(super) fn new(partitions: u16) -> Self {
        let groups = groups(partitions).count();
        let id = Uuid::new_v4().simple().to_string();
        Self { id, ask_at: Mutex::new(vec![Instant::now(); groups]) }
    }

    fn asks_now(&self) -> Vec<usize> {
        let (ask_at, now) =
            (self.ask_at.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
        (0..ask_at.len()).filter(|group| ask_at[*group] <= now).collect()
    }

    /// Another has it for so long. The jitter keeps a thousand gates from asking all at once.
    fn ask_later(&self, group: usize, left: Duration) {
        let jitter = JITTER.mul_f64(f64::from(Uuid::new_v4().as_bytes()[0]) / 256.0);
        let mut ask_at = self.ask_at.lock().unwrap_or_else(PoisonError::into_inner);
        ask_at[group] = Instant::now() + left + jitter;
    }
}

/// The partitions of each group.
fn groups(partitions: u16) -> impl Iterator<Item = Vec<u16>> {
    let size = usize::from(partitions.div_ceil(GROUPS).max(1));
    let all: Vec<u16> = (0..partitions).collect();
    all.chunks(size).map(<[u16]>::to_vec).collect::<Vec<_>>().into_iter()
}

/// What a sweep found in one partition.
struct Swept {
    partition: u16,
    is_erasing: bool,
    due: Vec<(String, Millis)>,
}

impl RedisStore {
    pub(super) async fn all_due(&self, limit: usize) -> Result<Vec<Due>> {
        let groups: Vec<Vec<u16>> = groups(self.keys.partitions()).collect();
        let (ours, mut failed) = self.lease(&groups).await;
        let sweeps = ours.iter().flat_map(|group| {
            let at_once = if self.link.is_cluster() { 1 } else { groups[*group].len() };
            groups[*group].chunks(at_once).map(|some| self.sweep(some, limit.min(DUE_MAX)))
        });
        let (mut due, mut has_answer) = (Vec::new(), false);
        for swept in join_all(sweeps).await {
            match swept {
                Ok(found) => {
                    due.extend(found);
                    has_answer = true;
                }
                Err(error) => failed = Some(error),
            }
        }
        due.sort_by_key(|due| due.at);
        due.truncate(limit);
        match failed {
            Some(error) if is_away(&error) && has_answer => Ok(due),
            Some(error) if due.is_empty() => Err(error),
            _ => Ok(due),
        }
    }

    /// The groups that we are to look after now, and what went wrong with others.
    async fn lease(&self, groups: &[Vec<u16>]) -> (Vec<usize>, Option<Error>) {
        let asked = self.sweeper.asks_now();
        let at_once = if self.link.is_cluster() { 1 } else { asked.len().max(1) };
        let leases = asked.chunks(at_once).map(|asked| {
            let firsts: Vec<u16> = asked.iter().map(|group| groups[*group][0]).collect();
            let keys = firsts.iter().map(|first| self.keys.sweeper(*first)).collect();
            let args = vec![self.sweeper.id.clone().into(), millis(LEASE).to_string().into()];
            let call = Call::Script { script: &script::LEASE, keys, args };
            // Everybody waits for it: no longer than for a decision, also where a master is away.
            async move { (asked, self.call::<Vec<u64>>(firsts.first().copied(), call).await) }
        });
        let (mut ours, mut failed) = (Vec::new(), None);
        for (asked, answer) in join_all(leases).await {
            match answer {
                Ok(left) => {
                    for (group, left) in std::iter::zip(asked, left) {
                        match left {
                            0 => ours.push(*group),
                            left => self.sweeper.ask_later(*group, Duration::from_millis(left)),
                        }
                    }
                }
                Err(error) => {
                    // In a cluster the lease may be on a master that is away, and partitions of the
                    // group on others that are not: then everybody looks after it, now and then.
                    if self.link.is_cluster() && is_away(&error) {
                        for group in asked {
                            self.sweeper.ask_later(*group, LEASE);
                            ours.push(*group);
                        }
                    }
                    failed = Some(error);
                }
            }
        }
        (ours, failed)
    }

    async fn sweep(&self, partitions: &[u16], limit: usize) -> Result<Vec<Due>> {
        let mut due = Vec::new();
        for Swept { partition, is_erasing, due: found } in self.ask_due(partitions, limit).await? {
            if is_erasing {
                self.erase_piece(partition).await?;
            }
            for (member, at) in found {
                match due_of(&member, at) {
                    Some(one) => due.push(one),
                    None => self.drop_unreadable(partition, &member).await?,
                }
            }
        }
        Ok(due)
    }

    async fn ask_due(&self, partitions: &[u16], limit: usize) -> Result<Vec<Swept>> {
        let keys = partitions.iter().flat_map(|partition| {
            let log = self.keys.log(*partition);
            let [due, erasing] = [self.keys.due(*partition), self.keys.erasing(*partition)];
            [log.changes, log.marks, log.erased, due, erasing]
        });
        let mut args = vec![limit.to_string().into_bytes()];
        args.extend(wire::limits(self.limits));
        let call = Call::Script { script: &script::SWEEP, keys: keys.collect(), args };
        let answers: Vec<Value> = self.bulk(partitions.first().copied(), call).await?;
        let swept = std::iter::zip(partitions, answers).map(|(partition, answer)| {
            let mut words = typed::<Vec<String>>(answer)?.into_iter();
            let is_erasing = words.next().is_some_and(|word| word == "1");
            let mut due = Vec::new();
            while let (Some(member), Some(at)) = (words.next(), words.next()) {
                due.push((member, wire::score(&at)?));
            }
            Ok(Swept { partition: *partition, is_erasing, due })
        });
        swept.collect()
    }

    /// It would be due for ever.
    async fn drop_unreadable(&self, partition: u16, member: &str) -> Result<()> {
        // It may hold a customer's id.
        tracing::error!(partition, "a deadline names nobody, it is dropped");
        let key = self.keys.due(partition);
        let drop = Call::Plain(cmd("ZREM").arg(key).arg(member).to_owned());
        self.bulk(Some(partition), drop).await
    }

    pub(super) async fn drop_due(&self, due: &Due) -> Result<()> {
        let of = self.keys.of(&due.number);
        let ids = due.customer.as_ref().map_or_else(|| vec![String::new()], Customer::keys);
        for id in ids {
            let args = vec![format!("{}:{id}", due.number).into(), due.at.0.to_string().into()];
            let call = Call::Script { script: &script::SETTLED, keys: vec![of.due.clone()], args };
            self.call::<()>(Some(of.partition), call).await?;
        }
        Ok(())
    }

    pub(super) async fn page_of_customers(
        &self,
        number: &PhoneNumberId,
        from: &str,
    ) -> Result<CustomersPage> {
        let of = self.keys.of(number);
        let pattern = format!("{}*", literally(&of.pair));
        let args = vec![from.into(), pattern.into(), PAGE.to_string().into()];
        let call =
            Call::Script { script: &script::CUSTOMERS, keys: vec![of.numbers, of.never], args };
        let mut answer = self.bulk::<Vec<String>>(Some(of.partition), call).await?.into_iter();
        let next = answer.next().filter(|next| !next.is_empty());
        let customers = answer.filter_map(|key| {
            let customer = Customer::kept(key.strip_prefix(&of.pair)?);
            if customer.is_err() {
                tracing::error!(%number, "a record is nobody's, it is left out");
            }
            customer.ok()
        });
        Ok(CustomersPage { customers: customers.collect(), next })
    }
}

fn is_away(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::DeadlineExceeded(_))
}

fn due_of(member: &str, at: Millis) -> Option<Due> {
    let (number, id) = member.split_once(':')?;
    let number = PhoneNumberId::parse(number, "number").ok()?;
    let customer = if id.is_empty() { None } else { Some(Customer::kept(id).ok()?) };
    Some(Due { number, customer, at })
}

/// For a pattern: matches itself alone.
pub(super) fn literally(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_in_one_group() {
        for partitions in [1, 2, 7, 8, 9, 16, 63, 64, 65, 1024] {
            let groups: Vec<Vec<u16>> = groups(partitions).collect();
            assert!(groups.len() <= usize::from(GROUPS), "{partitions}");
            assert_eq!(groups.concat(), (0..partitions).collect::<Vec<_>>());
        }
        assert_eq!(groups(64).nth(1).unwrap(), (8..16).collect::<Vec<_>>());
    }

    #[test]
    fn a_deadline_names_a_pair_or_a_number() {
        let due = |member| due_of(member, Millis(7));
        let pair = due("100:15550199001").unwrap();
        assert_eq!(pair.customer.unwrap().wa().unwrap().key(), "15550199001");
        let user = due("100:US.1000").unwrap();
        assert_eq!(user.customer.unwrap().user().unwrap().as_str(), "US.1000");
        assert_eq!(due("100:").unwrap().customer, None);
        for wrong in ["", "100", ":", "x:15550199001", "100:15550199001:", "100:5511987654321"] {
            assert_eq!(due(wrong), None, "{wrong}");
        }
    }
}
