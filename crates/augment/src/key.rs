use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// Purpose of a view.
///
/// Views for different purposes must be independent of each other: an encoder should not be
/// measured on the views that it was trained on, and a certificate should not count the views that
/// an evaluation has already used. Each purpose therefore draws in an epoch of its own. The epochs
/// of all purposes other than training count down from the largest epoch number, which no training
/// run reaches.
///
/// [`Purpose::Forecast`] is the only exception; its documentation gives the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Training, and the pictures that show what training sees.
    Training {
        /// The pass over the training set, counted from 0.
        epoch: u64,
    },
    /// The distances that a forecast computes.
    ///
    /// A forecast describes the views of training before there is an encoder to measure. It
    /// therefore draws the views of training's epoch 0.
    Forecast,
    /// The centres of the classes in an evaluation, which are means over views of training images.
    Centres,
    /// The alignment measured by an evaluation, over views of test images.
    ///
    /// This purpose is separate from [`Purpose::Centres`] because an image's number is its position
    /// in its split: image 3 of the test split must not share its crops with image 3 of the
    /// training split.
    Alignment,
    /// A certificate's measurements.
    ///
    /// This purpose is separate from the evaluation because both may use the test split, and a
    /// certificate's bounds hold for views that nothing has used before.
    Certificate,
}

impl Purpose {
    /// Returns the epoch that the views are drawn in.
    ///
    /// These numbers are part of every published result: a change here changes every view.
    const fn epoch(self) -> u64 {
        match self {
            Self::Training { epoch } => epoch,
            Self::Forecast => 0,
            Self::Centres => u64::MAX,
            Self::Alignment => u64::MAX - 1,
            Self::Certificate => u64::MAX - 2,
        }
    }
}

/// The key of a view: equal keys give equal views, whatever else happens.
///
/// A key is made by [`ViewKey::new`], so that every view has a [`Purpose`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ViewKey {
    /// The seed of the run.
    pub seed: u64,
    /// The image's number in its split.
    pub image: u64,
    /// The pass over the split, or the epoch reserved for the view's purpose.
    pub epoch: u64,
    /// Which view of the image in this pass: 0 and 1 for a pair.
    pub view: u32,
}

impl ViewKey {
    /// Makes the key of view number `view` of image number `image` under a run's `seed`.
    pub const fn new(purpose: Purpose, seed: u64, image: u64, view: u32) -> Self {
        Self { seed, image, epoch: purpose.epoch(), view }
    }

    /// Returns the random words of the view, from ChaCha8 with this key. Each step has its words at
    /// fixed positions, so that no step can shift the words of another. The words of the crop come
    /// last, because a crop takes as many words as it needs.
    pub(crate) fn words(&self) -> ([u64; 24], impl Iterator<Item = u64>) {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&self.image.to_le_bytes());
        seed[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        seed[24..28].copy_from_slice(&self.view.to_le_bytes());
        seed[28..].copy_from_slice(b"view");
        let mut generator = ChaCha8Rng::from_seed(seed);
        let steps = std::array::from_fn(|_| generator.next_u64());
        (steps, std::iter::repeat_with(move || generator.next_u64()))
    }
}
