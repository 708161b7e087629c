//! Who hears that there are new changes: the server says that a change log's key was written.
//!
//! Redis calls it client-side caching: `CLIENT TRACKING … BCAST` on a connection makes the server
//! name every key under some prefixes that was written, by whomever, once per round of its event
//! loop. So nothing is published by the steps themselves, and in a cluster nothing crosses its bus.
//! (Channels are not used also because redis-rs 1.8 subscribes anew to several channels of a cluster
//! node in one command and takes only the first confirmation for its reply; the others would be taken
//! for replies to what was sent behind it.)
//!
//! A connection that ended took its notices with it. So they are ordered anew after every break, and
//! every few seconds in any case; and what may have been missed is looked for, see `log`.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{Cmd, PushInfo, PushKind, Value, cmd};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::{
    engine::change::News,
    store::redis::{connect::Ear, fault::Fault, keys::Keys, link::Link},
};

/// Whoever waits for news waits no longer, also while the store is away.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What was noticed and not yet told.
#[derive(Debug)]
pub(super) struct Notices {
    keys: Keys,
    state: Mutex<State>,
    /// There is something to tell.
    news: Notify,
    /// A connection ended, and notices with it; or the server refused to give any.
    broken: Notify,
    /// Of two orders at once the later would be refused.
    order: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    attended: BTreeSet<u16>,
    fresh: BTreeSet<u16>,
    is_any_fresh: bool,
    /// It was looked for what may have been missed.
    is_looked: bool,
    /// Until then it should have been.
    look_until: Instant,
    /// The server does not give notices.
    is_refused: bool,
}

impl Notices {
    pub(super) fn new(keys: Keys) -> Arc<Self> {
        let state = State {
            attended: BTreeSet::new(),
            fresh: BTreeSet::new(),
            is_any_fresh: false,
            is_looked: false,
            look_until: Instant::now() + WAIT_MAX,
            is_refused: false,
        };
        Arc::new(Self {
            keys,
            state: Mutex::new(state),
            news: Notify::new(),
            broken: Notify::new(),
            order: tokio::sync::Mutex::default(),
        })
    }

    /// For the connections.
    pub(super) fn ear(self: &Arc<Self>) -> Ear {
        let notices = Arc::clone(self);
        Ear(Arc::new(move |push| notices.hear(&push)))
    }

    /// Replaces the partitions of which news is told.
    pub(super) fn attend(&self, partitions: &[u16]) {
        let mut state = self.state();
        state.attended = partitions.iter().copied().collect();
        let State { attended, fresh, .. } = &mut *state;
        fresh.retain(|partition| attended.contains(partition));
    }

    pub(super) fn attended(&self) -> Vec<u16> {
        self.state().attended.iter().copied().collect()
    }

    /// Whether the server refuses to give notices, so that somebody has to look.
    pub(super) fn is_refused(&self) -> bool {
        self.state().is_refused
    }

    pub(super) fn note(&self, partitions: impl IntoIterator<Item = u16>) {
        let mut state = self.state();
        for partition in partitions {
            if state.attended.contains(&partition) {
                state.fresh.insert(partition);
            }
        }
        let is_news = !state.fresh.is_empty();
        drop(state);
        if is_news {
            self.news.notify_one();
        }
    }

    fn note_any(&self) {
        self.state().is_any_fresh = true;
        self.news.notify_one();
    }

    /// All that was missed is noted now.
    pub(super) fn looked(&self) {
        let mut state = self.state();
        state.is_looked = true;
        state.look_until = Instant::now() + WAIT_MAX;
        drop(state);
        self.news.notify_one();
    }

    /// A connection ended, or notices were refused.
    pub(super) async fn broken(&self) {
        self.broken.notified().await;
    }

