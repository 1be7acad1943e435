//! Tables as CSV.

/// Formats a CSV field, quoted if necessary (RFC 4180).
pub fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
