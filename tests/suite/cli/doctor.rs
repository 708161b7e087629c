//! `callgate doctor`: each fault is told with its mend, and nothing is changed.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Output,
};

use serde_json::Value;

use super::{Gate, callgate, code, err, out};
use crate::servers::Server;

/// Doors that nobody else has; secrets are set.
fn doctor(args: &[&str]) -> Output {
    let ports = ["doctor", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"];
    callgate(&[&ports, args].concat())
        .env("CALLGATE_META_APP_SECRET", "hush")
        .env("CALLGATE_META_VERIFY_TOKEN", "hush")
        .output()
        .unwrap()
}

/// The line of a check, with its mend.
fn line(output: &Output, check: &str) -> String {
    let text = out(output);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.get(6..).is_some_and(|rest| rest.starts_with(check)) {
            let mend = lines.next_if(|next| next.trim_start().starts_with("->"));
            return format!("{line} {}", mend.unwrap_or_default().trim_start());
        }
    }
    panic!("no {check} in\n{text}{}", err(output));
}

fn embedded(dir: &Path) -> String {
    format!("embedded:{}", dir.display())
}

#[test]
fn all_is_well_with_a_new_embedded_store_and_none_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let looked = doctor(&["--store", &embedded(&store)]);
    assert_eq!(code(&looked), 0, "{}", out(&looked));
    assert!(line(&looked, "store directory").contains("can be made"));
    assert!(line(&looked, "store data").starts_with("ok"));
    assert!(!store.exists());
}

#[test]
fn each_mistake_of_the_configuration_is_told() {
    let looked = doctor(&["--store", "nowhere:", "--profile", "strict"]);
    assert_eq!(code(&looked), 1);
    let text = out(&looked);
    assert_eq!(text.matches("FAIL  configuration").count(), 2, "{text}");
    assert!(text.contains("is no store") && text.contains("there is no such profile"), "{text}");
}

#[test]
fn missing_secrets_and_a_store_in_memory_are_warnings() {
    let ports = ["doctor", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"];
    let looked = callgate(&[&ports[..], &["--store", "memory:"]].concat()).output().unwrap();
    assert_eq!(code(&looked), 0);
    for check in ["app secret", "verify token", "store"] {
        let line = line(&looked, check);
        assert!(line.starts_with("warn") && line.contains("-> "), "{line}");
    }
}

#[test]
fn secrets_of_webhooks_are_not_missed_where_none_are_taken() {
    let arguments = ["doctor", "--grpc-addr", "127.0.0.1:0", "--http-addr", "off"];
    let looked = callgate(&[&arguments[..], &["--store", "memory:"]].concat()).output().unwrap();
    for check in ["app secret", "verify token"] {
        let line = line(&looked, check);
        assert!(line.starts_with("ok") && line.contains("http_addr is off"), "{line}");
    }
}

#[test]
fn a_secret_that_every_user_may_read_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let [file, secret] = ["callgate.toml", "secret"].map(|name| dir.path().join(name));
    fs::write(&secret, "hush").unwrap();
    fs::write(&file, format!("[meta]\napp_secret_file = {:?}\n", secret.display().to_string()))
        .unwrap();
    let look = |mode| {
        fs::set_permissions(&secret, Permissions::from_mode(mode)).unwrap();
        doctor(&["--store", "memory:", "--config", file.to_str().unwrap()])
    };
    let looked = look(0o644);
    assert_eq!(code(&looked), 0, "{}", out(&looked));
    let told = line(&looked, "secret files");
    assert!(told.starts_with("warn") && told.contains("meta.app_secret_file"), "{told}");
    assert!(told.ends_with(&format!("-> chmod 600 {}", secret.display())), "{told}");
    assert_eq!(out(&looked).matches("may read it").count(), 1, "once: {}", out(&looked));
    assert!(line(&look(0o440), "secret files").starts_with("ok"));
}

#[test]
fn a_port_is_free_or_a_gates_or_taken() {
    let gate = Gate::memory();
    let looked = |grpc: &str, http: &str| {
        let doors = ["doctor", "--store", "memory:", "--grpc-addr", grpc, "--http-addr", http];
        callgate(&doors).output().unwrap()
    };
    let of_gate = looked(&gate.grpc, &gate.http);
    assert_eq!(code(&of_gate), 0, "{}", out(&of_gate));
    for check in ["grpc port", "http port"] {
        assert!(line(&of_gate, check).contains("a callgate answers"));
    }
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let of_other = looked(&taken, &taken);
    assert_eq!(code(&of_other), 1);
    assert!(line(&of_other, "grpc port").contains("another program"), "{}", out(&of_other));
    assert!(line(&of_other, "http port").contains("--http-addr"), "{}", out(&of_other));
}

