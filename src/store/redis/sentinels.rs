//! What the sentinels say. Each has its own view, and one that was cut off together with a master goes
//! on naming that master; so all are asked, and the one that has seen the newest failover is believed
//! (`config-epoch` grows with each).
//!
//! They are asked again and again: a master that was cut off from them, or hung for a while, goes on
//! answering for some ten seconds after they have made another one; what it says then is lost.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use redis::{ErrorKind, RedisResult, Value, aio::MultiplexedConnection, cmd};
use tokio::time::{Instant, timeout, timeout_at};

use crate::store::redis::connect::{Address, Connector, Wire};

/// They are asked this often.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(1);

/// Connections to them, in the order of the URL.
#[derive(Debug, Default)]
pub(super) struct Sentinels(Vec<Option<MultiplexedConnection>>);

/// What one of them says of our master.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    address: Address,
    /// Of the failover that made it the master.
    epoch: u64,
    /// It answers that sentinel.
    is_up: bool,
}

/// A connection, and the master that sentinels have named for it. The caller limits the time that all
/// of it may take.
pub(super) async fn connect(connector: &Connector) -> RedisResult<(Wire, Option<Address>)> {
    if connector.sentinels() == 0 {
        return Ok((connector.connect().await?, None));
    }
    let words = newest(Sentinels::default().ask(connector).await?);
    let Some(word) = words.into_iter().find(|word| word.is_up) else {
        let what = "no sentinel names a master that answers";
        return Err((ErrorKind::MasterNameNotFoundBySentinel, what).into());
    };
    Ok((connector.connect_to(&word.address).await?, Some(word.address)))
}

impl Sentinels {
    /// The master that they name, if it is not `ours` and takes itself for one. None that answers is no
    /// reason to leave a master.
    pub(super) async fn another_master(
        &mut self,
        connector: &Connector,
        ours: &Address,
    ) -> Option<Address> {
        if connector.sentinels() == 0 {
            return None;
        }
        let asked = timeout(connector.budget(), self.ask(connector)).await;
        let words = newest(asked.ok()?.ok()?);
        if words.iter().any(|word| word.address == *ours) {
            return None;
        }
        let other = words.into_iter().find(|word| word.is_up)?.address;
        let is_master = timeout(connector.budget(), is_master(connector, &other)).await;
        is_master.is_ok_and(|is_master| is_master).then_some(other)
    }

    /// Asks all. Waits for the first that answers, and for the others no longer than a part of the time
    /// for connecting: one that hangs must not keep us away from the master.
    async fn ask(&mut self, connector: &Connector) -> RedisResult<Vec<Word>> {
        let patience = Instant::now() + connector.budget() / 4;
        self.0.resize(connector.sentinels(), None);
        let asked = self.0.iter_mut().enumerate();
        let mut asked: FuturesUnordered<_> =
            asked.map(|(n, connection)| ask_one(connector, n, connection)).collect();
        let (mut words, mut failed) = (Vec::new(), None);
        loop {
            let next = match words.is_empty() {
                true => asked.next().await,
                false => timeout_at(patience, asked.next()).await.unwrap_or(None),
            };
            match next {
                None => break,
                Some(Ok(word)) => words.push(word),
                Some(Err(error)) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if words.is_empty() => Err(error),
            _ => Ok(words),
        }
    }
}

async fn ask_one(
    connector: &Connector,
    n: usize,
    kept: &mut Option<MultiplexedConnection>,
) -> RedisResult<Word> {
    let unknown = || {
        let what = "a sentinel does not know the master's name";
        redis::RedisError::from((ErrorKind::MasterNameNotFoundBySentinel, what))
    };
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => connector.a_sentinel(n).await?,
    };
    let masters: Vec<HashMap<String, String>> =
        cmd("SENTINEL").arg("MASTERS").query_async(&mut connection).await?;
    *kept = Some(connection);
    let name = connector.master_name();
    masters
        .iter()
        .find(|master| master.get("name").map(String::as_str) == name)
        .and_then(word)
        .ok_or_else(unknown)
}

fn word(master: &HashMap<String, String>) -> Option<Word> {
    let flags = master.get("flags")?;
    Some(Word {
        address: (master.get("ip")?.clone(), master.get("port")?.parse().ok()?),
        epoch: master.get("config-epoch")?.parse().ok()?,
        is_up: flags.contains("master") && !flags.contains("_down"),
    })
}

/// Those that have seen the newest failover.
fn newest(mut words: Vec<Word>) -> Vec<Word> {
    let newest = words.iter().map(|word| word.epoch).max();
    words.retain(|word| Some(word.epoch) == newest);
    words
}

async fn is_master(connector: &Connector, address: &Address) -> bool {
    let Ok(mut wire) = connector.connect_to(address).await else { return false };
    match wire.send(&cmd("ROLE")).await {
        Ok(Value::Array(words)) => words.first() == Some(&Value::BulkString(b"master".to_vec())),
        _ => false,
    }
}
