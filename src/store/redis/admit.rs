//! What a server must be before it is used: asked after every connect, since after a failover it may
//! be another one. Each refusal says what mends it.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use redis::{Cmd, FromRedisValue, RedisError, RedisResult, Value, cmd};
use uuid::Uuid;

use crate::engine::pseudonym::Fingerprints;
use crate::store::{
    redis::{
        SCHEMA, StartError,
        connect::{Address, Connector, Wire, is_away, is_tls},
        fault::is_forbidden,
        functions::Functions,
        keys::Keys,
        lanes::Lanes,
        script::{self, LIBRARY},
        sentinels,
        url::Place,
    },
    schema_of,
};

/// The oldest server that has all we use (`SET … PXAT`).
const VERSION_MIN: (u32, u32) = (6, 2);

/// A server that may be used.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) wire: Wire,
    /// Names the tombstones, see [`crate::store::redis::keys::NumberKeys::forgotten`].
    pub(super) secret: Vec<u8>,
    /// For steps that wait for replicas; none where none are waited for.
    pub(super) lanes: Option<Lanes>,
    /// The master that sentinels have named.
    pub(super) master: Option<Address>,
    /// Where the server has the scripts with the rulebook as functions.
    pub(super) functions: Option<Functions>,
}

/// Connects, checks the server and loads the scripts.
pub(super) async fn open(connector: &Connector, keys: &Keys) -> Result<Session, StartError> {
    let (mut wire, master) = connect(connector).await?;
    let secret = meta(&mut wire, connector, keys).await?;
    let functions = functions(&mut wire, connector, keys).await;
    try_rights(&mut wire, connector, keys).await.map_err(|error| unfit(connector, &error))?;
    // All at once: there are many, and the server may be far.
    let scripts = script::all().into_iter();
    let needed = scripts.filter(|script| functions.is_none() || !script.is_in_library);
    let loads = needed.map(|script| {
        let (mut wire, load) =
            (wire.clone(), cmd("SCRIPT").arg("LOAD").arg(&script.text).to_owned());
        async move {
            all(&mut wire, connector, &load).await.map_err(|error| match error {
                StartError::Refused(why) => StartError::Refused(format!(
                    "the script \"{}\" does not load: {why}",
                    script.name
                )),
                other => other,
            })
        }
    });
    try_join_all(loads).await?;
    let lanes = lanes(connector, keys, master.as_ref()).await?;
    Ok(Session { wire, secret, lanes, master, functions })
}

/// Tries what a gate does later, on a key of its own that is gone afterwards: whoever lacks a right is
/// to learn it now, and not in the midst of a step.
pub(super) async fn try_rights(
    wire: &mut Wire,
    connector: &Connector,
    keys: &Keys,
) -> RedisResult<()> {
    let probed = wire.send(cmd("EVAL").arg(&script::PROBE.text).arg(1).arg(keys.probe())).await;
    if probed.is_err() {
        // It may have ended before it removed what it had written.
        let _ = wire.send(cmd("DEL").arg(keys.probe())).await;
    }
    probed?;
    // Where there are functions, some are scripts all the same.
    match wire.send(cmd("EVALSHA").arg(&script::PROBE.sha).arg(1).arg(keys.probe())).await {
        // It was flushed in between.
        Err(error) if error.code() == Some("NOSCRIPT") => {}
        answer => drop(answer?),
    }
    if !connector.target().is_cluster() {
        // Whoever reads the change log asks with every read.
        wire.send(&cmd("ROLE")).await?;
    }
    if connector.wait().is_some() {
        // Answers at once, to a user who may.
        wire.send_to_masters(cmd("WAIT").arg(0).arg(1)).await?;
    }
    Ok(())
}

/// The library, where this server has functions and this user may load and call them.
async fn functions(wire: &mut Wire, connector: &Connector, keys: &Keys) -> Option<Functions> {
    let probed = async {
        Functions::load(wire).await?;
        let probe = LIBRARY.function(&script::PROBE);
        wire.send(cmd("FCALL").arg(probe).arg(1).arg(keys.probe())).await
    };
    match probed.await {
        Ok(_) => Some(Functions::default()),
        Err(error) => {
            let (store, why) = (connector.target(), error.to_string());
            tracing::info!(
                %store,
                why,
                "no functions on this server: scripts are used, which cost it more for each call"
            );
            None
        }
    }
}

/// A connection to a server, or to a cluster.
pub(super) async fn reach(connector: &Connector) -> Result<(Wire, Option<Address>), StartError> {
    sentinels::connect(connector).await.map_err(|error| unreached(connector, &error))
}

