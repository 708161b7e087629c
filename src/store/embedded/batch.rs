//! What the steps of one commit have written so far. A step sees what the steps before it wrote, and
//! leaves nothing behind unless it is accepted.

use std::collections::HashMap;

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
}

/// The writes of one commit.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    kv: &'a Kv,
    accepted: HashMap<Key, Option<Stored>>,
    step: HashMap<Key, Option<Stored>>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(kv: &'a Kv) -> Self {
        Self { kv, accepted: HashMap::new(), step: HashMap::new() }
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.step.insert(key, None);
    }

    /// The step at hand stands.
    pub(super) fn accept(&mut self) {
        self.accepted.extend(self.step.drain());
    }

    /// The step at hand never was.
    pub(super) fn discard(&mut self) {
        self.step.clear();
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
}

impl Space for View<'_> {
    fn get(&self, key: &[u8], now: Millis) -> Result<Option<Vec<u8>>> {
        Ok(alive(View::get(self, key)?, now))
    }

    fn put(&mut self, _key: Key, _stored: Stored) -> Result<()> {
        Err(Error::Internal("a read tried to write".to_owned()))
    }
}

fn alive(stored: Option<Stored>, now: Millis) -> Option<Vec<u8>> {
    stored.filter(|stored| !stored.is_over(now)).map(|stored| stored.payload)
}
