//! The mender: waits until something breaks, looks for what breaks without a sign, and tries until
//! nothing is broken.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::future;
use redis::{FromRedisValue, Value, cmd};
use tokio::time::{Instant, sleep};

use crate::{
    engine::{Error, pseudonym::Fingerprints},
    store::redis::{
        admit::{self, Session},
        call::{Call, Way, send},
        fault::Fault,
        link::{Broken, Shared, Spot, open_within},
        sentinels::{ASK_EVERY, Sentinels},
    },
};

/// The pause between two attempts to mend, at first and at most; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// See [`PAUSE_MIN`].
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// At so many-th looks it is asked whether the servers evict: that costs them more than the rest.
const EVICTION_LOOK: u32 = 10;

/// The background task of a link.
pub(super) async fn mend(shared: Arc<Shared>) {
    let mut sentinels = Sentinels::default();
    let mut looks = 0;
    loop {
        tokio::select! {
            () = shared.broken.notified() => {}
            () = sleep(ASK_EVERY) => {
                shared.look_for_another_master(&mut sentinels).await;
                shared.look_for_another_store().await;
                shared.look_for_a_replica().await;
                looks += 1;
                if looks % EVICTION_LOOK == 0 {
                    shared.look_for_eviction().await;
                }
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

impl Shared {
    /// Callers learn why it cannot be mended, which may be another reason than why it broke.
    fn still_broken(&self, why: &str) {
        for spot in &mut self.state().spots {
            if let Some(broken) = &mut spot.broken {
                *broken = Broken { why: why.to_owned(), lasts: true };
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
    /// So it would where the store came back under other keys of pseudonyms, which `callgate import`
    /// does with the key of the tombstones as it was: nobody would find what we write.
    async fn look_for_another_store(&self) {
        let session = Arc::clone(&self.state().session);
        let fields = ["key", "pseudonyms"];
        let fields = Call::Plain(cmd("HMGET").arg(self.keys.meta()).arg(&fields).to_owned());
        let until = Instant::now() + self.connect_budget / 4;
        // Without an answer nothing is known; calls find out themselves what is broken.
        let Ok(fields) = send(&session, &fields, Way::Direct, until).await else { return };
        let known: Option<(Option<Vec<u8>>, Option<String>)> =
            FromRedisValue::from_redis_value(fields).ok();
        let is_same = known.is_some_and(|(key, pseudonyms)| {
            let pseudonyms = Fingerprints::read(&pseudonyms.unwrap_or_default());
            key.as_ref() == Some(&session.secret) && pseudonyms == *self.connector.pseudonyms()
        });
        if !is_same {
            self.must_leave.store(true, Ordering::Relaxed);
            self.note(0, &session, &Fault::Broken("the store was emptied".to_owned()));
        }
    }

    /// Leaves a server that became a replica: one that may be written (`replica-read-only no`) would go on
    /// answering, and what it answers nobody else knows. The nodes of a cluster do not.
    async fn look_for_a_replica(&self) {
        if self.connector.target().is_cluster() {
            return;
        }
        let session = Arc::clone(&self.state().session);
        let role = Call::Plain(cmd("ROLE"));
        let until = Instant::now() + self.connect_budget / 4;
        let Ok(Value::Array(words)) = send(&session, &role, Way::Direct, until).await else {
            return;
        };
        if words.first().is_some_and(|role| *role != Value::BulkString(b"master".to_vec())) {
            self.leave(&session, "this server is a replica now");
        }
    }

    /// Leaves servers that drop keys when memory is short: since somebody has set it so, or since a failover
    /// has made one a master.
    async fn look_for_eviction(&self) {
        let session = Arc::clone(&self.state().session);
        let info = Call::Everywhere(cmd("INFO").arg("memory").to_owned());
        let until = Instant::now() + self.connect_budget / 4;
        let Ok(Value::Array(infos)) = send(&session, &info, Way::Direct, until).await else {
            return;
        };
        let infos = infos.into_iter().filter_map(|info| String::from_redis_value(info).ok());
        if let Some(why) = infos.filter_map(|info| admit::evicts(&info)).next() {
            self.leave(&session, &why);
        }
    }

    /// Nothing goes to this session any more, in no partition, though it answers.
    fn leave(&self, session: &Arc<Session>, why: &str) {
        self.must_leave.store(true, Ordering::Relaxed);
        let spots = self.state().spots.len();
        for spot in 0..spots {
            self.note(spot, session, &Fault::Broken(why.to_owned()));
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
        let must_leave = self.must_leave.load(Ordering::Relaxed);
        if self.connector.target().is_cluster() && !must_leave {
            let session = Arc::clone(&self.state().session);
            if self.probe(&session).await.is_ok() {
                return Ok(());
            }
        }
        let session = open_within(&self.connector, &self.keys, self.connect_budget).await;
        let session = Arc::new(session.map_err(|error| error.to_string())?);
        // Only now: until then the old session must not be taken for sound again.
        self.must_leave.store(false, Ordering::Relaxed);
        let before = std::mem::replace(&mut self.state().session, Arc::clone(&session));
        if before.secret != session.secret && !self.is_beside {
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
