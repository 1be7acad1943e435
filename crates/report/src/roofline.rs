//! Results of `selfsame bench ops`: how near each operation comes to the machine's limits.

use serde::{Deserialize, Serialize};

/// Name of the file that holds a [`Roofline`].
pub const ROOFLINE_FILE: &str = "roofline.json";
/// Name of the page of a [`Roofline`].
pub const ROOFLINE_PAGE: &str = "roofline.html";

/// The operations of a training step, each compared with the limits of the machine (Williams et al.
/// 2009).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Roofline {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word.
    pub command: Vec<String>,
    /// The processor.
    pub machine: String,
    /// Instruction set.
    pub isa: String,
    /// Number of threads.
    pub threads: u64,
    /// Description of what is trained.
    pub subject: String,
    /// Number of views per step.
    pub views: u64,
    /// Floating-point operations per second of all threads, from registers alone.
    pub peak_operations: f64,
    /// Bytes per second that all threads read and write, from memory to memory.
    pub peak_bytes: f64,
    /// The operations, in the order of the network.
    pub operations: Vec<Operation>,
    /// Seconds per whole step.
    pub step_seconds: f64,
}

/// One operation of the step.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// Name of the operation.
    pub name: String,
    /// Number of times that the operation occurs in a step.
    pub times: u64,
    /// Seconds per execution.
    pub seconds: f64,
    /// Number of floating-point operations, products and sums, per execution.
    pub operations: f64,
    /// Number of bytes read and written per execution, each counted once.
    pub bytes: f64,
}

impl Operation {
    /// Returns the number of floating-point operations per byte.
    pub fn intensity(&self) -> f64 {
        self.operations / self.bytes
    }
}

impl Roofline {
    /// Returns the least number of seconds that an operation can take on this machine, and whether
    /// memory sets that limit.
    pub fn limit(&self, operation: &Operation) -> (f64, bool) {
        let (compute, memory) =
            (operation.operations / self.peak_operations, operation.bytes / self.peak_bytes);
        (compute.max(memory), memory > compute)
    }

    /// Returns the least number of seconds that all operations of a step can take.
    pub fn least(&self) -> f64 {
        self.operations
            .iter()
            .map(|operation| operation.times as f64 * self.limit(operation).0)
            .sum()
    }

    /// Returns the seconds of all operations of a step.
    pub fn sum(&self) -> f64 {
        self.operations.iter().map(|operation| operation.times as f64 * operation.seconds).sum()
    }

    /// Formats the machine, the table of operations and the totals of a step for a terminal.
    pub fn text(&self) -> String {
        let Self { subject, machine, threads, views, .. } = self;
        let [compute, memory] = [self.peak_operations, self.peak_bytes].map(|peak| peak / 1e9);
        let [step, sum, least] = [self.step_seconds, self.sum(), self.least()].map(|s| 1e3 * s);
        format!(
            "ops      {subject}, {machine}, {threads} threads\n\
             \x20        at best {compute:.0} GFLOP/s from registers, {memory:.1} GB/s from memory \
             to memory\n\
             {}\n\
             \x20        a step of {views} views takes {step:.0} ms; one by one, their inputs in \
             the cache, these operations take {sum:.0} ms, and at the limit {least:.0} ms",
            self.table()
        )
    }

    /// Formats the operations as a Markdown table, each with its proportion of its limit.
    ///
    /// ```
    /// use selfsame_report::roofline::{Operation, Roofline};
    ///
    /// let half = Operation { name: "x".into(), times: 2, seconds: 2.0, operations: 1e12, bytes: 1e9 };
    /// let roofline = Roofline { peak_operations: 1e12, peak_bytes: 1e10, operations: vec![half], ..Roofline::default() };
    /// assert_eq!(roofline.least(), 2.0);
    /// assert!(roofline.table().contains("| x | 2 | 4000.0 | 500.0 | 50% | 0.5 | 5% | compute | 50% |"));
    /// ```
    pub fn table(&self) -> String {
        let mut text = String::from(
            "| operation | times | ms a step | GFLOP/s | of compute | GB/s | of memory | limit | \
             of the limit |\n\
             |---|---:|---:|---:|---:|---:|---:|---|---:|\n",
        );
        for operation in &self.operations {
            let Operation { name, times, seconds, operations, bytes } = operation;
            let (least, memory) = self.limit(operation);
            text += &format!(
                "| {name} | {times} | {:.1} | {:.1} | {:.0}% | {:.1} | {:.0}% | {} | {:.0}% |\n",
                1e3 * *times as f64 * seconds,
                operations / seconds / 1e9,
                100.0 * operations / seconds / self.peak_operations,
                bytes / seconds / 1e9,
                100.0 * bytes / seconds / self.peak_bytes,
                if memory { "memory" } else { "compute" },
                100.0 * least / seconds,
            );
        }
        text
    }
}
