//! The settings in which runs differ.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use selfsame_report::record::RunRecord;

use crate::{Error, Run};

/// Settings by name, as `config.toml` has them: `train.epochs` is `epochs` of its section `train`.
type Settings = BTreeMap<String, String>;

/// Name of the views in short, which stands for all parameters of their policy.
const AUGMENT: &str = "augment";

/// Reads the settings of a run. A folder without `config.toml` has none.
///
/// # Errors
/// If the file cannot be read or is no TOML.
pub(super) fn read(folder: &Path, record: &RunRecord) -> Result<Settings, Error> {
    let path = folder.join(Run::CONFIG_FILE);
    let mut settings = Settings::new();
    if !path.exists() {
        return Ok(settings);
    }
    let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| Error::Damaged {
        path: path.clone(),
        cause: format!("damaged ({})", error.message()),
    })?;
    flatten("", &table, &mut settings);
    settings.insert(AUGMENT.into(), record.augment.clone());
    Ok(settings)
}

fn flatten(prefix: &str, table: &toml::Table, settings: &mut Settings) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            toml::Value::Table(table) => flatten(&format!("{name}."), table, settings),
            toml::Value::String(text) => drop(settings.insert(name, text.clone())),
            value => drop(settings.insert(name, value.to_string())),
        }
    }
}

/// Returns the names of the settings in which runs differ, and for each run their values.
pub(super) fn differing(all: &[Settings]) -> (Vec<String>, Vec<Vec<Option<String>>>) {
    // A folder without settings is no run.
    let runs: Vec<&Settings> = all.iter().filter(|settings| !settings.is_empty()).collect();
    let differ = |name: &str| runs.iter().any(|run| run.get(name) != runs[0].get(name));
    let names: BTreeSet<&String> = runs.iter().flat_map(|run| run.keys()).collect();
    let mut names: Vec<String> = names.into_iter().filter(|name| differ(name)).cloned().collect();
    // Views that differ in short differ in many parameters.
    if names.iter().any(|name| name == AUGMENT) {
        names.retain(|name| !name.starts_with("augment."));
    }
    let values = |settings: &Settings| -> Vec<Option<String>> {
        names.iter().map(|name| settings.get(name).cloned()).collect()
    };
    let values = all.iter().map(values).collect();
    (names, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str, augment: &str) -> Settings {
        let mut settings = Settings::new();
        flatten("", &text.parse().unwrap(), &mut settings);
        settings.insert(AUGMENT.into(), augment.into());
        settings
    }

    #[test]
    fn only_what_differs_is_named() {
        let one = settings("seed = 0\n[train]\nepochs = 2\nbatch = 8", "ab");
        let two = settings("seed = 0\n[train]\nepochs = 3\nbatch = 8\nclip = 1.5", "ab");
        let (names, values) = differing(&[one.clone(), Settings::new(), two]);
        assert_eq!(names, ["train.clip", "train.epochs"]);
        let value = |value: &str| Some(value.to_owned());
        assert_eq!(values, [[None, value("2")], [None, None], [value("1.5"), value("3")]]);
        assert!(differing(&[one.clone(), one]).0.is_empty());
        assert!(differing(&[]).0.is_empty());
    }

    #[test]
    fn views_are_named_in_short_where_that_tells_them_apart() {
        let one = settings("[augment.crop]\nscale = 0.5\n[augment.blur]\nside = 3", "ab");
        let two = settings("[augment.crop]\nscale = 0.25", "a");
        assert_eq!(differing(&[one.clone(), two]).0, ["augment"]);
        let two = settings("[augment.crop]\nscale = 0.25\n[augment.blur]\nside = 3", "ab");
        assert_eq!(differing(&[one, two]).0, ["augment.crop.scale"]);
    }
}
