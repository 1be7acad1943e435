//! Measures of embeddings that need no labels: uniformity, RankMe, αReQ, LiDAR.

use selfsame_eval::{Features, MAX_DIM, Rows, geometry, sample};
use selfsame_report::certificate::Named;
use selfsame_theory::{Quantity, Trust};

use crate::Error;
use crate::certify::inputs::EmbeddedImages;

/// Maximum number of images for uniformity, which looks at all pairs.
const UNIFORMITY_IMAGES: usize = 5000;

/// Rows of values that are borrowed and not copied. `Facts::new` has checked that they are finite.
struct Borrowed<'a> {
    rows: usize,
    dim: usize,
    values: &'a [f32],
}

impl Rows for Borrowed<'_> {
    fn rows(&self) -> usize {
        self.rows
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn read(&self, row: usize, into: &mut [f32]) {
        into.copy_from_slice(&self.values[row * self.dim..][..self.dim]);
    }
}

/// Measures uniformity, RankMe and αReQ of the images themselves, and LiDAR of all their views.
pub fn geometry(embedded: &EmbeddedImages<'_>) -> Result<Vec<Named>, Error> {
    let stride = embedded.views * embedded.dim;
    let originals = |chosen: &[usize]| {
        let values = chosen
            .iter()
            .flat_map(|&image| &embedded.values[image * stride..][..embedded.dim])
            .copied();
        Features::new(chosen.len(), embedded.dim, values.collect())
    };
    let mut found: Vec<(&str, Quantity)> = Vec::new();
    let chosen = sample(embedded.images, UNIFORMITY_IMAGES);
    if chosen.len() > 1 {
        let value = geometry::uniformity(&originals(&chosen)?)?;
        let trust = match chosen.len() < embedded.images {
            true => Trust::Estimate {
                low: None,
                high: None,
                method: "a part of the images".into(),
                sample: chosen.len(),
            },
            false => Trust::Exact,
        };
        found.push(("uniformity", Quantity { value, trust }));
    }
    if embedded.dim <= MAX_DIM {
        let all = originals(&(0..embedded.images).collect::<Vec<_>>())?;
        found.push(("RankMe", Quantity::exact(geometry::rank_me(&all)?)));
        if let Some(alpha) = geometry::alpha_req(&all)? {
            found.push(("αReQ", Quantity::exact(alpha)));
        }
        if embedded.views > 1 {
            let rows = Borrowed {
                rows: embedded.images * embedded.views,
                dim: embedded.dim,
                values: &embedded.values,
            };
            found.push(("LiDAR", Quantity::exact(geometry::lidar(&rows, embedded.views)?)));
        }
    }
    Ok(found.into_iter().map(|(name, quantity)| Named { name: name.into(), quantity }).collect())
}
