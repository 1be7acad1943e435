//! Tests of grids.

use super::*;

fn read(
    name: &str,
    scale: Option<&str>,
    data: Option<&str>,
    with: &[&str],
) -> Result<Grid, String> {
    let options = GridOptions {
        scale: scale.map(str::to_owned),
        data: data.map(str::to_owned),
        with: with.iter().map(|text| setting(text).unwrap()).collect(),
    };
    Grid::read(name, &options).map_err(|error| error.to_string())
}

#[test]
fn own_grids_make_sense() {
    for (name, rows, seeds) in [
        ("atlas", 24, 2),
        ("crossing", 20, 1),
        ("methods-glyphs", 12, 3),
        ("methods-cifar10", 12, 3),
        ("precision", 2, 3),
    ] {
        let cells = read(name, None, None, &[]).unwrap().cells().unwrap();
        assert_eq!(cells.len(), seeds * rows, "{name}");
        assert!(cells[0].words.contains(&"--method=simclr".to_owned()), "{:?}", cells[0]);
        assert!(cells[..rows].iter().all(|cell| cell.seed == 0));
    }
}

#[test]
fn every_run_of_the_grids_has_options_that_a_study_takes() {
    let names = EXPERIMENTS.into_iter().chain(GRIDS).map(|(name, _)| name);
    for name in names {
        let scales = if EXPERIMENTS.iter().any(|(experiment, _)| *experiment == name) {
            &[Some("paper"), Some("small"), Some("smoke")][..]
        } else {
            &[None]
        };
        for &scale in scales {
            let grid = read(name, scale, None, &[]).unwrap();
            for cell in grid.cells().unwrap() {
                let options = cell.study().unwrap();
                assert_eq!(options.seed, cell.seed);
                let sets = cell.words.iter().filter(|word| word.starts_with("--set=")).count();
                assert_eq!(options.set.len(), sets, "{}", cell.name());
            }
            if grid.forecast.is_some() {
                grid.forecast_settings().unwrap();
            }
        }
    }
    let cell = |text: &str| {
        let grid = format!("title = ''\nabout = ''\nseeds = [3]\nrows = [{{ {text} }}]");
        toml::from_str::<Grid>(&grid).unwrap().cells().unwrap()[0].study()
    };
    let options = cell("classes = 'ring,disc', set = 'method.queue=64', strict = true").unwrap();
    assert_eq!(options.classes.unwrap(), ["ring", "disc"]);
    assert_eq!(
        (options.set, options.strict, options.seed),
        (vec!["method.queue=64".into()], true, 3)
    );
    assert!(cell("epoch = 3").unwrap_err().to_string().contains("unknown field `epoch`"));
    assert!(cell("epochs = 'many'").is_err());
}

#[test]
fn experiments_have_the_papers_sizes() {
    // Numbers of cells and of sets at the paper's scale; only the first two grids have more than
    // one set.
    for (name, cells, sets) in
        [("table1", 20, 2), ("table2", 16, 2), ("pairs", 10, 1), ("losses", 4, 1), ("maps", 2, 1)]
    {
        for scale in ["paper", "small", "smoke"] {
            let grid = read(name, Some(scale), None, &[]).unwrap();
            let sets = if scale == "paper" { sets } else { 1 };
            assert_eq!(
                grid.cells().unwrap().len(),
                cells * sets * grid.seeds.len(),
                "{name} {scale}"
            );
        }
    }
    let paper = read("table1", Some("paper"), None, &[]).unwrap();
    let first = &paper.cells().unwrap()[0];
    assert_eq!(first.name(), "CIFAR-10-a-b-c-d-e-SimCLR-seed0");
    let options = [
        "--seed=0",
        "--augment=abcde",
        "--data=data/cifar10",
        "--knn-every=0",
        "--knn-k=200",
        "--method=simclr",
        "--precision=f32",
        "--recipe=authors",
    ];
    let mut own = first.words.clone();
    own.sort();
    let mut options = options.map(str::to_owned).to_vec();
    options.sort();
    assert_eq!(own, options);
}

#[test]
fn other_images_make_one_table() {
    let grid = read("table1", Some("paper"), Some("photos"), &[]).unwrap();
    let cells = grid.cells().unwrap();
    assert_eq!(cells.len(), 60);
    assert!(cells.iter().all(|cell| cell.words.contains(&"--data=photos".to_owned())));
    assert_eq!(grid.sets[0].published, None);
    assert_eq!(cells[0].name(), "photos-a-b-c-d-e-SimCLR-seed0");
}

