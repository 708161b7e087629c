//! Looks at a server without changing what it keeps. (The probe writes and removes one key of its own,
//! as every gate does when it connects; no schema is written to an empty store.)

use std::collections::{BTreeMap, HashMap};

use redis::{Cmd, FromRedisValue, RedisResult, Value, cluster_routing::Slot, cmd};
use tokio::time::{Instant, timeout};

use super::{
    Options, SCHEMA, StartError, Target,
    admit::{is_new_enough, reach, try_rights, unfit},
    connect::{Connector, Wire},
    keys::Keys,
    script::{self, LIBRARY},
};
use crate::{
    engine::{
        pseudonym::Fingerprints,
        time::{Clock, Millis},
    },
    store::{
        finding::{Finding, KEYS_MEND, bytes},
        schema_of,
    },
};

/// Beyond that, clocks disagree visibly.
const SKEW_WARN: u64 = 2_000;
/// What is stamped further ahead is refused.
const SKEW_FAIL: u64 = 300_000;
/// A replica that has not answered for so long is behind, seconds.
const LAG_WARN: u64 = 10;
/// Bytes by which a replica may be behind.
const OFFSET_WARN: u64 = 10 << 20;

/// What is found of a server, or of all masters of a cluster.
pub async fn examine(target: Target, options: Options, clock: &dyn Clock) -> Vec<Finding> {
    let keys = Keys::new(options.prefix.clone(), options.partitions);
    let mut found = Vec::new();
    let connector = match Connector::new(target, options.patience(), options.pseudonyms.clone()) {
        Ok(connector) => connector.with_wait(options.wait),
        Err(error) => return vec![Finding::fail("store", error.to_string(), CHECK_URL)],
    };
    found.extend(sentinels(&connector).await);
    let reached = timeout(options.connect_deadline * 2, reach(&connector)).await;
    let (wire, master) = match reached {
        Ok(Ok(reached)) => reached,
        Ok(Err(error)) => {
            found.push(Finding::fail("store", error.to_string(), mend_of(&error)));
            return found;
        }
        Err(_) => {
            let why = format!("{}: no connection in time", connector.target());
            found.push(Finding::fail("store", why, AWAY));
            return found;
        }
    };
    let master = master.map(|(host, port)| format!("; the master is {host}:{port}"));
    let reached = format!("{} answers{}", connector.target(), master.unwrap_or_default());
    found.push(Finding::ok("store", reached));
    let mut doctor = Doctor { connector, wire, keys, options, found };
    let looked = timeout(doctor.options.connect_deadline * 10, doctor.look(clock)).await;
    match looked {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            doctor.found.push(Finding::fail("store", error.to_string(), mend_of(&error)));
        }
        Err(_) => doctor.found.push(Finding::fail("store", "it stopped to answer", AWAY)),
    }
    doctor.found
}

const CHECK_URL: &str = "docs/redis.md lists the forms of a store URL";
const AWAY: &str = "start it, or correct the address; a gate that runs finds it by itself";

fn mend_of(error: &StartError) -> &'static str {
    match error {
        StartError::Url(_) => CHECK_URL,
        StartError::Refused(_) => "as it says; docs/redis.md says what a server must be",
        StartError::Away(_) => AWAY,
    }
}

async fn sentinels(connector: &Connector) -> Option<Finding> {
    let all = connector.sentinels();
    let mut answering = 0;
    for n in 0..all {
        let asked = timeout(connector.budget(), connector.a_sentinel(n)).await;
        answering += usize::from(asked.is_ok_and(|asked| asked.is_ok()));
    }
    let told = format!("{answering} of {all} answer");
    (all > 0).then(|| match answering {
        _ if answering == all && all >= 3 => Finding::ok("sentinels", told),
        0 => Finding::fail("sentinels", told, AWAY),
        _ => Finding::warn(
            "sentinels",
            told,
            "a failover needs most of them: run at least three, and name all in the store URL",
        ),
    })
}

type Info = HashMap<String, String>;

fn info_of(text: &str) -> Info {
    let fields = text.lines().filter_map(|line| line.trim_end().split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn field<'a>(info: &'a Info, name: &str) -> &'a str {
    info.get(name).map_or("", String::as_str)
}

fn number(info: &Info, name: &str) -> u64 {
    field(info, name).parse().unwrap_or_default()
}

struct Doctor {
    connector: Connector,
    wire: Wire,
    keys: Keys,
    options: Options,
    found: Vec<Finding>,
}

