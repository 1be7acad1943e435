//! A forecast in words: which policies to take, and what speaks against them.

use selfsame::report::forecast::PolicyForecast;

use super::{FEWEST, SHOWN};

/// Separation whose interval begins below is barely above chance, which is ½.
const BARELY: f64 = 0.52;
/// Policies that are named one by one.
const NAMED: usize = 5;

/// The policies to take, positions, and sentences, the first of them the headline.
///
/// `few` is whether most classes have too few images for intervals, `single` whether there is one
/// class.
pub fn advice(
    policies: &[PolicyForecast],
    baseline: &PolicyForecast,
    single: bool,
    few: bool,
) -> (Vec<usize>, Vec<String>) {
    let alone = policies.len() == 1;
    let mut sentences = Vec::new();
    if alone {
        sentences.push(format!("Only {} was measured; nothing to rank.", policies[0].name));
    }
    if few {
        sentences.push(match alone {
            true => "There are too few images of a class for an interval.".into(),
            false => "No policy is recommended: too few images of a class for an interval.".into(),
        });
        sentences.push(format!(
            "Most classes have fewer than {FEWEST} images here, and other images may turn the \
             order of the scores; \
             --per-class says how many are taken."
        ));
        return (Vec::new(), sentences);
    }
    if single {
        let first: Vec<&str> =
            policies.iter().filter(|p| p.rank == 1).map(|p| p.name.as_str()).collect();
        sentences.push(format!(
            "{} {} most of the class together; whether anything is left of it, one class cannot \
             tell.",
            listed(&first, "and"),
            if first.len() == 1 { "draws" } else { "draw" },
        ));
        return (Vec::new(), sentences);
    }
    let told: Vec<usize> = (0..policies.len()).filter(|&at| begins(&policies[at]) > 0.5).collect();
    let named = |of: &[usize]| of.iter().map(|&at| policies[at].name.as_str()).collect::<Vec<_>>();
    let Some(&best) = told.first() else {
        sentences.push(match alone {
            true => "Its nearest views of one class lie no nearer than those of two by more than \
                 chance explains."
                .into(),
            false => "No policy is recommended.".into(),
        });
        if !alone {
            let none = "Of none do the nearest views of one class lie nearer than those of two by \
                        more than chance explains.";
            sentences.push(none.into());
        }
        sentences.push(format!(
            "Of images as they are, those of one class lie nearer {:.1} % of the time, where \
             chance is 50 %. More images a \
             class (--per-class) narrow the intervals; embeddings of a trained encoder \
             (--encoder) see more than pixels \
             do.",
            separation(baseline)
        ));
        return (Vec::new(), sentences);
    };
    let (first, name) = (&policies[best], &policies[best].name);
    let tied: Vec<usize> =
        told.iter().copied().filter(|&at| policies[at].rank == first.rank).collect();
    let doing = if first.steps.is_empty() {
        String::new()
    } else {
        format!(" ({})", first.steps.join(", "))
    };
    if !alone {
        sentences.push(match tied.len() {
            1 => format!("Take {name}{doing}."),
            _ => format!("{}: these images cannot tell them apart.", listed(&named(&tied), "or")),
        });
    }
    let why = match tied.len() {
        1 if alone => format!("What {name}{doing} does"),
        1 => format!("Why {name}"),
        _ => format!("{name}{doing} scores highest of them"),
    };
    sentences.push(format!(
        "{why}: within three quarters of the middle distance of two images of a class it brings \
         {:.0} % of a class together, \
         and {:.1} % of the time images of one class stay nearer than images of two, where chance \
         is 50 % and images as \
         they are come to {:.1} %.",
        100.0 * first.sigma.get(SHOWN[1]).map_or(0.0, |sigma| sigma.value),
        separation(first),
        separation(baseline)
    ));
    let barely: Vec<usize> =
        tied.iter().copied().filter(|&at| begins(&policies[at]) < BARELY).collect();
    if !barely.is_empty() {
        sentences.push(format!(
            "Barely above chance (separation whose interval begins under {:.0} %): {}.",
            100.0 * BARELY,
            named(&barely).join(", ")
        ));
    }
    let chance: Vec<usize> = (0..policies.len()).filter(|at| !told.contains(at)).collect();
    if !chance.is_empty() {
        let verb = if alone {
            "Not told from chance"
        } else {
            "Not to be taken, whatever the score, where separation may be chance"
        };
        sentences.push(format!("{verb}: {}.", named(&chance).join(", ")));
    }
    if baseline.score.value >= first.score.value {
        sentences.push(format!("Images as they are score no lower than {name}."));
    }
    if tied.len() > 1 {
        let widths = "The intervals of the differences between their scores hold 0; more images a \
                      class (--per-class) narrow \
            them.";
        sentences.push(widths.into());
    }
    (if alone { Vec::new() } else { tied }, sentences)
}

