//! A store whose change log, deadlines and troubles a test writes itself.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};

use async_trait::async_trait;
use callgate::{
    engine::{
        Error, Result,
        change::{Change, ChangeLog, Logged, News, Position},
        fact::NumberReport,
        gate::{Gate, Profiles},
        pair::{Customer, Pair, PhoneNumberId},
        profile::Profile,
        step::{Command, NumberReply, NumberStep, Reply, Step},
        store::{CustomersPage, Due, Quarantined, Store, partition_of},
        time::Millis,
    },
    watch::{Draining, Watch},
};
use tokio::sync::{Notify, watch};

pub const PARTITIONS: u16 = 16;

/// What happens after a pair was settled.
type Hook = Box<dyn FnMut(&Double, &Pair) + Send>;

/// The scripted store.
pub struct Double {
    me: Weak<Self>,
    script: Mutex<Script>,
    notice: Notify,
    seen: watch::Sender<Seen>,
    /// See [`Double::be_slow`].
    is_slow: watch::Sender<bool>,
}

/// What the store saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Logs that were opened, and those of them that still are.
    pub opened: usize,
    pub open: usize,
    pub attended: BTreeSet<u16>,
    /// Reads: partition and after what.
    pub reads: Vec<(u16, Position)>,
    /// Pairs that were settled, as `number/ids`.
    pub settled: Vec<String>,
    /// Business numbers of which all were settled.
    pub numbers_settled: Vec<String>,
    pub due_asked: usize,
}

#[derive(Default)]
struct Script {
    partitions: BTreeMap<u16, Partition>,
    /// No news are told.
    is_silent: bool,
    /// Every access to the log fails.
    away: Option<Error>,
    /// The logs of these partitions cannot be read.
    away_at: BTreeSet<u16>,
    /// The next read panics.
    panics: bool,
    on_settle: Option<Hook>,
    /// Of pairs, as `number/ids`: the revision, where facts came that changed nothing that is told.
    revisions: BTreeMap<String, u64>,
    due: VecDeque<Result<Vec<Due>>>,
    fails_to_settle: BTreeMap<String, Error>,
    customers: BTreeMap<String, Vec<Customer>>,
}

#[derive(Default)]
struct Partition {
    entries: Vec<Logged>,
    last: u64,
    /// Up to here it was trimmed.
    trimmed: u64,
}

impl fmt::Debug for Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Double")
    }
}

pub fn number(digits: &str) -> PhoneNumberId {
    PhoneNumberId::parse(digits, "").unwrap()
}

pub fn partition(digits: &str) -> u16 {
    partition_of(&number(digits), PARTITIONS)
}

/// A number in another partition than these.
pub fn number_apart_from(others: &[&str]) -> String {
    let taken: Vec<u16> = others.iter().map(|number| partition(number)).collect();
    (1..).map(|n| format!("70{n}")).find(|number| !taken.contains(&partition(number))).unwrap()
}

