//! Stores that misbehave on purpose.

use std::sync::{
    Arc,
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

/// What a [`Stub`] does.
#[derive(Debug)]
pub enum Behaviour {
    /// Every step fails.
    Fails(Error),
    /// Steps on customers with this `wa_id` fail, all others are denied: never asked.
    FailsFor(&'static str, Error),
    /// No step ever ends.
    Hangs,
    /// Every step panics.
    Panics,
}

/// A store that counts how often it is asked.
#[derive(Debug)]
pub struct Stub {
    behaviour: Behaviour,
    asked: AtomicUsize,
}

impl Stub {
    pub fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, asked: AtomicUsize::new(0) }
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn act(&self, customer: Option<&Customer>) -> Result<()> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let wa_id = customer.and_then(Customer::wa).map(|wa| wa.key());
        match &self.behaviour {
            Behaviour::Fails(error) => Err(error.clone()),
            Behaviour::FailsFor(bad, error) if wa_id == Some(bad) => Err(error.clone()),
            Behaviour::FailsFor(..) => Ok(()),
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::Panics => panic!("the store was made to panic"),
        }
    }

    async fn fail<T>(&self) -> Result<T> {
        self.act(None).await?;
        Err(Error::Internal("not part of this stub".to_owned()))
    }
}

fn denied() -> Reply {
    Reply {
        result: 1,
        decision: 2,
        reason: 10,
        blocked_by: vec![10],
        next_step: 2,
        ..Reply::default()
    }
}

#[async_trait]
impl Store for Stub {
    async fn apply(&self, step: Step<'_>) -> Result<Reply> {
        self.act(Some(&step.pair.customer)).await.map(|()| denied())
    }
    async fn read(&self, steps: Vec<Step<'_>>) -> Vec<Result<Reply>> {
        let mut replies = Vec::new();
        for step in steps {
            replies.push(self.apply(step).await);
        }
        replies
    }
    async fn number(&self, _: NumberStep<'_>) -> Result<NumberReply> {
        self.fail().await
    }
    async fn report_by_display(&self, _: &str, _: NumberReport) -> Result<Option<PhoneNumberId>> {
        self.fail().await
    }
    async fn learn_display(&self, _: &str, _: &PhoneNumberId, _: Millis) -> Result<()> {
        self.fail().await
    }
    async fn forget(&self, _: &PhoneNumberId, _: &Customer, _: &Profile) -> Result<bool> {
        self.fail().await
    }
    async fn forget_unfiled(&self, _: &Customer) -> Result<()> {
        self.fail().await
    }
    async fn numbers(&self, _: u16) -> Result<Vec<PhoneNumberId>> {
        self.fail().await
    }
    fn partitions(&self) -> u16 {
        64
    }
    async fn quarantine(&self, _: Quarantined) -> Result<()> {
        self.fail().await
    }
    async fn quarantined(&self, _: usize) -> Result<Vec<Quarantined>> {
        self.fail().await
    }
    async fn quarantined_by_id(&self, _: &str) -> Result<Option<Quarantined>> {
        self.fail().await
    }
    async fn release_quarantined(&self, _: &str) -> Result<()> {
        self.fail().await
    }
    async fn change_log(&self) -> Result<Arc<dyn ChangeLog>> {
        self.fail().await
    }
    async fn due(&self, _: usize) -> Result<Vec<Due>> {
        self.fail().await
    }
    async fn customers(&self, _: &PhoneNumberId, _: &str) -> Result<CustomersPage> {
        self.fail().await
    }
    async fn settled(&self, _: &Due) -> Result<()> {
        self.fail().await
    }
    fn secret(&self) -> Result<Vec<u8>> {
        Ok(b"stub".to_vec())
    }
    async fn now(&self) -> Result<Millis> {
        self.fail().await
    }
    async fn raw(
        &self,
        _: &PhoneNumberId,
        _: &Customer,
    ) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>)> {
        self.fail().await
    }
    fn kind(&self) -> &'static str {
        "stub"
    }
}
