//! Blocks of rows and their products, on faer.
//!
//! faer runs on one thread here. rayon divides the work into blocks whose bounds depend only on the
//! shape, so no result depends on the number of threads.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use rayon::prelude::*;

use crate::Error;
use crate::limits::MAX_DIM;
use crate::rows::Rows;

/// Returns the number of rows, each of `dim` values of `size` bytes, that fit into `bytes`. The
/// result is limited to `1..=max`.
pub(crate) fn block_rows(bytes: usize, dim: usize, size: usize, max: usize) -> usize {
    (bytes / dim.saturating_mul(size)).clamp(1, max)
}

/// Divides `rows` into consecutive chunks, each of which gets partial sums, `sums` f64 values.
/// There are at most 32 chunks, and fewer if their sums would take more than 64 MB.
pub(crate) fn chunks(rows: usize, sums: usize) -> Vec<Range<usize>> {
    let count = block_rows(64 << 20, sums, 8, 32);
    let step = rows.div_ceil(count).max(1);
    (0..rows).step_by(step).map(|start| start..rows.min(start + step)).collect()
}

/// Reads the rows of `range` into the start of `into`.
pub(crate) fn read_block(rows: &dyn Rows, range: Range<usize>, into: &mut [f32]) {
    for (row, values) in range.zip(into.chunks_exact_mut(rows.dim())) {
        rows.read(row, values);
    }
}

