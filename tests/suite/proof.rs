//! Proof that a gate is right under races, crashes and faults: many clients ask several gates on one
//! store, a ledger keeps what was asked and answered, and a checker judges the ledger alone.
//!
//! `load` makes the work, `ledger` writes it down, `again` asks everything once more when the work is
//! over, `check` reads the ledger. None of them knows what disturbs the gates meanwhile:
//!
//! ```text
//! let gates = Gates::new(addresses);
//! let ledger = Ledger::new();
//! Load { clients: 64, ..Load::new(dice) }.run(&gates, &ledger, async { disturb().await }).await;
//! again::ask(&ledger, &gates, &rules).await;
//! check::must_hold(&ledger, &rules);
//! ```

pub(crate) mod again;
mod by_hand;
pub(crate) mod check;
pub(crate) mod fleet;
pub(crate) mod gates;
mod history;
pub(crate) mod ledger;
pub(crate) mod load;
mod pairs;
pub(crate) mod rules;
mod story;

mod slow {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::{
        again,
        check::{self, Sums},
        fleet::Fleet,
        ledger::{Known, Ledger},
        load::Load,
        rules::Rules,
    };
    use crate::{
        servers::{Cluster, Server},
        support::tally,
        twins::Dice,
    };

    /// Works for so long, at the pace of the rules, then judges.
    async fn race(store: &str, gates: usize, clients: u64, time: Duration, rules: &Rules) -> Sums {
        race_with(store, gates, time, rules, |load| {
            // Some 800 questions a second: more would show how slow a debug build is, and nothing else.
            let rest = Duration::from_millis(2 * clients);
            Load { clients, rest, ..load }
        })
        .await
    }

    async fn race_with(
        store: &str,
        gates: usize,
        time: Duration,
        rules: &Rules,
        change: impl FnOnce(Load) -> Load,
    ) -> Sums {
        let mut dice = Dice::throw();
        let fleet = Fleet::start(store, gates, rules);
        let ledger = Ledger::new();
        let load = change(Load::new(Dice(dice.below(u64::MAX)))).slower(rules.pace);
        load.run(&fleet.gates, &ledger, tokio::time::sleep(time * rules.pace)).await;
        again::ask(&ledger, &fleet.gates, rules, &mut dice).await;
        tally::count("questions of racing clients", ledger.answered());
        check::must_hold(&ledger, rules)
    }

    const TIME: Duration = Duration::from_secs(12);

    /// Plays until there was enough to judge. On a machine that is too busy for that nothing is in time
    /// for the rules: once more then, with all times so much longer. Each time every promise is kept.
    async fn until(is_enough: impl Fn(&Sums) -> bool, play: impl AsyncFn(u32) -> Sums) {
        let mut all = Vec::new();
        for pace in [1, 4] {
            let sums = play(pace).await;
            if is_enough(&sums) {
                return;
            }
            println!("hardly anything happened");
            all.push(sums);
        }
        panic!("hardly anything happened, or was bound by a limit: {all:?}");
    }

