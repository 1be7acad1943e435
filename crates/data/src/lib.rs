//! Images for selfsame: readers, splits, the built-in `glyphs` and explicit downloads.
//!
//! [`load`] opens everything that `--data` names and returns a [`Dataset`]: 8-bit RGB images of one size in three
//! splits. JPEG, PNG and WebP are told apart by their first bytes, not by their names; of images of another size the
//! shorter side is resized with antialiasing and the centre cropped; images of the right size keep their bytes. Grey
//! images are replicated to three channels, 16-bit channels keep their upper byte, transparency is dropped without
//! blending, and EXIF orientation and colour profiles are not applied, as torchvision's `ImageFolder` does. Only 16-bit
//! grey differs there: Pillow cuts it off at 255, which leaves it almost white.
//!
//! # Large images
//!
//! A JPEG whose shorter side is at least 5, 10 or 20 times the image size is decoded at a half, a
//! quarter or an eighth of its size, and only where the centre needs it. For photographs, the
//! pixels then differ from those of the whole image, resized, by less than half a level of 255 in
//! the mean. This holds for baseline JPEGs in grey or YCbCr and one interleaved scan, as cameras
//! and most programs write them. All others are decoded whole, and so are PNG and WebP, which know
//! no reduced scale and show only at their end that nothing is damaged; of a PNG, only what is
//! needed of each row is kept. `cargo run --release -p selfsame-data --example decode` measures it.
//!
//! # Folders
//!
//! | layout | read as |
//! |---|---|
//! | `CLASS/…/image` | labelled by the first folder, divided 80/10/10 by seed |
//! | `image` | unlabelled, divided 80/10/10 by seed |
//! | `train/…`, `test/…` and any of the above below | the test part kept, a tenth of training held out for validation |
//! | also `val/`, `valid/` or `validation/` | kept as validation; as test where there is no `test/` |
//!
//! Hidden files are passed over, files with other endings are counted in a note, and every image
//! that cannot be used is named with its cause in [`Dataset::skipped`]: truncated or damaged as far
//! as its format shows it, or larger than [`MAX_SIDE`], [`MAX_PIXELS`] or [`MAX_FILE_BYTES`], which
//! is checked before memory is taken. Archives are never unpacked. The same files give the same
//! data set on every machine, whatever the number of threads.
//!
//! Nothing is downloaded but by [`fetch`].

mod archive;
mod catalogue;
mod cifar;
mod dataset;
mod decode;
mod error;
mod fetch;
mod folder;
mod glyphs;
mod idx;
mod jpeg;
mod load;
mod outline;
mod remote;
mod splits;
mod store;
mod tree;

pub use catalogue::Skipped;
pub use dataset::{Dataset, Split, SplitName};
pub use decode::{MAX_FILE_BYTES, MAX_IMAGE_SIZE, MAX_PIXELS, MAX_SIDE, decode_image};
pub use error::DataError;
pub use fetch::{FetchError, FetchSummary, fetch, fetch_files};
pub use glyphs::{Factors, GLYPH_CLASSES, GLYPH_COUNTS, GLYPH_SIZE, glyph_factors, glyph_pixels};
pub use load::{LoadOptions, load};
pub use remote::{Digest, Member, REMOTE_SETS, RemoteFile, RemoteSet};
pub use selfsame_kernels::pixels::Image;
