//! Certificates of encoders that no run made: what a run's weights give, they give as a file.

use std::path::Path;

use selfsame::report::certificate::{CERTIFICATE_FILE, CertificateRecord};
use selfsame::report::read_certificate;

use crate::common::{run, said};
use crate::{certify, two_classes};

const DATA: &str =
    "--data glyphs --limit 60 --image-size 16 --classes ring,square --per-class 5 --views 3";

fn of_file(file: &Path, out: &Path, more: &str) -> std::process::Output {
    let mut args =
        ["certify", "--init", &file.display().to_string(), "--out", &out.display().to_string()]
            .map(str::to_owned)
            .to_vec();
    args.extend(more.split_whitespace().map(str::to_owned));
    run(args)
}

#[test]
fn a_file_of_weights_has_the_certificate_of_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let (of_run, out) = (two_classes(folder.path()), folder.path().join("out"));
    let expected = certify(&of_run, "--per-class 5 --views 3");
    let file = of_run.join("checkpoints/last.safetensors");
    let output = of_file(&file, &out, DATA);
    assert!(output.status.success(), "{}", said(&output));
    let found = read_certificate(&out.join(CERTIFICATE_FILE)).unwrap().unwrap();
    assert!(!found.bounds.is_empty() && found.concentration.is_some());
    assert_eq!(found.subject, file.display().to_string());
    // The run's has what `selfsame eval` measured, too.
    let errors =
        expected.errors.iter().filter(|named| found.errors.contains(named)).cloned().collect();
    let own = |record: &CertificateRecord| CertificateRecord {
        command: Vec::new(),
        subject: String::new(),
        weights: String::new(),
        step: None,
        ..record.clone()
    };
    assert_eq!(own(&found), CertificateRecord { errors, ..own(&expected) });
    assert_eq!(found.errors.len(), 3);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(
        page.contains("id=\"factors\"")
            && page.contains("--encoder resnet18 --stem cifar --width 2 --precision")
    );

    // The command that the record names makes it again, to the byte.
    let before = std::fs::read(out.join(CERTIFICATE_FILE)).unwrap();
    let again = found.command[1..].iter().map(String::as_str).chain(["--overwrite"]);
    assert!(run(again).status.success());
    assert_eq!(std::fs::read(out.join(CERTIFICATE_FILE)).unwrap(), before);

    // Another encoder than the file's takes none of it, and of another stem only a part, where that
    // is asked for.
    let partial = |more: &str| {
        of_file(&file, &folder.path().join("partial"), &format!("{DATA} --stem imagenet {more}"))
    };
    let output = partial("");
    assert!(
        output.status.code() == Some(2) && said(&output).contains("--init-partial"),
        "{}",
        said(&output)
    );
    let output = partial("--init-partial --augment e");
    assert!(output.status.success(), "{}", said(&output));
    let found =
        read_certificate(&folder.path().join("partial").join(CERTIFICATE_FILE)).unwrap().unwrap();
    assert!(
        found.weights.contains("as before any training") && found.policy == "e",
        "{}",
        found.weights
    );
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("w.safetensors"), folder.path().join("out"));
    std::fs::write(&file, b"no weights").unwrap();
    for (more, code) in [
        ("", 2),
        ("--data glyphs --checkpoint best", 2),
        ("--data glyphs --width 0", 2),
        ("--data glyphs --image-size 4", 2),
        ("--data glyphs --augment xyz", 2),
        ("--data glyphs --embeddings x.npy", 2),
        ("--data glyphs", 1),
    ] {
        let output = of_file(&file, &out, more);
        assert_eq!(output.status.code(), Some(code), "{more}: {}", said(&output));
        assert!(!said(&output).contains("panicked") && !out.exists());
    }
}
