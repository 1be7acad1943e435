//! Settings: recipes, single ones, and what is refused.

mod common;

use std::path::Path;

use common::{run, said, selfsame, small};

fn config(out: &std::path::Path) -> toml::Table {
    std::fs::read_to_string(out.join("config.toml")).unwrap().parse().unwrap()
}

#[test]
fn a_recipe_sets_everything_that_is_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut args = small("pretrain", &out);
    args.extend(
        "--recipe=solo-learn --method=vicreg --set=method.output=6 --set=method.hidden=8"
            .split(' ')
            .map(String::from),
    );
    let output = run(&args);
    assert!(output.status.success(), "{}", said(&output));
    let config = config(&out);
    // Asked for.
    assert_eq!(config["train"]["epochs"].as_integer(), Some(6));
    assert_eq!(config["encoder"]["width"].as_integer(), Some(2));
    assert_eq!(config["method"]["output"].as_integer(), Some(6));
    // The recipe's: its rate of 0.3 for 256 images is in proportion for 12, its warm-up a tenth of
    // the training at most.
    assert_eq!(config["train"]["optimizer"].as_str(), Some("lars"));
    assert_eq!(config["train"]["trust"].as_float(), Some(0.02));
    assert_eq!(config["train"]["learning_rate"].as_float(), Some(0.3 * (12.0 / 256.0)));
    assert_eq!(config["train"]["warmup_epochs"].as_float(), Some(0.6));
    assert_eq!(config["method"]["invariance"].as_float(), Some(25.0));
    assert_eq!(config["method"]["variance"].as_float(), Some(50.0));
    assert_eq!(config["augment"]["crop"]["scale"][0].as_float(), Some(0.2));
}

#[test]
fn another_rule_brings_its_own_rate() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut args = small("pretrain", &out);
    args.extend(["--recipe=authors".to_owned(), "--optimizer=adamw".to_owned()]);
    let output = run(&args);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(config(&out)["train"]["learning_rate"].as_float(), Some(3e-3));
}

#[test]
fn the_recipes_own_rule_by_name_is_the_recipes() {
    let folder = tempfile::tempdir().unwrap();
    let configs = [&[][..], &["--optimizer=lars"]].map(|more| {
        let out = folder.path().join(more.len().to_string());
        let mut args = small("pretrain", &out);
        args.extend(
            ["--recipe=solo-learn", "--set=method.hidden=8"]
                .iter()
                .chain(more)
                .map(|arg| (*arg).to_owned()),
        );
        let output = run(&args);
        assert!(output.status.success(), "{}", said(&output));
        config(&out)["train"].clone()
    });
    assert_eq!(configs[0], configs[1]);
    assert_eq!(configs[0]["trust"].as_float(), Some(0.02));
}

#[test]
fn refuses_settings_by_what_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    for (typed, hint) in [
        ("--set=method.queue", "key=value"),
        ("--set=method.queue=5", "queue"),
        ("--set=method.temperature=warm", "expected a number"),
        ("--set=method.temperature=0", "method.temperature = 0"),
        ("--set=method.name=byol", "options"),
        ("--set=encoder.width=4", "options"),
        ("--set=method.hidden=many", "expected a whole number"),
        ("--set=method.hidden=1.5", "expected a whole number"),
        ("--set=method.temperature=0.2 --temperature=0.3", "leave one out"),
        ("--set=train.learning_rate=0.2 --lr=0.3", "leave one out"),
        ("--set=train.epsilon=0.2 --set=train.epsilon=0.3", "given twice"),
        ("--recipe=authors --method=byol", "simclr, mocov2, barlow_twins, simsiam"),
        ("--recipe=solo", "solo-learn"),
    ] {
        let out = folder.path().join("run");
        let mut args = small("pretrain", &out);
        args.extend(typed.split(' ').map(str::to_owned));
        let output = run(&args);
        assert_eq!(output.status.code(), Some(2), "{typed}: {}", said(&output));
        let typed = typed.split(' ').next().unwrap().split('=').nth(1).unwrap();
        assert!(
            said(&output).contains(hint) && said(&output).contains(typed),
            "{typed}: {}",
            said(&output)
        );
        assert!(!out.join("config.toml").exists());
    }
}

/// The simple contrastive loss without its second term: all outputs become one.
fn collapsing(out: &std::path::Path) -> Vec<String> {
    let settings = "--method=simple_contrastive --set=method.lambda=0 --lr=0.01 --warmup-epochs=0 \
                    --epochs=40 --batch=12";
    let mut args = vec!["pretrain".to_owned(), format!("--out={}", out.display())];
    args.extend("--limit=60 --image-size=16 --width=2 --knn-every=0".split(' ').map(str::to_owned));
    args.extend(settings.split(' ').map(str::to_owned));
    args
}

