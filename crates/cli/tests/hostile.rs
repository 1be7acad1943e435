//! Damaged checkpoints and wrong requests: one line that names the thing, the right exit code,
//! nothing lost.

mod common;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::{run, said, selfsame, small};

fn trained(folder: &Path) -> PathBuf {
    let out = folder.join("run");
    let output = run(small("pretrain", &out));
    assert!(output.status.success(), "{}", said(&output));
    out
}

#[test]
fn a_hundred_mutated_checkpoints_are_each_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = trained(folder.path());
    let shown = path.display().to_string();
    let mut state = 5u64;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for (file, command) in [
        ("last.safetensors", vec!["eval".to_owned(), shown.clone()]),
        (
            "last.state.safetensors",
            vec!["pretrain".to_owned(), "--resume".to_owned(), shown.clone()],
        ),
    ] {
        let file = path.join("checkpoints").join(file);
        let good = std::fs::read(&file).unwrap();
        for mutation in 0..50 {
            let mut bad = good.clone();
            match mutation % 5 {
                0 => bad.truncate(next(good.len())),
                1 => {
                    let at = next(good.len());
                    bad[at] ^= 1 << next(8);
                }
                // The header: its length and its JSON.
                2 => bad[next(8)] ^= 1 << next(8),
                3 => {
                    let at = 8 + next(200);
                    bad[at] = bad[at].wrapping_add(1 + next(255) as u8);
                }
                _ => bad.extend((0..1 + next(64)).map(|_| 7)),
            }
            std::fs::write(&file, &bad).unwrap();
            let output = run(&command);
            let text = said(&output);
            assert_eq!(
                output.status.code(),
                Some(1),
                "mutation {mutation} of {}: {text}",
                file.display()
            );
            assert!(
                text.contains(&file.display().to_string()) && !text.contains("panicked"),
                "{text}"
            );
        }
        std::fs::write(&file, &good).unwrap();
    }
    let output = run(["pretrain", "--resume", &shown]);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_checkpoint_of_another_model_names_every_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let path = trained(folder.path());
    let config = path.join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("width = 2", "width = 3")).unwrap();
    let output = run(["eval", &path.display().to_string()]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "last.safetensors",
        "conv1.weight (model [3, 3, 3, 3], file [2, 3, 3, 3])",
        "layer4.1.bn2.running_var",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn misuse_is_exit_code_2_and_one_line_with_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let at = |extra: &[&str]| {
        let mut args = vec!["study".to_owned(), "--out".to_owned(), out.display().to_string()];
        args.extend(extra.iter().map(|s| (*s).to_owned()));
        args
    };
    for (extra, names) in [
        (&["--augment", "abq"][..], "q"),
        (&["--data", "/nowhere/at/all"], "/nowhere/at/all"),
        (&["--temperature", "-1"], "temperature"),
        (&["--batch", "1"], "batch"),
        (&["--epochs", "0"], "epochs"),
        (&["--image-size", "3"], "image_size"),
        (&["--device", "abacus"], "abacus"),
        (&["--device", "cuda"], "--features cuda"),
        (&["--classes", "disc,unicorn"], "unicorn"),
        (&["--threads", "0"], "--threads"),
        (&["--threads", "1025"], "--threads"),
        (&["--epochs", "18446744073709551615"], "epochs"),
        (&["--batch", "18446744073709551615"], "batch"),
        (&["--limit", "1"], "--limit"),
        (&["--no-such-flag"], "--no-such-flag"),
    ] {
        let output = run(at(extra));
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{extra:?}: {text}");
        assert!(text.contains(names) && !text.contains("panicked"), "{extra:?}: {text}");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let own = !extra[0].contains("no-such");
        assert!(
            !own || errors.lines().filter(|line| line.starts_with("error: ")).count() == 1,
            "{errors}"
        );
        assert!(!own || errors.lines().last().unwrap().starts_with("error: "), "{errors}");
    }
    assert!(!out.join("config.toml").exists(), "nothing that could be resumed was left");
    for verb in ["eval", "report"] {
        let output = run([verb, &out.display().to_string()]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("not the folder of a run"));
    }
}

#[test]
fn a_run_is_never_written_over_unasked_and_strange_files_never() {
    let folder = tempfile::tempdir().unwrap();
    let path = trained(folder.path());
    let weights = std::fs::read(path.join("checkpoints/last.safetensors")).unwrap();
    let again = small("pretrain", &path);
    let output = run(&again);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("--overwrite") && said(&output).contains("--resume"),
        "{}",
        said(&output)
    );
    assert_eq!(std::fs::read(path.join("checkpoints/last.safetensors")).unwrap(), weights);

    // A request that fails leaves the old run alone, even where it was to be written over.
    let output = run([
        "study",
        "--data",
        "/nowhere/at/all",
        "--overwrite",
        "--out",
        &path.display().to_string(),
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read(path.join("checkpoints/last.safetensors")).unwrap(), weights);
    // And what a run did not write is not its own, whatever it is called.
    let other = folder.path().join("other");
    std::fs::create_dir_all(other.join("checkpoints")).unwrap();
    let output = run(["study", "--overwrite", "--out", &other.display().to_string()]);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("checkpoints"),
        "{}",
        said(&output)
    );

    std::fs::write(path.join("thesis.tex"), "years of work").unwrap();
    let mut overwrite = again.clone();
    overwrite.push("--overwrite".to_owned());
    let output = run(&overwrite);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("thesis.tex"), "{}", said(&output));
    std::fs::remove_file(path.join("thesis.tex")).unwrap();
    let output = run(&overwrite);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_loss_that_is_no_number_stops_with_step_rate_and_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut args = small("pretrain", &out);
    args.extend(["--optimizer", "sgd", "--lr", "1e30", "--warmup-epochs", "3"].map(str::to_owned));
    let output = run(args);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["at step ", "learning rate", "checkpoint", "lower --lr"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// The work goes on without anyone to read about it.
#[test]
fn closed_standard_error_costs_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let mut command = selfsame(small("pretrain", &out));
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert!(out.join("report.html").is_file());

    let mut child = selfsame(["eval", "/nowhere"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

/// A result that cannot be written is no success; a reader that has read enough is.
#[cfg(target_os = "linux")]
#[test]
fn lost_results_are_said_to_be_lost() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    for args in [&["methods"][..], &["methods", "--json"], &["man"], &["completions", "bash"]] {
        let output = selfsame(args).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("error: standard output: "), "{}", said(&output));
        let mut child = selfsame(args).stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        assert!(child.wait().unwrap().success());
    }
}
