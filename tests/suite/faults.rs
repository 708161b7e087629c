//! Faults of Redis, each with load running: no fault yields an ALLOW without its held call, loses what
//! was acknowledged, or needs a restart of a gate. What replication without waiting may lose on a
//! failover is measured apart.

mod failovers;
mod reshard;
mod scene;

mod slow {
    use std::{
        process::Command,
        time::{Duration, Instant},
    };

    use callgate::proto::{
        WatchPermissionsRequest, call_permission_service_client::CallPermissionServiceClient,
    };
    use redis::cmd;
    use tokio::time::sleep;

    use super::{
        failovers::{self, Loss, Lost},
        reshard,
        scene::{Felt, STORE_TIMEOUT, Scene},
    };
    use crate::{
        servers::{Cluster, Server, wait},
        support::{process::Process, tally},
    };

    const PERSISTENT: [&str; 2] = ["appendonly yes", "appendfsync always"];

    /// Those of the load.
    const NUMBERS: [&str; 3] = ["4001", "4002", "4003"];

    fn signal(server: &Server, name: &str) {
        let pid = server.pid().to_string();
        assert!(Command::new("kill").arg(format!("-{name}")).arg(pid).status().unwrap().success());
    }

    async fn rest(ms: u64) {
        sleep(Duration::from_millis(ms)).await;
    }

    /// Words of one command to a server, whatever it answers.
    fn tell(server: &Server, words: &str) {
        let mut words = words.split(' ');
        let mut command = cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>());
        command.query::<redis::Value>(&mut server.client()).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_hangs() {
        let server = Server::redis7();
        let scene = Scene::start(server.url(), 0);
        let fault = async {
            for ms in [100, 2000, STORE_TIMEOUT] {
                signal(&server, "STOP");
                rest(ms).await;
                signal(&server, "CONT");
                scene.serves(50).await;
            }
        };
        scene.survives("hangs", Felt::Yes, fault).await;
    }

