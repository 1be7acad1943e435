//! Certificates: their numbers are those of plain loops over the definitions, and what cannot be
//! measured is refused.

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod embeddings;
mod init;

use std::path::{Path, PathBuf};

use common::{run, said, small};
use selfsame::augment::{Image, Purpose, Scratch, ViewKey};
use selfsame::data::{LoadOptions, load};
use selfsame::eval::embed;
use selfsame::nn::layers::Init;
use selfsame::nn::{device, state};
use selfsame::report::certificate::{
    CERTIFICATE_FILE, CertificateRecord, Factor, LeftOut, Premise, Verdict, words,
};
use selfsame::report::read_certificate;
use selfsame::report::record::EVAL_FILE;
use selfsame::theory::bounds::certificate::{Class, Form, MainPart, World};
use selfsame::theory::{Quantity, Side, Trust};
use selfsame::train::{Config, checkpoint};

/// Images of a class, and views of an image with itself.
const IMAGES: usize = 6;
const VIEWS: usize = 4;

fn two_classes(folder: &Path) -> PathBuf {
    two_classes_of(folder, "run", "")
}

fn two_classes_of(folder: &Path, name: &str, more: &str) -> PathBuf {
    let out = folder.join(name);
    let mut args = small("study", &out);
    args.extend(["--classes", "ring,square"].map(str::to_owned));
    args.extend(more.split_whitespace().map(str::to_owned));
    let output = run(&args);
    assert!(output.status.success(), "{}", said(&output));
    out
}

fn certify(run_folder: &Path, more: &str) -> CertificateRecord {
    let shown = run_folder.display().to_string();
    let mut args = ["certify", &shown, "--json", "--overwrite"].map(str::to_owned).to_vec();
    args.extend(more.split_whitespace().map(str::to_owned));
    let output = run(&args);
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.lines().count(), 1, "with --json standard output holds one line: {text}");
    let printed: CertificateRecord = serde_json::from_str(&text).unwrap();
    let written = read_certificate(&run_folder.join(CERTIFICATE_FILE)).unwrap().unwrap();
    assert_eq!(printed, CertificateRecord { examples: None, ..written.clone() });
    written
}

/// The world as the definitions have it, by image and view.
struct Plain {
    pixels: Vec<Vec<Vec<u8>>>,
    /// Of length 1.
    rows: Vec<Vec<Vec<f64>>>,
    /// As the encoder gives them.
    raw: Vec<Vec<Vec<f64>>>,
}

impl Plain {
    /// Images `0..IMAGES` are of the first class.
    fn of(run_folder: &Path) -> Self {
        let text = std::fs::read_to_string(run_folder.join("config.toml")).unwrap();
        let plan = toml::from_str::<Config>(&text).unwrap().check().unwrap();
        let options = LoadOptions {
            image_size: Some(plan.data.image_size),
            seed: plan.split_seed(),
            limit: plan.data.limit,
            classes: plan.data.classes.clone(),
            ..LoadOptions::default()
        };
        let dataset = load(&plan.data.source, &options, &|_, _| {}).unwrap();
        let labels = dataset.test.labels().unwrap();
        let chosen = (0..2).flat_map(|class| {
            let own: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
            selfsame::eval::sample(own.len(), IMAGES)
                .into_iter()
                .map(|at| own[at])
                .collect::<Vec<_>>()
        });
        let views = |index: usize| {
            let image = dataset.test.image(index);
            let view = |view| {
                let key = ViewKey::new(Purpose::Certificate, 7, index as u64, view);
                let mut into = vec![0; image.pixels().len()];
                plan.augment
                    .view(key, image, image.width(), &mut Scratch::default(), &mut into)
                    .unwrap();
                into
            };
            [vec![image.pixels().to_vec()], (0..VIEWS as u32 - 1).map(view).collect()].concat()
        };
        let pixels: Vec<Vec<Vec<u8>>> = chosen.map(views).collect();

        let device = device::by_name("flex").unwrap();
        let (weights, _) =
            checkpoint::load_backbone(&checkpoint::Which::Last.path(run_folder)).unwrap();
        let encoder =
            state::load(plan.encoder.init(&mut Init::new(plan.seed, &device)), &weights).unwrap();
        let all: Vec<Image<'_>> =
            pixels.iter().flatten().map(|view| Image::square(dataset.image_size, view)).collect();
        let features = embed(&encoder, &all, &device, &mut |_| ()).unwrap();
        let row = |row: usize| -> Vec<f64> {
            features.row(row).iter().map(|&value| value.into()).collect()
        };
        let raw =
            (0..2 * IMAGES).map(|image| (0..VIEWS).map(|view| row(image * VIEWS + view)).collect());
        let raw: Vec<Vec<Vec<f64>>> = raw.collect();
        let normalised = |row: &Vec<f64>| -> Vec<f64> {
            let length = dot(row, row).sqrt();
            row.iter().map(|value| value / length).collect()
        };
        let rows = raw.iter().map(|views| views.iter().map(normalised).collect()).collect();
        Self { pixels, rows, raw }
    }

