//! Pictures of images for a page, each once.

use std::collections::HashMap;

use selfsame_data::Image;
use selfsame_eval::shrink;
use selfsame_report::Sprite;

use crate::Error;
use crate::all::All;

/// Pictures of up to this side are stored without loss: there is little to see in them otherwise.
const LOSSLESS_UP_TO: u32 = 32;

/// Collects the images whose pictures are shown.
pub(crate) struct Pictures<'a> {
    pub all: &'a All<'a>,
    tiles: HashMap<usize, usize>,
    images: Vec<usize>,
}

impl<'a> Pictures<'a> {
    pub fn new(all: &'a All<'a>) -> Self {
        Self { all, tiles: HashMap::new(), images: Vec::new() }
    }

    /// Adds the picture of an image, if it is new. Returns its tile.
    pub fn tile(&mut self, number: usize) -> usize {
        *self.tiles.entry(number).or_insert_with(|| {
            self.images.push(number);
            self.images.len() - 1
        })
    }

    /// Packs the pictures, of at most `side` pixels a side, into a sheet. Returns `None` if there
    /// are none.
    pub fn pack(&self, side: u32, columns: u32) -> Result<Option<Sprite>, Error> {
        if self.images.is_empty() {
            return Ok(None);
        }
        let images: Vec<Image<'_>> = self.images.iter().map(|&n| self.all.image(n)).collect();
        let pictures = shrink(&images, side);
        let pictures: Vec<&[u8]> = pictures.iter().map(|picture| &**picture).collect();
        let side = self.all.dataset.image_size.min(side);
        let pack = if side <= LOSSLESS_UP_TO { Sprite::lossless } else { Sprite::thumbnails };
        Ok(Some(pack(side, side, &pictures, columns)?))
    }
}
