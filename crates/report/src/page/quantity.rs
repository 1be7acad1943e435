//! Formatting of a number together with how far it can be trusted.

use maud::{Markup, html};
use selfsame_theory::{Quantity, Side, Trust};

use crate::evaluation::words;
use crate::format::{NONE, number_to, percent, percent_to};

/// Returns a word for how far a number can be trusted.
pub(super) fn kind(trust: &Trust) -> &'static str {
    match trust {
        Trust::Exact => "exact",
        Trust::Estimate { .. } => "estimate",
        Trust::Bound { .. } => "bound",
        Trust::Assumed { .. } => "assumed",
    }
}

/// Formats a number, with its interval if it is an estimate.
pub(super) fn value(quantity: &Quantity) -> Markup {
    shown(quantity, quantity.trust.side(), number_to)
}

/// Formats a number that is an upper limit if its assumption holds. It is rounded up, like a bound.
pub(super) fn at_most(quantity: &Quantity) -> Markup {
    shown(quantity, Some(Side::AtMost), number_to)
}

/// Formats a proportion as a percentage.
pub(super) fn share(quantity: &Quantity) -> Markup {
    shown(quantity, quantity.trust.side(), percent_to)
}

/// Formats a proportion within a sentence.
pub(super) fn share_in_words(quantity: &Quantity) -> String {
    let words = match quantity.trust.side() {
        None => "",
        Some(Side::AtMost) => "at most ",
        Some(Side::AtLeast) => "at least ",
    };
    words.to_owned() + &percent_to(quantity.value, quantity.trust.side())
}

/// Formats a number. A bound is rounded to its own side, so that the rounded number is a bound too.
fn shown(
    Quantity { value, trust }: &Quantity,
    side: Option<Side>,
    text: fn(f64, Option<Side>) -> String,
) -> Markup {
    html! {
        span.quantity title=(trust) {
            b { (text(*value, side)) }
            " " small class=(kind(trust)) {
                @match trust {
                    Trust::Bound { .. } => (trust),
                    _ => (kind(trust)),
                }
                @if let Trust::Estimate { low: Some(low), high: Some(high), .. } = trust { ", " (text(*low, None)) " to " (text(*high, None)) }
                @if let Trust::Estimate { low: None, high: None, .. } = trust { ", no interval" }
            }
        }
    }
}

/// Explains the words for how far numbers can be trusted.
pub(super) fn legend() -> Markup {
    html! {
        p.quiet {
            b { "exact" } ": computed from the images and views measured, and true of them up to \
                           rounding. "
            b { "estimate" } ": what other images of the same kind would give, with its 95% \
                              interval. "
            b { "bound" } ": proved to be at most, or at least, this number, which is rounded to \
                           that side. "
            b { "assumed" } ": true only under an assumption that was not proved; point at it to \
                             see which."
        }
    }
}

/// Draws an accuracy over this number of images with its interval, or a dash if it is NaN.
pub(super) fn accuracy(share: f64, images: u64) -> Markup {
    if !share.is_finite() {
        return html! { span title="not measured" { (NONE) } };
    }
    html! {
        b { (percent(share)) }
        small { (words::interval(share, images)) }
    }
}