#[test]
fn an_embedded_store_may_be_in_use_or_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = embedded(dir.path());
    let gate = Gate::serve(&["--store", &store]);
    let looked = doctor(&["--store", &store]);
    assert_eq!(code(&looked), 0, "{}", out(&looked));
    assert!(line(&looked, "store in use").contains("a running gate has it open"));
    gate.terminate();
    let looked = doctor(&["--store", &store]);
    assert!(line(&looked, "store data").contains("is whole"), "{}", out(&looked));

    fs::write(dir.path().join("callgate.seal"), "something else").unwrap();
    let before = fs::read_dir(dir.path()).unwrap().count();
    let looked = doctor(&["--store", &store, "-o", "json"]);
    assert_eq!(code(&looked), 1);
    let json: Value = serde_json::from_str(&out(&looked)).unwrap();
    let data = json["findings"].as_array().unwrap().last().unwrap();
    assert_eq!((&data["level"], &data["check"]), (&"fail".into(), &"store data".into()));
    assert!(data["mend"].as_str().unwrap().contains("callgate repair"), "{data}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), before);
}

mod slow {
    use redis::cmd;

    use super::{Gate, Server, code, doctor, line, out};
    use crate::redis::ACL_RULE;

    #[test]
    fn a_redis_is_told_of_and_not_written_to() {
        let server = Server::redis7();
        let looked = doctor(&["--store", server.url()]);
        assert_eq!(code(&looked), 0, "{}", out(&looked));
        for check in ["server", "eviction", "memory", "clock", "rights", "functions", "schema"] {
            assert!(line(&looked, check).starts_with("ok"), "{}", out(&looked));
        }
        assert!(line(&looked, "schema").contains("a new store"));
        assert!(line(&looked, "persistence").starts_with("warn"));
        assert!(line(&looked, "replicas").contains("callgate export"));
        assert!(line(&looked, "partitions").contains("64, all on one server"));
        let keys: Vec<String> = cmd("KEYS").arg("*").query(&mut server.client()).unwrap();
        assert_eq!(keys, Vec::<String>::new());

        let _gate = Gate::serve(&["--store", server.url()]);
        let looked = doctor(&["--store", server.url()]);
        assert!(line(&looked, "schema").contains("version 1, 64 partitions"), "{}", out(&looked));
        assert!(line(&looked, "functions").contains("is there"));
    }

    /// It refuses all writes, which is no matter of rights.
    #[test]
    fn a_replica_is_told_to_be_one_and_no_more() {
        let (_master, replica) = Server::with_replica();
        let looked = doctor(&["--store", replica.url()]);
        assert_eq!(code(&looked), 1);
        assert!(line(&looked, "role").contains("name its master"), "{}", out(&looked));
        let failed = out(&looked).lines().filter(|line| line.starts_with("FAIL")).count();
        assert_eq!(failed, 1, "{}", out(&looked));
    }

    #[test]
    fn what_is_wrong_with_a_redis_is_told_with_its_mend() {
        let server = Server::redis7();
        let mut client = server.client();
        let mut set = |name: &str, value: &str| {
            cmd("CONFIG").arg("SET").arg(name).arg(value).exec(&mut client).unwrap();
        };
        set("maxmemory-policy", "allkeys-lru");
        set("appendonly", "yes");
        set("min-replicas-to-write", "1");
        let looked = doctor(&["--store", server.url()]);
        assert_eq!(code(&looked), 1);
        assert!(line(&looked, "eviction").starts_with("FAIL"), "{}", out(&looked));
        assert!(line(&looked, "eviction").contains("CONFIG SET maxmemory-policy noeviction"));
        assert!(line(&looked, "persistence").contains("may lose the last second"));
        assert!(line(&looked, "replication").starts_with("FAIL"), "{}", out(&looked));
        set("maxmemory-policy", "noeviction");
        set("min-replicas-to-write", "0");
        let waiting = doctor(&["--store", server.url(), "--redis-wait-replicas", "1"]);
        assert!(line(&waiting, "replication").contains("no call is allowed"), "{}", out(&waiting));
        let mut client = server.client();
        cmd("HSET")
            .arg("callgate:meta")
            .arg("schema")
            .arg(9)
            .arg("partitions")
            .arg(64)
            .exec(&mut client)
            .unwrap();
        let looked = doctor(&["--store", server.url()]);
        assert!(line(&looked, "schema").starts_with("FAIL"), "{}", out(&looked));
    }

