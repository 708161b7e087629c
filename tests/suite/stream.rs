//! Proof that the stream has no gap: what subscribers heard is compared with the log itself, while
//! gates are killed, subscribers come and go, and Redis is restarted or fails over.

mod check;
mod world;

pub(crate) use world::now;

mod slow {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::Arc,
        time::Duration,
    };

    use callgate::{
        engine::store::Store,
        proto::{
            ChangeCause, Event, Permission, PermissionChange, PermissionReply, PermissionResponse,
            RecordEventsRequest, event::Fact,
        },
        store::redis::{Options, RedisStore, Target},
    };
    use prost_types::Timestamp;
    use redis::cmd;

    use super::{
        check::{Subscriber, whole_log},
        now,
        world::{NUMBERS, PATIENCE, World, Writers, pair, permissions},
    };
    use crate::{
        servers::{Cluster, Server, wait},
        support::tally,
        twins::Dice,
    };

    /// Subscribers of every kind: to everything, to a number, to some pairs.
    async fn subscribers(world: &Arc<World>, dice: &mut Dice) -> Vec<(Subscriber, Vec<String>)> {
        let mut all = Vec::new();
        for fickle in [0, 40, 7, 2] {
            let everything =
                Subscriber::start(world, Vec::new(), &[], fickle, dice.below(u64::MAX)).await;
            all.push((everything, vec![String::new()]));
            let number =
                Subscriber::start(world, Vec::new(), &NUMBERS[1..2], fickle, dice.below(u64::MAX));
            all.push((number.await, vec![format!("{} ", NUMBERS[1])]));
            let pairs = vec![pair(NUMBERS[0], 1), pair(NUMBERS[2], 3)];
            let names = vec![
                format!("{} 15550199001 ", NUMBERS[0]),
                format!("{} 15550199003 ", NUMBERS[2]),
            ];
            let few = Subscriber::start(world, pairs, &[], fickle, dice.below(u64::MAX)).await;
            all.push((few, names));
        }
        all
    }

    fn is_of(names: &[String]) -> impl Fn(&str) -> bool + '_ {
        |line| names.iter().any(|name| line.starts_with(name.as_str()))
    }

    async fn store(url: &str) -> RedisStore {
        let options = Options {
            call_deadline: Duration::from_secs(10),
            connect_deadline: Duration::from_secs(10),
            ..Options::default()
        };
        RedisStore::open(Target::parse(url).unwrap(), options).await.unwrap()
    }

    /// Waits until time has nothing more to tell, and returns the log.
    async fn quiet(store: &RedisStore) -> BTreeMap<u16, Vec<String>> {
        let log = store.change_log().await.unwrap();
        let settle = async {
            let mut before = whole_log(&*log, &NUMBERS).await;
            loop {
                // The longest window of the profile, and some for the sweeper.
                tokio::time::sleep(Duration::from_secs(5)).await;
                let now = whole_log(&*log, &NUMBERS).await;
                if now == before {
                    return now;
                }
                before = now;
            }
        };
        tokio::time::timeout(PATIENCE, settle).await.expect("the world comes to rest")
    }

    /// The last change of each pair says what GetPermission says.
    fn agree(last: &BTreeMap<String, PermissionChange>, permissions: &[Permission]) {
        for permission in permissions {
            let pair = permission.pair.clone().unwrap();
            let name = format!("{} {}", pair.phone_number_id, pair.customer.unwrap().wa_id);
            let Some(change) = last.get(&name) else { continue };
            let told = change.permission.clone().unwrap();
            assert_eq!(
                (told.status, &told.grant, &told.valid_until),
                (permission.status, &permission.grant, &permission.valid_until),
                "{name}"
            );
        }
    }

    async fn everything_was_heard(
        world: &World,
        url: &str,
        all: Vec<(Subscriber, Vec<String>)>,
        dice: &mut Dice,
    ) {
        let log = quiet(&store(url).await).await;
        let permissions = permissions(world, dice).await;
        let mut heard = 0;
        for (mut subscriber, names) in all {
            let wanted = log.values().flatten().filter(|line| is_of(&names)(line)).count();
            let chains = subscriber.hears(wanted).await;
            assert_eq!(chains.len(), 1, "nothing was out of range");
            chains[0].must_be(&log, is_of(&names));
            agree(&chains[0].last, &permissions);
            heard += chains[0].count;
        }
        let told: usize = log.values().map(Vec::len).sum();
        println!("{told} changes on the log, {heard} heard");
        // By the dice it is from 100 to 200.
        assert!(told > 50, "hardly anything happened: {told}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_missed_while_gates_are_killed() {
        let server = Server::redis7();
        let mut dice = Dice::throw();
        let world = World::start(server.url(), 3);
        let all = subscribers(&world, &mut dice).await;
        let writers = Writers::start(&world, 6, &mut dice);
        for _ in 0..12 {
            writers.more(150).await;
            world.kill_one(&mut dice);
        }
        let written = writers.stop().await;
        tally::count("kills of a gate", 12);
        tally::count("steps acknowledged under kills and faults", written);
        everything_was_heard(&world, server.url(), all, &mut dice).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_missed_on_a_cluster() {
        let cluster = Cluster::start();
        let mut dice = Dice::throw();
        let world = World::start(cluster.url(), 2);
        let all = subscribers(&world, &mut dice).await;
        let writers = Writers::start(&world, 4, &mut dice);
        for _ in 0..4 {
            writers.more(150).await;
            world.kill_one(&mut dice);
        }
        writers.stop().await;
        everything_was_heard(&world, cluster.url(), all, &mut dice).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_missed_while_redis_is_restarted() {
        let mut server = Server::with(&["appendonly yes", "appendfsync always"]);
        let mut dice = Dice::throw();
        let world = World::start(server.url(), 2);
        let all = subscribers(&world, &mut dice).await;
        let writers = Writers::start(&world, 4, &mut dice);
        for _ in 0..4 {
            writers.more(150).await;
            server.restart();
        }
        writers.more(150).await;
        writers.stop().await;
        everything_was_heard(&world, server.url(), all, &mut dice).await;
    }

    /// Makes the replica of a master the master. What the old one took meanwhile is lost.
    fn fail_over(sentinel: &Server, master: &Server, replica: &Server) {
        let mut watcher = sentinel.client();
        // Until it has the replica's own word, the sentinel finds it not good enough.
        wait(|| cmd("SENTINEL").arg("failover").arg("mymaster").query::<()>(&mut watcher).is_ok());
        wait(|| {
            let name = ["get-master-addr-by-name", "mymaster"];
            let address: (String, u16) = cmd("SENTINEL").arg(&name).query(&mut watcher).unwrap();
            address.1 == replica.port()
        });
        // The sentinel would do so within ten seconds.
        let port = replica.port().to_string();
        cmd("REPLICAOF").arg("127.0.0.1").arg(port).query::<()>(&mut master.client()).unwrap();
    }

    /// Redis may lose what it acknowledged when it fails over. Whoever heard of it is told that the
    /// log does not go on from there, and starts anew; whoever did not, goes on.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_failover_is_told_or_not_noticed() {
        let master = Server::redis7();
        let replica = master.replica();
        let sentinel = Server::sentinel_of(&master);
        let mut dice = Dice::throw();
        let world = World::start(sentinel.url(), 2);
        let all = subscribers(&world, &mut dice).await;
        let writers = Writers::start(&world, 4, &mut dice);
        writers.more(300).await;
        fail_over(&sentinel, &master, &replica);
        writers.more(600).await;
        writers.stop().await;

        let log = quiet(&store(sentinel.url()).await).await;
        let permissions = permissions(&world, &mut dice).await;
        let (mut lost, mut broken) = (0, 0);
        for (mut subscriber, names) in all {
            let wanted = log.values().flatten().filter(|line| is_of(&names)(line)).count();
            let mut chains = subscriber.hears_all_that_is_left(wanted).await;
            let last = chains.pop().unwrap();
            agree(&last.last, &permissions);
            assert_eq!(last.must_be_a_piece(&log, is_of(&names)), 0);
            broken += chains.len();
            for chain in &chains {
                lost += chain.must_be_a_piece(&log, is_of(&names));
            }
            if chains.is_empty() {
                last.must_be(&log, is_of(&names));
            }
        }
        println!("{broken} streams were out of range after the failover, {lost} changes were lost");
    }

    /// Whichever gate settles them, each grant that ends is told once.
    #[tokio::test(flavor = "multi_thread")]
    async fn two_hundred_grants_that_end_together_are_told_once_by_three_gates() {
        const PAIRS: u64 = 200;
        let server = Server::redis7();
        let mut dice = Dice::throw();
        let world = World::start(server.url(), 3);
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(Subscriber::start(&world, Vec::new(), &[], 0, dice.below(u64::MAX)).await);
        }
        let ends_at = accept_all(&world, PAIRS, &mut dice).await;
        // ACCEPTED, EXPIRING_SOON, EXPIRED of each.
        let wanted = usize::try_from(PAIRS).unwrap() * 3;
        for subscriber in &mut all {
            let chains = subscriber.hears(wanted).await;
            let lines: Vec<&String> = chains[0].heard.values().flatten().collect();
            let expired: BTreeSet<&&String> =
                lines.iter().filter(|line| line.contains("CAUSE_EXPIRED")).collect();
            assert_eq!((lines.len(), expired.len()), (wanted, usize::try_from(PAIRS).unwrap()));
            let late = chains[0].last.values().map(|change| lateness(change, ends_at)).max();
            println!("the last of {PAIRS} was told {} ms late", late.unwrap());
            assert!(late.unwrap() < 10_000, "{late:?} ms");
        }
    }

    /// Milliseconds between the end of a grant and its being told.
    fn lateness(change: &PermissionChange, ends_at: i64) -> i64 {
        assert_eq!(change.cause(), ChangeCause::Expired);
        let ms = |at: Option<Timestamp>| {
            at.map_or(0, |at| at.seconds * 1000 + i64::from(at.nanos) / 1_000_000)
        };
        assert_eq!(ms(change.occurred_at), ends_at);
        ms(change.recorded_at) - ends_at
    }

    /// All accept in one second, for 3 s; returns when that ends.
    async fn accept_all(world: &World, pairs: u64, dice: &mut Dice) -> i64 {
        let seconds = now().seconds;
        let accept = PermissionReply {
            response: PermissionResponse::Accept.into(),
            ..PermissionReply::default()
        };
        let events = (0..pairs).map(|n| Event {
            event_id: format!("accept-{n}"),
            pair: Some(pair(NUMBERS[usize::try_from(n % 3).unwrap()], 100 + n)),
            occurred_at: Some(Timestamp { seconds, nanos: 0 }),
            fact: Some(Fact::Reply(accept.clone())),
        });
        let events: Vec<Event> = events.collect();
        for events in events.chunks(50) {
            let request = RecordEventsRequest { events: events.to_vec() };
            // What a busy machine did not answer in time is told again, which changes nothing.
            while world.client(dice).record_events(request.clone()).await.is_err() {}
        }
        (seconds + 3) * 1000
    }
}
