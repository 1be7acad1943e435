//! Shows what augmentation policies do to images, as a gallery of views.

use rayon::prelude::*;
use selfsame_augment::{CropBox, Draw, Image, Numbered, Policy, Purpose, Scratch, ViewKey};
use selfsame_data::{Dataset, MAX_IMAGE_SIZE, Split};
use selfsame_eval::{sample, shrink};
use selfsame_report::gallery::{Gallery, Original, PolicyViews, View};
use selfsame_report::record::Skipped;
use selfsame_report::{Sprite, SpriteError, render_gallery};
use serde::Serialize;

use crate::images::{check, lost, note_set};
use crate::{Error, Progress};

mod words;

/// Maximum side of a picture on the page, in pixels. It keeps a page of photographs below 2 MB.
const PICTURE_SIDE: u32 = 96;
/// Maximum number of views on a page.
const MAX_VIEWS: usize = 2000;

/// Options of [`views`].
#[derive(Debug, Clone)]
pub struct ViewsOptions {
    /// Number of images of the training split, chosen at random; at least 1.
    pub images: usize,
    /// Number of views per image and policy; at least 1.
    pub views: usize,
    /// Side of the views in pixels. By default, the views are as large as the images.
    pub size: Option<u32>,
    /// Seed of the views.
    pub seed: u64,
    /// The command, word by word, that makes the page again; may be empty.
    pub command: Vec<String>,
}

impl Default for ViewsOptions {
    fn default() -> Self {
        Self { images: 8, views: 6, size: None, seed: 0, command: Vec::new() }
    }
}

impl ViewsOptions {
    /// Refuses options that make no sense for this number of policies, whatever the images.
    /// [`views`] makes the same check; a caller that has to read many images can make the check
    /// first.
    ///
    /// # Errors
    /// [`Error::Option`] or [`Error::CrowdedPage`].
    pub fn check(&self, policies: usize) -> Result<(), Error> {
        for (name, number) in [("images", self.images), ("views", self.views)] {
            if number == 0 {
                let cause = "nothing would be left to see; at least 1 is needed";
                return Err(Error::option(name, number, cause));
            }
        }
        let count = self.images.saturating_mul(self.views).saturating_mul(policies);
        if count > MAX_VIEWS {
            return Err(Error::CrowdedPage { views: count, most: MAX_VIEWS });
        }
        match self.size {
            Some(size) if !(1..=MAX_IMAGE_SIZE).contains(&size) => {
                Err(Error::option("size", size, format!("not between 1 and {MAX_IMAGE_SIZE}")))
            }
            _ => Ok(()),
        }
    }
}

/// A few images and the views that each policy draws of them.
#[derive(Debug, Clone, Serialize)]
pub struct ViewsRecord {
    /// Name of the data set.
    pub dataset: String,
    /// Side of the images in pixels.
    pub image_size: u32,
    /// Largest shorter side of the sources that crops are drawn from, in pixels. `None` if crops
    /// are drawn from the images themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_size: Option<u32>,
    /// Side of the views in pixels.
    pub size: u32,
    /// Folders of classes or splits that have lost all of their images.
    pub lost: Vec<Skipped>,
    /// Remarks about the set: how it was divided and what was left alone.
    pub notes: Vec<String>,
    /// The policies, each with views of the same images under the same keys.
    pub policies: Vec<DrawnPolicy>,
    /// The pictures and words of the page.
    #[serde(skip)]
    pub gallery: Gallery,
}

impl ViewsRecord {
    /// Renders the page as HTML that needs no other file.
    pub fn page(&self) -> String {
        render_gallery(&self.gallery)
    }
}

/// A policy and the views that it draws.
#[derive(Debug, Clone, Serialize)]
pub struct DrawnPolicy {
    /// Name of the policy.
    pub augment: String,
    /// The policy.
    pub policy: Policy,
    /// The policy's views, image by image.
    pub images: Vec<DrawnImage>,
}

/// The views of one image.
#[derive(Debug, Clone, Serialize)]
pub struct DrawnImage {
    /// The image's name in the data set.
    pub name: String,
    /// The image's views.
    pub views: Vec<DrawnView>,
}

/// A view, given by the numbers that reproduce it: `policy.draw(key, …)` returns the draw, and
/// `draw.apply(…)` on [`draw.origin(…)`](Draw::origin) returns the view's pixels.
#[derive(Debug, Clone, Serialize)]
pub struct DrawnView {
    /// The key of the view's random numbers.
    pub key: ViewKey,
    /// The random choices of the view.
    pub draw: Draw,
}