impl Doctor {
    async fn look(&mut self, clock: &dyn Clock) -> Result<(), StartError> {
        let infos = self.everywhere(cmd("INFO")).await?;
        let infos: Vec<Info> = infos
            .into_iter()
            .filter_map(|info| String::from_redis_value(info).ok())
            .map(|info| info_of(&info))
            .collect();
        if infos.is_empty() {
            return Err(StartError::Refused("INFO answers no text: is this Redis?".to_owned()));
        }
        let fsync = self.setting("appendfsync").await;
        let save = self.setting("save").await;
        let min_replicas = self.setting("min-replicas-to-write").await;
        for info in &infos {
            let of = if infos.len() > 1 {
                format!(" (port {})", field(info, "tcp_port"))
            } else {
                String::new()
            };
            let mut add = |finding: Finding| {
                let check = format!("{}{of}", finding.check);
                self.found.push(Finding { check, ..finding });
            };
            add(version(info));
            add(role(info));
            mode(info, self.connector.target()).map(&mut add);
            add(eviction(info));
            add(memory(info));
            add(persistence(info, fsync.as_deref(), save.as_deref()));
            replicas(info).into_iter().for_each(&mut add);
            add(waiting(info, self.options.wait.map(|wait| wait.replicas), &min_replicas));
        }
        self.settings_that_answer_alone().await;
        self.clock(clock).await?;
        // A server that is the wrong one takes nothing from anybody: it is no matter of rights.
        let is_wrong = |info: &Info| {
            field(info, "role") != "master" || mode(info, self.connector.target()).is_some()
        };
        if !infos.iter().any(is_wrong) {
            self.rights().await;
        }
        self.schema().await?;
        self.spread().await;
        Ok(())
    }

    async fn everywhere(&mut self, command: Cmd) -> Result<Vec<Value>, StartError> {
        let answers = self.wire.send_to_masters(&command).await;
        answers.map_err(|error| unfit(&self.connector, &error))
    }

    async fn ask(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.wire.send(command).await
    }

    /// `None`: this user may not ask.
    async fn setting(&mut self, name: &str) -> Option<String> {
        let asked = cmd("CONFIG").arg("GET").arg(name).to_owned();
        let answer = self.wire.ask_masters(&asked).await.ok()?.into_iter().next()?.ok()?;
        let words: HashMap<String, String> = HashMap::from_redis_value(answer).ok()?;
        words.get(name).cloned()
    }

    /// Settings by which a server answers that should not: one that lost its place. Said only where one is
    /// set so, and this user may ask.
    async fn settings_that_answer_alone(&mut self) {
        if self.setting("cluster-allow-reads-when-down").await.as_deref() == Some("yes") {
            self.found.push(Finding::fail(
                "reads when down",
                "cluster-allow-reads-when-down is yes: a master that is cut off answers CheckCall and \
                 GetPermission by what it knew",
                "CONFIG SET cluster-allow-reads-when-down no, and the same in redis.conf",
            ));
        }
        if self.setting("replica-read-only").await.as_deref() == Some("no") {
            self.found.push(Finding::fail(
                "writable replicas",
                "replica-read-only is no: a master that was replaced goes on answering for up to a second",
                "CONFIG SET replica-read-only yes, and the same in redis.conf",
            ));
        }
    }

    async fn clock(&mut self, clock: &dyn Clock) -> Result<(), StartError> {
        let (before, began) = (clock.now(), Instant::now());
        let answer = self.ask(&cmd("TIME")).await;
        let took = began.elapsed();
        let answer = answer.map_err(|error| unfit(&self.connector, &error))?;
        let (seconds, micros): (u64, u64) = read(answer)?;
        let there = Millis(seconds * 1000 + micros / 1000);
        let here = before.plus(took / 2);
        let skew = there.0.abs_diff(here.0);
        let told = format!("{skew} ms from this host's, asked within {} ms", took.as_millis());
        let mend = "let both hosts follow one time (NTP); decisions go by the server's clock, and what \
                    is stamped more than 5 min ahead of it is refused";
        self.found.push(match skew {
            ..SKEW_WARN => Finding::ok("clock", told),
            SKEW_WARN..SKEW_FAIL => Finding::warn("clock", told, mend),
            _ => Finding::fail("clock", told, mend),
        });
        Ok(())
    }

