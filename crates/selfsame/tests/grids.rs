//! The grid that the documentation shows is one.

mod common;

use common::{run, said};

#[test]
fn the_documented_grid_runs() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/grids.md")).unwrap();
    let grid = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it shows a grid");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("colour.toml");
    // As it stands but for its size.
    let small =
        grid.replace("epochs = 5", "epochs = 1\nlimit = 60\nbatch = 16").replace("seeds = [0, 1]", "seeds = [0]");
    std::fs::write(&file, small).unwrap();
    let out = folder.path().join("runs");
    let output = run([
        "reproduce".to_owned(),
        file.display().to_string(),
        format!("--out={}", out.display()),
        "--json".to_owned(),
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["runs"], &result["done"]), (&4.into(), &4.into()), "{result}");
    let table = std::fs::read_to_string(out.join("table.md")).unwrap();
    for shown in ["crop and colour", "width 4", "width 8", "Colour helps"] {
        assert!(table.contains(shown), "{table}");
    }
}
