//! How far a number can be trusted: whether it was computed, estimated, proved or assumed.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The reason to trust a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "trust", rename_all = "snake_case")]
pub enum Trust {
    /// Computed from the finite sample, and exact for it up to rounding.
    Exact,
    /// An estimate for the population that the sample was drawn from.
    Estimate {
        /// The lower end of the interval. `None` if nothing is known on that side.
        low: Option<f64>,
        /// The upper end of the interval. `None` if nothing is known on that side.
        high: Option<f64>,
        /// The method of the interval, and its confidence.
        method: Cow<'static, str>,
        /// Number of independent draws that the estimate is based on.
        sample: usize,
    },
    /// Proved for the finite sample, from exact inputs.
    Bound {
        /// The side of the bound on which the truth lies.
        side: Side,
    },
    /// True only under an assumption that was not checked.
    Assumed {
        /// The assumption.
        that: Cow<'static, str>,
    },
}

/// The side of a bound on which the truth lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The truth is at most the bound.
    AtMost,
    /// The truth is at least the bound.
    AtLeast,
}

impl Side {
    /// Returns the side after a change of sign, for example from an error to an accuracy.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::AtMost => Self::AtLeast,
            Self::AtLeast => Self::AtMost,
        }
    }
}

impl Trust {
    /// Returns the trust in a bound on `side` that is proved from `inputs`, each with its trust and
    /// the side on which its true value may lie. It is a [`Trust::Bound`] if every input is exact,
    /// or is itself a bound on that side. Otherwise it is an assumption, because a proof from an
    /// estimate, or from a bound on the other side, proves nothing.
    ///
    /// ```
    /// use selfsame_theory::{Side, Trust};
    ///
    /// let bound = Trust::Bound { side: Side::AtMost };
    /// let inputs = [(&Trust::Exact, Side::AtLeast), (&bound, Side::AtMost)];
    /// assert_eq!(Trust::of_bound(Side::AtMost, &inputs), bound);
    /// let assumed = Trust::Assumed { that: "the largest measured ratio is the Lipschitz constant".into() };
    /// assert_eq!(Trust::of_bound(Side::AtMost, &[(&assumed, Side::AtMost)]), assumed);
    /// ```
    pub fn of_bound(side: Side, inputs: &[(&Trust, Side)]) -> Trust {
        let doubt = inputs.iter().find_map(|(input, needed)| match input {
            Self::Exact => None,
            Self::Bound { side } if side == needed => None,
            Self::Bound { side: Side::AtMost } => {
                Some(Self::Assumed { that: "an upper bound is the true value".into() })
            }
            Self::Bound { side: Side::AtLeast } => {
                Some(Self::Assumed { that: "a lower bound is the true value".into() })
            }
            Self::Estimate { method, .. } => Some(Self::Assumed {
                that: format!("an estimate ({method}) is the true value").into(),
            }),
            Self::Assumed { .. } => Some((*input).clone()),
        });
        doubt.unwrap_or(Self::Bound { side })
    }

    /// Returns the side of a bound, or `None` for other kinds.
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

/// A number and the reason to trust it. In JSON it is an object with `value` and `trust`, and the
/// fields of that kind of trust.
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
    /// The reason to trust the number.
    #[serde(flatten)]
    pub trust: Trust,
}

impl Quantity {
    /// Makes a number that was computed from the finite sample.
    pub fn exact(value: f64) -> Self {
        Self { value, trust: Trust::Exact }
    }

    /// Makes an upper bound.
    pub fn at_most(value: f64) -> Self {
        Self { value, trust: Trust::Bound { side: Side::AtMost } }
    }

    /// Makes a lower bound.
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
        let inputs = [(&bound, Side::AtLeast), (&estimate, Side::AtLeast)];
        let found = Trust::of_bound(Side::AtLeast, &inputs);
        assert_eq!(found.to_string(), "assumed that an estimate (sampled pairs) is the true value");
        assert_eq!(Trust::of_bound(Side::AtLeast, &[]), bound);
        assert_eq!((bound.side(), Trust::Exact.side()), (Some(Side::AtLeast), None));
        assert_eq!(bound.to_string(), "bound, at least");
    }

    #[test]
    fn a_bound_from_a_bound_on_the_other_side_is_an_assumption() {
        let [most, least] = [Side::AtMost, Side::AtLeast].map(|side| Trust::Bound { side });
        for (input, side, that) in [
            (&most, Side::AtLeast, "assumed that an upper bound is the true value"),
            (&least, Side::AtMost, "assumed that a lower bound is the true value"),
        ] {
            for of in [Side::AtMost, Side::AtLeast] {
                assert_eq!(Trust::of_bound(of, &[(input, side)]).to_string(), that);
                let right = Trust::of_bound(of, &[(input, side.opposite())]);
                assert_eq!(right, Trust::Bound { side: of });
            }
        }
    }
}
