//! A store that does not know its customers: on the way in their ids become pseudonyms, and on the way
//! out a pseudonym that was made of what was asked is shown as it was asked.
//!
//! It stands in front of the store, as a store, so that there is no other way in: whoever has the gate
//! has this. What a store hands out to be handed back (who is due, the customers of a number) is under
//! pseudonyms, and stays as it is when it comes back: a [`Customer`] knows what it is.

use std::{borrow::Cow, sync::Arc};

use async_trait::async_trait;

use crate::engine::{
    Result,
    change::ChangeLog,
    fact::NumberReport,
    pair::{Customer, Pair, PhoneNumberId},
    profile::Profile,
    pseudonym::Keys,
    seal,
    step::{NumberReply, NumberStep, Reply, Step},
    store::{CustomersPage, Due, Quarantined, Store},
    time::Millis,
};

/// See the module.
#[derive(Debug)]
pub struct Veiled {
    store: Arc<dyn Store>,
    keys: Keys,
}

impl Veiled {
    /// In front of `store`, which is under these keys.
    pub fn new(store: Arc<dyn Store>, keys: Keys) -> Self {
        Self { store, keys }
    }

    /// The name under which a webhook is kept: as it is listed, and as it was before it was kept.
    fn webhook<'a>(&self, id: &'a str) -> Cow<'a, str> {
        if seal::is_name(id) { id.into() } else { self.keys.webhook(id).into() }
    }

    fn shown(asked: &Pair, kept: &Pair, mut reply: Reply) -> Reply {
        let names = Names::of(&asked.customer, &kept.customer);
        names.show_wa(&mut reply.view.wa_id);
        names.show_user(&mut reply.view.user_id);
        reply
    }
}

/// A customer's ids as they were asked for, and what is kept in their place.
struct Names<'a> {
    asked: &'a Customer,
    kept: &'a Customer,
}

impl<'a> Names<'a> {
    fn of(asked: &'a Customer, kept: &'a Customer) -> Self {
        Self { asked, kept }
    }

    /// Whoever asked by a pseudonym has no other name to be shown.
    fn is_plain(&self) -> bool {
        self.asked != self.kept
    }

    /// A pseudonym that was not asked for is nobody's name.
    fn show_wa(&self, shown: &mut String) {
        if self.is_plain() {
            let is_asked = self.kept.wa().is_some_and(|wa| wa.key() == shown);
            let asked = self.asked.wa().filter(|_| is_asked);
            *shown = asked.map_or("", |wa| wa.spelled()).to_owned();
        }
    }

    fn show_user(&self, shown: &mut String) {
        if self.is_plain() {
            let is_asked = self.kept.user().is_some_and(|user| user.as_str() == shown);
            let asked = self.asked.user().filter(|_| is_asked);
            *shown = asked.map_or("", |user| user.as_str()).to_owned();
        }
    }
}

#[async_trait]
impl Store for Veiled {
    async fn apply(&self, step: Step<'_>) -> Result<Reply> {
        let kept = self.keys.pair(step.pair);
        let command = self.keys.command(step.command);
        let inner = Step { pair: &kept, command, profile: step.profile, now: step.now };
        let reply = self.store.apply(inner).await?;
        Ok(Self::shown(step.pair, &kept, reply))
    }

    async fn read(&self, steps: Vec<Step<'_>>) -> Vec<Result<Reply>> {
        let kept: Vec<Pair> = steps.iter().map(|step| self.keys.pair(step.pair)).collect();
        let asked: Vec<&Pair> = steps.iter().map(|step| step.pair).collect();
        let inner = std::iter::zip(steps, &kept).map(|(step, pair)| Step {
            pair,
            command: self.keys.command(step.command),
            profile: step.profile,
            now: step.now,
        });
        let replies = self.store.read(inner.collect()).await;
        let pairs = std::iter::zip(asked, &kept);
        std::iter::zip(pairs, replies)
            .map(|((asked, kept), reply)| Ok(Self::shown(asked, kept, reply?)))
            .collect()
    }

