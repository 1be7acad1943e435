//! Paths and commands as text.

use std::path::Path;

use selfsame::data::Dataset;

/// Returns the command as it was typed, without the folder of the program.
pub fn typed() -> Vec<String> {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("selfsame".to_owned()).chain(words).collect()
}

/// Returns a text as a terminal may show it: names of files can hold what a terminal obeys.
pub fn visible(text: &str) -> String {
    let visible = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    text.chars().map(visible).collect()
}

/// Returns a text on one line, as a terminal may show it: names of files can hold line breaks.
pub fn one_line(text: &str) -> String {
    visible(&text.replace('\n', "\u{fffd}"))
}

/// Converts a path to text for people and JSON, even if it is not valid UTF-8.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Quotes a path so that it can be pasted into a shell.
pub fn quoted(path: &Path) -> String {
    selfsame::report::quoted(&shown(path))
}

/// Returns the option that says what crops of a set are drawn from, word by word. It is left out if
/// it was not `asked` for and makes no difference.
pub fn source_words(asked: Option<u32>, dataset: &Dataset) -> Vec<String> {
    match dataset.source_size() {
        size if asked.is_none() && size == dataset.image_size => Vec::new(),
        size => vec!["--source-size".to_owned(), size.to_string()],
    }
}
