//! The limits under which the load works: seconds, so that windows, leases and lapses come to pass
//! within a test.

use std::path::Path;

/// What the checker knows of a profile that extends `atom`. Milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// So many times as long as usual are all times, and the rests of those who ask.
    pub(crate) pace: u32,
    pub(crate) calls_per_window: u32,
    pub(crate) call_window: u64,
    pub(crate) calls_per_permission: u32,
    /// 0: no limit.
    pub(crate) calls_at_once: u32,
    pub(crate) longest_call: u64,
    pub(crate) requests_per_day: u32,
    pub(crate) requests_per_week: u32,
    pub(crate) temporary_permission: u64,
    pub(crate) lease: u64,
}

impl Rules {
    /// Three calls in two seconds, a lease of one and a half.
    pub(crate) fn seconds() -> Self {
        Self {
            pace: 1,
            calls_per_window: 3,
            call_window: 2000,
            calls_per_permission: 8,
            calls_at_once: 0,
            longest_call: 3_600_000,
            requests_per_day: 4,
            requests_per_week: 6,
            temporary_permission: 6000,
            lease: 1500,
        }
    }

    /// As [`Rules::seconds`], and one call at once, which is over after a second.
    pub(crate) fn one_at_once() -> Self {
        Self { calls_per_window: 5, calls_at_once: 1, longest_call: 1000, ..Self::seconds() }
    }

    /// As [`Rules::seconds`], and a permission is full before the window is.
    pub(crate) fn few_by_permission() -> Self {
        Self { calls_per_window: 6, calls_per_permission: 3, ..Self::seconds() }
    }

    /// With all times so many times as long, for a machine that is slow.
    pub(crate) fn slower(self, pace: u32) -> Self {
        let longer = |ms: u64| ms * u64::from(pace);
        Self {
            pace,
            call_window: longer(self.call_window),
            longest_call: longer(self.longest_call),
            temporary_permission: longer(self.temporary_permission),
            lease: longer(self.lease),
            ..self
        }
    }

    /// Writes a configuration in which they are the default, profile `proof`; returns its path.
    ///
    /// # Panics
    /// The file cannot be written.
    pub(crate) fn config(&self, directory: &Path) -> String {
        let path = directory.join("proof.toml");
        let ms = |ms: u64| format!("\"{ms}ms\"");
        let text = format!(
            "default_profile = \"proof\"\n[profiles.proof]\nextends = \"atom\"\n\
             calls_per_window = {}\ncall_window = {}\ncalls_per_permission = {}\n\
             calls_at_once = {}\nlongest_call = {}\nrequests_per_day = {}\nrequests_per_week = {}\n\
             request_lapses_after = \"1s\"\ntemporary_permission = {}\nexpiring_soon = \"1s\"\n\
             lease = {}\n",
            self.calls_per_window,
            ms(self.call_window),
            self.calls_per_permission,
            self.calls_at_once,
            ms(self.longest_call),
            self.requests_per_day,
            self.requests_per_week,
            ms(self.temporary_permission),
            ms(self.lease),
        );
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}