    /// The raw rows with the coordinates that vary, each of mean 0 and second moment 1.
    fn standardised(&self) -> Vec<Vec<Vec<f64>>> {
        let all: Vec<&Vec<f64>> = self.raw.iter().flatten().collect();
        let scales = (0..all[0].len()).map(|column| {
            let mean = all.iter().map(|row| row[column]).sum::<f64>() / all.len() as f64;
            let square =
                all.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / all.len() as f64;
            (mean, square.sqrt(), all.iter().any(|row| row[column] != all[0][column]))
        });
        let scales: Vec<(f64, f64, bool)> = scales.collect();
        let row = |row: &Vec<f64>| -> Vec<f64> {
            let varying = row.iter().zip(&scales).filter(|(_, scale)| scale.2);
            varying.map(|(value, (mean, deviation, _))| (value - mean) / deviation).collect()
        };
        self.raw.iter().map(|views| views.iter().map(row).collect()).collect()
    }

    /// The squared distance of the nearest views of two images, and how far apart f puts the first
    /// such pair.
    fn nearest(&self, i: usize, j: usize) -> (u64, f64) {
        let squared = |a: &[u8], b: &[u8]| {
            a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum::<u64>()
        };
        let pairs = (0..VIEWS).flat_map(|u| (0..VIEWS).map(move |v| (u, v)));
        let (key, u, v) = pairs
            .map(|(u, v)| (squared(&self.pixels[i][u], &self.pixels[j][v]), u, v))
            .min()
            .unwrap();
        (key, apart(&self.rows[i][u], &self.rows[j][v]).sqrt())
    }

    fn diameter(&self, image: usize) -> f64 {
        let views = &self.rows[image];
        views.iter().flat_map(|a| views.iter().map(move |b| apart(a, b))).fold(0.0, f64::max).sqrt()
    }

    fn centre(&self, class: usize) -> Vec<f64> {
        mean(self.rows[class * IMAGES..(class + 1) * IMAGES].iter().flatten())
    }
}

fn mean<'a>(rows: impl Iterator<Item = &'a Vec<f64>>) -> Vec<f64> {
    let rows: Vec<&Vec<f64>> = rows.collect();
    (0..rows[0].len())
        .map(|column| rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64)
        .collect()
}

