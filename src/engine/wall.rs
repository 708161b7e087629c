//! The host's clock as the embedded store goes by it: noticed when somebody sets it, and held so that
//! no slot frees early.
//!
//! Two clocks of the host are compared: the wall clock, which people and NTP set, and the time since
//! boot, suspended or not, which nobody sets. Their difference changes only in steps.
//!
//! - A step **back**: time stands until the wall clock has caught up.
//! - A step **forward** of more than [`ABSORBED`]: time goes on at its own pace, behind the wall clock,
//!   until the gate is restarted.
//! - Neither is always right: the clock may have been set right. A third witness is Meta, which stamps
//!   what it sends. A stamp that lies ahead of us, and that one of our two clocks confirms, moves time
//!   on to it; otherwise a customer's "no" would have to wait for a person to set the clock.
//! - After a restart with a wall clock that is behind what the store was last written at, time stands
//!   as well, until the wall clock is past it. However it gets there: that clock was wrong, and to set
//!   it right is no step to be mistrusted.
//!
//! Why so: `docs/decisions/0004-clock.md`.

use std::{
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::engine::time::{Clock, Millis, millis};

/// NTP steps by less than this, and leap seconds are no more: taken as it comes, once in
/// [`ABSORBED_EVERY`]. Milliseconds.
const ABSORBED: i64 = 2_000;
/// See [`ABSORBED`]. Milliseconds.
const ABSORBED_EVERY: i64 = 3_600_000;
/// Facts may lie this much ahead, as in the rulebook. Milliseconds.
const AHEAD_MAX: i64 = 300_000;
/// How long a gate may have been down that comes up with a clock which is known to be wrong, for
/// Meta's stamps to be believed without another witness. Milliseconds.
const DOWN_MAX: i64 = 30 * 24 * 3_600_000;
/// Both clocks are read within this time of each other. Milliseconds.
const APART_MAX: i64 = 20;
/// How often that is tried; a busy machine may stop us in between.
const READ_TRIES: usize = 10;

/// What both clocks of the host say. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Since 1970.
    pub wall: i64,
    /// Since boot.
    pub boot: i64,
}

/// Reads the host's clocks; tests have their own.
pub trait Host: Send + Sync + std::fmt::Debug {
    /// Both, as of one instant.
    fn read(&self) -> Reading;
}

/// The real ones.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisHost;

impl Host for ThisHost {
    fn read(&self) -> Reading {
        tightest(wall, boot)
    }
}

/// Reads the wall clock between two looks at the other. Of several tries the one that took least: what
/// passes in between would look like a step of the wall clock.
fn tightest(wall: impl Fn() -> i64, boot: impl Fn() -> i64) -> Reading {
    let before = boot();
    let mut best = Reading { wall: wall(), boot: boot() };
    let (mut least, mut before) = (best.boot - before, best.boot);
    for _ in 1..READ_TRIES {
        if least <= APART_MAX {
            break;
        }
        let reading = Reading { wall: wall(), boot: boot() };
        if reading.boot - before < least {
            (best, least) = (reading, reading.boot - before);
        }
        before = reading.boot;
    }
    best
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| signed(millis(since)))
}

/// Counts while the machine sleeps, too.
#[cfg(target_os = "linux")]
fn boot() -> i64 {
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    since.tv_sec * 1000 + since.tv_nsec / 1_000_000
}

/// Since the first look. Whether it counts while the machine sleeps is the system's choice.
#[cfg(not(target_os = "linux"))]
fn boot() -> i64 {
    static FIRST: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    signed(millis(FIRST.elapsed()))
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The host's wall clock, held as the module says. What happens to it is logged once per step, and
/// shown by `callgate_clock_offset_seconds` and `callgate_clock_steps_total`.
#[derive(Debug)]
pub struct WallClock {
    host: Box<dyn Host>,
    pace: Mutex<Pace>,
}

impl Default for WallClock {
    fn default() -> Self {
        Self::of(ThisHost)
    }
}

impl WallClock {
    /// Goes by the clocks of this host.
    pub fn of(host: impl Host + 'static) -> Self {
        Self { host: Box::new(host), pace: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Pace, Reading) -> T) -> T {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        // Inside the lock: readings come in order.
        let reading = self.host.read();
        if let Some(step) = pace.look(reading) {
            tell_step(step, &pace, reading);
        }
        let done = act(&mut pace, reading);
        pace.show(reading);
        done
    }
}

impl Clock for WallClock {
    fn now(&self) -> Millis {
        self.with(|pace, _| pace.now())
    }

    fn resume(&self, newest: Millis) {
        let newest = signed(newest.0);
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).start_after(newest);
        self.with(|pace, reading| {
            if reading.wall < newest {
                tracing::warn!(
                    seconds = seconds(newest - reading.wall),
                    until = %pace.now().utc(),
                    "the host's clock is behind what this store was last written at; time stands \
                     until the clock has caught up. If the clock is wrong, set it right"
                );
            }
        });
    }

    fn hear(&self, stamp: Millis) {
        self.with(|pace, reading| {
            let before = pace.newest;
            if pace.hear(signed(stamp.0), reading) {
                tracing::warn!(
                    seconds = seconds(pace.newest - before),
                    now = %pace.now().utc(),
                    "Meta's stamps and one of the host's clocks agree that it is later; time is \
                     moved on"
                );
            }
        });
    }
}

