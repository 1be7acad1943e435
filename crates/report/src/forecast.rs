//! The record of a forecast (`forecast.json`), its table, and the content of its page.
//!
//! Each number is a [`Measured`]: its value for the images that were measured, as a [`Quantity`],
//! and an interval for other images of the same kind.

use std::fmt::Write as _;

use selfsame_theory::{Quantity, Side, Trust};
use serde::{Deserialize, Serialize};

use crate::experiment::plain;
use crate::format::signed;
use crate::record::Skipped;
use crate::sprite::Sprite;

mod words;

/// Name of the file that holds a [`Forecast`].
pub const FORECAST_FILE: &str = "forecast.json";
/// Name of the file that holds [`Forecast::table`].
pub const TABLE_FILE: &str = "table.md";
/// A separation is barely above chance, which is ½, if its interval begins below this value.
pub const BARELY: f64 = 0.52;

/// A number for the images measured, and the range where it would probably lie for other images of
/// the same kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The number, and how far it can be trusted for the images and views that were measured:
    /// exact, a bound if a proof ran out of time, or assumed if clusters replace classes.
    #[serde(flatten)]
    pub quantity: Quantity,
    /// Ends of the 95 % interval for other images. The interval is an estimate: 1.96 standard
    /// errors of a delete-half jackknife over images on either side, within the range of the
    /// number. `None` if classes have too few images.
    pub interval: Option<[f64; 2]>,
}

impl Measured {
    /// Returns the number alone.
    pub fn value(&self) -> f64 {
        self.quantity.value
    }
}

impl Default for Measured {
    /// Returns an exact 0.
    fn default() -> Self {
        Self { quantity: Quantity::exact(0.0), interval: None }
    }
}

/// The score that policies are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// gathered × (2 × separation − 1).
    #[default]
    GatheredAndSeparated,
    /// gathered alone, because with a single class there is no separation.
    Gathered,
}

/// Advice for the choice of a policy. Policies are positions in [`Forecast::policies`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Advice {
    /// No policy is recommended: most classes have too few images for intervals.
    TooFewImages {
        /// Number of images that a class needs.
        needed: usize,
    },
    /// No policy is recommended: with a single class, nothing shows what a policy destroys.
    SingleClass {
        /// The policies that gather most of the class.
        first: Vec<usize>,
    },
    /// No policy is recommended: none separates classes by more than chance explains.
    Chance,
    /// Some policies separate classes by more than chance explains. These have the highest scores.
    Best {
        /// The best policy first, followed by the policies that these images cannot tell from the
        /// best.
        best: Vec<usize>,
        /// Members of `best` whose separation is barely above chance: its interval begins below
        /// [`BARELY`].
        barely: Vec<usize>,
        /// The policies whose separation may be chance. They are not recommended, whatever their
        /// score.
        chance: Vec<usize>,
        /// Whether unaugmented images score as high as the best policy, or higher.
        baseline_as_good: bool,
    },
}

/// A distance at which all policies are compared.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// The distance as a fraction of D, the median distance between two unaugmented images of one
    /// class.
    pub share: f64,
    /// The distance between pixels or between embeddings.
    pub delta: f64,
    /// The distance as the root mean square difference of a colour channel of a pixel, in levels of
    /// 255. `None` for embeddings.
    pub levels: Option<f64>,
}

/// σ(δ) of a class under a policy, and the images of that class.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClassForecast {
    /// Name of the class.
    pub name: String,
    /// Number of images measured.
    pub images: usize,
    /// Bounds on σ at each of [`Forecast::deltas`].
    pub sigma: Vec<[f64; 2]>,
    /// Separation of this class from the others. `None` with a single class.
    pub separation: Option<f64>,
    /// Bounds on the smallest distance at which k images lie pairwise within reach, for k = 1, 2, …
    /// The bounds are equal if the distance is exact.
    pub curve: Vec<[f64; 2]>,
    /// A largest main part at the last of [`Forecast::shown`]: positions in [`Forecast::images`].
    pub main_part: Vec<usize>,
    /// The images outside the tightest nine tenths of the class, the most distant first. Some of
    /// them may have wrong labels.
    pub unusual: Vec<usize>,
}

/// Two images of a class, and their views that lie nearest to each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closest {
    /// Positions in [`Forecast::images`].
    pub images: [usize; 2],
    /// The view of each image. `None` is the image itself.
    pub views: [Option<u32>; 2],
    /// Distance between the two views.
    pub delta: f64,
    /// Four tiles: the first image, its view, the other image's view, the other image.
    pub picture: Sprite,
}

