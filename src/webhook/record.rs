//! What was translated is recorded, or kept aside, and counted.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    engine::{
        Error, Result,
        fact::NumberReport,
        gate::{Answer, Gate},
        pair::PhoneNumberId,
        store::Quarantined,
        time::Millis,
    },
    webhook::{
        payload::{Change, Reason},
        translate::{Display, Item, Meaning, Source, Translation, translate},
    },
};

/// `EventStatus` of the contract.
const DUPLICATE: u8 = 2;
/// `EventStatus` of the contract.
const STALE: u8 = 3;
/// Pieces kept aside at once.
const KEPT_IN_FLIGHT: usize = 32;
/// How long a display number is not told again.
const LEARN_AGAIN: Duration = Duration::from_secs(600);
/// Display numbers remembered as learned; beyond that all are learned anew.
const LEARNED_MAX: usize = 10_000;

/// Takes in bodies that are known to be Meta's.
#[derive(Debug)]
pub(crate) struct Intake {
    gate: Gate,
    /// By display number: whose it was told to be, and as of when.
    learned: Mutex<HashMap<String, (PhoneNumberId, Millis)>>,
}

/// What came of looking again at something that was kept aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It is understood now and no longer kept; so many facts were recorded.
    Recorded(usize),
    /// It is still not understood, and still kept.
    StillUnclear(String),
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Recorded,
    Duplicate,
    Stale,
    Ignored(&'static str),
    Unclear(Reason),
    /// The store could not do it now.
    Failed,
}

