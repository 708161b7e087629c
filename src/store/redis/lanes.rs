//! Steps that are answered only when replicas have them: `WAIT`, shared by all steps that are on their
//! way.
//!
//! WAIT blocks its connection, and speaks of the server that it runs on. So such steps have
//! connections of their own, the lanes, and go in groups: all that is waiting, one small write, and
//! WAIT, in one piece on one connection to one server. What comes meanwhile is the next group. The
//! small write is for steps that write nothing, since they repeat one whose answer was lost: once a
//! replica has it, it has all that came before it.
//!
//! In a cluster the client keeps a group together (redis 1.8, `cluster_handling/async_connection`): a
//! pipeline takes one connection of one node and is written to it as a whole (`try_pipeline_request`).
//! Where any answer in it is MOVED, ASK, READONLY or the like, all of it is sent again, to the other
//! node (`choose_response`): a WAIT never runs on another node or connection than the steps before it.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, Value, cluster_routing::Slot, pipe};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, timeout_at},
};

use crate::{
    engine::time::millis,
    store::redis::{connect::Wire, fault::Fault, keys::barrier},
};

/// Connections that carry groups in a cluster, to each master: a group holds up those of other
/// partitions on its connection.
const CLUSTER_LANES: usize = 4;
/// Steps of one group at most.
const GROUP_MAX: usize = 256;
/// The small write leaves a key that lives so long.
const BARRIER_AGE: Duration = Duration::from_secs(60);

/// How many replicas must have a step before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// At least one.
    pub replicas: u32,
    /// How long they may take.
    pub timeout: Duration,
}

/// The connections of one session for steps that wait. Their tasks end with it.
#[derive(Debug)]
pub(super) struct Lanes {
    /// By spot, see `link`.
    queues: Vec<mpsc::Sender<Waiting>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Waiting {
    command: Cmd,
    key: Arc<str>,
    /// Nobody waits for the answer after that.
    until: Instant,
    answer: oneshot::Sender<Result<Value, Fault>>,
}

/// Serves the steps of one spot.
struct Lane {
    wire: Wire,
    wait: Wait,
    /// A group is given up when nobody waits for it any more, and no sooner than after this, beside the
    /// wait itself: the server goes on with it, and what is sent behind it only adds to its work.
    patience: Duration,
}

impl Lanes {
    /// So many connections it takes.
    pub(super) fn wires(is_cluster: bool) -> usize {
        if is_cluster { CLUSTER_LANES } else { 1 }
    }

    pub(super) fn start(wires: &[Wire], spots: usize, wait: Wait, patience: Duration) -> Self {
        let mut tasks = JoinSet::new();
        let queues = wires.iter().cycle().take(spots).map(|wire| {
            let (queue, steps) = mpsc::channel(GROUP_MAX);
            let lane = Lane { wire: wire.clone(), wait, patience };
            tasks.spawn(lane.serve(steps));
            queue
        });
        let queues = queues.collect();
        Self { queues, _tasks: tasks }
    }

