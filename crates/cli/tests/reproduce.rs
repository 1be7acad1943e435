//! Grids of runs.

#[allow(dead_code, reason = "a grid has its own small settings")]
mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use common::{run, said};
use selfsame::ReproduceOptions;
use selfsame::grid::{Grid, GridOptions};
use serde_json::Value;

const GRID: &str = "title = 'Small'\nabout = 'For tests.'\nseeds = [0, 1]\n\
    [all]\nlimit = 60\nimage-size = 16\nwidth = 2\nbatch = 12\nepochs = 2\nknn-every = 0\n\
    [[rows]]\nmethod = 'simclr'\n[[rows]]\nname = 'long queue'\nmethod = 'mocov2'\nset = \
    ['method.queue=64']\n";

fn reproduce(grid: &Path, out: &Path, more: &[&str]) -> std::process::Output {
    let [grid, out] = [grid, out].map(|path| path.display().to_string());
    run([&["reproduce", &grid, "--out", &out], more].concat())
}

/// All that a table is made of, but for the time it took.
fn results(out: &Path) -> Value {
    let mut result: Value =
        serde_json::from_slice(&std::fs::read(out.join("result.json")).unwrap()).unwrap();
    for outcome in result["outcomes"].as_array_mut().unwrap() {
        outcome["seconds"] = Value::Null;
        outcome["started"] = Value::Null;
    }
    for of_the_time in ["seconds", "started", "command"] {
        result[of_the_time] = Value::Null;
    }
    for table in result["tables"].as_array_mut().unwrap() {
        let names = table["columns"].as_array().unwrap().clone();
        let timed = names.iter().position(|column| column["name"] == "seconds");
        for row in table["rows"].as_array_mut().unwrap() {
            if let Some(timed) = timed {
                row["figures"][timed] = Value::Null;
            }
        }
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
    let machines = printed["machines"].as_array().unwrap();
    assert!(machines.len() == 1 && !machines[0].as_str().unwrap().is_empty());
    for outcome in printed["outcomes"].as_array().unwrap() {
        assert_eq!(outcome["machines"], printed["machines"]);
        assert!(["bf16", "f32"].contains(&outcome["precision"].as_str().unwrap()));
    }
    assert!(std::fs::read_to_string(whole.join("table.md")).unwrap().contains("| long queue "));

    let output = reproduce(&grid, &shared, &["--shard", "2/2"]);
    assert!(
        output.status.success() && said(&output).contains("2 of 4 runs are done"),
        "{}",
        said(&output)
    );
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
    for dry in [&[][..], &["--dry-run"]] {
        let output = reproduce(&grid, &shared, dry);
        assert!(
            output.status.code() == Some(2) && said(&output).contains("--out"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn without_a_program_the_table_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("small.toml");
    std::fs::write(&file, GRID.replace("[0, 1]", "[0]")).unwrap();
    let [processes, here] = ["processes", "here"].map(|name| folder.path().join(name));
    let output = reproduce(&file, &processes, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let grid = Grid::read(file.to_str().unwrap(), &GridOptions::default()).unwrap();
    let options = ReproduceOptions { out: here.clone(), ..ReproduceOptions::default() };
    let experiment = selfsame::reproduce(&grid, &options, &mut ()).unwrap();
    assert_eq!((experiment.done, experiment.failed.len()), (2, 0));
    let [mut processes, mut here] = [processes, here].map(|out| results(&out));
    for result in [&mut processes, &mut here] {
        // The program knows its commit.
        result["commit"] = Value::Null;
    }
    assert_eq!(here, processes);
}

/// A command that goes on while the test does something.
fn start(grid: &Path, out: &Path) -> Child {
    let [grid, out] = [grid, out].map(|path| path.display().to_string());
    let mut command = common::selfsame(["reproduce", &grid, "--out", &out]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until a line of what it says contains `words`; what it says after that comes back once it
/// has ended.
fn until(child: &mut Child, words: &str) -> std::thread::JoinHandle<String> {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(words)), "it never said {words}");
    std::thread::spawn(move || lines.collect::<Vec<_>>().join("\n"))
}

/// Every file below a folder, with what is in it and when it was written.
fn files(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let written = path.metadata().unwrap().modified().unwrap();
            found.insert(path.clone(), (std::fs::read(&path).unwrap(), written));
        }
    }
    found
}

#[test]
fn a_command_that_is_killed_goes_on_and_every_cell_is_done_once() {
    let folder = tempfile::tempdir().unwrap();
    let grid = folder.path().join("small.toml");
    let text = GRID.replace("[0, 1]", "[0]").replace("epochs = 2", "epochs = 60");
    let set = "[[rows]]\nmethod = 'byol'\n[[sets]]\nname = 'Glyphs'\ndata = 'glyphs'\n\
               [sets.published]\nsource = 'nobody'\nvalues = [[[83.0]], [[86.5]], [[-1.5]]]\n";
    std::fs::write(&grid, text + set).unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    let output = reproduce(&grid, &whole, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let table = std::fs::read_to_string(whole.join("table.md")).unwrap();
    assert!(
        table.contains("|      83.0 |")
            && table.contains("|      −1.5 |")
            && table.contains("nobody"),
        "{table}"
    );

    let [first, second] = ["Glyphs-simclr-seed0", "Glyphs-long-queue-seed0"]
        .map(|name| killed.join("runs").join(name));
    let mut child = start(&grid, &killed);
    while !second.join("config.toml").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its second run");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!second.join("eval.json").exists(), "the run was over before the kill");
    let done = files(&first);
    let output = reproduce(&grid, &killed, &[]);
    let words = said(&output);
    assert!(
        output.status.success() && !words.contains("failed") && !words.contains("run 1 of 3"),
        "{words}"
    );
    assert!(words.contains("run 2 of 3") && words.contains("run 3 of 3"), "{words}");
    assert!(files(&first) == done, "what was done has been touched");
    assert_eq!(results(&killed), results(&whole));
    let metrics = std::fs::read_to_string(second.join("metrics.jsonl")).unwrap();
    let step = |line: &str| serde_json::from_str::<Value>(line).unwrap()["step"].as_u64().unwrap();
    assert!(metrics.lines().map(step).is_sorted_by(|a, b| a < b), "a step is there twice");
}

#[test]
fn what_another_process_holds_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (grid, out) = (folder.path().join("small.toml"), folder.path().join("out"));
    std::fs::write(&grid, GRID.replace("[0, 1]", "[0]")).unwrap();
    let output = reproduce(&grid, &out, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let whole = results(&out);
    let locked = |path: PathBuf| {
        let file = File::create(path).unwrap();
        file.lock().unwrap();
        file
    };

    // A run, such as one whose parent was killed.
    let cell = out.join("runs/simclr-seed0");
    std::fs::remove_file(cell.join("eval.json")).unwrap();
    let lock = locked(cell.join(".lock"));
    if cfg!(unix) {
        let mut child = start(&grid, &out);
        let rest = until(&mut child, "waiting until it ends");
        let interrupted = std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(interrupted.success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(rest.join().unwrap().contains("goes on"));
    }
    let mut child = start(&grid, &out);
    let rest = until(&mut child, "waiting until it ends");
    assert!(!cell.join("eval.json").exists());
    drop(lock);
    assert!(child.wait().unwrap().success());
    assert!(!rest.join().unwrap().contains("failed"));
    assert_eq!(results(&out), whole);

    // The writing of tables, by another part that ends at the same time.
    std::fs::remove_file(out.join("table.md")).unwrap();
    let lock = locked(out.join(".lock"));
    let mut child = start(&grid, &out);
    std::thread::sleep(Duration::from_secs(3));
    assert!(child.try_wait().unwrap().is_none() && !out.join("table.md").exists());
    drop(lock);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && out.join("table.md").exists(), "{}", said(&output));
}

#[test]
fn an_evaluation_of_other_weights_is_not_what_came_of_a_cell() {
    let folder = tempfile::tempdir().unwrap();
    let (grid, out) = (folder.path().join("small.toml"), folder.path().join("out"));
    std::fs::write(&grid, GRID.replace("[0, 1]", "[0]")).unwrap();
    assert!(reproduce(&grid, &out, &[]).status.success());
    let whole = results(&out);
    // As `eval --checkpoint best` leaves it.
    let path = out.join("runs/simclr-seed0/eval.json");
    let mut evaluation: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    evaluation["step"] = (evaluation["step"].as_u64().unwrap() - 1).into();
    evaluation["accuracies"]["of"]["trained"]["knn_acc1"] = 0.0.into();
    std::fs::write(&path, evaluation.to_string()).unwrap();
    let output = reproduce(&grid, &out, &[]);
    assert!(output.status.success() && said(&output).contains("run 1 of 2"), "{}", said(&output));
    assert_eq!(results(&out), whole);
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
            let args = [
                "reproduce",
                grid.to_str().unwrap(),
                "--out",
                out.to_str().unwrap(),
                "--shard",
                part,
            ];
            common::selfsame(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        for child in ["1/2", "2/2"].map(start) {
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(1), "round {round}: {}", said(&output));
            assert!(
                said(&output).contains("2 of the runs failed"),
                "round {round}: {}",
                said(&output)
            );
        }
    }
}

#[test]
fn a_run_that_fails_is_named_and_the_others_count() {
    let folder = tempfile::tempdir().unwrap();
    let grid = folder.path().join("small.toml");
    std::fs::write(
        &grid,
        GRID.replace("method.queue=64", "method.queue=0").replace("[0, 1]", "[0]"),
    )
    .unwrap();
    let out = folder.path().join("out");
    let output = reproduce(&grid, &out, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("1 of the runs failed: long-queue-seed0"), "{}", said(&output));
    assert!(
        std::fs::read_to_string(out.join("logs/long-queue-seed0.log"))
            .unwrap()
            .contains("method.queue")
    );
    assert_eq!(results(&out)["outcomes"].as_array().unwrap().len(), 1);
}

#[test]
fn a_run_that_has_no_log_is_not_started() {
    let folder = tempfile::tempdir().unwrap();
    let (grid, out) = (folder.path().join("small.toml"), folder.path().join("out"));
    std::fs::write(&grid, GRID.replace("[0, 1]", "[0]")).unwrap();
    assert!(reproduce(&grid, &out, &["--shard", "2/2"]).status.success());
    std::fs::create_dir(out.join("logs/simclr-seed0.log")).unwrap();
    let output = reproduce(&grid, &out, &[]);
    assert!(
        output.status.code() == Some(1) && said(&output).contains("simclr-seed0.log"),
        "{}",
        said(&output)
    );
    // Long enough for one that was started to leave something behind.
    std::thread::sleep(Duration::from_secs(1));
    assert!(!out.join("runs/simclr-seed0").exists());
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
        ("methods-glyphs", &["--with", "epoch=3"], "unknown field `epoch`"),
        ("methods-glyphs", &["--with", "epochs"], "epochs=3"),
        ("table1", &["--with", "data=photos"], "--data"),
    ] {
        let output = reproduce(Path::new(grid), &out, more);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(hint), "{}", said(&output));
        assert!(!out.exists());
    }
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("thesis.tex"), "").unwrap();
    let output = reproduce(Path::new("methods-glyphs"), &out, &[]);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("something else"),
        "{}",
        said(&output)
    );
}

