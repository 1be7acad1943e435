use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::sum::{Sum, dot, mean, sum};
use crate::{Error, Quantity, Trust, Views, measure};

/// Maximum number of rows of which all pairs are visited. With 512 values each, they fill 134 MB as
/// f64, and two cores take minutes.
const MOST_ROWS: usize = 32_768;
/// Number of rows on each side of a block of products.
const BLOCK: usize = 128;
/// Number of running products that are kept in parallel, one per lane of a vector.
const LANES: usize = 8;
/// Number of factors of a running product before its logarithm is taken. A factor lies between 2/e
/// and 2e, so the product of all lanes stays within 10^±290.
const FACTORS: usize = 48;
/// Number of draws that share a stream of random numbers.
const DRAWS: usize = 4096;

/// The two parts of the InfoNCE loss with one negative at temperature 1, L = E −log(e^{f₁·f₂} /
/// (e^{f₁·f₂} + e^{f₁·f⁻})): L = L_1 + L_2 (Huang et al., ICLR 2023).
///
/// f₁ and f₂ are independent views of an image, and f⁻ is a view of an independent image, which may
/// be the same image. So the parts are those of the finite world, and the identity is exact there.
#[derive(Debug, Clone, PartialEq)]
pub struct InfoNce {
    /// L_1 = E −f₁·f₂ = ½ L_align − 1.
    pub l1: f64,
    /// L_2 = E log(e^{f₁·f₂} + e^{f₁·f⁻}).
    pub l2: Quantity,
}

impl InfoNce {
    /// Returns the loss L = L_1 + L_2.
    pub fn loss(&self) -> f64 {
        self.l1 + self.l2.value
    }
}

/// Computes the exact InfoNCE loss of the finite world, over all N·M × M × N·M triples. Time grows
/// with (N·M)² (d + M).
///
/// # Errors
/// [`Error::Form`] unless the views are [on the sphere](Views::on_sphere), [`Error::TooManyRows`]
/// above 32,768 rows.
///
/// ```
/// use selfsame_theory::{Views, measure};
///
/// // Two images whose views agree, in opposite directions: f₁·f₂ = 1, f₁·f⁻ = ±1.
/// let views = Views::new(2, 2, 1, &[1.0_f32, 1.0, -1.0, -1.0])?.on_sphere()?;
/// let found = measure::infonce(&views)?;
/// let e = std::f64::consts::E;
/// assert_eq!(found.l1, -1.0);
/// assert!((found.l2.value - 0.5 * ((2.0 * e).ln() + (e + 1.0 / e).ln())).abs() < 1e-15);
/// # Ok::<(), selfsame_theory::Error>(())
/// ```
pub fn infonce(views: &Views<'_>) -> Result<InfoNce, Error> {
    views.check_sphere()?;
    let (rows, m, dim) = (views.rows(), views.views(), views.dim());
    if rows > MOST_ROWS {
        return Err(Error::TooManyRows { rows, most: MOST_ROWS });
    }
    let all = views.block(0..rows);
    let row = |index: usize| &all[index * dim..][..dim];
    let of_block = |start: usize| {
        let end = rows.min(start + BLOCK);
        let positives = |index: usize| {
            (index / m * m..index / m * m + m)
                .map(|other| dot(row(index), row(other)).exp())
                .collect()
        };
        let positives: Vec<Vec<f64>> = (start..end).map(positives).collect();
        let mut sums = vec![Sum::default(); end - start];
        let mut products = vec![0.0; (end - start) * BLOCK.min(rows)];
        let left = MatRef::from_row_major_slice(&all[start * dim..end * dim], end - start, dim);
        for other in (0..rows).step_by(BLOCK) {
            let other_end = rows.min(other + BLOCK);
            let right = MatRef::from_row_major_slice(
                &all[other * dim..other_end * dim],
                other_end - other,
                dim,
            );
            let products = &mut products[..(end - start) * (other_end - other)];
            let out = MatMut::from_row_major_slice_mut(products, end - start, other_end - other);
            matmul(out, Accum::Replace, left, right.transpose(), 1.0, Par::Seq);
            for ((sum, positives), products) in
                sums.iter_mut().zip(&positives).zip(products.chunks_exact(other_end - other))
            {
                add_logarithms(sum, positives, products);
            }
        }
        sums.into_iter().map(Sum::value).collect::<Vec<f64>>()
    };
    let blocks: Vec<usize> = (0..rows).step_by(BLOCK).collect();
    let of_rows: Vec<f64> = blocks.into_par_iter().flat_map_iter(of_block).collect();
    let l2 = sum(of_rows) / (rows as f64 * m as f64 * rows as f64);
    Ok(InfoNce { l1: l1(views), l2: Quantity::exact(l2) })
}

