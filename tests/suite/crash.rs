//! Gates on an embedded store that are killed, cut off from space, or find torn ends of files: what
//! they acknowledged is there afterwards, and no ALLOW is without its hold.

mod check;
mod client;
mod ledger;
mod look;
mod space;
mod torn;
mod world;

mod slow {
    use super::world::kill_under_load;
    use crate::{support::tally, twins::Dice};

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_again_and_again_it_keeps_what_it_acknowledged() {
        let mut dice = Dice::throw();
        let kills = kill_under_load("sync", |done| done == 100, &mut dice).await;
        tally::count("kills of a gate", kills);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn killed_again_and_again_where_it_does_not_flush_it_keeps_it_as_well() {
        let mut dice = Dice::throw();
        let kills = kill_under_load("os", |done| done == 100, &mut dice).await;
        tally::count("kills of a gate", kills);
    }
}

mod soak {
    use std::time::Instant;

    use super::world::kill_under_load;
    use crate::{support::tally, twins::Dice};

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "make soak"]
    async fn killed_again_and_again() {
        let (mut dice, began) = (Dice::throw(), Instant::now());
        let mut turn = 0;
        while began.elapsed() < tally::soak() {
            turn += 1;
            let durability = if turn % 2 == 1 { "sync" } else { "os" };
            let enough = |done: usize| done == 200 || tally::soak() <= began.elapsed();
            let kills = kill_under_load(durability, enough, &mut dice).await;
            tally::count("kills of a gate", kills);
        }
    }
}