    pub(super) async fn news(&self) -> News {
        loop {
            let until = {
                let mut state = self.state();
                if state.is_any_fresh || state.look_until <= Instant::now() {
                    state.is_any_fresh = false;
                    state.look_until = Instant::now() + WAIT_MAX;
                    state.fresh.clear();
                    return News::OfAny;
                }
                if state.is_looked || !state.fresh.is_empty() {
                    state.is_looked = false;
                    return News::Of(mem::take(&mut state.fresh).into_iter().collect());
                }
                state.look_until
            };
            // Either way the state says what there is.
            let _ = timeout_at(until, self.news.notified()).await;
        }
    }

    fn hear(&self, push: &PushInfo) {
        match (&push.kind, push.data.first()) {
            (PushKind::Disconnection, _) => self.broken.notify_one(),
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                self.note(keys.iter().filter_map(|key| self.partition(key)));
            }
            // All keys at once: FLUSHALL.
            (PushKind::Invalidate, _) => self.note_any(),
            _ => {}
        }
    }

    fn partition(&self, key: &Value) -> Option<u16> {
        let Value::BulkString(key) = key else { return None };
        self.keys.partition_of_changes(std::str::from_utf8(key).ok()?)
    }

    /// Orders notices of the attended partitions from every master. The order before is ended first,
    /// since the server takes none that overlaps: who orders must look afterwards. Returns whether they
    /// come now; if not, some master may have ended the order before and not taken the new one.
    pub(super) async fn order(&self, link: &Link, budget: Duration) -> bool {
        let _one_at_a_time = self.order.lock().await;
        let prefixes = self.attended().into_iter().map(|partition| self.keys.changes(partition));
        let prefixes: Vec<String> = prefixes.collect();
        let end = link.everywhere(tracking("OFF"), budget).await;
        let order = match end {
            Ok(_) if !prefixes.is_empty() => {
                let mut order = tracking("ON");
                order.arg("BCAST");
                for prefix in &prefixes {
                    order.arg("PREFIX").arg(prefix);
                }
                link.everywhere(order, budget).await
            }
            end => end,
        };
        self.ordered(order.map(drop))
    }

    fn ordered(&self, order: Result<(), Fault>) -> bool {
        let why = match order {
            Ok(()) => {
                self.state().is_refused = false;
                return true;
            }
            Err(Fault::Refused(why)) if why.contains("NOPERM") => why,
            Err(Fault::Bug(why)) => why,
            // Away for now.
            Err(Fault::Refused(_) | Fault::Broken(_) | Fault::Late(_) | Fault::NoScript) => {
                return false;
            }
        };
        if !mem::replace(&mut self.state().is_refused, true) {
            self.broken.notify_one();
            tracing::warn!(
                why,
                "the store gives no notice of new changes, so it is asked for them all the time: \
                 allow +client|tracking (docs/redis.md has the ACL rule)"
            );
        }
        false
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tracking(verb: &str) -> Cmd {
    cmd("CLIENT").arg("TRACKING").arg(verb).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(keys: &[&str]) -> PushInfo {
        let keys = keys.iter().map(|key| Value::BulkString(key.as_bytes().to_vec()));
        PushInfo { kind: PushKind::Invalidate, data: vec![Value::Array(keys.collect())] }
    }

    #[tokio::test]
    async fn only_what_is_attended_is_told() {
        let notices = Notices::new(Keys::new("gate", 64));
        notices.attend(&[1, 3]);
        let late = "gate:{p02}:changes";
        let others = ["gate:{p03}:due", "gates:{p03}:changes", "gate:{pxx}:changes"];
        notices.hear(&written(&[late, others[0], others[1], others[2], "gate:{p03}:changes"]));
        notices.hear(&written(&["gate:{p01}:changes", "gate:{p03}:changes"]));
        assert_eq!(notices.news().await, News::Of(vec![1, 3]));
        notices.hear(&written(&["gate:{p01}:changes", "gate:{p03}:changes"]));
        notices.attend(&[3]);
        assert_eq!(notices.news().await, News::Of(vec![3]));
        notices.hear(&PushInfo { kind: PushKind::Invalidate, data: vec![Value::Nil] });
        assert_eq!(notices.news().await, News::OfAny);
    }
}