#[test]
fn a_collapse_is_told_and_stops_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let [warned, stopped] = ["warned", "stopped"].map(|name| folder.path().join(name));
    let output = run(collapsing(&warned));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        said(&output).matches("warning: the outputs have collapsed by step").count(),
        1,
        "{}",
        said(&output)
    );
    assert!(
        std::fs::read_to_string(warned.join("report.html"))
            .unwrap()
            .contains("have collapsed by step")
    );

    // What was noticed in a training that went to its end stops none.
    let resume = |run: &std::path::Path| {
        [
            "pretrain".to_owned(),
            "--on-collapse=stop".to_owned(),
            format!("--resume={}", run.display()),
        ]
    };
    let output = run(resume(&warned));
    assert!(output.status.success(), "{}", said(&output));
    let record = std::fs::read_to_string(warned.join("run.json")).unwrap();
    assert!(record.contains("have collapsed by step"), "{record}");

    let output = run([collapsing(&stopped), vec!["--on-collapse=stop".to_owned()]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("--on-collapse"), "{}", said(&output));
    assert!(said(&output).contains("--resume"), "{}", said(&output));
    assert!(stopped.join("checkpoints/last.safetensors").is_file());
    // Who asked for it to be stopped is told again; going on is a decision, and the training ends
    // where the other one did.
    let output = run(resume(&stopped));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("collapsed before"), "{}", said(&output));
    let output = run([
        "pretrain".to_owned(),
        "--json".to_owned(),
        format!("--resume={}", stopped.display()),
    ]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("warning: this run collapsed before"), "{}", said(&output));
    assert!(said(&output).contains("going on after step"), "{}", said(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        result["collapse"].as_str().is_some_and(|found| found.contains("have collapsed by step")),
        "{result}"
    );
    assert!(result["last"]["train_loss"].is_number(), "{result}");
    let last =
        |run: &std::path::Path| std::fs::read(run.join("checkpoints/last.safetensors")).unwrap();
    assert!(last(&stopped) == last(&warned));
}

/// Two images, or outputs of two values, have no rank that says anything.
#[test]
fn narrow_outputs_are_no_collapse() {
    let folder = tempfile::tempdir().unwrap();
    for (name, more) in [
        ("pair", "--batch=2"),
        ("narrow", "--set=method.output=2"),
        ("rotation", "--method=rotation"),
    ] {
        let out = folder.path().join(name);
        let mut args =
            vec!["pretrain".to_owned(), format!("--out={}", out.display()), more.to_owned()];
        args.extend(
            "--limit=60 --image-size=16 --width=2 --knn-every=0 --epochs=15"
                .split(' ')
                .map(str::to_owned),
        );
        args.extend(["--on-collapse=stop".to_owned(), "--warmup-epochs=0".to_owned()]);
        if name != "pair" {
            args.push("--batch=12".to_owned());
        }
        let output = run(&args);
        assert!(output.status.success(), "{name}: {}", said(&output));
        let curves = std::fs::read_to_string(out.join("metrics.jsonl")).unwrap();
        assert!(
            curves.lines().all(|line| line.contains("output_std") && line.contains("rank_me")),
            "{curves}"
        );
    }
}

#[test]
fn methods_and_their_settings_are_listed() {
    let all = run(["methods"]);
    assert!(all.status.success());
    for method in ["simclr", "rotation", "vicreg"] {
        assert!(String::from_utf8_lossy(&all.stdout).contains(method));
    }
    let one = run(["methods", "mocov2", "--json"]);
    assert!(one.status.success(), "{}", said(&one));
    let one: serde_json::Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!(one["settings"][0]["key"], "temperature");
    assert_eq!(one["recipes"][0]["recipe"], "authors");
    assert_eq!(run(["methods", "mocov3"]).status.code(), Some(2));
}

#[test]
fn a_set_that_is_not_there_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let out = runs.join("photos").display().to_string();
    for data in ["nowhere", "data/cifar10"] {
        let output = run(["study", "--data", data, "--out", &out]);
        assert!(!output.status.success() && !runs.exists(), "{}", said(&output));
        let fetch = "`selfsame fetch cifar10 --to data/cifar10` downloads them";
        assert_eq!(said(&output).contains(fetch), data == "data/cifar10", "{}", said(&output));
    }
    // What was there before stays.
    std::fs::create_dir_all(&out).unwrap();
    assert!(!run(["study", "--data", "nowhere", "--out", &out]).status.success());
    assert!(Path::new(&out).is_dir());
    let output = selfsame(["reproduce", "table1"]).current_dir(folder.path()).output().unwrap();
    assert!(said(&output).contains("`selfsame fetch cifar10"), "{}", said(&output));
}

#[test]
fn a_configuration_starts_the_same_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second, third] = ["first", "second", "third"].map(|name| folder.path().join(name));
    let more = "--method=mocov2 --set=method.queue=32 --optimizer=lars --set=train.trust=0.002 \
                --set=train.epsilon=0.7 --microbatch=6 --clip-norm=2 --seed=7 --augment=ad \
                --source-size=16";
    let output =
        run(small("pretrain", &first).into_iter().chain(more.split(' ').map(str::to_owned)));
    assert!(output.status.success(), "{}", said(&output));
    let again = |out: &Path, more: &[&str]| {
        let from = first.join("config.toml");
        let args = ["pretrain".as_ref(), "--config".as_ref(), from.as_os_str(), "--out".as_ref()];
        run(args.into_iter().chain([out.as_os_str()]).chain(more.iter().map(AsRef::as_ref)))
    };
    let output = again(&second, &[]);
    assert!(output.status.success(), "{}", said(&output));
    for file in ["config.toml", "checkpoints/last.safetensors"] {
        let [was, is] = [&first, &second].map(|run| std::fs::read(run.join(file)).unwrap());
        assert!(was == is, "{file} differs");
    }
    // Other options still count.
    let output = again(&third, &["--epochs=1", "--set=train.epsilon=0.5", "--set=train.batch=10"]);
    assert!(output.status.success(), "{}", said(&output));
    let (was, is) = (config(&first), config(&third));
    assert_eq!(is["train"]["epochs"].as_integer(), Some(1));
    assert_eq!(is["train"]["epsilon"].as_float(), Some(0.5));
    assert_eq!(is["train"]["batch"].as_integer(), Some(10));
    assert_eq!((&is["method"], &is["seed"]), (&was["method"], &was["seed"]));
}
