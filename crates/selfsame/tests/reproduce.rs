//! Grids of runs.

#[allow(dead_code, reason = "a grid has its own small settings")]
mod common;

use std::path::Path;
use std::process::Stdio;

use common::{run, said};
use serde_json::Value;

const GRID: &str = "title = 'Small'\nabout = 'For tests.'\nseeds = [0, 1]\n\
    [all]\nlimit = 60\nimage-size = 16\nwidth = 2\nbatch = 12\nepochs = 2\nknn-every = 0\n\
    [[rows]]\nmethod = 'simclr'\n[[rows]]\nname = 'long queue'\nmethod = 'mocov2'\nset = ['method.queue=64']\n";

fn reproduce(grid: &Path, out: &Path, more: &[&str]) -> std::process::Output {
    let [grid, out] = [grid, out].map(|path| path.display().to_string());
    run([&["reproduce", &grid, "--out", &out], more].concat())
}

/// All that a table is made of, but for the time it took.
fn results(out: &Path) -> Value {
    let mut result: Value = serde_json::from_slice(&std::fs::read(out.join("result.json")).unwrap()).unwrap();
    for outcome in result["outcomes"].as_array_mut().unwrap() {
        outcome["seconds"] = Value::Null;
        outcome["started"] = Value::Null;
    }
    result
}

#[test]
fn shards_make_the_table_of_one_process_and_a_stopped_cell_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let grid = folder.path().join("small.toml");
    std::fs::write(&grid, GRID).unwrap();
    let [whole, shared] = ["whole", "shared"].map(|name| folder.path().join(name));
    let output = reproduce(&grid, &whole, &["--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["outcomes"].as_array().unwrap().len(), 4);
    assert!(std::fs::read_to_string(whole.join("table.md")).unwrap().contains("| long queue "));

    let output = reproduce(&grid, &shared, &["--shard", "2/2"]);
    assert!(output.status.success() && said(&output).contains("2 of 4 runs are done"), "{}", said(&output));
    // As a kill leaves a run before its measurement.
    std::fs::remove_file(shared.join("runs/long-queue-seed1/eval.json")).unwrap();
    for part in ["2/2", "1/2"] {
        let output = reproduce(&grid, &shared, &["--shard", part]);
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(results(&shared), results(&whole));

    // Done is done; other settings are another experiment.
    let output = reproduce(&grid, &shared, &[]);
    assert!(output.status.success() && !said(&output).contains("run 1 of"), "{}", said(&output));
    std::fs::write(&grid, GRID.replace("epochs = 2", "epochs = 3")).unwrap();
    let output = reproduce(&grid, &shared, &[]);
    assert!(output.status.code() == Some(2) && said(&output).contains("--out"), "{}", said(&output));
}

#[test]
fn shards_that_start_together_share_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let grid = folder.path().join("small.toml");
    // Cells that fail at once: it is the start that matters.
    std::fs::write(&grid, GRID.replace("batch = 12", "batch = 1")).unwrap();
    for round in 0..10 {
        let out = folder.path().join(format!("out-{round}"));
        let start = |part: &str| {
            let args = ["reproduce", grid.to_str().unwrap(), "--out", out.to_str().unwrap(), "--shard", part];
            common::selfsame(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        for child in ["1/2", "2/2"].map(start) {
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(1), "round {round}: {}", said(&output));
            assert!(said(&output).contains("2 of the runs failed"), "round {round}: {}", said(&output));
        }
    }
}

#[test]
fn a_run_that_fails_is_named_and_the_others_count() {
    let folder = tempfile::tempdir().unwrap();
    let grid = folder.path().join("small.toml");
    std::fs::write(&grid, GRID.replace("method.queue=64", "method.queue=0").replace("[0, 1]", "[0]")).unwrap();
    let out = folder.path().join("out");
    let output = reproduce(&grid, &out, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("1 of the runs failed: long-queue-seed0"), "{}", said(&output));
    assert!(std::fs::read_to_string(out.join("logs/long-queue-seed0.log")).unwrap().contains("method.queue"));
    assert_eq!(results(&out)["outcomes"].as_array().unwrap().len(), 1);
}

#[test]
fn misuse_names_the_grid_and_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (grid, more, hint) in [
        ("tables", &[][..], "methods-glyphs"),
        ("absent.toml", &[], "absent.toml"),
        ("methods-glyphs", &["--shard", "3/2"], "1/4"),
        ("methods-glyphs", &["--shard", "0/2"], "1/4"),
    ] {
        let output = reproduce(Path::new(grid), &out, more);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(hint), "{}", said(&output));
        assert!(!out.exists());
    }
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("thesis.tex"), "").unwrap();
    let output = reproduce(Path::new("methods-glyphs"), &out, &[]);
    assert!(output.status.code() == Some(2) && said(&output).contains("something else"), "{}", said(&output));
}
