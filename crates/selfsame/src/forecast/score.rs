//! What policies are ranked by. Another score takes another body of these functions; nothing else
//! knows how a score is made.

use selfsame_concentration::forecast::Measures;
use selfsame_report::forecast::Score;
use selfsame_theory::Side;

/// The least and the most that a score can be.
pub const RANGE: [f64; 2] = [-1.0, 1.0];

/// Which score ranks policies on so many classes.
pub fn of_classes(classes: usize) -> Score {
    if classes == 1 { Score::Gathered } else { Score::GatheredAndSeparated }
}

/// The score of a policy, higher is better: gathered × (2 × separation − 1), and what is gathered
/// alone with a single class, where nothing shows what is lost.
pub fn score(measures: &Measures) -> f64 {
    measures.gathered()[0] * measures.separation.map_or(1.0, |separation| 2.0 * separation - 1.0)
}

/// On which side of a score the truth is where not all main parts are proved the largest, so that
/// only a lower bound of what is gathered is known; none where the score is exact.
pub fn side(measures: &Measures) -> Option<Side> {
    let gathered = at_least(measures.gathered());
    match measures.separation {
        Some(0.5) => None,
        Some(separation) if separation < 0.5 => gathered.map(Side::opposite),
        _ => gathered,
    }
}

/// The side of the truth from the lower of two bounds; none where they are equal, and so exact.
pub fn at_least([low, high]: [f64; 2]) -> Option<Side> {
    (low < high).then_some(Side::AtLeast)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(sigma: [f64; 2], separation: Option<f64>) -> Measures {
        Measures {
            sigma: vec![vec![sigma]],
            mixed: vec![vec![sigma]],
            overlap: vec![0.0],
            separation,
            class_separation: vec![separation],
        }
    }

    #[test]
    fn the_score_is_the_product_and_its_side_follows_the_sign() {
        let both = measures([0.5, 0.75], Some(0.75));
        assert_eq!((score(&both), side(&both)), (0.25, Some(Side::AtLeast)));
        let worse = measures([0.5, 0.75], Some(0.25));
        assert_eq!((score(&worse), side(&worse)), (-0.25, Some(Side::AtMost)));
        let nothing = measures([0.5, 0.75], Some(0.5));
        assert_eq!((score(&nothing), side(&nothing)), (0.0, None));
        let single = measures([0.5, 0.5], None);
        assert_eq!((score(&single), side(&single)), (0.5, None));
    }
}
