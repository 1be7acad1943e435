//! The record of a forecast (`forecast.json`), its table, and what its page shows.
//!
//! Each number is a [`Measured`]: what it is of the images that were measured, as a [`Quantity`],
//! and an interval for other images of their kind.

use std::fmt::Write as _;

use selfsame_theory::{Quantity, Side, Trust};
use serde::{Deserialize, Serialize};

use crate::format::signed;
use crate::record::Skipped;
use crate::sprite::Sprite;

mod words;

/// Name of the file that holds a [`Forecast`].
pub const FORECAST_FILE: &str = "forecast.json";
/// Name of the file that holds [`Forecast::table`].
pub const TABLE_FILE: &str = "table.md";
/// A separation is barely above chance, which is ½, where its interval begins below this.
pub const BARELY: f64 = 0.52;

/// A number of the images measured, and where it would likely lie for other images of their kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The number, and what it is worth for the images and views that were measured: exact, a bound
    /// where a proof ran out of time, or assumed where clusters stand for classes.
    #[serde(flatten)]
    pub quantity: Quantity,
    /// The ends of the 95 % interval for other images, an estimate: 1.96 standard errors of a
    /// delete-half jackknife over images on either side, within the range of the number. None where
    /// classes have too few images.
    pub interval: Option<[f64; 2]>,
}

impl Measured {
    /// The number alone.
    pub fn value(&self) -> f64 {
        self.quantity.value
    }
}

impl Default for Measured {
    /// An exact 0.
    fn default() -> Self {
        Self { quantity: Quantity::exact(0.0), interval: None }
    }
}

/// What policies are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// gathered × (2 × separation − 1).
    #[default]
    GatheredAndSeparated,
    /// gathered alone: with a single class there is no separation.
    Gathered,
}

/// What follows from a forecast for the choice of a policy. Policies are positions in
/// [`Forecast::policies`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Advice {
    /// Nothing is recommended: most classes have too few images for intervals.
    TooFewImages {
        /// Images that a class needs.
        needed: usize,
    },
    /// Nothing is recommended: with a single class nothing shows what a policy destroys.
    SingleClass {
        /// The policies that gather most of the class.
        first: Vec<usize>,
    },
    /// Nothing is recommended: no policy separates classes by more than chance explains.
    Chance,
    /// Some policies separate classes by more than chance explains, and these score highest.
    Best {
        /// The best of them first, then those that these images cannot tell from it.
        best: Vec<usize>,
        /// Those of the best whose separation is barely above chance: its interval begins below
        /// [`BARELY`].
        barely: Vec<usize>,
        /// The policies whose separation may be chance. None of them is recommended, whatever its
        /// score.
        chance: Vec<usize>,
        /// Whether images as they are score as high as the best policy, or higher.
        baseline_as_good: bool,
    },
}

/// A distance at which all policies are compared.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// Its share of D, the median distance between two images of one class as they are.
    pub share: f64,
    /// The distance, of pixels or of embeddings.
    pub delta: f64,
    /// The same as the root mean square difference of a colour channel of a pixel, in levels of
    /// 255; none for embeddings.
    pub levels: Option<f64>,
}

/// σ(δ) of a class under a policy, and its images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClassForecast {
    /// Its name.
    pub name: String,
    /// Images measured.
    pub images: usize,
    /// Bounds of σ at each [`Forecast::deltas`].
    pub sigma: Vec<[f64; 2]>,
    /// Separation of this class from the others; none with a single class.
    pub separation: Option<f64>,
    /// For k = 1, 2, … images the smallest distance at which k of them lie pairwise within reach:
    /// its bounds, equal where it is exact.
    pub curve: Vec<[f64; 2]>,
    /// A largest main part at the last of [`Forecast::shown`]: positions in [`Forecast::images`].
    pub main_part: Vec<usize>,
    /// The images outside the tightest nine tenths of the class, the most distant first. Wrong
    /// labels may be among them.
    pub unusual: Vec<usize>,
}

/// Two images of a class and the views of them that lie nearest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closest {
    /// Positions in [`Forecast::images`].
    pub images: [usize; 2],
    /// Which of their views; none is the image itself.
    pub views: [Option<u32>; 2],
    /// Their distance.
    pub delta: f64,
    /// The first image, its view, the other's view, the other image.
    pub picture: Sprite,
}

