//! Who is told what: the hub's index from a change to the subscribers whose filter it matches, so
//! that a change costs as much as it has listeners, not as there are subscribers.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use tokio::sync::mpsc;

use super::{
    filter::{Filter, Wanted},
    hub::Routed,
};
use crate::engine::change::Change;

/// A subscriber's place at the hub.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) filter: Arc<Filter>,
    pub(super) partitions: Arc<[u16]>,
    /// Dropped when its place is taken away: then the subscriber reads the log by itself.
    pub(super) queue: mpsc::Sender<Arc<Routed>>,
}

type Ids = BTreeSet<u64>;

/// All who listen.
#[derive(Debug, Default)]
pub(super) struct Routes {
    seats: HashMap<u64, Seat>,
    of_all: Ids,
    by_number: HashMap<Arc<str>, Ids>,
    by_pair: HashMap<Arc<str>, HashMap<Arc<str>, Ids>>,
    /// How many listen to a partition.
    by_partition: BTreeMap<u16, usize>,
    /// Kept for its memory.
    matched: Vec<u64>,
}

impl Routes {
    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// The partitions to which anybody listens.
    pub(super) fn partitions(&self) -> impl Iterator<Item = u16> {
        self.by_partition.keys().copied()
    }

    pub(super) fn listens_to(&self, partition: u16) -> bool {
        self.by_partition.contains_key(&partition)
    }

    pub(super) fn add(&mut self, id: u64, seat: Seat) {
        match seat.filter.wanted() {
            Wanted::All => {
                self.of_all.insert(id);
            }
            Wanted::Numbers(numbers) => {
                for number in numbers {
                    self.by_number.entry(Arc::clone(number)).or_default().insert(id);
                }
            }
            Wanted::Pairs(pairs) => {
                for (number, customers) in pairs {
                    let of_number = self.by_pair.entry(Arc::clone(number)).or_default();
                    for customer in customers {
                        of_number.entry(Arc::clone(customer)).or_default().insert(id);
                    }
                }
            }
        }
        for partition in &*seat.partitions {
            *self.by_partition.entry(*partition).or_default() += 1;
        }
        self.seats.insert(id, seat);
    }

    /// Takes a place away; one that is gone already is no matter.
    pub(super) fn remove(&mut self, id: u64) {
        let Some(seat) = self.seats.remove(&id) else { return };
        match seat.filter.wanted() {
            Wanted::All => {
                self.of_all.remove(&id);
            }
            Wanted::Numbers(numbers) => {
                for number in numbers {
                    remove(&mut self.by_number, number, |ids| leave(ids, id));
                }
            }
            Wanted::Pairs(pairs) => {
                for (number, customers) in pairs {
                    remove(&mut self.by_pair, number, |of_number| {
                        for customer in customers {
                            remove(of_number, customer, |ids| leave(ids, id));
                        }
                        of_number.is_empty()
                    });
                }
            }
        }
        for partition in &*seat.partitions {
            if let Some(count) = self.by_partition.get_mut(partition) {
                *count -= 1;
                if *count == 0 {
                    self.by_partition.remove(partition);
                }
            }
        }
    }

    /// Takes away all places from which this partition is listened to.
    pub(super) fn remove_all_of(&mut self, partition: u16) {
        let listen = |seat: &Seat| seat.partitions.binary_search(&partition).is_ok();
        let ids: Vec<u64> =
            self.seats.iter().filter(|(_, seat)| listen(seat)).map(|(id, _)| *id).collect();
        for id in ids {
            self.remove(id);
        }
    }

    /// Lets `tell` tell everyone whom the change concerns, each once. It says whether the subscriber
    /// keeps its place.
    pub(super) fn each(&mut self, change: &Change, mut tell: impl FnMut(&Seat) -> bool) {
        let mut matched = std::mem::take(&mut self.matched);
        matched.extend(&self.of_all);
        matched.extend(self.by_number.get(change.number.as_str()).into_iter().flatten());
        if let Some(of_number) = self.by_pair.get(change.number.as_str()) {
            let told_before = matched.len();
            for customer in [&change.wa, &change.user] {
                matched.extend(of_number.get(customer.as_str()).into_iter().flatten());
            }
            // Who named both ids of one customer is there twice.
            matched[told_before..].sort_unstable();
            matched.dedup();
        }
        for id in matched.drain(..) {
            if self.seats.get(&id).is_some_and(|seat| !tell(seat)) {
                self.remove(id);
            }
        }
        self.matched = matched;
    }
}

