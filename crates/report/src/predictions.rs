//! The record of what a run's encoder predicts for each test image (`predictions.json`).
//!
//! An evaluation says how many images an encoder gets right. This record says which, so that two
//! runs can be compared image by image.

use serde::{Deserialize, Serialize};

/// Name of the file that holds [`Predictions`].
pub const PREDICTIONS_FILE: &str = "predictions.json";

/// The classes that a trained encoder predicts for the test images. (`predictions.json`)
///
/// Each list has an entry for each image that the accuracies are over, in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Predictions {
    /// Number of training steps that produced the weights.
    pub step: Option<u64>,
    /// SHA-256 over the labels and pixels of the test split.
    pub digest: String,
    /// Side of the square images, in pixels.
    pub image_size: u32,
    /// Largest shorter side of the images that crops are drawn from, in pixels. `None` if crops are
    /// drawn from the images themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_size: Option<u32>,
    /// Names of the classes, in the order of the labels.
    pub classes: Vec<String>,
    /// Names of the images.
    pub images: Vec<String>,
    /// Classes of the images.
    pub labels: Vec<u32>,
    /// Classes predicted by nearest neighbours.
    pub knn: Vec<u32>,
    /// Classes predicted by the linear probe.
    pub linear: Vec<u32>,
    /// Classes predicted by the nearest centre.
    pub centre: Vec<u32>,
}

impl Predictions {
    /// Returns the field whose list is not as long as the list of images, or that holds an unknown
    /// class. Returns `None` if the record is sound.
    pub(crate) fn damaged(&self) -> Option<&'static str> {
        let lists = [
            ("labels", &self.labels),
            ("knn", &self.knn),
            ("linear", &self.linear),
            ("centre", &self.centre),
        ];
        let sound = |list: &[u32]| {
            list.len() == self.images.len()
                && list.iter().all(|&class| (class as usize) < self.classes.len())
        };
        lists.into_iter().find(|(_, list)| !sound(list)).map(|(name, _)| name)
    }

    /// Returns whether two records are of the same images.
    ///
    /// They are if names, classes and pixels are the same. Where images were brought to different
    /// sizes, their pixels cannot be compared, and names and classes decide.
    pub fn same_images(&self, other: &Self) -> bool {
        fn classes(of: &Predictions) -> impl Iterator<Item = Option<&String>> {
            of.labels.iter().map(|&label| of.classes.get(label as usize))
        }
        let sizes = |of: &Self| (of.image_size, of.source_size);
        self.images.len() == other.images.len()
            && (sizes(self) != sizes(other) || self.digest == other.digest)
            && self.images == other.images
            && classes(self).eq(classes(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Predictions {
        Predictions {
            digest: "d".into(),
            image_size: 32,
            classes: ["a", "b"].map(String::from).into(),
            images: ["1", "2"].map(String::from).into(),
            labels: vec![0, 1],
            knn: vec![0, 0],
            linear: vec![1, 1],
            centre: vec![0, 1],
            ..Predictions::default()
        }
    }

    #[test]
    fn images_are_the_same_by_pixels_or_else_by_name_and_class() {
        let first = predictions();
        let change = |change: &dyn Fn(&mut Predictions)| {
            let mut other = predictions();
            change(&mut other);
            first.same_images(&other)
        };
        assert!(change(&|_| ()) && change(&|other| other.knn = vec![1, 1]));
        assert!(!change(&|other| other.digest = "e".into()));
        assert!(change(&|other| (other.digest, other.image_size) = ("e".into(), 64)));
        assert!(!change(&|other| other.images[0] = "3".into()));
        assert!(!change(&|other| other.labels[0] = 1));
        // The same classes in another order.
        assert!(change(&|other| {
            other.classes.reverse();
            other.labels.reverse();
        }));
    }

    #[test]
    fn lists_of_another_length_and_unknown_classes_are_damage() {
        assert_eq!(predictions().damaged(), None);
        assert_eq!(Predictions { knn: vec![0], ..predictions() }.damaged(), Some("knn"));
        assert_eq!(Predictions { centre: vec![0, 2], ..predictions() }.damaged(), Some("centre"));
    }
}
