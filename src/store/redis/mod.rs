//! The shared store: one Redis (or Valkey) for a fleet of gates, standalone, behind Sentinel or a
//! Cluster.
//!
//! One command is one FCALL (EVALSHA before Redis 7), whatever the number of rules: the script is the
//! rulebook with a thin shell (`shell.lua`, `host.lua`), and Redis runs it atomically, on its own clock.
//! A question writes nothing, so the rulebook may answer it here (`ask`), from what Redis hands out.
//! In reading order: `keys` (the key table), `script` (the texts), `functions` (where the server keeps
//! them), `wire` (what crosses), `url` (where the server is), `connect` and `admit` (an open connection
//! to a server that may be used), `link` (deadlines, reconnecting), `lanes` (waiting for replicas),
//! `fault` (what errors mean), then the store itself by subject: here pairs and numbers, `display`,
//! `forget`, `due` and `quarantine` the rest; `archive` looks through all that is kept, `masters` tells
//! where that is; `log` and `notices` read the change log that the steps write (`log.lua`).

mod admit;
mod archive;
mod ask;
mod call;
mod connect;
mod display;
mod doctor;
mod due;
mod fault;
mod forget;
mod functions;
mod keys;
mod lanes;
mod link;
mod log;
mod masters;
mod notices;
mod quarantine;
mod script;
mod sentinels;
mod url;
mod wire;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::future::join_all;
use redis::{FromRedisValue, Value, cmd};
use thiserror::Error as ThisError;

use self::{
    call::Call,
    connect::{Connector, Patience},
    due::Sweeper,
    keys::Keys,
    link::Link,
    log::RedisLog,
};
pub use self::{doctor::examine, lanes::Wait, url::Target};
use crate::{
    engine::{
        Error, Result,
        change::ChangeLog,
        fact::NumberReport,
        pair::{Customer, PhoneNumberId},
        profile::Profile,
        pseudonym::Fingerprints,
        step::{Command, NumberReply, NumberStep, Reply, Step},
        store::{CustomersPage, Due, PARTITIONS, Quarantined, Store},
        tally,
        time::{self, Millis},
    },
    store::LogLimits,
};

/// The version of the key layout. (Records carry their own.)
const SCHEMA: u32 = 1;
/// Calls that may carry a thousand pairs or a megabyte have this many times the deadline of a call.
const BULK: u32 = 10;
/// Questions of one script at most: a longer one would hold up everybody else's calls.
const QUESTIONS_MAX: usize = 1000;

/// Why the store cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum StartError {
    /// The URL, or a file that it names, is wrong.
    #[error("store URL: {0}")]
    Url(String),
    /// The server is reached and must not be used as it is. The text says what mends it.
    #[error("{0}")]
    Refused(String),
    /// The server is away, still loading, or a replica for now: worth trying again.
    #[error("{0}")]
    Away(String),
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Url(problem) => Self::invalid("store", problem),
            StartError::Refused(why) => Self::Internal(why),
            StartError::Away(why) => Self::Unavailable(why),
        }
    }
}

/// How the store is used.
#[derive(Debug, Clone)]
pub struct Options {
    /// In front of every key.
    pub prefix: String,
    /// Partitions of a new store; an old one must have as many.
    pub partitions: u16,
    /// A call that has no answer by then has failed.
    pub call_deadline: Duration,
    /// Connecting, checking the server and loading the scripts take at most this long.
    pub connect_deadline: Duration,
    /// How much of the change log is kept.
    pub log: LogLimits,
    /// Steps that write are answered when so many replicas have them; `None`: when the server has.
    pub wait: Option<Wait>,
    /// Under which keys the ids of customers come: an old store must be under the same.
    pub pseudonyms: Fingerprints,
    /// The key of the tombstones of a new store; `None`: a random one.
    pub secret: Option<Vec<u8>>,
}

impl Options {
    fn patience(&self) -> Patience {
        Patience { connect: self.connect_deadline, call: self.call_deadline * BULK }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "callgate".to_owned(),
            partitions: PARTITIONS,
            call_deadline: Duration::from_millis(50),
            connect_deadline: Duration::from_secs(1),
            log: LogLimits::default(),
            wait: None,
            pseudonyms: Fingerprints::default(),
            secret: None,
        }
    }
}

