//! What is known of the files of the images.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use selfsame_data::Facts;
use selfsame_report::inspection::{FileSize, Files};

use crate::all::All;

/// Orientation of an upright image in EXIF.
const UPRIGHT: u8 = 1;

/// Describes the files of all images.
pub fn describe(all: &All<'_>) -> Files {
    let facts: Vec<&Facts> = (0..all.len()).map(|number| all.facts(number)).collect();
    let count = |holds: fn(&Facts) -> bool| facts.iter().filter(|facts| holds(facts)).count();
    let formats = frequencies(facts.iter().map(|facts| facts.format.name().to_owned()));
    let sizes = frequencies(facts.iter().map(|facts| (facts.width, facts.height)));
    let size = |((width, height), images)| FileSize { width, height, images };
    Files {
        formats,
        bits: frequencies(facts.iter().map(|facts| facts.bits)),
        sizes: sizes.into_iter().map(size).collect(),
        turned: count(|facts| facts.orientation != UPRIGHT),
        transparent: count(|facts| facts.transparent),
        several: count(|facts| facts.several),
    }
}

/// Counts equal values, the most frequent first.
fn frequencies<T: Ord>(values: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let mut counts: Vec<(T, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts
}