impl Double {
    pub fn new() -> Arc<Self> {
        let seen = watch::Sender::new(Seen::default());
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            script: Mutex::default(),
            notice: Notify::new(),
            seen,
            is_slow: watch::Sender::new(false),
        })
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    fn saw(&self, change: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(change);
    }

    /// Waits until the store has seen this.
    pub async fn until(&self, what: &str, holds: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(10), seen.wait_for(holds)).await;
        match waited {
            Ok(seen) => seen.unwrap().clone(),
            Err(_) => panic!("{what} did not happen: {:?}", self.seen.borrow()),
        }
    }

    /// Waits until nobody has the log open.
    pub async fn until_closed(&self) {
        self.until("closing the log", |seen| seen.open == 0).await;
    }

    /// Waits until the hub has read for the first time after [`Double::forget_reads`].
    pub async fn until_read(&self) {
        self.until("reading", |seen| !seen.reads.is_empty()).await;
    }

    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    pub fn forget_reads(&self) {
        self.saw(|seen| seen.reads.clear());
    }

    /// Logs a change of a pair. `tag` goes into its event id.
    pub fn push(&self, number: &str, wa: &str, tag: &str) -> Position {
        self.push_change(Change {
            number: number.to_owned(),
            wa: wa.to_owned(),
            event_id: tag.to_owned(),
            ..Change::default()
        })
    }

    pub fn push_change(&self, change: Change) -> Position {
        let at = partition(&change.number);
        let mut script = self.script();
        let log = script.partitions.entry(at).or_default();
        log.last += 1;
        let position = Position(log.last, 0);
        log.entries.push(Logged { position, change: Arc::new(change) });
        drop(script);
        self.notice.notify_waiters();
        position
    }

    /// How many changes are held by others than the log.
    pub fn held(&self) -> usize {
        let script = self.script();
        let entries = script.partitions.values().flat_map(|log| &log.entries);
        entries.filter(|entry| Arc::strong_count(&entry.change) > 1).count()
    }

    /// Removes all up to there, as a log that is full does.
    pub fn trim(&self, number: &str, up_to: u64) {
        let mut script = self.script();
        let log = script.partitions.entry(partition(number)).or_default();
        log.entries.retain(|entry| up_to < entry.position.0);
        log.trimmed = up_to;
    }

    /// Removes single entries, as forgetting a customer does.
    pub fn erase(&self, number: &str, which: &[u64]) {
        let mut script = self.script();
        let log = script.partitions.entry(partition(number)).or_default();
        log.entries.retain(|entry| !which.contains(&entry.position.0));
    }

    /// Loses the newest entries, as a failover does.
    pub fn lose(&self, number: &str, after: u64) {
        let mut script = self.script();
        let log = script.partitions.entry(partition(number)).or_default();
        log.entries.retain(|entry| entry.position.0 <= after);
        log.last = after;
    }

    /// While silent, what is logged is not told of; afterwards all of it is.
    pub fn be_silent(&self, is_silent: bool) {
        self.script().is_silent = is_silent;
        self.notice.notify_waiters();
    }

    pub fn be_away(&self, away: Option<Error>) {
        self.script().away = away;
        self.notice.notify_waiters();
    }

    /// One node of a cluster is away, or comes back.
    pub fn be_away_at(&self, number: &str, is_away: bool) {
        let at = partition(number);
        let mut script = self.script();
        if is_away {
            script.away_at.insert(at);
        } else {
            script.away_at.remove(&at);
        }
    }

    /// While it is slow, no page is read for those that catch up, whose pages are shorter than the hub's,
    /// and no customers of a number are named.
    pub fn be_slow(&self, is_slow: bool) {
        self.is_slow.send_replace(is_slow);
    }

    async fn until_quick(&self) {
        drop(self.is_slow.subscribe().wait_for(|is_slow| !is_slow).await);
    }

    pub fn panic_once(&self) {
        self.script().panics = true;
    }

    pub fn on_settle(&self, hook: impl FnMut(&Self, &Pair) + Send + 'static) {
        self.script().on_settle = Some(Box::new(hook));
    }

    pub fn have_revision(&self, number: &str, ids: &str, revision: u64) {
        self.script().revisions.insert(format!("{number}/{ids}"), revision);
    }

    /// What `due` answers, one after the other; then nothing.
    pub fn due_next(&self, answer: Result<Vec<Due>>) {
        self.script().due.push_back(answer);
    }

    pub fn fail_to_settle(&self, number: &str, ids: &str, error: Error) {
        self.script().fails_to_settle.insert(format!("{number}/{ids}"), error);
    }

    pub fn have_customers(&self, number: &str, customers: Vec<Customer>) {
        self.script().customers.insert(number.to_owned(), customers);
    }

    pub fn gate(self: &Arc<Self>) -> Gate {
        let store: Arc<dyn Store> = self.clone();
        Gate::new(store, Profiles::new(Profile::atom()))
    }

    /// A watch whose hub ends at once when nobody is there.
    pub fn watch(self: &Arc<Self>) -> Watch {
        self.watch_with(None, Duration::ZERO)
    }

    pub fn watch_with(self: &Arc<Self>, draining: Draining, lingers: Duration) -> Watch {
        Watch::lingering(self.gate(), draining, lingers)
    }

    fn present(&self) -> Result<MutexGuard<'_, Script>> {
        let script = self.script();
        match &script.away {
            Some(error) => Err(error.clone()),
            None => Ok(script),
        }
    }

    /// The newest change of the pair, as its state.
    fn state(&self, pair: &Pair) -> Reply {
        let at = partition(pair.number.as_str());
        let mut script = self.script();
        let log = script.partitions.entry(at).or_default();
        let keys = pair.customer.keys();
        let newest = log.entries.iter().rev().find(|entry| {
            entry.change.number == pair.number.as_str()
                && keys.iter().any(|key| *key == entry.change.wa || *key == entry.change.user)
        });
        let mut view = newest.map(|entry| entry.change.view()).unwrap_or_default();
        let log_end = Position(log.last, 0);
        if let Some(revision) = script.revisions.get(&named(&pair.number, &pair.customer)) {
            view.revision = *revision;
        }
        Reply { view, log_end, ..Reply::default() }
    }
}

