//! Who keeps what in a cluster, by the word of each master itself: what another node believes of it,
//! or our own client, may be old.

use redis::{cluster_routing::Slot, cmd};

use crate::{
    engine::{Error, Result},
    store::redis::{RedisStore, asked},
};

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// What a master says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Master {
    /// First and last of each range of slots, in order.
    ranges: Vec<(u16, u16)>,
    id: String,
    /// Of its newest change: also tells of a slot that went away and came back.
    epoch: u64,
}

/// All masters at one time, by their first slots. Two that are equal: what was kept by one of them was
/// kept by no other in between.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Masters {
    all: Vec<Master>,
}

impl RedisStore {
    /// All masters of a cluster; none, where there is one server.
    ///
    /// # Errors
    /// `Unavailable` while slots move: keys may be here or there, and are seen at neither place by who
    /// looks through one master after the other.
    pub(super) async fn masters(&self) -> Result<Masters> {
        if !self.link.is_cluster() {
            return Ok(Masters { all: Vec::new() });
        }
        let nodes = cmd("CLUSTER").arg("NODES").to_owned();
        let answers = self.link.everywhere(nodes, self.patience.call).await;
        let answers: Vec<String> = asked(answers.map_err(Error::from)).map_err(with_rights)?;
        Masters::read(&answers)
    }
}

impl Masters {
    /// From what each of them answers to CLUSTER NODES.
    fn read(answers: &[String]) -> Result<Self> {
        let mut all =
            answers.iter().map(|nodes| Master::read(nodes)).collect::<Result<Vec<_>>>()?;
        all.retain(|master| !master.ranges.is_empty());
        all.sort_by(|one, other| one.ranges.cmp(&other.ranges));
        let mut ranges: Vec<_> = all.iter().flat_map(|master| master.ranges.clone()).collect();
        ranges.sort_unstable();
        let mut next = 0;
        for (first, last) in ranges {
            if first != next {
                return Err(Error::Unavailable(format!(
                    "slot {} of the cluster has no master, or two: redis-cli --cluster check tells, \
                     and fix mends it",
                    next.min(first)
                )));
            }
            next = last + 1;
        }
        if next == SLOTS {
            return Ok(Self { all });
        }
        Err(Error::Unavailable(format!(
            "slot {next} of the cluster has no master: redis-cli --cluster check tells, and fix mends \
             it"
        )))
    }

    /// A key for each master, in a slot of its own.
    pub(super) fn keys(&self, prefix: &str) -> Vec<String> {
        if self.all.is_empty() {
            return vec![format!("{prefix}:{{0}}")];
        }
        let key = |master: &Master| {
            let first = master.ranges.first().and_then(|(first, _)| Slot::new(*first));
            let is_in = |key: &String| Some(Slot::for_key(key.as_bytes())) == first;
            let named = |n: u32| format!("{prefix}:{{{n}}}");
            (0..).map(named).find(is_in).unwrap_or_default()
        };
        self.all.iter().map(key).collect()
    }
}

impl Master {
    /// `id address flags master pinged ponged epoch link slots…`, of the node that answers; of slots that
    /// it gives away or takes over, `[93->-id]` and `[93-<-id]`.
    fn read(nodes: &str) -> Result<Self> {
        let words = nodes.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let is_itself = |words: &Vec<&str>| {
            words.get(2).is_some_and(|flags| flags.split(',').any(|flag| flag == "myself"))
        };
        let words = words.into_iter().find(is_itself).ok_or_else(another_answer)?;
        let [id, _, _, _, _, _, epoch, _, slots @ ..] = &words[..] else {
            return Err(another_answer());
        };
        if slots.iter().any(|slot| slot.starts_with('[')) {
            return Err(Error::Unavailable(
                "slots of the cluster move from one master to another: repeat when that is done; where \
                 nobody moves any, redis-cli --cluster check tells which were left half-way, and fix \
                 mends it"
                    .to_owned(),
            ));
        }
        let range = |range: &&str| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some((first.parse().ok()?, last.parse().ok().filter(|last| *last < SLOTS)?))
        };
        let ranges: Option<Vec<(u16, u16)>> = slots.iter().map(range).collect();
        let mut ranges = ranges.ok_or_else(another_answer)?;
        ranges.sort_unstable();
        let epoch = epoch.parse().map_err(|_| another_answer())?;
        Ok(Self { ranges, id: (*id).to_owned(), epoch })
    }
}