    /// Late by less and by more than a command may take.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_is_slow() {
        let server = Server::redis7();
        let scene = Scene::start(server.url(), 0);
        let fault = async {
            for ms in [50, 200, 290, 310, 350, 700, 100, 900] {
                tell(&server, &format!("CLIENT PAUSE {ms} ALL"));
                rest(ms + 50).await;
            }
        };
        scene.survives("is slow", Felt::Yes, fault).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn connections_that_are_reset() {
        let server = Server::redis7();
        let scene = Scene::start(server.url(), 0);
        let fault = async {
            for _ in 0..30 {
                tell(&server, "CLIENT KILL TYPE normal");
                rest(70).await;
            }
        };
        scene.survives("resets connections", Felt::Perhaps, fault).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_is_restarted() {
        let mut server = Server::with(&PERSISTENT);
        let scene = Scene::start(server.url(), 0);
        let fault = async {
            for ms in [0, 100, 1500] {
                server.kill();
                rest(ms).await;
                server.restart();
                scene.serves(50).await;
            }
        };
        scene.survives("is restarted", Felt::Yes, fault).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn scripts_that_are_flushed() {
        let server = Server::redis7();
        let scene = Scene::start_patient(server.url());
        let fault = async {
            for n in 0..40 {
                tell(&server, ["SCRIPT FLUSH", "FUNCTION FLUSH"][n % 2]);
                rest(40).await;
            }
        };
        scene.survives("forgets scripts", Felt::No, fault).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_password_that_is_changed_midway() {
        let server = Server::acl("~callgate:* +@all");
        let scene = Scene::start(server.url(), 0);
        let fault = async {
            tell(&server, "ACL SETUSER gate resetpass >another");
            rest(500).await;
            tell(&server, "CLIENT KILL USER gate");
            rest(1500).await;
            tell(&server, "ACL SETUSER gate resetpass >p@ss/word?");
            scene.serves(50).await;
            // Rights taken away from a user who is connected.
            tell(&server, "ACL SETUSER gate -set");
            rest(500).await;
            tell(&server, "ACL SETUSER gate +@all");
            scene.serves(50).await;
            tell(&server, "ACL SETUSER gate off");
            tell(&server, "CLIENT KILL USER gate");
            rest(500).await;
            tell(&server, "ACL SETUSER gate on");
        };
        scene.survives("changes the password", Felt::Yes, fault).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_without_memory() {
        let server = Server::redis7();
        let scene = Scene::start(server.url(), 0);
        let fault = async {
            for _ in 0..4 {
                tell(&server, "CONFIG SET maxmemory 1");
                rest(500).await;
                tell(&server, "CONFIG SET maxmemory 0");
                rest(100).await;
            }
        };
        scene.survives("has no memory", Felt::Yes, fault).await;
    }

    const EMPTIED: &str = "permissions, rejections and counts from before are gone";

    /// Nobody may call then, but neither does anybody remember a no: people have to know.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_that_comes_back_empty_is_told() {
        let mut server = Server::redis7();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let log = std::fs::File::create(&path).unwrap();
        let arguments = ["--store-timeout", "300ms", "--log-format", "json"];
        let url = server.url().to_owned();
        let gate = Process::serve_with(&url, "127.0.0.1:0", &arguments, |command| {
            command.stderr(log);
        });
        let logged = |text: &str| std::fs::read_to_string(&path).unwrap().matches(text).count();
        let mut calls =
            CallPermissionServiceClient::connect(format!("http://{}", gate.grpc)).await.unwrap();
        let everything = WatchPermissionsRequest::default();
        let mut stream = calls.watch_permissions(everything).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        cmd("CLIENT")
            .arg(&["KILL", "TYPE", "normal"])
            .query::<redis::Value>(&mut server.client())
            .unwrap();
        // A stream reads the log over a connection of its own.
        wait(|| logged("the store is back") == 2);
        assert_eq!(logged(EMPTIED), 0, "a lost connection is no lost store");
        server.restart();
        wait(|| logged("the store is back") == 4);
        assert_eq!(logged(EMPTIED), 1);
        let metrics = reqwest::get(format!("http://{}/metrics", gate.admin)).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(metrics.contains("callgate_redis_emptied_total 1"), "{metrics}");
    }

    /// The others vote for the replicas of one master only now and then: asks again until they do.
    fn hand_over(master: &Server, replica: &Server) {
        let mut asked = None::<Instant>;
        wait(|| {
            if asked.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
                let _ = cmd("CLUSTER").arg("FAILOVER").query::<()>(&mut replica.client());
                asked = Some(Instant::now());
            }
            replica.role() == "master" && master.role() == "slave"
        });
    }

    /// Ordered, so that the master hands over all it has; the old one is a replica then.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_master_of_a_cluster_that_hands_over() {
        let cluster = Cluster::start();
        let replicas = [0, 1, 2].map(|master| cluster.replica_of(master));
        let scene = Scene::start(cluster.url(), 0);
        let fault = async {
            for (master, replica) in std::iter::zip(&cluster.nodes, &replicas) {
                hand_over(master, replica);
                scene.serves(100).await;
            }
            hand_over(&replicas[0], &cluster.nodes[0]);
        };
        scene.survives("hands over", Felt::Perhaps, fault).await;
    }

    /// The slots of all numbers move from node to node, key by key.
    #[tokio::test(flavor = "multi_thread")]
    async fn slots_that_move() {
        let cluster = Cluster::start();
        let scene = Scene::start(cluster.url(), 0);
        let fault = async {
            let (mut moved, mut meanwhile) = (0, 0);
            for round in 1..=2 {
                for number in NUMBERS {
                    let slot = reshard::slot_of(&cluster, number);
                    let before = scene.ledger.answered();
                    let keys = reshard::move_slot(&cluster, slot, round).await;
                    meanwhile += scene.ledger.answered() - before;
                    assert!(keys > 1, "the slot of {number} moved with {keys} keys");
                    moved += keys;
                    scene.serves(50).await;
                }
            }
            println!("{moved} keys moved, {meanwhile} questions answered meanwhile");
            assert!(meanwhile > moved / 2, "hardly anybody asked while slots moved");
            tally::count("keys moved under load", moved);
        };
        scene.survives("moves slots", Felt::Perhaps, fault).await;
    }

    /// Nothing acknowledged is lost, since the replica had it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_master_behind_a_sentinel_that_dies_while_its_replica_is_waited_for() {
        let (mut master, replica) = Server::with_replica();
        let sentinel = Server::sentinel_of(&master);
        let scene = Scene::start(sentinel.url(), 1);
        let fault = async {
            wait(|| sentinel_knows_a_replica(&sentinel));
            master.kill();
            wait(|| replica.role() == "master");
            master.restart();
            // The sentinel would do so within some seconds.
            tell(&master, &format!("REPLICAOF 127.0.0.1 {}", replica.port()));
            master.follows();
        };
        scene.survives("dies behind a sentinel", Felt::Yes, fault).await;
    }

