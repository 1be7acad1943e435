//! Paths and commands as text.

use std::path::Path;

/// The command as it was typed, whatever file the program lies in.
pub fn typed() -> Vec<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("selfsame".to_owned()).chain(words).collect()
}

/// A path for people and JSON, whatever bytes it is made of.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A path as it can be pasted into a shell.
pub fn quoted(path: &Path) -> String {
    selfsame::report::quoted(&shown(path))
}
