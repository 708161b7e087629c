//! Erasure of a customer on one business number: quarantined webhooks first, then the records, in
//! one step with the tombstones. Killed in between, a repeated call goes on.

use std::collections::BTreeMap;

use redis::{FromRedisValue as _, Value};

use crate::{
    engine::{
        Error, Result,
        pair::{Customer, PhoneNumberId},
        store::TOMBSTONE_AGE_MAX,
    },
    store::redis::{RedisStore, keys::NumberKeys, link::Call, script, typed, wire},
};

/// New links may appear between listing and erasing; so many times in a row they do not.
const ROUNDS: u32 = 5;

impl RedisStore {
    pub(super) async fn erase(&self, number: &PhoneNumberId, customer: &Customer) -> Result<bool> {
        let of = self.keys.of(number);
        let mut known = customer.keys();
        let (_, linked) = self.forget_step(&of, number, customer, &[]).await?;
        known.extend(linked);
        let mut quarantined = 0;
        for _ in 0..ROUNDS {
            known.sort();
            known.dedup();
            let partition = Some(of.partition);
            quarantined += self.erase_quarantined(partition, Some(number), &known).await?;
            quarantined += self.erase_quarantined(None, None, &known).await?;
            let (records, linked) = self.forget_step(&of, number, customer, &known).await?;
            match records {
                Some(records) => return Ok(records > 0 || quarantined > 0),
                None => known.extend(linked),
            }
        }
        Err(Error::Unavailable("the customer's ids change all the time; repeat".to_owned()))
    }

    /// Erases the records of all `known` ids if no other is linked to them: how many there were.
    /// Otherwise, or where none is given, the linked ids.
    async fn forget_step(
        &self,
        of: &NumberKeys,
        number: &PhoneNumberId,
        customer: &Customer,
        known: &[String],
    ) -> Result<(Option<u64>, Vec<String>)> {
        let secret = &self.link.session().secret;
        let tombstones: BTreeMap<&str, String> =
            known.iter().map(|id| (id.as_str(), of.forgotten(secret, number, id))).collect();
        let mut keys = vec![of.number.clone()];
        keys.extend(known.iter().map(|id| format!("{}{id}", of.pair)));
        keys.extend(tombstones.values().cloned());
        let (wa, user) = wire::ids(customer);
        let args = vec![
            b"0".to_vec(),
            TOMBSTONE_AGE_MAX.to_string().into(),
            of.pair.clone().into(),
            wa.into(),
            user.into(),
            if known.is_empty() { Vec::new() } else { wire::pack(&tombstones)? },
        ];
        let call = Call::Script { script: &script::FORGET, keys, args };
        let answer: Vec<Value> = self.call(Some(of.partition), call).await?;
        let mut answer = answer.into_iter();
        let verb: String = typed(answer.next().unwrap_or(Value::Nil))?;
        if verb == "erased" {
            let records = answer.next().unwrap_or(Value::Nil);
            return Ok((Some(typed(records)?), Vec::new()));
        }
        let linked = answer.map(String::from_redis_value).collect::<std::result::Result<_, _>>();
        let linked = linked.map_err(|error| Error::Internal(format!("redis: {error}")))?;
        Ok((None, linked))
    }
}