/// A connection to a server that may be used, or to a cluster of such.
async fn connect(connector: &Connector) -> Result<(Wire, Option<Address>), StartError> {
    let (mut wire, master) = reach(connector).await?;
    for info in all(&mut wire, connector, &cmd("INFO")).await? {
        let info = String::from_redis_value(info).map_err(|_| {
            StartError::Refused("INFO answers no text: is this a Redis server?".to_owned())
        })?;
        judge(&info, connector)?;
    }
    Ok((wire, master))
}

/// The connections of steps that wait for replicas.
async fn lanes(
    connector: &Connector,
    keys: &Keys,
    master: Option<&Address>,
) -> Result<Option<Lanes>, StartError> {
    let Some(wait) = connector.wait() else { return Ok(None) };
    let is_cluster = connector.target().is_cluster();
    let opened = try_join_all((0..Lanes::wires(is_cluster)).map(|_| connect(connector))).await?;
    if opened.iter().any(|(_, other)| other.as_ref() != master) {
        let target = connector.target();
        return Err(StartError::Away(format!("{target}: the sentinels name another master")));
    }
    let wires: Vec<Wire> = opened.into_iter().map(|(wire, _)| wire).collect();
    Ok(Some(Lanes::start(&wires, keys.spots(is_cluster), wait, connector.budget())))
}

async fn all(
    wire: &mut Wire,
    connector: &Connector,
    command: &Cmd,
) -> Result<Vec<Value>, StartError> {
    wire.send_to_masters(command).await.map_err(|error| unfit(connector, &error))
}

/// Fixes schema version, partitions and tombstone key of a new store, and compares those of an old one.
async fn meta(wire: &mut Wire, connector: &Connector, keys: &Keys) -> Result<Vec<u8>, StartError> {
    let random = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let fresh = connector.secret().map_or_else(|| random.into_bytes(), <[u8]>::to_vec);
    let mut eval = cmd("EVAL");
    eval.arg(&script::META.text).arg(1).arg(keys.meta());
    let mine = connector.pseudonyms();
    eval.arg(schema_of(SCHEMA, mine)).arg(keys.partitions()).arg(fresh).arg(mine.to_string());
    let stored = wire.send(&eval).await.map_err(|error| unfit(connector, &error))?;
    let (schema, partitions, secret, pseudonyms): (String, String, Vec<u8>, String) =
        FromRedisValue::from_redis_value(stored)
            .map_err(|_| StartError::Refused(format!("{} is not callgate's", keys.meta())))?;
    let pseudonyms = Fingerprints::read(&pseudonyms);
    if schema != schema_of(SCHEMA, &pseudonyms).to_string() {
        return Err(StartError::Refused(format!(
            "the store has schema version {schema}, this callgate has {SCHEMA}: run the callgate \
             that wrote it, or another key prefix or database"
        )));
    }
    if partitions != keys.partitions().to_string() {
        return Err(StartError::Refused(format!(
            "the store has {partitions} partitions, {} are configured: the number is fixed when a \
             store is first used; configure {partitions}, or another key prefix or database",
            keys.partitions()
        )));
    }
    pseudonyms.admit(mine).map_err(StartError::Refused)?;
    Ok(secret)
}

/// Reads an INFO reply.
pub(super) fn judge(info: &str, connector: &Connector) -> Result<(), StartError> {
    let fields: HashMap<&str, &str> =
        info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    if field("loading") == "1" {
        return Err(StartError::Away(format!(
            "{}: the server still loads its data",
            connector.target()
        )));
    }
    let version = field("redis_version");
    if !is_new_enough(version) {
        return Err(StartError::Refused(format!(
            "the server is Redis {version}: callgate needs Redis 6.2 or newer, or Valkey"
        )));
    }
    let is_cluster = matches!(connector.target().place, Place::Cluster(_));
    if field("cluster_enabled") == "1" && !is_cluster {
        return Err(StartError::Refused(
            "the server is a node of a cluster: write redis+cluster:// (rediss+cluster://) in \
             front of its address"
                .to_owned(),
        ));
    }
    if let Some(why) = evicts(info) {
        return Err(StartError::Refused(why));
    }
    if field("role") != "master" {
        return Err(StartError::Away(format!(
            "{}: the server is a read-only replica; name its master, or use redis+sentinel://",
            connector.target()
        )));
    }
    Ok(())
}

