//! Every bound of the crate against the exact value in one world.

use selfsame_theory::bounds::certificate::{self, Certificate, Class, Form, MainPart};
use selfsame_theory::bounds::{cross_correlation, infonce, spread};
use selfsame_theory::measure::{self, Centres};
use selfsame_theory::{Labels, Values, Views};

use crate::world::{Witness, World, dot};

/// The bounds, by the names of the results.
pub const NAMES: [&str; 23] = [
    "error published, gap",
    "error derived, gap",
    "error sharpened, gap",
    "error published, Lipschitz",
    "error derived, Lipschitz",
    "error sharpened, Lipschitz",
    "error of classes published, gap",
    "error of classes derived, gap",
    "error of classes sharpened, gap",
    "error of classes published, Lipschitz",
    "error of classes derived, Lipschitz",
    "error of classes sharpened, Lipschitz",
    "R_ε from alignment, finite",
    "InfoNCE published with τ",
    "InfoNCE pairwise",
    "InfoNCE average",
    "InfoNCE label-free",
    "mean alone",
    "cross-correlation published",
    "cross-correlation sharper",
    "cross-correlation centred",
    "cross-correlation average",
    "cross-correlation alignment",
];
const FORMS: [Form; 3] = [Form::Published, Form::Derived, Form::Sharpened];

/// What one bound came to in one world.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Which of [`NAMES`].
    pub name: usize,
    /// Whether it says anything here.
    pub informative: bool,
    /// Bound less exact value, both as they are computed: not positive is a violation.
    pub room: f64,
}

/// All bounds in one world, and whether the step of the printed proof, f(x)·μ ≥ 1 − ρ with R_ε/p,
/// fails there although the printed condition holds.
pub struct Checked {
    pub found: Vec<Found>,
    pub printed_step_fails: bool,
}

/// None where the embeddings have no direction.
pub fn check(world: &World) -> Option<Checked> {
    let values: Vec<f64> = world.embeddings.concat();
    let given = Views::new(world.images(), world.views, world.dim(), Values::F64(&values)).ok()?;
    let labels = Labels::new(world.labels.clone(), world.classes).expect("every class has images");
    let sphere = given.clone().on_sphere().ok()?;
    let mut found = Vec::new();
    let printed_step_fails = on_sphere(world, &sphere, &labels, &mut found);
    if let Ok(standardised) = given.standardised() {
        of_correlation(&standardised, &labels, &mut found);
    }
    Some(Checked { found, printed_step_fails })
}

fn rows(views: &Views<'_>) -> Vec<Vec<f64>> {
    let read = |row| {
        let mut into = vec![0.0; views.dim()];
        views.read(row, &mut into);
        into
    };
    (0..views.rows()).map(read).collect()
}

fn on_sphere(world: &World, views: &Views<'_>, labels: &Labels, found: &mut Vec<Found>) -> bool {
    let rows = rows(views);
    let centres = measure::centres(views, labels).expect("labels fit");
    let alignment = measure::alignment(views);
    let diameters = measure::diameters(views);
    let per_class = labels.split(&diameters.of_image).expect("labels fit");
    let witnesses: Vec<Vec<Witness>> =
        (0..world.classes).map(|class| world.main_parts(class, &rows)).collect();
    let margins = margins(world, &rows, &centres);
    let mut printed_step_fails = false;

    let lipschitz = world.lipschitz(&rows);
    for (source, constant) in [(0, None), (1, lipschitz)] {
        if source == 1 && constant.is_none() {
            continue;
        }
        let part = |witness: &Witness| match constant {
            Some(constant) => MainPart { gap: constant * witness.part.delta, ..witness.part },
            None => witness.part,
        };
        let class = |k: usize| Class {
            main_parts: witnesses[k].iter().map(part).collect(),
            diameters: per_class[k].clone(),
        };
        let classes = (0..world.classes).map(class).collect();
        let certified =
            certificate::World::new(1.0, centres.products(), classes).expect("a finite world");
        for (index, form) in FORMS.into_iter().enumerate() {
            let certificate = certified.certify(form);
            let room = room(&certificate, &margins.concat());
            found.push(Found {
                name: 3 * source + index,
                informative: !certificate.vacuous(),
                room,
            });
            if form == Form::Published && certificate.holds() && source == 0 && world.classes > 1 {
                printed_step_fails = step_fails(
                    world,
                    &rows,
                    &centres,
                    &witnesses,
                    &diameters.of_image,
                    &certificate,
                );
            }
            let by_class = certified.certify_classes(form);
            let of_classes = by_class
                .classes
                .iter()
                .zip(&margins)
                .map(|(class, margins)| self::room(class, margins));
            let any = by_class.classes.iter().any(|class| !class.vacuous());
            let room = of_classes.fold(f64::INFINITY, f64::min);
            found.push(Found { name: 6 + 3 * source + index, informative: any, room });
        }
    }

    for &epsilon in diameters.sorted().iter().filter(|epsilon| **epsilon > 1e-6) {
        // Just below a diameter R_ε is largest beside ε.
        let bound = spread::finite(alignment.finite, world.views, epsilon * (1.0 - 1e-9))
            .expect("in range");
        // No share is above 1, though all images may be outside.
        let room =
            if bound < 1.0 { bound - diameters.share_above(epsilon * (1.0 - 1e-9)) } else { 1.0 };
        found.push(Found { name: 12, informative: bound < 1.0, room });
    }

    let l2 = measure::infonce(views).expect("on the sphere").l2.value;
    let classes = infonce::classes(&alignment, &centres, labels).expect("one world");
    let pairwise = infonce::pairwise(l2, &classes);
    let p = centres.masses();
    for (k, l) in pairs(world.classes) {
        let truth = centres.product(k, l);
        let published = infonce::published_best(l2, [p[k], p[l]], &diameters).expect("in range");
        for (name, bound) in [(13, published), (14, pairwise[k * world.classes + l])] {
            found.push(Found { name, informative: bound < 1.0, room: bound - truth });
        }
    }
    if let Some(truth) = centres.mean_divergence() {
        let average = infonce::average(l2, &classes).expect("two classes");
        let free =
            infonce::label_free(l2, alignment.finite, p).expect("in range").expect("two classes");
        let alone = infonce::average_from_mean(views.mean_norm2(), p)
            .expect("in range")
            .expect("two classes");
        for (name, bound) in [(15, average), (16, free), (17, alone)] {
            found.push(Found { name, informative: bound < 1.0, room: bound - truth });
        }
    }
    printed_step_fails
}

