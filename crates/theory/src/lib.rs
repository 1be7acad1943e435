//! Generalisation bounds of contrastive self-supervised learning, as pure f64 functions.
