use proptest::prelude::*;

use super::*;

const FORMS: [Form; 3] = [Form::Published, Form::Derived, Form::Sharpened];

fn class(parts: &[(f64, usize, f64)], diameters: &[f64]) -> Class {
    let main_parts =
        parts.iter().map(|&(delta, images, gap)| MainPart { delta, images, gap }).collect();
    Class { main_parts, diameters: diameters.to_vec() }
}

/// A class of `images` images that all coincide, including their views.
fn point(images: usize) -> Class {
    class(&[(0.0, images, 0.0)], &vec![0.0; images])
}

/// The example of the authors' talk: σ = 1, δ = ε = R_ε = 0, so ρ = Δ_μ = 0 and the condition is
/// μ_ℓ·μ_k < r².
#[test]
fn any_angle_suffices_for_points() {
    for radius in [1.0, 3.0] {
        for angle in [0.01_f64, 1.0, 3.1] {
            let product = angle.cos() * radius * radius;
            let r2 = radius * radius;
            let world =
                World::new(radius, &[r2, product, product, r2], vec![point(3), point(2)]).unwrap();
            for form in FORMS {
                let found = world.certify(form);
                assert_eq!(
                    (found.holds(), found.error, found.sigma, found.outside),
                    (true, 0.0, 1.0, 0.0),
                    "{form:?} {angle}"
                );
                assert_eq!(world.certify_classes(form).error, 0.0);
            }
        }
    }
    assert!((need::printed(1.0, 0.0) - 1.0).abs() < 1e-15, "at ρ = 0 the threshold is r²");
}

#[test]
fn equal_centres_certify_nothing() {
    let world = World::new(1.0, &[1.0; 4], vec![point(1), point(1)]).unwrap();
    for form in FORMS {
        let found = world.certify(form);
        assert!(found.vacuous() && found.bound() == 1.0, "{form:?}: {found}");
        assert!(found.to_string().starts_with("vacuous: no δ and ε meet the condition"));
        assert_eq!(world.certify_classes(form).error, 1.0);
    }
}

#[test]
fn two_antipodal_points() {
    let world = World::new(1.0, &[1.0, -1.0, -1.0, 1.0], vec![point(5), point(5)]).unwrap();
    let found = world.certify(Form::Derived);
    assert!(
        (found.slack - 0.5 * (5.0_f64.sqrt() - 1.0).powi(2)).abs() < 1e-15,
        "ρ may be up to (√5 − 1)²/2"
    );
    assert_eq!(found.quantity(&Trust::Exact), Quantity::at_most(0.0));
    let estimate = Trust::Estimate {
        low: None,
        high: None,
        method: "largest measured ratio".into(),
        sample: 1,
    };
    assert!(matches!(found.quantity(&estimate).trust, Trust::Assumed { .. }));
}

/// A share t of the class sends its views to −f: f·μ = 1 − 2t. So the product that the printed
/// proof uses, 1 − R_ε/p = 1 − t, is not reached. The derived product, 1 − 2t, is an equality.
#[test]
fn the_flipped_share_needs_the_two() {
    for (flipped, images) in [(1, 10), (3, 20), (2, 7)] {
        let t = f64::from(flipped) / f64::from(images);
        let norm2 = (1.0 - 2.0 * t).powi(2);
        let true_product = 1.0 - 2.0 * t;
        assert!(true_product < 1.0 - t, "the printed step fails");
        // The first two of the three lower bounds are 1 − 2t, and so is the largest.
        assert!((need::floor(1.0 - t, 0.0, norm2) - true_product).abs() < 1e-9);
    }
}

/// The inequality that the second case of the proof of the printed theorem reduces to
/// (docs/theory.md, section 2): ρ − b + κ√(b/(1 − b)) ≤ √(2ρ) for ρ above ½, where the printed
/// condition requires ‖μ‖² to be at least 1 − κ².
#[test]
fn the_second_case_of_the_printed_theorem() {
    let end = 5.0_f64.sqrt() - 1.0;
    for v in (0..=1000).map(|step| 1.0 + (end - 1.0) * f64::from(step) / 1000.0) {
        let (rho, y) = (0.5 * v * v, (v * v + 2.0 * v).sqrt());
        let kappa = (y * (2.0 - y)).max(0.0).sqrt();
        for b in (0..=1000).map(|step| rho * f64::from(step) / 1000.0) {
            let distance = rho - b + kappa * (b / (1.0 - b)).sqrt();
            assert!(distance < v - 0.2, "{v} {b} {distance}");
        }
        assert!(kappa * kappa <= 2.0 * (2.0 - v * v) * (v - rho));
    }
}

