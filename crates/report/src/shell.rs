/// Quotes a word, if necessary, so that it can be pasted into a shell.
///
/// ```
/// assert_eq!(selfsame_report::quoted("runs/glyphs"), "runs/glyphs");
/// assert_eq!(selfsame_report::quoted("my run"), "'my run'");
/// ```
pub fn quoted(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_alphanumeric() || "/\\._-:+@%".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
