//! Reports that name a business number only as people dial it: they wait until its id is known.

use crate::{
    engine::{
        Error, Result,
        fact::NumberReport,
        pair::PhoneNumberId,
        profile::NumberFacts,
        step::{NumberReply, NumberStep},
        store::Store as _,
        time::Millis,
    },
    store::redis::{RedisStore, call::Call, script, wire},
};

/// A display number of which nothing is heard for so long is dropped: the retention of the rules,
/// 400 days. Milliseconds.
const KEEP: u64 = 400 * 24 * 3600 * 1000;

impl RedisStore {
    pub(super) async fn report_display(
        &self,
        display: &str,
        report: NumberReport,
    ) -> Result<Option<PhoneNumberId>> {
        let packed = wire::pack(&report)?;
        let (id, reply): (String, Vec<u8>) =
            self.display(display, "report", [packed, Vec::new()]).await?;
        if id.is_empty() {
            return checked(wire::reply(&reply)?).map(|()| None);
        }
        let id = wire::number_id(&id)?;
        let step = NumberStep { number: &id, report: Some(report), now: Millis::ZERO };
        checked(self.number(step).await?)?;
        Ok(Some(id))
    }

    /// Killed in between, the next call hands over again; joins make that harmless.
    pub(super) async fn learn_id_of_display(
        &self,
        display: &str,
        number: &PhoneNumberId,
        at: Millis,
    ) -> Result<()> {
        let args = [number.as_str().into(), at.0.to_string().into_bytes()];
        let (owner, waiting, facts): (String, Vec<u8>, Vec<u8>) =
            self.display(display, "learn", args).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        let owner = wire::number_id(&owner)?;
        let facts: NumberFacts = wire::reply(&facts)?;
        for report in facts.reports() {
            let step = NumberStep { number: &owner, report: Some(report), now: Millis::ZERO };
            checked(self.number(step).await?)?;
        }
        self.display::<()>(display, "settle", [waiting, Vec::new()]).await
    }

    pub(super) async fn display<T: redis::FromRedisValue>(
        &self,
        display: &str,
        verb: &str,
        [first, second]: [Vec<u8>; 2],
    ) -> Result<T> {
        let keys = vec![self.keys.display(display)];
        let args = vec![verb.into(), b"0".to_vec(), KEEP.to_string().into(), first, second];
        self.keep(None, Call::Script { script: &script::DISPLAY, keys, args }).await
    }
}

fn checked(reply: NumberReply) -> Result<()> {
    if reply.field.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid { field: reply.field, problem: reply.problem })
}
