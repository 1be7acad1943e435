//! Images as the records of a look name them.

use selfsame_report::Sprite;
use selfsame_report::look::Pictured;

use crate::Error;
use crate::all::All;
use crate::pictures;

/// Largest side of a picture in pixels.
const SIDE: u32 = 64;
const COLUMNS: u32 = 25;

/// Names images, and collects those whose pictures are shown.
pub struct Pictures<'a>(pictures::Pictures<'a>);

impl<'a> Pictures<'a> {
    pub fn new(all: &'a All<'a>) -> Self {
        Self(pictures::Pictures::new(all))
    }

    /// Names an image.
    pub fn name(&self, number: usize) -> Pictured {
        let all = self.0.all;
        Pictured {
            name: all.name(number).to_owned(),
            split: all.split(number).name().to_owned(),
            class: all.class(number).map(str::to_owned),
            tile: None,
        }
    }

    /// Names an image, and adds its picture.
    pub fn show(&mut self, number: usize) -> Pictured {
        Pictured { tile: Some(self.0.tile(number)), ..self.name(number) }
    }

    /// Packs the pictures of all images that are shown. Returns `None` if there are none.
    pub fn pack(&self) -> Result<Option<Sprite>, Error> {
        self.0.pack(SIDE, COLUMNS)
    }
}