    fn sentinel_knows_a_replica(sentinel: &Server) -> bool {
        let mut watcher = sentinel.client();
        let known: Vec<redis::Value> =
            cmd("SENTINEL").arg("replicas").arg("mymaster").query(&mut watcher).unwrap();
        !known.is_empty()
    }

    /// Nothing acknowledged is lost, since the replicas had it.
    #[tokio::test(flavor = "multi_thread")]
    async fn masters_of_a_cluster_that_die_while_replicas_are_waited_for() {
        let mut cluster = Cluster::start();
        let replicas = [0, 1, 2].map(|master| cluster.replica_of(master));
        let scene = Scene::start(cluster.url(), 1);
        let fault = async {
            for (n, replica) in replicas.iter().enumerate() {
                cluster.nodes[n].kill();
                wait(|| replica.role() == "master");
                // It knows from its file who it was, and follows.
                cluster.nodes[n].restart();
                scene.serves(100).await;
            }
        };
        scene.survives("dies in a cluster", Felt::Yes, fault).await;
    }

    /// Without waiting, a failover may lose what was acknowledged; with it, nothing.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_failover_loses_is_counted() {
        let mut loose = Lost::default();
        for is_waiting in [false, true] {
            let lost = failovers::once(Loss::CutOff, is_waiting).await;
            println!("cut off, {}: {lost}", if is_waiting { "waiting" } else { "not waiting" });
            assert!(
                lost.of_allows > 20 && lost.of_rejects > 20,
                "hardly anything happened: {lost}"
            );
            if is_waiting {
                assert_eq!((lost.allows, lost.rejects), (0, 0), "{lost}");
            } else {
                loose.add(lost);
            }
        }
        assert!(loose.allows + loose.rejects > 0, "the fault is none: {loose}");
        tally::count("failovers", 2);
    }
}

mod soak {
    use super::failovers::{self, Loss, Lost};
    use crate::support::tally;

    /// `CALLGATE_FAILOVERS` says how many of each kind; else as many as there is time for.
    #[test]
    #[ignore = "make soak"]
    fn failovers_are_counted() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let wanted = std::env::var("CALLGATE_FAILOVERS").ok().and_then(|n| n.parse::<usize>().ok());
        let begun = std::time::Instant::now();
        let kinds = [
            ("killed", Some(Loss::Killed)),
            ("cut off", Some(Loss::CutOff)),
            ("killed in a cluster", None),
        ];
        let kinds =
            kinds.iter().flat_map(|(name, loss)| [(*name, *loss, false), (*name, *loss, true)]);
        let kinds: Vec<_> = kinds.collect();
        let mut sums = [Lost::default(); 6];
        let mut runs = 0;
        while wanted.map_or(runs == 0 || begun.elapsed() < tally::soak(), |wanted| runs < wanted) {
            runs += 1;
            for ((name, loss, is_waiting), sum) in kinds.iter().zip(&mut sums) {
                let lost = runtime.block_on(async {
                    match loss {
                        Some(loss) => failovers::once(*loss, *is_waiting).await,
                        None => failovers::once_in_a_cluster(*is_waiting).await,
                    }
                });
                let way = if *is_waiting { "waiting" } else { "not waiting" };
                println!("{runs}: {name}, {way}: {lost}");
                assert!(lost.of_allows > 20 && lost.of_rejects > 20, "{name}: hardly anything");
                if *is_waiting {
                    assert_eq!((lost.allows, lost.rejects), (0, 0), "{name}: {lost}");
                }
                sum.add(lost);
                tally::count("failovers", 1);
            }
        }
        for ((name, _, is_waiting), sum) in kinds.into_iter().zip(&sums) {
            let way = if is_waiting { "waiting" } else { "not waiting" };
            println!("{runs} failovers, {name}, {way}: {sum}");
        }
    }
}
