//! Tasks that go on for as long as the process does.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::sleep;

/// Before a task that panicked begins anew.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 1000 });

/// Runs it, and anew whenever it panics: nobody else does what it does. (Where no thread can be started,
/// say, the runtime panics when a name is to be looked up; a little later it may do.)
pub(crate) async fn lasting<F: Future<Output = ()>>(what: &str, run: impl Fn() -> F) {
    while AssertUnwindSafe(run()).catch_unwind().await.is_err() {
        tracing::error!(task = what, "a background task panicked, and begins anew");
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_begins_anew() {
        let runs = Cell::new(0);
        let run = || async {
            runs.set(runs.get() + 1);
            assert_eq!(runs.get(), 3, "the third time it ends");
        };
        lasting("test", run).await;
        assert_eq!(runs.get(), 3);
    }
}
