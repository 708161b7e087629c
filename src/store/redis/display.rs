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

/// What is known of a display number.
pub(super) struct Known {
    /// Whose it is, and when it was last.
    pub(super) owner: Option<(PhoneNumberId, Millis)>,
    /// What was told of it by its digits alone, as far as it is its owner's.
    pub(super) facts: NumberFacts,
}

impl RedisStore {
    pub(super) async fn report_display(
        &self,
        display: &str,
        report: NumberReport,
    ) -> Result<Option<PhoneNumberId>> {
        let (known, reply) =
            self.display(display, "report", [wire::pack(&report)?, Vec::new()]).await?;
        checked(wire::reply(&reply)?)?;
        self.hand_over(&known).await?;
        Ok(known.owner.map(|(number, _)| number))
    }

    pub(super) async fn learn_id_of_display(
        &self,
        display: &str,
        number: &PhoneNumberId,
        at: Millis,
    ) -> Result<()> {
        let args = [number.as_str().into(), at.0.to_string().into_bytes()];
        let (known, _) = self.display(display, "learn", args).await?;
        self.hand_over(&known).await
    }

    pub(super) async fn look_at_display(&self, display: &str) -> Result<Known> {
        Ok(self.display(display, "look", [Vec::new(), Vec::new()]).await?.0)
    }

    /// Joins them to the facts of the number itself, again and again: killed in between, the next call does
    /// it.
    async fn hand_over(&self, known: &Known) -> Result<()> {
        let Some((owner, _)) = &known.owner else { return Ok(()) };
        for report in known.facts.reports() {
            let step = NumberStep { number: owner, report: Some(report), now: Millis::ZERO };
            checked(self.number(step).await?)?;
        }
        Ok(())
    }

    /// What is known after it, and the rulebook's reply.
    async fn display(
        &self,
        display: &str,
        verb: &str,
        [first, second]: [Vec<u8>; 2],
    ) -> Result<(Known, Vec<u8>)> {
        let keys = vec![self.keys.display(display)];
        let args = vec![verb.into(), b"0".to_vec(), KEEP.to_string().into(), first, second];
        let script = Call::Script { script: &script::DISPLAY, keys, args };
        let (id, at, others_at, facts, reply): (String, u64, u64, Vec<u8>, Vec<u8>) =
            self.keep(None, script).await?;
        let owner = match id.as_str() {
            "" => None,
            id => Some((wire::number_id(id)?, Millis(at))),
        };
        let facts: NumberFacts =
            if facts.is_empty() { NumberFacts::default() } else { wire::reply(&facts)? };
        Ok((Known { owner, facts: facts.since(Millis(others_at)) }, reply))
    }
}

fn checked(reply: NumberReply) -> Result<()> {
    if reply.field.is_empty() {
        return Ok(());
    }
    Err(Error::Invalid { field: reply.field, problem: reply.problem })
}
