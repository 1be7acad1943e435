//! The grid that the documentation shows is one.

#[allow(dead_code, reason = "a grid has its own small settings")]
mod common;

use common::{run, said};

#[test]
fn the_documented_grid_runs() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/grids.md"))
        .unwrap();
    let grid = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("it shows a grid");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("colour.toml");
    // As it stands but for its size.
    let small = grid
        .replace("epochs = 5", "epochs = 1\nlimit = 60\nbatch = 16")
        .replace("seeds = [0, 1]", "seeds = [0]");
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

const GRID: &str = "title = 'T'\nabout = 'A.'\nseeds = [0]\n[all]\nlimit = 60\nimage-size = \
                    16\nwidth = 2\nbatch = 12\n\
    epochs = 1\n[[rows]]\nmethod = 'simclr'\n[[rows]]\nmethod = 'byol'\n[[rows]]\nmethod = \
    'simsiam'\n\
    [[rows]]\nmethod = 'vicreg'\n";

fn reproduce(folder: &std::path::Path, grid: &str, more: &[&str]) -> std::process::Output {
    let file = folder.join("grid.toml");
    std::fs::write(&file, grid).unwrap();
    let out = format!("--out={}", folder.join("runs").display());
    run([&["reproduce", file.to_str().unwrap(), &out], more].concat())
}

#[test]
fn what_cannot_be_is_refused_before_there_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for (grid, more, hint) in [
        (GRID.to_owned(), &["--data", "nowhere.tar"][..], "there is no file or folder nowhere.tar"),
        (GRID.to_owned(), &["--with", "method=byol"], "differ in method"),
        (GRID.to_owned(), &["--with", "seed=4"], "seed"),
        (GRID.replace("[0]", "[0, 0]"), &[], "the seed 0 is named twice"),
    ] {
        for dry in [&[][..], &["--dry-run"]] {
            let output = reproduce(folder.path(), &grid, &[more, dry].concat());
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            assert!(said(&output).contains(hint), "{}", said(&output));
            assert!(!folder.path().join("runs").exists());
        }
    }
}

#[test]
fn where_the_first_runs_all_fail_the_others_are_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    // A folder that is there, and in which there are no images.
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let output = reproduce(folder.path(), GRID, &["--data", empty.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("the first runs have all failed"), "{}", said(&output));
    assert_eq!(folder.path().join("runs/logs").read_dir().unwrap().count(), 3);
}
