//! What came of an experiment of many runs: its record (`result.json`), and its tables in Markdown.

use selfsame_theory::Quantity;
use serde::{Deserialize, Serialize};

use crate::page::signed;
use crate::record::EmbeddingMap;

/// Name of the file that holds an [`Experiment`].
pub const EXPERIMENT_FILE: &str = "result.json";
/// Name of its page.
pub const EXPERIMENT_PAGE: &str = "report.html";
/// Name of its tables as Markdown.
pub const EXPERIMENT_TABLE: &str = "table.md";

/// An experiment and what came of it. (`result.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Experiment {
    /// What it is called.
    pub title: String,
    /// What a reader must know of it.
    pub about: String,
    /// Version of selfsame, and the commit that it was built from.
    pub selfsame: String,
    /// See there.
    pub commit: String,
    /// The command, word by word.
    pub command: Vec<String>,
    /// The machine that the last command ran on.
    pub machine: String,
    /// Processor threads of a run.
    pub threads: u64,
    /// Runs that it has.
    pub runs: u64,
    /// Runs that are complete.
    pub done: u64,
    /// When the first of these began, and what they took in all, training alone.
    pub started: String,
    /// See there.
    pub seconds: f64,
    /// The tables, one for each set of images.
    pub tables: Vec<ResultTable>,
    /// Where encoders put the test images, each with its name. Only the page has them.
    #[serde(skip)]
    pub maps: Vec<(String, EmbeddingMap)>,
}

/// A table of the experiment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultTable {
    /// The images.
    pub name: String,
    /// Where the published figures are from.
    pub source: Option<String>,
    /// Its columns.
    pub columns: Vec<ResultColumn>,
    /// Its rows.
    pub rows: Vec<ResultRow>,
    /// What became of each claim.
    pub findings: Vec<Finding>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultColumn {
    /// What it is called.
    pub name: String,
    /// Digits behind the point.
    pub digits: usize,
    /// Whether smaller figures are better.
    pub smaller_is_better: bool,
    /// Whether it may be drawn with the others: they are all of one kind.
    pub drawn: bool,
    /// Kendall's τ between our order of the rows and another: see [`against`](Self::against).
    pub agreement: Option<Quantity>,
    /// What that is: the published order, or that of the measured column.
    pub against: String,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultRow {
    /// What it is called.
    pub name: String,
    /// One figure a column, where there is one.
    pub figures: Vec<Option<Figure>>,
}

/// The mean over seeds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figure {
    /// The mean.
    pub mean: f64,
    /// Half of its 95 % interval over seeds (Student's t), or of the one that the measure itself gives; none for one seed.
    pub half: Option<f64>,
    /// Seeds it is over.
    pub seeds: u64,
    /// The published figure, and what stands behind its ±.
    pub published: Option<(f64, Option<f64>)>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Finding {
    /// The claim.
    pub claim: String,
    /// The verdict, in words.
    pub verdict: String,
    /// Columns in which it holds in the means.
    pub holds: u64,
    /// Of those, in which it is beyond the noise of seeds.
    pub clear: u64,
    /// Columns that it was looked for in.
    pub of: u64,
}

impl Figure {
    /// As it is printed, with the published figure in brackets.
    pub fn text(&self, digits: usize) -> String {
        let with = |mean: f64, half: Option<f64>| match half {
            Some(half) => format!("{mean:.digits$} ±{half:.digits$}"),
            None => format!("{mean:.digits$}"),
        };
        with(self.mean, self.half)
    }
}

impl ResultTable {
    /// The table in Markdown: ours, and below it, where there are any, the published figures.
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
        let published: Vec<bool> = (0..self.columns.len()).map(|column| self.has_published(column)).collect();
        let mut head = vec![String::new()];
        for (column, published) in self.columns.iter().zip(&published) {
            head.push(column.name.clone());
            head.extend(published.then(|| "published".to_owned()));
        }
        let mut lines = vec![head];
        for row in &self.rows {
            let mut line = vec![row.name.clone()];
            for ((column, figure), published) in self.columns.iter().zip(&row.figures).zip(&published) {
                let text = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
                line.push(text(figure.as_ref().map(|figure| figure.text(column.digits))));
                let theirs = || text(figure.as_ref().and_then(|figure| Some(published_text(figure.published?))));
                line.extend(published.then(theirs));
            }
            lines.push(line);
        }
        markdown(&lines)
    }

    /// Whether a figure of the column has a published one beside it.
    fn has_published(&self, column: usize) -> bool {
        let mut figures = self.rows.iter().filter_map(|row| row.figures.get(column)?.as_ref());
        figures.any(|figure| figure.published.is_some())
    }
}

/// A published figure, with the digits it was published with.
pub(crate) fn published_text((mean, half): (f64, Option<f64>)) -> String {
    half.map_or_else(|| format!("{mean}"), |half| format!("{mean:.2} ±{half:.2}"))
}

impl Experiment {
    /// Title, tables and verdicts in Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n{}\n", self.title, self.about);
        for table in &self.tables {
            text += "\n";
            if !table.name.is_empty() {
                text += &format!("## {}\n\n", table.name);
            }
            text += &table.markdown();
            if let Some(source) = &table.source {
                text += &format!("\nPublished: {source}.\n");
            }
            let agreements: Vec<String> = table.columns.iter().filter_map(ResultColumn::agreement).collect();
            if !agreements.is_empty() || !table.findings.is_empty() {
                text += "\n";
            }
            for finding in &table.findings {
                text += &format!("- **{}**: {}\n", finding.claim, finding.verdict);
            }
            for agreement in agreements {
                text += &format!("- {agreement}\n");
            }
        }
        text
    }
}

impl ResultColumn {
    /// How well its order agrees with the other, in words.
    pub fn agreement(&self) -> Option<String> {
        use selfsame_theory::Trust;
        let Quantity { value, trust } = self.agreement.as_ref()?;
        let interval = match trust {
            Trust::Estimate { low: Some(low), high: Some(high), .. } => {
                format!(" (95 %: {} to {})", signed(*low, 2), signed(*high, 2))
            }
            _ => String::new(),
        };
        Some(format!("{}: Kendall's τ with {} is {}{interval}.", self.name, self.against, signed(*value, 2)))
    }
}

/// Lines of cells as a table, the first line its head, all columns but the first to the right.
fn markdown(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match column {
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
    lines.first().map(line).unwrap_or_default() + &rule + &lines[1..].iter().map(line).collect::<String>()
}
