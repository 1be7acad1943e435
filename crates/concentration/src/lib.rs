//! Augmented distances and the (sigma, delta) concentration of an augmentation.
