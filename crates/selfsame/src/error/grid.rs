//! Errors in a grid.

/// Reasons why a grid is invalid or cannot be run as requested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// The name is neither the name of a grid that comes with the library nor the name of a TOML
    /// file.
    #[error("no grid is called that; known are {}, and files that end in .toml", known.join(", "))]
    Unknown {
        /// The grids that come with the library.
        known: Vec<&'static str>,
    },
    /// The file cannot be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// The file is not TOML, or does not describe a grid.
    #[error("{0}")]
    Parse(#[from] toml::de::Error),
    /// The grid cannot be written as TOML, for example because a seed is above 2⁶³.
    #[error("{0}")]
    Write(#[from] toml::ser::Error),
    /// A scale was requested, but the grid has no scales.
    #[error("has no scales, so none is called {scale}")]
    NoScales {
        /// The scale.
        scale: String,
    },
    /// The grid has scales, but not the requested one.
    #[error("no scale is called {scale}; it has {}", known.join(", "))]
    UnknownScale {
        /// The requested scale.
        scale: String,
        /// The scales of the grid.
        known: Vec<String>,
    },
    /// A scale changes a column that the grid does not have.
    #[error("a column of the scale {scale} is called {column}, and none of the grid is")]
    ScaleColumn {
        /// The scale.
        scale: String,
        /// Name of the column.
        column: String,
    },
    /// A scale names a set that the grid does not have.
    #[error("the scale {scale} names the set {set}, which the grid does not have")]
    ScaleSet {
        /// The scale.
        scale: String,
        /// Name of the set.
        set: String,
    },
    /// `data` is among the options for all runs, but images have an option of their own.
    #[error("images are not an option like others")]
    DataOption,
    /// An option for all runs is one that tells rows or columns apart, so their names would be
    /// wrong.
    #[error("its rows or columns differ in {key}, so that it cannot be the same in all runs")]
    Varies {
        /// The option.
        key: String,
    },
    /// A setting does not have the form `epochs=3`.
    #[error("{text:?} names no option and its value, as epochs=3 does")]
    Setting {
        /// The text that was given.
        text: String,
    },
    /// An option may only be set by the grid itself.
    #[error("{key} is the grid's own business; leave it out")]
    Reserved {
        /// The option.
        key: &'static str,
    },
    /// A value has a type that no option has, such as a table.
    #[error("{key} = {value} is no option's value")]
    Value {
        /// The option.
        key: String,
        /// Its value.
        value: String,
    },
    /// A run does not have the option, or the option does not take the value.
    #[error("{cell}: {cause}")]
    Cell {
        /// Name of the run.
        cell: String,
        /// What is wrong with the option.
        cause: String,
    },
    /// The forecast does not have the option, or the option does not take the value.
    #[error("forecast: {cause}")]
    Forecast {
        /// What is wrong with the option.
        cause: String,
    },
    /// There is nothing to run.
    #[error("a grid needs a seed and a row")]
    Empty,
    /// A seed occurs twice.
    #[error("the seed {seed} is named twice")]
    SeedTwice {
        /// The seed.
        seed: u64,
    },
    /// Two cells have the same name.
    #[error("row {row}: it cannot be told from another; give both a name of their own")]
    SameName {
        /// Number of the row, from 1.
        row: usize,
    },
    /// A claim is about a column that does not exist.
    #[error(
        "the claim {claim:?} looks into {column}, which no column is called; there are {}",
        known.join(", ")
    )]
    ClaimColumn {
        /// The claim.
        claim: String,
        /// Name of the column.
        column: String,
        /// The existing columns.
        known: Vec<String>,
    },
    /// A claim is about a row that does not exist.
    #[error("the claim {claim:?} is about {row}, which no row is called")]
    ClaimRow {
        /// The claim.
        claim: String,
        /// Name of the row.
        row: String,
    },
    /// A claim names more or fewer rows than its kind takes.
    #[error("the claim {claim:?} takes {rows}")]
    ClaimRows {
        /// The claim.
        claim: String,
        /// The rows that such a claim takes, in words.
        rows: &'static str,
    },
    /// Published figures are malformed, or there are figures for more rows than the table has.
    #[error(
        "the published figures of {set} are to be [figure] or [figure, ±], row by row, for at \
         most as many rows as there are"
    )]
    Published {
        /// Name of the set.
        set: String,
    },
    /// There are published figures for more columns than the table has.
    #[error("the published figures of {set} are for {published} columns, and there are {columns}")]
    PublishedColumns {
        /// Name of the set.
        set: String,
        /// Number of columns of the published figures.
        published: usize,
        /// Number of columns of the table.
        columns: usize,
    },
}
