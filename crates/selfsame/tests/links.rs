//! Every relative link of the documentation leads somewhere.

use std::path::{Path, PathBuf};

/// The Markdown files of the repository, but for what builds leave behind.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "runs", ".git", "node_modules"].contains(&name.as_str()) {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// What stands in parentheses behind the brackets of a link or a picture, outside of code.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let outside_code = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        for rest in outside_code.split("](").skip(1) {
            found.extend(rest.split(')').next().map(str::to_owned));
        }
    }
    found
}

#[test]
fn every_relative_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    pages(&root, &mut all);
    let (mut checked, mut broken) = (0, Vec::new());
    for page in all {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in targets(&text) {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            checked += 1;
            if !page.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(checked > 40, "only {checked} links were found: is the search still right?");
}

#[test]
fn links_are_found_and_code_is_not() {
    let text = "[a](b.md) and ![c](d.png#e)\n```\n[no](code)\n```\n`[no](code)` [f](g)";
    assert_eq!(targets(text), ["b.md", "d.png#e", "g"]);
}
