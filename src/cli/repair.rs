//! `callgate repair`: what is left of a damaged embedded store, and a new one made of it.

use std::{fmt::Write as _, time::Duration};

use clap::Args;

use crate::{
    cli::{Done, Failure, serve::Settings},
    config::{Config, StoreUrl},
    engine::Error,
    store::embedded::repair::{self, Concerned, Counts, Examined, Repaired},
};

/// Shows what can be saved of a damaged embedded store, and with --yes saves it
///
/// A store that callgate refuses to start on is copied and read as far as it can be. Without --yes
/// nothing is written. With --yes a new store is made beside it, DIR.repaired; the damaged one stays
/// as it was. No call is allowed because of what was lost: where a customer's "no" or a counted call
/// may be missing, every consent that it may concern is taken back (the customer is asked anew), and
/// calls are paused until no lost call can count any more. A backup that is whole is better where its
/// age does not matter: events told again since then mend it.
///
/// Takes the file, variables and flags that `serve` takes. Needs room for two copies of the store.
/// Exits with 0 if a plan was shown or the store is repaired; 1 if it is in use, not damaged, or
/// nothing of it can be read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callgate repair --store embedded:/var/lib/callgate
  callgate repair --store embedded:/var/lib/callgate --yes
  callgate serve --store embedded:/var/lib/callgate.repaired")]
pub(super) struct Repair {
    #[command(flatten)]
    settings: Settings,
    /// Only show what would be done; the default
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Write the repaired store
    #[arg(long)]
    yes: bool,
}

impl Repair {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        let config = self.settings.load()?.config;
        let StoreUrl::Embedded(dir) = &config.store else {
            return Err(Failure::Given(format!(
                "{} is no embedded store: name one with --store embedded:DIR",
                config.store
            )));
        };
        let examined = repair::examine(dir, &config.privacy.fingerprints()).map_err(refused)?;
        let mut text = plan(&examined);
        if !self.yes {
            let _ = writeln!(
                text,
                "\nNothing was written. With --yes the repaired store is written to {}.",
                examined.target().display()
            );
            return Ok(Done::ok(text));
        }
        let repaired = examined.write(longest(&config), &config.gate_profiles()).await;
        let repaired = repaired.map_err(refused)?;
        text.push_str(&outcome(&examined, &repaired));
        Ok(Done::ok(text))
    }
}

/// For how long a call counts at most, by any profile.
fn longest(config: &Config) -> Duration {
    let of = |profile: &crate::engine::profile::Profile| {
        profile.call_window.max(profile.longest_call).max(profile.lease)
    };
    Duration::from_millis(config.profiles.values().map(of).max().unwrap_or_default())
}

fn refused(error: Error) -> Failure {
    Failure::Given(match error {
        Error::Invalid { problem, .. } => problem,
        error => error.to_string(),
    })
}

fn plan(examined: &Examined) -> String {
    let mut text = format!("{}\n", examined.refusal);
    let kept = examined.kept();
    text.push_str("\nCan be read, and is kept:\n");
    counts(&mut text, kept);
    text.push_str("\nIs lost:\n");
    let mut is_any = false;
    let mut lost = |line: String| {
        is_any = true;
        let _ = writeln!(text, "  {line}");
    };
    if let Some(missing) = &examined.missing {
        lost(format!("{missing}; what was in them is not known"));
    }
    for hole in examined.holes() {
        lost(format!("a stretch that cannot be read, {hole}"));
    }
    for pair in examined.damaged_customers() {
        lost(format!("the record of {:?} on business number {}", pair.customer, pair.number));
    }
    let damaged = examined.damaged();
    if damaged != (Counts { records: damaged.records, ..Counts::default() }) {
        lost(format!("{} other damaged entries", damaged.total() - damaged.records));
    }
    if examined.loses_log() {
        lost("changes on the log: subscribers start again with a snapshot".to_owned());
    }
    if !is_any {
        text.push_str("  nothing that is known\n");
    }
    text.push_str("\nSo that no call is allowed because of what was lost:\n");
    text.push_str(&measures(&examined.concerned));
    text
}

fn measures(concerned: &Concerned) -> String {
    let whose = match concerned {
        Concerned::Nobody => return "  nothing is needed: no customer is concerned\n".to_owned(),
        Concerned::Everybody => "every customer".to_owned(),
        Concerned::Numbers(numbers) => {
            let numbers: Vec<&str> = numbers.iter().map(|number| number.as_str()).collect();
            format!("every customer of business number {}", numbers.join(", "))
        }
    };
    format!(
        "  the consent of {whose} is taken back: each is asked anew\n  \
         calls on those business numbers are paused until no lost call can count any more\n"
    )
}

fn counts(text: &mut String, counts: Counts) {
    for (count, what) in [
        (counts.records, "records of customers"),
        (counts.numbers, "business numbers with settings"),
        (counts.changes, "changes on the log"),
        (counts.quarantined, "webhooks kept aside"),
        (counts.forgotten, "marks of forgotten customers"),
        (counts.other, "other entries"),
    ] {
        let _ = writeln!(text, "  {count:>9}  {what}");
    }
}

fn outcome(examined: &Examined, repaired: &Repaired) -> String {
    let target = examined.target();
    let target = target.display();
    let mut text = format!("\nWritten to {target}; the damaged store is as it was.\n");
    let _ = writeln!(text, "  {:>9}  records whose consent was taken back", repaired.taken);
    let _ = writeln!(text, "  {:>9}  business numbers paused", repaired.paused);
    if let Some(until) = repaired.paused_until {
        let _ = writeln!(text, "  Calls are paused until {}.", until.utc().format("%FT%TZ"));
    }
    text.push_str(
        "\nNow:\n  \
         start callgate on it: callgate serve --store embedded:",
    );
    let _ = writeln!(text, "{target}");
    if examined.concerned != Concerned::Nobody {
        text.push_str(
            "  forget once more whom you were asked to forget lately: a forgetting may be lost\n  \
             look at the settings of your business numbers (callgate inspect): they may be older\n  \
             requests for permission that were lost do not count against their daily and weekly \
             limits\n",
        );
    }
    text
}