/// What is known of the time.
#[derive(Debug, Default)]
struct Pace {
    /// The newest instant that was given.
    newest: i64,
    /// Wall clock less time since boot, as it is trusted. `None` until the wall clock is first past
    /// `newest`.
    trusted: Option<i64>,
    /// When `trusted` was set, since boot.
    trusted_at: i64,
    /// The same difference as it was seen last.
    seen: Option<i64>,
    /// What the metric says. Whole seconds.
    shown: Option<i64>,
}

impl Pace {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.newest).unwrap_or(0))
    }

    /// Begins anew behind what a store was last written at.
    fn start_after(&mut self, newest: i64) {
        *self = Self { newest: self.newest.max(newest), shown: self.shown, ..Self::default() };
    }

    /// Moves time on as the clocks allow. Returns by how much the wall clock was set since the last
    /// look, if it was.
    fn look(&mut self, Reading { wall, boot }: Reading) -> Option<i64> {
        let difference = wall - boot;
        let step = self.seen.replace(difference).map_or(0, |seen| difference - seen);
        let ahead = self.trusted.map(|trusted| difference - trusted);
        let is_caught_up = self.newest <= wall;
        let is_taken = match ahead {
            None => is_caught_up,
            Some(ahead) if ahead < 0 => is_caught_up,
            Some(ahead) => {
                (1..=ABSORBED).contains(&ahead) && self.trusted_at + ABSORBED_EVERY <= boot
            }
        };
        if is_taken {
            (self.trusted, self.trusted_at) = (Some(difference), boot);
        }
        let may_be = match (self.trusted, ahead) {
            (Some(trusted), Some(ahead)) if ABSORBED < ahead => boot + trusted,
            _ => wall,
        };
        self.newest = self.newest.max(may_be);
        (ABSORBED < step.abs()).then_some(step)
    }

    /// Believes a stamp that one of our clocks confirms. Returns whether time was moved on.
    fn hear(&mut self, stamp: i64, Reading { wall, boot }: Reading) -> bool {
        let own = match self.trusted {
            Some(trusted) => wall.max(boot + trusted),
            None => wall.max(self.newest + DOWN_MAX),
        };
        if stamp <= self.newest + AHEAD_MAX || own + AHEAD_MAX < stamp {
            return false;
        }
        self.newest = stamp.min(own);
        if let Some(trusted) = self.trusted {
            let confirmed = (wall - boot).min(self.newest - boot);
            self.trusted = Some(trusted.max(confirmed));
        }
        true
    }

    fn show(&mut self, reading: Reading) {
        let offset = (self.newest - reading.wall) / 1000;
        if self.shown != Some(offset) {
            self.shown = Some(offset);
            metrics::gauge!("callgate_clock_offset_seconds").set(seconds(offset * 1000));
        }
    }
}

fn tell_step(step: i64, pace: &Pace, reading: Reading) {
    let direction = if step < 0 { "back" } else { "forward" };
    metrics::counter!("callgate_clock_steps_total", "direction" => direction).increment(1);
    let (step, held) = (seconds(step.abs()), pace.newest - reading.wall);
    if 0 < held {
        tracing::warn!(
            seconds = step,
            direction,
            until = %pace.now().utc(),
            "the host's clock was set; callgate's time stands until the clock has caught up"
        );
    } else if held < -ABSORBED {
        tracing::warn!(
            seconds = step,
            direction,
            behind = seconds(-held),
            "the host's clock was set; callgate's time goes on at its own pace, so that no slot \
             frees early. If the clock is right now, restart callgate"
        );
    } else {
        tracing::warn!(seconds = step, direction, "the host's clock was set; callgate goes by it");
    }
}

#[expect(clippy::cast_precision_loss, reason = "spans are far below 2^52 ms")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The reading where each look at a clock takes as long, one after the other, and by how much it is
    /// off.
    fn off_by(takes: &[i64]) -> i64 {
        let (now, look) = (Cell::new(0), Cell::new(0));
        let pass = || {
            now.set(now.get() + takes.get(look.get()).copied().unwrap_or(5000));
            look.set(look.get() + 1);
            now.get()
        };
        let Reading { wall, boot } = tightest(|| 1_000_000 + pass(), pass);
        wall - 1_000_000 - boot
    }

    #[test]
    fn slow_reads_are_no_step_while_one_of_ten_is_quick() {
        assert_eq!(off_by(&[0, 0, 0]), 0);
        assert_eq!(off_by(&[0, 0, 20]), -20);
        // Too far apart; the second try is not.
        assert_eq!(off_by(&[0, 0, 21, 1, 19]), -19);
        // All are; the one that is least so is taken.
        assert_eq!(off_by(&[0, 0, 3000, 2500, 2500, 30, 70, 2000, 1000]), -70);
        assert_eq!(off_by(&[]), -5000);
    }
}
