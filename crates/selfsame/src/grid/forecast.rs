//! The forecast of a grid: it ranks the rows' policies on the images of the runs.

use std::time::Duration;

use selfsame_augment::Policy;
use selfsame_data::LoadOptions;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use super::option::words;
use super::{Grid, GridError};
use crate::{Error, ForecastOptions, policies, time};

/// Option of runs and forecasts that changes the size of their images.
const IMAGE_SIZE: &str = "image-size";

impl Grid {
    /// Returns the options of the forecast, or an empty table if the grid has no forecast.
    fn forecast_table(&self) -> Table {
        let mut options = Table::new();
        let Some(forecast) = &self.forecast else { return options };
        let first = self.sets.first().map(|set| set.data.as_str().into());
        if let Some(data) = first.or_else(|| self.all.get("data").cloned()) {
            options.insert("data".to_owned(), data);
        }
        let size = |options: &Table| {
            options.get(IMAGE_SIZE).map(|size| (IMAGE_SIZE.to_owned(), size.clone()))
        };
        options.extend(size(&self.all));
        options.extend(forecast.clone());
        options.extend(size(&self.with));
        let policies = self.rows.iter().filter_map(|row| row.get("augment").cloned()).collect();
        options.insert("policies".to_owned(), Value::Array(policies));
        options
    }

    /// Returns the options of the forecast, without its folder, as arguments of `selfsame
    /// forecast`.
    ///
    /// # Errors
    /// If an option has an impossible value.
    pub fn forecast_words(&self) -> Result<Vec<String>, GridError> {
        let options = self.forecast_table();
        let each = options.iter().map(|(key, value)| words(key, value));
        Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Returns the side of the forecast's images in pixels, if the grid sets it.
    pub(crate) fn forecast_size(&self) -> Option<i64> {
        self.forecast_table().get(IMAGE_SIZE)?.as_integer()
    }

    /// Returns the settings for a forecast in this process.
    ///
    /// # Errors
    /// [`GridError::Forecast`] if a forecast does not have one of the options, or if an option has
    /// an impossible value.
    pub(crate) fn forecast_settings(&self) -> Result<ForecastSettings, GridError> {
        let refuse = |cause: String| GridError::Forecast { cause };
        let written: Written = self
            .forecast_table()
            .try_into()
            .map_err(|error: toml::de::Error| refuse(error.message().to_owned()))?;
        written.settings().map_err(|error| refuse(error.to_string()))
    }
}

/// A forecast that compares pixels, as a grid asks for it.
pub(crate) struct ForecastSettings {
    pub data: String,
    /// How the images are read.
    pub images: LoadOptions,
    pub policies: Vec<(String, Policy)>,
    pub options: ForecastOptions,
}

/// Options of such a forecast, with the names of `selfsame forecast`.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    data: String,
    policies: Vec<String>,
    image_size: Option<u32>,
    source_size: Option<u32>,
    per_class: usize,
    views: usize,
    no_original: bool,
    #[serde(deserialize_with = "budget")]
    budget: Option<Duration>,
    #[serde(deserialize_with = "selfsame_train::seed::deserialize")]
    split_seed: u64,
    #[serde(deserialize_with = "selfsame_train::seed::deserialize")]
    seed: u64,
}

impl Default for Written {
    fn default() -> Self {
        let options = ForecastOptions::default();
        Self {
            data: "glyphs".to_owned(),
            policies: Vec::new(),
            image_size: None,
            source_size: None,
            per_class: options.per_class,
            views: options.views,
            no_original: !options.original,
            budget: None,
            split_seed: 0,
            seed: options.seed,
        }
    }
}

impl Written {
    fn settings(self) -> Result<ForecastSettings, Error> {
        let options = ForecastOptions {
            per_class: self.per_class,
            views: self.views,
            original: !self.no_original,
            budget: self.budget,
            seed: self.seed,
            ..ForecastOptions::default()
        };
        options.check()?;
        let images = LoadOptions {
            image_size: self.image_size,
            source_size: self.source_size,
            seed: self.split_seed,
            ..LoadOptions::default()
        };
        Ok(ForecastSettings {
            data: self.data,
            images,
            policies: policies(&self.policies)?,
            options,
        })
    }
}

/// Reads a time: a number of seconds, or text such as `1.5m`.
fn budget<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        number => number.to_string(),
    };
    time(&text).map(Some).map_err(|error| D::Error::custom(format!("budget {text}: {error}")))
}
