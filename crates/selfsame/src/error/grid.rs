//! What is wrong with a grid.

/// Why something is no grid, or not one that can be run as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GridError {
    /// The name is neither that of a grid which comes with the library nor that of a TOML file.
    #[error("no grid is called that; known are {}, and files that end in .toml", known.join(", "))]
    Unknown {
        /// The grids that come with the library.
        known: Vec<&'static str>,
    },
    /// The file cannot be read.
    #[error("{0}")]
    Read(#[from] std::io::Error),
    /// It is no TOML, or not that of a grid.
    #[error("{0}")]
    Parse(#[from] toml::de::Error),
    /// It cannot be written as TOML, such as a seed above 2⁶³.
    #[error("{0}")]
    Write(#[from] toml::ser::Error),
    /// A scale was asked for, and the grid has none.
    #[error("has no scales, so none is called {scale}")]
    NoScales {
        /// The scale.
        scale: String,
    },
    /// The grid has other scales.
    #[error("no scale is called {scale}; it has {}", known.join(", "))]
    UnknownScale {
        /// The scale that was asked for.
        scale: String,
        /// Those that it has.
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
    /// `data` is among the options for all runs; images have an option of their own.
    #[error("images are not an option like others")]
    DataOption,
    /// An option for all runs is one that tells rows or columns apart, whose names would then lie.
    #[error("its rows or columns differ in {key}, so that it cannot be the same in all runs")]
    Varies {
        /// The option.
        key: String,
    },
    /// An option that is typed as `epochs=3` is not.
    #[error("{text:?} names no option and its value, as epochs=3 does")]
    Setting {
        /// What was given.
        text: String,
    },
    /// An option that the grid sets itself.
    #[error("{key} is the grid's own business; leave it out")]
    Reserved {
        /// The option.
        key: &'static str,
    },
    /// A value that no option has, such as a table.
    #[error("{key} = {value} is no option's value")]
    Value {
        /// The option.
        key: String,
        /// Its value.
        value: String,
    },
    /// An option that a run does not have, or not with this value.
    #[error("{cell}: {cause}")]
    Cell {
        /// Name of the run.
        cell: String,
        /// What is wrong.
        cause: String,
    },
    /// There is nothing to run.
    #[error("a grid needs a seed and a row")]
    Empty,
    /// A seed comes twice.
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
    /// A claim is about a column that there is not.
    #[error(
        "the claim {claim:?} looks into {column}, which no column is called; there are {}",
        known.join(", ")
    )]
    ClaimColumn {
        /// The claim.
        claim: String,
        /// Name of the column.
        column: String,
        /// The columns that there are.
        known: Vec<String>,
    },
    /// A claim is about a row that there is not.
    #[error("the claim {claim:?} is about {row}, which no row is called")]
    ClaimRow {
        /// The claim.
        claim: String,
        /// Name of the row.
        row: String,
    },
    /// A claim names more or fewer rows than one of its kind has.
    #[error("the claim {claim:?} takes {rows}")]
    ClaimRows {
        /// The claim.
        claim: String,
        /// The rows that such a claim takes, in words.
        rows: &'static str,
    },
    /// Published figures are not what they should be, or for more rows than there are.
    #[error(
        "the published figures of {set} are to be [figure] or [figure, ±], row by row, for at \
         most as many rows as there are"
    )]
    Published {
        /// Name of the set.
        set: String,
    },
    /// There are published figures for more columns than there are.
    #[error("the published figures of {set} are for {published} columns, and there are {columns}")]
    PublishedColumns {
        /// Name of the set.
        set: String,
        /// Columns of the published figures.
        published: usize,
        /// Columns of the table.
        columns: usize,
    },
}
