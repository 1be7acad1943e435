//! The results of an experiment of many runs: its record (`result.json`), and its tables in
//! Markdown.

use std::collections::BTreeMap;
use std::fmt;

use selfsame_theory::Quantity;
use serde::{Deserialize, Serialize};

use crate::format::{about, signed};
use crate::record::{EmbeddingMap, Representation};

/// Name of the file that holds an [`Experiment`].
pub const EXPERIMENT_FILE: &str = "result.json";
/// Name of the page of an [`Experiment`].
pub const EXPERIMENT_PAGE: &str = "report.html";
/// Name of the Markdown file with the tables of an [`Experiment`].
pub const EXPERIMENT_TABLE: &str = "table.md";

/// An experiment and its results. (`result.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Experiment {
    /// Title of the experiment.
    pub title: String,
    /// Introduction for readers.
    pub about: String,
    /// Version of selfsame.
    pub selfsame: String,
    /// Commit that selfsame was built from.
    pub commit: String,
    /// The command, word by word.
    pub command: Vec<String>,
    /// The machines that runs were trained on. Empty if runs did not record them.
    pub machines: Vec<String>,
    /// Number of processor threads of a run.
    pub threads: u64,
    /// Number of runs in the experiment.
    pub runs: u64,
    /// Number of runs that are complete.
    pub done: u64,
    /// Start of the earliest complete run.
    pub started: String,
    /// Seconds that the complete runs took in total, training alone.
    pub seconds: f64,
    /// The tables, one for each set of images.
    pub tables: Vec<ResultTable>,
    /// The grid of the experiment. Its fields are those of a grid's TOML file.
    pub grid: serde_json::Value,
    /// Results of each complete run.
    pub outcomes: Vec<Outcome>,
    /// The command of the forecast, word by word. `None` if the grid has no forecast or the
    /// forecast is not made yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Vec<String>>,
    /// Names of the runs that failed in this execution; `forecast` stands for the forecast. They
    /// are not stored in a file: running the grid again tries these runs again.
    #[serde(skip)]
    pub failed: Vec<String>,
    /// Embedding maps of the test images, each with its name. Only the page has them.
    #[serde(skip)]
    pub maps: Vec<(String, EmbeddingMap)>,
}

/// Results of one run of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// Folder of the run, within that of the experiment.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// Name of the run's set of images. Empty if the experiment has a single set without a name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub set: String,
    /// Name of the run's row.
    pub row: String,
    /// Name of the run's column. Empty if the columns are the measured quantities.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub column: String,
    /// Seed of the run.
    pub seed: u64,
    /// kNN accuracy on the test split after training, as a fraction of 1.
    pub knn_acc1: f64,
    /// Accuracy of a linear probe on the test split after training, as a fraction of 1.
    pub linear_acc1: f64,
    /// Accuracy of the nearest class centre on the test split after training, as a fraction of 1.
    pub centre_acc1: f64,
    /// kNN accuracy on the test split before training.
    pub untrained_knn_acc1: f64,
    /// kNN accuracies on the test split of the baselines without an encoder, such as raw pixels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub baselines_knn_acc1: BTreeMap<Representation, f64>,
    /// kNN accuracies on the validation split, each with the epoch after which it was measured.
    pub val_knn_acc1: Vec<(f64, f64)>,
    /// Effective rank of the test images' embeddings after training.
    pub rankme: Option<f64>,
    /// Effective rank of the test images' embeddings before training.
    pub untrained_rankme: Option<f64>,
    /// Effective rank of the outputs of the last batch.
    pub output_rank_me: Option<f64>,
    /// Standard deviation of the outputs of the last batch.
    pub output_std: Option<f64>,
    /// When and how the outputs collapsed. `None` if they did not.
    pub collapse: Option<String>,
    /// Number of epochs of training.
    pub epochs: u64,
    /// The machines that the run was trained on. Empty if the run did not record them.
    pub machines: Vec<String>,
    /// Data type of the stored activations. Empty if the run did not record it.
    pub precision: String,
    /// Seconds of training.
    pub seconds: f64,
    /// Start of the run.
    pub started: String,
}