/// Where the interval of the separation of a policy begins.
fn begins(policy: &PolicyForecast) -> f64 {
    policy.separation.and_then(|separation| separation.interval).map_or(0.0, |interval| interval[0])
}

fn separation(policy: &PolicyForecast) -> f64 {
    100.0 * policy.separation.map_or(0.5, |separation| separation.value)
}

/// Names in a row, the last after `and` or `or`; not too many.
fn listed(names: &[&str], word: &str) -> String {
    let shown = if names.len() > NAMED { NAMED - 1 } else { names.len() };
    let others = format!("{} others", names.len() - shown);
    let names: Vec<&str> =
        names[..shown].iter().copied().chain((shown < names.len()).then_some(&*others)).collect();
    match names.split_last() {
        None => String::new(),
        Some((one, [])) => (*one).to_owned(),
        Some((last, first)) => format!("{} {word} {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use selfsame::report::forecast::Measured;

    use super::*;

    /// A policy of this rank, with its separation and half of the width of its interval.
    fn policy(name: &str, rank: usize, separation: f64, error: f64) -> PolicyForecast {
        let separation = Measured {
            value: separation,
            interval: Some([separation - error, separation + error]),
            ..Measured::default()
        };
        let score = Measured { value: 1.0 / (rank + 1) as f64, ..Measured::default() };
        PolicyForecast {
            name: name.into(),
            rank,
            score,
            separation: Some(separation),
            ..PolicyForecast::default()
        }
    }

    fn said(policies: &[PolicyForecast]) -> (Vec<usize>, String) {
        let baseline =
            PolicyForecast { score: Measured::default(), ..policy("none", 0, 0.55, 0.01) };
        let (recommended, sentences) = advice(policies, &baseline, false, false);
        (recommended, sentences.join("\n"))
    }

    #[test]
    fn what_is_named_is_true_of_each() {
        let (recommended, said) = said(&[
            policy("a", 1, 0.60, 0.02),
            policy("b", 1, 0.505, 0.02),
            policy("c", 1, 0.53, 0.02),
            policy("d", 4, 0.49, 0.02),
        ]);
        assert_eq!(recommended, [0, 2]);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "a or c: these images cannot tell them apart.");
        assert!(said.contains("60.0 % of the time") && said.contains("come to 55.0 %"), "{said}");
        assert!(said.contains("begins under 52 %): c."), "{said}");
        assert!(said.contains("may be chance: b, d."), "{said}");
    }

    #[test]
    fn a_leader_that_chance_explains_is_not_taken() {
        let (recommended, said) = said(&[policy("a", 1, 0.51, 0.02), policy("b", 2, 0.6, 0.02)]);
        assert_eq!(recommended, [1]);
        assert!(said.starts_with("Take b."), "{said}");
        assert!(said.contains("may be chance: a."), "{said}");
    }

    #[test]
    fn without_separation_nothing_is_taken() {
        let (recommended, said) = said(&[policy("a", 1, 0.51, 0.02), policy("b", 1, 0.5, 0.0)]);
        assert!(recommended.is_empty() && said.starts_with("No policy is recommended."), "{said}");
        assert!(said.contains("Of none do"), "{said}");
    }

    #[test]
    fn one_policy_is_not_ranked() {
        let (recommended, said) = said(&[policy("a", 1, 0.6, 0.02)]);
        assert!(
            recommended.is_empty() && said.starts_with("Only a was measured; nothing to rank."),
            "{said}"
        );
        assert!(!said.contains("Take"), "{said}");
    }

    #[test]
    fn few_images_recommend_nothing() {
        let policies = [policy("a", 1, 0.6, 0.02), policy("b", 2, 0.6, 0.02)];
        let (recommended, sentences) = advice(&policies, &policies[0], false, true);
        assert!(
            recommended.is_empty() && sentences[0].contains("too few images of a class"),
            "{sentences:?}"
        );
    }

    #[test]
    fn many_names_are_cut_short() {
        assert_eq!(listed(&["a"], "or"), "a");
        assert_eq!(listed(&["a", "b", "c"], "or"), "a, b or c");
        assert_eq!(listed(&["a", "b", "c", "d", "e", "f"], "or"), "a, b, c, d or 2 others");
    }
}
