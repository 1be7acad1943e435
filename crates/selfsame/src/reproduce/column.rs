//! A column of a table before its means are computed.

/// Figures of a column by row and seed, before they become means.
pub(super) struct Column {
    pub name: String,
    /// Number of decimals of the column's figures.
    pub digits: usize,
    pub smaller_is_better: bool,
    /// Whether the column's figures may be plotted together with the figures of the other columns.
    pub drawn: bool,
    /// Per row: seed and figure of each complete run.
    pub samples: Vec<Vec<(u64, f64)>>,
    /// Per row, for figures without seeds: half of their 95 % interval.
    pub halves: Vec<Option<f64>>,
    /// Per row: the published figure and the published number after its ±.
    pub published: Vec<Option<(f64, Option<f64>)>>,
    /// Whether the column's figures were known before training.
    pub forecast: bool,
    /// Seeds and figures of each baseline in the first row's runs, if they were measured.
    pub baselines: [Vec<(u64, f64)>; 3],
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Builds a column with these figures by row and seed.
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
            baselines: Default::default(),
        }
    }
}