/// What is wrong with a server that would drop keys, by its INFO.
pub(super) fn evicts(info: &str) -> Option<String> {
    let policy = info.lines().find_map(|line| line.trim_end().strip_prefix("maxmemory_policy:"));
    let policy = policy.unwrap_or_default();
    (policy != "noeviction").then(|| {
        format!(
            "the server's maxmemory-policy is \"{policy}\": it would drop consent and call counts \
             when memory is short. Set it to noeviction: CONFIG SET maxmemory-policy noeviction, \
             and the same in redis.conf or in your provider's parameter group"
        )
    })
}

pub(super) fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= VERSION_MIN
}

/// How a server alone answers CLUSTER SLOTS.
const NO_CLUSTER: &str = "cluster support disabled";

fn unreached(connector: &Connector, error: &RedisError) -> StartError {
    let target = connector.target();
    let text = error.to_string();
    // A cluster wraps what each node said into an I/O error.
    if ["WRONGPASS", "NOAUTH", "AuthenticationFailed", "without any password"]
        .iter()
        .any(|word| text.contains(word))
    {
        return StartError::Refused(format!(
            "{target}: the server refused user or password: check both in the store URL \
             (%-encode special characters); a server without users wants :password@"
        ));
    }
    if text.contains(NO_CLUSTER) {
        return StartError::Refused(format!(
            "{target}: this server is no cluster: write redis:// (rediss://) in front of its address"
        ));
    }
    if is_away(error) {
        return StartError::Away(format!("{target}: cannot connect: {text}"));
    }
    if is_tls(error) {
        return StartError::Refused(format!(
            "{target}: the TLS connection failed: {text}; ca= in the store URL names the \
             authority's PEM file, and the certificate must be made for the host in the URL"
        ));
    }
    StartError::Refused(format!("{target}: cannot connect: {text}"))
}

/// An error of a command on an open connection.
pub(super) fn unfit(connector: &Connector, error: &RedisError) -> StartError {
    let text = error.to_string();
    let target = connector.target();
    if error.code() == Some("NOAUTH") {
        return StartError::Refused(format!(
            "{target}: the server wants a password: write user:password@ or :password@ in front \
             of the host"
        ));
    }
    if error.code() == Some("NOPERM") || is_forbidden(&text) {
        return StartError::Refused(format!(
            "{target}: {text}; docs/redis.md has the ACL rule that callgate needs"
        ));
    }
    if is_away(error) || matches!(error.code(), Some("OOM" | "MISCONF" | "NOREPLICAS" | "READONLY"))
    {
        return StartError::Away(format!("{target}: {text}"));
    }
    StartError::Refused(format!("{target}: {text}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::redis::{Target, connect::Patience};

    fn judged(info: &str) -> String {
        let target = Target::parse("redis://127.0.0.1").unwrap();
        let patience = Patience { connect: Duration::from_secs(1), call: Duration::from_secs(1) };
        let connector = Connector::new(target, patience, Fingerprints::default()).unwrap();
        judge(info, &connector).map_or_else(|error| error.to_string(), |()| "fit".to_owned())
    }

    #[test]
    fn an_unfit_server_is_refused_with_the_mend() {
        let good = "redis_version:6.2.0\r\nloading:0\r\nrole:master\r\nmaxmemory_policy:noeviction";
        let all = [
            good.to_owned(),
            good.replace("6.2.0", "6.0.16"),
            good.replace("6.2.0", "5.0"),
            good.replace("6.2.0", "10.0.1"),
            good.replace("noeviction", "allkeys-lru"),
            good.replace("noeviction", "volatile-ttl"),
            good.replace("role:master", "role:slave"),
            good.replace("loading:0", "loading:1"),
            format!("{good}\r\ncluster_enabled:1"),
        ];
        insta::assert_snapshot!(all.map(|info| judged(&info)).join("\n"), @r#"
        fit
        the server is Redis 6.0.16: callgate needs Redis 6.2 or newer, or Valkey
        the server is Redis 5.0: callgate needs Redis 6.2 or newer, or Valkey
        fit
        the server's maxmemory-policy is "allkeys-lru": it would drop consent and call counts when memory is short. Set it to noeviction: CONFIG SET maxmemory-policy noeviction, and the same in redis.conf or in your provider's parameter group
        the server's maxmemory-policy is "volatile-ttl": it would drop consent and call counts when memory is short. Set it to noeviction: CONFIG SET maxmemory-policy noeviction, and the same in redis.conf or in your provider's parameter group
        redis://127.0.0.1:6379: the server is a read-only replica; name its master, or use redis+sentinel://
        redis://127.0.0.1:6379: the server still loads its data
        the server is a node of a cluster: write redis+cluster:// (rediss+cluster://) in front of its address
        "#);
    }
}
