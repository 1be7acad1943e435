//! A crate depends on lower layers only, as ARCHITECTURE.md's table says.

use std::collections::BTreeMap;
use std::path::Path;

/// The table of ARCHITECTURE.md: crate folder to layer.
fn layers(root: &Path) -> BTreeMap<String, u32> {
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    text.lines()
        .filter_map(|line| {
            let mut cells = line.trim_start_matches('|').split('|').map(str::trim);
            let layer = cells.next()?.parse().ok()?;
            Some((cells.next()?.trim_matches('`').to_owned(), layer))
        })
        .collect()
}

#[test]
fn crates_depend_on_lower_layers_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let layers = layers(&root);
    let mut folders: Vec<String> = std::fs::read_dir(root.join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    assert_eq!(
        folders,
        layers.keys().cloned().collect::<Vec<_>>(),
        "the table and crates/ name the same crates"
    );

    for folder in &folders {
        let text =
            std::fs::read_to_string(root.join("crates").join(folder).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let names = manifest
                .get(section)
                .and_then(|table| table.as_table())
                .into_iter()
                .flat_map(|t| t.keys());
            let own = |name: &String| match name.as_str() {
                "selfsame" => Some("selfsame".to_owned()),
                name => name.strip_prefix("selfsame-").map(str::to_owned),
            };
            for dependency in names.filter_map(own) {
                assert!(
                    layers[&dependency] < layers[folder],
                    "{folder} ({section}) must not depend on {dependency}"
                );
            }
        }
    }
}
