//! The sections of a certificate, whatever its record holds.

use std::fs;

use selfsame_report::certificate::*;
use selfsame_report::comparison::{
    self, Aspect, ComparedRun, Comparison, CurvePoint, Difference, Note, Paired, Predictor,
};
use selfsame_report::record::{RUN_FILE, RunRecord};
use selfsame_report::{
    Report, ReportError, Sprite, read, render, render_certificate, render_comparison, write_json,
};
use selfsame_theory::bounds::certificate::{Certificate, Form};
use selfsame_theory::{Quantity, Trust};

const HOSTILE: &str = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;<!--";

fn exact(value: f64) -> Quantity {
    Quantity::exact(value)
}

fn bound(value: f64) -> Quantity {
    Quantity::at_most(value)
}

fn estimate(value: f64, low: f64, high: f64) -> Quantity {
    let trust =
        Trust::Estimate { low: Some(low), high: Some(high), method: "halves".into(), sample: 40 };
    Quantity { value, trust }
}

fn assumed(value: f64, that: &str) -> Quantity {
    Quantity { value, trust: Trust::Assumed { that: that.to_owned().into() } }
}

/// A certificate with every part, its two classes and all texts called `text`.
fn whole(text: &str) -> CertificateRecord {
    let certificate = Certificate {
        delta: 2.0,
        epsilon: 0.25,
        sigma: 0.75,
        outside: 0.125,
        error: 0.375,
        slack: 0.0625,
    };
    let class = |_| ClassRecord {
        name: text.into(),
        images: 8,
        alignment: Some(exact(0.03)),
        norm2: exact(0.9),
        error: exact(0.125),
        bound: Some(bound(0.3125)),
        certificate: Some(certificate),
        sigma: Some(exact(0.75)),
        separation: Some(exact(0.8)),
        curve: vec![[0.0, 0.0, 0.0], [2.0, 2.0, 0.125]],
    };
    let named = |name: &str, quantity| Named { name: name.into(), quantity };
    let error = |form, whole, by_class| ErrorBound {
        form,
        whole: bound(whole),
        certificate,
        by_class: bound(by_class),
    };
    let pair = CorrelationPair {
        product: exact(-0.5),
        most: exact(7.0),
        published: bound(9.0),
        sharper: bound(6.50001),
        centred: bound(5.25),
    };
    CertificateRecord {
        selfsame: text.into(),
        command: vec![text.into()],
        subject: text.into(),
        split: text.into(),
        weights: text.into(),
        precision: text.into(),
        step: Some(9),
        digest: text.into(),
        image_size: None,
        source_size: None,
        policy: text.into(),
        seed: 3,
        images: 16,
        views: 5,
        dim: 8,
        verdict: Some(Verdict::Proved),
        obstacles: Some(Obstacles {
            allowed: 0.25,
            holds: false,
            delta: 2.0,
            epsilon: 0.25,
            rho: Rho { unconcentrated: 0.5, unaligned: 0.25, gap: 0.125, spread: 0.125 },
        }),
        advice: Some(Advice::Improve { factor: Factor::Concentration, from: 0.3125, to: 0.05 }),
        classes: [0, 1].map(class).into(),
        alignment: Some(AlignmentRecord {
            finite: exact(0.2),
            unbiased: Some(estimate(0.25, 0.22, 0.28)),
            chance: exact(1.9),
            median_diameter: exact(0.4),
            curve: vec![[0.1, 0.9], [0.4, 0.5], [1.1, 0.0]],
            spread: vec![Spread {
                epsilon: 0.4,
                outside: exact(0.5),
                outside_interval: estimate(0.5, 0.3, 0.7),
                outside_of_half: exact(0.375),
                bound: bound(0.71301),
                log10_published: Some(assumed(41.5, text)),
            }],
        }),
        concentration: Some(ConcentrationRecord {
            delta: bound(120.0),
            levels: bound(7.50011),
            budget: None,
            sigma: exact(0.4375),
            sigma_interval: estimate(0.4375, 0.3, 0.6),
            mean_sigma: Quantity::at_least(0.56789),
            mean_sigma_interval: estimate(0.5, 0.4, 0.6),
            overlap: exact(0.0625),
            touching: exact(0.0),
            separation: Some(exact(0.84)),
            separation_interval: Some(estimate(0.84, 0.8, 0.88)),
        }),
        divergence: Some(DivergenceRecord {
            largest: Some(exact(0.34)),
            mean: Some(exact(0.3)),
            shortfall: exact(0.15),
            closest: vec![Pair {
                classes: [0, 1],
                product: exact(0.34),
                infonce: Some(LossPair { published: bound(3.1), pairwise: assumed(0.77, text) }),
                correlation: Some(pair),
            }],
            products: vec![0.9, 0.34, -0.34, 0.85],
        }),
        errors: vec![named("nearest centre", exact(0.125)), named(text, estimate(0.2, 0.1, 0.3))],
        bounds: vec![error(Form::Derived, 1.0, 0.6875), error(Form::Sharpened, 0.375, 0.3125)],
        what_if: [Factor::Alignment, Factor::Divergence, Factor::Concentration]
            .into_iter()
            .zip([0.3, 0.28, 0.05])
            .map(|(factor, value)| WhatIf { factor, bound: assumed(value, text), slack: 0.1 })
            .collect(),
        infonce: Some(InfoNceRecord {
            l1: exact(-0.9),
            l2: estimate(1.3, 1.29, 1.31),
            average: Some(bound(0.41)),
            label_free: Some(bound(0.66)),
            from_mean: Some(bound(0.5)),
        }),
        correlation: Some(CorrelationRecord {
            dim: 7,
            constant: 1,
            l1: Some(exact(0.6)),
            l2: exact(12.0),
            trace: exact(5.0),
            trace_residual: exact(1e-16),
            gram_residual: Some(exact(2e-16)),
            within: Some(exact(4.0)),
            average: Some(exact(0.7)),
            average_bound: Some(bound(0.900001)),
        }),
        geometry: vec![named("RankMe", exact(6.2)), named(text, exact(1.1))],
        lipschitz: Some(estimate(0.004, 0.004, 0.004)),
        lipschitz_bound: Some(bound(1.5011e9)),
        assumptions: [
            (Premise::ClassesDoNotMeet, Some(false)),
            (Premise::SameLength, Some(true)),
            (Premise::ImageAmongItsViews, Some(true)),
            (Premise::Lipschitz, None),
            (Premise::AllViews, None),
        ]
        .map(|(premise, holds)| Assumption { premise, holds })
        .into(),
        left_out: vec![
            LeftOut::FewImages { class: text.into(), images: 3, needed: 4 },
            LeftOut::NotEvaluated,
            LeftOut::OtherWeights,
            LeftOut::Image { name: text.into(), cause: text.into() },
            LeftOut::Repeats { count: 2, first: [5, 1] },
        ],
        examples: Some(Sprite::lossless(2, 2, &[&[120; 12][..]; 2 * EXAMPLES], 4).unwrap()),
    }
}

