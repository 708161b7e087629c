//! Erasure of a customer on one business number: quarantined webhooks first, then the records, in
//! one step with the tombstones and the change that tells of it; last, piece by piece, what the
//! change log said before. Killed in between, a repeated call goes on; the last part, also whoever
//! looks for what is due.

use std::collections::BTreeMap;

use redis::{FromRedisValue as _, Value};

use crate::{
    engine::{
        Error, Result,
        code::change_cause,
        pair::{Customer, PhoneNumberId},
        profile::Profile,
        store::TOMBSTONE_AGE_MAX,
        tally,
        time::Millis,
    },
    store::redis::{RedisStore, call::Call, keys::NumberKeys, script, typed, wire},
};

/// New links may appear between listing and erasing; so many times in a row they do not.
const ROUNDS: u32 = 5;
/// Entries of the change log that one piece looks at.
const PIECE: usize = 500;

struct Whom<'a> {
    number: &'a PhoneNumberId,
    customer: &'a Customer,
    profile: &'a Profile,
    /// Unset: of now, and of all that is known by now. Else what happened later stays.
    as_of: Option<Millis>,
}

impl RedisStore {
    pub(super) async fn erase(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
        as_of: Option<Millis>,
    ) -> Result<bool> {
        let of = self.keys.of(number);
        while self.erase_piece(of.partition).await? {}
        let whom = Whom { number, customer, profile, as_of };
        let mut known = customer.keys();
        let (_, linked) = self.forget_step(&of, &whom, &[]).await?;
        known.extend(linked);
        let mut quarantined = 0;
        for _ in 0..ROUNDS {
            known.sort();
            known.dedup();
            let partition = Some(of.partition);
            quarantined += self.erase_quarantined(partition, Some(number), &known, as_of).await?;
            quarantined += self.erase_quarantined(None, None, &known, as_of).await?;
            let (records, linked) = self.forget_step(&of, &whom, &known).await?;
            if let Some(records) = records {
                while self.erase_piece(of.partition).await? {}
                return Ok(records > 0 || quarantined > 0);
            }
            known.extend(linked);
        }
        Err(Error::Unavailable("the customer's ids change all the time; repeat".to_owned()))
    }

    /// Goes on with what is to be erased from a partition's change log. Returns whether there is more.
    pub(super) async fn erase_piece(&self, partition: u16) -> Result<bool> {
        let log = self.keys.log(partition);
        let keys = vec![log.changes, log.erased, self.keys.erasing(partition)];
        let args = [PIECE, usize::from(change_cause::FORGOTTEN)];
        let args = args.map(|arg| arg.to_string().into_bytes()).to_vec();
        let call = Call::Script { script: &script::ERASE, keys, args };
        self.bulk(Some(partition), call).await
    }

    /// Erases the records of all `known` ids if no other is linked to them: how many there were.
    /// Otherwise, or where none is given, the linked ids.
    async fn forget_step(
        &self,
        of: &NumberKeys,
        whom: &Whom<'_>,
        known: &[String],
    ) -> Result<(Option<u64>, Vec<String>)> {
        let secret = &self.link.session().secret;
        let Whom { number, customer, profile, as_of } = whom;
        let tombstones: BTreeMap<&str, String> =
            known.iter().map(|id| (id.as_str(), of.forgotten(secret, number, id))).collect();
        let mut keys = vec![
            of.number.clone(),
            of.log.changes.clone(),
            of.log.marks.clone(),
            of.log.erased.clone(),
            of.due.clone(),
            self.keys.erasing(of.partition),
            of.never.clone(),
            of.numbers.clone(),
        ];
        keys.extend(known.iter().map(|id| format!("{}{id}", of.pair)));
        keys.extend(tombstones.values().cloned());
        let (wa, user) = wire::ids(customer);
        let mut args = vec![
            b"0".to_vec(),
            TOMBSTONE_AGE_MAX.to_string().into(),
            of.pair.clone().into(),
            wa.into(),
            user.into(),
            if known.is_empty() { Vec::new() } else { wire::pack(&tombstones)? },
            number.as_str().into(),
            wire::pack_values(profile)?,
        ];
        args.extend(wire::limits(self.limits));
        args.push(as_of.unwrap_or_default().0.to_string().into());
        let call = Call::Script { script: &script::FORGET, keys, args };
        let answer: Vec<Value> = self.keep(Some(of.partition), call).await?;
        let mut answer = answer.into_iter();
        let verb: String = typed(answer.next().unwrap_or(Value::Nil))?;
        if verb == "erased" {
            let mut next = || answer.next().unwrap_or(Value::Nil);
            let (records, told) = (next(), next());
            tally::forgotten(typed(told)?);
            return Ok((Some(typed(records)?), Vec::new()));
        }
        let linked = answer.map(String::from_redis_value).collect::<std::result::Result<_, _>>();
        let linked = linked.map_err(|error| Error::Internal(format!("redis: {error}")))?;
        Ok((None, linked))
    }
}