/// ‖a − b‖².
fn apart(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Some hundred sums of numbers of size 1 are off by less than 10⁻¹³, and roots of small ones by
/// its root at most where they are compared.
fn close(found: &Quantity, expected: f64) {
    assert!((found.value - expected).abs() < 1e-10, "{found} and not {expected}");
}

/// A bound from above adds what rounding may do to it: some 10⁻¹⁰ over the weight of a pair, ¼
/// here, times what a logarithm or a root makes of it.
fn just_above(found: &Quantity, expected: f64) {
    let apart = found.value - expected;
    assert!(apart > -1e-10 && apart < 1e-6 * expected.abs().max(1.0), "{found} and not {expected}");
    assert_eq!(found.trust.side(), Some(Side::AtMost));
}

#[test]
fn numbers_are_those_of_plain_loops() {
    let folder = tempfile::tempdir().unwrap();
    let out = two_classes(folder.path());
    // What is damaged is replaced.
    std::fs::write(out.join("certificate.json"), "{\"bound\": 1").unwrap();
    let record = certify(&out, &format!("--per-class {IMAGES} --views {} --seed 7", VIEWS - 1));
    let plain = Plain::of(&out);
    assert_eq!((record.images, record.views), (2 * IMAGES, VIEWS));
    assert_eq!(record.split, "test");

    let images = 0..2 * IMAGES;
    let align = images.clone().map(|image| {
        let views = &plain.rows[image];
        views.iter().flat_map(|a| views.iter().map(move |b| apart(a, b))).sum::<f64>()
            / (VIEWS * VIEWS) as f64
    });
    let align = align.sum::<f64>() / (2 * IMAGES) as f64;
    let found = record.alignment.as_ref().unwrap();
    close(&found.finite, align);
    // Of views drawn: pairs of two different ones of those beside the image itself.
    let drawn = images.clone().map(|image| {
        let views = &plain.rows[image][1..];
        views.iter().flat_map(|a| views.iter().map(move |b| apart(a, b))).sum::<f64>()
    });
    let unbiased = found.unbiased.as_ref().unwrap();
    close(unbiased, drawn.sum::<f64>() / (2 * IMAGES * (VIEWS - 1) * (VIEWS - 2)) as f64);
    assert!(
        matches!(unbiased.trust, Trust::Estimate { low: Some(low), high: Some(high), sample, .. }
        if low < unbiased.value && high > unbiased.value && sample == 2 * IMAGES)
    );
    let diameters: Vec<f64> = images.clone().map(|image| plain.diameter(image)).collect();
    let mut sorted = diameters.clone();
    sorted.sort_by(f64::total_cmp);
    close(&found.median_diameter, 0.5 * (sorted[IMAGES - 1] + sorted[IMAGES]));
    for &[epsilon, outside] in &found.curve {
        let expected = diameters.iter().filter(|&&diameter| diameter > epsilon + 1e-10).count();
        assert_eq!(outside, expected as f64 / (2 * IMAGES) as f64, "at {epsilon}");
    }
    for spread in &found.spread {
        let bound = (VIEWS as f64 * align / spread.epsilon.powi(2)).min(1.0);
        just_above(&spread.bound, bound);
        // The published theorem speaks of two views drawn, which L_align of the views here is
        // below.
        let Trust::Estimate { high: Some(high), .. } = unbiased.trust else { panic!("{unbiased}") };
        let published = spread.log10_published.as_ref().unwrap().trust.to_string();
        assert!(
            published.contains(&format!("upper end of its 95% interval, {high:.4}")),
            "{published}"
        );
        let half = (40.0_f64.ln() / (4 * IMAGES) as f64).sqrt();
        let ends = [spread.outside.value - half, spread.outside.value + half]
            .map(|end| end.clamp(0.0, 1.0));
        match &spread.outside_interval.trust {
            Trust::Estimate { low: Some(low), high: Some(high), sample, .. } => {
                assert!(
                    (low - ends[0]).abs() < 1e-12
                        && (high - ends[1]).abs() < 1e-12
                        && *sample == 2 * IMAGES
                );
            }
            trust => panic!("{trust}"),
        }
        assert!(
            spread.outside.value <= spread.bound.value
                && spread.outside_of_half.value <= spread.outside.value
        );
    }

    let centres = [plain.centre(0), plain.centre(1)];
    let divergence = record.divergence.as_ref().unwrap();
    let products: Vec<f64> = (0..4).map(|at| dot(&centres[at / 2], &centres[at % 2])).collect();
    for (found, expected) in divergence.products.iter().zip(&products) {
        assert!((found - expected).abs() < 1e-12);
    }
    close(divergence.largest.as_ref().unwrap(), products[1]);
    close(&divergence.shortfall, 1.0 - products[0].min(products[3]));
    let wrong = |image: usize, view: usize| {
        let own = image / IMAGES;
        apart(&plain.rows[image][view], &centres[own])
            > apart(&plain.rows[image][view], &centres[1 - own])
    };
    let share = |count: usize| count as f64 / (2 * IMAGES) as f64;
    close(
        record.named("nearest centre").unwrap(),
        share(images.clone().filter(|&image| wrong(image, 0)).count()),
    );
    let any = images.clone().filter(|&image| (0..VIEWS).any(|view| wrong(image, view))).count();
    close(record.named("nearest centre, any view").unwrap(), share(any));

    let mut l2 = 0.0;
    let all: Vec<&Vec<f64>> = plain.rows.iter().flatten().collect();
    for views in &plain.rows {
        for first in views {
            for second in views {
                l2 += all
                    .iter()
                    .map(|other| (dot(first, second).exp() + dot(first, other).exp()).ln())
                    .sum::<f64>();
            }
        }
    }
    let infonce = record.infonce.as_ref().unwrap();
    let l2 = l2 / (all.len() * all.len() * VIEWS) as f64;
    close(&infonce.l2, l2);
    close(&infonce.l1, 0.5 * align - 1.0);
    assert!(infonce.average.as_ref().unwrap().value >= products[1]);
    // Both masses are ½, so what is off the diagonal weighs ½, and each of its two terms ¼.
    let soft = |a: f64, b: f64| (a.exp() + b.exp()).ln();
    let other = |total: f64, a: f64| (total.exp() - a.exp()).ln().max(-1.0);
    let agreement = [0, 1].map(|class| {
        let own = plain.rows[class * IMAGES..(class + 1) * IMAGES].iter();
        let of_image = |views: &Vec<Vec<f64>>| {
            views.iter().flat_map(|a| views.iter().map(move |b| dot(a, b))).sum::<f64>()
        };
        own.map(of_image).sum::<f64>() / (IMAGES * VIEWS * VIEWS) as f64
    });
    let diagonal = 0.25 * (soft(agreement[0], products[0]) + soft(agreement[1], products[3]));
    let middle = 0.5 * (agreement[0] + agreement[1]);
    just_above(infonce.average.as_ref().unwrap(), other((l2 - diagonal) / 0.5, middle));
    just_above(
        infonce.label_free.as_ref().unwrap(),
        other((l2 - 0.5 * soft(middle, 0.0)) / 0.5, middle),
    );
    let whole = mean(plain.rows.iter().flatten());
    just_above(infonce.from_mean.as_ref().unwrap(), dot(&whole, &whole) / 0.5);
    let pair = &divergence.closest[0];
    let of_loss = pair.infonce.as_ref().unwrap();
    // (a + x)(b + x) = c.
    let ([a, b], c) = (agreement.map(f64::exp), ((l2 - diagonal) / 0.25).exp());
    let root = -0.5 * (a + b) + (0.25 * (a - b).powi(2) + c).sqrt();
    just_above(&of_loss.pairwise, root.ln().max(-1.0));
    let published =
        diameters.iter().copied().filter(|&diameter| diameter <= 1.0).chain([1.0]).map(|epsilon| {
            let outside =
                share(diameters.iter().filter(|&&diameter| diameter > epsilon + 1e-10).count());
            other((l2 + (2.0 - epsilon) * outside) / 0.25, 1.0 - epsilon)
        });
    just_above(&of_loss.published, published.fold(f64::INFINITY, f64::min));

    let correlation = record.correlation.as_ref().unwrap();
    assert!(
        correlation.trace_residual.value < 1e-10
            && correlation.gram_residual.as_ref().unwrap().value < 1e-10
    );
    let rows = plain.standardised();
    let d = rows[0][0].len();
    assert_eq!((correlation.dim, correlation.constant), (d, record.dim - d));
    let means: Vec<Vec<f64>> = rows.iter().map(|views| mean(views.iter())).collect();
    let centres =
        [0, 1].map(|class| mean(rows[class * IMAGES..(class + 1) * IMAGES].iter().flatten()));
    let (mut sums, mut trace) = ([0.0; 3], 0.0);
    for (i, j) in (0..d * d).map(|at| (at / d, at % d)) {
        let identity = f64::from(u8::from(i == j));
        let moment = means.iter().map(|mean| mean[i] * mean[j]).sum::<f64>() / (2 * IMAGES) as f64;
        let between = 0.5 * (centres[0][i] * centres[0][j] + centres[1][i] * centres[1][j]);
        trace += identity * moment;
        for (sum, term) in
            sums.iter_mut().zip([identity * (1.0 - moment), moment - identity, moment - between])
        {
            *sum += term * term;
        }
    }
    let [l1, l2, within] = sums;
    for (found, expected) in [
        (correlation.l1.as_ref().unwrap(), l1),
        (&correlation.l2, l2),
        (&correlation.trace, trace),
        (correlation.within.as_ref().unwrap(), within),
    ] {
        // Sums of d² products.
        assert!(
            (found.value - expected).abs() < 1e-9 * expected.max(1.0),
            "{found} and not {expected}"
        );
    }
    let product = |a: usize, b: usize| dot(&centres[a], &centres[b]);
    let of_correlation = pair.correlation.as_ref().unwrap();
    for (found, expected) in [
        (&of_correlation.product, product(0, 1)),
        (&of_correlation.most, (product(0, 0) * product(1, 1)).sqrt()),
    ] {
        assert!(
            (found.value - expected).abs() < 1e-9 * expected.abs().max(1.0),
            "{found} and not {expected}"
        );
    }
    let (lacking, between) = (d as f64 - 2.0, (l2.sqrt() + within.sqrt()).powi(2));
    just_above(&of_correlation.published, (8.0 * (l2 + within - 0.5 * lacking)).max(0.0).sqrt());
    just_above(&of_correlation.sharper, ((between - lacking) / 0.5).max(0.0).sqrt());
    just_above(&of_correlation.centred, ((between - lacking - 1.0) / 0.5).max(0.0).sqrt() - 1.0);
    let diagonal =
        [0, 1].map(|class| (0.5 * product(class, class) - 0.5).powi(2)).iter().sum::<f64>();
    close(correlation.average.as_ref().unwrap(), (product(0, 1) + 1.0).abs());
    let average = ((between - lacking - 1.0 - diagonal) / 0.5).max(0.0).sqrt();
    just_above(correlation.average_bound.as_ref().unwrap(), average);
}

#[test]
fn main_parts_and_bounds_are_those_of_all_subsets() {
    let folder = tempfile::tempdir().unwrap();
    let out = two_classes(folder.path());
    let record = certify(&out, &format!("--per-class {IMAGES} --views {} --seed 7", VIEWS - 1));
    let plain = Plain::of(&out);
    let mut classes = Vec::new();
    for (class, found) in record.classes.iter().enumerate() {
        let own: Vec<usize> = (class * IMAGES..(class + 1) * IMAGES).collect();
        let subsets = (1_u32..1 << IMAGES).map(|set| {
            (0..IMAGES).filter(|at| set >> at & 1 == 1).map(|at| own[at]).collect::<Vec<usize>>()
        });
        let mut parts: Vec<MainPart> = Vec::new();
        for size in 1..=IMAGES {
            let reach = |set: &Vec<usize>| {
                let pairs = set
                    .iter()
                    .enumerate()
                    .flat_map(|(at, &i)| set[at + 1..].iter().map(move |&j| (i, j)));
                let nearest: Vec<(u64, f64)> = pairs.map(|(i, j)| plain.nearest(i, j)).collect();
                let key = nearest.iter().map(|nearest| nearest.0).max().unwrap_or(0);
                (key, nearest.iter().map(|nearest| nearest.1).fold(0.0, f64::max))
            };
            let reached: Vec<(u64, f64)> =
                subsets.clone().filter(|set| set.len() == size).map(|set| reach(&set)).collect();
            let key = reached.iter().map(|reached| reached.0).min().unwrap();
            let [lower, upper, gap] = found.curve[size - 1];
            assert_eq!([lower, upper], [(key as f64).sqrt(); 2], "{size} images of class {class}");
            // Of several such sets any will do.
            let ties: Vec<f64> = reached
                .iter()
                .filter(|reached| reached.0 == key)
                .map(|reached| reached.1)
                .collect();
            assert!(ties.iter().any(|tie| (tie - gap).abs() < 1e-10), "{gap} is none of {ties:?}");
            parts.pop_if(|part| part.delta == upper);
            parts.push(MainPart { delta: upper, images: size, gap });
        }
        let diameters = own.iter().map(|&image| plain.diameter(image)).collect();
        classes.push(Class { main_parts: parts, diameters });
    }
    let products: Vec<f64> =
        (0..4).map(|at| dot(&plain.centre(at / 2), &plain.centre(at % 2))).collect();
    let world = World::new(1.0, &products, classes.clone()).unwrap();
    for (bound, form) in record.bounds.iter().zip([Form::Derived, Form::Published, Form::Sharpened])
    {
        assert_eq!(bound.form, form);
        let expected = world.certify(form);
        close(&bound.whole, expected.bound());
        assert!(
            (bound.certificate.slack - expected.slack).abs() < 1e-9
                && bound.whole.trust.side() == Some(Side::AtMost)
        );
        close(&bound.by_class, world.certify_classes(form).error);
    }
    let error = record.named("nearest centre, any view").unwrap().value;
    assert!(record.best_bound().unwrap().value >= error, "a bound below the error is none");

    // Were one factor perfect: no spread of views, centres in opposite directions, one view that a
    // class shares.
    let aligned = classes
        .iter()
        .map(|class| Class { diameters: vec![0.0; IMAGES], ..class.clone() })
        .collect();
    let shared = vec![MainPart { delta: 0.0, images: IMAGES, gap: 0.0 }];
    let concentrated =
        classes.iter().map(|class| Class { main_parts: shared.clone(), ..class.clone() }).collect();
    let off = -(products[0] * products[3]).sqrt();
    let worlds = [
        (Factor::Alignment, World::new(1.0, &products, aligned).unwrap()),
        (
            Factor::Divergence,
            World::new(1.0, &[products[0], off, off, products[3]], classes).unwrap(),
        ),
        (Factor::Concentration, World::new(1.0, &products, concentrated).unwrap()),
    ];
    assert_eq!(record.what_if.len(), worlds.len());
    for (found, (factor, world)) in record.what_if.iter().zip(worlds) {
        let whole = world.certify(Form::Sharpened);
        assert_eq!(found.factor, factor);
        close(&found.bound, world.certify_classes(Form::Sharpened).error.min(whole.bound()));
        assert!(
            (found.slack - whole.slack).abs() < 1e-9,
            "{factor:?}: {} and not {}",
            found.slack,
            whole.slack
        );
    }

    // How often two images of a class are nearer than two of different ones.
    let pairs = |same: bool| {
        let all = (0..2 * IMAGES).flat_map(|i| (i + 1..2 * IMAGES).map(move |j| (i, j)));
        let chosen = all.filter(move |(i, j)| (i / IMAGES == j / IMAGES) == same);
        chosen.map(|(i, j)| plain.nearest(i, j).0).collect::<Vec<u64>>()
    };
    let (same, different) = (pairs(true), pairs(false));
    let won = |a: &u64| {
        different.iter().map(|b| if a == b { 0.5 } else { f64::from(u8::from(a < b)) }).sum::<f64>()
    };
    let separation = same.iter().map(won).sum::<f64>() / (same.len() * different.len()) as f64;
    let concentration = record.concentration.as_ref().unwrap();
    close(concentration.separation.as_ref().unwrap(), separation);
    // δ is where half of the middle class comes together: of two classes, the nearer.
    let halves = record.classes.iter().map(|class| class.curve[IMAGES / 2 - 1][1]);
    assert_eq!(concentration.delta, Quantity::exact(halves.fold(f64::INFINITY, f64::min)));

    // The page has what the record has, and eval's errors beside it.
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for text in ["id=\"factors\"", "id=\"bounds\"", "linear probe", "ring"] {
        assert!(page.contains(text), "{text}");
    }
    // Another run of the same is the same to the byte.
    let before = std::fs::read(out.join(CERTIFICATE_FILE)).unwrap();
    certify(&out, &format!("--per-class {IMAGES} --views {} --seed 7", VIEWS - 1));
    assert_eq!(std::fs::read(out.join(CERTIFICATE_FILE)).unwrap(), before);
}

#[test]
fn what_cannot_be_measured_is_refused_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let out = two_classes(folder.path());
    let shown = out.display().to_string();
    for (more, cause) in [
        (&["--per-class", "1"][..], "at least 2 images"),
        (&["--views", "0"], "from 1 to 65535"),
        (&["--split", "all"], "possible values: train"),
        (&["--budget", "soon"], "60s"),
    ] {
        let output = run(["certify", &shown].iter().chain(more));
        let text = said(&output);
        assert!(
            output.status.code() == Some(2) && text.contains(cause) && !text.contains("panicked"),
            "{text}"
        );
    }
    let output = run(["certify", &folder.path().display().to_string()]);
    assert!(
        output.status.code() == Some(2) && said(&output).contains("not the folder of a run"),
        "{}",
        said(&output)
    );

    // Other splits, and another number of images a class than there is.
    let record = certify(&out, "--split train --per-class 1000 --views 1");
    assert_eq!((record.split.as_str(), record.views), ("train", 2));
    let alignment = record.alignment.as_ref().unwrap();
    assert_eq!(alignment.unbiased, None, "one view drawn is no pair");
    assert!(
        !alignment.spread.is_empty()
            && alignment.spread.iter().all(|spread| spread.log10_published.is_none())
    );
    assert!(record.images < 60, "validation images are not among them: {}", record.images);
    // Accuracies of other weights do not stand beside it.
    let probe = |record: &CertificateRecord| record.named("linear probe").is_some();
    assert!(probe(&record));
    let path = out.join(EVAL_FILE);
    let mut evaluation: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(evaluation["step"].as_u64(), record.step);
    evaluation["step"] = 1.into();
    std::fs::write(&path, evaluation.to_string()).unwrap();
    let record = certify(&out, "--per-class 5 --views 2");
    assert!(
        !probe(&record)
            && words::left_out(&record).iter().any(|why| why.contains("not of these weights"))
    );
    assert!(
        std::fs::read_to_string(out.join("report.html")).unwrap().contains("weights after step 1")
    );
    // Halves of three images say nothing of others.
    let record = certify(&out, "--per-class 3 --views 2");
    let found = record.concentration.clone().unwrap();
    for found in
        [found.sigma_interval, found.mean_sigma_interval, found.separation_interval.unwrap()]
    {
        assert!(matches!(found.trust, Trust::Estimate { low: None, high: None, .. }), "{found}");
    }
    let few = LeftOut::FewImages { class: "ring".into(), images: 3, needed: 4 };
    assert!(record.left_out.contains(&few), "{:?}", record.left_out);
    // Of one class nothing can be taken for another.
    let single = folder.path().join("single");
    let mut args = small("pretrain", &single);
    args.extend(["--classes", "ring"].map(str::to_owned));
    assert!(run(&args).status.success());
    let record = certify(&single, "--per-class 12");
    assert!(
        record.verdict == Some(Verdict::SingleClass)
            && record.divergence.unwrap().closest.is_empty()
    );
    assert!(record.left_out.contains(&LeftOut::SingleClass), "{:?}", record.left_out);

    // Without labels what needs none is measured.
    let photos = folder.path().join("photos");
    std::fs::create_dir(&photos).unwrap();
    for index in 0..40 {
        let file = std::fs::File::create(photos.join(format!("{index}.png"))).unwrap();
        let mut encoder = png::Encoder::new(file, 16, 16);
        encoder.set_color(png::ColorType::Rgb);
        encoder
            .write_header()
            .unwrap()
            .write_image_data(&selfsame::data::glyph_pixels(1, index, 16))
            .unwrap();
    }
    let unlabelled = folder.path().join("unlabelled");
    let mut args = small("pretrain", &unlabelled);
    args.extend(["--data".to_owned(), photos.display().to_string()]);
    assert!(run(&args).status.success());
    let record = certify(&unlabelled, "--split train --per-class 12");
    assert!(
        record.images == 12
            && record.alignment.is_some()
            && record.classes.is_empty()
            && record.bounds.is_empty()
    );
    assert_eq!(record.left_out[0], LeftOut::NoLabels);
    assert_eq!(record.verdict, Some(Verdict::NoLabels));
    let left_out = &words::left_out(&record)[0];
    assert!(left_out.contains("no labels") && left_out.contains("Lipschitz"), "{left_out}");
    let lipschitz =
        record.assumptions.iter().find(|found| found.premise == Premise::Lipschitz).unwrap();
    let finding = words::finding(&record, lipschitz);
    assert!(
        finding.contains("there are no labels") && !finding.contains("takes pixels"),
        "{finding}"
    );

    // Starting over deletes the certificate of the run before.
    let mut args = small("pretrain", &out);
    args.push("--overwrite".into());
    assert!(run(&args).status.success() && !out.join(CERTIFICATE_FILE).exists());
}