fn of_correlation(views: &Views<'_>, labels: &Labels, found: &mut Vec<Found>) {
    let (d, k) = (views.dim(), labels.classes());
    let correlation = measure::correlation(views).expect("standardised");
    let centres = measure::centres(views, labels).expect("labels fit");
    let (l2, within) =
        (correlation.l2(), correlation.within_classes(&centres).expect("as wide").within);
    let world = cross_correlation::Measured::new(l2, within, d, k).expect("in range");
    let p = centres.masses();
    for (i, j) in pairs(k) {
        let (truth, masses) = (centres.product(i, j), [p[i], p[j]]);
        // The sharper one bounds the product on both sides.
        for (name, bound, truth) in [
            (18, world.published(masses), truth),
            (19, world.sharper(masses), truth.abs()),
            (20, world.centred(masses), truth),
        ] {
            let bound = bound.expect("in range");
            found.push(Found { name, informative: bound < d as f64, room: bound - truth });
        }
    }
    let classes: Vec<(f64, f64)> =
        (0..k).map(|class| (p[class], centres.product(class, class))).collect();
    if let Some(bound) = world.average(&classes).expect("as many") {
        let weight = 1.0 - p.iter().map(|p| p * p).sum::<f64>();
        let square =
            |(i, j): (usize, usize)| p[i] * p[j] * (centres.product(i, j) + 1.0).powi(2) / weight;
        let truth: f64 = pairs(k).map(square).sum();
        found.push(Found {
            name: 21,
            informative: bound < d as f64 + 1.0,
            room: bound - truth.sqrt(),
        });
    }
    let room = 2.0 * (d as f64 * correlation.l1()).sqrt() - measure::alignment(views).finite
        + 1e-10 * d as f64;
    found.push(Found { name: 22, informative: true, room });
}

fn pairs(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes * classes).map(move |at| (at / classes, at % classes)).filter(|(k, l)| k != l)
}

/// Of each image, class by class: by how much its worst view is nearer to its own centre than to
/// another, as a difference of products.
fn margins(world: &World, rows: &[Vec<f64>], centres: &Centres) -> Vec<Vec<f64>> {
    let score = |row: &[f64], k: usize| dot(row, centres.centre(k)) - 0.5 * centres.product(k, k);
    let of_view = |row: &[f64], own: usize| {
        let others = (0..world.classes).filter(|&k| k != own).map(|k| score(row, k));
        score(row, own) - others.fold(-2.0, f64::max)
    };
    let of_image = |image: usize| {
        let own = world.labels[image] as usize;
        let views = &rows[image * world.views..(image + 1) * world.views];
        views.iter().map(|row| of_view(row, own)).fold(f64::INFINITY, f64::min)
    };
    (0..world.classes)
        .map(|class| world.members(class).into_iter().map(of_image).collect())
        .collect()
}

/// The margin of the worst image that the certificate does not give up: not positive is a
/// violation. Without a certificate, 2 and what the condition lacks, for a search to shrink.
fn room(certificate: &Certificate, margins: &[f64]) -> f64 {
    if !certificate.holds() {
        return 2.0 - certificate.slack;
    }
    let mut sorted = margins.to_vec();
    sorted.sort_by(f64::total_cmp);
    let given_up = (certificate.error * margins.len() as f64 + 1e-9) as usize;
    // Where the condition holds by 10⁻¹⁰ the margin is above rounding.
    sorted.get(given_up).copied().unwrap_or(2.0)
}

/// Whether some x in its class's main part and in S_ε has f(x)·μ < 1 − ρ, ρ as printed.
fn step_fails(
    world: &World,
    rows: &[Vec<f64>],
    centres: &Centres,
    witnesses: &[Vec<Witness>],
    diameters: &[f64],
    certificate: &Certificate,
) -> bool {
    let least_mass = centres.masses().iter().copied().fold(1.0, f64::min);
    let parts: Vec<&Witness> = witnesses
        .iter()
        .filter_map(|steps| steps.iter().rfind(|step| step.part.delta <= certificate.delta))
        .collect();
    let gap = parts.iter().map(|witness| witness.part.gap).fold(0.0, f64::max);
    let rho = 2.0 * (1.0 - certificate.sigma)
        + certificate.outside / least_mass
        + certificate.sigma * (gap + 2.0 * certificate.epsilon);
    let good = |image: &&usize| diameters[**image] <= certificate.epsilon;
    parts.iter().enumerate().any(|(class, witness)| {
        let products = witness
            .images
            .iter()
            .filter(good)
            .map(|image| dot(&rows[image * world.views], centres.centre(class)));
        products.fold(f64::INFINITY, f64::min) < 1.0 - rho - 1e-9
    })
}
