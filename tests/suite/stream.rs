//! Proof that the stream has no gap: what subscribers heard is compared with the log itself, while
//! gates are killed, subscribers come and go, and Redis is restarted or fails over.

mod check;
mod world;

mod slow {
    use std::{collections::BTreeMap, sync::Arc, time::Duration};

    use callgate::{
        engine::store::Store,
        proto::{Permission, PermissionChange},
        store::redis::{Options, RedisStore, Target},
    };

    use super::{
        check::{Subscriber, whole_log},
        world::{NUMBERS, PATIENCE, World, Writers, pair, permissions},
    };
    use crate::{
        servers::{Cluster, Server},
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
        assert!(told > 300, "hardly anything happened");
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
        println!("{written} steps were acknowledged, 12 gates killed");
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
}
