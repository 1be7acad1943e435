//! How two forecasts of one folder differ.

use std::fmt;

/// How the forecast in a folder differs from the one that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForecastDifference {
    /// Another option.
    Option {
        /// The field of the options.
        name: &'static str,
        /// Its value in the folder.
        was: String,
        /// Its value now.
        is: String,
    },
    /// Other content under the same name: a policy's, the encoder's weights, the images.
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