    /// Loads the scripts, which changes nothing that is kept, and tries what they need.
    async fn rights(&mut self) {
        let check = "rights";
        let mend = "docs/redis.md has the ACL rule that callgate needs";
        for script in script::all() {
            let load = cmd("SCRIPT").arg("LOAD").arg(&script.text).to_owned();
            if let Err(error) = self.wire.send_to_masters(&load).await {
                let why = format!("the script \"{}\" does not load: {error}", script.name);
                return self.found.push(Finding::fail(check, why, mend));
            }
        }
        if let Err(error) = try_rights(&mut self.wire, &self.connector, &self.keys).await {
            let why = match command_of(&error.to_string()) {
                Some(command) => format!("this user may not {command}, which steps need: {error}"),
                None => format!("what a gate does fails: {error}"),
            };
            return self.found.push(Finding::fail(check, why, mend));
        }
        let may_export = match self.wire.is_cluster() {
            true => self.ask(&cmd("CLUSTER").arg("NODES").to_owned()).await.map(drop),
            false => Ok(()),
        };
        self.found.push(match may_export {
            Ok(()) => Finding::ok(check, "this user may load the scripts and do what they do"),
            Err(error) => {
                let told = format!("enough for a gate; callgate export is refused: {error}");
                Finding::warn(check, told, mend)
            }
        });
        let mut call = cmd("FCALL");
        call.arg(LIBRARY.function(&script::PROBE)).arg(1).arg(self.keys.probe());
        let called = self.ask(&call).await;
        self.found.push(match called {
            Ok(_) => Finding::ok("functions", "this version's library is there"),
            Err(error) if error.to_string().contains("Function not found") => {
                let told = "this version's library is not there yet: a gate that starts loads it, if \
                            its user has +function|load";
                Finding::ok("functions", told)
            }
            Err(error) => Finding::warn(
                "functions",
                format!("none: {error}. Scripts are used, which cost the server about half as much again"),
                "Redis 7 or Valkey have functions; the user needs +fcall +function|load",
            ),
        });
    }

    async fn schema(&mut self) -> Result<(), StartError> {
        let mut asked = cmd("HMGET");
        asked.arg(self.keys.meta()).arg("schema").arg("partitions").arg("pseudonyms");
        let answer = self.ask(&asked).await.map_err(|error| unfit(&self.connector, &error))?;
        let (schema, partitions, pseudonyms): (Option<String>, Option<String>, Option<String>) =
            read(answer)?;
        let pseudonyms = Fingerprints::read(&pseudonyms.unwrap_or_default());
        let schema_here = schema_of(SCHEMA, &pseudonyms).to_string();
        let ours = (schema_here, self.keys.partitions().to_string());
        if schema.is_some()
            && let Err(refused) = pseudonyms.admit(&self.options.pseudonyms)
        {
            self.found.push(Finding::fail("pseudonyms", refused, KEYS_MEND));
        }
        self.found.push(match (schema, partitions) {
            (None, None) => Finding::ok(
                "schema",
                format!(
                    "{} is not there: a new store, which the first gate makes",
                    self.keys.meta()
                ),
            ),
            (Some(schema), Some(partitions)) if (&schema, &partitions) == (&ours.0, &ours.1) => {
                Finding::ok("schema", format!("version {schema}, {partitions} partitions"))
            }
            (schema, partitions) => Finding::fail(
                "schema",
                format!(
                    "version {}, {} partitions; this callgate has {} and {}",
                    schema.unwrap_or_default(),
                    partitions.unwrap_or_default(),
                    ours.0,
                    ours.1
                ),
                "run the callgate that wrote it, or choose another key_prefix or database",
            ),
        });
        Ok(())
    }

    async fn spread(&mut self) {
        if !self.wire.is_cluster() {
            let told = format!("{}, all on one server", self.keys.partitions());
            return self.found.push(Finding::ok("partitions", told));
        }
        let answer = self.ask(&cmd("CLUSTER").arg("SLOTS").to_owned()).await;
        let ranges = answer.map(ranges).unwrap_or_default();
        let covered: u64 = ranges.iter().map(|(from, to, _)| to - from + 1).sum();
        if covered < SLOTS {
            return self.found.push(Finding::fail(
                "partitions",
                format!("{covered} of {SLOTS} slots of the cluster have a master"),
                "mend the cluster: redis-cli --cluster check, then fix",
            ));
        }
        let mut by_master: BTreeMap<&str, u32> =
            ranges.iter().map(|(_, _, master)| (master.as_str(), 0)).collect();
        for partition in 0..self.keys.partitions() {
            let slot = Slot::for_key(self.keys.numbers(partition));
            let is_in = |(from, to, _): &&(u64, u64, String)| {
                (*from..=*to).any(|n| u16::try_from(n).ok().and_then(Slot::new) == Some(slot))
            };
            if let Some((_, _, master)) = ranges.iter().find(is_in)
                && let Some(count) = by_master.get_mut(master.as_str())
            {
                *count += 1;
            }
        }
        let told: Vec<String> =
            by_master.iter().map(|(master, count)| format!("{count} on {master}")).collect();
        let told = told.join(", ");
        let most = by_master.values().max().copied().unwrap_or_default();
        let fair =
            u32::from(self.keys.partitions()) / u32::try_from(by_master.len()).unwrap_or(1).max(1);
        self.found.push(if most <= 2 * fair.max(1) {
            Finding::ok("partitions", told)
        } else {
            Finding::warn(
                "partitions",
                told,
                "spread the slots evenly: redis-cli --cluster rebalance",
            )
        });
    }
}

