//! A column of a table in the making.

/// A column's figures by row and seed, before they become means.
pub(super) struct Column {
    pub name: String,
    /// Decimals of its figures.
    pub digits: usize,
    pub smaller_is_better: bool,
    /// Whether its figures may be drawn beside those of the other columns.
    pub drawn: bool,
    /// By row: seed and figure of each complete run.
    pub samples: Vec<Vec<(u64, f64)>>,
    /// By row, for figures that come from no seeds: half of their 95 % interval.
    pub halves: Vec<Option<f64>>,
    /// By row: the published figure, and what stands behind its ±.
    pub published: Vec<Option<(f64, Option<f64>)>>,
    /// Whether it was known before training.
    pub forecast: bool,
    /// Seed and figure of the first row's encoders before training, where that was measured.
    pub untrained: Vec<(u64, f64)>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A column with these figures by row and seed.
    pub fn column(samples: &[&[f64]]) -> Column {
        let seeds = |values: &&[f64]| (0..).zip(values.iter().copied()).collect();
        Column {
            name: "x".to_owned(),
            digits: 1,
            smaller_is_better: false,
            drawn: true,
            samples: samples.iter().map(seeds).collect(),
            halves: vec![None; samples.len()],
            published: vec![None; samples.len()],
            forecast: false,
            untrained: Vec::new(),
        }
    }
}
