//! A grid without a program.

use std::path::Path;

use selfsame::grid::Grid;
use selfsame::report::experiment::Experiment;
use selfsame::{Error, Progress, ReproduceOptions, reproduce};

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
    ] {
        let grid: Grid = toml::from_str(&text).unwrap();
        let error = run(&grid, &out, &mut ()).unwrap_err();
        assert!(error.is_misuse() && error.to_string().contains(cause), "{error}");
        assert!(!out.exists());
    }
}