/// An estimate of how long the remaining runs of an experiment will take.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Estimate {
    /// Name of the grid, or its file.
    pub grid: String,
    /// Number of runs in the shard.
    pub runs: u64,
    /// Number of runs in the shard that are not done.
    pub left: u64,
    /// Seconds that the remaining runs take in total.
    pub seconds: f64,
    /// Number of processor threads of a run.
    pub threads: u64,
    /// Number of kinds of run that were timed.
    pub kinds_timed: u64,
    /// Estimates of the runs that are not done.
    pub cells: Vec<RunEstimate>,
    /// Number of steps that were timed per kind.
    #[serde(skip)]
    pub steps_timed: u64,
    /// The shard that the estimate covers: part I of N of the runs.
    #[serde(skip)]
    pub shard: (u64, u64),
    /// Whether a forecast has to be made too. Its time is not in [`seconds`](Self::seconds).
    #[serde(skip)]
    pub forecast_missing: bool,
}

/// An estimate of how long a run will take.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RunEstimate {
    /// Name of the run.
    pub run: String,
    /// Seconds of training.
    pub training_seconds: f64,
    /// Seconds to measure the encoder at the end.
    pub measuring_seconds: f64,
}

impl Estimate {
    /// Formats the estimate in words.
    ///
    /// ```
    /// use selfsame_report::experiment::Estimate;
    ///
    /// let estimate = Estimate {
    ///     grid: "table1".into(),
    ///     runs: 20,
    ///     left: 18,
    ///     seconds: 7200.0,
    ///     threads: 2,
    ///     kinds_timed: 8,
    ///     steps_timed: 3,
    ///     shard: (1, 1),
    ///     ..Estimate::default()
    /// };
    /// let text = "table1: 20 runs, 2 done\n  the 18 left take about 2 hours on 2 threads of this \
    ///             machine: 3 steps of 8 kinds of run were timed, and one evaluation";
    /// assert_eq!(estimate.text(), text);
    /// ```
    pub fn text(&self) -> String {
        let Self { grid, runs, left, kinds_timed, steps_timed, .. } = self;
        let part = match self.shard {
            (_, 0 | 1) => String::new(),
            (part, parts) => format!(" of part {part}/{parts}"),
        };
        let done = match runs - left {
            0 => String::new(),
            done => format!(", {done} done"),
        };
        let mut text = format!("{grid}: {runs} runs{part}{done}");
        if *left > 0 {
            let threads = match self.threads {
                1 => "one thread".to_owned(),
                threads => format!("{threads} threads"),
            };
            text += &format!(
                "\n  the {left} left take about {} on {threads} of this machine: {steps_timed} \
                 steps of {kinds_timed} kinds of run were timed, and one evaluation",
                about(self.seconds)
            );
        }
        if self.forecast_missing {
            text += "\n  the forecast comes on top";
        }
        text
    }
}

/// A table of the experiment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultTable {
    /// Name of the set of images.
    pub name: String,
    /// Source of the published figures.
    pub source: Option<String>,
    /// Columns of the table.
    pub columns: Vec<ResultColumn>,
    /// Rows of the table.
    pub rows: Vec<ResultRow>,
    /// Results of the claims.
    pub findings: Vec<Finding>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultColumn {
    /// Name of the column.
    pub name: String,
    /// Number of digits after the decimal point.
    pub digits: usize,
    /// Whether smaller figures are better.
    pub smaller_is_better: bool,
    /// Whether the column may be drawn together with the other drawn columns: its figures are
    /// percentages, all of them of accuracies or all of errors.
    pub drawn: bool,
    /// Kendall's τ between the order of the rows in this column and the order named by
    /// [`against`](Self::against).
    pub agreement: Option<Quantity>,
    /// The order that this column is compared with. `None` if there is no agreement.
    pub against: Option<Order>,
}

/// An order of rows that a column's order is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The order of the published figures.
    Published,
    /// The order of the first measured column. It is used for a column that was known before
    /// training.
    Measured,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Published => "the published order",
            Self::Measured => "the measured order",
        })
    }
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultRow {
    /// Name of the row.
    pub name: String,
    /// One figure per column. `None` if the row has no figure in that column.
    pub figures: Vec<Option<Figure>>,
}

/// A mean over seeds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figure {
    /// The mean.
    pub mean: f64,
    /// Half of the mean's 95 % interval over seeds (Student's t), or of the interval that the
    /// measure itself gives. `None` for one seed.
    pub half: Option<f64>,
    /// Number of seeds that the mean is over.
    pub seeds: u64,
    /// The published figure, and the number after its ±.
    pub published: Option<(f64, Option<f64>)>,
}

