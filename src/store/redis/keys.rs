//! The key table: every key that callgate writes to Redis is named here.
//!
//! | key | type | what |
//! |---|---|---|
//! | `callgate:{p07}:pair:<number>:<id>` | STRING | facts of a pair, under one id of the customer |
//! | `callgate:{p07}:number:<number>` | STRING | facts of a business number |
//! | `callgate:{p07}:numbers` | SET | the business numbers of the partition |
//! | `callgate:{p07}:changes` | STREAM | the change log: one field `c`, a change as `codec.lua` packs it |
//! | `callgate:{p07}:log` | HASH | `trimmed`: the newest entry that age or length has trimmed |
//! | `callgate:{p07}:erased` | ZSET | entries of forgotten customers that are gone: id -> its milliseconds |
//! | `callgate:{p07}:erasing` | LIST | erasures of the log under way: whose, from where, until where |
//! | `callgate:{p07}:due` | ZSET | `<number>:<id>` -> when time alone changes the pair; `<number>:`: all of them |
//! | `callgate:{p08}:sweeper` | STRING | which gate looks for what is due in this partition and its neighbours |
//! | `callgate:{p07}:forgotten:<hex>` | STRING | when a customer was erased (a keyed hash names them) |
//! | `callgate:{p07}:quarantine`, `…:times` | HASH, ZSET | webhooks kept aside: by id, by time |
//! | `callgate:{unfiled}:quarantine`, `…:times` | HASH, ZSET | those that name no business number |
//! | `callgate:display:<digits>` | HASH | id of a display number, or the facts that wait for it |
//! | `callgate:meta` | HASH | schema version, number of partitions, key of the tombstones |
//! | `callgate:{p07}:never` | none | never written: see [`NumberKeys::never`] |
//! | `…{…}:barrier` | STRING | what WAIT waits for, in the slot of the key that was written |
//!
//! The part in braces is the hash tag: all keys of a partition share a cluster slot, so that one
//! script reads and writes them together. `callgate` is the prefix, which tests change.

use crate::engine::{archive::hash_of, pair::PhoneNumberId, store::partition_of};

/// Written before a WAIT: in the slot of this key, and with its front, by which a user of an ACL may write.
pub(super) fn barrier(key: &str) -> String {
    let braced =
        key.split_once('{').and_then(|(front, rest)| Some((front, rest.split_once('}')?.0)));
    match braced {
        Some((front, tag)) => format!("{front}{{{tag}}}:barrier"),
        None => format!("{key}:{{{key}}}:barrier"),
    }
}

/// Names keys.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
    partitions: u16,
}

/// The keys of one partition's change log.
#[derive(Debug, Clone)]
pub(super) struct LogKeys {
    pub(super) changes: String,
    pub(super) marks: String,
    pub(super) erased: String,
}

/// The keys of one business number.
#[derive(Debug)]
pub(super) struct NumberKeys {
    pub(super) partition: u16,
    pub(super) log: LogKeys,
    pub(super) due: String,
    pub(super) number: String,
    pub(super) numbers: String,
    /// Never there. A script that reads keys which follow from what is stored declares it as well.
    /// While a slot moves to another node of a cluster, key by key, a command runs on either node if
    /// all declared keys are there; those that it reads beside them would just look missing, and with
    /// them a no of the customer. With this one declared it runs on neither.
    pub(super) never: String,
    /// Followed by an id of the customer, the key of a record.
    pub(super) pair: String,
    forgotten: String,
}

impl Keys {
    pub(super) fn new(prefix: impl Into<String>, partitions: u16) -> Self {
        Self { prefix: prefix.into(), partitions }
    }

    pub(super) fn partitions(&self) -> u16 {
        self.partitions
    }

    /// Places that may be away while others are not: in a cluster each partition, and the rest.
    pub(super) fn spots(&self, is_cluster: bool) -> usize {
        if is_cluster { usize::from(self.partitions) + 1 } else { 1 }
    }

    pub(super) fn of(&self, number: &PhoneNumberId) -> NumberKeys {
        let partition = partition_of(number, self.partitions);
        let home = self.home(partition);
        NumberKeys {
            partition,
            log: self.log(partition),
            due: self.due(partition),
            number: format!("{home}:number:{number}"),
            numbers: format!("{home}:numbers"),
            never: self.never(partition),
            pair: format!("{home}:pair:{number}:"),
            forgotten: format!("{home}:forgotten:"),
        }
    }

    /// See [`NumberKeys::never`].
    pub(super) fn never(&self, partition: u16) -> String {
        format!("{}:never", self.home(partition))
    }

