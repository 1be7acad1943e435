//! The images of all splits of a set as one.

use selfsame_data::{Dataset, Facts, Image, SplitName};
use selfsame_eval::equal_images;

/// The images of all splits, numbered from 0: training, validation, test.
pub(crate) struct All<'a> {
    pub dataset: &'a Dataset,
}

impl<'a> All<'a> {
    pub fn new(dataset: &'a Dataset) -> Self {
        Self { dataset }
    }

    pub fn len(&self) -> usize {
        SplitName::ALL.iter().map(|&name| self.dataset.split(name).len()).sum()
    }

    /// Returns the split of an image, and its index there.
    fn place(&self, mut number: usize) -> (SplitName, usize) {
        for name in SplitName::ALL {
            let len = self.dataset.split(name).len();
            if number < len {
                return (name, number);
            }
            number -= len;
        }
        panic!("there are no more images");
    }

    pub fn split(&self, number: usize) -> SplitName {
        self.place(number).0
    }

    pub fn image(&self, number: usize) -> Image<'a> {
        let (name, index) = self.place(number);
        self.dataset.split(name).image(index)
    }

    pub fn label(&self, number: usize) -> Option<u32> {
        let (name, index) = self.place(number);
        self.dataset.split(name).labels().map(|labels| labels[index])
    }

    /// Returns the name of an image's class.
    pub fn class(&self, number: usize) -> Option<&'a str> {
        self.label(number).map(|label| self.dataset.classes[label as usize].as_str())
    }

    /// Returns the groups of images with equal pixels.
    pub fn equal(&self) -> Vec<Vec<usize>> {
        let numbers = |group: Vec<_>| group.into_iter().map(|place| self.number(place)).collect();
        equal_images(self.dataset).into_iter().map(numbers).collect()
    }

    /// Returns whether some of these images are of different splits.
    pub fn crosses(&self, images: &[usize]) -> bool {
        images.iter().any(|&image| self.split(image) != self.split(images[0]))
    }

    pub fn facts(&self, number: usize) -> &'a Facts {
        let (name, index) = self.place(number);
        self.dataset.split(name).facts(index)
    }

    /// Returns the number of an image of a split.
    pub fn number(&self, (split, index): (SplitName, usize)) -> usize {
        let before = SplitName::ALL.into_iter().take_while(|name| *name != split);
        before.map(|name| self.dataset.split(name).len()).sum::<usize>() + index
    }

    pub fn name(&self, number: usize) -> &'a str {
        let (name, index) = self.place(number);
        self.dataset.split(name).name(index)
    }
}