    async fn number(&self, step: NumberStep<'_>) -> Result<NumberReply> {
        self.store.number(step).await
    }

    async fn report_by_display(
        &self,
        display: &str,
        report: NumberReport,
    ) -> Result<Option<PhoneNumberId>> {
        self.store.report_by_display(display, report).await
    }

    async fn learn_display(&self, display: &str, number: &PhoneNumberId, at: Millis) -> Result<()> {
        self.store.learn_display(display, number, at).await
    }

    async fn forget(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
    ) -> Result<bool> {
        self.store.forget(number, &self.keys.customer(customer), profile).await
    }

    async fn forget_unfiled(&self, customer: &Customer) -> Result<()> {
        self.store.forget_unfiled(&self.keys.customer(customer)).await
    }

    async fn numbers(&self, partition: u16) -> Result<Vec<PhoneNumberId>> {
        self.store.numbers(partition).await
    }

    fn partitions(&self) -> u16 {
        self.store.partitions()
    }

    async fn quarantine(&self, entry: Quarantined) -> Result<()> {
        self.store.quarantine(seal::close(&self.keys, entry)?).await
    }

    /// One that cannot be opened is listed all the same, closed: it must be seen that it is there.
    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>> {
        let kept = self.store.quarantined(limit).await?;
        let open = |entry: Quarantined| seal::open(&self.keys, entry.clone()).unwrap_or(entry);
        Ok(kept.into_iter().map(open).collect())
    }

    async fn quarantine_size(&self) -> Result<u64> {
        self.store.quarantine_size().await
    }

    async fn quarantined_by_id(&self, id: &str) -> Result<Option<Quarantined>> {
        let kept = self.store.quarantined_by_id(&self.webhook(id)).await?;
        kept.map(|entry| seal::open(&self.keys, entry)).transpose()
    }

    async fn release_quarantined(&self, id: &str) -> Result<()> {
        self.store.release_quarantined(&self.webhook(id)).await
    }

    async fn change_log(&self) -> Result<Arc<dyn ChangeLog>> {
        self.store.change_log().await
    }

    async fn due(&self, limit: usize) -> Result<Vec<Due>> {
        self.store.due(limit).await
    }

    async fn customers(&self, number: &PhoneNumberId, from: &str) -> Result<CustomersPage> {
        self.store.customers(number, from).await
    }

    async fn settled(&self, due: &Due) -> Result<()> {
        self.store.settled(due).await
    }

    fn secret(&self) -> Result<Vec<u8>> {
        self.store.secret()
    }

    async fn now(&self) -> Result<Millis> {
        self.store.now().await
    }

    fn now_roughly(&self) -> Option<Millis> {
        self.store.now_roughly()
    }

    fn hear(&self, stamp: Millis) {
        self.store.hear(stamp);
    }

    fn kept(&self, customer: &Customer) -> Customer {
        self.keys.customer(customer)
    }

    async fn raw(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
    ) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>)> {
        self.store.raw(number, &self.keys.customer(customer)).await
    }

    fn is_lost(&self) -> bool {
        self.store.is_lost()
    }

    fn kind(&self) -> &'static str {
        self.store.kind()
    }
}

#[cfg(test)]
mod tests {
    /// A method that a store may leave out would here be answered in place of the store behind.
    #[test]
    fn every_method_of_a_store_is_passed_on() {
        let methods = |text: &str| -> Vec<String> {
            let names = text.split("    fn ").chain(text.split("async fn ")).skip(1);
            let names = names.filter_map(|rest| rest.split('(').next());
            names.filter(|name| !name.contains(char::is_whitespace)).map(str::to_owned).collect()
        };
        let seam = include_str!("store.rs").split("pub trait Store").nth(1).unwrap();
        let seam = methods(seam.split("\n}\n").next().unwrap());
        let here = include_str!("veil.rs").split("impl Store for Veiled").nth(1).unwrap();
        let here = methods(here.split("\n}\n").next().unwrap());
        assert!(seam.len() > 20, "{seam:?}");
        for method in seam {
            assert!(here.contains(&method), "{method} is not passed on");
        }
    }
}