    /// Sends a command; `key` is its first. Answers when enough replicas have all that it says.
    pub(super) async fn send(
        &self,
        spot: usize,
        key: &str,
        command: Cmd,
        until: Instant,
    ) -> Result<Value, Fault> {
        let (answer, answered) = oneshot::channel();
        let step = Waiting { command, key: key.into(), until, answer };
        let gone = || Fault::Broken("the connection was given up".to_owned());
        self.queues[spot].send(step).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Lane {
    async fn serve(mut self, mut steps: mpsc::Receiver<Waiting>) {
        let mut queue: Vec<Waiting> = Vec::new();
        loop {
            let room = GROUP_MAX.saturating_sub(queue.len());
            if queue.is_empty() {
                if steps.recv_many(&mut queue, GROUP_MAX).await == 0 {
                    return;
                }
            } else if room > 0 && !steps.is_empty() {
                steps.recv_many(&mut queue, room).await;
            }
            // Whoever has given up must not find out later that it happened after all.
            queue.retain(|step| !step.answer.is_closed());
            let Some(first) = queue.first() else { continue };
            // In a cluster, what belongs to no partition is spread over slots.
            let slot = Slot::for_key(first.key.as_bytes());
            let is_alone = !self.wire.is_cluster();
            let (group, later) = queue
                .into_iter()
                .partition(|step| is_alone || Slot::for_key(step.key.as_bytes()) == slot);
            queue = later;
            self.send(group).await;
        }
    }

    /// Sends a group in one piece and tells each step what came of it.
    async fn send(&mut self, group: Vec<Waiting>) {
        let Some(key) = group.first().map(|step| Arc::clone(&step.key)) else { return };
        let Wait { replicas, timeout } = self.wait;
        let begun = Instant::now();
        let mut until = begun + self.patience + timeout;
        let mut pipeline = pipe();
        let mut callers = Vec::with_capacity(group.len());
        for step in group {
            until = until.max(step.until);
            pipeline.add_command(step.command);
            callers.push(step.answer);
        }
        let small = ["", "PX", &millis(BARRIER_AGE).to_string()];
        pipeline.cmd("SET").arg(barrier(&key)).arg(&small);
        pipeline.cmd("WAIT").arg(replicas).arg(millis(timeout));
        let sent = self.wire.send_in_one_piece(&key, pipeline, callers.len() + 2);
        let answers = match timeout_at(until, sent).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => return fail(callers, &Fault::from(error)),
            Err(_) => {
                let ms = (until - begun).as_millis();
                return fail(
                    callers,
                    &Fault::Late(format!("no answer from the store within {ms} ms")),
                );
            }
        };
        let mut answers: Vec<Result<Value, Fault>> =
            answers.into_iter().map(|answer| answer.extract_error().map_err(Fault::from)).collect();
        let is_kept = kept(answers.split_off(callers.len().min(answers.len())), self.wait);
        for (caller, answer) in std::iter::zip(callers, answers) {
            // A step that failed by itself says why; one that happened stands if all of it is kept.
            let _ = caller.send(answer.and_then(|value| is_kept.clone().map(|()| value)));
        }
    }
}

fn fail(callers: Vec<oneshot::Sender<Result<Value, Fault>>>, fault: &Fault) {
    for caller in callers {
        let _ = caller.send(Err(fault.clone()));
    }
}

/// What the small write and WAIT say of a group.
fn kept(answers: Vec<Result<Value, Fault>>, wait: Wait) -> Result<(), Fault> {
    let Ok([small, acknowledged]) = <[_; 2]>::try_from(answers) else {
        return Err(Fault::Bug("redis: an answer is missing".to_owned()));
    };
    small?;
    let Value::Int(replicas) = acknowledged? else {
        return Err(Fault::Bug("redis: WAIT answers no number".to_owned()));
    };
    if replicas >= i64::from(wait.replicas) {
        return Ok(());
    }
    Err(Fault::Refused(format!(
        "{replicas} of {} replicas had it within {} ms; it may have happened, repeat it with the same id",
        wait.replicas,
        wait.timeout.as_millis()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(small: Result<Value, Fault>, wait: Result<Value, Fault>) -> Result<(), Fault> {
        kept(vec![small, wait], Wait { replicas: 2, timeout: Duration::from_millis(70) })
    }

    #[test]
    fn a_group_stands_only_if_enough_replicas_have_its_small_write() {
        assert_eq!(after(Ok(Value::Okay), Ok(Value::Int(2))), Ok(()));
        assert_eq!(after(Ok(Value::Okay), Ok(Value::Int(3))), Ok(()));
        let Err(Fault::Refused(why)) = after(Ok(Value::Okay), Ok(Value::Int(1))) else {
            panic!("one of two is too few")
        };
        assert!(why.starts_with("1 of 2 replicas had it within 70 ms"), "{why}");
        let full = Fault::Refused("OOM".to_owned());
        assert_eq!(after(Err(full.clone()), Ok(Value::Int(2))), Err(full.clone()));
        assert_eq!(after(Ok(Value::Okay), Err(full.clone())), Err(full));
        assert!(matches!(after(Ok(Value::Okay), Ok(Value::Nil)), Err(Fault::Bug(_))));
        assert!(matches!(
            kept(Vec::new(), Wait { replicas: 1, timeout: Duration::ZERO }),
            Err(Fault::Bug(_))
        ));
    }
}