const SLOTS: u64 = 16_384;

/// First and last slot, and the master, of each range.
fn ranges(answer: Value) -> Vec<(u64, u64, String)> {
    let Value::Array(ranges) = answer else { return Vec::new() };
    let one = |range: Value| {
        let Value::Array(parts) = range else { return None };
        let [Value::Int(from), Value::Int(to), Value::Array(master), ..] = &parts[..] else {
            return None;
        };
        let [Value::BulkString(host), Value::Int(port), ..] = &master[..] else { return None };
        let host = String::from_utf8_lossy(host);
        Some((u64::try_from(*from).ok()?, u64::try_from(*to).ok()?, format!("{host}:{port}")))
    };
    ranges.into_iter().filter_map(one).collect()
}

/// The command of the probe at which it failed, by the line that the server names.
fn command_of(error: &str) -> Option<&'static str> {
    let rest = error.split("user_script:").nth(1)?.trim_start();
    let line: usize = rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    let line = script::PROBE.text.lines().nth(line.checked_sub(1)?)?;
    line.split("redis.call('").nth(1)?.split('\'').next()
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, StartError> {
    T::from_redis_value(value)
        .map_err(|error| StartError::Refused(format!("an answer of another kind: {error}")))
}

fn version(info: &Info) -> Finding {
    let redis = field(info, "redis_version");
    let told = match field(info, "valkey_version") {
        "" => format!("Redis {redis}"),
        valkey => format!("Valkey {valkey} (as Redis {redis})"),
    };
    if is_new_enough(redis) {
        Finding::ok("server", told)
    } else {
        Finding::fail("server", told, "callgate needs Redis 6.2 or newer, or Valkey")
    }
}

fn role(info: &Info) -> Finding {
    match (field(info, "role"), field(info, "loading")) {
        (_, "1") => Finding::fail("role", "the server still loads its data", "wait for it"),
        ("master", _) => Finding::ok("role", "master"),
        (other, _) => Finding::fail(
            "role",
            format!("{other}: it only reads"),
            "name its master, or use redis+sentinel://",
        ),
    }
}

fn mode(info: &Info, target: &Target) -> Option<Finding> {
    let is_node = field(info, "cluster_enabled") == "1";
    (is_node && !target.is_cluster()).then(|| {
        Finding::fail(
            "cluster",
            "the server is a node of a cluster, and the URL names a server alone",
            "write redis+cluster:// (rediss+cluster://) in front of its address",
        )
    })
}

fn eviction(info: &Info) -> Finding {
    match field(info, "maxmemory_policy") {
        "noeviction" => Finding::ok("eviction", "noeviction"),
        other => Finding::fail(
            "eviction",
            format!("maxmemory-policy is \"{other}\": it drops consent and call counts"),
            "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf or in your provider's \
             parameter group",
        ),
    }
}

fn memory(info: &Info) -> Finding {
    let (used, max) = (number(info, "used_memory"), number(info, "maxmemory"));
    let host = number(info, "total_system_memory");
    let mend = "give it more memory, or shorten change_log.length; docs/sizing.md says what a customer \
                takes";
    if max == 0 {
        let told = format!("{} used, no maxmemory; the host has {}", bytes(used), bytes(host));
        let is_tight = host > 0 && used > host / 10 * 8;
        return if is_tight {
            Finding::warn("memory", told, mend)
        } else {
            Finding::ok("memory", told)
        };
    }
    let told = format!("{} of {} used", bytes(used), bytes(max));
    match used.saturating_mul(100) / max {
        ..80 => Finding::ok("memory", told),
        80..95 => Finding::warn("memory", told, mend),
        _ => Finding::fail("memory", format!("{told}: when it is full, writes are refused"), mend),
    }
}