/// The log of a [`Double`].
#[derive(Debug)]
struct Log {
    store: Arc<Double>,
    /// By partition that is attended: how far its news were told.
    told: Mutex<BTreeMap<u16, u64>>,
}

impl Log {
    fn news_now(&self) -> Option<News> {
        let script = self.store.script();
        if script.is_silent {
            return None;
        }
        if script.away.is_some() {
            return Some(News::OfAny);
        }
        let mut news = Vec::new();
        for (at, told) in &mut *self.told.lock().unwrap() {
            let last = script.partitions.get(at).map_or(0, |log| log.last);
            if *told != last {
                *told = last;
                news.push(*at);
            }
        }
        (!news.is_empty()).then_some(News::Of(news))
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.store.saw(|seen| seen.open -= 1);
    }
}

#[async_trait]
impl ChangeLog for Log {
    async fn tails(&self, partitions: &[u16]) -> Result<Vec<Position>> {
        let script = self.store.present()?;
        if partitions.iter().any(|at| script.away_at.contains(at)) {
            return Err(Error::Unavailable("a node is away".to_owned()));
        }
        let tail = |at| script.partitions.get(at).map_or(0, |log| log.last);
        Ok(partitions.iter().map(|at| Position(tail(at), 0)).collect())
    }

    async fn read(&self, partition: u16, after: Position, limit: usize) -> Result<Vec<Logged>> {
        self.store.saw(|seen| seen.reads.push((partition, after)));
        if limit <= 64 {
            self.store.until_quick().await;
        }
        let mut script = self.store.present()?;
        if std::mem::take(&mut script.panics) {
            drop(script);
            panic!("the log was made to panic");
        }
        if script.away_at.contains(&partition) {
            return Err(Error::Unavailable("a node is away".to_owned()));
        }
        let Some(log) = script.partitions.get(&partition) else { return Ok(Vec::new()) };
        if after.0 < log.trimmed || log.last < after.0 {
            return Err(Error::OutOfRange("the double says so".to_owned()));
        }
        let later = log.entries.iter().filter(|entry| after < entry.position);
        Ok(later.take(limit).cloned().collect())
    }

    async fn attend(&self, partitions: &[u16]) -> Result<()> {
        let script = self.store.present()?;
        let last = |at: &u16| script.partitions.get(at).map_or(0, |log| log.last);
        let mut told = self.told.lock().unwrap();
        // Of those that it attends already it owes what was not told yet.
        let known = std::mem::take(&mut *told);
        let all = partitions.iter().map(|at| (*at, known.get(at).copied().unwrap_or(last(at))));
        told.extend(all);
        self.store.saw(|seen| seen.attended = partitions.iter().copied().collect());
        Ok(())
    }

    async fn news(&self) -> News {
        loop {
            let noticed = self.store.notice.notified();
            tokio::pin!(noticed);
            noticed.as_mut().enable();
            if let Some(news) = self.news_now() {
                return news;
            }
            noticed.await;
        }
    }
}

