//! Reads policies from text.

use std::fmt::Display;
use std::path::Path;

use selfsame_augment::{PRESETS, Policy, PolicyError};

use crate::Error;

/// Reads the policy that a text names: letters (`a` crop, `b` blur, `c` grey, `d` colour, `e`
/// flip), a published policy, a file whose name ends in `.toml`, or a TOML table in braces.
///
/// # Errors
/// If the text names no policy, or if the file cannot be read.
///
/// ```
/// assert!(selfsame::policy("abd0.25").is_ok());
/// assert!(selfsame::policy("{crop = {scale = [0.5, 1.0]}, flip = {}}").is_ok());
/// let error = selfsame::policy("simcrl").unwrap_err();
/// assert!(error.to_string().contains("no policy is called that"));
/// ```
pub fn policy(text: &str) -> Result<Policy, Error> {
    let misread = |cause: &dyn Display| Error::option("augment", text, cause);
    if Path::new(text).extension().is_some_and(|end| end == "toml") {
        let toml = std::fs::read_to_string(text).map_err(|e| misread(&e))?;
        return Policy::from_toml(&toml).map_err(|e| misread(&e));
    }
    text.parse().map_err(|error| match error {
        PolicyError::UnknownLetter { .. } if is_name(text) => misread(&format_args!(
            "no policy is called that; known are {}, `none`, letters of a crop, b blur, c grey, d \
             colour, e flip, and files whose names end in .toml",
            PRESETS.map(|(name, _)| name).join(", ")
        )),
        error => misread(&error),
    })
}

/// Returns whether a text that is no policy was meant as a name. A single wrong letter is a slip in
/// a list of letters instead.
fn is_name(text: &str) -> bool {
    text.chars().filter(|c| !"abcde.-".contains(*c) && !c.is_ascii_digit()).count() > 1
}
