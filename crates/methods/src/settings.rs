//! Checks of settings, and the error for a setting that is out of range.

use std::fmt::Display;

/// A setting out of range.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{field} = {value} makes no sense: {need}")]
pub struct ConfigError {
    /// Name of the setting, as in `config.toml`.
    pub field: &'static str,
    /// Value of the setting.
    pub value: String,
    /// Values that the setting accepts.
    pub need: &'static str,
}

/// Checks a setting. If `holds` is false, the error names `field`, `value` and `need`.
///
/// ```
/// use selfsame_methods::need;
///
/// assert!(need("method.layers", 3, 3 > 0, "at least 1").is_ok());
/// let error = need("method.layers", 0, 0 > 0, "at least 1").unwrap_err();
/// assert_eq!(error.to_string(), "method.layers = 0 makes no sense: at least 1");
/// ```
///
/// # Errors
/// [`ConfigError`] if `holds` is false.
pub fn need(
    field: &'static str,
    value: impl Display,
    holds: bool,
    need: &'static str,
) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError { field, value: value.to_string(), need }) }
}

pub(crate) fn positive(field: &'static str, value: f64) -> Result<(), ConfigError> {
    need(field, value, value.is_finite() && value > 0.0, "a number above 0")
}

pub(crate) fn at_least_zero(field: &'static str, value: f64) -> Result<(), ConfigError> {
    need(field, value, value.is_finite() && value >= 0.0, "a number of at least 0")
}

pub(crate) fn width(field: &'static str, value: usize) -> Result<(), ConfigError> {
    need(field, value, (1..=1 << 16).contains(&value), "1 to 65536 values")
}

/// Checks a temperature and, if set, the temperature at the end of training.
pub(crate) fn temperature(start: f64, end: Option<f64>) -> Result<(), ConfigError> {
    positive("method.temperature", start)?;
    end.map_or(Ok(()), |end| positive("method.temperature_end", end))
}

/// Checks the momentum of a slow copy and, if set, the momentum at the end of training.
pub(crate) fn momentum(start: f64, end: Option<f64>) -> Result<(), ConfigError> {
    let share = |field, value: f64| need(field, value, (0.0..=1.0).contains(&value), "0 to 1");
    share("method.momentum", start)?;
    end.map_or(Ok(()), |end| share("method.momentum_end", end))
}
