//! A reply as it comes from the rulebook: a row of values (`rulebook.reply_of`), read
//! here in the same order, whatever the host.

use std::{borrow::Cow, fmt::Display};

use rmp::decode;

use crate::engine::{
    Error, Result, attempt_id,
    change::{Change, Position},
    profile::NumberFacts,
    step::{NumberReply, Reply, View},
    time::Millis,
};

/// Where values come from, one after the other.
pub(crate) trait Values {
    /// The next value, which is a whole number.
    fn number(&mut self) -> Result<u64>;
    /// The next value, which is a text.
    fn text(&mut self) -> Result<String>;
    /// The next value, which is the id of a call or a request, see [`attempt_id`].
    fn attempt_id(&mut self) -> Result<String>;
    /// The length of the next value, which is a list. What it holds comes next.
    fn list(&mut self) -> Result<usize>;
    /// Whether all were read.
    fn is_at_end(&self) -> bool;
}

fn damaged(why: impl Display) -> Error {
    Error::Internal(format!("the rulebook's reply cannot be read: {why}"))
}

/// Values as MessagePack, one behind the other.
#[derive(Debug)]
pub(crate) struct Packed<'a>(pub(crate) &'a [u8]);

impl<'a> Packed<'a> {
    fn text_as_bytes(&mut self) -> Result<&'a [u8]> {
        let length = decode::read_str_len(&mut self.0).map_err(damaged)? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(|| damaged("it ends"))?;
        self.0 = rest;
        Ok(text)
    }
}

impl Values for Packed<'_> {
    fn number(&mut self) -> Result<u64> {
        decode::read_int(&mut self.0).map_err(damaged)
    }

    fn text(&mut self) -> Result<String> {
        String::from_utf8(self.text_as_bytes()?.to_vec()).map_err(damaged)
    }

    fn attempt_id(&mut self) -> Result<String> {
        attempt_id::unpack(self.text_as_bytes()?).map(Cow::into_owned)
    }

    fn list(&mut self) -> Result<usize> {
        Ok(decode::read_array_len(&mut self.0).map_err(damaged)? as usize)
    }

    fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

fn small<T: TryFrom<u64, Error: Display>>(from: &mut impl Values) -> Result<T> {
    T::try_from(from.number()?).map_err(damaged)
}

fn instant(from: &mut impl Values) -> Result<Millis> {
    from.number().map(Millis)
}

fn all<V: Values, T>(from: &mut V, one: impl Fn(&mut V) -> Result<T>) -> Result<Vec<T>> {
    (0..from.list()?).map(|_| one(from)).collect()
}

/// Reads a change (`rulebook.change_of`). Its `number` and `format` are not set yet.
pub(crate) fn read_change(from: &mut impl Values) -> Result<Change> {
    Ok(Change {
        wa: from.text()?,
        user: from.text()?,
        cause: small(from)?,
        previous_status: small(from)?,
        occurred_at: instant(from)?,
        recorded_at: instant(from)?,
        event_id: from.text()?,
        profile: from.text()?,
        warns_at: small(from)?,
        revokes_at: small(from)?,
        call_window: from.number()?,
        judged_at: instant(from)?,
        wa_id: from.text()?,
        status: small(from)?,
        grant_kind: small(from)?,
        grant_source: small(from)?,
        granted_at: instant(from)?,
        expires_at: instant(from)?,
        valid_until: instant(from)?,
        streak: small(from)?,
        conversation_ends_at: instant(from)?,
        revision: from.number()?,
        quota_limit: all(from, small)?,
        quota_used: all(from, small)?,
        quota_held: all(from, small)?,
        quota_free_at: all(from, instant)?,
        ..Change::default()
    })
}

/// Reads a reply.
pub(crate) fn read(from: &mut impl Values) -> Result<Reply> {
    let refused = from.text()?;
    if !refused.is_empty() {
        return Ok(Reply {
            refused,
            field: from.text()?,
            problem: from.text()?,
            told: all(from, small)?,
            lapsed: small(from)?,
            ..Reply::default()
        });
    }
    let mut reply = Reply {
        result: small(from)?,
        decision: small(from)?,
        reason: small(from)?,
        next_step: small(from)?,
        free_at: instant(from)?,
        lease_expires_at: instant(from)?,
        replayed: small(from)?,
        now: instant(from)?,
        blocked_by: all(from, small)?,
        warnings: all(from, small)?,
        view: view(from)?,
        number: number(from)?,
        ..Reply::default()
    };
    entries(from, &mut reply.view)?;
    reply.told = all(from, small)?;
    reply.lapsed = small(from)?;
    if !from.is_at_end() {
        reply.log_end = Position(from.number()?, from.number()?);
    }
    Ok(reply)
}

fn view(from: &mut impl Values) -> Result<View> {
    let mut view = View {
        wa_id: from.text()?,
        user_id: from.text()?,
        status: small(from)?,
        grant_kind: small(from)?,
        grant_source: small(from)?,
        granted_at: instant(from)?,
        expires_at: instant(from)?,
        valid_until: instant(from)?,
        streak: small(from)?,
        conversation_ends_at: instant(from)?,
        revision: from.number()?,
        ..View::default()
    };
    for _ in 0..4 {
        view.quota_limit.push(small(from)?);
        view.quota_used.push(small(from)?);
        view.quota_held.push(small(from)?);
        view.quota_free_at.push(instant(from)?);
    }
    Ok(view)
}

/// What became of a report on a business number at an instant.
pub(crate) fn read_number(from: &mut impl Values, now: Millis) -> Result<NumberReply> {
    Ok(NumberReply {
        changed: small(from)?,
        resettle: small(from)?,
        field: from.text()?,
        problem: from.text()?,
        number: number(from)?,
        now,
    })
}

/// Nothing where nothing was told of the number.
fn number(from: &mut impl Values) -> Result<NumberFacts> {
    if from.list()? == 0 {
        return Ok(NumberFacts::default());
    }
    Ok(NumberFacts {
        display: from.text()?,
        calling: small(from)?,
        calling_at: instant(from)?,
        pause: small(from)?,
        paused_until: instant(from)?,
        pause_at: instant(from)?,
        request_pause: small(from)?,
        requests_paused_until: instant(from)?,
        request_pause_at: instant(from)?,
        inbound_call_grants: small(from)?,
        inbound_call_grants_at: instant(from)?,
    })
}

/// What fills the quotas, by column; nothing where it was not asked for.
fn entries(from: &mut impl Values, view: &mut View) -> Result<()> {
    if from.list()? > 0 {
        view.entry_quota = all(from, small)?;
        view.entry_id = all(from, Values::attempt_id)?;
        view.entry_at = all(from, instant)?;
        view.entry_frees_at = all(from, instant)?;
        view.entry_held = all(from, small)?;
    }
    Ok(())
}
