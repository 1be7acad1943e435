//! What `selfsame forecast` found: its record (`forecast.json`), its table, and what its page
//! shows.
//!
//! Each number says what it is: [`Kind::Exact`] of the images and views that were measured, a
//! proved [`Kind::Bound`] with its [`Side`] where time ran out, or [`Kind::Assumed`] where classes
//! are clusters. Intervals are always estimates.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::format::signed;
use crate::record::Skipped;
use crate::sprite::Sprite;

/// Name of the file that holds a [`Forecast`].
pub const FORECAST_FILE: &str = "forecast.json";
/// Name of the file that holds [`Forecast::table`].
pub const TABLE_FILE: &str = "table.md";

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Exact, of the images and views that were measured.
    #[default]
    Exact,
    /// Estimated from a sample.
    Estimate,
    /// Proved: the truth is not beyond it.
    Bound,
    /// It rests on classes that were made up.
    Assumed,
}

/// On which side of the truth a proved bound lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The truth is this or more.
    Lower,
    /// The truth is this or less.
    Upper,
}

/// A number of the images measured, and where it would likely lie for others of their kind.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// The number.
    pub value: f64,
    /// What it is.
    pub kind: Kind,
    /// Where it is only bounded, from which side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Side>,
    /// The ends of the 95 % interval, an estimate: 1.96 standard errors of a delete-half jackknife
    /// over images, within the range that the number can have. None of too few images of a class.
    pub interval: Option<[f64; 2]>,
}

/// A distance that all policies are compared at.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Delta {
    /// Its share of D, the middle distance of two images of one class as they are.
    pub share: f64,
    /// The distance, of pixels or of embeddings.
    pub delta: f64,
    /// The same as a difference of one colour channel of one pixel, root mean square, in levels of
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
    /// For k = 1, 2, … images the smallest distance at which so many lie pairwise within reach:
    /// bounds, equal where exact.
    pub curve: Vec<[f64; 2]>,
    /// Positions in [`Forecast::images`] of a largest main part at the last distance of
    /// [`Forecast::deltas`].
    pub main_part: Vec<usize>,
    /// The tenth of the class outside of its tightest nine tenths, the most distant first. It is
    /// never empty, and wrong labels may be among it.
    pub unusual: Vec<usize>,
}

/// Two images of a class and the views of them that lie nearest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closest {
    /// Positions in [`Forecast::images`].
    pub images: [usize; 2],
    /// Numbers of the views; none for the image itself.
    pub views: [Option<u32>; 2],
    /// Their distance.
    pub delta: f64,
    /// The first image, its view, the other's view, the other image.
    pub picture: Sprite,
}

/// What is forecast of one policy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PolicyForecast {
    /// What it is called.
    pub name: String,
    /// What it does to an image, a word or two a step.
    pub steps: Vec<String>,
    /// It in full, as TOML.
    pub toml: String,
    /// Place in the ranking, from 1; policies that nothing tells apart share one. 0 of images as
    /// they are.
    pub rank: usize,
    /// What the ranking goes by: see [`Forecast::order`].
    pub score: Measured,
    /// Score of the best policy less this one's, on the same images; none for the best.
    pub behind: Option<Measured>,
    /// σ averaged over the classes and over all of [`Forecast::deltas`].
    pub gathered: Measured,
    /// σ at each of [`Forecast::deltas`], averaged over the classes.
    pub sigma: Vec<Measured>,
    /// The same of the class that is gathered the least, the σ of the theory.
    pub least_sigma: Vec<Measured>,
    /// The same of groups dealt from all classes.
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

/// A ranking of augmentation policies, and all it rests on. (`forecast.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Forecast {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word, that makes the same forecast again.
    pub command: Vec<String>,
    /// Name of the data set.
    pub dataset: String,
    /// SHA-256 of labels and pixels of all its splits.
    pub digest: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Whether the classes are clusters and not labels.
    pub assumed: bool,
    /// What distances are of: `pixels`, or embeddings of which run.
    pub space: String,
    /// Numbers of a view there.
    pub dim: usize,
    /// Side of the images in pixels.
    pub image_size: u32,
    /// Seed of everything random.
    pub seed: u64,
    /// Views drawn of each image.
    pub views: usize,
    /// Whether the image itself counts among its views.
    pub original: bool,
    /// Halves of the images that intervals come from.
    pub halves: usize,
    /// Seconds that the proof of each curve might take.
    pub budget: Option<f64>,
    /// What the ranking goes by, a sentence.
    pub order: String,
    /// The recommendation, a few sentences.
    pub advice: Vec<String>,
    /// The policies recommended, positions in [`Forecast::policies`]: one, or those that these
    /// images cannot tell apart.
    pub recommended: Vec<usize>,
    /// The distances that policies are compared at: eighths of D, the last of them D itself.
    pub deltas: Vec<Delta>,
    /// Those that the table shows, positions in [`Forecast::deltas`].
    pub shown: Vec<usize>,
    /// The policies, the best first.
    pub policies: Vec<PolicyForecast>,
    /// Images as they are, not ranked: what the policies stand beside.
    pub baseline: Option<PolicyForecast>,
    /// The images measured.
    pub images: Vec<ProbeImage>,
    /// Those of them whose pixels are the same, group by group: positions in [`Forecast::images`].
    pub duplicates: Vec<Vec<usize>>,
    /// Images of the training split, which those measured are taken from.
    pub training_images: usize,
    /// Images of all splits.
    pub all_images: usize,
    /// Images that could not be used.
    pub skipped: Vec<Skipped>,
    /// What else a reader should know, a sentence each.
    pub notes: Vec<String>,
    /// The images in small: tile i shows image i.
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
        let _ = write!(table, "\n{}\n\n", self.order);
        for advice in &self.advice {
            let _ = writeln!(table, "{advice}");
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
    let value = format!("{}{}", sign(measured), signed(measured.value, 3));
    match measured.interval.map(|ends| ends.map(|end| signed(end, 3))) {
        Some([low, high]) => format!("{value} ({low} to {high})"),
        None => value,
    }
}

/// What stands before a value that is only bounded.
pub(crate) fn sign(measured: &Measured) -> &'static str {
    match measured.bound {
        Some(Side::Lower) => "≥ ",
        Some(Side::Upper) => "≤ ",
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_says_on_which_side_it_lies() {
        let measured = |bound| Measured {
            value: 0.25,
            kind: Kind::Bound,
            bound,
            interval: Some([-0.0001, 0.5]),
        };
        assert_eq!(cell(&measured(Some(Side::Lower))), "≥ 0.250 (0.000 to 0.500)");
        assert_eq!(cell(&measured(Some(Side::Upper))), "≤ 0.250 (0.000 to 0.500)");
        assert_eq!(cell(&Measured { value: 0.25, ..Measured::default() }), "0.250");
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