/// The result of a claim, over the columns in which it was judged.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Finding {
    /// The claim, in the words of the grid.
    pub claim: String,
    /// Number of columns in which the claim holds for the means.
    pub holds: u64,
    /// Number of columns in which the claim holds beyond the noise of seeds. [`holds`](Self::holds)
    /// counts them too.
    pub clear: u64,
    /// Number of columns in which the claim could be judged.
    pub of: u64,
    /// Names of the columns in which the claim holds, but by no more than chance explains.
    pub unclear: Vec<String>,
    /// Columns in which the claim does not hold.
    pub fails: Vec<Failure>,
}

/// A column in which a claim does not hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Failure {
    /// Name of the column.
    pub column: String,
    /// The differences that contradict the claim in this column.
    pub gaps: Vec<Gap>,
}

/// A difference between means that contradicts a claim. All differences are in the unit of the
/// column, and positive if the row named first is the better one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Gap {
    /// A row does not come before another row, although the claim orders them so.
    Behind {
        /// The row that should be better.
        row: String,
        /// The row that should be worse.
        other: String,
        /// Amount by which `other` is better; 0 if the rows are level.
        by: f64,
    },
    /// Another step between neighbouring rows gains at least as much as the step that the claim
    /// calls the largest.
    LargerStep {
        /// The upper row of the other step.
        row: String,
        /// The row below the upper row.
        over: String,
        /// Gain of the other step.
        gains: f64,
        /// Gain of the claimed step.
        claimed: f64,
    },
    /// Some rows are as good as the row that should be best, or better.
    NotBest {
        /// Number of those rows.
        rows: u64,
        /// Number of rows compared.
        of: u64,
        /// The best of those rows.
        furthest: String,
        /// Amount by which the best of those rows is ahead.
        by: f64,
    },
    /// Some rows are as bad as the row that should be worst, or worse.
    NotWorst {
        /// Number of those rows.
        rows: u64,
        /// Number of rows compared.
        of: u64,
        /// The worst of those rows.
        furthest: String,
        /// Amount by which the worst of those rows is below.
        by: f64,
    },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind { row, other, by: 0.0 } => write!(f, "{row} is level with {other}"),
            Self::Behind { row, other, by } => {
                write!(f, "{row} is {} behind {other}", signed(*by, 1))
            }
            Self::LargerStep { row, over, gains, claimed } => {
                let [gains, claimed] = [gains, claimed].map(|gain| signed(*gain, 1));
                write!(f, "{row} over {over} gains {gains}, this {claimed}")
            }
            Self::NotBest { rows, of, furthest, by } => {
                let by = signed(*by, 1);
                write!(f, "{rows} of {of} are ahead or level, {furthest} the most, by {by}")
            }
            Self::NotWorst { rows, of, furthest, by } => {
                let by = signed(*by, 1);
                write!(f, "{rows} of {of} are below or level, {furthest} the most, by {by}")
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gaps: Vec<String> = self.gaps.iter().map(Gap::to_string).collect();
        write!(f, "{} ({})", self.column, gaps.join("; "))
    }
}

impl Finding {
    /// Returns whether the claim holds in some column, and beyond the noise of seeds in every column
    /// in which it holds. With one seed, nothing measured is beyond the noise.
    pub fn is_clear(&self) -> bool {
        self.holds > 0 && self.clear == self.holds
    }

    /// Describes the result of the claim in words.
    ///
    /// ```
    /// use selfsame_report::experiment::{Failure, Finding, Gap};
    ///
    /// let gap = Gap::Behind { row: "a b".into(), other: "a".into(), by: 0.5 };
    /// let finding = Finding {
    ///     claim: "More is better".into(),
    ///     holds: 1,
    ///     of: 2,
    ///     unclear: vec!["MoCo".into()],
    ///     fails: vec![Failure { column: "SimSiam".into(), gaps: vec![gap] }],
    ///     ..Finding::default()
    /// };
    /// let words = "holds in 1 of 2, no further than chance may go in MoCo; not in SimSiam (a b is \
    ///              0.5 behind a)";
    /// assert_eq!(finding.verdict(), words);
    /// ```
    pub fn verdict(&self) -> String {
        if self.of == 0 {
            return "no run to tell by yet".to_owned();
        }
        let mut words = format!("holds in {} of {}", self.holds, self.of);
        if !self.unclear.is_empty() {
            words += &format!(", no further than chance may go in {}", self.unclear.join(", "));
        }
        if !self.fails.is_empty() {
            let fails: Vec<String> = self.fails.iter().map(Failure::to_string).collect();
            words += &format!("; not in {}", fails.join(", "));
        }
        words
    }
}

