//! A grid without a program.

use std::fs::File;
use std::path::{Path, PathBuf};

use selfsame::grid::Grid;
use selfsame::report::experiment::Experiment;
use selfsame::{Error, Progress, ReproduceOptions, Run, reproduce};

const GRID: &str = "
    title = 'Small'
    about = 'For tests.'
    seeds = [0, 1]
    [all]
    limit = 40
    image-size = 8
    width = 1
    batch = 12
    epochs = 2
    knn-every = 0
    [[rows]]
    augment = 'a'
    [[rows]]
    name = 'long queue'
    method = 'mocov2'
    augment = 'ad'
    set = ['method.queue=64']
    [forecast]
    per-class = 3
    views = 2
    [[claims]]
    says = 'More is better'
    kind = 'order'
    rows = ['long queue', 'a']
";

fn run(grid: &Grid, out: &Path, progress: &mut dyn Progress) -> Result<Experiment, Error> {
    let options = ReproduceOptions { out: out.to_owned(), ..ReproduceOptions::default() };
    reproduce(grid, &options, progress)
}

/// All figures of an experiment but for times.
fn figures(experiment: &Experiment) -> Vec<Option<f64>> {
    let timed = |column: usize| experiment.tables[0].columns[column].name == "seconds";
    let rows = experiment.tables[0].rows.iter().flat_map(|row| row.figures.iter().enumerate());
    rows.filter(|(column, _)| !timed(*column))
        .map(|(_, figure)| figure.as_ref().map(|figure| figure.mean))
        .collect()
}

#[test]
fn a_grid_runs_in_this_process_goes_on_after_a_stop_and_is_done_once() {
    let grid: Grid = toml::from_str(GRID).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let whole = run(&grid, &folder.path().join("whole"), &mut ()).unwrap();
    assert_eq!((whole.done, whole.runs, whole.failed.len()), (4, 4, 0));
    assert!(whole.tables[0].columns.iter().any(|column| column.name.starts_with("1 − σ % at ")));
    assert_eq!(whole.tables[0].findings[0].claim, "More is better");

    /// Stops at the third run.
    #[derive(Default)]
    struct Stop(bool);

    impl Progress for Stop {
        fn note(&mut self, note: &str) {
            self.0 |= note.starts_with("run 3 of 4");
        }

        fn stop(&self) -> bool {
            self.0
        }
    }

    let out = folder.path().join("stopped");
    assert!(matches!(run(&grid, &out, &mut Stop::default()), Err(Error::Stopped)));
    assert!(out.join("table.md").is_file());
    let log = std::fs::metadata(out.join("logs/a-seed0.log")).unwrap();
    let stopped = run(&grid, &out, &mut ()).unwrap();
    assert_eq!(figures(&stopped), figures(&whole));
    assert_eq!(stopped.tables[0].findings, whole.tables[0].findings);
    let after = std::fs::metadata(out.join("logs/a-seed0.log")).unwrap();
    assert_eq!(log.modified().unwrap(), after.modified().unwrap());
}

#[test]
fn a_run_that_fails_is_named_and_its_log_says_why() {
    let text = GRID.replace("method.queue=64", "method.queue=0").replace("[0, 1]", "[0]");
    let mut grid: Grid = toml::from_str(&text).unwrap();
    grid.forecast = None;
    let folder = tempfile::tempdir().unwrap();
    let experiment = run(&grid, folder.path(), &mut ()).unwrap();
    assert_eq!(
        (experiment.done, experiment.failed.as_slice()),
        (1, &["long-queue-seed0".into()][..])
    );
    let log = std::fs::read_to_string(folder.path().join("logs/long-queue-seed0.log")).unwrap();
    assert!(log.contains("queue"), "{log}");
}

#[test]
fn options_that_no_run_has_are_refused_before_there_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (text, cause) in [
        (GRID.replace("epochs = 2", "epoch = 2"), "epoch"),
        (GRID.replace("[all]", "[all]\n    data = 'nowhere.tar'"), "nowhere.tar"),
        (GRID.replace("per-class = 3", "per-class = 1"), "per_class 1"),
        (GRID.replace("per-class = 3", "budget = -3"), "budget -3"),
        (GRID.replace("per-class = 3", "budget = 'long'"), "write it as 60s"),
        (GRID.replace("per-class = 3", "encoder = 'runs/one'"), "encoder"),
        (GRID.replace("'a'", "'none'").replace("'ad'", "'none'"), "policies none"),
    ] {
        let grid: Grid = toml::from_str(&text).unwrap();
        let error = run(&grid, &out, &mut ()).unwrap_err();
        assert!(error.is_misuse() && error.to_string().contains(cause), "{error}");
        assert!(!out.exists());
    }
}