/// Shows what named policies do to a few training images of `dataset`. The views are the first that
/// training would see.
///
/// # Errors
/// If options make no sense; see [`ViewsOptions::check`]. If the splits of `dataset` contradict each
/// other.
///
/// ```
/// use selfsame::data::LoadOptions;
/// use selfsame::{ViewsOptions, views};
///
/// let glyphs = LoadOptions { limit: Some(40), ..LoadOptions::default() };
/// let glyphs = selfsame::load("glyphs", &glyphs, &mut ())?;
/// let policies = [("simclr".to_owned(), "simclr".parse().unwrap())];
///
/// let record = views(&glyphs, &policies, &ViewsOptions::default(), &mut ())?;
/// let first = &record.policies[0].images[0].views[0];
/// println!("{}", first.draw); // for example: crop 21×17 at (5, 9), flip, blur 1.000
/// assert!(record.page().starts_with("<!DOCTYPE html>"));
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn views(
    dataset: &Dataset,
    policies: &[(String, Policy)],
    options: &ViewsOptions,
    progress: &mut dyn Progress,
) -> Result<ViewsRecord, Error> {
    options.check(policies.len())?;
    check(dataset)?;
    note_set(dataset, progress);
    let split = &dataset.train;
    if split.len() < options.images {
        let (name, images) = (&dataset.name, split.len());
        progress.note(&format!("{name} has no more than {images} training images"));
    }
    let chosen = sample(split.len(), options.images);
    let size = options.size.unwrap_or(dataset.image_size);

    let mut record = ViewsRecord {
        dataset: dataset.name.clone(),
        image_size: dataset.image_size,
        source_size: dataset.larger_source(),
        size,
        lost: lost(dataset),
        notes: dataset.notes.clone(),
        policies: Vec::with_capacity(policies.len()),
        gallery: Gallery {
            selfsame: env!("CARGO_PKG_VERSION").into(),
            command: options.command.clone(),
            dataset: dataset.name.clone(),
            seed: options.seed,
            side: size,
            lost: lost(dataset),
            notes: dataset.notes.clone(),
            images: originals(dataset, &chosen)?,
            policies: Vec::with_capacity(policies.len()),
        },
    };
    for (name, policy) in policies {
        let drawn = draw(policy, split, &chosen, options.views, options.seed, size)?;
        let shown = drawn
            .iter()
            .map(|drawn| shown(drawn, policy, split, size))
            .collect::<Result<Vec<View>, _>>()?;
        record.gallery.policies.push(PolicyViews {
            name: name.clone(),
            toml: policy.to_toml(),
            steps: words::steps(policy.config(), size),
            views: shown.chunks(options.views).map(<[View]>::to_vec).collect(),
        });
        let images = chosen.iter().zip(drawn.chunks(options.views));
        let images = images.map(|(&image, drawn)| DrawnImage {
            name: split.name(image).to_owned(),
            views: drawn.iter().map(|drawn| drawn.view.clone()).collect(),
        });
        record.policies.push(DrawnPolicy {
            augment: name.clone(),
            policy: *policy,
            images: images.collect(),
        });
    }
    Ok(record)
}

/// A view and its picture, a square with side [`picture_side`].
struct Drawn {
    view: DrawnView,
    picture: Vec<u8>,
}

/// Returns the side of the picture of an image or view with side `size`.
fn picture_side(size: u32) -> u32 {
    size.min(PICTURE_SIDE)
}

/// Draws the first `views` views of each image in the first epoch of training, with side `size`,
/// image by image.
fn draw(
    policy: &Policy,
    split: &Split,
    images: &[usize],
    views: usize,
    seed: u64,
    size: u32,
) -> Result<Vec<Drawn>, Error> {
    let of_image = |&image: &usize| {
        (0..views as u32)
            .map(move |view| ViewKey::new(Purpose::Training { epoch: 0 }, seed, image as u64, view))
    };
    let keys: Vec<ViewKey> = images.iter().flat_map(of_image).collect();
    let buffers = || (Scratch::default(), vec![0; size as usize * size as usize * 3]);
    let drawn = |(scratch, pixels): &mut (Scratch, Vec<u8>), key: ViewKey| {
        let image = numbered(split, key);
        let draw = policy.draw(key, image.source.width(), image.source.height());
        draw.apply(draw.origin(image), size, scratch, pixels)?;
        Ok(Drawn { view: DrawnView { key, draw }, picture: picture(Image::square(size, pixels)) })
    };
    keys.into_par_iter().map_init(buffers, drawn).collect()
}

/// Returns the image that the view `key` is drawn of.
fn numbered(split: &Split, key: ViewKey) -> Numbered<'_> {
    split.numbered(&[key.image as usize])[0]
}

/// Returns an image, shrunk to [`picture_side`].
fn picture(image: Image<'_>) -> Vec<u8> {
    shrink(&[image], PICTURE_SIDE).remove(0).into_owned()
}

fn sprite(picture: &[u8], size: u32) -> Result<Sprite, SpriteError> {
    Sprite::lossless(picture_side(size), picture_side(size), &[picture], 1)
}

fn originals(dataset: &Dataset, chosen: &[usize]) -> Result<Vec<Original>, Error> {
    let split = &dataset.train;
    let original = |&i: &usize| {
        let class = split.labels().map(|labels| dataset.classes[labels[i] as usize].clone());
        let source = split.source(i);
        Ok(Original {
            name: split.name(i).to_owned(),
            class,
            picture: original_picture(source)?,
            sides: [source.width(), source.height()],
        })
    };
    chosen.iter().map(original).collect()
}

/// Returns a source as the page shows it: stretched to a square, which the page stretches back.
fn original_picture(source: Image<'_>) -> Result<Sprite, Error> {
    let (width, height) = (source.width(), source.height());
    let side = picture_side(width.max(height));
    let whole = CropBox { left: 0, top: 0, width, height };
    let mut pixels = vec![0; side as usize * side as usize * 3];
    let draw = Draw { crop: Some(whole), ..Draw::default() };
    draw.apply(source, side, &mut Scratch::default(), &mut pixels)?;
    Ok(sprite(&pixels, side)?)
}

/// Returns a view as the page shows it.
fn shown(drawn: &Drawn, policy: &Policy, split: &Split, size: u32) -> Result<View, SpriteError> {
    let DrawnView { key, draw } = &drawn.view;
    let Numbered { source, .. } = numbered(split, *key);
    let share = |length: u32, of: u32| f64::from(length) / f64::from(of);
    let part = draw.crop.map(|CropBox { left, top, width, height }| {
        let (across, down) = (source.width(), source.height());
        [share(left, across), share(top, down), share(width, across), share(height, down)]
    });
    Ok(View {
        picture: sprite(&drawn.picture, size)?,
        part,
        changes: words::changes(draw, policy.config().crop.is_some(), source, size),
    })
}