/// Every experiment of the paper from end to end: whether the machinery works, not how well
/// encoders learn.
#[test]
fn smoke_makes_every_experiment() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = reproduce(Path::new("all"), &out, &["--scale", "smoke", "--dry-run", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let promised: Value = serde_json::from_slice(&output.stdout).unwrap();
    let promised = promised["experiments"].as_array().unwrap();
    let counts: Vec<u64> = promised.iter().map(|one| one["left"].as_u64().unwrap()).collect();
    assert_eq!(counts, [20, 16, 10, 4, 2]);
    assert!(promised.iter().all(|one| one["seconds"].as_f64().unwrap() > 0.0) && !out.exists());

    let output = reproduce(Path::new("all"), &out, &["--scale", "smoke", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (one, runs) in found["experiments"].as_array().unwrap().iter().zip(counts) {
        assert_eq!([&one["runs"], &one["done"]], [&Value::from(runs), &Value::from(runs)]);
        let table = &one["tables"][0];
        // Of baselines not everything is measured.
        let baseline = |row: &&Value| {
            ["untrained", "patches", "pixels"].map(Value::from).contains(&row["name"])
        };
        for row in table["rows"].as_array().unwrap().iter().filter(|row| !baseline(row)) {
            assert!(row["figures"].as_array().unwrap().iter().all(Value::is_object), "{row}");
        }
        for finding in table["findings"].as_array().unwrap() {
            assert!(finding["of"].as_u64().unwrap() > 0, "{finding}");
        }
    }
    let tables = ["table1", "table2", "pairs", "losses", "maps"].map(|name| {
        assert!(
            std::fs::read_to_string(out.join(name).join("report.html"))
                .unwrap()
                .contains("</html>")
        );
        std::fs::read_to_string(out.join(name).join("table.md")).unwrap()
    });
    // What was published is of other images.
    assert!(
        tables[0].contains("| a b c d e ") && !tables[0].to_lowercase().contains("published:"),
        "{}",
        tables[0]
    );
    assert!(
        tables[2].contains("1 − σ % at") && tables[2].contains("τ with the measured order"),
        "{}",
        tables[2]
    );
    assert!(
        tables[3].contains("after 1/4") && !tables[3].contains("slides of Huang"),
        "{}",
        tables[3]
    );
    let words = found["experiments"][2]["forecast"].as_array().unwrap();
    assert!(words.windows(2).any(|pair| pair[0] == "--image-size" && pair[1] == "16"), "{words:?}");
    let maps = std::fs::read_to_string(out.join("maps/report.html")).unwrap();
    assert!(maps.contains("Untrained") && maps.contains("colour only"));

    // Nothing is left to do.
    let output = reproduce(Path::new("all"), &out, &["--scale", "smoke", "--dry-run"]);
    assert!(said(&output).contains("table1: 20 runs, 20 done"), "{}", said(&output));

    // A forecast of images of another size is made again.
    let path = out.join("pairs/forecast/forecast.json");
    let mut forecast: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    forecast["image_size"] = 32.into();
    std::fs::write(&path, forecast.to_string()).unwrap();
    let output = reproduce(Path::new("pairs"), &out.join("pairs"), &["--scale", "smoke"]);
    assert!(
        output.status.success() && said(&output).contains("the forecast of"),
        "{}",
        said(&output)
    );
    let again: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(again["image_size"], 16);
}
