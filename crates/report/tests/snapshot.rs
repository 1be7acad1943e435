//! What the pages of three made-up runs say, held against the files in `tests/snapshots`.
//!
//! `UPDATE_PAGES=1 cargo test --release -p selfsame-report --test snapshot` writes these files anew.

use std::path::Path;

#[path = "../examples/demo.rs"]
#[allow(dead_code, reason = "an example has a main function")]
mod demo;

/// The text that a page shows, a line for each piece between two tags.
fn shown(page: &str) -> String {
    let mut lines = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        lines.push(rest[..start].trim());
        let tag = &rest[start..];
        // Neither styles nor scripts are text.
        let end = match ["style", "script"].iter().find(|name| tag[1..].starts_with(**name)) {
            Some(name) => tag.find(&format!("</{name}>")).map(|end| end + name.len() + 3),
            None => tag.find('>').map(|end| end + 1),
        };
        rest = &tag[end.expect("a tag ends")..];
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n") + "\n"
}

#[test]
fn pages_are_as_they_were_seen() {
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let update = std::env::var_os("UPDATE_PAGES").is_some();
    let folder = tempfile::tempdir().unwrap();
    for kind in ["labelled", "unlabelled", "unevaluated"] {
        let text = shown(&demo::demo(&folder.path().join(kind), kind).unwrap());
        let file = snapshots.join(format!("{kind}.txt"));
        if update {
            std::fs::create_dir_all(&snapshots).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        // A checkout may end its lines otherwise.
        let seen = std::fs::read_to_string(&file).unwrap().replace("\r\n", "\n");
        let changed = text.lines().zip(seen.lines()).find(|(now, before)| now != before);
        assert!(
            text == seen,
            "the {kind} page says something else: {changed:?}; look at the page, and if that is \
             meant, write the snapshots anew with UPDATE_PAGES=1"
        );
    }
}

#[test]
fn text_is_what_stands_between_tags() {
    let page =
        "<p>one <b>two</b></p><style>p { x: y }</style><script>let a = 1 < 2;</script>three<br>";
    assert_eq!(shown(page), "one\ntwo\nthree\n");
}