/// The store in Redis.
#[derive(Debug)]
pub struct RedisStore {
    link: Link,
    keys: Keys,
    call_deadline: Duration,
    limits: LogLimits,
    sweeper: Sweeper,
    clock: time::Learned,
    /// For the change log's own connections.
    target: Target,
    patience: Patience,
}

impl RedisStore {
    /// Connects, checks the server, loads the scripts; from then on keeps itself connected.
    ///
    /// # Errors
    /// [`StartError`]; only `Away` is worth trying again.
    pub async fn open(target: Target, options: Options) -> std::result::Result<Self, StartError> {
        let patience = options.patience();
        let keys = Keys::new(options.prefix, options.partitions);
        let connector = Connector::new(target.clone(), patience, options.pseudonyms)?
            .with_wait(options.wait)
            .with_secret(options.secret);
        let link = Link::open(connector, keys.clone(), options.connect_deadline).await?;
        Ok(Self {
            link,
            keys,
            call_deadline: options.call_deadline,
            limits: options.log,
            sweeper: Sweeper::new(options.partitions),
            clock: time::Learned::default(),
            target,
            patience,
        })
    }

    async fn time(&self) -> Result<Millis> {
        let (seconds, micros): (u64, u64) = self.call(None, Call::Plain(cmd("TIME"))).await?;
        Ok(Millis(seconds * 1000 + micros / 1000))
    }

    async fn call<T: FromRedisValue>(&self, partition: Option<u16>, call: Call<'_>) -> Result<T> {
        asked(self.link.call(partition, &call, self.call_deadline).await)
    }

    /// As [`Self::call`], for what a caller will rely on: see [`Options::wait`].
    async fn keep<T: FromRedisValue>(&self, partition: Option<u16>, call: Call<'_>) -> Result<T> {
        asked(self.link.keep(partition, &call, self.call_deadline).await)
    }

    async fn bulk<T: FromRedisValue>(&self, partition: Option<u16>, call: Call<'_>) -> Result<T> {
        asked(self.link.call(partition, &call, self.patience.call).await)
    }
}

/// What the server answered, counted where it failed.
fn asked<T: FromRedisValue>(answer: Result<Value>) -> Result<T> {
    tally::asked(answer.and_then(typed))
}

fn typed<T: FromRedisValue>(value: Value) -> Result<T> {
    T::from_redis_value(value)
        .map_err(|error| Error::Internal(format!("redis: an answer of another kind: {error}")))
}

#[async_trait]
impl Store for RedisStore {
    async fn apply(&self, step: Step<'_>) -> Result<Reply> {
        let of = self.keys.of(&step.pair.number);
        if step.command.is_question() {
            let mut replies = self.ask(of.partition, &[&step], false).await;
            return replies.pop().expect("one question has one answer");
        }
        let (keys, args) = wire::shell(&of, &self.link.session().secret, self.limits, &step)?;
        let (call, at) = (Call::Script { script: &script::SHELL, keys, args }, Some(of.partition));
        // What settling tells is told by the clock alone, and told again by whoever looks next.
        let is_relied_on = matches!(
            step.command,
            Command::AuthorizeCall { .. }
                | Command::AuthorizeRequest { .. }
                | Command::Record { .. }
        );
        let packed: Vec<u8> =
            if is_relied_on { self.keep(at, call).await? } else { self.call(at, call).await? };
        wire::step_reply(&packed)
    }

    async fn read(&self, steps: Vec<Step<'_>>) -> Vec<Result<Reply>> {
        let mut by_partition = vec![Vec::new(); usize::from(self.keys.partitions())];
        for (index, step) in steps.iter().enumerate() {
            by_partition[usize::from(self.keys.of(&step.pair.number).partition)].push(index);
        }
        let steps = &steps;
        let chunks = by_partition.iter().enumerate().flat_map(|(partition, indices)| {
            indices.chunks(QUESTIONS_MAX).map(move |indices| (partition, indices))
        });
        let reads = chunks.map(|(partition, indices)| async move {
            let partition = u16::try_from(partition).unwrap_or(u16::MAX);
            let chosen: Vec<&Step<'_>> = indices.iter().map(|index| &steps[*index]).collect();
            let replies = self.ask(partition, &chosen, true).await;
            std::iter::zip(indices.iter().copied(), replies).collect::<Vec<_>>()
        });
        let mut replies: Vec<_> = join_all(reads).await.into_iter().flatten().collect();
        replies.sort_by_key(|(index, _)| *index);
        replies.into_iter().map(|(_, reply)| reply).collect()
    }

