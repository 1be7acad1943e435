//! Checks that the claims and the published figures of a grid fit its tables.

use super::{Claim, ClaimKind, FORECAST_COLUMN, Grid, GridError, Set};

impl ClaimKind {
    /// Describes the rows that a claim of this kind names.
    fn rows(self) -> &'static str {
        match self {
            Self::Order => "two rows or more, the best first",
            Self::LargestStep => "two rows, the better first",
            Self::Best | Self::Worst => "one row",
        }
    }

    fn takes(self, rows: usize) -> bool {
        match self {
            Self::Order => rows >= 2,
            Self::LargestStep => rows == 2,
            Self::Best | Self::Worst => rows == 1,
        }
    }
}

impl Grid {
    /// Refuses claims about rows or columns that do not exist, and published figures for more cells
    /// than the tables have.
    pub(super) fn check_claims(&self) -> Result<(), GridError> {
        let (rows, columns) = (self.row_names(), self.measured_names());
        for claim in &self.claims {
            self.check_claim(claim, &rows, &columns)?;
        }
        for set in &self.sets {
            check_published(set, rows.len(), columns.len())?;
        }
        Ok(())
    }

    fn check_claim(
        &self,
        claim: &Claim,
        rows: &[String],
        columns: &[String],
    ) -> Result<(), GridError> {
        let says = || claim.says.clone();
        let is_forecast = |name: &str| self.forecast.is_some() && name.starts_with(FORECAST_COLUMN);
        let is_column = |name: &String| columns.contains(name) || is_forecast(name);
        if let Some(column) = claim.columns.iter().find(|name| !is_column(name)) {
            let (column, known) = (column.clone(), columns.to_vec());
            return Err(GridError::ClaimColumn { claim: says(), column, known });
        }
        if let Some(row) = claim.rows.iter().find(|row| !rows.contains(row)) {
            return Err(GridError::ClaimRow { claim: says(), row: row.clone() });
        }
        if !claim.kind.takes(claim.rows.len()) {
            return Err(GridError::ClaimRows { claim: says(), rows: claim.kind.rows() });
        }
        Ok(())
    }
}

fn check_published(set: &Set, rows: usize, columns: usize) -> Result<(), GridError> {
    let Some(published) = &set.published else { return Ok(()) };
    let set = || set.name.clone();
    let is_figure = |figure: &Vec<f64>| {
        (1..=2).contains(&figure.len()) && figure.iter().all(|value| value.is_finite())
    };
    if published.values.len() > rows || !published.values.iter().flatten().all(is_figure) {
        return Err(GridError::Published { set: set() });
    }
    match published.values.iter().map(Vec::len).max() {
        Some(longest) if longest > columns => {
            Err(GridError::PublishedColumns { set: set(), published: longest, columns })
        }
        _ => Ok(()),
    }
}