/// Told with what can be lost.
fn persistence(info: &Info, fsync: Option<&str>, save: Option<&str>) -> Finding {
    let check = "persistence";
    let failed = ["rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"];
    if let Some(which) = failed.into_iter().find(|name| field(info, name) == "err") {
        return Finding::fail(
            check,
            format!("{which} is \"err\": the server cannot write to its disk, and refuses writes"),
            "look into the server's log; make room on its disk",
        );
    }
    if field(info, "aof_enabled") == "1" {
        return match fsync {
            Some("always") => Finding::ok(
                check,
                "appendonly, fsync always: a crash loses nothing that was answered",
            ),
            Some("everysec") => {
                Finding::ok(check, "appendonly, fsync everysec: a crash may lose the last second")
            }
            Some(other) => Finding::warn(
                check,
                format!("appendonly, fsync {other}: a crash may lose half a minute or more"),
                "CONFIG SET appendfsync everysec, and the same in redis.conf",
            ),
            None => Finding::ok(
                check,
                "appendonly; how often it is flushed is not known, since this user may not CONFIG GET",
            ),
        };
    }
    let mend = "CONFIG SET appendonly yes, and the same in redis.conf: what Redis loses, callgate has \
                lost, also a customer's no";
    if save == Some("") {
        return Finding::warn(check, "none: a restart loses everything", mend);
    }
    let since = number(info, "rdb_changes_since_last_save");
    let kind = match save {
        Some(_) => "snapshots only",
        None => "no appendonly, at most snapshots",
    };
    let told = format!("{kind}: a crash loses all since the last one, {since} changes by now");
    Finding::warn(check, told, mend)
}

fn replicas(info: &Info) -> Vec<Finding> {
    let connected = number(info, "connected_slaves");
    if connected == 0 {
        return vec![Finding::warn(
            "replicas",
            "none: if the server is lost, so is what it keeps",
            "run a replica behind Sentinel or a Cluster, or keep backups (callgate export)",
        )];
    }
    let written = number(info, "master_repl_offset");
    let mut found = Vec::new();
    for n in 0..connected {
        // ip=127.0.0.1,port=7001,state=online,offset=98,lag=0
        let parts: HashMap<&str, &str> = field(info, &format!("slave{n}"))
            .split(',')
            .filter_map(|p| p.split_once('='))
            .collect();
        let part = |name: &str| parts.get(name).copied().unwrap_or_default();
        let behind = written.saturating_sub(part("offset").parse().unwrap_or_default());
        let told = format!(
            "{}:{} is {}, {} behind, heard of {} s ago",
            part("ip"),
            part("port"),
            part("state"),
            bytes(behind),
            part("lag")
        );
        let lag: u64 = part("lag").parse().unwrap_or(u64::MAX);
        let is_good = part("state") == "online" && lag <= LAG_WARN && behind <= OFFSET_WARN;
        found.push(if is_good {
            Finding::ok("replicas", told)
        } else {
            let mend = "look at the replica's log and its network: what it lacks, a failover loses";
            Finding::warn("replicas", told, mend)
        });
    }
    found
}

fn waiting(info: &Info, wanted: Option<u32>, min_replicas: &Option<String>) -> Finding {
    let check = "replication";
    let connected = number(info, "connected_slaves");
    let min: Option<u64> = min_replicas.as_ref().and_then(|min| min.parse().ok());
    if let Some(min) = min
        && connected < min
    {
        return Finding::fail(
            check,
            format!(
                "min-replicas-to-write is {min}, and {connected} are connected: writes are refused"
            ),
            "start the replicas, or lower min-replicas-to-write",
        );
    }
    if let Some(wanted) = wanted
        && connected < wanted.into()
    {
        return Finding::fail(
            check,
            format!(
                "redis.wait_replicas is {wanted}, and {connected} are connected: no call is allowed"
            ),
            "start the replicas, or lower redis.wait_replicas",
        );
    }
    let min = match min {
        Some(min) => format!("min-replicas-to-write {min}"),
        None => "min-replicas-to-write not known, since this user may not CONFIG GET".to_owned(),
    };
    let wanted = wanted.unwrap_or_default();
    let told = format!("{connected} connected, redis.wait_replicas {wanted}, {min}");
    if connected > 0 && wanted == 0 {
        let told = format!("{told}: a failover may lose what was answered last");
        return Finding::ok(check, told);
    }
    Finding::ok(check, told)
}