impl Figure {
    /// Returns half of the interval if it says anything. The interval of two seeds does not: it is
    /// nine times as wide as their distance from the mean would be with many.
    pub fn half(&self) -> Option<f64> {
        self.half.filter(|_| self.seeds != 2)
    }

    /// Formats the mean with `digits` decimals, followed by ± and half of its interval, or by a
    /// note if there are only two seeds.
    pub fn text(&self, digits: usize) -> String {
        let mean = signed(self.mean, digits);
        match self.half() {
            Some(half) => format!("{mean} ±{half:.digits$}"),
            None if self.seeds == 2 => format!("{mean} (2 seeds)"),
            None => mean,
        }
    }
}

impl ResultTable {
    /// Formats the table in Markdown. If a column of ours has published figures, they follow to the
    /// right of it.
    ///
    /// ```
    /// use selfsame_report::experiment::{Figure, ResultColumn, ResultRow, ResultTable};
    ///
    /// let figure = Figure { mean: 45.0, half: Some(1.25), seeds: 3, published: None };
    /// let column = ResultColumn { name: "SimCLR".into(), digits: 2, ..ResultColumn::default() };
    /// let row = ResultRow { name: "a b".into(), figures: vec![Some(figure)] };
    /// let table = ResultTable { columns: vec![column], rows: vec![row], ..ResultTable::default() };
    /// let lines = ["|     |      SimCLR |", "| --- | ----------: |", "| a b | 45.00 ±1.25 |"];
    /// assert_eq!(table.markdown().lines().collect::<Vec<_>>(), lines);
    /// ```
    pub fn markdown(&self) -> String {
        let digits = self.published_digits();
        let published: Vec<bool> =
            (0..self.columns.len()).map(|column| self.has_published(column)).collect();
        let mut head = vec![String::new()];
        for (column, published) in self.columns.iter().zip(&published) {
            head.push(column.name.clone());
            head.extend(published.then(|| "published".to_owned()));
        }
        let mut lines = vec![head];
        for row in &self.rows {
            let mut line = vec![row.name.clone()];
            for ((column, figure), published) in
                self.columns.iter().zip(&row.figures).zip(&published)
            {
                let text = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
                line.push(text(figure.as_ref().map(|figure| figure.text(column.digits))));
                let theirs = || {
                    text(
                        figure
                            .as_ref()
                            .and_then(|figure| Some(published_text(figure.published?, digits))),
                    )
                };
                line.extend(published.then(theirs));
            }
            lines.push(line);
        }
        markdown(&lines)
    }

    /// Returns the number of decimals that the figures were published with. A table gives all its
    /// figures the same number of decimals; stored as numbers, 83.0 has lost the decimal that 86.2
    /// still has.
    pub(crate) fn published_digits(&self) -> usize {
        let figures = self.rows.iter().flat_map(|row| row.figures.iter().flatten());
        let published = figures.filter_map(|figure| figure.published);
        published
            .map(|(mean, half)| decimals(mean).max(half.map_or(0, decimals)))
            .max()
            .unwrap_or(0)
    }

    /// Returns whether any figure of the column has a published counterpart.
    fn has_published(&self, column: usize) -> bool {
        let mut figures = self.rows.iter().filter_map(|row| row.figures.get(column)?.as_ref());
        figures.any(|figure| figure.published.is_some())
    }
}

/// Formats a published figure with the decimals of its table.
pub(crate) fn published_text((mean, half): (f64, Option<f64>), digits: usize) -> String {
    let mean = signed(mean, digits);
    half.map_or(mean.clone(), |half| format!("{mean} ±{half:.digits$}"))
}

/// Returns the number of decimals that distinguish a number from all others.
fn decimals(value: f64) -> usize {
    value.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len())
}

impl Experiment {
    /// Formats title, tables and verdicts in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n", plain(&self.title), plain(&self.about));
        for table in &self.tables {
            text += "\n";
            if !table.name.is_empty() {
                text += &format!("## {}\n\n", plain(&table.name));
            }
            text += &table.markdown();
            if let Some(source) = &table.source {
                text += &format!("\nPublished: {}.\n", plain(source));
            }
            let agreements: Vec<String> =
                table.columns.iter().filter_map(ResultColumn::agreement).collect();
            if !agreements.is_empty() || !table.findings.is_empty() {
                text += "\n";
            }
            for finding in &table.findings {
                let (claim, verdict) = (plain(&finding.claim), plain(&finding.verdict()));
                text += &format!("- **{claim}**: {verdict}\n");
            }
            for agreement in agreements {
                text += &format!("- {}\n", plain(&agreement));
            }
        }
        text
    }
}

