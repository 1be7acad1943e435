//! Running the program itself.

use std::path::Path;
use std::process::{Command, Output};

/// The program with these arguments.
pub fn selfsame<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selfsame"));
    command.args(args);
    command
}

/// Runs it to its end.
pub fn run<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    selfsame(args).output().unwrap()
}

/// Arguments of a training so small that it ends within seconds.
#[allow(dead_code, reason = "each file of tests is a crate, and not every one trains this")]
pub fn small(verb: &str, out: &Path) -> Vec<String> {
    let settings =
        "--limit 60 --image-size 16 --width 2 --batch 12 --epochs 6 --knn-every 2 --save-every 0";
    let mut args = vec![verb.to_owned(), "--out".to_owned(), out.display().to_string()];
    args.extend(settings.split(' ').map(str::to_owned));
    args
}

/// What it said, for a failed assertion.
pub fn said(output: &Output) -> String {
    format!(
        "exit {:?}\n{}\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