/// In floats, 1 − 0.9 is below 0.1, the share of one image in ten.
#[test]
fn shares_of_images_are_those_of_counting() {
    let nine = class(&[(0.0, 9, 0.0)], &[0.0; 10]);
    let world = World::new(1.0, &[0.64, -0.8, -0.8, 1.0], vec![nine.clone(), point(10)]).unwrap();
    for form in FORMS {
        let by_class = world.certify_classes(form);
        assert_eq!((by_class.classes[0].error, by_class.error), (0.1, 0.05), "{form:?}");
        let found = world.certify(form);
        assert!(found.holds() && found.error == 0.1, "{form:?}: {found}");
    }
    // Of 30 images, 3 of the first class's 10 images and one more: 0.3 + 1/30 is one third except
    // for rounding.
    let seven = class(&[(0.0, 7, 0.0)], &[0.0; 10]);
    let spread = class(&[(0.0, 20, 0.0)], &[[0.0; 19].as_slice(), &[1.9]].concat());
    let world = World::new(1.0, &[0.16, -0.4, -0.4, 1.0], vec![seven, spread]).unwrap();
    assert_eq!(world.certify(Form::Sharpened).error, 1.0 / 3.0);
}

#[test]
fn a_single_class_is_never_wrong_off_the_excluded_share() {
    let world =
        World::new(1.0, &[0.5], vec![class(&[(0.0, 2, 0.1)], &[0.0, 0.0, 0.3, 0.4])]).unwrap();
    for form in FORMS {
        assert_eq!(world.certify(form).error, 0.5, "{form:?}");
    }
}

#[test]
fn misuse_is_refused() {
    let refused = |radius: f64, products: &[f64], classes: Vec<Class>| {
        World::new(radius, products, classes).unwrap_err()
    };
    assert!(matches!(refused(0.0, &[1.0], vec![point(1)]), Error::Range { name: "radius", .. }));
    assert!(matches!(refused(1.0, &[1.0], vec![]), Error::Count { .. }));
    assert!(matches!(
        refused(1.0, &[1.0, 0.0], vec![point(1), point(1)]),
        Error::Count { given: 2, expected: 4, .. }
    ));
    assert!(matches!(refused(1.0, &[1.1], vec![point(1)]), Error::Range { .. }));
    assert!(matches!(refused(1.0, &[f64::NAN], vec![point(1)]), Error::Range { .. }));
    assert_eq!(
        refused(1.0, &[1.0], vec![class(&[(0.0, 1, 0.0)], &[])]),
        Error::EmptyClass { class: 0 }
    );
    for parts in [
        &[][..],
        &[(0.0, 0, 0.0)],
        &[(0.0, 3, 0.0)],
        &[(-1.0, 1, 0.0)],
        &[(0.0, 1, f64::NAN)],
        &[(1.0, 1, 0.0), (1.0, 2, 0.0)],
        &[(1.0, 2, 0.0), (2.0, 2, 0.0)],
    ] {
        let error = refused(1.0, &[1.0], vec![class(parts, &[0.0, 0.0])]);
        assert!(matches!(error, Error::MainPart { class: 0, .. }), "{error}");
    }
    assert!(matches!(
        refused(1.0, &[1.0], vec![class(&[(0.0, 1, 0.0)], &[f64::NAN])]),
        Error::Range { .. }
    ));
}

/// Random classes with any number of steps.
fn classes() -> impl Strategy<Value = Vec<Class>> {
    let class = (
        prop::collection::vec(0.0..0.4_f64, 1..7),
        prop::collection::vec((0.01..0.4_f64, 0.0..0.3_f64), 7),
    );
    let build = |(diameters, steps): (Vec<f64>, Vec<(f64, f64)>)| {
        let mut delta = 0.0;
        let main_parts = (1..=diameters.len()).zip(steps).map(|(images, (step, gap))| {
            delta += step;
            MainPart { delta, images, gap }
        });
        Class { main_parts: main_parts.collect(), diameters }
    };
    prop::collection::vec(class.prop_map(build), 2..4)
}

