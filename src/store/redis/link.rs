//! The way to the server: every call has a deadline, a broken connection is mended in the background,
//! and calls wait for that, or fail at once where it lasts.
//!
//! A server is one *spot*; in a cluster each partition is one, since a part of the masters may be
//! away while the others serve. A spot breaks when its connection does, when calls to it are late
//! several times in a row, or when the sentinels name another master. The call that finds it broken
//! waits, within its own deadline, for the mend and is sent again; so do those that come before a first
//! attempt to mend it has failed, and those that come later are refused at once. Sending again is safe:
//! every command says the same when it happens twice. Where the store has another secret by then, nothing
//! is sent again.

mod mend;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use redis::{Cmd, Value};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{
    engine::{Error, Result, pseudonym::Fingerprints},
    lasting::lasting,
    store::redis::{
        StartError,
        admit::{self, Session},
        call::{Call, Way, send},
        connect::Connector,
        fault::Fault,
        keys::Keys,
    },
};

/// So many late answers in a row, and the connection is taken for dead.
const LATE_MAX: u32 = 3;

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
    /// There is another way to the same store beside, which tells what happens to the store.
    is_beside: bool,
    /// The session is not to be gone on with, though it answers: connect anew.
    must_leave: AtomicBool,
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
    broken: Option<Broken>,
    /// Late answers in a row.
    late: u32,
}

#[derive(Debug, Clone)]
struct Broken {
    why: String,
    /// An attempt to mend it has failed: it may last.
    lasts: bool,
}

impl Spot {
    fn breaks(&mut self, why: &str) {
        // Others find it broken when its mend has been tried for long.
        self.broken.get_or_insert_with(|| Broken { why: why.to_owned(), lasts: false });
    }
}

impl Broken {
    fn fault(&self) -> Fault {
        Fault::Broken(format!("{} (reconnecting)", self.why))
    }
}

impl Link {
    /// Connects, and keeps connected from then on.
    pub(super) async fn open(
        connector: Connector,
        keys: Keys,
        connect_budget: Duration,
    ) -> std::result::Result<Self, StartError> {
        Self::begin(connector, keys, connect_budget, false).await
    }

    /// As [`Link::open`], where there is a way to the store already: it does not tell a second time that
    /// the store was emptied.
    pub(super) async fn open_beside(
        connector: Connector,
        keys: Keys,
        connect_budget: Duration,
    ) -> std::result::Result<Self, StartError> {
        Self::begin(connector, keys, connect_budget, true).await
    }

    async fn begin(
        connector: Connector,
        keys: Keys,
        connect_budget: Duration,
        is_beside: bool,
    ) -> std::result::Result<Self, StartError> {
        let session = open_within(&connector, &keys, connect_budget).await?;
        let spots = vec![Spot::default(); keys.spots(connector.target().is_cluster())];
        let state = State { session: Arc::new(session), spots };
        let shared = Arc::new(Shared {
            connector,
            keys,
            connect_budget,
            state: Mutex::new(state),
            is_beside,
            must_leave: AtomicBool::new(false),
            broken: Notify::new(),
            mended: watch::Sender::new(()),
        });
        let mended = Arc::clone(&shared);
        let mender = tokio::spawn(async move {
            lasting("mending the connection", || mend::mend(Arc::clone(&mended))).await;
        });
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

    pub(super) fn pseudonyms(&self) -> &Fingerprints {
        self.shared.connector.pseudonyms()
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
        let until = Instant::now() + budget + self.shared.connector.longest_wait();
        self.attempt(spot, call, Way::Kept(spot), until).await.map_err(Error::from)
    }

    /// Sends a command to every master: their answers. In a cluster nothing is taken for broken if it
    /// fails: calls to the partitions find out which master it is.
    pub(super) async fn everywhere(
        &self,
        command: Cmd,
        budget: Duration,
    ) -> std::result::Result<Value, Fault> {
        let (call, until) = (Call::Everywhere(command), Instant::now() + budget);
        if self.is_cluster() {
            return send(&self.session(), &call, Way::Direct, until).await;
        }
        self.attempt(self.shared.spot(None), &call, Way::Direct, until).await
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
        let before = self.session();
        let fault = match shared.session(spot) {
            Ok(session) => match shared.send(spot, &session, call, way, until).await {
                Err(fault @ Fault::Broken(_)) => fault,
                answer => return answer,
            },
            Err(broken) if broken.lasts => return Err(broken.fault()),
            Err(broken) => broken.fault(),
        };
        loop {
            if let Ok(session) = shared.session(spot) {
                // The call may name tombstones as the store before did.
                if session.secret != before.secret {
                    let why = "the store was emptied, or is another one; repeat with the same ids";
                    return Err(Fault::Refused(why.to_owned()));
                }
                return shared.send(spot, &session, call, way, until).await;
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

    fn session(&self, spot: usize) -> std::result::Result<Arc<Session>, Broken> {
        let state = self.state();
        match &state.spots[spot].broken {
            None => Ok(Arc::clone(&state.session)),
            Some(broken) => Err(broken.clone()),
        }
    }

    async fn send(
        &self,
        spot: usize,
        session: &Arc<Session>,
        call: &Call<'_>,
        way: Way,
        until: Instant,
    ) -> std::result::Result<Value, Fault> {
        let answer = send(session, call, way, until).await;
        match &answer {
            Ok(_) => self.state().spots[spot].late = 0,
            Err(fault) => self.note(spot, session, fault),
        }
        answer
    }

    fn note(&self, spot: usize, session: &Arc<Session>, fault: &Fault) {
        let mut state = self.state();
        if !Arc::ptr_eq(session, &state.session) {
            return;
        }
        let at = &mut state.spots[spot];
        match fault {
            Fault::Broken(why) => at.breaks(why),
            Fault::Late(why) => {
                at.late += 1;
                if at.late < LATE_MAX {
                    return;
                }
                at.breaks(why);
            }
            Fault::Refused(_) | Fault::NoScript | Fault::Bug(_) => {
                at.late = 0;
                return;
            }
        }
        drop(state);
        self.broken.notify_one();
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
