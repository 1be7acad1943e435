//! A test whether the views of one policy are among the views of another.

use crate::policy::{Blur, Crop, Jitter, PadCrop, Policy, Probability, Rotation, Solarise};

impl Policy {
    /// Returns whether every draw of this policy is also a draw of `larger`, for both views of a
    /// pair. If so, the views of an image under this policy are among its views under `larger`.
    ///
    /// This holds if it holds for each step: if the step can be left out, the larger policy can
    /// leave it out too, and if the step can be applied, the larger policy can apply it with the
    /// same parameters. For jitter, one range of strengths must contain the other, and a view
    /// without jitter counts as one with factors of 1 and a turn of 0, which change nothing. Draws
    /// at the very end of a range count as reachable.
    ///
    /// The answer is never yes if a view is missing. It may be no although the views are equal for
    /// other reasons, for example if two ranges of `crop.ratio` differ but fit the same boxes into
    /// an image.
    ///
    /// ```
    /// use selfsame_augment::Policy;
    ///
    /// let policy = |text: &str| text.parse::<Policy>().unwrap();
    /// assert!(policy("ab").within(&policy("abc")));
    /// assert!(policy("ad0.25").within(&policy("ad0.5e")));
    /// assert!(!policy("abc").within(&policy("ab")));
    /// assert!(!policy("e").within(&policy("ae")), "without crop a view is the image itself");
    /// ```
    pub fn within(&self, larger: &Policy) -> bool {
        let (small, large) = (self.config(), larger.config());
        // Without a crop, the image is resized bilinearly.
        let interpolation =
            |crop: Option<Crop>| crop.map_or_else(Default::default, |crop| crop.interpolation);
        interpolation(small.crop) == interpolation(large.crop)
            && nested(small.crop, large.crop, |step| step.probability, crop_within)
            && nested(small.pad_crop, large.pad_crop, |step| step.probability, pad_crop_within)
            && nested(small.rotation, large.rotation, |step| step.probability, rotation_within)
            && nested(small.flip, large.flip, |step| step.probability, |_, _| true)
            && nested(
                small.vertical_flip,
                large.vertical_flip,
                |step| step.probability,
                |_, _| true,
            )
            && jitter_nested(small.jitter, large.jitter)
            && nested(small.grey, large.grey, |step| step.probability, |_, _| true)
            && nested(small.blur, large.blur, |step| step.probability, blur_within)
            && nested(small.solarise, large.solarise, |step| step.probability, solarise_within)
    }
}

/// Returns whether `large` can leave out a step, or apply it, whenever `small` can, in both views
/// of a pair.
fn nested<T>(
    small: Option<T>,
    large: Option<T>,
    probability: impl Fn(&T) -> Probability,
    parameters_within: impl Fn(&T, &T) -> bool,
) -> bool {
    let inside = small
        .as_ref()
        .zip(large.as_ref())
        .is_some_and(|(small, large)| parameters_within(small, large));
    (0..2).all(|view| {
        let likely =
            |step: &Option<T>| step.as_ref().map_or(0.0, |step| probability(step).of_view(view));
        let (small, large) = (likely(&small), likely(&large));
        (small == 1.0 || large < 1.0) && (small == 0.0 || large > 0.0 && inside)
    })
}

/// Tests jitter like [`nested`], except that any jitter can draw changes that have no effect, as if
/// it were left out.
fn jitter_nested(small: Option<Jitter>, large: Option<Jitter>) -> bool {
    let Some(small) = small else { return true };
    let inside = large.is_some_and(|large| jitter_within(&small, &large));
    (0..2).all(|view| {
        let large = large.map_or(0.0, |large| large.probability.of_view(view));
        small.probability.of_view(view) == 0.0 || large > 0.0 && inside
    })
}

fn inside([low, high]: [f64; 2], [least, most]: [f64; 2]) -> bool {
    least <= low && high <= most
}

/// The ratios must be equal, because the fallback box depends on their bounds.
fn crop_within(small: &Crop, large: &Crop) -> bool {
    inside(small.scale, large.scale) && small.ratio == large.ratio
}

fn pad_crop_within(small: &PadCrop, large: &PadCrop) -> bool {
    small.padding <= large.padding && small.fill == large.fill
}

fn rotation_within(small: &Rotation, large: &Rotation) -> bool {
    inside(small.degrees, large.degrees) && small.smooth == large.smooth
}

fn jitter_within(small: &Jitter, large: &Jitter) -> bool {
    let amounts = |jitter: &Jitter| {
        [jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue]
            .map(|amount| amount * jitter.strength)
    };
    amounts(small).iter().zip(amounts(large)).all(|(&small, large)| small <= large)
}

fn blur_within(small: &Blur, large: &Blur) -> bool {
    inside(small.sigma, large.sigma) && small.side == large.side && small.kernel == large.kernel
}

fn solarise_within(small: &Solarise, large: &Solarise) -> bool {
    small.threshold == large.threshold
}