#[test]
fn images_have_what_was_published_of_the_set_they_are_called_after() {
    let source = |data: &str| {
        let [set] =
            <[Set; 1]>::try_from(read("table1", None, Some(data), &[]).unwrap().sets).unwrap();
        set.published.map(|published| published.source)
    };
    for data in ["cifar10.tar", "data/CIFAR-10", "there/cifar_10-jpeg"] {
        assert!(source(data).unwrap().contains("CIFAR-10,"), "{data}");
    }
    // The set is found even though the small scale alone does not use it.
    assert!(source("cifar100.tar").unwrap().contains("CIFAR-100,"));
    assert_eq!(source("cifar10/photos"), None);
    assert_eq!(source("glyphs"), None);
}

#[test]
fn a_forecast_is_of_the_images_that_the_runs_are_of() {
    let sizes = |scale: &str, with: &[&str]| {
        let grid = read("pairs", Some(scale), None, with).unwrap();
        let words = grid.forecast_words().unwrap();
        let sizes: Vec<String> =
            words.into_iter().filter(|word| word.contains("image-size")).collect();
        assert_eq!(grid.forecast_size().is_some(), !sizes.is_empty());
        sizes
    };
    assert_eq!(sizes("small", &[]), ["--image-size=16"]);
    assert_eq!(sizes("small", &["image-size=24"]), ["--image-size=24"]);
    assert_eq!(sizes("smoke", &["image-size=24"]), ["--image-size=24"]);
    assert!(sizes("paper", &["epochs=3"]).is_empty());
}

#[test]
fn options_of_the_caller_have_the_last_word() {
    let with = |text: &str| read("table1", None, None, &[text]);
    let grid = with("optimizer=lars").unwrap();
    let cells = grid.cells().unwrap();
    assert!(cells.iter().all(|cell| cell.words.contains(&"--optimizer=lars".to_owned())));
    assert!(grid.about.ends_with("Here with optimizer = \"lars\"."), "{}", grid.about);
    let again: Grid = toml::from_str(&toml::to_string(&grid).unwrap()).unwrap();
    assert_eq!(Grid { name: grid.name.clone(), ..again }, grid);
    assert!(with("seed=3").unwrap_err().contains("the grid's own"));
    assert!(with("data=photos").unwrap_err().contains("images are not an option"));
    assert_eq!(setting("epochs=3").unwrap(), ("epochs".to_owned(), 3.into()));
    assert_eq!(setting("--strict=true").unwrap(), ("strict".to_owned(), true.into()));
    assert!(setting("epochs").is_err() && setting("=3").is_err());
}

#[test]
fn scales_are_for_those_that_have_them() {
    let refused = |name: &str, scale: Option<&str>| read(name, scale, None, &[]).unwrap_err();
    assert!(refused("methods-glyphs", Some("small")).contains("no scales"));
    let error = refused("tables", None);
    assert!(error.contains("table1") && error.contains("precision"), "{error}");
}

#[test]
fn settings_become_options_and_rows_get_names() {
    let grid: Grid = toml::from_str(
        "title = 't'\nabout = 'a'\nseeds = [3]\n[all]\nepochs = 2\nstrict = \
         true\n[[rows]]\nname = 'MoCo, long queue'\n\
         method = 'mocov2'\nset = ['method.queue=8192', 'method.splits=1']\n[[rows]]\nepochs \
         = 4\ntemperature = 0.5\nstrict = false",
    )
    .unwrap();
    let cells = grid.cells().unwrap();
    assert_eq!(cells[0].name(), "MoCo--long-queue-seed3");
    let set = ["--set=method.queue=8192", "--set=method.splits=1"];
    // After the seed, arguments are in the alphabetical order of the options.
    assert_eq!(
        cells[0].words,
        ["--seed=3", "--epochs=2", "--method=mocov2", set[0], set[1], "--strict"]
    );
    assert_eq!(cells[1].row, "4 false 0.5");
    assert_eq!(cells[1].words, ["--seed=3", "--epochs=4", "--temperature=0.5"]);
}

#[test]
fn columns_are_crossed_with_rows_and_rows_have_the_last_word() {
    let grid: Grid = toml::from_str(
        "title = ''\nabout = ''\nseeds = [0, 1]\nall = { epochs = 1, lr = 1 }\nrows = \
         [{ augment = 'a' }, { augment = 'ab', lr = 3 }]\n\
         columns = [{ method = 'simclr', lr = 2 }, { method = 'byol' }]",
    )
    .unwrap();
    let cells = grid.cells().unwrap();
    assert_eq!(cells.len(), 8);
    assert_eq!(cells[0].name(), "a-2-simclr-seed0");
    assert_eq!(
        cells[2].words,
        ["--seed=0", "--augment=ab", "--epochs=1", "--lr=3", "--method=simclr"]
    );
    assert!(cells[4..].iter().all(|cell| cell.seed == 1));
}