/// Computes e^x for products of unit vectors, by its power series. For |x| ≤ 1 the omitted terms
/// are below 10⁻¹⁷. The compiler can vectorise the series, but not the exponential of the standard
/// library.
fn exp_of_products(x: [f64; LANES]) -> [f64; LANES] {
    const TERMS: usize = 19;
    let mut sums = [1.0_f64; LANES];
    for term in (1..TERMS).rev() {
        let factor = 1.0 / term as f64;
        sums.iter_mut().zip(&x).for_each(|(sum, x)| *sum = 1.0 + *sum * (x * factor));
    }
    sums
}

/// Adds log(p + e^x) for all pairs of a positive p = e^{f₁·f₂} and a product x = f₁·f⁻. It
/// multiplies many factors p + e^x and takes one logarithm of their product. [`LANES`] products at
/// a time fit in vector registers.
fn add_logarithms(sum: &mut Sum, positives: &[f64], products: &[f64]) {
    let (mut lanes, mut factors) = ([1.0_f64; LANES], 0);
    let (blocks, rest) = products.as_chunks::<LANES>();
    for block in blocks {
        let negatives = exp_of_products(*block);
        for positives in positives.chunks(FACTORS) {
            if factors + positives.len() > FACTORS {
                sum.add(lanes.iter().product::<f64>().ln());
                (lanes, factors) = ([1.0; LANES], 0);
            }
            for positive in positives {
                lanes
                    .iter_mut()
                    .zip(&negatives)
                    .for_each(|(product, negative)| *product *= positive + negative);
            }
            factors += positives.len();
        }
    }
    sum.add(lanes.iter().product::<f64>().ln());
    for negative in rest.iter().map(|product| product.exp()) {
        for positives in positives.chunks(FACTORS) {
            sum.add(positives.iter().map(|positive| positive + negative).product::<f64>().ln());
        }
    }
}

/// Computes InfoNCE with L_1 exact and L_2 estimated from `draws` independent triples, for worlds
/// too large for [`infonce`].
///
/// The interval is the empirical Bernstein bound of Maurer and Pontil ("Empirical Bernstein Bounds
/// and Sample Variance Penalization", COLT 2009, theorem 4, both sides) on values that lie between
/// log(2/e) and log(2e). For any distribution of the values, the interval contains L_2 of the
/// finite world with a probability of at least 95 %. A million draws of 512 values take about two
/// seconds and give an interval of some 10⁻³.
///
/// # Errors
/// [`Error::Form`] unless the views are [on the sphere](Views::on_sphere), [`Error::Range`] for
/// fewer than two draws.
pub fn infonce_sampled(views: &Views<'_>, draws: usize, seed: u64) -> Result<InfoNce, Error> {
    views.check_sphere()?;
    Error::range(draws > 1, "draws", draws as f64, "at least 2")?;
    let (images, m) = (views.images(), views.views());
    let chunk = |index: usize| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(index as u64);
        let (mut first, mut second, mut negative) =
            (vec![0.0; views.dim()], vec![0.0; views.dim()], vec![0.0; views.dim()]);
        let draw = |_| {
            let image = random.random_range(0..images);
            views.read(image * m + random.random_range(0..m), &mut first);
            views.read(image * m + random.random_range(0..m), &mut second);
            views.read(random.random_range(0..images * m), &mut negative);
            (dot(&first, &second).exp() + dot(&first, &negative).exp()).ln()
        };
        (index * DRAWS..draws.min((index + 1) * DRAWS)).map(draw).collect::<Vec<f64>>()
    };
    let values: Vec<f64> =
        (0..draws.div_ceil(DRAWS)).into_par_iter().flat_map_iter(chunk).collect();
    let (n, value) = (draws as f64, mean(&values));
    let variance = sum(values.iter().map(|drawn| (drawn - value).powi(2))) / (n - 1.0);
    // Each side fails with probability 0.025; the values span an interval of length 2.
    let risk = (2.0 / 0.025_f64).ln();
    let half = (2.0 * variance * risk / n).sqrt() + 2.0 * 7.0 * risk / (3.0 * (n - 1.0));
    let trust = Trust::Estimate {
        low: Some(value - half),
        high: Some(value + half),
        method: "empirical Bernstein, 95%".into(),
        sample: draws,
    };
    Ok(InfoNce { l1: l1(views), l2: Quantity { value, trust } })
}

