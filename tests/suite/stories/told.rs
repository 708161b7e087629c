//! What the stream told: the `changes` of a row, and whether the last of them agrees with the view.

use std::{collections::HashMap, fmt::Write as _};

use callgate::{
    engine::{change::Change, step::View, time::Millis},
    proto::{ChangeCause, PermissionStatus},
};

use super::moment::{instant, show};

/// 400 days.
const RETENTION: u64 = 400 * 24 * 3600 * 1000;

/// One change as a row expects it: only what it names is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    cause: String,
    at: Option<Millis>,
    from: Option<String>,
    to: Option<String>,
    ids: Option<String>,
}

/// Reads `CAUSE [@T] [from STATUS] [to STATUS] [as IDS], …`, `none` being an empty list.
fn parse(text: &str, start: Millis) -> Result<Vec<Wanted>, String> {
    if text == "none" {
        return Ok(Vec::new());
    }
    text.split(',').map(|item| one(item, start)).collect()
}

fn one(item: &str, start: Millis) -> Result<Wanted, String> {
    let mut words = item.split_whitespace();
    let cause = words.next().ok_or("a change needs a cause")?;
    let known = ChangeCause::from_str_name(&format!("CHANGE_CAUSE_{cause}"));
    known.ok_or_else(|| format!("no CHANGE_CAUSE_{cause}"))?;
    let mut wanted = Wanted { cause: cause.to_owned(), at: None, from: None, to: None, ids: None };
    while let Some(word) = words.next() {
        if let Some(at) = word.strip_prefix('@') {
            wanted.at = Some(instant(at, start)?);
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} what?"))?.to_owned();
        match word {
            "from" => wanted.from = Some(status(value)?),
            "to" => wanted.to = Some(status(value)?),
            "as" => wanted.ids = Some(value),
            _ => return Err(format!("{word:?} is not understood here")),
        }
    }
    Ok(wanted)
}

fn status(name: String) -> Result<String, String> {
    let known = PermissionStatus::from_str_name(&format!("PERMISSION_STATUS_{name}"));
    known.map(|_| name.clone()).ok_or_else(|| format!("no PERMISSION_STATUS_{name}"))
}

/// The list as it is written, or what is wrong with it.
pub(crate) fn check(text: &str, start: Millis) -> Result<String, String> {
    parse(text, start).map(|_| text.to_owned())
}

/// What differs, or nothing.
pub(crate) fn compare(text: &str, told: &[Change], start: Millis) -> Option<String> {
    let wanted = parse(text, start).expect("it was read before");
    let is_same = wanted.len() == told.len()
        && std::iter::zip(&wanted, told).all(|(wanted, change)| is_told(wanted, change));
    if is_same {
        return None;
    }
    let all: Vec<String> = told.iter().map(|change| shown(change, start)).collect();
    let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    Some(format!("    changes: expected {text}, got {all}\n"))
}

fn is_told(wanted: &Wanted, change: &Change) -> bool {
    wanted.cause == cause_name(change.cause)
        && wanted.at.is_none_or(|at| at == change.occurred_at)
        && wanted.from.as_ref().is_none_or(|from| *from == status_name(change.previous_status))
        && wanted.to.as_ref().is_none_or(|to| *to == status_name(change.status))
        && wanted.ids.as_ref().is_none_or(|ids| *ids == short(change))
}

fn cause_name(code: u8) -> &'static str {
    let cause = ChangeCause::try_from(i32::from(code)).unwrap_or_default();
    &cause.as_str_name()["CHANGE_CAUSE_".len()..]
}

fn status_name(code: u8) -> &'static str {
    let status = PermissionStatus::try_from(i32::from(code)).unwrap_or_default();
    &status.as_str_name()["PERMISSION_STATUS_".len()..]
}

/// The ids in the story's words.
fn short(change: &Change) -> String {
    let name = |id: &str| match id {
        "15550199001" => "A".to_owned(),
        "15550199002" => "B".to_owned(),
        "US.1000" => "U".to_owned(),
        "US.2000" => "V".to_owned(),
        other => other.to_owned(),
    };
    let ids = [&change.wa, &change.user];
    let ids: Vec<String> = ids.iter().filter(|id| !id.is_empty()).map(|id| name(id)).collect();
    ids.join("+")
}

fn shown(change: &Change, start: Millis) -> String {
    format!(
        "{} @{} from {} to {} as {}",
        cause_name(change.cause),
        show(change.occurred_at, start),
        status_name(change.previous_status),
        status_name(change.status),
        short(change),
    )
}

/// What a subscriber knows who heard everything: by id, the last that was told of it.
#[derive(Debug, Default)]
pub(crate) struct Heard(HashMap<String, Change>);

impl Heard {
    /// Hears more. Says what a subscriber could not make sense of.
    pub(crate) fn hear(&mut self, told: &[Change], start: Millis) -> String {
        let mut wrong = String::new();
        for change in told {
            for id in [&change.wa, &change.user] {
                if !id.is_empty() {
                    self.0.insert(id.clone(), change.clone());
                }
            }
            if change.recorded_at < change.occurred_at
                && change.recorded_at.0 + 300_000 < change.occurred_at.0
            {
                let _ = writeln!(wrong, "    told before it happened: {}", shown(change, start));
            }
        }
        wrong
    }

    /// Whether what was told last of a customer does not agree with the view, which of two ids is that
    /// of the `wa_id`. A record that nobody touched for 400 d is gone without a word.
    pub(crate) fn differs(&self, id: &str, view: &View, now: Millis, start: Millis) -> String {
        let last = self.0.get(id);
        if last.is_some_and(|last| last.recorded_at.0 + RETENTION <= now.0) {
            return String::new();
        }
        let (told, is) = (state(&last.map_or_else(nothing, Change::view)), state(view));
        if told == is {
            return String::new();
        }
        let shown = |state: &State| {
            format!(
                "{} from {} until {}",
                status_name(state.0),
                show(state.3, start),
                show(state.5, start)
            )
        };
        format!("    told of {id}: {}, is {}\n", shown(&told), shown(&is))
    }
}

fn nothing() -> View {
    View { status: PermissionStatus::None as u8, ..View::default() }
}

type State = (u8, u8, u8, Millis, Millis, Millis);

fn state(view: &View) -> State {
    (
        view.status,
        view.grant_kind,
        view.grant_source,
        view.granted_at,
        view.expires_at,
        view.valid_until,
    )
}