fn page(record: CertificateRecord) -> String {
    render(&Report { certificate: Some(record), ..Report::default() })
}

/// Tags close in order, and nothing is loaded or no number.
fn check(page: &str) {
    for forbidden in
        ["src=\"http", "href=\"http", "NaN", ">inf", "∞", "<script>alert", "<img", "<!--"]
    {
        assert!(!page.contains(forbidden), "page contains {forbidden}");
    }
    let (mut open, mut rest) = (Vec::new(), page);
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let name: String =
            rest.chars().take_while(|c| c.is_alphanumeric() || "/!".contains(*c)).collect();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closing tag out of order");
        } else if !["meta", "link", "!DOCTYPE"].contains(&name.as_str()) {
            if name == "script" || name == "style" {
                rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
            }
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

#[test]
fn what_was_found_is_on_the_page() {
    let text = page(whole("ring"));
    check(&text);
    // The concentration, were it perfect, would help most; no other dial is marked.
    let marked = text.split("first, for the bound").next().unwrap();
    assert_eq!(text.matches("first, for the bound").count(), 1);
    assert!(
        marked.ends_with("Concentration <span class=\"badge\">"),
        "{}",
        &marked[marked.len() - 60..]
    );
    for part in [
        "id=\"factors\"",
        "id=\"bounds\"",
        "<b>37.5%</b> <small class=\"bound\">bound, at most</small>",
        // Bounds are rounded to the side that the truth is on.
        "<b>31.3%</b> <small class=\"bound\">bound, at most</small>",
        "<b>71.4%</b> <small class=\"bound\">bound, at most</small>",
        "<b>6.501</b> <small class=\"bound\">bound, at most</small>",
        "<b>0.9001</b> <small class=\"bound\">bound, at most</small>",
        "<b>1.51e9</b> <small class=\"bound\">bound, at most</small>",
        "at least 56.7%",
        "7.501/255",
        "<b>vacuous</b>",
        "<b>0.25</b> <small class=\"estimate\">estimate, 0.22 to 0.28</small>",
        "Nearest centre gets at most 31.3% of these 16 images wrong: that is proved.",
        "be below 0.2500. That follows from the two closest centres, ring and ring",
        "ρ is 1.000 (δ = 2.0, ε = 0.250)",
        "The largest is that for images outside of the main parts, 2(1 − σ).",
        "2 of 2 classes have a bound below 100%",
        "Were the concentration perfect (ring), the bound would be 5.0%.",
        "change the concentration first: alone it could bring the bound from 31.3% down to 5.0%.",
        "ring has 3 of the images: concentration has an interval only where every class has 4",
        "The accuracies of <code>selfsame eval ring</code> were not measured yet",
        "2 of 16 images repeat an earlier one, value for value (the first: image 5 (from row 25) \
         repeats image 1 (from row 5))",
        "vacuous: 10 to the 41.5",
        "does not hold",
        "class=\"state open\">open<",
        "data:image/png",
        "fill-opacity=\"1.000\"",
        "fill-opacity=\"0.060\"",
    ] {
        assert!(text.contains(part), "{part}");
    }
    // A vacuous bound is never shown as a percentage.
    assert!(!text.contains("<b>100.0%</b>"));
    assert!(render_certificate(&whole("ring")).contains("Certificate of ring"));
}

#[test]
fn no_factor_is_first_where_none_alone_improves_the_bound() {
    let with = |own: f64, perfect: f64| {
        let mut record = whole("ring");
        record
            .bounds
            .iter_mut()
            .for_each(|found| (found.whole, found.by_class) = (bound(own), bound(own)));
        record.what_if.iter_mut().for_each(|what_if| what_if.bound.value = perfect);
        record
    };
    assert!(
        with(0.5, 0.5).first().is_none() && !page(with(0.5, 0.5)).contains("first, for the bound")
    );
    assert!(with(0.0, 0.0).first().is_none());
    assert!(with(0.5, 0.25).first().is_some());
    // Of a vacuous bound it is the one that comes nearest.
    assert!(with(1.0, 1.0).first().is_some());
}

#[test]
fn hostile_text_stays_text() {
    for text in [page(whole(HOSTILE)), render_certificate(&whole(HOSTILE))] {
        check(&text);
    }
    let scripts = |page: &str| page.matches("<script").count();
    assert_eq!(
        scripts(&page(whole(HOSTILE))),
        scripts(&page(whole("ring"))),
        "no script but the page's own"
    );
}

#[test]
fn what_is_missing_is_left_out() {
    let empty = page(CertificateRecord::default());
    check(&empty);
    assert!(empty.contains("Nothing was certified"));
    // As of embeddings of one view, with labels.
    let (alignment, concentration, infonce, lipschitz, examples) = (None, None, None, None, None);
    let (bounds, what_if) = (Vec::new(), Vec::new());
    let some = page(CertificateRecord {
        alignment,
        concentration,
        infonce,
        lipschitz,
        examples,
        bounds,
        what_if,
        ..whole("ring")
    });
    check(&some);
    assert!(
        some.contains("Not measured")
            && !some.contains("first, for the bound")
            && some.contains("12.5%")
    );
    // Of a single class nothing is held against another.
    let mut single = whole("ring");
    single.classes.truncate(1);
    single.divergence.as_mut().unwrap().largest = None;
    single.concentration.as_mut().unwrap().separation_interval = None;
    let single = page(single);
    check(&single);
    assert!(
        single.contains("it takes two to point") && !single.contains("two closest class centres")
    );
    // Records that do not fit together, and numbers beyond all measure.
    let mut odd = whole("ring");
    odd.classes.truncate(1);
    odd.alignment.as_mut().unwrap().curve = vec![[1e300, -1e300]];
    odd.alignment.as_mut().unwrap().chance = exact(0.0);
    odd.examples.as_mut().unwrap().tiles = 1;
    check(&page(odd));
}

#[test]
fn a_damaged_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_json(&folder.path().join(RUN_FILE), &RunRecord::default()).unwrap();
    let path = folder.path().join(CERTIFICATE_FILE);
    write_json(&path, &whole("ring")).unwrap();
    assert_eq!(read(folder.path()).unwrap().certificate, Some(whole("ring")));

    let good = fs::read(&path).unwrap();
    for keep in [0, 1, good.len() / 3, good.len() - 3] {
        fs::write(&path, &good[..keep]).unwrap();
        let error = read(folder.path()).unwrap_err();
        assert!(
            matches!(error, ReportError::Json { .. })
                && error.to_string().contains(CERTIFICATE_FILE),
            "{error}"
        );
    }
    // Before verdicts were values they were sentences.
    fs::write(&path, "{\"selfsame\":\"0.1.0\",\"verdict\":[\"Nothing is proved.\"]}").unwrap();
    let error = read(folder.path()).unwrap_err();
    assert!(
        matches!(error, ReportError::Outdated { .. })
            && error.to_string().contains("`selfsame certify` can write it again"),
        "{error}"
    );
    fs::write(&path, "{\"a\":1}").unwrap();
    let error = read(folder.path()).unwrap_err();
    assert!(
        matches!(error, ReportError::Certificate { .. })
            && error.to_string().contains(CERTIFICATE_FILE),
        "{error}"
    );
    let mut record = whole("ring");
    record.examples.as_mut().unwrap().picture = b"<svg onload=alert(1)>".into();
    write_json(&path, &record).unwrap();
    assert!(matches!(read(folder.path()).unwrap_err(), ReportError::Sprite { .. }));
}

