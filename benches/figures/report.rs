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
    ("redis time, CheckCalls of 1000", "ms", Be),
    ("redis time, script of one GET", "us", Be),
    ("in redis: reading the question", "us", Be),
    ("in redis: reading the record", "us", Be),
    ("in redis: that and the law", "us", Be),
    ("in redis: writing the record", "us", Be),
    ("in redis: writing the answer", "us", Be),
    ("watch: CPU per delivery", "us", Be),
    ("constant: calls/s, Unix socket / TCP", "", Be),
    ("redis: calls/s, Unix socket / TCP", "", Be),
    ("constant: p50 of one at a time, Unix socket / TCP", "", Be),
    ("redis: p50 of one at a time, Unix socket / TCP", "", Be),
    ("redis, 1000/s in an open loop: p50", "us", Be),
    ("redis, 1000/s in an open loop: p99", "us", Be),
    ("redis, 4000/s in an open loop: p50", "us", Be),
    ("redis, 4000/s in an open loop: p99", "us", Be),
    ("redis, 8000/s in an open loop: p50", "us", Be),
    ("redis, 8000/s in an open loop: p99", "us", Be),
    ("AuthorizeCall: request", "B", Be),
    ("AuthorizeCall: answer", "B", Be),
    ("AuthorizeCall: to redis", "B", Be),
    ("AuthorizeCall: from redis", "B", Be),
    ("AuthorizeCall: to each replica", "B", Be),
    ("event: to redis", "B", Be),
    ("event: from redis", "B", Be),
    ("event: to each replica", "B", Be),
    ("redis bytes per pair, no call", "B", Be),
    ("redis bytes per pair, 35 calls", "B", Be),
    ("redis bytes per change on the log", "B", Be),
    ("gate on redis: resident memory after load", "MB", Be),
    ("idle gate: redis time in a second", "us", Be),
    ("idle gate: memory in redis", "kB", Be),
];

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    values: BTreeMap<&'static str, Vec<f64>>,
    growths: Vec<Growth>,
}

/// What a figure is as there is more of something.
#[derive(Debug)]
struct Growth {
    of: &'static str,
    name: &'static str,
    values: BTreeMap<usize, Vec<f64>>,
}

impl Report {
    /// Adds a value to a figure of the table.
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        let known = FIGURES.iter().find(|(known, ..)| *known == name);
        let (name, ..) = known.unwrap_or_else(|| panic!("{name} is not in the table"));
        self.values.entry(name).or_default().push(value);
    }

    /// Adds a value to what a figure is where there are `n`.
    pub(crate) fn grow(&mut self, of: &'static str, name: &'static str, n: usize, value: f64) {
        let known = self.growths.iter().position(|growth| (growth.of, growth.name) == (of, name));
        let place = known.unwrap_or_else(|| {
            self.growths.push(Growth { of, name, values: BTreeMap::new() });
            self.growths.len() - 1
        });
        self.growths[place].values.entry(n).or_default().push(value);
    }

    /// As text for people.
    pub(crate) fn text(&self) -> String {
        let table = if self.values.is_empty() { String::new() } else { self.table() };
        table + &self.growths_text()
    }

    /// Medians, each with its ratio to the first.
    fn growths_text(&self) -> String {
        let mut out = String::new();
        let mut sorted: Vec<_> = self.growths.iter().collect();
        sorted.sort_by_key(|growth| (growth.of, growth.name));
        let mut of = "";
        for growth in sorted {
            if of != growth.of {
                of = growth.of;
                let counts = growth.values.keys().map(|n| format!("{n:>16}"));
                let _ = writeln!(out, "\n{of:<32}{}", counts.collect::<String>());
            }
            let medians: Vec<f64> = growth.medians().map(|(_, median)| median).collect();
            let cells = medians.iter().map(|median| {
                format!("{:>8} {:>6}", short(*median), format!("x{:.2}", median / medians[0]))
            });
            let _ = writeln!(out, "{:<32} {}", growth.name, cells.collect::<Vec<_>>().join(" "));
        }
        out
    }

    fn table(&self) -> String {
        let mut out = String::new();
        let head = ("figure", "median", "min", "max", "must", "aim");
        let _ = writeln!(
            out,
            "{:<50} {:>10} {:>10} {:>10} {:>8} {:>8}",
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
                "{name:<50} {:>10} {:>10} {:>10} {must:>8} {aim:>8}{mark}",
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
        let growths = self.growths.iter().map(|growth| {
            let medians: Vec<_> = growth.medians().collect();
            json!({ "of": growth.of, "figure": growth.name, "medians": medians })
        });
        let rows: Vec<_> = rows.into_iter().chain(growths).collect();
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

    fn spread(&self, name: &str) -> Option<(f64, f64, f64)> {
        spread(self.values.get(name)?.clone())
    }
}

impl Growth {
    fn medians(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.values.iter().filter_map(|(n, values)| Some((*n, spread(values.clone())?.0)))
    }
}

/// Median, smallest, largest.
pub(crate) fn spread(mut values: Vec<f64>) -> Option<(f64, f64, f64)> {
    values.sort_unstable_by(f64::total_cmp);
    Some((*values.get(values.len() / 2)?, *values.first()?, *values.last()?))
}

pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        small if small < 100.0 => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}
