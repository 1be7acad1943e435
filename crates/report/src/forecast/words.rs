//! Sentences about a forecast: which policies to choose, and the arguments against them.

use super::{Advice, BARELY, Forecast, PolicyForecast, Score};
use crate::percent;

/// Maximum number of policies that a sentence names. Further policies are only counted.
const NAMED: usize = 5;

impl Score {
    /// Describes how the score is computed and what it means.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::GatheredAndSeparated => {
                "The score is gathered × (2 × separation − 1). Gathered is σ, the share of a class \
                 that comes together within a distance, averaged over eight distances up to D, the \
                 middle distance of two images of a class as they are; 2 × separation − 1 is by \
                 how much images of one class are nearer more often than images of two. The score \
                 is 0 where views come together because nothing is left of them, and near 0 where \
                 they stay apart. It does not depend on which other policies are measured."
            }
            Self::Gathered => {
                "With a single class the ranking goes by what is gathered alone: σ, the share of \
                 the class that comes together within a distance, averaged over eight distances up \
                 to D, the middle distance of two images as they are. A policy that erases \
                 everything would come first."
            }
        }
    }
}

impl Forecast {
    /// Describes [`Forecast::advice`]. The first sentence is the headline. Returns no sentences if
    /// there is no advice.
    pub fn sentences(&self) -> Vec<String> {
        let Some(advice) = &self.advice else { return Vec::new() };
        let mut sentences = Vec::new();
        let alone = self.policies.len() == 1;
        if alone {
            let name = &self.policies[0].name;
            sentences.push(format!("Only {name} was measured; nothing to rank."));
        }
        sentences.extend(match advice {
            Advice::TooFewImages { needed } => too_few_images(*needed, alone),
            Advice::SingleClass { first } => vec![self.single_class(first)],
            Advice::Chance => self.chance(alone),
            Advice::Best { best, barely, chance, baseline_as_good } => {
                let Some(first) = best.first().and_then(|&at| self.policies.get(at)) else {
                    return sentences;
                };
                let mut said = self.best(first, best, alone);
                said.extend(self.doubts(barely, chance, alone));
                if *baseline_as_good {
                    said.push(format!("Images as they are score no lower than {}.", first.name));
                }
                if best.len() > 1 {
                    said.push(
                        "The intervals of the differences between their scores hold 0; more \
                         images a class (--per-class) narrow them."
                            .into(),
                    );
                }
                said
            }
        });
        sentences
    }

    fn single_class(&self, first: &[usize]) -> String {
        let verb = if first.len() == 1 { "draws" } else { "draw" };
        format!(
            "{} {verb} most of the class together. With a single class nothing shows whether \
             anything is left to tell images apart.",
            self.listed(first, "and")
        )
    }

    fn chance(&self, alone: bool) -> Vec<String> {
        let mut said: Vec<String> = match alone {
            true => vec![
                "Under it, same-class pairs are not closer than different-class pairs beyond chance."
                    .into(),
            ],
            false => vec![
                "No policy is recommended.".into(),
                "Under none of them are same-class pairs closer than different-class pairs beyond \
                 chance."
                    .into(),
            ],
        };
        said.push(format!(
            "Of images as they are, a same-class pair is closer than a different-class pair {} of \
             the time (chance 50%). More images a class (--per-class) narrow the intervals; \
             embeddings of a trained encoder (--encoder) see more than pixels do.",
            percent(self.baseline_separation())
        ));
        said
    }

    /// Describes which policy to choose and why.
    fn best(&self, first: &PolicyForecast, best: &[usize], alone: bool) -> Vec<String> {
        let name = &first.name;
        let steps = match first.steps.is_empty() {
            true => String::new(),
            false => format!(" ({})", first.steps.join(", ")),
        };
        let mut said = Vec::new();
        if !alone {
            said.push(match best.len() {
                1 => format!("Take {name}{steps}."),
                _ => format!("{}: these images cannot tell them apart.", self.listed(best, "or")),
            });
        }
        let why = match best.len() {
            1 if alone => format!("What {name}{steps} does"),
            1 => format!("Why {name}"),
            _ => format!("{name}{steps} scores highest of them"),
        };
        let sigma = self.shown.last().and_then(|&at| first.sigma.get(at));
        said.push(format!(
            "{why}: it brings {} of a class together within three quarters of the middle distance \
             of two images of that class. A same-class pair is closer than a different-class pair \
             {} of the time (chance 50%, images as they are {}).",
            percent(sigma.map_or(0.0, |sigma| sigma.value())),
            percent(separation(first)),
            percent(self.baseline_separation())
        ));
        said
    }

    /// Describes the policies with little or no separation.
    fn doubts(&self, barely: &[usize], chance: &[usize], alone: bool) -> Vec<String> {
        let mut said = Vec::new();
        if !barely.is_empty() {
            said.push(format!(
                "Barely above chance (the interval of separation begins below {:.0}%): {}.",
                100.0 * BARELY,
                self.names(barely).join(", ")
            ));
        }
        if !chance.is_empty() {
            let verdict = match alone {
                true => "Its separation may be chance",
                false => "Do not take these, whatever their score: their separation may be chance",
            };
            said.push(format!("{verdict}: {}.", self.names(chance).join(", ")));
        }
        said
    }

