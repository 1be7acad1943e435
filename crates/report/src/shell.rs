/// Quotes a word, if necessary, so that it can be pasted into a shell.
///
/// ```
/// assert_eq!(selfsame_report::quoted("runs/glyphs"), "runs/glyphs");
/// assert_eq!(selfsame_report::quoted("my run"), "'my run'");
/// assert_eq!(selfsame_report::quoted("it's"), r"'it'\''s'");
/// assert_eq!(selfsame_report::quoted(""), "''");
/// ```
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/\\._-:+@%=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
