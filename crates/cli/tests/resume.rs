//! Whatever interrupts a run, it goes on, and ends with the bytes of one that nothing interrupted.

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{run, said, selfsame, small};

/// Kills of each method: those that carry a momentum encoder, a queue and schedules from step to
/// step beside the plainest.
const KILLS: [(&str, &[&str], u32); 3] = [
    ("simclr", &["method.temperature_end=0.1"], 30),
    ("mocov2", &["method.temperature_end=0.5", "method.momentum_end=1", "method.queue=64"], 12),
    ("byol", &[], 8),
];

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("checkpoints/last.safetensors")).unwrap()
}

/// A sequence of numbers that looks random and is the same every time (Knuth's 64-bit generator).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    *state >> 33
}

#[test]
fn a_run_killed_at_50_random_moments_ends_with_the_same_bytes() {
    for (method, settings, wanted) in KILLS {
        kill_and_resume(method, settings, wanted);
    }
}

fn kill_and_resume(method: &str, settings: &[&str], wanted: u32) {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let start = |out: &Path| {
        let settings = settings.iter().map(|pair| format!("--set={pair}"));
        small("pretrain", out)
            .into_iter()
            .chain([format!("--method={method}")])
            .chain(settings)
            .collect::<Vec<_>>()
    };
    let began = Instant::now();
    let output = run(start(&whole));
    assert!(output.status.success(), "{}", said(&output));
    let took = began.elapsed();
    let best = std::fs::read(whole.join("checkpoints/best.safetensors")).unwrap();

    let (mut kills, mut finished, mut state) = (0, 0, 20261123);
    while kills < wanted {
        let killed = folder.path().join(format!("killed-{finished}"));
        loop {
            // A folder without a configuration was killed before the run began: the same command
            // starts it.
            let args = match killed.join("config.toml").exists() {
                true => {
                    vec![
                        "pretrain".into(),
                        "--resume".into(),
                        killed.display().to_string(),
                        "--save-every=0".into(),
                    ]
                }
                false => start(&killed),
            };
            let mut child =
                selfsame(args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            if kills < wanted {
                let moment = took
                    .mul_f64((next(&mut state) % 1000) as f64 / 1000.0)
                    .max(Duration::from_millis(1));
                std::thread::sleep(moment);
                // Killing one that has ended by itself is no kill.
                if child.try_wait().unwrap().is_none() {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    kills += 1;
                    continue;
                }
            }
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{method} after {kills} kills: {}", said(&output));
            break;
        }
        finished += 1;
        assert!(weights(&killed) == weights(&whole), "{method}: other bytes after {kills} kills");
        assert!(std::fs::read(killed.join("checkpoints/best.safetensors")).unwrap() == best);
        let steps = |run: &Path| -> Vec<String> {
            let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
            text.lines()
                .map(|line| line.split(",\"views_per_second").next().unwrap().to_owned())
                .collect()
        };
        assert_eq!(steps(&killed), steps(&whole), "the curves are whole, without a step twice");
    }
    println!("{method}: {kills} kills over {finished} runs");
}

#[test]
fn weights_for_use_are_those_of_the_state_whatever_a_kill_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    assert!(run(small("pretrain", &path)).status.success());
    let (last, good) = (path.join("checkpoints/last.safetensors"), weights(&path));
    let resume = ["pretrain".to_owned(), "--resume".to_owned(), path.display().to_string()];
    // A kill between the two renames leaves the weights of an earlier step, or none.
    std::fs::copy(path.join("checkpoints/best.safetensors"), &last).unwrap();
    assert!(run(&resume).status.success() && weights(&path) == good);
    std::fs::remove_file(&last).unwrap();
    assert!(run(&resume).status.success() && weights(&path) == good);
}

#[test]
fn weights_whose_state_is_gone_are_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    assert!(run(small("pretrain", &out)).status.success());
    let curves = std::fs::read(out.join("metrics.jsonl")).unwrap();
    let before = weights(&out);
    std::fs::remove_file(out.join("checkpoints/last.state.safetensors")).unwrap();
    let output = run(["pretrain", "--resume", &out.display().to_string()]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("the file is missing, but the weights"), "{}", said(&output));
    assert_eq!(
        (weights(&out), std::fs::read(out.join("metrics.jsonl")).unwrap()),
        (before, curves)
    );
}

#[test]
fn a_run_names_every_machine_that_trained_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    assert!(run(small("pretrain", &path)).status.success());
    let file = path.join("run.json");
    let read =
        || -> serde_json::Value { serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap() };
    let mut record = read();
    let here = record["machines"][0].clone();
    assert!(
        record["machines"].as_array().unwrap().len() == 1 && !here.as_str().unwrap().is_empty()
    );
    let resume = ["pretrain".to_owned(), "--resume".to_owned(), path.display().to_string()];
    for (finished, machines) in
        [(true, vec!["elsewhere".into()]), (false, vec!["elsewhere".into(), here])]
    {
        record["finished"] = finished.into();
        record["machines"] = serde_json::json!(["elsewhere"]);
        std::fs::write(&file, record.to_string()).unwrap();
        assert!(run(&resume).status.success());
        assert_eq!(read()["machines"], serde_json::Value::from(machines));
    }
}

#[test]
fn threads_do_not_change_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<Vec<u8>> = ["1", "2", "3"]
        .into_iter()
        .map(|threads| {
            let out = folder.path().join(threads);
            let mut args = small("pretrain", &out);
            args.extend(["--threads".to_owned(), threads.to_owned()]);
            let output = run(args);
            assert!(output.status.success(), "{}", said(&output));
            weights(&out)
        })
        .collect();
    assert!(bytes[0] == bytes[1] && bytes[1] == bytes[2]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_says_how_to_go_on_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
    assert!(run(small("pretrain", &whole)).status.success());

    let mut child = selfsame(small("pretrain", &stopped))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !stopped.join("checkpoints/last.state.safetensors").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it saved");
        std::thread::sleep(Duration::from_millis(2));
    }
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    let way = format!("selfsame pretrain --resume {}", stopped.display());
    assert!(said(&output).contains(&way), "{}", said(&output));

    let output = run(["pretrain", "--resume", &stopped.display().to_string()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(weights(&stopped) == weights(&whole));
}

#[test]
fn a_complete_run_is_prolonged_to_the_same_bytes_whatever_interrupts_it() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    let more = |path: &Path, epochs: &str| {
        run(["study", "--resume", path.to_str().unwrap(), "--epochs", epochs])
    };
    for path in [&whole, &killed] {
        let output = run(small("study", path));
        assert!(output.status.success(), "{}", said(&output));
    }
    let before = weights(&whole);
    let output = more(&whole, "8");
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("prolonged from 6 to 8 epochs"), "{}", said(&output));
    assert!(weights(&whole) != before);
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(whole.join("run.json")).unwrap()).unwrap();
    assert_eq!((&record["epochs"], &record["finished"]), (&8.into(), &true.into()));
    assert!(record["protocol"].to_string().contains("from 6 to 8 epochs"));

    // A kill after the configuration was written and before anything else was.
    let config = killed.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(text.contains("\nepochs = 6\n"), "{text}");
    std::fs::write(&config, text.replace("\nepochs = 6\n", "\nepochs = 8\n")).unwrap();
    let output = run(["study", "--resume", killed.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(weights(&killed) == weights(&whole), "other bytes");

    for (epochs, cause) in [("7", "the run has 8"), ("0", "the run has 8")] {
        let output = more(&whole, epochs);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(cause), "{}", said(&output));
    }
}
