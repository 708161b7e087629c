//! The conformance suite and the twins, on every store there is.

use std::{sync::Arc, time::Duration};

use callgate::{
    engine::{
        store::Store,
        time::{Clock, WallClock},
    },
    store::{
        embedded::{self, Embedded},
        redis::{Options, RedisStore, Target, Wait},
    },
};

use crate::{conformance, pseudonyms, twins};

fn clock() -> Arc<dyn Clock> {
    Arc::new(WallClock::default())
}

fn memory() -> Arc<dyn Store> {
    Arc::new(Embedded::memory(clock()).unwrap())
}

/// A store on a fresh server. Tests run beside each other on few cores: a deadline is not the point.
pub async fn redis(url: &str) -> Arc<dyn Store> {
    redis_with(url, None).await
}

/// The same, whose steps wait for a replica.
async fn waiting(url: &str) -> Arc<dyn Store> {
    redis_with(url, Some(Wait { replicas: 1, timeout: PATIENCE })).await
}

const PATIENCE: Duration = Duration::from_secs(20);

async fn redis_with(url: &str, wait: Option<Wait>) -> Arc<dyn Store> {
    let options =
        Options { call_deadline: PATIENCE, connect_deadline: PATIENCE, wait, ..Options::default() };
    Arc::new(RedisStore::open(Target::parse(url).unwrap(), options).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_conforms() {
    conformance::all(memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_under_pseudonyms_conforms() {
    let store = pseudonyms::memory(clock(), pseudonyms::keys(&pseudonyms::KEYS));
    conformance::of_customers(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path(), &embedded::Options::default(), clock()).unwrap();
    conformance::all(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_in_memory_is_full_at_its_bound_and_not_before() {
    conformance::a_record_is_full_at_its_bound_and_not_before(&*memory()).await;
}

mod slow {
    use super::{conformance, memory, redis, twins, waiting};
    use crate::servers::{Cluster, Server};

    #[tokio::test(flavor = "multi_thread")]
    async fn redis_7_conforms() {
        let server = Server::redis7();
        conformance::all(redis(server.url()).await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn redis_62_conforms() {
        let server = Server::redis62();
        conformance::all(redis(server.url()).await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn valkey_8_conforms() {
        let server = Server::valkey8();
        conformance::all(redis(server.url()).await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cluster_of_three_conforms() {
        let cluster = Cluster::start();
        conformance::all(redis(cluster.url()).await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_record_in_redis_is_full_at_its_bound_and_not_before() {
        for server in [Server::redis7(), Server::redis62(), Server::valkey8()] {
            let store = redis(server.url()).await;
            conformance::a_record_is_full_at_its_bound_and_not_before(&*store).await;
        }
    }

    /// Every step waits for the replica: the answers are the same.
    #[tokio::test(flavor = "multi_thread")]
    async fn redis_conforms_while_it_waits_for_a_replica() {
        let (master, _replica) = Server::with_replica();
        conformance::all(waiting(master.url()).await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_cluster_conforms_while_it_waits_for_replicas() {
        let cluster = Cluster::start();
        let _replicas = [0, 1, 2].map(|master| cluster.replica_of(master));
        conformance::all(waiting(cluster.url()).await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn embedded_and_redis_are_twins() {
        let server = Server::redis7();
        twins::compare(memory(), redis(server.url()).await, 6000).await;
    }

    /// Which of two ids comes first is a matter of their bytes, wherever the rulebook runs.
    #[tokio::test(flavor = "multi_thread")]
    async fn embedded_and_redis_of_an_english_host_are_twins() {
        let server = Server::of_english_host();
        let is_before = "return 'B' < 'a' and 1 or 0";
        let by_bytes: u8 =
            ::redis::cmd("EVAL").arg(is_before).arg(0).query(&mut server.client()).unwrap();
        assert_eq!(by_bytes, 0, "the server does not know the language");
        twins::compare(memory(), redis(server.url()).await, 3000).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn embedded_and_redis_62_are_twins() {
        let server = Server::redis62();
        twins::compare(memory(), redis(server.url()).await, 2000).await;
    }
}