#[test]
fn a_comparison_is_a_page_whatever_it_holds() {
    let of = |text: &str| {
        let run = |at: usize| ComparedRun {
            run: format!("{text}{at}"),
            method: text.into(),
            augment: text.into(),
            epochs: 3,
            seed: at as u64,
            settings: vec![(at > 0).then(|| text.into())],
            curve: vec![CurvePoint { epoch: 1.0, loss: None, knn: Some(0.1 * at as f64) }; at],
            accuracies: vec![Some(estimate(0.25 * at as f64, 0.1, 0.9)), None],
            values: vec![Some(exact(at as f64)), Some(assumed(1e300, text)), None],
            bound: Some(bound(1.0)),
        };
        let predictor = |name: &str, tau| Predictor {
            name: format!("{name}{text}"),
            meaning: text.into(),
            larger_is_better: false,
            taus: vec![tau, None],
        };
        Comparison {
            selfsame: text.into(),
            command: vec![text.into()],
            verdict: comparison::Verdict::Undecided { others: vec![1] },
            settings: vec![text.into()],
            paired: vec![Paired {
                other: 1,
                images: 8,
                differences: vec![Some(Difference {
                    only_first: 3,
                    only_other: 1,
                    difference: estimate(0.25, -0.125, 0.5),
                })],
            }],
            delta: Some(12.5),
            epsilon: None,
            accuracies: vec![text.into(), text.into()],
            leading: 0,
            predictors: vec![
                predictor("worse", Some(estimate(-0.5, -0.75, 0.0))),
                predictor("better", Some(estimate(0.75, 0.25, 0.875))),
                predictor("none", None),
            ],
            runs: (0..5).map(run).collect(),
            notes: vec![
                Note::PassedOver { run: text.into() },
                Note::NoPredictions { run: text.into() },
                Note::OtherImages { run: text.into() },
                Note::NoCertificate { run: text.into() },
                Note::DifferentSteps { run: text.into() },
                Note::NoAccuracies { run: text.into() },
                Note::UnknownImages,
                Note::Differ { aspect: Aspect::Seeds },
                Note::FewRuns { complete: 5 },
                Note::Dependent,
            ],
        }
    };
    let page = render_comparison(&of("x"));
    check(&page);
    for text in [
        "x0 has the highest x accuracy, 0.0%, but 8 test images cannot tell it from x1",
        "They differ in one setting: x.",
        "Of 2 measures, betterx orders these runs best",
        "chosen by these runs; expect less on others",
        "<b>25.0</b><small>−12.5 to 50.0</small>",
        "−0.50",
        "x is no run and was passed over.",
        "x has no certificate; <code>selfsame certify x</code> makes it.",
        "The certificates are of views of different seeds",
        "there are none below 5; these are 5.",
        "vacuous",
    ] {
        assert!(page.contains(text), "{text}");
    }
    check(&render_comparison(&of(HOSTILE)));
    let mut few = of("x");
    few.runs.truncate(4);
    let few = render_comparison(&few);
    assert!(!few.contains("τ") && few.contains("cannot tell it from"), "no predictor is named");
    // A headline rests on no interval that holds 0, nor does the best of the predictors.
    let mut chance = of("x");
    chance.predictors[1].taus[0] = Some(estimate(0.75, -0.25, 0.875));
    assert!(!render_comparison(&chance).contains("orders these runs best"));
    let nothing = render_comparison(&Comparison::default());
    check(&nothing);
    assert!(nothing.contains("nothing to compare yet: no run has an accuracy"));
}
