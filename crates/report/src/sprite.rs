//! Many small images in one picture, so that a page loads one picture instead of hundreds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Size of the largest picture, in bytes of its pixels. A page with a larger one would open slowly.
const MAX_BYTES: u64 = 64 << 20;
/// JPEG quality of thumbnails, out of 100. No loss is visible at the size at which they are shown.
const QUALITY: u8 = 85;

/// A grid of tiles of equal size in one PNG or JPEG, filled row by row. In JSON the picture is
/// base64.
///
/// On the page, a CIFAR photograph of 32 × 32 pixels takes about 3 KB by [`Sprite::lossless`] and
/// half a KB by [`Sprite::thumbnails`]. Larger images should be scaled down to thumbnails first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sprite {
    /// Number of tiles per row.
    pub columns: u32,
    /// Number of tiles in total; the last row may be short.
    pub tiles: u32,
    /// Width of a tile in pixels.
    pub width: u32,
    /// Height of a tile in pixels.
    pub height: u32,
    /// The picture, as the bytes of a PNG or JPEG file.
    #[serde(serialize_with = "encode", deserialize_with = "decode")]
    pub picture: Vec<u8>,
}

/// Reason why images cannot be packed, or why a packed picture is inconsistent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpriteError {
    /// There is no image, no column, or no pixel.
    #[error(
        "a sprite needs at least one image, one column and one pixel: {tiles} images of \
         {width}x{height} in {columns} columns"
    )]
    Empty {
        /// Number of images given.
        tiles: usize,
        /// Width of a tile in pixels.
        width: u32,
        /// Height of a tile in pixels.
        height: u32,
        /// Number of tiles per row.
        columns: u32,
    },
    /// The length of an image is not width × height × 3 bytes.
    #[error("image {index} has {found} bytes where {width}x{height} RGB needs {expected}")]
    Bytes {
        /// Position of the image, from 0.
        index: usize,
        /// Length of the image in bytes.
        found: usize,
        /// Expected length in bytes.
        expected: usize,
        /// Width of a tile in pixels.
        width: u32,
        /// Height of a tile in pixels.
        height: u32,
    },
    /// The picture would be too large for a page.
    #[error(
        "{tiles} images of {width}x{height} are too many for one page: take fewer or smaller ones"
    )]
    TooLarge {
        /// Number of images given.
        tiles: usize,
        /// Width of a tile in pixels.
        width: u32,
        /// Height of a tile in pixels.
        height: u32,
    },
    /// The picture could not be encoded.
    #[error("the sprite cannot be encoded: {0}")]
    Encode(String),
    /// The bytes of the picture are neither PNG nor JPEG.
    #[error("the sprite's picture is neither PNG nor JPEG")]
    NoPicture,
}

