use std::fmt::Display;

/// A setting out of range.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{field} = {value} makes no sense: {need}")]
pub struct ConfigError {
    /// The setting, as in `config.toml`.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What it must be.
    pub need: &'static str,
}

/// Checks a setting: an error that names `field`, `value` and `need` unless `holds`.
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
/// [`ConfigError`] unless `holds`.
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

/// Checks a temperature and, if it is set, the temperature at the end.
pub(crate) fn temperature(start: f64, end: Option<f64>) -> Result<(), ConfigError> {
    positive("method.temperature", start)?;
    end.map_or(Ok(()), |end| positive("method.temperature_end", end))
}

/// Checks the momentum of a slow copy and, if it is set, the momentum at the end.
pub(crate) fn momentum(start: f64, end: Option<f64>) -> Result<(), ConfigError> {
    let share = |field, value: f64| need(field, value, (0.0..=1.0).contains(&value), "0 to 1");
    share("method.momentum", start)?;
    end.map_or(Ok(()), |end| share("method.momentum_end", end))
}
