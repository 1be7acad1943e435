use thiserror::Error;

use crate::presets;

/// Reason why a policy was refused.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PolicyError {
    /// The short form has no letters.
    #[error(
        "the policy is empty: write `none` for views that are the image itself, letters of abcde, \
         or a preset: {}",
        presets::names()
    )]
    Empty,
    /// A character is not the letter of a step.
    #[error(
        "unknown letter `{letter}` at position {position} of the policy: the letters are a \
         (crop), b (blur), c (grey), d (colour jitter) and e (flip); the presets are {}",
        presets::names()
    )]
    UnknownLetter {
        /// The character found.
        letter: char,
        /// Position of the character, counted in characters from 1.
        position: usize,
    },
    /// A letter occurs twice.
    #[error(
        "letter `{letter}` again at position {position} of the policy: each letter may stand once"
    )]
    RepeatedLetter {
        /// The letter.
        letter: char,
        /// Position of the second occurrence, counted in characters from 1.
        position: usize,
    },
    /// A number follows neither the letter a nor the letter d.
    #[error(
        "a number at position {position} of the policy follows neither `a` nor `d`: only the crop \
         takes a smallest area, as in `a0.2d`, and only colour jitter a strength, as in `ad0.25`"
    )]
    StrayNumber {
        /// Position of the first digit, counted in characters from 1.
        position: usize,
    },
    /// A strength is not a number in the range.
    #[error("strength `{text}` of `d` is not a number from 0 to {max}")]
    Strength {
        /// The strength as written.
        text: String,
        /// The largest strength. Beyond it the hue would turn by more than half a circle.
        max: f64,
    },
    /// An area is not a number in the range.
    #[error(
        "area `{text}` of `a` is not a number above 0 and up to 1, the smallest share of the image \
         that a crop shows"
    )]
    Area {
        /// The area as written.
        text: String,
    },
    /// A parameter is outside of its range.
    #[error("{field} = {value} is not {needed}")]
    Number {
        /// The parameter, as `section.name`.
        field: &'static str,
        /// Its value.
        value: f64,
        /// The required range.
        needed: &'static str,
    },
    /// A pair of bounds is not ordered, or is outside of its range.
    #[error("{field} = [{low}, {high}] is not an ordered pair, each of them {needed}")]
    Range {
        /// The parameter, as `section.name`.
        field: &'static str,
        /// The first bound given.
        low: f64,
        /// The second bound given.
        high: f64,
        /// The required range of each bound.
        needed: &'static str,
    },
    /// The text is not a policy in TOML. The message names an unknown field.
    #[error("cannot read the policy: {0}")]
    Toml(#[from] toml::de::Error),
}

/// Reason why pixels cannot be normalised by a mean and a deviation.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error(
    "mean {mean} and deviation {deviation} of channel {channel} normalise nothing: on a scale of \
     0 to 1 the mean is from 0 to 1 and the deviation above 0 and at most 1"
)]
pub struct NormaliseError {
    /// The first channel that cannot be normalised: 0 is red, 1 green, 2 blue.
    pub channel: usize,
    /// The mean given for the channel.
    pub mean: f32,
    /// The deviation given for the channel.
    pub deviation: f32,
}

/// Reason why a view could not be made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ViewError {
    /// The requested view has no pixels.
    #[error("a view of side 0 was asked for: the side must be at least 1")]
    EmptyView,
    /// The length of the buffer for the view is not side × side × channels bytes.
    #[error(
        "a buffer of {bytes} bytes does not hold a view of side {size} and {channels} channels: \
         it needs side × side × channels"
    )]
    OutputLength {
        /// The side of the view.
        size: u32,
        /// Number of bytes per pixel.
        channels: usize,
        /// The length of the buffer given.
        bytes: usize,
    },
    /// The crop of a replayed draw is empty or reaches beyond the image.
    #[error(
        "the crop {crop_width}×{crop_height} at ({left}, {top}) is not inside an image of \
         {width}×{height} pixels: replay a draw on an image of the size that it was drawn for"
    )]
    CropOutside {
        /// Width of the crop.
        crop_width: u32,
        /// Height of the crop.
        crop_height: u32,
        /// First column of the crop.
        left: u32,
        /// First row of the crop.
        top: u32,
        /// Number of pixels in a row of the image.
        width: u32,
        /// Number of rows of the image.
        height: u32,
    },
    /// A parameter of a replayed draw is outside of its range.
    #[error("the draw's {field} = {value} is not {needed}")]
    Parameter {
        /// The parameter.
        field: &'static str,
        /// Its value.
        value: f64,
        /// The required range.
        needed: &'static str,
    },
}