impl Sprite {
    /// Packs RGB images as PNG, for images that must be shown exactly. Each has `width` × `height`
    /// pixels and 3 bytes per pixel.
    ///
    /// # Errors
    /// There is no image or no column, an image has a different size, or the picture is too large
    /// for a page.
    ///
    /// ```
    /// let (red, blue) = ([255, 0, 0], [0, 0, 255]);
    /// let sprite = selfsame_report::Sprite::lossless(1, 1, &[&red, &blue], 2)?;
    /// assert_eq!((sprite.tiles, sprite.columns), (2, 2));
    /// # Ok::<(), selfsame_report::SpriteError>(())
    /// ```
    pub fn lossless(
        width: u32,
        height: u32,
        images: &[&[u8]],
        columns: u32,
    ) -> Result<Self, SpriteError> {
        let sheet = Sheet::of(width, height, images, columns)?;
        let mut picture = Vec::new();
        let mut encoder = png::Encoder::new(&mut picture, sheet.width, sheet.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&sheet.pixels)?;
            writer.finish()
        });
        written.map_err(|error| SpriteError::Encode(error.to_string()))?;
        Ok(Self { columns: sheet.columns, tiles: images.len() as u32, width, height, picture })
    }

    /// Packs images like [`Sprite::lossless`], but as JPEG: for hundreds of images that are only
    /// glanced at.
    ///
    /// # Errors
    /// The errors of [`Sprite::lossless`]; also if a side of the sheet exceeds 65,535 pixels.
    pub fn thumbnails(
        width: u32,
        height: u32,
        images: &[&[u8]],
        columns: u32,
    ) -> Result<Self, SpriteError> {
        let sheet = Sheet::of(width, height, images, columns)?;
        let (Ok(across), Ok(down)) = (u16::try_from(sheet.width), u16::try_from(sheet.height))
        else {
            return Err(SpriteError::TooLarge { tiles: images.len(), width, height });
        };
        let mut picture = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut picture, QUALITY);
        // Store colour at full resolution; otherwise tiles would bleed into their neighbours.
        encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_1_1);
        encoder.set_optimized_huffman_tables(true);
        let written = encoder.encode(&sheet.pixels, across, down, jpeg_encoder::ColorType::Rgb);
        written.map_err(|error| SpriteError::Encode(error.to_string()))?;
        Ok(Self { columns: sheet.columns, tiles: images.len() as u32, width, height, picture })
    }

    /// Returns the number of rows of tiles; the last row may be short.
    pub fn rows(&self) -> u32 {
        self.tiles.div_ceil(self.columns.max(1))
    }

    /// Checks a sprite that was read from a file.
    pub(crate) fn check(&self) -> Result<(), SpriteError> {
        let Self { columns, tiles, width, height, .. } = *self;
        if tiles == 0 || width == 0 || height == 0 || columns == 0 {
            return Err(SpriteError::Empty { tiles: tiles as usize, width, height, columns });
        }
        self.media_type().map(|_| ()).ok_or(SpriteError::NoPicture)
    }

    fn media_type(&self) -> Option<&'static str> {
        match self.picture.as_slice() {
            [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
            [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
            _ => None,
        }
    }

    /// Returns the picture as a `data:` address.
    pub(crate) fn data_uri(&self) -> String {
        format!(
            "data:{};base64,{}",
            self.media_type().unwrap_or("image/png"),
            BASE64.encode(&self.picture)
        )
    }
}

/// The RGB pixels of all tiles.
struct Sheet {
    width: u32,
    height: u32,
    columns: u32,
    pixels: Vec<u8>,
}

impl Sheet {
    fn of(width: u32, height: u32, images: &[&[u8]], columns: u32) -> Result<Self, SpriteError> {
        let tiles = images.len();
        if tiles == 0 || width == 0 || height == 0 || columns == 0 {
            return Err(SpriteError::Empty { tiles, width, height, columns });
        }
        let columns = u64::from(columns).min(tiles as u64);
        let sheet_width = columns.checked_mul(width.into());
        let sheet_height = (tiles as u64).div_ceil(columns).checked_mul(height.into());
        let bytes =
            sheet_width.zip(sheet_height).and_then(|(w, h)| w.checked_mul(h)?.checked_mul(3));
        let (Some(sheet_width), Some(sheet_height), Some(..=MAX_BYTES)) =
            (sheet_width, sheet_height, bytes)
        else {
            return Err(SpriteError::TooLarge { tiles, width, height });
        };

        let (tile_row, sheet_row) = (width as usize * 3, sheet_width as usize * 3);
        let expected = tile_row * height as usize;
        let mut pixels = vec![0; sheet_row * sheet_height as usize];
        for (index, image) in images.iter().enumerate() {
            if image.len() != expected {
                return Err(SpriteError::Bytes {
                    index,
                    found: image.len(),
                    expected,
                    width,
                    height,
                });
            }
            let (row, column) = (index / columns as usize, index % columns as usize);
            for (y, line) in image.chunks_exact(tile_row).enumerate() {
                let at = (row * height as usize + y) * sheet_row + column * tile_row;
                pixels[at..at + tile_row].copy_from_slice(line);
            }
        }
        // Both dimensions fit: their product is at most MAX_BYTES.
        Ok(Self {
            width: sheet_width as u32,
            height: sheet_height as u32,
            columns: columns as u32,
            pixels,
        })
    }
}