    fn names(&self, policies: &[usize]) -> Vec<&str> {
        policies.iter().filter_map(|&at| Some(self.policies.get(at)?.name.as_str())).collect()
    }

    /// Lists names of policies, the last one after `word`, which is `and` or `or`. Long lists are
    /// shortened.
    fn listed(&self, policies: &[usize], word: &str) -> String {
        listed(&self.names(policies), word)
    }

    /// Returns the separation of unaugmented images.
    fn baseline_separation(&self) -> f64 {
        self.baseline.as_ref().map_or(0.5, separation)
    }

    /// Returns the mark of a policy in the ranking, by its position: that it is not to be taken, or
    /// that it is barely above chance. Most policies have none.
    pub fn mark(&self, policy: usize) -> Option<&'static str> {
        match self.advice.as_ref()? {
            Advice::Chance => Some("not to be taken: may be chance"),
            Advice::Best { chance, .. } if chance.contains(&policy) => {
                Some("not to be taken: may be chance")
            }
            Advice::Best { barely, .. } if barely.contains(&policy) => Some("barely above chance"),
            _ => None,
        }
    }
}

fn too_few_images(needed: usize, alone: bool) -> Vec<String> {
    let verdict = match alone {
        true => "There are too few images of a class for an interval.",
        false => "No policy is recommended: too few images of a class for an interval.",
    };
    let why = format!(
        "Most classes have fewer than {needed} images here, and other images may turn the order of \
         the scores; --per-class says how many are taken."
    );
    vec![verdict.into(), why]
}

/// Returns the separation of a policy.
fn separation(policy: &PolicyForecast) -> f64 {
    policy.separation.as_ref().map_or(0.5, |separation| separation.value())
}

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
    use selfsame_theory::Quantity;

    use super::super::Measured;
    use super::*;

    /// A forecast with these policies and separations. The separation of unaugmented images is
    /// 0.55.
    fn forecast(policies: &[(&str, f64)], advice: Advice) -> Forecast {
        let policy = |&(name, separation): &(&str, f64)| PolicyForecast {
            name: name.into(),
            separation: Some(Measured { quantity: Quantity::exact(separation), interval: None }),
            ..PolicyForecast::default()
        };
        Forecast {
            policies: policies.iter().map(policy).collect(),
            baseline: Some(policy(&("none", 0.55))),
            advice: Some(advice),
            ..Forecast::default()
        }
    }

    #[test]
    fn what_is_named_is_true_of_each() {
        let advice = Advice::Best {
            best: vec![0, 2],
            barely: vec![2],
            chance: vec![1, 3],
            baseline_as_good: true,
        };
        let said =
            forecast(&[("a", 0.6), ("b", 0.505), ("c", 0.53), ("d", 0.49)], advice).sentences();
        assert_eq!(said[0], "a or c: these images cannot tell them apart.");
        let said = said.join("\n");
        assert!(
            said.contains("60.0% of the time (chance 50%, images as they are 55.0%)"),
            "{said}"
        );
        assert!(said.contains("begins below 52%): c."), "{said}");
        assert!(said.contains("may be chance: b, d."), "{said}");
        assert!(said.contains("no lower than a."), "{said}");
        let advice = Advice::Best {
            best: vec![0],
            barely: vec![1],
            chance: vec![2],
            baseline_as_good: false,
        };
        let marks = forecast(&[("a", 0.6), ("b", 0.53), ("c", 0.5)], advice);
        let marks = [0, 1, 2].map(|policy| marks.mark(policy));
        assert_eq!(
            marks,
            [None, Some("barely above chance"), Some("not to be taken: may be chance")]
        );
    }

    #[test]
    fn one_policy_is_taken_of_several_and_none_of_one() {
        let best = |chance| Advice::Best {
            best: vec![0],
            barely: vec![],
            chance,
            baseline_as_good: false,
        };
        let said = forecast(&[("b", 0.6), ("a", 0.51)], best(vec![1])).sentences();
        assert_eq!(said[0], "Take b.");
        let said = forecast(&[("a", 0.6)], best(vec![])).sentences().join("\n");
        assert!(said.starts_with("Only a was measured; nothing to rank."), "{said}");
        assert!(!said.contains("Take"), "{said}");
    }

    #[test]
    fn a_reason_is_given_where_nothing_is_recommended() {
        let two = [("a", 0.6), ("b", 0.5)];
        let few = forecast(&two, Advice::TooFewImages { needed: 10 }).sentences();
        assert!(few[0].contains("too few images of a class"), "{few:?}");
        let chance = forecast(&two, Advice::Chance).sentences();
        assert!(chance[0] == "No policy is recommended.", "{chance:?}");
        assert!(chance[1].starts_with("Under none of them"), "{chance:?}");
        let single = forecast(&two, Advice::SingleClass { first: vec![0, 1] }).sentences();
        assert!(single[0].starts_with("a and b draw most of the class together"), "{single:?}");
    }

    #[test]
    fn many_names_are_cut_short() {
        assert_eq!(listed(&["a"], "or"), "a");
        assert_eq!(listed(&["a", "b", "c"], "or"), "a, b or c");
        assert_eq!(listed(&["a", "b", "c", "d", "e", "f"], "or"), "a, b, c, d or 2 others");
    }
}
