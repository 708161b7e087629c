//! A store that was away when the gate started. Until it is found every step is UNAVAILABLE; from
//! then on it is the store that was found.

use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;

use crate::engine::{
    Error, Result,
    change::ChangeLog,
    fact::NumberReport,
    pair::{Customer, PhoneNumberId},
    profile::Profile,
    step::{NumberReply, NumberStep, Reply, Step},
    store::{CustomersPage, Due, PARTITIONS, Quarantined, Store},
    tally,
    time::Millis,
};

#[derive(Debug)]
pub(super) struct Late {
    found: OnceLock<Arc<dyn Store>>,
    why: Mutex<String>,
}

impl Late {
    pub(super) fn new(why: String) -> Self {
        Self { found: OnceLock::new(), why: Mutex::new(why) }
    }

    pub(super) fn found(&self, store: Arc<dyn Store>) {
        // Only one task looks for it.
        let _ = self.found.set(store);
    }

    pub(super) fn still_away(&self, why: String) {
        *self.why.lock().expect("nobody panics with it") = why;
    }

    fn store(&self) -> Result<&Arc<dyn Store>> {
        let why = || Error::Unavailable(self.why.lock().expect("nobody panics with it").clone());
        tally::asked(self.found.get().ok_or_else(why))
    }
}

#[async_trait]
impl Store for Late {
    async fn apply(&self, step: Step<'_>) -> Result<Reply> {
        self.store()?.apply(step).await
    }

    async fn read(&self, steps: Vec<Step<'_>>) -> Vec<Result<Reply>> {
        match self.store() {
            Ok(store) => store.read(steps).await,
            Err(error) => vec![Err(error); steps.len()],
        }
    }

    async fn number(&self, step: NumberStep<'_>) -> Result<NumberReply> {
        self.store()?.number(step).await
    }

    async fn report_by_display(
        &self,
        display: &str,
        report: NumberReport,
    ) -> Result<Option<PhoneNumberId>> {
        self.store()?.report_by_display(display, report).await
    }

    async fn learn_display(&self, display: &str, number: &PhoneNumberId, at: Millis) -> Result<()> {
        self.store()?.learn_display(display, number, at).await
    }

    async fn forget(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
    ) -> Result<bool> {
        self.store()?.forget(number, customer, profile).await
    }

    async fn forget_unfiled(&self, customer: &Customer) -> Result<()> {
        self.store()?.forget_unfiled(customer).await
    }

    async fn numbers(&self, partition: u16) -> Result<Vec<PhoneNumberId>> {
        self.store()?.numbers(partition).await
    }

    fn partitions(&self) -> u16 {
        self.found.get().map_or(PARTITIONS, |store| store.partitions())
    }

    async fn quarantine(&self, entry: Quarantined) -> Result<()> {
        self.store()?.quarantine(entry).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>> {
        self.store()?.quarantined(limit).await
    }

    async fn quarantine_size(&self) -> Result<u64> {
        self.store()?.quarantine_size().await
    }

    async fn quarantined_by_id(&self, id: &str) -> Result<Option<Quarantined>> {
        self.store()?.quarantined_by_id(id).await
    }

    async fn release_quarantined(&self, id: &str) -> Result<()> {
        self.store()?.release_quarantined(id).await
    }

    async fn change_log(&self) -> Result<Arc<dyn ChangeLog>> {
        self.store()?.change_log().await
    }

    async fn due(&self, limit: usize) -> Result<Vec<Due>> {
        self.store()?.due(limit).await
    }

    async fn customers(&self, number: &PhoneNumberId, from: &str) -> Result<CustomersPage> {
        self.store()?.customers(number, from).await
    }

    async fn settled(&self, due: &Due) -> Result<()> {
        self.store()?.settled(due).await
    }

    fn secret(&self) -> Result<Vec<u8>> {
        self.store()?.secret()
    }

    async fn now(&self) -> Result<Millis> {
        self.store()?.now().await
    }

    fn now_roughly(&self) -> Option<Millis> {
        self.found.get()?.now_roughly()
    }

    async fn raw(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
    ) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>)> {
        self.store()?.raw(number, customer).await
    }

    fn kind(&self) -> &'static str {
        "redis"
    }
}
