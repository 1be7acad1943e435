//! The score that ranks policies. To use another score, change only these functions; no other code
//! depends on how a score is computed.

use selfsame_concentration::forecast::Measures;
use selfsame_report::forecast::Score;
use selfsame_theory::Side;

/// Minimum and maximum of a score.
pub const RANGE: [f64; 2] = [-1.0, 1.0];

/// Returns the score that ranks policies for this number of classes.
pub fn of_classes(classes: usize) -> Score {
    if classes == 1 { Score::Gathered } else { Score::GatheredAndSeparated }
}

/// Computes the score of a policy; higher is better. It is gathered × (2 × separation − 1). With a
/// single class it is gathered alone, because losses of separation cannot be seen.
pub fn score(measures: &Measures) -> f64 {
    measures.gathered()[0] * measures.separation.map_or(1.0, |separation| 2.0 * separation - 1.0)
}

/// Returns on which side of a score the true value lies if some main parts are not proved to be the
/// largest, so that only a lower bound of the gathered share is known. Returns `None` if the score
/// is exact.
pub fn side(measures: &Measures) -> Option<Side> {
    let gathered = at_least(measures.gathered());
    match measures.separation {
        Some(0.5) => None,
        Some(separation) if separation < 0.5 => gathered.map(Side::opposite),
        _ => gathered,
    }
}

/// Returns the side of the true value relative to the lower of two bounds, or `None` if the bounds
/// are equal and the value is therefore exact.
pub fn at_least([low, high]: [f64; 2]) -> Option<Side> {
    (low < high).then_some(Side::AtLeast)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(sigma: [f64; 2], separation: Option<f64>) -> Measures {
        Measures {
            sigma: vec![vec![Some(sigma)]],
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
