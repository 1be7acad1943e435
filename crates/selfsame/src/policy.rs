//! Reads policies from text.

use std::fmt::Display;
use std::path::Path;

use selfsame_augment::{PRESETS, Policy, PolicyError};
use selfsame_data::GLYPHS;

use crate::Error;

/// Name of the default policy.
const USUAL: &str = "abcde";
/// Name of the default policy for the built-in images: a smaller part of a shape may well be that of
/// another.
const FOR_GLYPHS: &str = "a0.5bcde";

/// Returns the policy that is used by default for images that are named `data`: `abcde`, the paper's,
/// or for the built-in images one that leaves more of a shape.
///
/// ```
/// assert_eq!(selfsame::usual_policy("photos/").to_string(), "abcde");
/// assert_eq!(selfsame::usual_policy("glyphs").to_string(), "a0.5bcde");
/// ```
#[must_use]
pub fn usual_policy(data: &str) -> Policy {
    let name = if data == GLYPHS { FOR_GLYPHS } else { USUAL };
    name.parse().expect("the names are those of policies")
}

/// Name of the policy that leaves images as they are.
pub(crate) const NONE: &str = "none";
/// The ten pairs of the five transformations of the paper.
const PAIRS: [&str; 10] = ["ab", "ac", "ad", "ae", "bc", "bd", "be", "cd", "ce", "de"];

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

/// Reads lists of policies, each separated by commas, as [`policy`] reads one. Returns the distinct
/// policies with their names. `pairs` stands for the ten pairs of the letters. Policies that leave
/// images as they are, such as `none`, are left out: a forecast measures those in any case.
///
/// # Errors
/// If a text names no policy, if a file cannot be read, or if no policy is left.
///
/// ```
/// let policies = selfsame::policies(&["ab,{flip = {}}", "simclr"])?;
/// assert_eq!(policies[1].0, "{flip = {}}");
/// assert_eq!(selfsame::policies(&["pairs"])?.len(), 10);
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn policies(lists: &[impl AsRef<str>]) -> Result<Vec<(String, Policy)>, Error> {
    let mut names = Vec::new();
    for list in lists {
        for name in at_commas(list.as_ref())? {
            match name {
                "pairs" => names.extend(PAIRS),
                name => names.push(name),
            }
        }
    }
    let none = none()?;
    let mut policies: Vec<(String, Policy)> = Vec::new();
    for name in names {
        let policy = policy(name).map_err(|error| match error {
            Error::Option { value, cause, .. } => Error::option("policies", value, cause),
            error => error,
        })?;
        if policies.iter().all(|(known, _)| known != name) && policy != none {
            policies.push((name.to_owned(), policy));
        }
    }
    if policies.is_empty() {
        let cause =
            "images as they are stand beside the policies in any case; name one, such as ab";
        return Err(Error::option("policies", NONE, cause));
    }
    Ok(policies)
}

/// Returns the policy that leaves images as they are.
pub(crate) fn none() -> Result<Policy, Error> {
    NONE.parse().map_err(|error| Error::option("policies", NONE, error))
}

/// Splits a list at its commas, except at commas within braces or brackets, or within quotes in
/// these: inline TOML has its own commas.
fn at_commas(list: &str) -> Result<Vec<&str>, Error> {
    let (mut items, mut start) = (Vec::new(), 0);
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in list.char_indices() {
        match (quote, c) {
            (Some(open), c) => quote = (c != open).then_some(open),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, '"' | '\'') if depth > 0 => quote = Some(c),
            (None, ',') if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&list[start..]);
    let open = depth > 0 || quote.is_some();
    let items: Vec<&str> = items.into_iter().map(str::trim).collect();
    match items.last() {
        Some(last) if open => {
            Err(Error::option("policies", last, "a brace, a bracket or a quote is not closed"))
        }
        _ if items.contains(&"") => {
            Err(Error::option("policies", list, "a policy is missing beside a comma"))
        }
        _ => Ok(items),
    }
}

/// Returns whether a text that is no policy was meant as a name. A single wrong letter is a slip in
/// a list of letters instead.
fn is_name(text: &str) -> bool {
    text.chars().filter(|c| !"abcde.-".contains(*c) && !c.is_ascii_digit()).count() > 1
}

#[cfg(test)]
mod tests {
    use super::at_commas;

    #[test]
    fn lists_are_cut_outside_of_braces() {
        fn cut(list: &str) -> Result<Vec<&str>, String> {
            at_commas(list).map_err(|e| e.to_string())
        }
        let inline = "{crop = {scale = [0.5, 1.0]}, flip = {}}";
        assert_eq!(cut(&format!("ab, {inline},d0.25")).unwrap(), ["ab", inline, "d0.25"]);
        assert_eq!(cut("{a = \"},{\"},b,it's.toml").unwrap(), ["{a = \"},{\"}", "b", "it's.toml"]);
        assert!(cut("ab,{crop = {},d").unwrap_err().contains("policies {crop = {},d: a brace"));
        assert!(cut("ab,,d").unwrap_err().contains("policies ab,,d"));
    }
}
