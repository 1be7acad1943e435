//! What a step's outputs look like: whether the encoder collapses.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use selfsame_eval::{Error, Features, Normalised, geometry};
use selfsame_nn::state;

/// Measures of the two outputs of each image of a batch, normalised, by the names they are logged under:
/// `output_std`, the root of their total variance, from 0 where all coincide to 1; `alignment`, `uniformity` and
/// `rank_me` of [`geometry`].
///
/// # Errors
/// For outputs that are no numbers.
pub(crate) fn outputs(pair: [&Tensor<2>; 2]) -> Result<BTreeMap<String, f64>, Error> {
    let [images, dim] = pair[0].dims();
    let [first, second] = pair.map(|side| state::to_host(side.clone()).values);
    let views = first.chunks_exact(dim).zip(second.chunks_exact(dim)).flat_map(|(a, b)| [a, b].concat()).collect();
    let views = Features::new(2 * images, dim, views)?;
    let rows = Normalised(&views);
    // All rows as views of one image: twice their variance.
    let spread = geometry::alignment(&rows, 2 * images)?.finite / 2.0;
    let mut found = vec![
        ("output_std", spread.sqrt()),
        ("alignment", geometry::alignment(&rows, 2)?.finite),
        ("uniformity", geometry::uniformity(&rows)?),
    ];
    // Eigenvalues of more would take longer than the step.
    if images.min(dim) <= 512 {
        let first = Features::new(images, dim, first)?;
        found.push(("rank_me", geometry::rank_me(&Normalised(&first))?));
    }
    Ok(found.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn tells_collapse_from_spread() {
        let device = Device::flex();
        let spread = Tensor::<2>::from_floats([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0], [0.0, -9.0]], &device);
        let found = outputs([&spread, &spread]).unwrap();
        assert!((found["output_std"] - 1.0).abs() < 1e-12 && found["alignment"] == 0.0);
        assert!((found["rank_me"] - 2.0).abs() < 1e-5);

        let point = Tensor::<2>::from_floats([[3.0, 4.0], [6.0, 8.0]], &device);
        let found = outputs([&point, &point]).unwrap();
        assert!(found["output_std"] < 1e-6 && (found["rank_me"] - 1.0).abs() < 1e-5, "{found:?}");

        // Two opposite points are spread, but of rank 1.
        let opposite = Tensor::<2>::from_floats([[3.0, 4.0], [-3.0, -4.0]], &device);
        let found = outputs([&opposite, &opposite]).unwrap();
        assert!((found["output_std"] - 1.0).abs() < 1e-6 && (found["rank_me"] - 1.0).abs() < 1e-5, "{found:?}");
    }
}
