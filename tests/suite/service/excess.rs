//! Calls beyond a limit: nobody asked about them, they count, they are shown, and they are a metric.

use callgate::{
    engine::time::Millis,
    proto::{CallOutcome, EventStatus, QuotaKind},
};
use metrics_exporter_prometheus::PrometheusBuilder;

use crate::service::{
    ask::{SECOND, T, accept, call, event},
    gate::{Gate, gate, quota},
};

/// Used, held and limit of the window, and the metric.
async fn window(gate: &Gate, metrics: &str) -> ((u32, u32, u32), Option<u64>) {
    let permission = gate.now().await;
    let window = quota(&permission, QuotaKind::CallsInWindow);
    let name = "callgate_calls_over_limit_total{quota=\"window\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
    ((window.used, window.held, window.limit), count)
}

#[tokio::test]
async fn calls_that_nobody_asked_about_are_shown_and_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    // The server runs on this thread.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let gate = gate().await;
    gate.tell(accept()).await;
    for n in 0..5 {
        gate.tell(call(&format!("unasked-{n}"), CallOutcome::Answered)).await;
    }
    assert_eq!(window(&gate, &handle.render()).await, ((5, 0, 5), None), "all slots, and no more");
    gate.tell(call("unasked-5", CallOutcome::Answered)).await;
    assert_eq!(window(&gate, &handle.render()).await, ((6, 0, 5), Some(1)));
    let again = vec![event("e", T, call("unasked-5", CallOutcome::Answered))];
    assert_eq!(gate.record(again).await[0].status(), EventStatus::Duplicate);
    gate.tell(call("unasked-6", CallOutcome::Unanswered)).await;
    assert_eq!(window(&gate, &handle.render()).await, ((6, 0, 5), Some(1)), "counted once");
    let entries = gate.now().await.quotas[0].entries.clone();
    assert!(entries.iter().any(|entry| entry.id == "unasked-5"), "{entries:?}");
}

#[tokio::test]
async fn a_call_that_is_told_after_its_lease_is_shown_and_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let gate = gate().await;
    gate.tell(accept()).await;
    for n in 0..4 {
        gate.tell(call(&format!("c{n}"), CallOutcome::Answered)).await;
    }
    assert_eq!(gate.authorize("late").await.decision, 1);
    gate.clock.set(Millis(T + 90 * SECOND));
    assert_eq!(gate.authorize("next").await.decision, 1, "the slot is free again");
    gate.tell(call("late", CallOutcome::Answered)).await;
    assert_eq!(window(&gate, &handle.render()).await, ((5, 1, 5), Some(1)));
}
