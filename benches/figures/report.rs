//! The table: each figure by its name, its median over the rounds with the spread beside it, and what
//! it must hold.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::json;

/// What a figure must be, and what it should be.
#[derive(Debug, Clone, Copy)]
enum Must {
    AtLeast(f64, f64),
    AtMost(f64, f64),
    /// It is there to be read.
    Be,
}
use Must::{AtLeast, AtMost, Be};

/// In the order of the table: name, unit ("" for a ratio), bound and aim.
const FIGURES: &[(&str, &str, Must)] = &[
    ("authorize on redis / constant, 2 threads", "", AtLeast(0.45, 0.60)),
    ("authorize on redis / constant, 1 thread", "", AtLeast(0.35, 0.45)),
    ("p50 of one at a time, redis / constant", "", AtMost(2.4, 1.8)),
    ("redis round trips, AuthorizeCall", "", AtMost(1.05, 1.0)),
    ("redis round trips, ReportCall", "", AtMost(1.05, 1.0)),
    ("redis round trips, event", "", AtMost(1.05, 1.0)),
    ("redis time, AuthorizeCall / script of one GET", "", AtMost(6.0, 4.0)),
    ("redis bytes per pair", "B", AtMost(600.0, 350.0)),
    ("embedded durable / not synced, 256 callers", "", AtLeast(0.5, 0.8)),
    ("authorize in memory / constant, 2 threads", "", AtLeast(0.7, 0.85)),
    ("CheckCalls of 1000 on redis, p50", "ms", AtMost(15.0, 8.0)),
    ("CheckCalls of 1000 on redis, round trips", "", AtMost(1.0, 1.0)),
    ("watch: CPU per delivery / constant's per call", "", AtMost(0.7, 0.5)),
    ("idle: resident memory", "MB", AtMost(20.0, 12.0)),
    ("idle: start to ready on redis", "ms", AtMost(150.0, 50.0)),
    ("release binary", "MB", AtMost(15.0, 8.0)),
    ("constant, 2 threads", "calls/s", Be),
    ("constant, 1 thread", "calls/s", Be),
    ("redis, 2 threads", "calls/s", Be),
    ("redis, 1 thread", "calls/s", Be),
    ("memory, 2 threads", "calls/s", Be),
    ("embedded sync, 256 callers", "calls/s", Be),
    ("embedded os, 256 callers", "calls/s", Be),
    ("constant, 2 threads: CPU per call", "us", Be),
    ("constant, 1 thread: CPU per call", "us", Be),
    ("redis, 2 threads: CPU per call", "us", Be),
    ("redis, 1 thread: CPU per call", "us", Be),
    ("memory, 2 threads: CPU per call", "us", Be),
    ("embedded sync: CPU per call", "us", Be),
    ("redis, 2 threads: p99 of 64 streams", "us", Be),
    ("constant: p50 of one at a time", "us", Be),
    ("redis: p50 of one at a time", "us", Be),
    ("redis: p99 of one at a time", "us", Be),
    ("redis time, AuthorizeCall", "us", Be),
    ("redis time, event", "us", Be),
    ("redis time, script of one GET", "us", Be),
    ("watch: CPU per delivery", "us", Be),
];

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    values: BTreeMap<&'static str, Vec<f64>>,
}

impl Report {
    /// Adds a value to a figure of the table.
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        let known = FIGURES.iter().find(|(known, ..)| *known == name);
        let (name, ..) = known.unwrap_or_else(|| panic!("{name} is not in the table"));
        self.values.entry(name).or_default().push(value);
    }

    /// As text for people.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let head = ("figure", "median", "min", "max", "must", "aim");
        let _ = writeln!(
            out,
            "{:<46} {:>10} {:>10} {:>10} {:>8} {:>8}",
            head.0, head.1, head.2, head.3, head.4, head.5
        );
        for (name, unit, must) in FIGURES {
            let Some((median, min, max)) = self.spread(name) else { continue };
            let (must, aim) = match must {
                AtLeast(must, aim) => (format!(">= {must}"), format!("{aim}")),
                AtMost(must, aim) => (format!("<= {must}"), format!("{aim}")),
                Be => (String::new(), String::new()),
            };
            let mark = if self.holds(name) == Some(false) { "  MISSED" } else { "" };
            let name = if unit.is_empty() { (*name).to_owned() } else { format!("{name}, {unit}") };
            let row = format!(
                "{name:<46} {:>10} {:>10} {:>10} {must:>8} {aim:>8}{mark}",
                short(median),
                short(min),
                short(max)
            );
            let _ = writeln!(out, "{}", row.trim_end());
        }
        out
    }

    /// For programs: every value.
    pub(crate) fn json(&self) -> String {
        let measured = FIGURES.iter().filter(|(name, ..)| self.values.contains_key(name));
        let rows: Vec<_> = measured
            .map(|(name, unit, must)| {
                let (at_least, at_most, aim) = match must {
                    AtLeast(must, aim) => (Some(must), None, Some(aim)),
                    AtMost(must, aim) => (None, Some(must), Some(aim)),
                    Be => (None, None, None),
                };
                json!({
                    "figure": name, "unit": unit, "at_least": at_least, "at_most": at_most,
                    "aim": aim, "median": self.spread(name).map(|(median, ..)| median),
                    "holds": self.holds(name), "values": self.values[name],
                })
            })
            .collect();
        serde_json::to_string_pretty(&rows).unwrap()
    }

    fn holds(&self, name: &str) -> Option<bool> {
        let (.., must) = FIGURES.iter().find(|(known, ..)| *known == name)?;
        let (median, ..) = self.spread(name)?;
        match must {
            AtLeast(must, _) => Some(median >= *must),
            AtMost(must, _) => Some(median <= *must),
            Be => None,
        }
    }

    /// Median, smallest, largest.
    fn spread(&self, name: &str) -> Option<(f64, f64, f64)> {
        let mut values = self.values.get(name)?.clone();
        values.sort_unstable_by(f64::total_cmp);
        Some((values[values.len() / 2], values[0], values[values.len() - 1]))
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        small if small < 100.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}