fn l1(views: &Views<'_>) -> f64 {
    0.5 * measure::alignment(views).finite - 1.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Values;

    /// The definition, over all triples, without splitting it into parts.
    fn oracle(views: &Views<'_>) -> f64 {
        let (rows, m, dim) = (views.rows(), views.views(), views.dim());
        let all = views.block(0..rows);
        let product =
            |a: usize, b: usize| (0..dim).map(|i| all[a * dim + i] * all[b * dim + i]).sum::<f64>();
        let mut loss = Sum::default();
        for first in 0..rows {
            for second in first / m * m..first / m * m + m {
                for negative in 0..rows {
                    let (a, b) = (product(first, second).exp(), product(first, negative).exp());
                    loss.add(-(a / (a + b)).ln());
                }
            }
        }
        loss.value() / (rows * m * rows) as f64
    }

    #[test]
    fn exponentials_are_those_of_the_library() {
        for at in -1000..=1000 {
            // Products of unit vectors may exceed 1 by a rounding or two.
            let x = f64::from(at) / 1000.0 * (1.0 + 4.0 * f64::EPSILON);
            let [found, ..] = exp_of_products([x; LANES]);
            // Each of the last few steps rounds by at most half a unit, and later terms weigh less.
            assert!((found / x.exp() - 1.0).abs() < 4.0 * f64::EPSILON, "{x}: {found}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_loss_is_the_sum_of_its_parts(m in 1..5_usize, dim in 1..4_usize, values in prop::collection::vec(0.01..1.0, 12..300)) {
            let images = values.len() / (m * dim);
            prop_assume!(images > 0);
            let values: Vec<f64> = values.iter().enumerate().map(|(at, v)| if at % 3 == 0 { -v } else { *v }).collect();
            let values = &values[..images * m * dim];
            let views = Views::new(images, m, dim, Values::F64(values)).unwrap().on_sphere().unwrap();
            let (found, expected) = (infonce(&views).unwrap(), oracle(&views));
            prop_assert!((found.loss() - expected).abs() <= 1e-10 * expected.abs());
        }
    }

    #[test]
    fn more_views_than_factors_and_more_rows_than_a_block() {
        let values: Vec<f64> = (0..2 * 150 * 2).map(|at| ((at * at) as f64).sin()).collect();
        let views = Views::new(2, 150, 2, Values::F64(&values)).unwrap().on_sphere().unwrap();
        let expected = oracle(&views);
        assert!((infonce(&views).unwrap().loss() - expected).abs() <= 1e-10 * expected);
    }

    #[test]
    fn the_interval_of_the_estimate_holds_the_truth() {
        let values: Vec<f64> = (0..60 * 2 * 3).map(|at| ((at * at) as f64).sin()).collect();
        let views = Views::new(60, 2, 3, Values::F64(&values)).unwrap().on_sphere().unwrap();
        let exact = infonce(&views).unwrap();
        let mut widths = Vec::new();
        for seed in 0..100 {
            let found = infonce_sampled(&views, 20_000, seed).unwrap();
            assert_eq!(found.l1, exact.l1);
            let Trust::Estimate { low: Some(low), high: Some(high), sample: 20_000, .. } =
                found.l2.trust
            else {
                panic!("no interval: {:?}", found.l2)
            };
            // The bound promises 95 % and is conservative, so a hundred seeds without a failure are
            // expected.
            assert!(low < exact.l2.value && exact.l2.value < high, "seed {seed}: {:?}", found.l2);
            widths.push(high - low);
        }
        assert!(widths.iter().all(|width| *width < 0.03), "{widths:?}");
        assert_eq!(infonce_sampled(&views, 5000, 7), infonce_sampled(&views, 5000, 7));
    }

    #[test]
    fn misuse_is_refused() {
        let views = Views::new(2, 1, 1, &[0.5_f32, 1.0]).unwrap();
        assert!(matches!(infonce(&views), Err(Error::Form { .. })));
        let many = vec![1.0_f32; MOST_ROWS + 1];
        let many = Views::new(many.len(), 1, 1, &many).unwrap().on_sphere().unwrap();
        assert_eq!(
            infonce(&many),
            Err(Error::TooManyRows { rows: MOST_ROWS + 1, most: MOST_ROWS })
        );
        assert!(infonce_sampled(&many, 1, 0).is_err());
    }
}
