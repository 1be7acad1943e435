//! The command `selfsame`.

mod args;
mod commands;
mod mend;
mod options;
mod terminal;
mod words;

use std::process::ExitCode;

use clap::Parser;

use crate::terminal::status;

/// A mistake in the request, as opposed to a failure of the work. The exit code is then 2 rather
/// than 1.
#[derive(Debug)]
struct Misuse(String);

impl std::fmt::Display for Misuse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// Builds an error that ends the program with exit code 2.
fn misuse(message: impl std::fmt::Display) -> anyhow::Error {
    Misuse(message.to_string()).into()
}

fn main() -> ExitCode {
    let args = args::Args::parse();
    match commands::run(args) {
        Ok(code) => match terminal::lost() {
            Some(error) => {
                status(format_args!("error: standard output: {error}"));
                ExitCode::FAILURE
            }
            None => code,
        },
        Err(error) => {
            let of_library = error.downcast_ref::<selfsame::Error>();
            let mend = of_library.and_then(mend::mend).map(|mend| format!("; {mend}"));
            status(format_args!("error: {}{}", one_line(&error), mend.unwrap_or_default()));
            let misuse = error.is::<Misuse>() || of_library.is_some_and(|e| e.is_misuse());
            ExitCode::from(if misuse { 2 } else { 1 })
        }
    }
}

/// Formats an error and its causes on one line. Some errors already include their cause, and some
/// have several lines.
fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.downcast_ref().map_or_else(|| cause.to_string(), mend::say);
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}
