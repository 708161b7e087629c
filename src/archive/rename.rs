//! What becomes of ids where a store that is under further keys takes them in: each is hashed once more,
//! by these. Nobody needs to know the ids for it.

use crate::{
    archive::{
        facts::Record,
        line::{Line, QuarantinedLine},
    },
    engine::{
        Result,
        pseudonym::{Fingerprints, Keys},
        seal,
        store::Quarantined,
    },
};

/// The way from the keys of a file to those of a store.
#[derive(Debug)]
pub(super) struct Rename {
    all: Keys,
    further: Keys,
    /// Of all.
    fingerprints: Fingerprints,
}

impl Rename {
    /// From the keys with these fingerprints to `all`; `Some(None)` if these are all, `None` if `all`
    /// does not begin with them.
    pub(super) fn new(all: &Keys, known: &Fingerprints) -> Option<Option<Self>> {
        let fingerprints = all.fingerprints();
        if fingerprints == *known {
            return Some(None);
        }
        let further = all.beyond(known)?;
        Some(Some(Self { all: all.clone(), further, fingerprints }))
    }

    /// Under which keys ids are then.
    pub(super) fn fingerprints(&self) -> &Fingerprints {
        &self.fingerprints
    }

    /// A line as the store is to take it.
    ///
    /// # Errors
    /// `Invalid` for an id that is none; `Internal` for a webhook that cannot be opened.
    pub(super) fn line(&self, line: Line) -> Result<Line> {
        Ok(match line {
            Line::Customer(mut line) => {
                for record in &mut line.records {
                    self.record(record)?;
                }
                Line::Customer(line)
            }
            Line::Quarantined(line) => {
                let moved = seal::carry_over(&self.all, &self.further, Quarantined::from(line))?;
                Line::Quarantined(QuarantinedLine::from(moved))
            }
            line @ (Line::Header(_)
            | Line::Number(_)
            | Line::Display(_)
            | Line::Forgotten(_)
            | Line::End(_)) => line,
        })
    }

    fn record(&self, record: &mut Record) -> Result<()> {
        // No part may be left out: what has an id is named here.
        let Record {
            id,
            shown,
            accept,
            named_rejects,
            links,
            calls,
            requests,
            revision: _,
            reject_at: _,
            callback: _,
            accept_superseded_at: _,
            callback_superseded_at: _,
            taken: _,
            inbound_at: _,
            talked_at: _,
            wrote_at: _,
            base: _,
            lapses_counted_to: _,
        } = record;
        *id = self.further.carry_over(id)?;
        *shown = None;
        for link in links {
            link.id = self.further.carry_over(&link.id)?;
        }
        let accepts = accept.iter_mut().map(|accept| &mut accept.request_id);
        let rejects = named_rejects.iter_mut().map(|reject| &mut reject.request_id);
        let calls =
            calls.iter_mut().flat_map(|call| [&mut call.call_id, &mut call.provider_call_id]);
        let requests = requests
            .iter_mut()
            .flat_map(|request| [&mut request.request_id, &mut request.provider_message_id]);
        for name in accepts.chain(rejects).chain(calls).chain(requests) {
            *name = self.further.name(std::mem::take(name));
        }
        Ok(())
    }
}
