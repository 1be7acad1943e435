//! Formatting of numbers and data as text.

use maud::PreEscaped;
use selfsame_theory::Side;
use serde::Serialize;

/// Text for a number that is NaN or infinite.
pub(crate) const NONE: &str = "–";

/// Largest magnitude that counts as 0. A smaller number is a rounding error of 0, since no quantity
/// on a page is meaningful at that size.
const NOISE: f64 = 1e-12;

/// Formats a proportion as a percentage with one decimal: `0.713` is `71.3%`.
pub fn percent(share: f64) -> String {
    if share.is_finite() { signed(100.0 * share, 1) + "%" } else { NONE.into() }
}

/// Formats an upper bound as a percentage. It is rounded up so that it remains a bound: `0.0704` is
/// `7.1%`.
pub fn percent_up(share: f64) -> String {
    percent_to(share, Some(Side::AtMost))
}

/// Formats a proportion as a percentage, rounded to the side that it bounds.
pub(crate) fn percent_to(share: f64, side: Option<Side>) -> String {
    percent(outward(share, 1e-3, side))
}

/// Rounds `value` to a multiple of `unit`, towards the side that it bounds. Returns the value
/// itself if it is not a bound.
fn outward(value: f64, unit: f64, side: Option<Side>) -> f64 {
    // A value that is a multiple except for rounding, or for the margin that bounds add against
    // rounding (10⁻¹⁰ and some), stays that multiple.
    const SLACK: f64 = 1e-5;
    let units = value / unit;
    let rounded = match side {
        None => return value,
        Some(Side::AtMost) => (units - SLACK).ceil(),
        Some(Side::AtLeast) => (units + SLACK).floor(),
    };
    // Beyond the integers that an f64 can count, there are no units to round to.
    if rounded.is_finite() && unit > 0.0 { rounded * unit } else { value }
}

/// Formats a value with `decimals` decimals and a typographic minus. A value that rounds to 0 has
/// no sign.
pub fn signed(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let nothing = text.bytes().all(|digit| matches!(digit, b'0' | b'.'));
    if value < 0.0 && !nothing { format!("−{text}") } else { text }
}

/// Formats a count with its thousands separated: `12,500`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a count with its noun: `1 image`, `2 images`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// Formats a number with about four significant digits.
pub(crate) fn number(value: f64) -> String {
    number_to(value, None)
}

/// Formats a number with about four significant digits, rounded to the side that it bounds.
pub fn number_to(value: f64, side: Option<Side>) -> String {
    let size = value.abs();
    let power = if size > 0.0 { size.log10().floor() as i32 } else { 0 };
    let unit = match size {
        _ if !(1e-3..1e6).contains(&size) => 10.0_f64.powi(power - 2),
        _ if size >= 1000.0 => 1.0,
        _ => 10.0_f64.powi(power - 3),
    };
    let value = outward(value, unit, side);
    let size = value.abs();
    if !value.is_finite() {
        NONE.into()
    } else if size < NOISE {
        "0".into()
    } else {
        let sign = if value < 0.0 { "−" } else { "" };
        format!("{sign}{}", size_text(size))
    }
}

/// Formats a number above 0 with about four significant digits.
fn size_text(size: f64) -> String {
    if !(1e-3..1e6).contains(&size) {
        return format!("{size:.2e}");
    }
    if size >= 1000.0 {
        return count(size.round() as u64);
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    let text = format!("{size:.decimals$}");
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.to_owned()
}

/// Formats an estimated time span in rough words: `3 hours`, `90 minutes`.
///
/// The unit is the largest for which the span is at least one and a half units.
///
/// ```
/// use selfsame_report::about;
///
/// assert_eq!([1.2, 80.0, 100.0, 5400.0].map(about), ["1 second", "80 seconds", "2 minutes", "2 hours"]);
/// ```
pub fn about(seconds: f64) -> String {
    const UNITS: [(f64, &str); 5] = [
        (604_800.0, "week"),
        (86_400.0, "day"),
        (3600.0, "hour"),
        (60.0, "minute"),
        (1.0, "second"),
    ];
    let &(unit, name) =
        UNITS.iter().find(|(unit, _)| seconds >= 1.5 * unit).unwrap_or(&(1.0, "second"));
    match (seconds / unit).round() {
        1.0 => format!("1 {name}"),
        many => format!("{many} {name}s"),
    }
}

/// Formats a time span in words: `2 min 41 s`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.into();
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{} h {m} min", count(h)),
    }
}

/// Joins names as in a sentence: `a, b and c`.
pub(crate) fn sentence_list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// Writes data as JSON that is safe inside a `<script>`: no `<` can close or open an element there.
pub(crate) fn script<T: Serialize>(data: &T) -> PreEscaped<String> {
    // Numbers, strings and lists of them cannot fail to serialise. If they ever did, the page would
    // only lose a readout.
    let json = serde_json::to_string(data).unwrap_or_else(|_| "null".into());
    PreEscaped(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(percent(0.7134), "71.3%");
        assert_eq!([-0.034, -1e-9].map(percent), ["−3.4%", "0.0%"]);
        assert_eq!(percent(f64::NAN), NONE);
        assert_eq!([0, 999, 1000, 1234567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "image", "images"), "1 image");
        let numbers =
            [-4e-16, 4.8123, -2.5, 512.04, 0.05, 12345.6, 1e-9, 1e300, 999.99, f64::INFINITY];
        let texts =
            ["0", "4.812", "−2.5", "512", "0.05", "12,346", "1.00e-9", "1.00e300", "1000", NONE];
        assert_eq!(numbers.map(number), texts);
        let (up, down) = (Some(Side::AtMost), Some(Side::AtLeast));
        assert_eq!(
            [0.0704, 0.1, 0.1 + 1e-11, 0.10001].map(percent_up),
            ["7.1%", "10.0%", "10.0%", "10.1%"]
        );
        assert_eq!(
            [0.4379, 0.7, 0.99999].map(|share| percent_to(share, down)),
            ["43.7%", "70.0%", "99.9%"]
        );
        let numbers = [
            0.0,
            0.34561,
            -0.34569,
            -1.0 + 1e-10,
            1234.1,
            9.99901,
            1.2341e9,
            -1.2349e9,
            1e-9,
            1e300,
        ];
        let texts = [
            "0",
            "0.3457",
            "−0.3456",
            "−1",
            "1,235",
            "10",
            "1.24e9",
            "−1.23e9",
            "1.00e-9",
            "1.00e300",
        ];
        assert_eq!(numbers.map(|value| number_to(value, up)), texts);
        let texts = [
            "0",
            "0.3456",
            "−0.3457",
            "−1",
            "1,234",
            "9.999",
            "1.23e9",
            "−1.24e9",
            "1.00e-9",
            "1.00e300",
        ];
        assert_eq!(numbers.map(|value| number_to(value, down)), texts);
        assert_eq!([-1234.4, -0.0].map(number), ["−1,234", "0"]);
        assert_eq!([-1.25, -0.04, 3.0].map(|value| signed(value, 1)), ["−1.2", "0.0", "3.0"]);
        assert_eq!(
            [3.21, 161.0, 7260.0, -1.0].map(duration),
            ["3.2 s", "2 min 41 s", "2 h 1 min", NONE]
        );
        assert_eq!(sentence_list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }

    #[test]
    fn script_data_cannot_leave_its_script() {
        let hostile = "</script><script>alert(1)</script><!--";
        let json = script(&[hostile]).into_string();
        assert!(!json.contains('<') && !json.contains('>'), "{json}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), [hostile]);
    }
}