impl Intake {
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate, learned: Mutex::default() }
    }

    /// Records all of a body, or answers with the failure of the store. Then the rest is recorded and kept
    /// aside all the same: it may fail again and again, until Meta gives up, and does no harm when the body
    /// comes again.
    pub(crate) async fn take_in(&self, body: &Value) -> Result<()> {
        let now = self.gate.store().now().await?;
        let translation = translate(body, now, &self.gate.profiles());
        translation.stamps().for_each(|stamp| self.gate.store().hear(stamp));
        let unlearned = self.learn(&translation.displays, now).await.err();
        let (fates, failure) = record(&self.gate, &translation).await;
        let mut unclear = Vec::new();
        for (item, fate) in std::iter::zip(&translation.items, &fates) {
            if let Fate::Unclear(reason) = fate {
                unclear.push(kept(&item.source, reason, now));
            }
        }
        stream::iter(unclear)
            .map(|entry| self.gate.store().quarantine(entry))
            .buffer_unordered(KEPT_IN_FLIGHT)
            .try_collect::<()>()
            .await?;
        failure.or(unlearned).map_or(Ok(()), Err)?;
        for (item, fate) in std::iter::zip(&translation.items, &fates) {
            count(item, fate);
            if let (Meaning::Fact(event), Fate::Recorded) = (&item.meaning, fate) {
                let lag = Duration::from_millis(now.0.saturating_sub(event.occurred_at.0));
                metrics::histogram!("callgate_webhook_lag_seconds").record(lag.as_secs_f64());
            }
        }
        Ok(())
    }

    /// Tells the store which display number has which id: now and then, since another gate may have told
    /// it of another one meanwhile. One that cannot be told holds up no other.
    async fn learn(&self, displays: &[Display], now: Millis) -> Result<()> {
        let mut failure = None;
        for told in displays {
            if let Err(error) = self.learn_one(told, now).await {
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn learn_one(&self, told: &Display, now: Millis) -> Result<()> {
        let Display { display, number, at } = told;
        let at = at.map_or(now, |at| at.min(now));
        let is_told = |all: &HashMap<String, (PhoneNumberId, Millis)>| {
            all.get(display.key())
                .is_some_and(|(owner, known_at)| owner == number && at < known_at.plus(LEARN_AGAIN))
        };
        if is_told(&self.learned.lock().expect("nobody panics with it")) {
            return Ok(());
        }
        self.gate.store().learn_display(display.key(), number, at).await?;
        let shown = display.spelled().to_owned();
        let shown = NumberReport { at, display: shown, ..NumberReport::default() };
        self.gate.number(number, Some(shown)).await?;
        let mut learned = self.learned.lock().expect("nobody panics with it");
        if LEARNED_MAX <= learned.len() {
            learned.clear();
        }
        learned.insert(display.key().to_owned(), (number.clone(), at));
        Ok(())
    }
}

/// Looks again at something that was kept aside: a newer version may understand it, or its time may
/// have come. What is understood is recorded, at its own time, and no longer kept.
///
/// # Errors
/// See [`Store`](crate::engine::store::Store); then it is still kept.
pub async fn retry(gate: &Gate, entry: &Quarantined) -> Result<RetryOutcome> {
    let Ok(raw) = serde_json::from_str::<Value>(&entry.change) else {
        return Ok(RetryOutcome::StillUnclear("what is kept is not JSON".to_owned()));
    };
    let time = crate::webhook::payload::seconds(&raw, "time").ok().flatten();
    let mut translation = Translation::default();
    translation.change(Change::read(&raw, time), entry.received_at, &gate.profiles());
    let (fates, failure) = record(gate, &translation).await;
    failure.map_or(Ok(()), Err)?;
    let unclear = fates.iter().find_map(|fate| match fate {
        Fate::Unclear(reason) => Some(reason.to_string()),
        _ => None,
    });
    if let Some(reason) = unclear {
        return Ok(RetryOutcome::StillUnclear(reason));
    }
    gate.store().release_quarantined(&entry.id).await?;
    let recorded = fates.iter().filter(|fate| **fate == Fate::Recorded).count();
    Ok(RetryOutcome::Recorded(recorded))
}

/// Records all items; one fate per item, same order. An item that the rules refuse is not
/// understood, and the others go on; so do they beside one that the store cannot do now, which is told as
/// well.
async fn record(gate: &Gate, translation: &Translation<'_>) -> (Vec<Fate>, Option<Error>) {
    let mut failure = None;
    let mut or_failed = |fate: Result<Fate>| {
        fate.unwrap_or_else(|error| {
            failure.get_or_insert(error);
            Fate::Failed
        })
    };
    let events = translation.items.iter().filter_map(|item| match &item.meaning {
        Meaning::Fact(event) => Some(event.as_ref().clone()),
        _ => None,
    });
    let mut answers = match gate.record_all(events.collect()).await {
        Ok(answers) => answers.into_iter(),
        Err(error) => {
            or_failed(Err(error));
            Vec::new().into_iter()
        }
    };
    let mut fates = Vec::with_capacity(translation.items.len());
    for item in &translation.items {
        fates.push(match &item.meaning {
            Meaning::Fact(_) => {
                answers.next().map_or(Fate::Failed, |answer| or_failed(fate_of(answer)))
            }
            Meaning::Ignored(why) => Fate::Ignored(why),
            Meaning::Unclear(reason) => Fate::Unclear(reason.clone()),
            Meaning::Number(number, report) => {
                or_failed(match gate.number(number, Some(report.clone())).await {
                    Ok(reply) if reply.changed == 0 => Ok(Fate::Duplicate),
                    Ok(_) => Ok(Fate::Recorded),
                    Err(error) => refused(error),
                })
            }
            Meaning::Display(display, report) => {
                let reported = gate.store().report_by_display(display.key(), report.clone());
                or_failed(match reported.await {
                    Ok(_) => Ok(Fate::Recorded),
                    Err(error) => refused(error),
                })
            }
        });
    }
    (fates, failure)
}

fn fate_of(answer: Result<Answer>) -> Result<Fate> {
    match answer {
        Ok(answer) => Ok(match answer.reply.result {
            DUPLICATE => Fate::Duplicate,
            STALE => Fate::Stale,
            _ => Fate::Recorded,
        }),
        Err(error) => refused(error),
    }
}

/// What the rules refuse is kept aside, for it will be refused again; what the store cannot do now
/// is left to Meta's retry. A record that this version cannot read is left to the retry too: the
/// other half of a rolling upgrade may.
fn refused(error: Error) -> Result<Fate> {
    match error {
        Error::Invalid { .. }
        | Error::AlreadyExists(_)
        | Error::Exhausted(_)
        | Error::NotFound(_)
        | Error::NotPermitted(_)
        | Error::OutOfRange(_) => Ok(Fate::Unclear(error.to_string().into())),
        Error::Unavailable(_) | Error::DeadlineExceeded(_) | Error::Internal(_) => Err(error),
    }
}

/// The same piece has the same id whenever it comes.
fn kept(source: &Source<'_>, reason: &str, received_at: Millis) -> Quarantined {
    let (field, number, change) = (source.field(), source.number(), source.json());
    Quarantined {
        id: hex::encode(Sha256::digest(format!("{number}|{field}|{change}"))),
        reason: reason.to_owned(),
        received_at,
        field: field.to_owned(),
        phone_number_id: number.to_owned(),
        change,
    }
}

/// What webhooks can tell of us: field, and event as metrics call it.
pub(crate) const FACTS: [(&str, &str); 10] = [
    ("messages", "permission_reply"),
    ("messages", "message"),
    ("messages", "message_status"),
    ("messages", "identity"),
    ("calls", "call_created"),
    ("calls", "call_connect"),
    ("calls", "call_status"),
    ("calls", "call_terminate"),
    ("account_update", "restriction"),
    ("account_settings_update", "settings"),
];

fn count(item: &Item<'_>, fate: &Fate) {
    let field = match item.source.field() {
        "messages" => "messages",
        "calls" => "calls",
        "account_update" => "account_update",
        "account_settings_update" => "account_settings_update",
        _ => "other",
    };
    let (event, result) = match fate {
        Fate::Recorded => (item.event, "recorded"),
        Fate::Duplicate => (item.event, "duplicate"),
        Fate::Stale => (item.event, "stale"),
        Fate::Ignored(why) => (*why, "ignored"),
        Fate::Unclear(_) => (item.event, "quarantined"),
        Fate::Failed => return,
    };
    metrics::counter!(
        "callgate_webhook_events_total", "field" => field, "event" => event, "result" => result
    )
    .increment(1);
    match fate {
        Fate::Unclear(reason) => tracing::warn!(
            field = item.source.field(),
            phone_number_id = item.source.number(),
            event,
            %reason,
            "part of a webhook was not understood and is kept aside"
        ),
        _ => tracing::debug!(field = item.source.field(), event, result, "webhook"),
    }
}
