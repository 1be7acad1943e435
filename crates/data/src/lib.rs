//! Images for selfsame: readers, splits, the built-in `glyphs` and explicit downloads.
//!
//! [`load`] opens every kind of set that `--data` can name and returns a [`Dataset`]: 8-bit RGB
//! images of one size in three splits. JPEG, PNG, WebP, BMP, GIF, TIFF and PNM are recognised by
//! their first bytes, not by their names. If an image has a different size, its shorter side is
//! resized with antialiasing and its centre is cropped; images of the right size keep their bytes.
//! Grey images are replicated to three channels, 16-bit channels keep their upper byte, transparency
//! is dropped without blending, the first picture of several is read, and colour profiles are not
//! applied. Images are turned upright as their EXIF orientation says (or XMP, if there is none),
//! unless [`Exif::Ignore`] asks for torchvision's `ImageFolder`, which leaves them on their sides.
//! [`Split::facts`] has what is known of each file, and [`Dataset::notes`] sums it.
//!
//! Some files are not read, since decoders disagree about them or none reads them right: JPEGs that
//! are arithmetic-coded, lossless, hierarchical, of 12 bits, or CMYK without Adobe's segment; TIFFs
//! with palettes, of other than 1, 2, 4, 8 or 16 bits, signed or real, or compressed as JPEG. Such
//! files, and AVIF, HEIC and others, are named with what to do. `bench/decode.py` compares what is
//! read with Pillow.
//!
//! Beside this centre square, a split keeps the [`source`](Split::source) of each image, which crops
//! are drawn from: the whole image at up to [`LoadOptions::source_size`] pixels on its shorter side,
//! by default twice the image size. If no image is larger than the image size or other than square,
//! the squares are the sources and nothing else is kept.
//!
//! # Large images
//!
//! A JPEG whose shorter side is at least 5, 10 or 20 times the source size is decoded at a half, a
//! quarter or an eighth of its size, and only in the part that is kept. Both the source and the
//! centre square are made of these pixels, each in one step. For photographs,
//! the pixels then differ from those of a resized whole image by less than half a level of 255 on
//! average. This applies to baseline JPEGs in grey or YCbCr with one interleaved scan, as cameras
//! and most programs write them. All other files are decoded whole: other formats have no reduced
//! scale, and only a read to their end shows that nothing is damaged. Only the needed part of each
//! row is kept. `cargo run --release -p selfsame-data --example
//! decode` measures the difference.
//!
//! # Folders
//!
//! | layout | read as |
//! |---|---|
//! | `CLASS/…/image` | labelled by the first folder, divided 80/10/10 by seed |
//! | `image` | unlabelled, divided 80/10/10 by seed |
//! | `train/…`, `test/…` and any of the above below | the test part kept, a tenth of training held out for validation |
//! | also `val/…` | kept as validation; as test where there is no `test/` |
//! | `name.jpg` beside `name.cls` or `name.json` (WebDataset) | labelled by the text of the one, or by `label` in the other |
//! | `CLASS/train/image`, `CLASS/test/image` | labelled by the outer folders, divided by the inner ones |
//! | a folder of `.tar` | as one set; the name of each counts as a folder, unless it only numbers the archives |
//!
//! Splits are known by many names: `training` and `testing`, `seg_train` and `seg_test`, `train2017`
//! and `val2017`, `dev`, `eval`, `holdout`. Such names count only in company, since `train` may be a
//! class. What was read is said in [`Dataset::notes`], and what cannot be told is an error.
//!
//! [`LoadOptions::labels`] names a table of labels, which then counts in place of the folders, or
//! says by [`NO_LABELS`] that there are none. A `val_annotations.txt` beside images without class
//! folders, as in Tiny ImageNet, is read without asking.
//!
//! Hidden files and what systems leave behind (`Thumbs.db`, `__MACOSX`, `@eaDir`) are passed over.
//! Files with other endings are left alone, and [`Dataset::left_alone`] has them by ending and
//! folder. A class or split whose files are all left out or left alone is in [`Dataset::lost`].
//! Every image that cannot be used is named with its cause in [`Dataset::skipped`]: it is truncated or damaged, as
//! far as its format shows this, or larger than [`MAX_SIDE`], [`MAX_PIXELS`] or [`MAX_FILE_BYTES`],
//! which is checked before memory is allocated. Archives are never unpacked. The same files give
//! the same data set on every machine, for any number of threads.
//!
//! Only [`fetch`] downloads anything.

mod archive;
mod beside;
mod catalogue;
mod cifar;
mod dataset;
mod decode;
mod error;
mod facts;
mod fetch;
mod folder;
mod glyphs;
mod idx;
mod inner;
mod jpeg;
mod kinds;
mod leavings;
mod load;
mod orientation;
mod outline;
mod parts;
mod raster;
mod remote;
mod shards;
mod signature;
mod splits;
mod store;
mod table;
mod target;
mod tree;

pub use dataset::{Dataset, Split, SplitName};
pub use decode::{MAX_FILE_BYTES, MAX_IMAGE_SIZE, MAX_PIXELS, MAX_SIDE, decode_image};
pub use error::DataError;
pub use facts::{Exif, Facts, Format};
pub use fetch::{FetchError, FetchSummary, fetch, fetch_files};
pub use glyphs::{Factors, GLYPH_CLASSES, GLYPH_COUNTS, GLYPH_SIZE, glyph_factors, glyph_pixels};
pub use leavings::{LeftAlone, LostFolder, Skipped};
pub use load::{GLYPHS, LoadOptions, NO_LABELS, class_list, class_names, load};
pub use remote::{Digest, Member, REMOTE_SETS, RemoteFile, RemoteSet};
pub use selfsame_kernels::pixels::{Image, Numbered};
