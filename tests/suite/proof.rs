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
pub(crate) mod check;
pub(crate) mod fleet;
pub(crate) mod gates;
mod history;
pub(crate) mod ledger;
pub(crate) mod load;
mod pairs;
pub(crate) mod rules;

mod slow {
    use std::time::Duration;

    use super::{again, check, fleet::Fleet, ledger::Ledger, load::Load, rules::Rules};
    use crate::{servers::Server, support::tally, twins::Dice};

    #[tokio::test(flavor = "multi_thread")]
    async fn eight_gates_are_right_on_redis() {
        let server = Server::redis7();
        let mut dice = Dice::throw();
        let rules = Rules::seconds();
        let fleet = Fleet::start(server.url(), 8, &rules);
        let ledger = Ledger::new();
        let load = Load { clients: 512, ..Load::new(Dice(dice.below(u64::MAX))) };
        load.run(&fleet.gates, &ledger, tokio::time::sleep(Duration::from_secs(15))).await;
        println!("{} answered", ledger.answered());
        again::ask(&ledger, &fleet.gates, &rules, &mut dice).await;
        let sums = check::must_hold(&ledger, &rules);
        assert!(sums.allows > 100, "hardly anything happened");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn gates_on_a_redis_that_keeps_everything_are_killed() {
        const KILLS: usize = 60;
        let server = Server::with(&["appendonly yes", "appendfsync always"]);
        let mut dice = Dice::throw();
        let rules = Rules::seconds();
        let fleet = Fleet::start(server.url(), 3, &rules);
        let ledger = Ledger::new();
        let load = Load::new(Dice(dice.below(u64::MAX)));
        let kills = async {
            for _ in 0..KILLS {
                tokio::time::sleep(Duration::from_millis(dice.below(400))).await;
                fleet.kill_one(&mut dice);
            }
        };
        load.run(&fleet.gates, &ledger, kills).await;
        again::ask(&ledger, &fleet.gates, &rules, &mut dice).await;
        let sums = check::must_hold(&ledger, &rules);
        assert!(sums.allows > 100, "hardly anything happened");
        tally::count("kills of a gate", KILLS);
    }
}
