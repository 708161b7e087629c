//! Instants and spans as a story writes them: `+24h-1ms`, relative to its start.

use callgate::engine::time::Millis;

const UNITS: [(&str, i64); 5] =
    [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

/// An instant: `+0`, `-5m`, `+24h+1m-1ms`.
pub(crate) fn instant(text: &str, start: Millis) -> Result<Millis, String> {
    let offset = offset(text)?;
    start.0.checked_add_signed(offset).map(Millis).ok_or_else(|| format!("{text}: before 1970"))
}

/// A span: `90s`, `1h30m`.
pub(crate) fn span(text: &str) -> Result<u64, String> {
    let span = offset(&format!("+{text}"))?;
    u64::try_from(span).map_err(|_| format!("{text:?}: a span cannot be negative"))
}

/// An instant as a story would write it.
pub(crate) fn show(at: Millis, start: Millis) -> String {
    let offset = i128::from(at.0) - i128::from(start.0);
    let mut rest = offset.unsigned_abs();
    let mut text = String::from(if offset < 0 { "-" } else { "+" });
    for (unit, size) in [UNITS[1], UNITS[2], UNITS[3], UNITS[4], UNITS[0]] {
        let size = u128::from(size.unsigned_abs());
        if rest >= size {
            text += &format!("{}{unit}", rest / size);
            rest %= size;
        }
    }
    if offset == 0 { "+0".to_owned() } else { text }
}

fn offset(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is no time: write +0, +24h-1ms, +1m30s");
    let mut total = 0_i64;
    let mut sign = 0;
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('+') {
            (sign, rest) = (1, after);
        } else if let Some(after) = rest.strip_prefix('-') {
            (sign, rest) = (-1, after);
        }
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let count: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let unit = UNITS.iter().find(|(unit, _)| rest.starts_with(unit));
        let size = match unit {
            Some((unit, size)) => {
                rest = &rest[unit.len()..];
                *size
            }
            None if count == 0 => 0,
            None => return Err(wrong()),
        };
        if sign == 0 {
            return Err(wrong());
        }
        total += sign * count * size;
    }
    if sign == 0 { Err(wrong()) } else { Ok(total) }
}

#[test]
fn times_are_read_and_shown() {
    let start = Millis(1_000_000_000);
    for (text, offset, shown) in [
        ("+0", 0, "+0"),
        ("+24h-1ms", 86_399_999, "+23h59m59s999ms"),
        ("+24h+2m30s", 86_550_000, "+1d2m30s"),
        ("-5m", -300_000, "-5m"),
        ("-5m-1ms", -300_001, "-5m1ms"),
    ] {
        let at = instant(text, start).unwrap();
        assert_eq!(at.0.cast_signed() - start.0.cast_signed(), offset, "{text}");
        assert_eq!(show(at, start), shown);
    }
    for text in ["", "5m", "+5", "+m", "+5x", "+-"] {
        assert!(instant(text, start).is_err(), "{text}");
    }
}