fn named(number: &PhoneNumberId, customer: &Customer) -> String {
    format!("{number}/{}", customer.keys().join("+"))
}

#[async_trait]
impl Store for Double {
    async fn apply(&self, step: Step<'_>) -> Result<Reply> {
        assert!(matches!(step.command, Command::Settle {}), "only settling is scripted");
        drop(self.present()?);
        let name = named(&step.pair.number, &step.pair.customer);
        if let Some(error) = self.script().fails_to_settle.get(&name) {
            return Err(error.clone());
        }
        let reply = self.state(step.pair);
        let hook = self.script().on_settle.take();
        if let Some(mut hook) = hook {
            hook(self, step.pair);
            self.script().on_settle.get_or_insert(hook);
        }
        self.saw(|seen| seen.settled.push(name));
        Ok(reply)
    }
    async fn read(&self, _: Vec<Step<'_>>) -> Vec<Result<Reply>> {
        unreachable!()
    }
    async fn number(&self, _: NumberStep<'_>) -> Result<NumberReply> {
        unreachable!()
    }
    async fn report_by_display(&self, _: &str, _: NumberReport) -> Result<Option<PhoneNumberId>> {
        unreachable!()
    }
    async fn learn_display(&self, _: &str, _: &PhoneNumberId, _: Millis) -> Result<()> {
        unreachable!()
    }
    async fn forget(&self, _: &PhoneNumberId, _: &Customer, _: &Profile) -> Result<bool> {
        unreachable!()
    }
    async fn forget_unfiled(&self, _: &Customer) -> Result<()> {
        unreachable!()
    }
    async fn numbers(&self, _: u16) -> Result<Vec<PhoneNumberId>> {
        unreachable!()
    }
    fn partitions(&self) -> u16 {
        PARTITIONS
    }
    async fn quarantine(&self, _: Quarantined) -> Result<()> {
        unreachable!()
    }
    async fn quarantined(&self, _: usize) -> Result<Vec<Quarantined>> {
        unreachable!()
    }
    async fn quarantined_by_id(&self, _: &str) -> Result<Option<Quarantined>> {
        unreachable!()
    }
    async fn release_quarantined(&self, _: &str) -> Result<()> {
        unreachable!()
    }
    async fn change_log(&self) -> Result<Arc<dyn ChangeLog>> {
        drop(self.present()?);
        self.saw(|seen| {
            seen.opened += 1;
            seen.open += 1;
        });
        Ok(Arc::new(Log { store: self.me.upgrade().unwrap(), told: Mutex::default() }))
    }
    async fn due(&self, limit: usize) -> Result<Vec<Due>> {
        self.saw(|seen| seen.due_asked += 1);
        let due = self.script().due.pop_front().unwrap_or_else(|| Ok(Vec::new()));
        due.inspect(|due| assert!(due.len() <= limit))
    }
    async fn customers(&self, number: &PhoneNumberId, from: &str) -> Result<CustomersPage> {
        self.until_quick().await;
        // Pages of two.
        let all = self.script().customers.get(number.as_str()).cloned().unwrap_or_default();
        let start = from.parse().unwrap_or(0);
        let customers: Vec<Customer> = all.iter().skip(start).take(2).cloned().collect();
        let next = (start + 2 < all.len()).then(|| (start + 2).to_string());
        Ok(CustomersPage { customers, next })
    }
    async fn settled(&self, due: &Due) -> Result<()> {
        self.saw(|seen| seen.numbers_settled.push(due.number.to_string()));
        Ok(())
    }
    fn secret(&self) -> Result<Vec<u8>> {
        self.present().map(|_| b"double".to_vec())
    }
    async fn now(&self) -> Result<Millis> {
        unreachable!()
    }
    async fn raw(
        &self,
        _: &PhoneNumberId,
        _: &Customer,
    ) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>)> {
        unreachable!()
    }
    fn kind(&self) -> &'static str {
        "double"
    }
}