/// Two classes of stripes, across and down, in colours that become one grey.
fn stripes(folder: &Path) -> PathBuf {
    const SIDE: u32 = 16;
    let data = folder.join("stripes");
    for (split, images) in [("train", 100), ("test", 20)] {
        for class in 0..2 {
            let of_class = data.join(split).join(["across", "down"][class]);
            std::fs::create_dir_all(&of_class).unwrap();
            for image in 0..images {
                // Around the circle of colours whose luma, 0.299 R + 0.587 G + 0.114 B, is 150 but
                // for rounding.
                let turn = f64::from(image) * 2.399_963 + f64::from(split == "test");
                let (a, b) = (50.0 * turn.cos(), 50.0 * turn.sin());
                let colour = [a, b, -(0.299 * a + 0.587 * b) / 0.114]
                    .map(|value| (value / 4.0 + 150.0).round() as u8);
                let pixel = |at: u32| {
                    let place = if class == 0 { at / SIDE } else { at % SIDE };
                    if place / 4 % 2 == 0 { colour } else { [40; 3] }
                };
                let pixels: Vec<u8> = (0..SIDE * SIDE).flat_map(pixel).collect();
                let file = std::fs::File::create(of_class.join(format!("{image:03}.png"))).unwrap();
                let mut encoder = png::Encoder::new(file, SIDE, SIDE);
                encoder.set_color(png::ColorType::Rgb);
                encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
            }
        }
    }
    data
}

