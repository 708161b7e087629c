//! What is looked at from outside: the change log, who heard it, and what is kept aside.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use callgate::{
    engine::{
        Error,
        change::Position,
        code::change_cause,
        pair::{Customer, Pair, PhoneNumberId},
        profile::Profile,
        step::{Command, Step},
        store::{PARTITIONS, Store as _, partition_of},
        time::{Millis, WallClock},
    },
    proto::{
        ListQuarantinedRequest, PermissionChange, WatchPermissionsRequest,
        watch_permissions_response::Message,
    },
    store::embedded::{Embedded, Options},
};
use prost_types::Duration as ProtoDuration;
use tokio::task::JoinHandle;

use super::{
    ledger::Seen,
    world::{NUMBERS, PATIENCE, World, is_gone},
};

/// A change as it was heard or stands on the log: whose, and what.
pub(super) type Line = (String, String);

/// Follows every number over all kills, by its resume token.
pub(super) struct Watching {
    heard: Arc<Mutex<Vec<Line>>>,
    /// How often it was told that there is nothing more.
    quiet: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Watching {
    /// Once it has a token.
    pub(super) async fn start(world: &Arc<World>) -> Self {
        let (heard, quiet) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
        let task = tokio::spawn(follow(Arc::clone(world), Arc::clone(&heard), Arc::clone(&quiet)));
        let watching = Self { heard, quiet, task };
        watching.more(1).await;
        watching
    }

    /// Waits for what is still to come.
    pub(super) async fn all(self) -> Vec<Line> {
        self.more(2).await;
        self.task.abort();
        let heard = self.heard.lock().unwrap();
        heard.clone()
    }

    /// So many Progress messages from now on.
    async fn more(&self, count: usize) {
        let wanted = *self.quiet.lock().unwrap() + count;
        let come = async {
            while *self.quiet.lock().unwrap() < wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, come).await.expect("the stream goes on");
    }
}

async fn follow(world: Arc<World>, heard: Arc<Mutex<Vec<Line>>>, quiet: Arc<Mutex<usize>>) {
    let mut request = WatchPermissionsRequest {
        phone_number_ids: NUMBERS.map(ToOwned::to_owned).to_vec(),
        progress_interval: Some(ProtoDuration { seconds: 1, nanos: 0 }),
        ..WatchPermissionsRequest::default()
    };
    loop {
        let mut client = world.calls();
        let mut stream = match client.watch_permissions(request.clone()).await {
            Ok(stream) => stream.into_inner(),
            Err(status) if is_gone(&status) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            Err(status) => panic!("the stream is refused: {status:?}"),
        };
        while let Ok(Some(message)) = stream.message().await {
            request.resume_token = message.resume_token;
            match message.message {
                Some(Message::Change(change)) => heard.lock().unwrap().push(line(&change)),
                Some(Message::Progress(_)) => *quiet.lock().unwrap() += 1,
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

fn line(change: &PermissionChange) -> Line {
    let permission = change.permission.clone().unwrap();
    let pair = permission.pair.clone().unwrap();
    let name = format!("{} {}", pair.phone_number_id, pair.customer.unwrap().wa_id);
    let told = format!(
        "{} {} -> {} event {} revision {}",
        change.cause,
        change.previous_status,
        permission.status,
        change.event_id,
        permission.revision
    );
    (name, told)
}

/// The log has no gap, its last change of each customer agrees with the view, and what was heard of
/// those who were not forgotten is what stands on it.
pub(super) async fn log_and_views(dir: &Path, heard: Option<(&[Line], &[String])>) {
    let clock = Arc::new(WallClock::default());
    let store = Embedded::open(dir, &Options::default(), clock).unwrap();
    let log = store.change_log().await.unwrap();
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut last = BTreeMap::new();
    for number in NUMBERS {
        let number = PhoneNumberId::parse(number, "").unwrap();
        let (mut after, partition) = (Position::START, partition_of(&number, PARTITIONS));
        // The oldest may have been of somebody who was forgotten.
        while let Err(Error::OutOfRange(_)) = log.read(partition, after, 1).await {
            after.0 += 1;
        }
        loop {
            let read = log.read(partition, after, 500).await.unwrap();
            let Some(end) = read.last() else { break };
            after = end.position;
            for logged in read {
                let change = logged.change;
                let name = format!("{} {}", change.number, change.wa_id);
                let told = format!(
                    "{} {} -> {} event {} revision {}",
                    change.cause,
                    change.previous_status,
                    change.status,
                    change.event_id,
                    change.revision
                );
                let before = last.insert(name.clone(), Arc::clone(&change));
                let before = before.map_or(1, |before| before.status);
                // What was told of the forgotten before is erased.
                if change.cause != change_cause::FORGOTTEN {
                    assert_eq!(change.previous_status, before, "a gap before {told}");
                }
                lines.entry(name).or_default().push(told);
            }
        }
        assert_eq!(log.tails(&[partition]).await.unwrap(), [after], "the end is not the end");
    }
    for (name, change) in &last {
        let (number, wa_id) = name.split_once(' ').unwrap();
        let pair = Pair {
            number: PhoneNumberId::parse(number, "").unwrap(),
            customer: Customer::parse(wa_id, "", "").unwrap(),
        };
        let profile = Profile {
            request_ends_permission: false,
            unanswered_warns_at: 99,
            unanswered_revokes_at: 100,
            ..Profile::atom()
        };
        let command = Command::View { as_of: Millis::ZERO };
        let step = Step { pair: &pair, command, profile: &profile, now: Millis::ZERO };
        let view = store.apply(step).await.unwrap().view;
        let told = (change.status, change.grant_kind, change.granted_at);
        assert_eq!((view.status, view.grant_kind, view.granted_at), told, "{name}");
    }
    if let Some((heard, forgotten)) = heard {
        must_be(heard, &lines, forgotten);
    }
}

fn must_be(heard: &[Line], lines: &BTreeMap<String, Vec<String>>, forgotten: &[String]) {
    let forgotten: BTreeSet<&String> = forgotten.iter().collect();
    let mut by_name: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for (name, told) in heard.iter().filter(|(name, _)| !forgotten.contains(name)) {
        by_name.entry(name).or_default().push(told);
    }
    for (name, told) in lines.iter().filter(|(name, _)| !forgotten.contains(name)) {
        let heard: Vec<&String> = by_name.remove(name).unwrap_or_default();
        assert_eq!(heard, told.iter().collect::<Vec<_>>(), "heard of {name}, and on the log");
    }
    assert!(by_name.is_empty(), "heard and not on the log: {by_name:?}");
}

/// Every webhook that was taken in and not understood is kept.
pub(super) async fn quarantine(world: &World, seen: &Seen) {
    let request = ListQuarantinedRequest { page_size: 1000 };
    let kept = world.quarantine().list_quarantined(request).await.unwrap().into_inner();
    let kept: BTreeSet<&str> = kept.webhooks.iter().map(|w| w.id.as_str()).collect();
    let aside = seen.aside.lock().unwrap();
    // Beyond a thousand the oldest go, and clients count in another order than the gate.
    for id in aside.iter().rev().take(900) {
        assert!(kept.contains(id.as_str()), "LOST webhook {id}, {} of {}", kept.len(), aside.len());
    }
    crate::support::tally::count("webhooks looked for after kills", aside.len().min(900));
}
