//! The way to the server: every call has a deadline, a broken connection is mended in the background,
//! and until it is, calls fail at once.
//!
//! A server is one *spot*; in a cluster each partition is one, since a part of the masters may be
//! away while the others serve. A spot breaks when its connection does, or when calls to it are late
//! several times in a row. The call that finds it broken waits, within its own deadline, for the mend
//! and is sent again; those that come meanwhile are refused at once. Sending again is safe: every
//! command says the same when it happens twice.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future;
use redis::{Cmd, Value, cmd};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    engine::{Error, Result},
    store::redis::{
        StartError,
        admit::{self, Session},
        call::{Call, Way, send},
        connect::Connector,
        fault::Fault,
        keys::Keys,
        sentinels::{ASK_EVERY, Sentinels},
    },
};

/// So many late answers in a row, and the connection is taken for dead.
const LATE_MAX: u32 = 3;
/// The pause between two attempts to mend, at first and at most; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// See [`PAUSE_MIN`].
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The way to the server. Ends its background task when dropped.
#[derive(Debug)]
pub(super) struct Link {
    shared: Arc<Shared>,
    mender: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    connector: Connector,
    keys: Keys,
    connect_budget: Duration,
    state: Mutex<State>,
    /// The store is another than the session's: connect anew, also where it answers.
    is_another: AtomicBool,
    /// Something is broken.
    broken: Notify,
    /// Something was mended.
    mended: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    session: Arc<Session>,
    spots: Vec<Spot>,
}

#[derive(Debug, Clone, Default)]
struct Spot {
    /// Why calls are refused at once.
    broken: Option<String>,
    /// Late answers in a row.
    late: u32,
}

impl Link {
    /// Connects, and keeps connected from then on.
    pub(super) async fn open(
        connector: Connector,
        keys: Keys,
        connect_budget: Duration,
    ) -> std::result::Result<Self, StartError> {
        let session = open_within(&connector, &keys, connect_budget).await?;
        let spots = vec![Spot::default(); keys.spots(connector.target().is_cluster())];
        let state = State { session: Arc::new(session), spots };
        let shared = Arc::new(Shared {
            connector,
            keys,
            connect_budget,
            state: Mutex::new(state),
            is_another: AtomicBool::new(false),
            broken: Notify::new(),
            mended: watch::Sender::new(()),
        });
        let mender = tokio::spawn(mend(Arc::clone(&shared)));
        Ok(Self { shared, mender })
    }

