//! Names of images, and the pictures of those that a page shows.

use std::collections::HashMap;

use selfsame_data::Image;
use selfsame_eval::shrink;
use selfsame_report::Sprite;
use selfsame_report::look::Pictured;

use crate::Error;
use crate::inspect::All;

/// Largest side of a picture in pixels.
const SIDE: u32 = 64;
/// Pictures of up to this side are stored without loss: there is little to see in them otherwise.
const LOSSLESS_UP_TO: u32 = 32;
const COLUMNS: u32 = 25;

/// Names images, and collects those whose pictures are shown.
pub struct Pictures<'a> {
    all: &'a All<'a>,
    tiles: HashMap<usize, usize>,
    images: Vec<usize>,
}

impl<'a> Pictures<'a> {
    pub fn new(all: &'a All<'a>) -> Self {
        Self { all, tiles: HashMap::new(), images: Vec::new() }
    }

    /// Names an image.
    pub fn name(&self, number: usize) -> Pictured {
        let all = self.all;
        let class = all.label(number).map(|label| all.dataset.classes[label as usize].clone());
        let split = all.split(number).name().to_owned();
        Pictured { name: all.name(number).to_owned(), split, class, tile: None }
    }

    /// Names an image, and adds its picture.
    pub fn show(&mut self, number: usize) -> Pictured {
        let tile = *self.tiles.entry(number).or_insert_with(|| {
            self.images.push(number);
            self.images.len() - 1
        });
        Pictured { tile: Some(tile), ..self.name(number) }
    }

    /// Packs the pictures of all images that are shown. Returns `None` if there are none.
    pub fn pack(&self) -> Result<Option<Sprite>, Error> {
        if self.images.is_empty() {
            return Ok(None);
        }
        let images: Vec<Image<'_>> = self.images.iter().map(|&n| self.all.image(n)).collect();
        let side = self.all.dataset.image_size.min(SIDE);
        let pictures = shrink(&images, SIDE);
        let pictures: Vec<&[u8]> = pictures.iter().map(|picture| &**picture).collect();
        let pack = if side <= LOSSLESS_UP_TO { Sprite::lossless } else { Sprite::thumbnails };
        Ok(Some(pack(side, side, &pictures, COLUMNS)?))
    }
}
