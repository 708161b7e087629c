//! A store that can go away.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use callgate::engine::{
    Error, Result,
    change::ChangeLog,
    fact::NumberReport,
    pair::{Customer, PhoneNumberId},
    profile::Profile,
    step::{NumberReply, NumberStep, Reply, Step},
    store::{CustomersPage, Due, Quarantined, Store},
    time::Millis,
};

/// Answers so many calls, and is away from then on.
#[derive(Debug)]
pub(super) struct Flaky {
    store: Arc<dyn Store>,
    pub(super) calls_left: AtomicUsize,
    /// A customer whose record cannot be read.
    unreadable: Option<&'static str>,
    /// When the newest report of a number was said to be.
    pub(super) reported_at: Mutex<Millis>,
}

impl Flaky {
    pub(super) fn over(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            calls_left: AtomicUsize::new(usize::MAX),
            unreadable: None,
            reported_at: Mutex::default(),
        }
    }

    /// Cannot read the record of this customer.
    pub(super) fn at_one(store: Arc<dyn Store>, wa_id: &'static str) -> Self {
        Self { unreadable: Some(wa_id), ..Self::over(store) }
    }

    fn store(&self) -> Result<&dyn Store> {
        let spend = |left: usize| left.checked_sub(1);
        match self.calls_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend) {
            Ok(_) => Ok(&*self.store),
            Err(_) => Err(Error::Unavailable("gone for a while".to_owned())),
        }
    }
}

#[async_trait]
impl Store for Flaky {
    async fn apply(&self, step: Step<'_>) -> Result<Reply> {
        if step.pair.customer.wa().map(|wa| wa.key()) == self.unreadable
            && self.unreadable.is_some()
        {
            return Err(Error::Internal("a record cannot be read".to_owned()));
        }
        self.store()?.apply(step).await
    }

    async fn read(&self, steps: Vec<Step<'_>>) -> Vec<Result<Reply>> {
        self.store.read(steps).await
    }

    async fn number(&self, step: NumberStep<'_>) -> Result<NumberReply> {
        if let Some(report) = &step.report {
            *self.reported_at.lock().unwrap() = report.at;
        }
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
        self.store.partitions()
    }

    async fn quarantine(&self, entry: Quarantined) -> Result<()> {
        self.store()?.quarantine(entry).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>> {
        self.store()?.quarantined(limit).await
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

    async fn raw(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
    ) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>)> {
        self.store()?.raw(number, customer).await
    }

    fn kind(&self) -> &'static str {
        "flaky"
    }
}
