//! Questions, which change nothing: Redis hands out the records, and the rulebook judges them in this
//! process. So a thousand questions cost Redis little more than reading a thousand keys.

use std::{cell::RefCell, collections::HashMap, sync::Arc};

use futures_util::future::join_all;
use redis::Value;
use tokio::task::yield_now;

use super::{RedisStore, call::Call, fault::has_moved, script, wire};
use crate::{
    engine::{
        Error, Result,
        change::Change,
        pair::Pair,
        profile::Profile,
        step::{Command, Reply, Step},
        tally,
        time::Millis,
    },
    store::lua::{Records, Vm},
};

/// Questions of one task: what is more is shared among the threads of the runtime.
const SHARE: usize = 100;
/// Questions that a thread answers in one go, some tens of microseconds each: then it is others' turn.
const AT_ONCE: usize = 10;

thread_local! {
    /// Of each thread of the runtime; made when it is asked first.
    static VM: RefCell<Option<Vm>> = const { RefCell::new(None) };
}

/// A question that crosses to another thread, with all that it is judged by.
struct Question {
    pair: Pair,
    command: Command,
    profile: Arc<Profile>,
    now: Millis,
    records: Found,
}

/// The number's facts and the records under each id that has to do with a customer; unset: none.
struct Found {
    number: Option<Vec<u8>>,
    by_id: HashMap<String, Option<Vec<u8>>>,
}

impl Records for Found {
    fn load(&mut self, id: &str) -> Result<Option<Vec<u8>>> {
        let missing = || Error::Internal("a record is asked for that was not read".to_owned());
        self.by_id.get(id).cloned().ok_or_else(missing)
    }

    fn tell(&mut self, _: Change) -> Result<()> {
        Err(changes_nothing())
    }

    fn save(&mut self, _: &str, _: Vec<u8>, _: Millis, _: Option<Millis>) -> Result<()> {
        Err(changes_nothing())
    }

    fn number(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.number.clone())
    }

    fn erased(&mut self, _: &str) -> Result<Millis> {
        Err(changes_nothing())
    }
}

fn changes_nothing() -> Error {
    Error::Internal("a question changes nothing".to_owned())
}

impl Question {
    fn answer(mut self, vm: &mut Vm) -> Result<Reply> {
        let step =
            Step { pair: &self.pair, command: self.command, profile: &self.profile, now: self.now };
        vm.step(&step, self.now, &mut self.records)
    }
}

/// Answers on this thread.
fn answer(question: Result<Question>) -> Result<Reply> {
    VM.with_borrow_mut(|vm| {
        let vm = match vm {
            Some(vm) => vm,
            None => vm.insert(Vm::new()?),
        };
        question?.answer(vm)
    })
}

async fn answer_all(questions: Vec<Result<Question>>) -> Vec<Result<Reply>> {
    let mut replies = Vec::with_capacity(questions.len());
    for question in questions {
        replies.push(tally::asked(answer(question)));
        if replies.len().is_multiple_of(AT_ONCE) {
            yield_now().await;
        }
    }
    replies
}

impl RedisStore {
    /// Answers questions on pairs of one partition, each by itself.
    pub(super) async fn ask(
        &self,
        partition: u16,
        steps: &[&Step<'_>],
        is_bulk: bool,
    ) -> Vec<Result<Reply>> {
        let mut questions = match self.questions(partition, steps, is_bulk).await {
            Ok(questions) => questions.into_iter(),
            Err(error) => return vec![Err(error); steps.len()],
        };
        if questions.len() <= SHARE {
            return answer_all(questions.collect()).await;
        }
        let mut shares = Vec::new();
        while questions.len() > 0 {
            let share: Vec<_> = questions.by_ref().take(SHARE).collect();
            let count = share.len();
            let answers = tokio::spawn(answer_all(share));
            let lost =
                move |error| vec![Err(Error::Internal(format!("not judged: {error}"))); count];
            shares.push(async move { answers.await.unwrap_or_else(lost) });
        }
        join_all(shares).await.into_iter().flatten().collect()
    }

    async fn questions(
        &self,
        partition: u16,
        steps: &[&Step<'_>],
        is_bulk: bool,
    ) -> Result<Vec<Result<Question>>> {
        let (keys, args) = wire::records(&self.keys, steps);
        let call = Call::Script { script: &script::RECORDS, keys, args };
        let reply: Vec<Value> = if is_bulk {
            self.bulk(Some(partition), call).await?
        } else {
            self.call(Some(partition), call).await?
        };
        let mut values = reply.into_iter();
        let now = wire::instant_of(values.next())?;
        if values.len() != steps.len() {
            return Err(Error::Internal("redis: a reply is missing".into()));
        }
        let mut profiles: Vec<(&Profile, Arc<Profile>)> = Vec::new();
        let questions = std::iter::zip(steps, values).map(|(step, value)| {
            let known = profiles.iter().find(|(profile, _)| std::ptr::eq(*profile, step.profile));
            let profile = known.map(|(_, shared)| Arc::clone(shared)).unwrap_or_else(|| {
                let shared = Arc::new(step.profile.clone());
                profiles.push((step.profile, Arc::clone(&shared)));
                shared
            });
            Ok(Question {
                pair: step.pair.clone(),
                command: step.command.clone(),
                profile,
                now,
                records: found(value)?,
            })
        });
        Ok(questions.collect())
    }
}

/// One reply of `records.lua`.
fn found(value: Value) -> Result<Found> {
    if let Value::BulkString(why) = value {
        let why = String::from_utf8_lossy(&why).into_owned();
        return Err(if has_moved(&why) { Error::Unavailable(why) } else { Error::Internal(why) });
    }
    let mut texts: std::vec::IntoIter<Vec<u8>> = super::typed::<Vec<Vec<u8>>>(value)?.into_iter();
    let some = |bytes: Vec<u8>| (!bytes.is_empty()).then_some(bytes);
    let number = texts.next().and_then(some);
    let mut by_id = HashMap::new();
    while let (Some(id), Some(record)) = (texts.next(), texts.next()) {
        by_id.insert(String::from_utf8_lossy(&id).into_owned(), some(record));
    }
    Ok(Found { number, by_id })
}