proptest! {
    /// The search agrees with trying all δ and ε, with the conditions as they are printed.
    #[test]
    fn the_search_finds_the_least(classes in classes(), off in -1.0..0.9_f64, norm in 0.8..1.0_f64) {
        let k = classes.len();
        let norm2 = norm * norm;
        let products: Vec<f64> = (0..k * k).map(|at| if at / k == at % k { norm2 } else { off * norm2 }).collect();
        let images: usize = classes.iter().map(|class| class.diameters.len()).sum();
        let world = World::new(1.0, &products, classes.clone()).unwrap();
        for (form, two) in [(Form::Published, 1.0), (Form::Derived, 2.0)] {
            let deltas = classes.iter().flat_map(|class| class.main_parts.iter().map(|part| part.delta));
            let mut least = f64::INFINITY;
            for delta in deltas {
                let parts: Option<Vec<&MainPart>> =
                    classes.iter().map(|class| class.main_parts.iter().rfind(|part| part.delta <= delta)).collect();
                let Some(parts) = parts else { continue };
                let sigma = classes.iter().zip(&parts).map(|(class, part)| part.images as f64 / class.diameters.len() as f64).fold(1.0, f64::min);
                let gap = parts.iter().map(|part| part.gap).fold(0.0, f64::max);
                for epsilon in classes.iter().flat_map(|class| class.diameters.iter().copied()) {
                    let outside = classes.iter().flat_map(|class| &class.diameters).filter(|d| **d > epsilon).count() as f64 / images as f64;
                    let least_mass = classes.iter().map(|class| class.diameters.len()).min().unwrap() as f64 / images as f64;
                    let rho = 2.0 * (1.0 - sigma) + two * outside / least_mass + sigma * (gap + 2.0 * epsilon);
                    let shortfall = 1.0 - norm2;
                    let threshold = 1.0 - rho - (2.0 * rho).sqrt() - 0.5 * shortfall;
                    // At equality, rounding decides.
                    prop_assume!((off * norm2 - threshold).abs() > 1e-8);
                    if off * norm2 < threshold {
                        least = least.min(1.0 - sigma + outside);
                    }
                }
            }
            let found = world.certify(form);
            prop_assert_eq!(found.holds(), least.is_finite());
            if found.holds() {
                prop_assert!((found.error - least).abs() < 1e-12, "{} {}", found.error, least);
            }
        }
    }

    /// The same of the sharpened form, in which each class has its own share and gap.
    #[test]
    fn the_sharpened_search_finds_the_least(classes in classes(), off in -1.0..0.9_f64, norm in 0.8..1.0_f64) {
        let k = classes.len();
        let norm2 = norm * norm;
        let products: Vec<f64> = (0..k * k).map(|at| if at / k == at % k { norm2 } else { off * norm2 }).collect();
        let images: usize = classes.iter().map(|class| class.diameters.len()).sum();
        let world = World::new(1.0, &products, classes.clone()).unwrap();
        let above = |class: &Class, epsilon: f64| class.diameters.iter().filter(|d| **d > epsilon).count() as f64;
        let mut least = f64::INFINITY;
        for delta in classes.iter().flat_map(|class| class.main_parts.iter().map(|part| part.delta)) {
            let parts: Option<Vec<&MainPart>> =
                classes.iter().map(|class| class.main_parts.iter().rfind(|part| part.delta <= delta)).collect();
            let Some(parts) = parts else { continue };
            let share = |(class, part): (&Class, &&MainPart)| part.images as f64 / class.diameters.len() as f64;
            let sigma = classes.iter().zip(&parts).map(share).fold(1.0, f64::min);
            for epsilon in classes.iter().flat_map(|class| class.diameters.iter().copied()) {
                let of_class = |(k, (class, part)): (usize, (&Class, &&MainPart))| {
                    let good = share((class, part)) - above(class, epsilon) / class.diameters.len() as f64;
                    need::floor(good, part.gap + 2.0 * epsilon, norm2) - world.need.of(Form::Sharpened, k)
                };
                let slack = classes.iter().zip(&parts).enumerate().map(of_class).fold(f64::INFINITY, f64::min);
                // At equality, rounding decides.
                prop_assume!(slack.abs() > 1e-8);
                if slack > 0.0 {
                    let outside = classes.iter().map(|class| above(class, epsilon)).sum::<f64>();
                    least = least.min(1.0 - sigma + outside / images as f64);
                }
            }
        }
        let found = world.certify(Form::Sharpened);
        prop_assert_eq!(found.holds(), least.is_finite());
        if found.holds() {
            prop_assert!((found.error - least).abs() < 1e-12, "{} {}", found.error, least);
        }
    }

    /// At the same δ and ε, each form certifies everything that the previous form certifies, and
    /// each class alone at least as much.
    #[test]
    fn forms_are_ordered(classes in classes(), off in -1.0..0.9_f64, norm in 0.8..1.0_f64) {
        let k = classes.len();
        let products: Vec<f64> = (0..k * k).map(|at| norm * norm * if at / k == at % k { 1.0 } else { off }).collect();
        let world = World::new(1.0, &products, classes).unwrap();
        let [published, derived, sharpened] = FORMS.map(|form| world.certify(form).bound());
        prop_assert!(sharpened <= published && published <= derived, "{} {} \
            {}", sharpened, published, derived);
        for form in FORMS {
            let by_class = world.certify_classes(form).error;
            prop_assert!(by_class <= world.certify(form).bound() + 1e-12);
        }
    }

    /// The closed form of the cap agrees with points of the cap, in the plane of both centres.
    #[test]
    fn no_point_of_the_cap_is_nearer_to_the_other(mu in 0.1..1.0_f64, nu in 0.0..1.0_f64, angle in 0.0..3.1_f64) {
        let product = mu * nu * angle.cos();
        let needed = need::cap(mu * mu, nu * nu, product);
        let nearest = |turn: f64| {
            let f = (turn.cos(), turn.sin());
            let to_nu = (f.0 - nu * angle.cos()).hypot(f.1 - nu * angle.sin());
            (f.0 - mu).hypot(f.1) < to_nu
        };
        let turns = || (0..=2000).map(|step| f64::from(step) * std::f64::consts::PI / 2000.0);
        for turn in turns().filter(|turn| mu * turn.cos() >= needed) {
            prop_assert!(nearest(turn), "{}", turn);
        }
        // The closed form also asks for no more than necessary: some point just outside is nearer
        // to the other centre.
        if needed < mu && needed > -mu {
            let edge = (needed / mu).acos();
            prop_assert!(turns().any(|turn| turn >= edge - 1e-9 && turn <= edge + 0.01 && !nearest(turn)));
        }
    }
}
