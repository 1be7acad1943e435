//! What `--help` of each command prints, held against the files in `tests/help`.
//!
//! `UPDATE_HELP=1 cargo test --release -p selfsame-cli --test help` writes these files anew.

#[allow(dead_code, reason = "help trains nothing")]
mod common;

use std::path::Path;

use common::{run, said};

/// Every command, as it is typed.
const COMMANDS: [&str; 25] = [
    "",
    "study",
    "pretrain",
    "methods",
    "eval",
    "certify",
    "neighbours",
    "compare",
    "embed",
    "export",
    "fetch",
    "report",
    "inspect",
    "views",
    "forecast",
    "clique",
    "reproduce",
    "bench",
    "bench augment",
    "bench distance",
    "bench train",
    "bench embed",
    "bench ops",
    "completions",
    "man",
];

/// The help of a command, at the width of a terminal of 100 columns.
fn help(command: &str) -> String {
    let mut words: Vec<&str> = command.split_whitespace().collect();
    words.push("--help");
    let output = common::selfsame(words).env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_is_as_it_was_seen() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let update = std::env::var_os("UPDATE_HELP").is_some();
    for command in COMMANDS {
        let name = if command.is_empty() { "selfsame" } else { command }.replace(' ', "-");
        let file = folder.join(format!("{name}.txt"));
        let printed = help(command);
        if update {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &printed).unwrap();
        }
        // A checkout may end its lines otherwise.
        let seen = std::fs::read_to_string(&file).unwrap_or_default().replace('\r', "");
        assert_eq!(printed, seen, "{}; UPDATE_HELP=1 writes it anew", file.display());
    }
}

#[test]
fn every_command_is_held_against_a_file_and_shows_an_example() {
    for parent in ["", "bench"] {
        let text = help(parent);
        let commands = text.split("Commands:\n").nth(1).unwrap();
        for line in commands.lines().take_while(|line| line.starts_with("  ")) {
            // What continues a description is indented further.
            let Some(verb) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) else {
                continue;
            };
            let verb = verb.split_whitespace().next().unwrap();
            if verb == "help" {
                continue;
            }
            let command = format!("{parent} {verb}").trim().to_owned();
            assert!(COMMANDS.contains(&command.as_str()), "{command}");
            assert!(command == "bench" || help(&command).contains("Example"), "{command}");
        }
    }
}

#[test]
fn completions_and_manual_pages_name_every_option() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(["completions", shell]);
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && script.contains("knn-every"), "{}", said(&output));
    }
    let output = run(["man", "study"]);
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && page.contains("selfsame\\-study"), "{}", said(&output));
    assert!(page.contains("knn\\-every") && page.contains("Examples"), "{page}");
    assert!(String::from_utf8_lossy(&run(["man"]).stdout).contains("selfsame\\-forecast"));
    assert_eq!(run(["man", "stduy"]).status.code(), Some(2));
}
