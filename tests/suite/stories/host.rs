//! Who plays stories: a store, or the bare rulebook.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use callgate::engine::{
    Result,
    change::{Change, ChangeLog, Position},
    pair::{Customer, PhoneNumberId},
    profile::Profile,
    step::{Command, NumberReply, NumberStep, Reply, Step},
    store::{Store, partition_of},
    time::{ManualClock, Millis},
};

/// Whatever can judge: a store, or the bare rulebook.
#[async_trait]
pub(crate) trait Host: Sync {
    /// For messages.
    fn name(&self) -> String;
    /// Lets one command happen.
    async fn step(&self, step: Step<'_>) -> Result<Reply>;
    /// A report on the business number.
    async fn number(&self, step: NumberStep<'_>) -> Result<NumberReply>;
    /// Forgets, at `now` if the host's clock can be moved.
    async fn forget(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
    ) -> Result<bool>;
    /// The changes told on this number after `after`, and where the log ends; `None`: only where.
    async fn told(
        &self,
        number: &PhoneNumberId,
        after: Option<Position>,
    ) -> Result<(Vec<Change>, Position)>;
    /// Whether a sweeper would settle this id by now; `None`: the host does not say.
    fn is_due(&self, _: &PhoneNumberId, _id: &str, _: Millis) -> Option<bool> {
        None
    }
    /// What else is kept that no answer shows, for messages.
    fn kept(&self, _: &PhoneNumberId) -> String {
        String::new()
    }
    /// Moves the host's own clock, which judges where a step carries no instant. Whether there is one.
    fn move_clock(&self, now: Millis) -> bool;
}

/// A store as a host.
#[derive(Debug)]
pub(crate) struct Stored {
    store: Arc<dyn Store>,
    log: Arc<dyn ChangeLog>,
    clock: Option<Arc<ManualClock>>,
    /// By what the log calls a customer: the id under which they were asked about.
    names: Mutex<HashMap<String, String>>,
}

impl Stored {
    /// `clock` is the store's, if it is ours to move.
    pub(crate) async fn new(store: Arc<dyn Store>, clock: Option<Arc<ManualClock>>) -> Self {
        let log = store.change_log().await.expect("a log that can be read");
        Self { store, log, clock, names: Mutex::default() }
    }

    fn learn(&self, customer: &Customer) {
        let kept = self.store.kept(customer).keys();
        self.names.lock().unwrap().extend(std::iter::zip(kept, customer.keys()));
    }

    fn named(&self, mut change: Change) -> Change {
        let names = self.names.lock().unwrap();
        for id in [&mut change.wa, &mut change.user, &mut change.wa_id] {
            *id = names.get(id).unwrap_or(id).clone();
        }
        change
    }
}

#[async_trait]
impl Host for Stored {
    fn name(&self) -> String {
        self.store.kind().to_owned()
    }

    async fn step(&self, step: Step<'_>) -> Result<Reply> {
        self.learn(&step.pair.customer);
        if matches!(step.command, Command::Check {}) {
            let mut replies = self.store.read(vec![step]).await;
            return replies.pop().expect("one reply per step");
        }
        self.store.apply(step).await
    }

    async fn number(&self, step: NumberStep<'_>) -> Result<NumberReply> {
        self.store.number(step).await
    }

    async fn forget(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
    ) -> Result<bool> {
        self.store.forget(number, customer, profile).await
    }

    async fn told(
        &self,
        number: &PhoneNumberId,
        after: Option<Position>,
    ) -> Result<(Vec<Change>, Position)> {
        let log = &self.log;
        let partition = partition_of(number, self.store.partitions());
        let end = log.tails(&[partition]).await?[0];
        let mut told = Vec::new();
        let mut after = after.unwrap_or(end);
        while after < end {
            let logged = log.read(partition, after, 100).await?;
            after = logged.last().map_or(end, |last| last.position);
            let changes = logged.into_iter().map(|logged| self.named((*logged.change).clone()));
            told.extend(changes.filter(|change| change.number == number.as_str()));
        }
        Ok((told, end))
    }

    fn move_clock(&self, now: Millis) -> bool {
        self.clock.as_ref().inspect(|clock| clock.set(now)).is_some()
    }
}
