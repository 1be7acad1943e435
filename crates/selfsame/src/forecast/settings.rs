//! Settings that determine a forecast. A forecast is only continued in a folder with the same
//! settings.

use serde::{Deserialize, Serialize};

use crate::ForecastDifference as Difference;

/// Settings that determine a forecast. The images and the encoder are identified by their digests;
/// their names are only for people.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Settings {
    pub selfsame: String,
    pub data: String,
    pub digest: String,
    pub policies: Vec<(String, String)>,
    pub per_class: usize,
    pub views: usize,
    pub original: bool,
    pub image_size: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_size: Option<u32>,
    pub encoder: Option<String>,
    pub weights: Option<String>,
    pub clusters: Option<usize>,
    pub pixels: bool,
    pub budget: Option<f64>,
    pub seed: u64,
}

impl Settings {
    /// Lists how these settings, read from a folder, differ from the requested settings `now`.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let mut differences: Vec<Difference> = self
            .options(now)
            .into_iter()
            .zip(now.options(self))
            .filter(|((_, was), (_, is))| was != is)
            .map(|((name, was), (_, is))| Difference::Option { name, was, is })
            .collect();
        let policies = self
            .policies
            .iter()
            .zip(&now.policies)
            .filter(|((a, was), (b, is))| a == b && was != is);
        differences.extend(
            policies.map(|((name, _), _)| {
                Difference::Content(format!("the policy {name} has changed"))
            }),
        );
        if self.weights != now.weights && self.encoder == now.encoder {
            differences.push(Difference::Content("the weights of the encoder have changed".into()));
        }
        // The seed decides the splits and the sizes decide the pixels. All are compared above.
        let decisive = |settings: &Self| (settings.seed, settings.image_size, settings.source_size);
        if self.digest != now.digest && decisive(self) == decisive(now) {
            differences.push(Difference::Content("the images have changed".into()));
        }
        differences
    }

    /// Returns each option with its value in words. The encoder has a value only if its weights
    /// differ from the weights of `other`.
    fn options(&self, other: &Self) -> [(&'static str, String); 12] {
        let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
        let optional = |value: Option<String>| value.unwrap_or("none".into());
        let policies: Vec<&str> = self.policies.iter().map(|(name, _)| name.as_str()).collect();
        let encoder = self.encoder.clone().filter(|_| self.weights != other.weights);
        [
            ("selfsame", self.selfsame.clone()),
            ("policies", policies.join(",")),
            ("per_class", self.per_class.to_string()),
            ("views", self.views.to_string()),
            ("original", switch(self.original)),
            ("image_size", self.image_size.to_string()),
            ("source_size", self.source_size.unwrap_or(self.image_size).to_string()),
            ("encoder", optional(encoder)),
            ("clusters", optional(self.clusters.map(|clusters| clusters.to_string()))),
            ("pixels", switch(self.pixels && self.clusters.is_some())),
            ("budget", optional(self.budget.map(|seconds| format!("{seconds}s")))),
            ("seed", self.seed.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_differ_are_named() {
        let was = Settings {
            selfsame: "1".into(),
            data: "photos".into(),
            digest: "ab".into(),
            policies: vec![("a".into(), "[crop]".into())],
            per_class: 50,
            views: 2,
            original: true,
            image_size: 32,
            source_size: None,
            encoder: None,
            weights: None,
            clusters: None,
            pixels: true,
            budget: None,
            seed: 0,
        };
        let differences = |was: &Settings, now: &Settings| -> Vec<String> {
            was.differences(now).iter().map(ToString::to_string).collect()
        };
        let renamed = Settings { data: "./photos/".into(), ..was.clone() };
        assert!(was.differences(&renamed).is_empty());
        let other = Settings { views: 3, budget: Some(5.0), digest: "cd".into(), ..was.clone() };
        let expected = ["views was 2, is 3", "budget was none, is 5s", "the images have changed"];
        assert_eq!(differences(&was, &other), expected);
        let other = Settings { policies: vec![("a".into(), "[flip]".into())], ..was.clone() };
        assert_eq!(differences(&was, &other), ["the policy a has changed"]);
        let encoder = |weights: &str| Settings {
            encoder: Some("runs/a".into()),
            weights: Some(weights.into()),
            ..was.clone()
        };
        assert_eq!(differences(&was, &encoder("1")), ["encoder was none, is runs/a"]);
        let expected = ["the weights of the encoder have changed"];
        assert_eq!(differences(&encoder("1"), &encoder("2")), expected);
    }
}
