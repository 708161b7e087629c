//! Subscribers to a [`Double`](super::double::Double), and what they are told in short.

use std::time::Duration;

use callgate::{
    engine::{Error, pair::Pair},
    watch::{End, Filter, Message, Request, Subscription, Told, Watch},
};

use super::double::number;

/// No silence ends before a test does.
pub const NEVER: Duration = Duration::from_secs(3600);

pub fn of(filter: Filter) -> Request {
    Request { filter, resume_token: Vec::new(), snapshot: false, progress_interval: NEVER }
}

pub fn of_numbers(digits: &[&str]) -> Request {
    let numbers: Vec<_> = digits.iter().map(|digits| number(digits)).collect();
    of(Filter::new(&numbers, vec![]).unwrap())
}

pub fn of_pairs(ids: &[(&str, &str)]) -> Request {
    let pairs = ids.iter().map(|(number, wa)| Pair::parse(number, wa, "", "").unwrap());
    of(Filter::new(&[], pairs.collect()).unwrap())
}

pub fn of_all() -> Request {
    of(Filter::all())
}

pub fn from(token: &[u8], request: Request) -> Request {
    Request { resume_token: token.to_vec(), ..request }
}

/// What comes next, within 10 s.
pub async fn next(subscription: &mut Subscription) -> std::result::Result<Message, End> {
    let waited = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await;
    waited.expect("nothing is told")
}

/// A message in short: "progress", "snapshot", or the change's event id.
pub fn short(message: &Message) -> String {
    match &message.told {
        Told::Progress => "progress".to_owned(),
        Told::Snapshot(_) => "snapshot".to_owned(),
        Told::Change(change) => change.event_id.clone(),
    }
}

pub async fn told(subscription: &mut Subscription) -> String {
    short(&next(subscription).await.unwrap())
}

/// So many messages, in short.
pub async fn told_next(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(told(subscription).await);
    }
    all
}

/// Nothing is told, however often the task gets its turn.
pub async fn silence(subscription: &mut Subscription) {
    let quiet = tokio::time::timeout(Duration::from_millis(100), subscription.next()).await;
    assert!(quiet.is_err(), "told: {:?}", quiet.unwrap().map(|message| short(&message)));
}

/// Opens a stream and takes its first message, which is Progress.
pub async fn opened(watch: &Watch, request: Request) -> Subscription {
    let mut subscription = watch.open(request).await.unwrap();
    assert_eq!(told(&mut subscription).await, "progress");
    subscription
}

pub fn failed(end: std::result::Result<Message, End>) -> Error {
    match end {
        Err(End::Failed(error)) => error,
        other => panic!("{:?}", other.map(|message| short(&message))),
    }
}
