//! All that is kept, taken out or joined to.
//!
//! What is kept is found by looking through all keys of every master. So each page costs a server little,
//! and who uses it waits for no more than that.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use futures_util::future::join_all;
use redis::{Value, cmd};

use crate::{
    engine::{
        Error, Result,
        archive::{Archive, Display, Forgotten, Item, Join, Kept, QuarantinedSink, Sink},
        pair::{Customer, PhoneNumberId},
        profile::{NumberFacts, Profile},
        pseudonym::Fingerprints,
        step::Reply,
        store::TOMBSTONE_AGE_MAX,
        time::Millis,
    },
    store::redis::{RedisStore, call::Call, display::Known, due::literally, script, typed, wire},
};

/// Keys that are looked at in one go.
const PAGE: usize = 1000;
/// Customers that are read at once.
const AT_ONCE: usize = 64;

#[async_trait]
impl Archive for RedisStore {
    fn pseudonyms(&self) -> &Fingerprints {
        self.link.pseudonyms()
    }

    async fn take_out(&self, to: Sink<'_>) -> Result<()> {
        let masters = self.masters().await?;
        let stand_ins = masters.keys(self.keys.prefix());
        let mut done = HashSet::new();
        for master in &stand_ins {
            let mut next = Some(String::new());
            while let Some(from) = next {
                let keys;
                (keys, next) = self.page_of_keys(master, "*", from).await?;
                self.take_customers(&keys, &mut done, to).await?;
                self.take_displays(&keys, to).await?;
            }
        }
        // Last, so that whoever was forgotten meanwhile is known to be.
        for master in &stand_ins {
            let mut next = Some(String::new());
            while let Some(from) = next {
                let keys;
                (keys, next) = self.page_of_keys(master, ":{p*}:forgotten:*", from).await?;
                self.take_forgotten(&keys, to).await?;
            }
        }
        if self.masters().await? != masters {
            return Err(Error::Unavailable(
                "the cluster gave slots to other masters meanwhile, or failed over: what moved may be \
                 missing; export again"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    async fn take_out_quarantined(&self, to: QuarantinedSink<'_>) -> Result<()> {
        self.each_kept_aside(to).await
    }

    async fn join(&self, join: Join<'_>) -> Result<Reply> {
        let Join { kept, profile, now } = join;
        let of = self.keys.of(&kept.number);
        let secret = &self.link.session().secret;
        let mut keys = vec![
            of.number.clone(),
            of.numbers.clone(),
            of.log.changes.clone(),
            of.log.marks.clone(),
            of.log.erased.clone(),
            of.due.clone(),
            of.never.clone(),
        ];
        let mut args = vec![
            now.0.to_string().into_bytes(),
            wire::pack_values(profile)?,
            of.pair.clone().into(),
            kept.number.as_str().into(),
        ];
        args.extend(wire::limits(self.limits));
        let mut records: HashMap<&str, &[u8]> =
            kept.records().iter().map(|(id, bytes)| (id.as_str(), bytes.as_slice())).collect();
        for id in kept.ids() {
            keys.push(format!("{}{id}", of.pair));
            keys.push(of.forgotten(secret, &kept.number, id));
            args.push(records.remove(id.as_str()).unwrap_or_default().to_vec());
        }
        let call = Call::Script { script: &script::JOIN, keys, args };
        let packed: Vec<u8> = self.keep(Some(of.partition), call).await?;
        wire::step_reply(&packed)
    }

    async fn join_forgotten(&self, forgotten: &Forgotten) -> Result<()> {
        let over_at = forgotten.at.0.saturating_add(TOMBSTONE_AGE_MAX);
        let Some(ttl) = over_at.checked_sub(self.time().await?.0).filter(|ttl| *ttl > 0) else {
            return Ok(());
        };
        let key = self.keys.forgotten(forgotten.partition, &forgotten.hash);
        let args = vec![forgotten.at.0.to_string().into(), ttl.to_string().into()];
        let call = Call::Script { script: &script::FORGOTTEN, keys: vec![key], args };
        self.keep(Some(forgotten.partition), call).await
    }

    async fn forget_as_of(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
        at: Millis,
    ) -> Result<bool> {
        self.erase(number, customer, profile, Some(at)).await
    }

    async fn erased_at(&self, number: &PhoneNumberId, ids: &[String]) -> Result<Millis> {
        let of = self.keys.of(number);
        let secret = &self.link.session().secret;
        let mut newest = Millis::ZERO;
        for id in ids {
            let read = Call::Plain(cmd("GET").arg(of.forgotten(secret, number, id)).to_owned());
            let at: Option<u64> = self.call(Some(of.partition), read).await?;
            newest = newest.max(Millis(at.unwrap_or_default()));
        }
        Ok(newest)
    }
}

/// What was taken out already: number and id of each record.
type Done = HashSet<(PhoneNumberId, String)>;

impl RedisStore {
    /// Some keys of a master whose names end so, and where to go on. `master` is a key in a slot of its.
    async fn page_of_keys(
        &self,
        master: &str,
        ending: &str,
        from: String,
    ) -> Result<(Vec<String>, Option<String>)> {
        let pattern = format!("{}{ending}", literally(self.keys.prefix()));
        let keys = vec![master.to_owned(), master.to_owned()];
        let args = vec![from.into(), pattern.into(), PAGE.to_string().into()];
        let call = Call::Script { script: &script::CUSTOMERS, keys, args };
        let mut answer = self.bulk::<Vec<String>>(None, call).await?.into_iter();
        let next = answer.next().filter(|next| !next.is_empty());
        Ok((answer.collect(), next))
    }

    async fn take_customers(&self, keys: &[String], done: &mut Done, to: Sink<'_>) -> Result<()> {
        let records = keys.iter().filter_map(|key| self.keys.record_parts(key));
        let wanted: Vec<_> = records.filter(|parts| !done.contains(parts)).collect();
        for some in wanted.chunks(AT_ONCE) {
            let reads = some.iter().map(|(number, id)| self.linked(number, id));
            for (parts, kept) in std::iter::zip(some, join_all(reads).await) {
                // Taken out with another one meanwhile, or gone.
                let Some(kept) = kept?.filter(|_| !done.contains(parts)) else { continue };
                done.extend(kept.records().iter().map(|(id, _)| (kept.number.clone(), id.clone())));
                to(Item::Kept(kept))?;
            }
        }
        Ok(())
    }

    async fn take_displays(&self, keys: &[String], to: Sink<'_>) -> Result<()> {
        for digits in keys.iter().filter_map(|key| self.keys.display_digits(key)) {
            if let Some(display) = self.kept_display(digits).await? {
                to(Item::Display(display))?;
            }
        }
        Ok(())
    }

    async fn linked(&self, number: &PhoneNumberId, id: &str) -> Result<Option<Kept>> {
        let of = self.keys.of(number);
        let keys = vec![format!("{}{id}", of.pair), of.never];
        let call = Call::Script { script: &script::LINKED, keys, args: vec![of.pair.into()] };
        let mut answer = self.bulk::<Vec<Value>>(Some(of.partition), call).await?.into_iter();
        let (mut ids, mut records) = (Vec::new(), Vec::new());
        while let (Some(id), Some(bytes)) = (answer.next(), answer.next()) {
            let (id, bytes): (String, Vec<u8>) = (typed(id)?, typed(bytes)?);
            ids.push(id.clone());
            if !bytes.is_empty() {
                records.push((id, bytes));
            }
        }
        if records.is_empty() {
            return Ok(None);
        }
        Kept::new(number.clone(), records, ids).map(Some)
    }

    async fn kept_display(&self, digits: &str) -> Result<Option<Display>> {
        let Known { owner, facts: waiting } = self.look_at_display(digits).await?;
        let is_any = owner.is_some() || waiting != NumberFacts::default();
        Ok(is_any.then(|| Display { display: digits.to_owned(), owner, waiting }))
    }

    async fn take_forgotten(&self, keys: &[String], to: Sink<'_>) -> Result<()> {
        for key in keys {
            let Some((partition, hash)) = self.keys.forgotten_parts(key) else { continue };
            let read = Call::Plain(cmd("GET").arg(key).to_owned());
            if let Some(at) = self.bulk::<Option<u64>>(Some(partition), read).await? {
                to(Item::Forgotten(Forgotten { partition, hash, at: Millis(at) }))?;
            }
        }
        Ok(())
    }
}