/// The forecast of one policy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PolicyForecast {
    /// Name of the policy.
    pub name: String,
    /// Steps of the policy, in a word or two each.
    pub steps: Vec<String>,
    /// The full policy as TOML.
    pub toml: String,
    /// Place in the ranking, from 1. Policies that cannot be told apart share a place. It is 0 for
    /// unaugmented images, which are not ranked.
    pub rank: usize,
    /// The score that policies are ranked by, higher is better: see [`Forecast::order`].
    pub score: Measured,
    /// Score of the best policy minus the score of this policy, on the same images. `None` for the
    /// best policy.
    pub behind: Option<Measured>,
    /// Mean of σ over the classes and over all of [`Forecast::deltas`].
    pub gathered: Measured,
    /// Mean of σ over the classes, at each of [`Forecast::deltas`].
    pub sigma: Vec<Measured>,
    /// σ of the class that is gathered least, at each of [`Forecast::deltas`]: the σ of the theory.
    pub least_sigma: Vec<Measured>,
    /// Fraction of images with an image of another class within each of [`Forecast::deltas`].
    pub overlap: Vec<Measured>,
    /// P[d_A(same class) < d_A(different class)] + ½ P[=]. `None` with a single class.
    pub separation: Option<Measured>,
    /// The classes under this policy.
    pub classes: Vec<ClassForecast>,
    /// The nearest views of images that differ, one pair per class.
    pub closest: Vec<Closest>,
}

/// An image that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProbeImage {
    /// Name of the image in the data set.
    pub name: String,
    /// Position of the image in the training split.
    pub index: usize,
    /// Class of the image, as a position in [`Forecast::classes`].
    pub class: u32,
}

/// A ranking of augmentation policies, with the data that it is based on. (`forecast.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Forecast {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word, that reproduces the forecast. Empty if no command made it.
    pub command: Vec<String>,
    /// Name of the data set.
    pub dataset: String,
    /// SHA-256 of the labels and pixels of all splits of the data set.
    pub digest: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Whether the classes are clusters in place of labels.
    pub assumed: bool,
    /// The space of the distances: pixels, or the embeddings of a named encoder.
    pub space: String,
    /// Number of values of a view in that space.
    pub dim: usize,
    /// Side of the images in pixels.
    pub image_size: u32,
    /// Largest shorter side of the sources that crops are drawn from, in pixels. `None` if crops
    /// are drawn from the images themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_size: Option<u32>,
    /// Seed of everything random.
    pub seed: u64,
    /// Number of views drawn per image.
    pub views: usize,
    /// Whether the image itself counts among its views.
    pub original: bool,
    /// Number of random halves of the images that intervals are estimated from; 0 without
    /// intervals.
    pub halves: usize,
    /// Time limit for the proof of each curve, in seconds. `None` is unlimited.
    pub budget: Option<f64>,
    /// The score that policies are ranked by.
    pub order: Score,
    /// Advice for the choice of a policy. `None` if nothing was measured.
    pub advice: Option<Advice>,
    /// Positions in [`Forecast::policies`] of the recommended policies: one policy, several that
    /// these images cannot tell apart, or no policy. A policy that was measured alone is not
    /// recommended.
    pub recommended: Vec<usize>,
    /// The distances at which policies are compared: eighths of D, up to D itself.
    pub deltas: Vec<Delta>,
    /// Positions in [`Forecast::deltas`] of the distances that the table shows.
    pub shown: Vec<usize>,
    /// The policies, with the best first.
    pub policies: Vec<PolicyForecast>,
    /// Unaugmented images, for comparison.
    pub baseline: Option<PolicyForecast>,
    /// The images that were measured.
    pub images: Vec<ProbeImage>,
    /// Groups of images with the same pixels, as positions in [`Forecast::images`].
    pub duplicates: Vec<Vec<usize>>,
    /// Number of images in the training split, from which the measured images are taken.
    pub training_images: usize,
    /// Number of images in all splits.
    pub all_images: usize,
    /// Images that could not be used.
    pub skipped: Vec<Skipped>,
    /// Further remarks for the reader, one sentence each.
    pub notes: Vec<String>,
    /// Small pictures of the images: tile i shows image i.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbs: Option<Sprite>,
}

impl Forecast {
    /// Returns the distances that the table shows, each with its position in [`Forecast::deltas`].
    pub(crate) fn columns(&self) -> impl Iterator<Item = (usize, &Delta)> {
        self.shown.iter().filter_map(|&at| Some((at, self.deltas.get(at)?)))
    }