    fn tells_and_binds(sums: &Sums) -> bool {
        sums.tells(100) && sums.binds(8)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn eight_gates_with_512_clients_are_right_on_redis() {
        until(tells_and_binds, async |pace| {
            let server = Server::redis7();
            race(server.url(), 8, 512, TIME, &Rules::seconds().slower(pace)).await
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn eight_gates_with_512_clients_are_right_on_a_cluster() {
        until(tells_and_binds, async |pace| {
            let cluster = Cluster::start();
            race(cluster.url(), 8, 512, TIME, &Rules::seconds().slower(pace)).await
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_gate_with_64_clients_is_right_on_its_own_disk() {
        until(tells_and_binds, async |pace| {
            let directory = TempDir::new().unwrap();
            let store = format!("embedded:{}", directory.path().display());
            race(&store, 1, 64, TIME, &Rules::seconds().slower(pace)).await
        })
        .await;
    }

    /// Half of all time in calls, and nobody else may call then.
    #[tokio::test(flavor = "multi_thread")]
    async fn one_call_at_once_is_one_while_gates_race() {
        until(tells_and_binds, async |pace| {
            let server = Server::redis7();
            race(server.url(), 4, 128, TIME, &Rules::one_at_once().slower(pace)).await
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_permission_is_full_while_gates_race() {
        let is_enough = |sums: &Sums| tells_and_binds(sums) && sums.denied_by_permission > 100;
        until(is_enough, async |pace| {
            let server = Server::redis7();
            let rules = Rules::few_by_permission().slower(pace);
            race(server.url(), 4, 128, TIME, &rules).await
        })
        .await;
    }

    /// What was told before is gone for good, what comes after counts anew.
    #[tokio::test(flavor = "multi_thread")]
    async fn customers_are_forgotten_while_gates_race() {
        // No window is judged as a whole, since a part of it may be forgotten.
        let tells = |sums: &Sums| sums.tells(50);
        until(tells, async |pace| {
            let server = Server::redis7();
            let time = Duration::from_secs(8);
            // A bond is forgotten, too: who was known by either id is then two, until they are told together.
            let known = vec![Known::Number, Known::User, Known::Both];
            let rules = Rules::seconds().slower(pace);
            let forgets = |load| Load { forgets: true, known, ..load };
            race_with(server.url(), 2, time, &rules, forgets).await
        })
        .await;
    }

    /// Gates killed one after the other, while Redis, too, is killed now and then, keeping all that it
    /// acknowledged.
    async fn kills(of_gates: usize, of_redis: usize, pace: u32) -> Sums {
        // Redis needs some quiet to get on at all.
        let pause = u64::from(pace) * if of_gates < of_redis { 700 } else { 200 };
        let mut server = Server::with(&["appendonly yes", "appendfsync always"]);
        let mut dice = Dice::throw();
        let rules = Rules::seconds().slower(pace);
        let fleet = Fleet::start(server.url(), 4, &rules);
        let ledger = Ledger::new();
        let load = Load::new(Dice(dice.below(u64::MAX))).slower(pace);
        let evil = async {
            let mut left = (of_gates, of_redis);
            while left != (0, 0) {
                tokio::time::sleep(Duration::from_millis(dice.below(pause))).await;
                let all = u64::try_from(left.0 + left.1).unwrap();
                if usize::try_from(dice.below(all)).unwrap() < left.0 {
                    fleet.kill_one(&mut dice);
                    left.0 -= 1;
                } else {
                    server.restart();
                    left.1 -= 1;
                }
            }
        };
        load.run(&fleet.gates, &ledger, evil).await;
        again::ask(&ledger, &fleet.gates, &rules, &mut dice).await;
        tally::count("kills of a gate", of_gates);
        tally::count("kills of Redis", of_redis);
        check::must_hold(&ledger, &rules)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_lost_when_gates_are_killed() {
        until(tells_and_binds, async |pace| kills(100, 0, pace).await).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_lost_when_redis_is_killed() {
        let is_enough = |sums: &Sums| sums.tells(50) && sums.binds(8);
        until(is_enough, async |pace| kills(10, 20, pace).await).await;
    }

    mod soak {
        use super::*;

        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "make soak"]
        async fn gates_race_on_redis() {
            let server = Server::redis7();
            race(server.url(), 8, 512, tally::soak(), &Rules::seconds()).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "make soak"]
        async fn gates_race_on_a_cluster() {
            let cluster = Cluster::start();
            race(cluster.url(), 8, 512, tally::soak(), &Rules::seconds()).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "make soak"]
        async fn gates_and_redis_are_killed() {
            // Five kills a second, about.
            let kills_of_gates = usize::try_from(tally::soak().as_secs() * 4).unwrap();
            kills(kills_of_gates, kills_of_gates / 8, 1).await;
        }
    }
}