#[test]
fn refuses_what_makes_no_table() {
    let grid =
        |text: &str| toml::from_str::<Grid>(&format!("title = ''\nabout = ''\n{text}")).unwrap();
    let cells = |text: &str| grid(text).cells().unwrap_err().to_string();
    assert!(cells("seeds = []\nrows = [{}]").contains("a seed"));
    assert!(cells("seeds = [1]\nrows = [{ method = 'a' }, { method = 'a' }]").contains("row 2"));
    assert!(cells("seeds = [1]\nrows = [{ out = 'a' }]").contains("out"));
    assert!(cells("seeds = [1]\nrows = [{ lr = { a = 1 } }]").contains("lr"));
    let claims = |text: &str| {
        grid(&format!("rows = [{{ method = 'a' }}, {{ method = 'b' }}]\n{text}"))
            .check_claims()
            .map_err(|error| error.to_string())
    };
    let claim = |kind: &str, rows: &str| {
        claims(&format!("claims = [{{ says = 'x', kind = '{kind}', rows = {rows} }}]"))
    };
    assert!(claim("order", "['a', 'c']").unwrap_err().contains("about c"));
    assert!(claim("order", "['a']").unwrap_err().contains("two rows or more"));
    assert!(claim("largest-step", "['a']").unwrap_err().contains("two rows"));
    assert!(claim("best", "['a', 'b']").unwrap_err().contains("one row"));
    assert!(claim("worst", "['b']").is_ok());
    let published = |values: &str| {
        claims(&format!(
            "sets = [{{ name = 's', data = 'd', published = {{ source = '', values = {values} \
             }} }}]"
        ))
    };
    assert!(published("[[[1.0]], [[2.0, 0.1]]]").is_ok());
    assert!(published("[[[1.0]], [[2.0, 0.1]], [[1.0]]]").is_err());
    assert!(published("[[[]]]").is_err());
    let eight = ["[1.0]"; 8].join(", ");
    assert!(
        published(&format!("[[{eight}]]")).unwrap_err().contains("for 8 columns, and there are 7")
    );
    let column = |name: &str, more: &str| {
        claims(&format!(
            "{more}claims = [{{ says = 'x', kind = 'best', rows = ['a'], columns = ['{name}'] \
             }}]"
        ))
    };
    assert!(column("rank", "").is_ok());
    assert!(column("Rank", "").unwrap_err().contains("looks into Rank"));
    assert!(column("rank", "columns = [{ epochs = 1 }]\n").is_err());
    assert!(column("1", "columns = [{ epochs = 1 }]\n").is_ok());
    assert!(
        column("1 − σ % at 41", "").is_err() && column("1 − σ % at 41", "forecast = {}\n").is_ok()
    );
}

#[test]
fn a_scale_overrides_and_names_what_it_cuts() {
    let text = "title = ''\nabout = 'All.'\nall = { epochs = 9 }\nrows = [{ method = 'a' }]\n\
                [scales.small]\nabout = 'Cut.'\nseeds = [4]\nall = \
                { epochs = 1 }\n[scales.paper]\nabout = ''\nseeds = [1]";
    let grid = |scale| toml::from_str::<Grid>(text).unwrap().at(scale);
    let small = grid(None).unwrap();
    assert_eq!(small.about, "All. Cut.");
    assert_eq!(small.cells().unwrap()[0].words, ["--seed=4", "--epochs=1", "--method=a"]);
    assert_eq!(
        grid(Some("paper")).unwrap().cells().unwrap()[0].words,
        ["--seed=1", "--epochs=9", "--method=a"]
    );
    assert!(grid(Some("smoke")).unwrap_err().to_string().contains("paper, small"));
    let text = "title = ''\nabout = ''\nrows = [{ augment = 'a' }]\ncolumns = \
                [{ name = 'x', method = 'mocov2' }]\n\
                [scales.small]\nabout = ''\nseeds = [1]\ncolumns = \
                [{ name = 'x', set = 'method.splits=2' }]";
    let read = |text: &str| toml::from_str::<Grid>(text).unwrap().at(None);
    let options = &read(text).unwrap().cells().unwrap()[0].words;
    assert_eq!(*options, ["--seed=1", "--augment=a", "--method=mocov2", "--set=method.splits=2"]);
    assert!(
        read(&text.replace("name = 'x', set", "name = 'y', set"))
            .unwrap_err()
            .to_string()
            .contains("called y")
    );
}