/// The forecast of one policy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PolicyForecast {
    /// What it is called.
    pub name: String,
    /// What it does to an image, step by step, in a word or two each.
    pub steps: Vec<String>,
    /// The whole policy as TOML.
    pub toml: String,
    /// Place in the ranking, from 1; policies that nothing tells apart share one. 0 for images as
    /// they are, which are not ranked.
    pub rank: usize,
    /// What policies are ranked by, higher is better: see [`Forecast::order`].
    pub score: Measured,
    /// The score of the best policy minus this one's, on the same images; none for the best.
    pub behind: Option<Measured>,
    /// σ averaged over the classes and over all of [`Forecast::deltas`].
    pub gathered: Measured,
    /// σ at each of [`Forecast::deltas`], averaged over the classes.
    pub sigma: Vec<Measured>,
    /// σ of the class that is gathered least, at each of them: the σ of the theory.
    pub least_sigma: Vec<Measured>,
    /// σ of groups dealt from all classes, at each of them.
    pub mixed_sigma: Vec<Measured>,
    /// Share of images with an image of another class within each of [`Forecast::deltas`].
    pub overlap: Vec<Measured>,
    /// P[d_A(same class) < d_A(different class)] + ½ P[=]; none with a single class.
    pub separation: Option<Measured>,
    /// Its classes.
    pub classes: Vec<ClassForecast>,
    /// The nearest views of images that differ, a pair of each class.
    pub closest: Vec<Closest>,
}

/// An image measured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProbeImage {
    /// Its name in the data set.
    pub name: String,
    /// Its position in the training split.
    pub index: usize,
    /// Its class, a position in [`Forecast::classes`].
    pub class: u32,
}

/// A ranking of augmentation policies, and everything it rests on. (`forecast.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Forecast {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word, that makes the same forecast again; empty where no command made
    /// it.
    pub command: Vec<String>,
    /// Name of the data set.
    pub dataset: String,
    /// SHA-256 of labels and pixels of all its splits.
    pub digest: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Whether the classes are clusters and not labels.
    pub assumed: bool,
    /// What distances are between: pixels, or the embeddings of which encoder.
    pub space: String,
    /// Values that a view has there.
    pub dim: usize,
    /// Side of the images in pixels.
    pub image_size: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// Views drawn of each image.
    pub views: usize,
    /// Whether the image itself counts among its views.
    pub original: bool,
    /// Random halves of the images that intervals are estimated from; 0 without intervals.
    pub halves: usize,
    /// Seconds that the proof of each curve might take; none is unlimited.
    pub budget: Option<f64>,
    /// What policies are ranked by.
    pub order: Score,
    /// What follows for the choice of a policy; none where nothing was measured.
    pub advice: Option<Advice>,
    /// The policies recommended, positions in [`Forecast::policies`]: one, those that these images
    /// cannot tell apart, or none. A policy that was measured alone is not recommended.
    pub recommended: Vec<usize>,
    /// The distances at which policies are compared: eighths of D, the last of them D itself.
    pub deltas: Vec<Delta>,
    /// Those that the table shows: positions in [`Forecast::deltas`].
    pub shown: Vec<usize>,
    /// The policies, the best first.
    pub policies: Vec<PolicyForecast>,
    /// Images as they are, without any policy, for comparison.
    pub baseline: Option<PolicyForecast>,
    /// The images measured.
    pub images: Vec<ProbeImage>,
    /// Groups of images with the same pixels: positions in [`Forecast::images`].
    pub duplicates: Vec<Vec<usize>>,
    /// Images of the training split, from which those measured are taken.
    pub training_images: usize,
    /// Images of all splits.
    pub all_images: usize,
    /// Images that could not be used.
    pub skipped: Vec<Skipped>,
    /// What else a reader should know, a sentence each.
    pub notes: Vec<String>,
    /// Small pictures of the images: tile i shows image i.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbs: Option<Sprite>,
}

impl Forecast {
    /// The distances that the table shows, each with its position in [`Forecast::deltas`].
    pub(crate) fn columns(&self) -> impl Iterator<Item = (usize, &Delta)> {
        self.shown.iter().filter_map(|&at| Some((at, self.deltas.get(at)?)))
    }

    /// The ranking as a table in Markdown: score, what it is made of, and σ and overlap at two
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
            let name = policy.name.replace('|', "\\|");
            let rank = if policy.rank > 0 { policy.rank.to_string() } else { "–".into() };
            let does =
                if policy.rank > 0 { policy.steps.join(", ") } else { "images as they are".into() };
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
            "\n{}: {} images of {} classes, {} views each{}; {}; intervals (95 %) estimated by a \
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

/// A distance as people read it.
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

/// What stands before a value that is only bounded.
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