    /// The session now, with the store's key.
    pub(super) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.shared.state().session)
    }

    /// Tells whenever something broken was mended.
    pub(super) fn mended(&self) -> watch::Receiver<()> {
        self.shared.mended.subscribe()
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.shared.connector.target().is_cluster()
    }

    /// Sends a call, to the master of the partition where it has one, and waits for the answer at
    /// most this long.
    pub(super) async fn call(
        &self,
        partition: Option<u16>,
        call: &Call<'_>,
        budget: Duration,
    ) -> Result<Value> {
        let spot = self.shared.spot(partition);
        self.attempt(spot, call, Way::Direct, Instant::now() + budget).await.map_err(Error::from)
    }

    /// As [`Link::call`], and where replicas are waited for, answers when enough of them have it.
    pub(super) async fn keep(
        &self,
        partition: Option<u16>,
        call: &Call<'_>,
        budget: Duration,
    ) -> Result<Value> {
        let spot = self.shared.spot(partition);
        // The wait that it finds under way, and its own.
        let waits = self.shared.connector.wait().map_or(Duration::ZERO, |wait| wait.timeout * 2);
        let until = Instant::now() + budget + waits;
        self.attempt(spot, call, Way::Kept(spot), until).await.map_err(Error::from)
    }

    /// Sends a command to every master. In a cluster nothing is taken for broken if it fails: calls to
    /// the partitions find out which master it is.
    pub(super) async fn everywhere(
        &self,
        command: Cmd,
        budget: Duration,
    ) -> std::result::Result<(), Fault> {
        let (call, until) = (Call::Everywhere(command), Instant::now() + budget);
        if self.is_cluster() {
            return send(&self.session(), &call, Way::Direct, until).await.map(drop);
        }
        self.attempt(self.shared.spot(None), &call, Way::Direct, until).await.map(drop)
    }

    async fn attempt(
        &self,
        spot: usize,
        call: &Call<'_>,
        way: Way,
        until: Instant,
    ) -> std::result::Result<Value, Fault> {
        let shared = &self.shared;
        let mut mended = shared.mended.subscribe();
        let session = shared.session(spot)?;
        let fault = match send(&session, call, way, until).await {
            Ok(value) => {
                shared.in_time(spot);
                return Ok(value);
            }
            Err(fault) => fault,
        };
        shared.note(spot, &session, &fault);
        if !matches!(fault, Fault::Broken(_)) {
            return Err(fault);
        }
        loop {
            if let Ok(session) = shared.session(spot) {
                return send(&session, call, way, until)
                    .await
                    .inspect_err(|again| shared.note(spot, &session, again));
            }
            match timeout_at(until, mended.changed()).await {
                Ok(Ok(())) => {}
                _ => return Err(fault),
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.mender.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spot(&self, partition: Option<u16>) -> usize {
        match partition {
            Some(partition) if self.connector.target().is_cluster() => usize::from(partition) + 1,
            _ => 0,
        }
    }

    fn session(&self, spot: usize) -> std::result::Result<Arc<Session>, Fault> {
        let state = self.state();
        match &state.spots[spot].broken {
            None => Ok(Arc::clone(&state.session)),
            Some(why) => Err(Fault::Broken(format!("{why} (reconnecting)"))),
        }
    }

    fn in_time(&self, spot: usize) {
        self.state().spots[spot].late = 0;
    }

    fn note(&self, spot: usize, session: &Arc<Session>, fault: &Fault) {
        let mut state = self.state();
        if !Arc::ptr_eq(session, &state.session) {
            return;
        }
        let at = &mut state.spots[spot];
        match fault {
            Fault::Broken(why) => at.broken = Some(why.clone()),
            Fault::Late(why) => {
                at.late += 1;
                if at.late < LATE_MAX {
                    return;
                }
                at.broken = Some(why.clone());
            }
            Fault::Refused(_) | Fault::NoScript | Fault::Bug(_) => {
                at.late = 0;
                return;
            }
        }
        drop(state);
        self.broken.notify_one();
    }

    /// Callers learn why it cannot be mended, which may be another reason than why it broke.
    fn still_broken(&self, why: &str) {
        for spot in &mut self.state().spots {
            if let Some(told) = &mut spot.broken {
                why.clone_into(told);
            }
        }
    }

    /// Leaves a master that the sentinels have replaced.
    async fn look_for_another_master(&self, sentinels: &mut Sentinels) {
        let session = Arc::clone(&self.state().session);
        let Some(ours) = &session.master else { return };
        if let Some((host, port)) = sentinels.another_master(&self.connector, ours).await {
            let why = format!("the sentinels name another master: {host}:{port}");
            self.note(0, &session, &Fault::Broken(why));
        }
    }

    /// Leaves a store that was emptied under us. Nothing else would tell: the next step would go on as
    /// in a new one, and write tombstones under names that gates which connect from now on do not know.
    async fn look_for_another_store(&self) {
        let session = Arc::clone(&self.state().session);
        let key = Call::Plain(cmd("HGET").arg(self.keys.meta()).arg("key").to_owned());
        let until = Instant::now() + self.connect_budget / 4;
        // Without an answer nothing is known; calls find out themselves what is broken.
        let Ok(key) = send(&session, &key, Way::Direct, until).await else { return };
        if key != Value::BulkString(session.secret.clone()) {
            self.is_another.store(true, Ordering::Relaxed);
            self.note(0, &session, &Fault::Broken("the store was emptied".to_owned()));
        }
    }

    fn broken_spots(&self) -> Vec<usize> {
        let state = self.state();
        (0..state.spots.len()).filter(|spot| state.spots[*spot].broken.is_some()).collect()
    }

    fn mended(&self, spots: &[usize]) {
        let mut state = self.state();
        for spot in spots {
            state.spots[*spot] = Spot::default();
        }
        drop(state);
        self.mended.send_replace(());
    }

    /// A cluster heals itself while we hold on to it: ask the broken spots, and connect anew only if
    /// that does not help. A server is connected to anew.
    async fn try_mend(&self) -> std::result::Result<(), String> {
        let is_another = self.is_another.load(Ordering::Relaxed);
        if self.connector.target().is_cluster() && !is_another {
            let session = Arc::clone(&self.state().session);
            if self.probe(&session).await.is_ok() {
                return Ok(());
            }
        }
        let session = open_within(&self.connector, &self.keys, self.connect_budget).await;
        let session = Arc::new(session.map_err(|error| error.to_string())?);
        // Only now: until then the old session must not be taken for sound again.
        self.is_another.store(false, Ordering::Relaxed);
        let before = std::mem::replace(&mut self.state().session, Arc::clone(&session));
        if before.secret != session.secret {
            // Made when a store is first used: this one has been, since we were connected last.
            metrics::counter!("callgate_redis_emptied_total").increment(1);
            let store = self.connector.target();
            tracing::error!(
                %store,
                "the store was emptied, or is another one: permissions, rejections and counts from \
                 before are gone"
            );
        }
        if self.connector.target().is_cluster() {
            return self.probe(&session).await;
        }
        self.mended(&self.broken_spots());
        Ok(())
    }

    /// Mends each broken spot that answers; the first that does not is the error.
    async fn probe(&self, session: &Session) -> std::result::Result<(), String> {
        let probes = self.broken_spots().into_iter().map(|spot| self.probe_spot(session, spot));
        // All at once: a master that hangs must not keep the others waiting.
        let probed = future::join_all(probes).await;
        probed.into_iter().collect()
    }

    async fn probe_spot(&self, session: &Session, spot: usize) -> std::result::Result<(), String> {
        let key = match spot.checked_sub(1) {
            Some(partition) => self.keys.numbers(u16::try_from(partition).unwrap_or(u16::MAX)),
            None => self.keys.meta(),
        };
        let exists = Call::Plain(cmd("EXISTS").arg(key).to_owned());
        match send(session, &exists, Way::Direct, Instant::now() + self.connect_budget).await {
            Ok(_) => {
                self.mended(&[spot]);
                Ok(())
            }
            Err(fault) => Err(Error::from(fault).to_string()),
        }
    }
}

/// The background task: waits until something breaks, then tries until nothing is broken.
async fn mend(shared: Arc<Shared>) {
    let mut sentinels = Sentinels::default();
    loop {
        tokio::select! {
            () = shared.broken.notified() => {}
            () = sleep(ASK_EVERY) => {
                shared.look_for_another_master(&mut sentinels).await;
                shared.look_for_another_store().await;
            }
        }
        let mut pause = PAUSE_MIN;
        while !shared.broken_spots().is_empty() {
            match shared.try_mend().await {
                Ok(()) => {
                    tracing::info!(store = %shared.connector.target(), "the store is back");
                }
                Err(why) => {
                    if pause == PAUSE_MIN {
                        let store = shared.connector.target();
                        tracing::warn!(%store, why, "the store is away, reconnecting");
                    }
                    shared.still_broken(&why);
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }
}

async fn open_within(
    connector: &Connector,
    keys: &Keys,
    budget: Duration,
) -> std::result::Result<Session, StartError> {
    timeout_at(Instant::now() + budget, admit::open(connector, keys)).await.unwrap_or_else(|_| {
        let target = connector.target();
        Err(StartError::Away(format!("{target}: no connection within {} ms", budget.as_millis())))
    })
}