fn encode<S: Serializer>(picture: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(picture))
}

fn decode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    BASE64.decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pixels(sprite: &Sprite) -> Vec<u8> {
        let mut reader =
            png::Decoder::new(std::io::Cursor::new(&sprite.picture)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        pixels
    }

    proptest! {
        #[test]
        fn every_pixel_lands_where_it_should(
            width in 1u32..6, height in 1u32..6, columns in 1u32..5, tiles in 1usize..9, seed: u8,
        ) {
            let images: Vec<Vec<u8>> = (0..tiles)
                .map(|i| (0..width * height * 3).map(|k| seed ^ (i as u8 * 31) ^ (k as u8)).collect())
                .collect();
            let slices: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
            let sprite = Sprite::lossless(width, height, &slices, columns).unwrap();
            sprite.check().unwrap();
            let sheet = pixels(&sprite);
            let columns = sprite.columns as usize;
            let (w, h) = (width as usize, height as usize);
            for (i, image) in images.iter().enumerate() {
                for y in 0..h { for x in 0..w { for c in 0..3 {
                    let at = (((i / columns) * h + y) * columns * w + (i % columns) * w + x) * 3 + c;
                    prop_assert_eq!(sheet[at], image[(y * w + x) * 3 + c]);
                }}}
            }
            let again: Sprite = serde_json::from_str(&serde_json::to_string(&sprite).unwrap()).unwrap();
            prop_assert_eq!(again, sprite);
        }
    }

    #[test]
    fn refusals() {
        assert!(matches!(Sprite::lossless(1, 1, &[], 1), Err(SpriteError::Empty { tiles: 0, .. })));
        assert!(matches!(
            Sprite::lossless(0, 1, &[&[]], 1),
            Err(SpriteError::Empty { width: 0, .. })
        ));
        assert!(matches!(
            Sprite::lossless(1, 1, &[&[1, 2, 3]], 0),
            Err(SpriteError::Empty { columns: 0, .. })
        ));
        assert!(matches!(
            Sprite::lossless(1, 1, &[&[1, 2, 3], &[1, 2]], 1),
            Err(SpriteError::Bytes { index: 1, found: 2, expected: 3, .. })
        ));
        assert!(matches!(
            Sprite::lossless(u32::MAX, u32::MAX, &[&[]], 9),
            Err(SpriteError::TooLarge { .. })
        ));

        assert!(matches!(
            Sprite::thumbnails(1, 70_000, &[&[0; 210_000]], 1),
            Err(SpriteError::TooLarge { height: 70_000, .. })
        ));

        let good = Sprite::lossless(2, 2, &[&[7; 12], &[9; 12]], 2).unwrap();
        assert_eq!(
            Sprite { tiles: 0, ..good.clone() }.check().unwrap_err().to_string().split(':').next(),
            Some("a sprite needs at least one image, one column and one pixel")
        );
        assert_eq!(
            Sprite { picture: b"<svg>".into(), ..good }.check(),
            Err(SpriteError::NoPicture)
        );
    }

    #[test]
    fn thumbnails_are_a_jpeg_of_the_sheets_size() {
        let (dark, bright) = ([10; 48], [240; 48]);
        let sprite = Sprite::thumbnails(4, 4, &[&dark, &bright, &dark], 2).unwrap();
        sprite.check().unwrap();
        assert!(sprite.data_uri().starts_with("data:image/jpeg;base64,/9j/"));
        // The frame header: marker ffc0, length, 8 bits per sample, height, width.
        let frame = sprite.picture.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        assert_eq!(sprite.picture[frame + 4..frame + 9], [8, 0, 8, 0, 8]);
    }
}