fn leave(ids: &mut Ids, id: u64) -> bool {
    ids.remove(&id);
    ids.is_empty()
}

/// Removes what `empties` has emptied.
fn remove<V>(map: &mut HashMap<Arc<str>, V>, key: &Arc<str>, empties: impl FnOnce(&mut V) -> bool) {
    if map.get_mut(key).is_some_and(empties) {
        map.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pair::{Pair, PhoneNumberId};

    fn numbers(digits: &[&str]) -> Filter {
        let numbers: Vec<_> =
            digits.iter().map(|digits| PhoneNumberId::parse(digits, "").unwrap()).collect();
        Filter::new(&numbers, vec![]).unwrap()
    }

    fn pairs(ids: &[(&str, &str, &str)]) -> Filter {
        let pairs = ids.iter().map(|(n, wa, user)| Pair::parse(n, wa, user, "").unwrap());
        Filter::new(&[], pairs.collect()).unwrap()
    }

    fn routes(filters: Vec<Filter>) -> Routes {
        let mut routes = Routes::default();
        for (id, filter) in (0..).zip(filters) {
            let partitions = filter.partitions(64);
            let (queue, _) = mpsc::channel(1);
            routes.add(id, Seat { filter: Arc::new(filter), partitions, queue });
        }
        routes
    }

    fn told(routes: &mut Routes, number: &str, wa: &str, user: &str) -> Vec<u64> {
        let [number, wa, user] = [number, wa, user].map(str::to_owned);
        let change = Change { number, wa, user, ..Change::default() };
        let mut queues = Vec::new();
        routes.each(&change, |seat| {
            queues.push(seat.queue.clone());
            true
        });
        let id_of = |queue: &mpsc::Sender<_>| {
            *routes.seats.iter().find(|(_, seat)| seat.queue.same_channel(queue)).unwrap().0
        };
        let mut ids: Vec<u64> = queues.iter().map(id_of).collect();
        ids.sort_unstable();
        ids
    }

    fn some() -> Routes {
        routes(vec![
            Filter::all(),
            numbers(&["1", "2"]),
            pairs(&[("1", "15550142001", "US.1"), ("1", "15550142002", "")]),
            pairs(&[("2", "", "US.1")]),
        ])
    }

    #[test]
    fn a_change_reaches_each_whom_it_concerns_once() {
        let mut routes = some();
        assert_eq!(told(&mut routes, "1", "15550142001", "US.1"), [0, 1, 2]);
        assert_eq!(told(&mut routes, "1", "", "US.1"), [0, 1, 2]);
        assert_eq!(told(&mut routes, "1", "15550142002", ""), [0, 1, 2]);
        assert_eq!(told(&mut routes, "2", "15550142001", "US.1"), [0, 1, 3]);
        assert_eq!(told(&mut routes, "3", "15550142001", "US.1"), [0]);
    }

    #[test]
    fn who_is_gone_is_told_nothing_and_leaves_nothing_behind() {
        let mut routes = some();
        let change =
            Change { number: "1".to_owned(), wa: "15550142001".to_owned(), ..Change::default() };
        routes.each(&change, |seat| !seat.filter.pairs().is_empty());
        assert_eq!(told(&mut routes, "1", "15550142001", ""), [2]);
        for id in 0..4 {
            routes.remove(id);
            routes.remove(id);
        }
        assert!(routes.is_empty() && routes.partitions().next().is_none());
        assert!(
            routes.of_all.is_empty() && routes.by_number.is_empty() && routes.by_pair.is_empty()
        );
    }

    #[test]
    fn a_partition_is_listened_to_while_anybody_does() {
        let mut routes = routes(vec![numbers(&["1"]), pairs(&[("1", "15550142001", "")])]);
        let one = routes.partitions().collect::<Vec<_>>();
        assert_eq!(one.len(), 1);
        routes.remove(0);
        assert!(routes.listens_to(one[0]));
        routes.remove_all_of(one[0]);
        assert!(!routes.listens_to(one[0]) && routes.is_empty());
    }
}