/// Nothing but this takes the right to ask for it.
fn with_rights(error: Error) -> Error {
    match error {
        Error::Unavailable(why) if why.contains("NOPERM") => {
            Error::Unavailable(format!("{why}; docs/redis.md has the ACL rule that callgate needs"))
        }
        other => other,
    }
}

fn another_answer() -> Error {
    Error::Internal("redis: CLUSTER NODES answers something else".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, flags: &str, epoch: u64, slots: &str) -> String {
        format!("{id} 127.0.0.1:7000@17000 {flags} - 0 1426238316232 {epoch} connected{slots}\n")
    }

    /// What a master with these slots answers, beside what it believes of another.
    fn answer(id: &str, epoch: u64, slots: &str) -> String {
        node("other", "master", 1, " 0-16383") + &node(id, "myself,master", epoch, slots)
    }

    fn read(answers: &[String]) -> std::result::Result<Masters, String> {
        Masters::read(answers).map_err(|error| error.to_string())
    }

    #[test]
    fn each_master_is_known_by_what_it_says_of_itself() {
        let [a, b] = [answer("a", 1, " 0-5000 7000"), answer("b", 2, " 5001-6999 7001-16383")];
        let before = read(&[b.clone(), a.clone()]).unwrap();
        assert_eq!(before.all.iter().map(|master| &*master.id).collect::<Vec<_>>(), ["a", "b"]);
        let keys = before.keys("gate");
        let slots = keys.iter().map(|key| Slot::for_key(key.as_bytes()));
        assert!(slots.eq([0, 5001].map(|slot| Slot::new(slot).unwrap())), "{keys:?}");
        let idle = answer("idle", 3, "");
        assert_eq!(read(&[a.clone(), idle, b.clone()]).as_ref(), Ok(&before), "it keeps nothing");

        for after in [
            [answer("a", 1, " 0-5000 7000-7001"), answer("b", 2, " 5001-6999 7002-16383")],
            [a.clone(), answer("b", 3, " 5001-6999 7001-16383")],
            [a.clone(), answer("c", 2, " 5001-6999 7001-16383")],
        ] {
            assert_ne!(read(&after).unwrap(), before, "{after:?}");
        }
    }

    #[test]
    fn what_is_between_two_masters_or_at_none_is_refused() {
        let (a, b) = (" 0-5000", " 5001-16383");
        let refused = |a: &str, b: &str| read(&[answer("a", 1, a), answer("b", 2, b)]).unwrap_err();
        for (a, b) in [(" 0-5000 [5000->-b]", b), (a, " 5001-16383 [5000-<-a]")] {
            assert!(refused(a, b).contains("move from one master to another"));
        }
        for (a, b, slot) in [
            (" 0-4999", b, "slot 5000 "),
            (" 0-5001", b, "slot 5001 "),
            (" 0-16383", b, "slot 5001 "),
            (a, " 5001-16382", "slot 16383 "),
            (" 1-5000", b, "slot 0 "),
            ("", "", "slot 0 "),
        ] {
            let why = refused(a, b);
            assert!(why.contains(slot) && why.contains("--cluster check"), "{why}");
        }
        for other in ["", "a\n", &node("a", "master", 1, " 0-16383"), &answer("a", 1, " 0-16384")] {
            let error = Masters::read(&[other.to_owned()]).unwrap_err();
            assert!(matches!(error, Error::Internal(_)), "{other}: {error}");
        }
    }
}
