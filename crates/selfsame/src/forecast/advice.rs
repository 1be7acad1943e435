//! Chooses the policies that a forecast recommends, and says what speaks against them.

use selfsame_report::forecast::{Advice, BARELY, PolicyForecast};

/// Number of images that most classes need for measures on halves of them to be meaningful.
pub const ENOUGH: usize = 10;
/// Separation of views that tell nothing about classes.
const CHANCE: f64 = 0.5;

/// Derives advice from policies in the order of their ranks. `few` says whether most classes have
/// too few images for intervals; `single` says whether there is only one class.
pub fn advice(
    policies: &[PolicyForecast],
    baseline: &PolicyForecast,
    single: bool,
    few: bool,
) -> Advice {
    if few {
        return Advice::TooFewImages { needed: ENOUGH };
    }
    let all = 0..policies.len();
    if single {
        return Advice::SingleClass {
            first: all.filter(|&index| policies[index].rank == 1).collect(),
        };
    }
    let (told, chance): (Vec<usize>, Vec<usize>) =
        all.partition(|&index| least_separation(&policies[index]) > CHANCE);
    let Some(&first) = told.first() else { return Advice::Chance };
    let rank = policies[first].rank;
    let best: Vec<usize> = told.into_iter().filter(|&index| policies[index].rank == rank).collect();
    let barely =
        best.iter().copied().filter(|&index| least_separation(&policies[index]) < BARELY).collect();
    let baseline_as_good = baseline.score.value() >= policies[first].score.value();
    Advice::Best { best, barely, chance, baseline_as_good }
}

/// Returns the policies to recommend: the best ones, unless only one policy was measured.
pub fn recommended(advice: &Advice, policies: usize) -> Vec<usize> {
    match advice {
        Advice::Best { best, .. } if policies > 1 => best.clone(),
        _ => Vec::new(),
    }
}

/// Returns the lower end of the interval of a policy's separation, or 0 without an interval.
fn least_separation(policy: &PolicyForecast) -> f64 {
    let interval = policy.separation.as_ref().and_then(|separation| separation.interval);
    interval.map_or(0.0, |interval| interval[0])
}

#[cfg(test)]
mod tests {
    use selfsame_report::forecast::Measured;
    use selfsame_theory::Quantity;

    use super::*;

    /// Builds a policy with rank `rank` and the interval `separation` ± `error`.
    fn policy(name: &str, rank: usize, separation: f64, error: f64) -> PolicyForecast {
        let interval = Some([separation - error, separation + error]);
        let separation = Measured { quantity: Quantity::exact(separation), interval };
        let score = Quantity::exact(1.0 / (rank + 1) as f64);
        PolicyForecast {
            name: name.into(),
            rank,
            score: Measured { quantity: score, interval: None },
            separation: Some(separation),
            ..PolicyForecast::default()
        }
    }

    fn said(policies: &[PolicyForecast]) -> Advice {
        let baseline =
            PolicyForecast { score: Measured::default(), ..policy("none", 0, 0.55, 0.01) };
        advice(policies, &baseline, false, false)
    }

    #[test]
    fn what_is_named_is_true_of_each() {
        let policies = [
            policy("a", 1, 0.60, 0.02),
            policy("b", 1, 0.505, 0.02),
            policy("c", 1, 0.53, 0.02),
            policy("d", 4, 0.49, 0.02),
        ];
        let expected = Advice::Best {
            best: vec![0, 2],
            barely: vec![2],
            chance: vec![1, 3],
            baseline_as_good: false,
        };
        assert_eq!(said(&policies), expected);
        assert_eq!(recommended(&expected, 4), [0, 2]);
        let with_good_images = advice(&policies, &policies[0], false, false);
        assert!(matches!(with_good_images, Advice::Best { baseline_as_good: true, .. }));
    }

    #[test]
    fn a_leader_that_chance_explains_is_not_taken() {
        let said = said(&[policy("a", 1, 0.51, 0.02), policy("b", 2, 0.6, 0.02)]);
        assert_eq!(recommended(&said, 2), [1]);
        assert!(matches!(&said, Advice::Best { chance, .. } if *chance == [0]), "{said:?}");
    }

    #[test]
    fn without_separation_nothing_is_taken() {
        let said = said(&[policy("a", 1, 0.51, 0.02), policy("b", 1, 0.5, 0.0)]);
        assert_eq!((recommended(&said, 2), said), (vec![], Advice::Chance));
    }

    #[test]
    fn one_policy_is_not_recommended() {
        let said = said(&[policy("a", 1, 0.6, 0.02)]);
        assert!(matches!(&said, Advice::Best { best, .. } if *best == [0]), "{said:?}");
        assert!(recommended(&said, 1).is_empty());
    }

    #[test]
    fn few_images_and_a_single_class_recommend_nothing() {
        let policies = [policy("a", 1, 0.6, 0.02), policy("b", 2, 0.6, 0.02)];
        let few = advice(&policies, &policies[0], false, true);
        assert_eq!(few, Advice::TooFewImages { needed: ENOUGH });
        let single = advice(&policies, &policies[0], true, false);
        assert_eq!(single, Advice::SingleClass { first: vec![0] });
        assert!(recommended(&few, 2).is_empty() && recommended(&single, 2).is_empty());
    }
}
