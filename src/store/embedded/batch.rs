//! What the steps of one commit have written so far. A step sees what the steps before it wrote, and
//! leaves nothing behind unless it is accepted.

use std::collections::{BTreeSet, HashMap};

use super::{
    key::Key,
    kv::{Kv, Pen, View},
    value::Stored,
};
use crate::engine::{Error, Result, time::Millis};

/// Where the law's host reads and writes.
pub(super) trait Space {
    /// The payload, unless there is none or it is over.
    fn get(&self, key: &[u8], now: Millis) -> Result<Option<Vec<u8>>>;

    /// Writes.
    fn put(&mut self, key: Key, stored: Stored) -> Result<()>;

    /// Removes.
    fn remove(&mut self, key: Key) -> Result<()>;

    /// The change log of this partition has grown.
    fn note_news(&mut self, partition: u16);
}

/// The writes of one commit.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    kv: &'a Kv,
    accepted: HashMap<Key, Option<Stored>>,
    step: HashMap<Key, Option<Stored>>,
    accepted_news: BTreeSet<u16>,
    step_news: BTreeSet<u16>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(kv: &'a Kv) -> Self {
        Self {
            kv,
            accepted: HashMap::new(),
            step: HashMap::new(),
            accepted_news: BTreeSet::new(),
            step_news: BTreeSet::new(),
        }
    }

    /// The step at hand stands.
    pub(super) fn accept(&mut self) {
        self.accepted.extend(self.step.drain());
        self.accepted_news.append(&mut self.step_news);
    }

    /// The step at hand never was.
    pub(super) fn discard(&mut self) {
        self.step.clear();
        self.step_news.clear();
    }

    /// The partitions whose change logs have grown, after a commit.
    pub(super) fn news(&self) -> impl Iterator<Item = u16> {
        self.accepted_news.iter().copied()
    }

    /// For scans, by a step that is alone in its commit.
    pub(super) fn view(&self) -> Result<View<'a>> {
        self.kv.view()
    }

    /// Writes what was accepted, if anything.
    pub(super) fn commit(&mut self, pen: &mut Pen) -> Result<()> {
        self.step.clear();
        if self.accepted.is_empty() { Ok(()) } else { self.kv.commit(pen, self.accepted.drain()) }
    }
}

impl Space for Batch<'_> {
    fn get(&self, key: &[u8], now: Millis) -> Result<Option<Vec<u8>>> {
        let staged = self.step.get(key).or_else(|| self.accepted.get(key));
        let stored = match staged {
            Some(staged) => staged.clone(),
            None => self.kv.get(key)?,
        };
        Ok(alive(stored, now))
    }

    fn put(&mut self, key: Key, stored: Stored) -> Result<()> {
        self.step.insert(key, Some(stored));
        Ok(())
    }

    fn remove(&mut self, key: Key) -> Result<()> {
        self.step.insert(key, None);
        Ok(())
    }

    fn note_news(&mut self, partition: u16) {
        self.step_news.insert(partition);
    }
}

impl Space for View<'_> {
    fn get(&self, key: &[u8], now: Millis) -> Result<Option<Vec<u8>>> {
        Ok(alive(View::get(self, key)?, now))
    }

    fn put(&mut self, _key: Key, _stored: Stored) -> Result<()> {
        Err(read_only())
    }

    fn remove(&mut self, _key: Key) -> Result<()> {
        Err(read_only())
    }

    fn note_news(&mut self, _partition: u16) {}
}

fn read_only() -> Error {
    Error::Internal("a read tried to write".to_owned())
}

fn alive(stored: Option<Stored>, now: Millis) -> Option<Vec<u8>> {
    stored.filter(|stored| !stored.is_over(now)).map(|stored| stored.payload)
}
