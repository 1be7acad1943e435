//! Results that are computed once and used by several parts of a certificate.

use selfsame_concentration::forecast::{Halves, Measures};
use selfsame_report::certificate::LEVEL;
use selfsame_theory::measure::{self, Alignment, Centres, Diameters, Errors};
use selfsame_theory::{Labels, Views};

use super::inputs::{BoundInputs, EmbeddedImages, Pixels, gaps};
use crate::sampling::{HALF_BUDGET, HALVES};
use crate::{Error, Progress};

/// Facts that all embeddings have.
pub struct Facts<'a> {
    pub embedded: &'a EmbeddedImages<'a>,
    /// The embeddings scaled to length 1.
    pub views: Views<'a>,
    pub alignment: Alignment,
    pub diameters: Diameters,
    pub classes: Option<ClassFacts<'a>>,
}

/// Facts that need labels.
pub struct ClassFacts<'a> {
    pub labels: &'a Labels,
    pub centres: Centres,
    pub errors: Errors,
    /// Error when each image is left out of its own centre, and number of images on which this
    /// error was measured.
    pub error_left_out: Option<(f64, usize)>,
    pub pixels: Option<PixelFacts<'a>>,
}

/// Facts that need labels and pixels.
pub struct PixelFacts<'a> {
    pub pixels: &'a Pixels,
    /// Distance after the encoder f between the closest views of every two images.
    pub gaps: Vec<f64>,
    pub bound_inputs: BoundInputs,
    /// Lower and upper bound on the squared δ at which the shown numbers hold.
    pub keys: [u64; 2],
    pub measures: Measures,
    /// Random halves of the images.
    pub halves: Halves,
    /// The measures of each half.
    pub of_halves: Vec<Measures>,
    /// Share of the images with a view that equals a view of another class.
    pub touching: f64,
}

impl<'a> Facts<'a> {
    pub fn new(
        embedded: &'a EmbeddedImages<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let EmbeddedImages { images, views, dim, values, .. } = embedded;
        let views = Views::new(*images, *views, *dim, &values[..])?.on_sphere()?;
        progress.note("alignment and view diameters");
        let alignment = measure::alignment(&views);
        let diameters = measure::diameters(&views);
        let classes = match &embedded.labels {
            Some(labels) => Some(ClassFacts::new(embedded, &views, &diameters, labels, progress)?),
            None => None,
        };
        Ok(Self { embedded, views, alignment, diameters, classes })
    }

    /// Returns the facts that need labels and pixels, if both are known.
    pub fn pixels(&self) -> Option<&PixelFacts<'a>> {
        self.classes.as_ref()?.pixels.as_ref()
    }
}

impl<'a> ClassFacts<'a> {
    fn new(
        embedded: &'a EmbeddedImages<'_>,
        views: &Views<'_>,
        diameters: &Diameters,
        labels: &'a Labels,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        progress.note("class centres");
        let centres = measure::centres(views, labels)?;
        let errors = centres.errors(views, labels)?;
        let error_left_out = centres.error_left_out(views, labels)?;
        let pixels = match &embedded.pixels {
            Some(pixels) => {
                progress.note("concentration, with intervals from halves of the images");
                let gaps = gaps(views, &pixels.distances);
                let bound_inputs = BoundInputs::new(
                    centres.products(),
                    labels,
                    &diameters.of_image,
                    pixels,
                    &gaps,
                )?;
                Some(PixelFacts::new(pixels, labels, gaps, bound_inputs, embedded.seed)?)
            }
            None => None,
        };
        Ok(Self { labels, centres, errors, error_left_out, pixels })
    }
}

impl<'a> PixelFacts<'a> {
    fn new(
        pixels: &'a Pixels,
        labels: &Labels,
        gaps: Vec<f64>,
        bound_inputs: BoundInputs,
        seed: u64,
    ) -> Result<Self, Error> {
        let keys = common_keys(pixels);
        let (of_image, classes) = (labels.of_image(), labels.classes());
        // At key 0, the overlap is the share of images with a view that equals a view of another
        // class.
        let measures =
            Measures::new(&pixels.distances, of_image, classes, &[keys[1], 0], pixels.budget)?;
        let halves = Halves::draw(of_image, classes, HALVES, seed);
        let budget = pixels.budget.map(|budget| budget.min(HALF_BUDGET));
        let of_halves =
            halves.measures(&pixels.distances, of_image, classes, &[keys[1]], budget)?;
        let touching = measures.overlap[1];
        Ok(Self { pixels, gaps, bound_inputs, keys, measures, halves, of_halves, touching })
    }
}

/// Bounds, from below and above, the squared δ at which the main part of the median class holds
/// half of that class. The bounds are equal if δ is exact. If the number of classes is even, the
/// lower median counts.
fn common_keys(pixels: &Pixels) -> [u64; 2] {
    let half = |points: usize| ((LEVEL * points as f64).ceil() as usize).clamp(1, points) - 1;
    let points = || pixels.curves.iter().map(|curve| &curve.points[half(curve.points.len())]);
    let middle = |mut keys: Vec<u64>| {
        keys.sort_unstable();
        keys[(keys.len() - 1) / 2]
    };
    [points().map(|point| point.lower).collect(), points().map(|point| point.upper).collect()]
        .map(middle)
}