    pub(super) fn numbers(&self, partition: u16) -> String {
        format!("{}:numbers", self.home(partition))
    }

    pub(super) fn log(&self, partition: u16) -> LogKeys {
        let home = self.home(partition);
        LogKeys {
            changes: self.changes(partition),
            marks: format!("{home}:log"),
            erased: format!("{home}:erased"),
        }
    }

    pub(super) fn changes(&self, partition: u16) -> String {
        format!("{}:changes", self.home(partition))
    }

    /// The partition of a key that [`Keys::changes`] named.
    pub(super) fn partition_of_changes(&self, key: &str) -> Option<u16> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix(":{p")?;
        rest.strip_suffix("}:changes")?.parse().ok()
    }

    pub(super) fn erasing(&self, partition: u16) -> String {
        format!("{}:erasing", self.home(partition))
    }

    pub(super) fn due(&self, partition: u16) -> String {
        format!("{}:due", self.home(partition))
    }

    pub(super) fn sweeper(&self, partition: u16) -> String {
        format!("{}:sweeper", self.home(partition))
    }

    /// Written and removed to see whether that is allowed.
    pub(super) fn probe(&self) -> String {
        format!("{}:probe", self.home(0))
    }

    /// By id, and by time. `None`: the quarantine of what names no business number.
    pub(super) fn quarantine(&self, partition: Option<u16>) -> [String; 2] {
        let home = match partition {
            Some(partition) => self.home(partition),
            None => format!("{}:{{unfiled}}", self.prefix),
        };
        [format!("{home}:quarantine"), format!("{home}:quarantine:times")]
    }

    pub(super) fn display(&self, digits: &str) -> String {
        format!("{}:display:{digits}", self.prefix)
    }

    pub(super) fn meta(&self) -> String {
        format!("{}:meta", self.prefix)
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The tombstone of a hash in a partition, see [`NumberKeys::forgotten`].
    pub(super) fn forgotten(&self, partition: u16, hash: &[u8]) -> String {
        format!("{}:forgotten:{}", self.home(partition), hex::encode(hash))
    }

    /// Partition and hash of a tombstone.
    pub(super) fn forgotten_parts(&self, key: &str) -> Option<(u16, Vec<u8>)> {
        let (partition, rest) = self.in_partition(key)?;
        let hash = rest.strip_prefix("forgotten:")?;
        Some((partition, hex::decode(hash).ok()?))
    }

    /// Business number and id of a record.
    pub(super) fn record_parts(&self, key: &str) -> Option<(PhoneNumberId, String)> {
        let (partition, rest) = self.in_partition(key)?;
        let (number, id) = rest.strip_prefix("pair:")?.split_once(':')?;
        let number = PhoneNumberId::parse(number, "number").ok()?;
        (self.of(&number).partition == partition).then(|| (number, id.to_owned()))
    }

    /// The digits of a display number.
    pub(super) fn display_digits<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.prefix)?.strip_prefix(":display:")
    }

    /// The partition of a key, and what follows.
    fn in_partition<'a>(&self, key: &'a str) -> Option<(u16, &'a str)> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix(":{p")?;
        let (partition, rest) = rest.split_once("}:")?;
        Some((partition.parse().ok()?, rest))
    }

    fn home(&self, partition: u16) -> String {
        format!("{}:{{p{partition:02}}}", self.prefix)
    }
}

impl NumberKeys {
    /// The tombstone of a customer: without the store's key nobody can tell whose it is.
    pub(super) fn forgotten(&self, secret: &[u8], number: &PhoneNumberId, id: &str) -> String {
        format!("{}{}", self.forgotten, hex::encode(hash_of(secret, number, id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_number_share_a_slot() {
        let number = PhoneNumberId::parse("436666719526789", "number").unwrap();
        let keys = Keys::new("callgate", 64);
        let of = keys.of(&number);
        let forgotten = of.forgotten(b"key", &number, "15550199001");
        let log = [of.log.changes, of.log.marks, of.log.erased, of.due];
        let all = [[of.number, of.numbers, of.pair, forgotten], log].concat();
        insta::assert_snapshot!(all.join("\n"), @r#"
        callgate:{p48}:number:436666719526789
        callgate:{p48}:numbers
        callgate:{p48}:pair:436666719526789:
        callgate:{p48}:forgotten:35ec2423598d0d30d441d03bb025ee40b3a55044cc2f23e1a36aa3253e0b7ba7
        callgate:{p48}:changes
        callgate:{p48}:log
        callgate:{p48}:erased
        callgate:{p48}:due
        "#);
    }
}
