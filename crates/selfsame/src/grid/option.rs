//! Options of a grid, as written in TOML and as typed on the command line.

use toml::{Table, Value};

use super::GridError;

/// Reads an option as `--with` of the command line takes it, such as `epochs=3`. Returns its name
/// and its value. A value that is not valid TOML is read as a string.
///
/// ```
/// use selfsame::grid::setting;
///
/// assert_eq!(setting("epochs=3")?, ("epochs".to_owned(), 3.into()));
/// assert_eq!(setting("optimizer=lars")?, ("optimizer".to_owned(), "lars".into()));
/// # Ok::<(), selfsame::grid::GridError>(())
/// ```
///
/// # Errors
/// [`GridError::Setting`] if there is no name or no `=`.
pub fn setting(text: &str) -> Result<(String, Value), GridError> {
    let (key, word) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| GridError::Setting { text: text.to_owned() })?;
    let value = toml::from_str::<Table>(&format!("value = {word}"))
        .ok()
        .and_then(|mut table| table.remove("value"));
    Ok((key.trim_start_matches('-').to_owned(), value.unwrap_or_else(|| word.into())))
}

/// Writes an option as arguments. A list repeats the option, and `true` gives it without a value.
pub(crate) fn words(key: &str, value: &Value) -> Result<Vec<String>, GridError> {
    Ok(match value {
        Value::Boolean(true) => vec![format!("--{key}")],
        Value::Boolean(false) => Vec::new(),
        Value::String(word) => vec![format!("--{key}={word}")],
        Value::Integer(_) | Value::Float(_) => vec![format!("--{key}={value}")],
        Value::Array(values) => {
            let each = values.iter().map(|value| words(key, value));
            each.collect::<Result<Vec<_>, _>>()?.concat()
        }
        Value::Datetime(_) | Value::Table(_) => {
            return Err(GridError::Value { key: key.to_owned(), value: value.to_string() });
        }
    })
}

/// Returns the name of a row or a column: its `name`, or else its options.
pub(super) fn label(options: &Table) -> String {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match options.get("name") {
        Some(name) => word(name),
        None => options.values().map(word).collect::<Vec<_>>().join(" "),
    }
}
