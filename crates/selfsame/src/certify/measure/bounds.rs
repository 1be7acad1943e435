//! Bounds on the error of the nearest-centre classifier.

use selfsame_report::certificate::{ErrorBound, Factor, WhatIf};
use selfsame_theory::bounds::certificate::Form;
use selfsame_theory::{Error, Quantity, Trust};

use crate::certify::facts::PixelFacts;
use crate::certify::inputs::BoundInputs;

/// Computes the error bound in its forms, the weakest first.
pub fn bounds(facts: &PixelFacts<'_>) -> Result<Vec<ErrorBound>, Error> {
    let world = facts.bound_inputs.world()?;
    let bound = |form| {
        let certificate = world.certify(form);
        let by_class = world.certify_classes(form).error;
        ErrorBound {
            form,
            whole: certificate.quantity(&Trust::Exact),
            certificate,
            by_class: Quantity::at_most(by_class),
        }
    };
    Ok([Form::Derived, Form::Published, Form::Sharpened].map(bound).into())
}

/// Computes the strongest bound in worlds where one factor is perfect.
pub fn what_if(facts: &PixelFacts<'_>, dim: usize) -> Result<Vec<WhatIf>, Error> {
    let inputs = &facts.bound_inputs;
    let classes = inputs.classes.len();
    let mut worlds =
        vec![(Factor::Alignment, "all views of an image in one point".into(), inputs.aligned())];
    if classes > 1 {
        worlds.push((Factor::Divergence, furthest(classes, dim), inputs.divergent(dim)));
    }
    let shared = "a view that all images of a class share".into();
    worlds.push((Factor::Concentration, shared, inputs.concentrated()));
    let what_if = |(factor, that, inputs): (Factor, String, BoundInputs)| {
        let world = inputs.world()?;
        let whole = world.certify(Form::Sharpened);
        let value = world.certify_classes(Form::Sharpened).error.min(whole.bound());
        let bound = Quantity { value, trust: Trust::Assumed { that: that.into() } };
        Ok(WhatIf { factor, bound, slack: whole.slack })
    };
    worlds.into_iter().map(what_if).collect()
}

/// Describes perfect divergence for `classes` classes in `dim` dimensions.
fn furthest(classes: usize, dim: usize) -> String {
    let how = if classes <= dim + 1 {
        "as far apart as can be".to_owned()
    } else if classes <= 2 * dim {
        format!(
            "at right angles or more, and {classes} of them are no further apart in {dim} \
             dimensions"
        )
    } else {
        format!("at right angles, a limit that {classes} of them do not reach in {dim} dimensions")
    };
    format!("centres, of the lengths they have, {how}")
}
