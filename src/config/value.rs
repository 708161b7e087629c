//! How a value is written, and what it may be.

use std::fmt;

use crate::config::secret::mask_url;

/// A value as it came, before it is known what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A string of the file.
    Text(String),
    /// An integer of the file.
    Integer(i64),
    /// A truth value of the file.
    Flag(bool),
    /// Anything else in the file, by the name of its kind.
    Other(&'static str),
    /// A variable or a flag: text that may stand for any kind.
    Word(String),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Word(text) => write!(f, "\"{text}\""),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Other(kind) => write!(f, "this {kind}"),
        }
    }
}

/// A configuration key of a `T`.
#[derive(Debug)]
pub struct Key<T> {
    /// In the file, e.g. `log.format`.
    pub path: &'static str,
    /// The flag without its dashes and, in capitals, the variable after `CALLGATE_`; "" where there
    /// is neither.
    pub name: &'static str,
    /// Whether a flag may set it.
    pub has_flag: bool,
    /// One or two sentences for the reference.
    pub about: &'static str,
    /// What it may be, and where it goes.
    pub access: Access<T>,
}

/// What a value may be, and where it goes.
#[derive(Debug)]
pub enum Access<T> {
    /// A span in milliseconds, written with a unit: "90s".
    Span(u64, u64, fn(&mut T) -> &mut u64),
    /// A size in bytes: 4096 or "3MiB".
    Size(u64, u64, fn(&mut T) -> &mut u64),
    /// A count.
    Count(u32, u32, fn(&mut T) -> &mut u32),
    /// true or false.
    Flag(fn(&mut T) -> &mut bool),
    /// Text that has a form of its own: what it may be in words, the way in, the way out.
    Text(&'static str, fn(&mut T, &str) -> Result<(), String>, fn(&T) -> Option<String>),
}

impl<T: Clone> Key<T> {
    /// The variable that sets it.
    pub fn variable(&self) -> Option<String> {
        (!self.name.is_empty())
            .then(|| format!("CALLGATE_{}", self.name.to_ascii_uppercase().replace('-', "_")))
    }

    /// Reads a value and puts it where it belongs.
    ///
    /// # Errors
    /// What is wrong with the value, as the rest of a sentence that names it.
    pub fn set(&self, target: &mut T, raw: &Raw) -> Result<(), String> {
        // A URL may hold a password.
        let shown = mask_url(&raw.to_string());
        let wrong = |problem: String| format!("{} = {shown}: {problem}", self.path);
        match &self.access {
            Access::Span(min, max, field) => {
                let read = span(raw).and_then(|n| within(n, *min, *max, show_span));
                *field(target) = read.map_err(wrong)?;
            }
            Access::Size(min, max, field) => {
                let read = size(raw).and_then(|n| within(n, *min, *max, show_size));
                *field(target) = read.map_err(wrong)?;
            }
            Access::Count(min, max, field) => {
                let read = count(raw)
                    .and_then(|n| within(n, (*min).into(), (*max).into(), |n| n.to_string()))
                    .and_then(|n| u32::try_from(n).map_err(|_| "is too large".to_owned()));
                *field(target) = read.map_err(wrong)?;
            }
            Access::Flag(field) => *field(target) = flag(raw).map_err(wrong)?,
            Access::Text(_, set, _) => {
                text(raw).and_then(|text| set(target, text)).map_err(wrong)?;
            }
        }
        Ok(())
    }

    /// The value as it is written in the file; `None` where it is not set.
    pub fn show(&self, of: &T) -> Option<String> {
        let mut of = of.clone();
        match &self.access {
            Access::Span(_, _, field) => Some(format!("\"{}\"", show_span(*field(&mut of)))),
            Access::Size(_, _, field) => Some(format!("\"{}\"", show_size(*field(&mut of)))),
            Access::Count(_, _, field) => Some(field(&mut of).to_string()),
            Access::Flag(field) => Some(field(&mut of).to_string()),
            // TOML's basic strings escape as JSON does.
            Access::Text(_, _, show) => show(&of).map(|text| toml::Value::from(text).to_string()),
        }
    }