/// Computes Σ value² in eight interleaved f64 sums, which the compiler can keep in vector
/// registers.
pub(crate) fn sum_of_squares(values: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let blocks = values.chunks_exact(8);
    let rest = blocks.remainder();
    for block in blocks {
        for (sum, &value) in sums.iter_mut().zip(block) {
            *sum += f64::from(value).powi(2);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>()
}

/// Computes `a` · `b`.
pub(crate) fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(a.nrows(), b.ncols());
    matmul(&mut out, Accum::Replace, a, b, 1.0, Par::Seq);
    out
}

/// Computes `out` (m × n) = `a` (m × k) · `b` (n × k)ᵀ, all row-major.
pub(crate) fn product_transposed<T: faer::traits::ComplexField>(
    out: &mut [T],
    a: &[T],
    b: &[T],
    k: usize,
) {
    let (m, n) = (a.len() / k, b.len() / k);
    let (a, b) = (MatRef::from_row_major_slice(a, m, k), MatRef::from_row_major_slice(b, n, k));
    let out = MatMut::from_row_major_slice_mut(out, m, n);
    matmul(out, Accum::Replace, a, b.transpose(), T::one_impl(), Par::Seq);
}

/// Computes `out` (m × n) = `a` (k × m)ᵀ · `b` (k × n), all row-major.
pub(crate) fn transposed_product(out: &mut [f32], a: &[f32], b: &[f32], k: usize) {
    let (m, n) = (a.len() / k, b.len() / k);
    let (a, b) = (MatRef::from_row_major_slice(a, k, m), MatRef::from_row_major_slice(b, k, n));
    let out = MatMut::from_row_major_slice_mut(out, m, n);
    matmul(out, Accum::Replace, a.transpose(), b, 1.0, Par::Seq);
}

/// Computes Σ x xᵀ over the rows x in f64, as a column-major dim × dim matrix. Only its lower
/// triangle is meaningful.
///
/// # Errors
/// [`Error::TooWide`] above [`MAX_DIM`].
pub(crate) fn second_moments(rows: &dyn Rows) -> Result<Vec<f64>, Error> {
    let dim = rows.dim();
    moments(rows.rows(), dim, &|row, wide| {
        let mut narrow = vec![0.0; dim];
        rows.read(row, &mut narrow);
        wide.iter_mut().zip(narrow).for_each(|(wide, value)| *wide = f64::from(value));
    })
}

/// Computes [`second_moments`] of `count` rows of `dim` values, which `read` writes in f64.
///
/// # Errors
/// [`Error::TooWide`] above [`MAX_DIM`].
pub(crate) fn moments(
    count: usize,
    dim: usize,
    read: &(dyn Fn(usize, &mut [f64]) + Sync),
) -> Result<Vec<f64>, Error> {
    const PANEL: usize = 128;
    if dim > MAX_DIM {
        return Err(Error::TooWide { dim });
    }
    let step = block_rows(16 << 20, dim, 8, 1024);
    let mut block = vec![0.0_f64; step.min(count) * dim];
    let mut moments = vec![0.0_f64; dim * dim];
    for start in (0..count).step_by(step) {
        let rows = step.min(count - start);
        let block = &mut block[..rows * dim];
        block.par_chunks_mut(dim).enumerate().for_each(|(index, wide)| read(start + index, wide));
        let block = MatRef::from_row_major_slice(block, rows, dim);
        moments.par_chunks_mut(PANEL * dim).enumerate().for_each(|(panel, columns)| {
            let (first, width) = (panel * PANEL, columns.len() / dim);
            let columns = MatMut::from_column_major_slice_mut(columns, dim, width);
            let below = columns.subrows_mut(first, dim - first);
            let (left, right) = (block.subcols(first, dim - first), block.subcols(first, width));
            matmul(below, Accum::Add, left.transpose(), right, 1.0, Par::Seq);
        });
    }
    Ok(moments)
}

/// Computes the eigenvalues of a matrix from [`second_moments`], largest first.
pub(crate) fn eigenvalues(moments: &[f64], dim: usize) -> Result<Vec<f64>, Error> {
    let moments = MatRef::from_column_major_slice(moments, dim, dim);
    let mut values =
        moments.self_adjoint_eigenvalues(Side::Lower).map_err(|_| Error::Eigen { dim })?;
    values.reverse();
    Ok(values)
}

/// Computes the `count` largest eigenvalues of a matrix from [`second_moments`], largest first,
/// each with its unit eigenvector.
pub(crate) fn leading_eigenpairs(
    moments: &[f64],
    dim: usize,
    count: usize,
) -> Result<Vec<(f64, Vec<f64>)>, Error> {
    let moments = MatRef::from_column_major_slice(moments, dim, dim);
    let decomposition =
        moments.self_adjoint_eigen(Side::Lower).map_err(|_| Error::Eigen { dim })?;
    let (values, vectors) = (decomposition.S().column_vector(), decomposition.U());
    let pair = |column: usize| (values[column], vectors.col(column).iter().copied().collect());
    Ok((dim.saturating_sub(count)..dim).rev().map(pair).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::random;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn products_match_loops(m in 1..40_usize, n in 1..40_usize, k in 1..70_usize, seed in any::<u64>()) {
            let (a, b) = (random(m, k, seed), random(n, k, !seed));
            let mut rows_by_rows = vec![0.0; m * n];
            product_transposed(&mut rows_by_rows, a.values(), b.values(), k);
            let (tall, wide) = (random(k, m, seed), random(k, n, !seed));
            let mut columns_by_columns = vec![0.0; m * n];
            transposed_product(&mut columns_by_columns, tall.values(), wide.values(), k);
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let first: f64 = (0..k).map(|l| f64::from(a.row(i)[l]) * f64::from(b.row(j)[l])).sum();
                let second: f64 = (0..k).map(|l| f64::from(tall.row(l)[i]) * f64::from(wide.row(l)[j])).sum();
                // The bound allows for k products below 1 in magnitude and k roundings of their
                // sum.
                let bound = (k * k + k) as f64 * 2_f64.powi(-24);
                prop_assert!((f64::from(rows_by_rows[i * n + j]) - first).abs() <= bound);
                prop_assert!((f64::from(columns_by_columns[i * n + j]) - second).abs() <= bound);
            }
        }

        #[test]
        fn chunks_cover_every_row_once(rows in 0..5000_usize, sums in 1..20_000_000_usize) {
            let chunks = chunks(rows, sums);
            prop_assert!(chunks.len() <= 32 && (chunks.len() <= 1 || chunks.len() * sums * 8 <= 64 << 20));
            prop_assert!(chunks.iter().cloned().flatten().eq(0..rows));
        }
    }

    #[test]
    fn second_moments_match_loops_across_panels_and_blocks() {
        for (rows, dim) in [(0, 3), (1, 1), (5, 127), (7, 128), (9, 300), (1030, 5)] {
            let features = random(rows, dim, 7);
            let moments = second_moments(&features).unwrap();
            for (i, j) in (0..dim).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                let value = |row: usize, column: usize| f64::from(features.row(row)[column]);
                let expected: f64 = (0..rows).map(|row| value(row, i) * value(row, j)).sum();
                assert!(
                    (moments[j * dim + i] - expected).abs() < 1e-11,
                    "{rows} × {dim} at {i}, {j}"
                );
            }
        }
    }

    #[test]
    fn eigenpairs_satisfy_their_equation() {
        let features = random(60, 20, 3);
        let moments = second_moments(&features).unwrap();
        let entry = |i: usize, j: usize| moments[i.min(j) * 20 + i.max(j)];
        let values = eigenvalues(&moments, 20).unwrap();
        assert!(values.is_sorted_by(|a, b| a >= b));
        assert!(
            (values.iter().sum::<f64>() - (0..20).map(|i| entry(i, i)).sum::<f64>()).abs() < 1e-10
        );
        for (index, (value, vector)) in
            leading_eigenpairs(&moments, 20, 2).unwrap().into_iter().enumerate()
        {
            assert!((value - values[index]).abs() < 1e-10);
            for i in 0..20 {
                let product: f64 = (0..20).map(|j| entry(i, j) * vector[j]).sum();
                assert!((product - value * vector[i]).abs() < 1e-10);
            }
        }
        assert_eq!(leading_eigenpairs(&[4.0], 1, 2).unwrap(), [(4.0, vec![1.0])]);
    }
}