impl ResultColumn {
    /// Describes how well the column's order agrees with the other order.
    pub fn agreement(&self) -> Option<String> {
        use selfsame_theory::Trust;
        let Quantity { value, trust } = self.agreement.as_ref()?;
        let order = self.against?;
        let interval = match trust {
            Trust::Estimate { low: Some(low), high: Some(high), .. } => {
                format!(" (95%: {} to {})", signed(*low, 2), signed(*high, 2))
            }
            _ => String::new(),
        };
        Some(format!("{}: Kendall's τ with {order} is {}{interval}.", self.name, signed(*value, 2)))
    }
}

/// Writes text so that Markdown shows it as it is: it neither ends the cell of a table nor becomes
/// HTML.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        match letter {
            '<' => plain += "&lt;",
            '>' => plain += "&gt;",
            '&' => plain += "&amp;",
            '\n' | '\r' => plain.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' => plain.extend(['\\', letter]),
            letter => plain.push(letter),
        }
    }
    plain
}

/// Formats lines of cells as a table. The first line is the head; all columns but the first are
/// right-aligned.
fn markdown(lines: &[Vec<String>]) -> String {
    let lines: Vec<Vec<String>> =
        lines.iter().map(|line| line.iter().map(|cell| plain(cell)).collect()).collect();
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |line: &Vec<String>| {
        let cells =
            line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let rule = widths.iter().enumerate().map(|(column, &width)| match column {
        0 => "-".repeat(width),
        _ => format!("{}:", "-".repeat(width - 1)),
    });
    let rule = format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
    lines.first().map(line).unwrap_or_default()
        + &rule
        + &lines[1..].iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_break_no_table_and_are_no_html() {
        let name = "a|b <script>alert(1)</script>\n*c*";
        let column = ResultColumn { name: name.into(), ..ResultColumn::default() };
        let row = ResultRow { name: name.into(), figures: vec![None] };
        let findings = vec![Finding { claim: name.into(), ..Finding::default() }];
        let table = ResultTable {
            columns: vec![column],
            rows: vec![row],
            findings,
            ..ResultTable::default()
        };
        let experiment =
            Experiment { title: name.into(), tables: vec![table], ..Experiment::default() };
        let text = experiment.markdown();
        assert!(!text.contains("<script"), "{text}");
        let bars = |line: &str| line.matches('|').count() - line.matches("\\|").count();
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.iter().map(|row| bars(row)).collect::<Vec<_>>(), [3; 3], "{text}");
        assert!(text.contains("a\\|b &lt;script&gt;alert(1)&lt;/script&gt; \\*c\\*"), "{text}");
    }

    #[test]
    fn two_seeds_have_no_interval() {
        let of = |seeds| Figure { mean: 45.0, half: Some(59.3), seeds, ..Figure::default() };
        assert_eq!(
            [2, 3, 0].map(|seeds| of(seeds).text(1)),
            ["45.0 (2 seeds)", "45.0 ±59.3", "45.0 ±59.3"]
        );
    }

    #[test]
    fn figures_are_printed_with_a_minus_and_published_ones_with_their_digits() {
        let figure = |mean: f64, published| Some(Figure { mean, published, ..Figure::default() });
        assert_eq!(
            Figure { mean: -1.25, half: Some(0.5), ..Figure::default() }.text(1),
            "−1.2 ±0.5"
        );
        let row = |published| ResultRow {
            name: "a".into(),
            figures: vec![figure(-1.0, Some(published))],
        };
        let table = |published: [(f64, Option<f64>); 2]| ResultTable {
            columns: vec![ResultColumn { name: "x".into(), digits: 1, ..ResultColumn::default() }],
            rows: published.map(row).into(),
            ..ResultTable::default()
        };
        let text = table([(83.0, None), (86.2, None)]).markdown();
        assert!(text.contains("| −1.0 |      83.0 |") && text.contains("|      86.2 |"), "{text}");
        let text = table([(83.5, Some(0.1)), (82.0, Some(0.59))]).markdown();
        assert!(text.contains("| 83.50 ±0.10 |") && text.contains("| 82.00 ±0.59 |"), "{text}");
        assert!(table([(83.0, None), (86.0, None)]).markdown().contains("|        83 |"));
    }
}
