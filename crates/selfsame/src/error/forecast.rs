//! Differences between the forecast in a folder and the requested one.

use std::fmt;

/// A difference between the forecast in a folder and the requested one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForecastDifference {
    /// An option has another value.
    Option {
        /// The field of the options.
        name: &'static str,
        /// The option's value in the folder.
        was: String,
        /// The requested value.
        is: String,
    },
    /// The content behind a name has changed: a policy, the encoder's weights or the images.
    Content(String),
}

impl fmt::Display for ForecastDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option { name, was, is } => write!(f, "{name} was {was}, is {is}"),
            Self::Content(what) => f.write_str(what),
        }
    }
}
