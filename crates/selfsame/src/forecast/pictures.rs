//! Pictures for a forecast's page: all images, identical images, and the nearest views.

use std::collections::HashMap;

use selfsame_augment::{Image, Policy, Purpose, ViewSets};
use selfsame_eval::shrink;
use selfsame_report::Sprite;
use selfsame_report::forecast::Closest;

use super::measure::PolicyMeasured;
use super::ranking::Subject;
use crate::Error;

/// Maximum side of a picture, in pixels.
const SIDE: u32 = 48;
/// Number of pictures per row on the sheet of all images.
const COLUMNS: u32 = 25;

impl Subject<'_> {
    /// Returns the measured image with the given number.
    fn image(&self, image: usize) -> Image<'_> {
        self.dataset.train.image(self.probe.images[image].index)
    }

    /// Returns the groups of images with the same pixels.
    pub fn duplicates(&self) -> Vec<Vec<usize>> {
        let mut groups: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for image in 0..self.probe.images.len() {
            groups.entry(self.image(image).pixels()).or_default().push(image);
        }
        let mut groups: Vec<Vec<usize>> =
            groups.into_values().filter(|group| group.len() > 1).collect();
        groups.sort();
        groups
    }

    /// Returns the nearest pair of different images of each class, with its pictures.
    pub fn closest(
        &self,
        policy: &Policy,
        measured: &PolicyMeasured,
    ) -> Result<Vec<Closest>, Error> {
        let distances = &measured.distances;
        let mut closest = Vec::new();
        for class in self.members() {
            let pairs = class
                .iter()
                .enumerate()
                .flat_map(|(at, &i)| class[at + 1..].iter().map(move |&j| (i, j)));
            let pairs = pairs.filter(|&(i, j)| self.image(i).pixels() != self.image(j).pixels());
            let Some((i, j)) = pairs.min_by_key(|&(i, j)| distances.key(i, j)) else { continue };
            let numbers = distances.views(i, j);
            // If the image itself is among its views, it has number 0 and the drawn views follow.
            let first = u32::from(self.settings.original);
            let views = numbers.map(|number| u32::from(number).checked_sub(first));
            let tiles = [
                self.picture(policy, i, None),
                self.picture(policy, i, views[0]),
                self.picture(policy, j, views[1]),
                self.picture(policy, j, None),
            ];
            let side = self.dataset.image_size;
            let tiles = tiles.each_ref().map(|pixels| Image::square(side, pixels));
            closest.push(Closest {
                images: [i, j],
                views,
                delta: distances.distance(i, j),
                picture: self.sprite(&tiles, 4)?,
            });
        }
        Ok(closest)
    }

    /// Returns the pixels of a view of an image, or of the image itself.
    fn picture(&self, policy: &Policy, image: usize, view: Option<u32>) -> Vec<u8> {
        let Some(view) = view else { return self.image(image).pixels().to_vec() };
        let sets = ViewSets {
            policy,
            purpose: Purpose::Forecast,
            seed: self.settings.seed,
            views: view..view + 1,
            original: false,
        };
        let numbered = self.dataset.train.numbered(&[self.probe.images[image].index]);
        sets.draw(&numbered, self.dataset.image_size)
    }

    fn sprite(&self, images: &[Image<'_>], columns: u32) -> Result<Sprite, Error> {
        let shrunk = shrink(images, SIDE);
        let side = self.dataset.image_size.min(SIDE);
        let shrunk: Vec<&[u8]> = shrunk.iter().map(|image| &**image).collect();
        Ok(Sprite::thumbnails(side, side, &shrunk, columns)?)
    }

    /// Returns a sheet with small pictures of all images.
    pub fn thumbs(&self) -> Result<Sprite, Error> {
        let images: Vec<Image<'_>> =
            (0..self.probe.images.len()).map(|image| self.image(image)).collect();
        self.sprite(&images, COLUMNS)
    }
}