    /// Formats the ranking as a Markdown table: the score and its factors, and σ and overlap at two
    /// distances, each with its interval.
    pub fn table(&self) -> String {
        let mut head = String::from("| rank | augmentation | score | gathered | separation |");
        for (_, delta) in self.columns() {
            let at = distance(delta);
            let _ = write!(head, " σ at {at} | overlap at {at} |");
        }
        let columns = head.matches('|').count() - 1;
        let mut table = format!("{head}\n|{}\n", "---|".repeat(columns));
        for policy in self.policies.iter().chain(&self.baseline) {
            let name = plain(&policy.name);
            let rank = if policy.rank > 0 { policy.rank.to_string() } else { "–".into() };
            let does = if policy.rank > 0 {
                plain(&policy.steps.join(", "))
            } else {
                "images as they are".into()
            };
            let separation = policy.separation.as_ref().map_or_else(|| "–".to_owned(), cell);
            let (score, gathered) = (cell(&policy.score), cell(&policy.gathered));
            let _ =
                write!(table, "| {rank} | {name}: {does} | {score} | {gathered} | {separation} |");
            for (at, _) in self.columns() {
                let value =
                    |values: &[Measured]| values.get(at).map_or_else(|| "–".to_owned(), cell);
                let _ = write!(table, " {} | {} |", value(&policy.sigma), value(&policy.overlap));
            }
            table.push('\n');
        }
        let _ = write!(table, "\n{}\n\n", self.order.meaning());
        for sentence in self.sentences() {
            let _ = writeln!(table, "{sentence}");
        }
        let kind =
            if self.assumed { "classes assumed" } else { "values exact of these images and views" };
        let _ = writeln!(
            table,
            "\n{}: {} images of {} classes, {} views each{}; {}; intervals (95%) estimated by a \
             delete-half jackknife \
             over images; {kind}.",
            self.dataset,
            self.images.len(),
            self.classes.len(),
            self.views,
            if self.original { " and the image itself" } else { "" },
            self.space,
        );
        table
    }
}

/// Formats a distance for readers.
pub(crate) fn distance(delta: &Delta) -> String {
    match delta.levels {
        Some(levels) => format!("{levels:.1}/255"),
        None => format!("{:.3}", delta.delta),
    }
}

fn cell(measured: &Measured) -> String {
    let value = format!("{}{}", sign(measured), signed(measured.value(), 3));
    match measured.interval.map(|ends| ends.map(|end| signed(end, 3))) {
        Some([low, high]) => format!("{value} ({low} to {high})"),
        None => value,
    }
}

/// Returns the sign that precedes a value of which only a bound is known.
pub(crate) fn sign(measured: &Measured) -> &'static str {
    match measured.quantity.trust {
        Trust::Bound { side: Side::AtLeast } => "≥ ",
        Trust::Bound { side: Side::AtMost } => "≤ ",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_says_on_which_side_it_lies() {
        let measured = |quantity| Measured { quantity, interval: Some([-0.0001, 0.5]) };
        assert_eq!(cell(&measured(Quantity::at_least(0.25))), "≥ 0.250 (0.000 to 0.500)");
        assert_eq!(cell(&measured(Quantity::at_most(0.25))), "≤ 0.250 (0.000 to 0.500)");
        assert_eq!(cell(&Measured { quantity: Quantity::exact(0.25), interval: None }), "0.250");
    }

    #[test]
    fn a_number_survives_json_beside_what_it_is_worth() {
        let measured =
            Measured { quantity: Quantity::at_least(0.25), interval: Some([0.125, 0.5]) };
        let json = serde_json::to_string(&measured).unwrap();
        let expected = r#"{"value":0.25,"trust":"bound","side":"at_least","interval":[0.125,0.5]}"#;
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_str::<Measured>(&json).unwrap(), measured);
    }

    #[test]
    fn the_table_holds_images_as_they_are_without_a_rank() {
        let policy = |name: &str, rank| PolicyForecast {
            name: name.into(),
            rank,
            ..PolicyForecast::default()
        };
        let forecast = Forecast {
            deltas: vec![Delta { share: 0.5, delta: 8.0, levels: Some(4.0) }, Delta::default()],
            shown: vec![0],
            policies: vec![policy("a|b", 1)],
            baseline: Some(policy("none", 0)),
            ..Forecast::default()
        };
        let table = forecast.table();
        assert!(table.contains("σ at 4.0/255") && table.contains("| 1 | a\\|b: "), "{table}");
        assert!(table.contains("| – | none: images as they are |"), "{table}");
    }
}