    /// What the value may be, in words.
    pub fn form(&self) -> String {
        match &self.access {
            Access::Span(min, max, _) => {
                format!("duration, {} to {}", show_span(*min), show_span(*max))
            }
            Access::Size(min, max, _) => {
                format!("bytes, {} to {}", show_size(*min), show_size(*max))
            }
            Access::Count(min, max, _) => format!("count, {min} to {max}"),
            Access::Flag(_) => "true or false".to_owned(),
            Access::Text(form, _, _) => (*form).to_owned(),
        }
    }
}

const SPAN_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 4] = [("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1), ("", 1)];

fn span(raw: &Raw) -> Result<u64, String> {
    let (Raw::Text(text) | Raw::Word(text)) = raw else {
        return Err("must be a duration with its unit, e.g. \"90s\"".to_owned());
    };
    with_unit(text, &SPAN_UNITS).ok_or_else(|| {
        "is no duration; write one whole number and its unit, ms, s, m, h or d, e.g. \"90s\""
            .to_owned()
    })
}

fn size(raw: &Raw) -> Result<u64, String> {
    let read = match raw {
        Raw::Integer(number) => u64::try_from(*number).ok(),
        Raw::Text(text) | Raw::Word(text) => with_unit(text, &SIZE_UNITS),
        Raw::Flag(_) | Raw::Other(_) => None,
    };
    read.ok_or_else(|| "is no size; write bytes, or KiB or MiB, e.g. \"3MiB\"".to_owned())
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn count(raw: &Raw) -> Result<u64, String> {
    let read = match raw {
        Raw::Integer(number) => u64::try_from(*number).ok(),
        Raw::Word(word) => word.parse().ok(),
        Raw::Text(_) | Raw::Flag(_) | Raw::Other(_) => None,
    };
    read.ok_or_else(|| "must be a whole number, not negative and without quotes".to_owned())
}

fn flag(raw: &Raw) -> Result<bool, String> {
    match raw {
        Raw::Flag(flag) => Some(*flag),
        Raw::Word(word) => word.parse().ok(),
        Raw::Text(_) | Raw::Integer(_) | Raw::Other(_) => None,
    }
    .ok_or_else(|| "must be true or false, without quotes".to_owned())
}

fn text(raw: &Raw) -> Result<&str, String> {
    match raw {
        Raw::Text(text) | Raw::Word(text) => Ok(text),
        Raw::Integer(_) | Raw::Flag(_) | Raw::Other(_) => Err("must be a string".to_owned()),
    }
}

fn within(n: u64, min: u64, max: u64, show: impl Fn(u64) -> String) -> Result<u64, String> {
    if min <= n && n <= max {
        return Ok(n);
    }
    Err(format!("must be from {} to {}", show(min), show(max)))
}

/// A span as it is written: the largest unit that leaves no rest. One day is 24 hours to everybody.
pub fn show_span(ms: u64) -> String {
    let (day, smaller) = SPAN_UNITS.split_at(1);
    let units = if ms < 2 * day[0].1 { smaller } else { &SPAN_UNITS };
    show_with_unit(ms, units, "ms")
}

fn show_size(bytes: u64) -> String {
    show_with_unit(bytes, &SIZE_UNITS, "B")
}

fn show_with_unit(n: u64, units: &[(&str, u64)], smallest: &str) -> String {
    let fits = units.iter().find(|(_, factor)| n != 0 && n.is_multiple_of(*factor));
    fits.map_or_else(|| format!("{n}{smallest}"), |(unit, factor)| format!("{}{unit}", n / factor))
}

/// The known name that was probably meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min()
        .map(|(_, known)| known)
}

/// "; did you mean `x`?", or nothing.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}
