//! Augmentation for selfsame: policies, and views as pure functions of their key.
//!
//! A [`Policy`] says which transforms a view goes through and how strongly: crop → padding crop →
//! rotation → flips → colour jitter → grey → blur → solarise, each optional, always in that order.
//! [`Policy::view`] turns an image into the view that a [`ViewKey`] (purpose and epoch, seed,
//! image, view number) names. The view depends on nothing else: not on the thread, the instruction
//! set, the platform, the order of calls or earlier views. Two steps make it: [`Policy::draw`]
//! draws the parameters ([`Draw`], which can be printed and serialised) and [`Draw::apply`]
//! computes the pixels, so any view can be replayed and explained. [`ViewSets`] draws the views of
//! many images in parallel. [`Normalise`] turns the bytes into floats.
//!
//! Every transform draws its own random numbers, so policies are nested ([`Policy::within`]): with
//! the same key, the draw of `ab` is the draw of `abc` without its grey step.
//!
//! The pixels equal those of torchvision's transforms on PIL images, rounding included. Only
//! torchvision's own Gaussian blur, which sums floats in another order, may differ by one level.
//!
//! ```
//! use selfsame_augment::{Image, Policy, Purpose, Scratch, ViewKey};
//!
//! let policy: Policy = "abcde".parse()?;
//! let pixels: Vec<u8> = (0..40 * 30 * 3).map(|i| (i % 251) as u8).collect();
//! let image = Image::rgb(40, 30, &pixels)?;
//! let key = ViewKey::new(Purpose::Training { epoch: 3 }, 0, 17, 1);
//!
//! let (mut scratch, mut view) = (Scratch::default(), vec![0; 32 * 32 * 3]);
//! policy.view(key, image, 32, &mut scratch, &mut view)?;
//!
//! let draw = policy.draw(key, 40, 30);
//! println!("{draw}"); // for example: crop 21×17 at (5, 9), flip, blur 1.000
//! let mut again = vec![0; 32 * 32 * 3];
//! draw.apply(image, 32, &mut scratch, &mut again)?;
//! assert_eq!(view, again);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod draw;
mod error;
mod key;
mod letters;
mod nested;
mod normalise;
mod pixels;
mod policy;
mod presets;
mod sets;
mod view;

pub use draw::{Adjustment, CropBox, Draw, GaussianBlur, Shift, Turn};
pub use error::{NormaliseError, PolicyError, ViewError};
pub use key::{Purpose, ViewKey};
pub use letters::MAX_STRENGTH;
pub use normalise::Normalise;
pub use policy::{
    Blur, Crop, Fill, Flip, Grey, Interpolation, Jitter, MAX_KERNEL, MAX_PADDING, MAX_SIGMA,
    PadCrop, Policy, PolicyConfig, Probability, Rotation, Solarise,
};
pub use presets::PRESETS;
pub use selfsame_kernels::isa::Isa;
pub use selfsame_kernels::pixels::{Image, ImageError, Numbered};
pub use sets::{ViewSets, resize};
pub use view::Scratch;
