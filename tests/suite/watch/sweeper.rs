//! Time's own changes: what is due is settled, whatever else is wrong.

use std::sync::Arc;

use callgate::{
    engine::{Error, pair::Customer, store::Due, time::Millis},
    watch::sweep,
};
use tokio::task::JoinSet;

use super::double::{Double, number};

fn customer(wa: &str) -> Customer {
    Customer::parse(wa, "", "").unwrap()
}

fn due(digits: &str, wa: &str) -> Due {
    Due { number: number(digits), customer: Some(customer(wa)), at: Millis(1) }
}

fn all_of(digits: &str) -> Due {
    Due { number: number(digits), customer: None, at: Millis(1) }
}

/// Sweeps until dropped.
fn sweeping(store: &Arc<Double>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(sweep(store.gate()));
    tasks
}

#[tokio::test]
async fn what_is_due_is_settled() {
    let store = Double::new();
    store.due_next(Ok(vec![due("1", "15550142001"), due("2", "15550142002")]));
    let _sweeping = sweeping(&store);
    let seen = store.until("settling", |seen| seen.settled.len() == 2).await;
    assert_eq!(seen.settled, ["1/15550142001", "2/15550142002"]);
    store.until("looking again", |seen| 4 < seen.due_asked).await;
    assert_eq!(store.seen().settled.len(), 2);
}

#[tokio::test]
async fn a_full_page_is_followed_by_the_next_at_once() {
    let store = Double::new();
    for page in 0..6 {
        let of_page = |n| due("1", &format!("1555{:07}", page * 500 + n));
        store.due_next(Ok((0..500).map(of_page).collect()));
    }
    let began = std::time::Instant::now();
    let _sweeping = sweeping(&store);
    store.until("settling all", |seen| seen.settled.len() == 3000).await;
    // Six pages at the usual pace would take a second.
    assert!(began.elapsed().as_millis() < 900, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_store_that_is_away_is_asked_again() {
    let store = Double::new();
    for _ in 0..3 {
        store.due_next(Err(Error::Unavailable("away".to_owned())));
    }
    store.due_next(Ok(vec![due("1", "15550142001")]));
    let _sweeping = sweeping(&store);
    store.until("settling", |seen| seen.settled == ["1/15550142001"]).await;
}

#[tokio::test]
async fn a_pair_that_cannot_be_settled_holds_no_other_up() {
    let store = Double::new();
    store.fail_to_settle("1", "15550142000", Error::Internal("damaged".to_owned()));
    for n in 1..10 {
        store.due_next(Ok(vec![due("1", "15550142000"), due("1", &format!("1555014200{n}"))]));
    }
    let began = std::time::Instant::now();
    let _sweeping = sweeping(&store);
    let seen = store.until("settling", |seen| seen.settled.len() == 9).await;
    let others: Vec<String> = (1..10).map(|n| format!("1/1555014200{n}")).collect();
    assert_eq!(seen.settled, others);
    // Nor does it make the sweeper wait, as it does for a store that is away.
    assert!(began.elapsed().as_secs() < 4, "{:?}", began.elapsed());
}

#[tokio::test]
async fn all_customers_of_a_number_are_settled_and_then_it_is_due_no_more() {
    let store = Double::new();
    let ids: Vec<String> = (1..=5).map(|n| format!("1555014200{n}")).collect();
    store.have_customers("1", ids.iter().map(|wa| customer(wa)).collect());
    store.fail_to_settle("1", "15550142003", Error::Internal("damaged".to_owned()));
    store.due_next(Ok(vec![all_of("1")]));
    let _sweeping = sweeping(&store);
    let seen = store.until("settling", |seen| seen.numbers_settled == ["1"]).await;
    let mut settled = seen.settled;
    settled.sort();
    assert_eq!(settled, [1, 2, 4, 5].map(|n| format!("1/1555014200{n}")));
}

#[tokio::test]
async fn a_number_stays_due_until_all_of_it_is_settled() {
    let store = Double::new();
    store.have_customers("1", vec![customer("15550142001"), customer("15550142002")]);
    store.fail_to_settle("1", "15550142002", Error::Unavailable("away".to_owned()));
    store.due_next(Ok(vec![all_of("1")]));
    let _sweeping = sweeping(&store);
    store.until("trying", |seen| seen.settled == ["1/15550142001"]).await;
    store.until("looking again", |seen| 3 < seen.due_asked).await;
    assert!(store.seen().numbers_settled.is_empty());
    // It is told of again, and tried again.
    store.due_next(Ok(vec![all_of("1")]));
    store.until("trying again", |seen| seen.settled.len() == 2).await;
}

/// They are due until the last of their customers is settled.
#[tokio::test]
async fn business_numbers_that_are_being_settled_take_nobodys_place() {
    let store = Double::new();
    let numbers = |count: u64| (1..=count).map(|n| all_of(&n.to_string()));
    store.be_slow(true);
    let page: Vec<Due> = numbers(499).chain([due("1", "15550142001")]).collect();
    store.due_next(Ok(page));
    let beside: Vec<Due> =
        numbers(499).chain((0..300).map(|n| due("1", &format!("1555{n:07}")))).collect();
    store.due_next(Ok(beside));
    let _sweeping = sweeping(&store);
    store.until("settling those beside", |seen| seen.settled.len() == 301).await;
}
