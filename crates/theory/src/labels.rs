use crate::Error;

/// The class of each image. Every class has images, and its mass p_k is its share of all images.
#[derive(Debug, Clone, PartialEq)]
pub struct Labels {
    of_image: Vec<u32>,
    counts: Vec<usize>,
}

impl Labels {
    /// Checks that there is one label per image, and that each is below `classes`.
    ///
    /// # Errors
    /// [`Error::Classes`], [`Error::Label`] naming the first wrong image, [`Error::EmptyClass`].
    ///
    /// ```
    /// use selfsame_theory::Labels;
    ///
    /// let labels = Labels::new(vec![0, 1, 1, 0, 1], 2)?;
    /// assert_eq!(labels.masses(), [0.4, 0.6]);
    /// # Ok::<(), selfsame_theory::Error>(())
    /// ```
    pub fn new(of_image: Vec<u32>, classes: usize) -> Result<Self, Error> {
        if classes == 0 || classes > of_image.len() {
            return Err(Error::Classes { classes, images: of_image.len() });
        }
        let mut counts = vec![0; classes];
        for (image, &label) in of_image.iter().enumerate() {
            *counts.get_mut(label as usize).ok_or(Error::Label { image, label, classes })? += 1;
        }
        match counts.iter().position(|&count| count == 0) {
            Some(class) => Err(Error::EmptyClass { class }),
            None => Ok(Self { of_image, counts }),
        }
    }

    /// Returns the label of each image.
    pub fn of_image(&self) -> &[u32] {
        &self.of_image
    }

    /// Returns K, the number of classes.
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// Returns the number of images in each class.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Returns the masses p_k: the number of images in each class divided by the number of all
    /// images.
    pub fn masses(&self) -> Vec<f64> {
        self.counts.iter().map(|&count| count as f64 / self.of_image.len() as f64).collect()
    }

    /// Splits `per_image` into the entries of each class, in the order of the images.
    ///
    /// # Errors
    /// [`Error::Count`] unless there is one entry per image.
    pub fn split(&self, per_image: &[f64]) -> Result<Vec<Vec<f64>>, Error> {
        self.check_images(per_image.len())?;
        let mut classes: Vec<Vec<f64>> =
            self.counts.iter().map(|&count| Vec::with_capacity(count)).collect();
        for (&label, &value) in self.of_image.iter().zip(per_image) {
            classes[label as usize].push(value);
        }
        Ok(classes)
    }

    /// Refuses a number of images that differs from the number of labels.
    pub(crate) fn check_images(&self, images: usize) -> Result<(), Error> {
        if images == self.of_image.len() {
            Ok(())
        } else {
            Err(Error::Count { what: "labels", given: self.of_image.len(), expected: images })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misuse_is_refused() {
        assert_eq!(Labels::new(vec![], 0), Err(Error::Classes { classes: 0, images: 0 }));
        assert_eq!(
            Labels::new(vec![0], usize::MAX),
            Err(Error::Classes { classes: usize::MAX, images: 1 })
        );
        assert_eq!(
            Labels::new(vec![0, 2], 2),
            Err(Error::Label { image: 1, label: 2, classes: 2 })
        );
        assert_eq!(Labels::new(vec![0, 0], 2), Err(Error::EmptyClass { class: 1 }));
        let labels = Labels::new(vec![1, 0, 1], 2).unwrap();
        assert_eq!(labels.split(&[1.0, 2.0, 3.0]), Ok(vec![vec![2.0], vec![1.0, 3.0]]));
        assert_eq!(
            labels.split(&[1.0]),
            Err(Error::Count { what: "labels", given: 3, expected: 1 })
        );
    }
}
