//! What a number is worth: whether it was computed, estimated, proved or assumed.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What stands behind a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "trust", rename_all = "snake_case")]
pub enum Trust {
    /// Computed from the finite sample, and true of it up to rounding.
    Exact,
    /// An estimate for the population that the sample was drawn from.
    Estimate {
        /// The lower end of the interval; none where nothing is known on that side.
        low: Option<f64>,
        /// The upper end of the interval; none where nothing is known on that side.
        high: Option<f64>,
        /// How the interval was made, and its confidence.
        method: Cow<'static, str>,
        /// How many independent draws it rests on.
        sample: usize,
    },
    /// Proved of the finite sample, from exact inputs.
    Bound {
        /// On which side of the bound the truth is.
        side: Side,
    },
    /// True only if an assumption is, which was not checked.
    Assumed {
        /// The assumption.
        that: Cow<'static, str>,
    },
}

/// The side of a bound that the truth is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The truth is no more.
    AtMost,
    /// The truth is no less.
    AtLeast,
}

impl Side {
    /// The side after a change of sign, as from an error to an accuracy.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::AtMost => Self::AtLeast,
            Self::AtLeast => Self::AtMost,
        }
    }
}

impl Trust {
    /// What a bound on `side` is worth whose inputs are worth `inputs`: a [`Trust::Bound`] where
    /// all are exact or bounds themselves, each on the side that the proof takes it from, and else
    /// an assumption, because a proof from an estimate proves nothing.
    ///
    /// ```
    /// use selfsame_theory::{Side, Trust};
    ///
    /// let bound = Trust::Bound { side: Side::AtMost };
    /// assert_eq!(Trust::of_bound(Side::AtMost, &[Trust::Exact, bound.clone()]), bound);
    /// let assumed = Trust::Assumed { that: "the largest measured ratio is the Lipschitz constant".into() };
    /// assert_eq!(Trust::of_bound(Side::AtMost, &[Trust::Exact, assumed.clone()]), assumed);
    /// ```
    pub fn of_bound(side: Side, inputs: &[Trust]) -> Trust {
        let doubt = inputs.iter().find_map(|input| match input {
            Self::Exact | Self::Bound { .. } => None,
            Self::Estimate { method, .. } => Some(Self::Assumed {
                that: format!("an estimate ({method}) is the true value").into(),
            }),
            Self::Assumed { .. } => Some(input.clone()),
        });
        doubt.unwrap_or(Self::Bound { side })
    }

    /// The side of a bound; none for other kinds.
    pub fn side(&self) -> Option<Side> {
        match self {
            Self::Bound { side } => Some(*side),
            _ => None,
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end =
            |end: &Option<f64>| end.map_or("an unknown end".to_owned(), |end| format!("{end:.4}"));
        match self {
            Self::Exact => write!(f, "exact"),
            Self::Estimate { low: None, high: None, method, sample } => {
                write!(f, "estimate without an interval: {method}, from a sample of {sample}")
            }
            Self::Estimate { low, high, method, sample } => {
                write!(
                    f,
                    "estimate within {} to {} ({method}, from a sample of {sample})",
                    end(low),
                    end(high)
                )
            }
            Self::Bound { side: Side::AtMost } => write!(f, "bound, at most"),
            Self::Bound { side: Side::AtLeast } => write!(f, "bound, at least"),
            Self::Assumed { that } => write!(f, "assumed that {that}"),
        }
    }
}

/// A number and what stands behind it. In JSON an object with `value` and `trust`, and beside them
/// what the kind of trust carries.
///
/// ```
/// use selfsame_theory::Quantity;
///
/// let error = Quantity::at_most(0.25);
/// assert_eq!(serde_json::to_string(&error)?, r#"{"value":0.25,"trust":"bound","side":"at_most"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantity {
    /// The number.
    pub value: f64,
    /// What stands behind it.
    #[serde(flatten)]
    pub trust: Trust,
}

impl Quantity {
    /// A number computed from the finite sample.
    pub fn exact(value: f64) -> Self {
        Self { value, trust: Trust::Exact }
    }

    /// A bound from above.
    pub fn at_most(value: f64) -> Self {
        Self { value, trust: Trust::Bound { side: Side::AtMost } }
    }

    /// A bound from below.
    pub fn at_least(value: f64) -> Self {
        Self { value, trust: Trust::Bound { side: Side::AtLeast } }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.4} ({})", self.value, self.trust)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_json() {
        let estimate = Trust::Estimate {
            low: Some(0.1),
            high: None,
            method: "largest ratio".into(),
            sample: 7,
        };
        let assumed = Trust::Assumed { that: "views of different classes do not meet".into() };
        let [most, least] = [Side::AtMost, Side::AtLeast].map(|side| Trust::Bound { side });
        for trust in [Trust::Exact, most, least, estimate, assumed] {
            let quantity = Quantity { value: 1.5, trust };
            let text = serde_json::to_string(&quantity).unwrap();
            assert_eq!(serde_json::from_str::<Quantity>(&text).unwrap(), quantity, "{text}");
        }
    }

    #[test]
    fn an_estimate_without_an_interval_says_so() {
        let trust = |low, high| {
            Trust::Estimate { low, high, method: "halves".into(), sample: 6 }.to_string()
        };
        assert_eq!(trust(None, None), "estimate without an interval: halves, from a sample of 6");
        assert_eq!(
            trust(Some(0.5), None),
            "estimate within 0.5000 to an unknown end (halves, from a sample of 6)"
        );
    }

    #[test]
    fn a_bound_from_an_estimate_is_an_assumption() {
        let estimate =
            Trust::Estimate { low: None, high: None, method: "sampled pairs".into(), sample: 9 };
        let bound = Trust::Bound { side: Side::AtLeast };
        let found = Trust::of_bound(Side::AtLeast, &[bound.clone(), estimate]);
        assert_eq!(found.to_string(), "assumed that an estimate (sampled pairs) is the true value");
        assert_eq!(Trust::of_bound(Side::AtLeast, &[]), bound);
        assert_eq!((bound.side(), Trust::Exact.side()), (Some(Side::AtLeast), None));
        assert_eq!(bound.to_string(), "bound, at least");
    }
}
