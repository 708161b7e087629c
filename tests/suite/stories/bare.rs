//! The bare rulebook as a host: records in a map, no store, no server.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Mutex,
};

use async_trait::async_trait;
use callgate::{
    engine::{
        Error, Result,
        change::{Change, Position},
        pair::{Customer, PhoneNumberId, UserId},
        profile::Profile,
        step::{NumberReply, NumberStep, Reply, Step},
        time::Millis,
    },
    store::lua::{Records, Vm},
};

use super::host::Host;
use crate::support::vm::vm;

/// One interpreter and what it knows of each business number.
pub(crate) struct Bare(Mutex<Inner>);

struct Inner {
    vm: Vm,
    now: Millis,
    numbers: HashMap<PhoneNumberId, Known>,
}

#[derive(Default)]
struct Known {
    now: Millis,
    facts: Option<Vec<u8>>,
    records: HashMap<String, (Vec<u8>, Millis)>,
    due: BTreeMap<String, Millis>,
    erased: HashMap<String, Millis>,
    told: Vec<Change>,
}

impl Records for Known {
    fn load(&mut self, id: &str) -> Result<Option<Vec<u8>>> {
        let now = self.now;
        self.records.retain(|_, (_, expires_at)| expires_at.get().is_none_or(|at| now < at));
        Ok(self.records.get(id).map(|(bytes, _)| bytes.clone()))
    }

    fn tell(&mut self, change: Change) -> Result<()> {
        self.told.push(change);
        Ok(())
    }

    fn save(
        &mut self,
        id: &str,
        bytes: Vec<u8>,
        expires_at: Millis,
        due_at: Option<Millis>,
    ) -> Result<()> {
        if due_at.and_then(Millis::get).is_some_and(|at| at <= self.now) {
            return Err(Error::Internal(format!("{id} is due at once, over and over")));
        }
        self.due.extend(due_at.map(|at| (id.to_owned(), at)));
        self.records.insert(id.to_owned(), (bytes, expires_at));
        Ok(())
    }

    fn number(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.facts.clone())
    }

    fn erased(&mut self, id: &str) -> Result<Millis> {
        Ok(self.erased.get(id).copied().unwrap_or_default())
    }
}

impl Bare {
    /// Knows nothing yet.
    pub(crate) fn new() -> Self {
        Self::of(vm())
    }

    /// The same of an interpreter that has a rulebook.
    pub(crate) fn of(vm: Vm) -> Self {
        Self(Mutex::new(Inner { vm, now: Millis::ZERO, numbers: HashMap::new() }))
    }
}

impl Bare {
    /// What a marked rulebook says of which of its functions were called.
    pub(crate) fn called(&self) -> HashSet<String> {
        let mut inner = self.0.lock().expect("no test panics inside");
        let called = inner.vm.linked("called", "", &mut Known::default());
        called.expect("marks break nothing").into_iter().collect()
    }

    /// The same interpreter, which knows nothing again.
    pub(crate) fn emptied(self) -> Self {
        match self.0.into_inner() {
            Ok(inner) => Self::of(inner.vm),
            Err(poisoned) => Self::of(poisoned.into_inner().vm),
        }
    }
}

#[async_trait]
impl Host for Bare {
    fn name(&self) -> String {
        "the bare rulebook".to_owned()
    }

    async fn step(&self, step: Step<'_>) -> Result<Reply> {
        let mut inner = self.0.lock().expect("no test panics inside");
        let Inner { vm, numbers, .. } = &mut *inner;
        let known = numbers.entry(step.pair.number.clone()).or_default();
        known.now = step.now;
        vm.step(&step, step.now, known)
    }

    async fn number(&self, step: NumberStep<'_>) -> Result<NumberReply> {
        let mut inner = self.0.lock().expect("no test panics inside");
        let Inner { vm, numbers, .. } = &mut *inner;
        let known = numbers.entry(step.number.clone()).or_default();
        let (reply, bytes) =
            vm.number_step(step.report.as_ref(), step.now, known.facts.as_deref())?;
        known.facts = bytes.or(known.facts.take());
        Ok(reply)
    }

    async fn forget(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
    ) -> Result<bool> {
        let mut inner = self.0.lock().expect("no test panics inside");
        let Inner { vm, numbers, now } = &mut *inner;
        let known = numbers.entry(number.clone()).or_default();
        known.now = *now;
        let wa = customer.wa().map_or("", |wa| wa.key());
        let user = customer.user().map_or("", UserId::as_str);
        let ids = vm.linked(wa, user, known)?;
        let forgotten = vm.forgotten(&ids, profile, *now, known)?;
        known.told.extend(forgotten);
        let erased: Vec<_> = ids.iter().filter_map(|id| known.records.remove(id)).collect();
        let mut at = *now;
        for (bytes, _) in &erased {
            at = at.max(vm.newest(bytes)?);
        }
        // What is erased once more stays erased as far as it was.
        at = ids.iter().filter_map(|id| known.erased.get(id)).fold(at, |at, known| at.max(*known));
        known.erased.extend(ids.into_iter().map(|id| (id, at)));
        Ok(!erased.is_empty())
    }

    async fn told(
        &self,
        number: &PhoneNumberId,
        after: Option<Position>,
    ) -> Result<(Vec<Change>, Position)> {
        let inner = self.0.lock().expect("no test panics inside");
        let told = inner.numbers.get(number).map_or(&[][..], |known| &known.told);
        let end = Position(told.len() as u64, 0);
        let after = usize::try_from(after.unwrap_or(end).0).expect("a small log");
        Ok((told[after..].to_vec(), end))
    }

    fn is_due(&self, number: &PhoneNumberId, id: &str, now: Millis) -> Option<bool> {
        let inner = self.0.lock().expect("no test panics inside");
        let due = inner.numbers.get(number)?.due.get(id)?;
        Some(due.get().is_some_and(|at| at <= now))
    }

    fn kept(&self, number: &PhoneNumberId) -> String {
        let inner = self.0.lock().expect("no test panics inside");
        let Some(known) = inner.numbers.get(number) else { return String::new() };
        let mut expiries: Vec<_> =
            known.records.iter().map(|(id, (_, expires_at))| (id, expires_at)).collect();
        expiries.sort_unstable();
        format!("due {:?}, expire {expiries:?}", known.due)
    }

    fn move_clock(&self, now: Millis) -> bool {
        self.0.lock().expect("no test panics inside").now = now;
        true
    }
}
