//! The table of metrics in `docs/operations.md`, and what a gate shows, both as text.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use callgate::telemetry::list::{Kind, METRICS};

/// Values that a label may have; `None`: any of a set that is named elsewhere.
pub type Values = Option<BTreeSet<String>>;

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    pub kind: String,
    pub labels: BTreeMap<String, Values>,
}

/// By name.
pub fn rows() -> BTreeMap<String, Row> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md"));
    let text = text.unwrap();
    let section = text.split_once("## Metrics\n").unwrap().1.split("\n## ").next().unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("| `callgate_"));
    let rows = lines.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, kind, labels, question, ""] = cells[..] else { panic!("a row of 4: {line}") };
        assert!(question.contains('?'), "it answers a question: {line}");
        let labels = labels.split("; ").filter(|label| !label.is_empty()).map(|label| {
            let (name, values) = label.split_once(": ").unwrap();
            let is_open = values.starts_with("any ");
            let values = values.split(", ").map(str::to_owned).collect();
            (name.to_owned(), (!is_open).then_some(values))
        });
        let row = Row { kind: kind.to_owned(), labels: labels.collect() };
        (format!("callgate_{}", name.trim_end_matches('`')), row)
    });
    let rows: BTreeMap<_, _> = rows.collect();
    assert!(rows.len() > 20, "{rows:?}");
    rows
}

/// Those that the text before the table lets come later, or be of some gates alone.
pub fn late() -> BTreeSet<String> {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md"));
    let text = text.unwrap();
    let section = text.split_once("## Metrics\n").unwrap().1.split("\n| metric |").next().unwrap();
    let lines = section.lines().filter(|line| {
        line.starts_with("- not there before ") || line.starts_with("- of gates that ")
    });
    let names = lines.flat_map(|line| line.split('`')).filter(|word| word.starts_with("callgate_"));
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    assert!(names.len() > 5 && names.is_subset(&rows().into_keys().collect()), "{names:?}");
    names
}

/// A series that a gate shows.
#[derive(Debug)]
pub struct Series {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Series {
    /// The metric's own name: of a histogram without what its parts are called.
    pub fn metric(&self) -> &str {
        let parts = ["_bucket", "_sum", "_count"];
        let base = parts.iter().find_map(|part| self.name.strip_suffix(part));
        base.unwrap_or(&self.name)
    }
}

/// All series of a page.
pub fn series(page: &str) -> Vec<Series> {
    let lines = page.lines().filter(|line| line.starts_with("callgate_"));
    let series = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
        let labels = labels.map(|label| {
            let (name, value) = label.split_once("=\"").unwrap();
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        let labels = labels.collect();
        Series { name: name.to_owned(), labels, value: value.parse().unwrap() }
    });
    series.collect()
}

/// What of it is not as the table says.
pub fn strangers(shown: &[Series]) -> Vec<String> {
    let rows = rows();
    let mut wrong = Vec::new();
    for one in shown {
        let Some(row) = rows.get(one.metric()) else {
            wrong.push(format!("{} is not in the table", one.metric()));
            continue;
        };
        let names: BTreeSet<&String> = one.labels.keys().filter(|name| *name != "le").collect();
        if names != row.labels.keys().collect() {
            wrong.push(format!("{} has the labels {names:?}", one.metric()));
        }
        for (label, value) in &one.labels {
            if let Some(Some(known)) = row.labels.get(label)
                && !known.contains(value)
            {
                wrong.push(format!("{}: {label} is {value}", one.metric()));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    wrong
}

#[test]
fn every_metric_of_the_code_is_in_the_table_and_the_other_way_round() {
    let rows = rows();
    for metric in METRICS {
        let row = rows.get(metric.name).unwrap_or_else(|| panic!("no row for {}", metric.name));
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert_eq!(row.kind, kind, "{}", metric.name);
        let is_total = metric.name.ends_with("_total");
        assert_eq!(is_total, metric.kind == Kind::Counter, "{}: counters end so", metric.name);
    }
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let missing: Vec<&String> = rows.keys().filter(|name| !known.contains(name.as_str())).collect();
    assert_eq!(missing, Vec::<&String>::new(), "are in the table alone");
}

#[test]
fn what_a_page_shows_is_read() {
    let page = "# TYPE callgate_a_total counter\ncallgate_decisions_total{decision=\"no\",x=\"a,b\"} 3\n\
                callgate_store_up 1\ncallgate_rpc_duration_seconds_bucket{method=\"m\",code=\"OK\",le=\"+Inf\"} 2\n";
    let series = series(page);
    assert_eq!(series.len(), 3);
    assert_eq!(series[0].labels["x"], "a,b");
    assert_eq!((series[2].metric(), series[2].value), ("callgate_rpc_duration_seconds", 2.0));
    let wrong = strangers(&series);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("has the labels"), "{wrong:?}");
    assert!(wrong[1].ends_with("decision is no"), "{wrong:?}");
}