/// Where the augmentation gathers each class (all its images share a grey view, or nearly), and the
/// encoder is trained to see no more than that, the theorem says something of a real run.
#[test]
fn a_class_that_shares_views_and_an_encoder_that_aligns_them_have_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (stripes(folder.path()), folder.path().join("run"));
    let settings =
        "--method simple_contrastive --width 4 --batch 50 --epochs 120 --save-every 1000";
    let mut args = vec!["pretrain".to_owned(), "--data".into(), data.display().to_string()];
    args.extend(["--out".into(), out.display().to_string(), "--augment".into()]);
    args.push("{ grey = { probability = 0.5 } }".into());
    args.extend(settings.split(' ').map(str::to_owned));
    let output = run(&args);
    assert!(output.status.success(), "{}", said(&output));

    let record = certify(&out, "--per-class 20");
    let (bound, error) = (
        record.best_bound().unwrap().value,
        record.named("nearest centre, any view").unwrap().value,
    );
    assert!(bound < 1.0 && bound >= error, "{bound} and {error}: {:?}", record.obstacles);
    assert_eq!(record.verdict, Some(Verdict::Proved));
    assert!(words::verdict(&record)[0].contains("that is proved"));
    assert_eq!(
        record.advice.is_none(),
        bound == 0.0,
        "advice only where there is something to gain"
    );
    assert!(record.concentration.unwrap().sigma.value > 0.4);
}
