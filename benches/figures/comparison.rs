//! The table of two revisions: each figure of both, and the ratio of them, taken in each round, with its
//! spread.

use std::fmt::Write as _;

use crate::report::{short, spread};

/// In the order of the table: name, unit, and whether more of it is better.
const FIGURES: &[(&str, &str, bool)] = &[
    ("redis", "calls/s", true),
    ("redis: CPU per call", "us", false),
    ("redis time, AuthorizeCall", "us", false),
    ("redis: p50 of one at a time", "us", false),
    ("memory", "calls/s", true),
    ("memory: CPU per call", "us", false),
];

/// What was measured: name, the base's value, ours.
#[derive(Debug, Default)]
pub(crate) struct Comparison(Vec<(&'static str, f64, f64)>);

impl Comparison {
    pub(crate) fn add(&mut self, name: &'static str, base: f64, now: f64) {
        assert!(FIGURES.iter().any(|(known, ..)| *known == name), "{name} is not in the table");
        self.0.push((name, base, now));
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<36} {:>10} {:>10} {:>10} {:>8} {:>8}",
            "figure", "base", "now", "now / base", "min", "max"
        );
        for (name, unit, is_more_better) in FIGURES {
            let of = |value: fn(f64, f64) -> f64| -> Vec<f64> {
                let ours = self.0.iter().filter(|(measured, ..)| measured == name);
                ours.map(|(_, base, now)| value(*base, *now)).collect()
            };
            let Some((ratio, min, max)) = spread(of(|base, now| now / base)) else { continue };
            let [base, now] = [of(|base, _| base), of(|_, now| now)].map(|values| {
                let median = spread(values).map(|(median, ..)| median);
                short(median.unwrap_or_default())
            });
            let _ = writeln!(
                out,
                "{:<36} {base:>10} {now:>10} {ratio:>10.2} {min:>8.2} {max:>8.2}{}",
                format!("{name}, {unit}"),
                mark(min, max, *is_more_better)
            );
        }
        out
    }
}

/// Said only where every round says it.
fn mark(min: f64, max: f64, is_more_better: bool) -> &'static str {
    match (min > 1.0, max < 1.0) {
        (true, _) if is_more_better => "  better",
        (true, _) => "  worse",
        (_, true) if is_more_better => "  worse",
        (_, true) => "  better",
        _ => "",
    }
}
