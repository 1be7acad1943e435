//! A number with what it is worth.

use maud::{Markup, html};
use selfsame_theory::{Quantity, Trust};

use super::format::{number, percent};

/// A word for what a number is worth.
pub(super) fn kind(trust: &Trust) -> &'static str {
    match trust {
        Trust::Exact => "exact",
        Trust::Estimate { .. } => "estimate",
        Trust::Bound => "bound",
        Trust::Assumed { .. } => "assumed",
    }
}

/// A plain number, with its interval where it is an estimate.
pub(super) fn value(quantity: &Quantity) -> Markup {
    shown(quantity, &number)
}

/// A share, as a percentage.
pub(super) fn share(quantity: &Quantity) -> Markup {
    shown(quantity, &percent)
}

fn shown(Quantity { value, trust }: &Quantity, text: &dyn Fn(f64) -> String) -> Markup {
    html! {
        span.quantity title=(trust) {
            b { (text(*value)) }
            " " small class=(kind(trust)) {
                (kind(trust))
                @if let Trust::Estimate { low: Some(low), high: Some(high), .. } = trust { ", " (text(*low)) " to " (text(*high)) }
                @if let Trust::Estimate { low: None, high: None, .. } = trust { ", no interval" }
            }
        }
    }
}

/// What the words mean.
pub(super) fn legend() -> Markup {
    html! {
        p.quiet {
            b { "exact" } ": computed from the images and views measured, true of them up to rounding. "
            b { "estimate" } ": what others of their kind would give, with its 95% interval. "
            b { "bound" } ": proved; the truth is not beyond it. "
            b { "assumed" } ": true only if something is that was not proved; point at it to see what."
        }
    }
}