#[test]
fn a_file_is_no_folder() {
    let grid: Grid = toml::from_str(GRID).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = run(&grid, file.path(), &mut ()).unwrap_err();
    assert!(matches!(&error, Error::NotAFolder { .. }) && error.is_misuse(), "{error}");
}

#[test]
fn a_shard_that_does_not_exist_is_refused() {
    let grid: Grid = toml::from_str(GRID).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for shard in [(0, 2), (3, 2), (1, 0)] {
        let options = ReproduceOptions { out: out.clone(), shard, ..ReproduceOptions::default() };
        let refused = |error: Error| matches!(error, Error::Option { name: "shard", .. });
        assert!(refused(reproduce(&grid, &options, &mut ()).unwrap_err()));
        assert!(refused(selfsame::reproduce::estimate(&grid, &options, &mut ()).unwrap_err()));
        assert!(!out.exists());
    }
}

/// Whatever a row calls its policy, it has the figures of the forecast.
#[test]
fn every_row_has_figures_of_the_forecast() {
    let rows = ["simclr", "da", "{flip = {}}", "none"];
    let rows: String = rows.iter().map(|row| format!("[[rows]]\naugment = '{row}'\n")).collect();
    let (head, rest) = GRID.split_once("[[rows]]").unwrap();
    let (_, forecast) = rest.split_once("[forecast]").unwrap();
    let (forecast, _) = forecast.split_once("[[claims]]").unwrap();
    let head = head.replace("[0, 1]", "[0]").replace("epochs = 2", "epochs = 1");
    let budget = "budget = '1m'";
    let text = format!("{head}\n{rows}[forecast]\n{budget}\n{forecast}");
    let grid: Grid = toml::from_str(&text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let experiment = run(&grid, folder.path(), &mut ()).unwrap();
    let table = &experiment.tables[0];
    let at = table.columns.iter().position(|column| column.name.starts_with("1 − σ % at "));
    for row in table.rows.iter().take(4) {
        assert!(row.figures[at.unwrap()].is_some(), "{}", row.name);
    }
}

/// Locks the folder of the forecast once it has been looked at, until someone waits for it.
struct Rival {
    out: PathBuf,
    lock: Option<File>,
    waited_for: bool,
}

impl Progress for Rival {
    fn note(&mut self, note: &str) {
        if note == "the forecast of the rows' views" && !self.waited_for {
            let lock = File::create(self.out.join("forecast").join(Run::LOCK_FILE)).unwrap();
            lock.lock().unwrap();
            self.lock = Some(lock);
        } else if note.contains("waiting until it ends") {
            (self.lock, self.waited_for) = (None, true);
        }
    }
}

#[test]
fn a_forecast_that_another_process_has_begun_is_waited_for() {
    let grid: Grid = toml::from_str(&GRID.replace("[0, 1]", "[0]")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut rival = Rival { out: out.clone(), lock: None, waited_for: false };
    let experiment = run(&grid, &out, &mut rival).unwrap();
    assert!(rival.waited_for);
    assert!(experiment.failed.is_empty(), "{:?}", experiment.failed);
}

#[cfg(unix)]
mod program {
    use std::os::unix::fs::PermissionsExt;

    use selfsame::augment::Isa;
    use selfsame::reproduce::Program;

    use super::*;

    /// Another process completes each run while the program fails. The program is told with which
    /// threads and instructions to run.
    #[test]
    fn a_run_that_another_process_completes_counts() {
        let text = GRID.replace("[0, 1]", "[0]");
        let mut grid: Grid = toml::from_str(&text).unwrap();
        grid.forecast = None;
        let folder = tempfile::tempdir().unwrap();
        let [whole, out] = ["whole", "out"].map(|name| folder.path().join(name));
        run(&grid, &whole, &mut ()).unwrap();

        let path = folder.path().join("program");
        let script = format!(
            "#!/bin/sh\necho \"$@\" >&2\nfor out; do :; done\ncp -r {}/\"$(basename $out)\" \
             $out\nexit 1\n",
            whole.join("runs").display()
        );
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        let isa = Isa::available().pop();
        let program = Program { path, threads: Some(3), isa };
        let options = ReproduceOptions {
            out: out.clone(),
            program: Some(program),
            ..ReproduceOptions::default()
        };
        let experiment = reproduce(&grid, &options, &mut ()).unwrap();
        assert_eq!((experiment.done, experiment.failed.len(), experiment.threads), (2, 0, 3));
        let log = std::fs::read_to_string(out.join("logs/a-seed0.log")).unwrap();
        assert!(log.starts_with("--threads=3 --isa=portable study "), "{log}");
    }
}