    #[test]
    fn a_user_without_rights_is_told_which() {
        let server = Server::acl("~callgate:* -@all +info +time +ping +script|load +eval +hmget");
        let looked = doctor(&["--store", server.url()]);
        assert_eq!(code(&looked), 1, "{}", out(&looked));
        let rights = line(&looked, "rights");
        assert!(rights.starts_with("FAIL") && rights.contains("docs/redis.md"), "{rights}");
        assert!(rights.contains("this user may not DEL, which steps need"), "{rights}");
    }

    /// What it vouches for must start.
    #[test]
    fn a_user_who_lacks_one_right_is_told_which() {
        let lacking = |right: &str, args: &[&str]| {
            let server = Server::acl(&ACL_RULE.replace(&format!("+{right} "), ""));
            let looked = doctor(&[&["--store", server.url()], args].concat());
            let keys: Vec<String> = cmd("KEYS").arg("*").query(&mut server.client()).unwrap();
            assert_eq!(keys, Vec::<String>::new());
            (line(&looked, "rights"), out(&looked))
        };
        let waits = ["--redis-wait-replicas", "1"];
        for (right, args) in [("wait", &waits[..]), ("evalsha", &[]), ("role", &[])] {
            let (rights, all) = lacking(right, args);
            assert!(rights.starts_with("FAIL") && rights.contains("docs/redis.md"), "{all}");
            assert!(rights.contains(&format!("'{right}' command")), "{rights}");
        }
        for right in ["set", "hget", "hset", "hsetnx", "smembers", "zrange", "hdel"] {
            let (rights, all) = lacking(right, &[]);
            let told = format!("this user may not {}, which steps need", right.to_uppercase());
            assert!(rights.starts_with("FAIL") && rights.contains(&told), "{all}");
        }
        for (right, args) in [("none", &waits[..]), ("wait", &[])] {
            let (rights, all) = lacking(right, args);
            assert!(rights.starts_with("ok"), "{all}");
        }
    }

    #[test]
    fn a_store_that_is_away_is_told_of_and_its_password_is_not() {
        let looked = doctor(&["--store", "redis://ana:hush-hush@127.0.0.1:1"]);
        assert_eq!(code(&looked), 1);
        assert!(line(&looked, "store").starts_with("FAIL"), "{}", out(&looked));
        assert!(!out(&looked).contains("hush-hush"));
    }

    #[test]
    fn sentinels_and_clusters_are_told_of() {
        let (_master, sentinel) = Server::sentinel();
        let looked = doctor(&["--store", sentinel.url()]);
        assert_eq!(code(&looked), 0, "{}", out(&looked));
        assert!(line(&looked, "sentinels").contains("1 of 1 answer"), "{}", out(&looked));
        assert!(line(&looked, "store").contains("the master is 127.0.0.1:"), "{}", out(&looked));

        let cluster = crate::servers::Cluster::start();
        let looked = doctor(&["--store", cluster.url()]);
        assert_eq!(code(&looked), 0, "{}", out(&looked));
        assert_eq!(line(&looked, "partitions").matches(" on ").count(), 3, "{}", out(&looked));
        let node = cluster.url().replace("redis+cluster", "redis");
        let node = node.split(',').next().unwrap();
        let looked = doctor(&["--store", node]);
        assert_eq!(code(&looked), 1, "{}", out(&looked));
        assert!(line(&looked, "cluster").contains("redis+cluster://"), "{}", out(&looked));
    }
}

#[test]
fn a_server_that_would_answer_alone_is_told() {
    let sound = Server::redis7();
    let looked = out(&doctor(&["--store", sound.url()]));
    assert!(
        !looked.contains("reads when down") && !looked.contains("writable replicas"),
        "{looked}"
    );
    let server = Server::with(&["replica-read-only no", "cluster-allow-reads-when-down yes"]);
    let looked = doctor(&["--store", server.url()]);
    assert_eq!(code(&looked), 1);
    for (check, mend) in [
        ("writable replicas", "CONFIG SET replica-read-only yes"),
        ("reads when down", "CONFIG SET cluster-allow-reads-when-down no"),
    ] {
        let line = line(&looked, check);
        assert!(line.starts_with("FAIL") && line.contains(mend), "{line}");
    }
}