    async fn number(&self, step: NumberStep<'_>) -> Result<NumberReply> {
        let of = self.keys.of(step.number);
        let args = wire::number(&step)?;
        let keys = vec![of.number, of.numbers, of.due, of.never];
        let (call, at) = (Call::Script { script: &script::NUMBER, keys, args }, Some(of.partition));
        let is_report = step.report.is_some();
        let packed: Vec<u8> =
            if is_report { self.keep(at, call).await? } else { self.call(at, call).await? };
        wire::reply(&packed)
    }

    async fn report_by_display(
        &self,
        display: &str,
        report: NumberReport,
    ) -> Result<Option<PhoneNumberId>> {
        self.report_display(display, report).await
    }

    async fn learn_display(&self, display: &str, number: &PhoneNumberId, at: Millis) -> Result<()> {
        self.learn_id_of_display(display, number, at).await
    }

    async fn forget(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
        profile: &Profile,
    ) -> Result<bool> {
        self.erase(number, customer, profile, None).await
    }

    async fn forget_unfiled(&self, customer: &Customer) -> Result<()> {
        self.erase_quarantined(None, None, &customer.keys(), None).await.map(drop)
    }

    async fn numbers(&self, partition: u16) -> Result<Vec<PhoneNumberId>> {
        let members = Call::Plain(cmd("SMEMBERS").arg(self.keys.numbers(partition)).to_owned());
        let members: Vec<String> = self.bulk(Some(partition), members).await?;
        let mut numbers = members
            .iter()
            .map(|number| PhoneNumberId::parse(number, "number"))
            .collect::<Result<Vec<_>>>()?;
        numbers.sort();
        Ok(numbers)
    }

    fn partitions(&self) -> u16 {
        self.keys.partitions()
    }

    async fn quarantine(&self, entry: Quarantined) -> Result<()> {
        self.keep_aside(entry).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>> {
        self.kept_aside(limit).await
    }

    async fn quarantine_size(&self) -> Result<u64> {
        self.count_kept_aside().await
    }

    async fn quarantined_by_id(&self, id: &str) -> Result<Option<Quarantined>> {
        self.kept_aside_by_id(id).await
    }

    async fn release_quarantined(&self, id: &str) -> Result<()> {
        self.drop_kept_aside(id).await
    }

    async fn change_log(&self) -> Result<Arc<dyn ChangeLog>> {
        let pseudonyms = self.link.pseudonyms().clone();
        let connector = Connector::new(self.target.clone(), self.patience, pseudonyms)?;
        let log = RedisLog::open(connector, self.keys.clone(), self.patience);
        Ok(Arc::new(log.await?))
    }

    async fn due(&self, limit: usize) -> Result<Vec<Due>> {
        self.all_due(limit).await
    }

    async fn customers(&self, number: &PhoneNumberId, from: &str) -> Result<CustomersPage> {
        self.page_of_customers(number, from).await
    }

    async fn settled(&self, due: &Due) -> Result<()> {
        self.drop_due(due).await
    }

    fn secret(&self) -> Result<Vec<u8>> {
        Ok(self.link.session().secret.clone())
    }

    async fn now(&self) -> Result<Millis> {
        let asked = Instant::now();
        let now = self.time().await?;
        self.clock.learn(now, asked);
        Ok(now)
    }

    fn now_roughly(&self) -> Option<Millis> {
        self.clock.now()
    }

    async fn raw(
        &self,
        number: &PhoneNumberId,
        customer: &Customer,
    ) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>)> {
        let of = self.keys.of(number);
        let record = |id: Option<&str>| {
            let get = id.map(|id| cmd("GET").arg(format!("{}{id}", of.pair)).to_owned());
            async {
                match get {
                    Some(get) => self.call(Some(of.partition), Call::Plain(get)).await,
                    None => Ok(None),
                }
            }
        };
        let wa = record(customer.wa().map(|wa| wa.key())).await?;
        let user = record(customer.user().map(|user| user.as_str())).await?;
        Ok((wa, user))
    }

    fn kind(&self) -> &'static str {
        "redis"
    }
}
