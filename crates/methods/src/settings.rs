use std::fmt::Display;

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{field} = {value} makes no sense: {need}")]
pub struct ConfigError {
    /// The setting, as in `config.toml`.
    pub field: &'static str,
    /// What it was.
    pub value: String,
    /// What it must be.
    pub need: &'static str,
}

/// Fails with the field's name unless `holds`.
///
/// # Errors
/// [`ConfigError`], made of the other arguments.
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

/// The temperature and, where it has an end, that too.
pub(crate) fn temperature(start: f64, end: Option<f64>) -> Result<(), ConfigError> {
    positive("method.temperature", start)?;
    end.map_or(Ok(()), |end| positive("method.temperature_end", end))
}

/// The weight of the past in a moving average and, where it has an end, that too.
pub(crate) fn momentum(start: f64, end: Option<f64>) -> Result<(), ConfigError> {
    let share = |field, value: f64| need(field, value, (0.0..=1.0).contains(&value), "0 to 1");
    share("method.momentum", start)?;
    end.map_or(Ok(()), |end| share("method.momentum_end", end))
}
