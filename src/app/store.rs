//! Opens the store that the configuration names.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    app::late::Late,
    config::{Config, StoreUrl},
    engine::{Error, Result, archive::Archive, store::Store, time::WallClock, veil::Veiled},
    store::{
        embedded::{self, Embedded},
        redis::{self, RedisStore, StartError, Target},
    },
};

/// How often a Redis that was away at the start is looked for.
const LOOKED_FOR_EVERY: Duration = Duration::from_secs(1);

/// Opens the store, behind a veil where ids are hidden from it. One that is away for now is opened in
/// `background`; until then every question is answered UNAVAILABLE.
///
/// # Errors
/// The store refuses to be used as it is; the text has the mend.
pub async fn open_store(config: &Config, background: &mut JoinSet<()>) -> Result<Arc<dyn Store>> {
    let store = open(config, background).await?;
    Ok(match config.privacy.keys.clone() {
        Some(keys) => Arc::new(Veiled::new(store, keys)),
        None => store,
    })
}

async fn open(config: &Config, background: &mut JoinSet<()>) -> Result<Arc<dyn Store>> {
    match &config.store {
        StoreUrl::Memory => {
            let clock = Arc::new(WallClock::default());
            Ok(Arc::new(Embedded::memory_with(config.log_limits(), clock)?))
        }
        StoreUrl::Embedded(dir) => open_embedded(dir, config),
        StoreUrl::Redis(url) => open_redis(url, config, background).await,
    }
}

/// One step may join a record of hundreds of calls.
const JOIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the store for taking out or joining all of it; a new one has this `secret`.
///
/// # Errors
/// It is away, in use, or refuses; the text has the mend.
pub async fn open_archive(config: &Config, secret: Option<Vec<u8>>) -> Result<Arc<dyn Archive>> {
    match &config.store {
        StoreUrl::Memory => Err(Error::invalid("store", "memory: keeps nothing")),
        StoreUrl::Embedded(dir) => {
            let options = embedded::Options { secret, ..embedded_options(config) };
            Ok(Arc::new(Embedded::open(dir, &options, Arc::new(WallClock::default()))?))
        }
        StoreUrl::Redis(url) => {
            let options = redis_options(config);
            let call_deadline = options.call_deadline.max(JOIN_TIMEOUT);
            let options = redis::Options { secret, call_deadline, ..options };
            Ok(Arc::new(RedisStore::open(Target::parse(url)?, options).await?))
        }
    }
}

fn embedded_options(config: &Config) -> embedded::Options {
    embedded::Options {
        durability: config.durability,
        log: config.log_limits(),
        pseudonyms: config.privacy.fingerprints(),
        ..embedded::Options::default()
    }
}

/// How the configuration uses a Redis.
pub fn redis_options(config: &Config) -> redis::Options {
    redis::Options {
        prefix: config.key_prefix.clone(),
        call_deadline: Duration::from_millis(config.store_timeout),
        log: config.log_limits(),
        wait: config.wait(),
        pseudonyms: config.privacy.fingerprints(),
        ..redis::Options::default()
    }
}

fn open_embedded(dir: &Path, config: &Config) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(Embedded::open(dir, &embedded_options(config), Arc::new(WallClock::default()))?))
}

async fn open_redis(
    url: &str,
    config: &Config,
    background: &mut JoinSet<()>,
) -> Result<Arc<dyn Store>> {
    let target = Target::parse(url)?;
    let options = redis_options(config);
    match RedisStore::open(target.clone(), options.clone()).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(StartError::Away(why)) => {
            tracing::warn!(why, "the store is away; looking for it");
            let late = Arc::new(Late::new(why));
            background.spawn(look_for(Arc::clone(&late), target, options));
            Ok(late)
        }
        Err(refused @ (StartError::Url(_) | StartError::Refused(_))) => Err(refused.into()),
    }
}

/// A refusal found now cannot end the process as it does at the start, since callers rely on it
/// being up: they get it as the cause of UNAVAILABLE in the log, until somebody mends it.
async fn look_for(late: Arc<Late>, target: Target, options: redis::Options) {
    loop {
        tokio::time::sleep(LOOKED_FOR_EVERY).await;
        match RedisStore::open(target.clone(), options.clone()).await {
            Ok(store) => return late.found(Arc::new(store)),
            Err(StartError::Away(why)) => late.still_away(why),
            Err(refused) => {
                tracing::error!(%refused, "the store was found and cannot be used");
                late.still_away(refused.to_string());
            }
        }
    }
}
