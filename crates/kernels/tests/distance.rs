//! Distances on every instruction set of the machine against plain loops.

use proptest::prelude::*;
use selfsame_kernels::distance::{
    LONGEST, Packed, ROWS, SHORT_COLUMNS, lower, lower_wide, squared, squared_f32, squared_norm,
    squared_short, weighted_rows,
};
use selfsame_kernels::isa::Isa;

fn bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn oracle(a: &[u8], b: &[u8]) -> u64 {
    a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum()
}

fn product(a: &[u8], b: &[u8]) -> u64 {
    a.iter().zip(b).map(|(&a, &b)| u64::from(a) * u64::from(b)).sum()
}

/// Products part by part, rows a block at a time, as they are to be used.
fn products(isa: Isa, a: &[u8], b: &[u8], dim: usize, longest: usize) -> Vec<u64> {
    let (rows, columns) = (a.len() / dim, b.len() / dim);
    let mut sums = vec![0; rows * columns];
    let mut packed = Packed::new(isa);
    for start in (0..dim).step_by(longest) {
        let part = start..dim.min(start + longest);
        packed.fill(b, dim, part.clone());
        let mut out = vec![u32::MAX; ROWS * packed.stride()];
        for (block, a) in a.chunks(ROWS * dim).enumerate() {
            packed.products(a, dim, part.clone(), columns, &mut out);
            for (row, products) in
                (block * ROWS..rows).zip(out.chunks_exact(packed.stride().max(1)))
            {
                for (sum, &product) in sums[row * columns..][..columns].iter_mut().zip(products) {
                    *sum += u64::from(product);
                }
            }
        }
    }
    sums
}

fn check_bytes(isa: Isa, a: &[u8], b: &[u8], dim: usize, longest: usize) {
    let columns = b.len() / dim;
    let found = products(isa, a, b, dim, longest);
    for (r, a) in a.chunks_exact(dim).enumerate() {
        assert_eq!(squared_norm(isa, a), product(a, a), "{isa}, {dim} values");
        for (c, b) in b.chunks_exact(dim).enumerate() {
            assert_eq!(
                found[r * columns + c],
                product(a, b),
                "{isa}, {dim} values, row {r}, column {c}"
            );
            assert_eq!(squared(isa, a, b), oracle(a, b), "{isa}, {dim} values");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_are_exact(
        rows in 0..70_usize,
        columns in 0..70_usize,
        dim in 1..200_usize,
        longest in 1..300_usize,
        seed in any::<u64>(),
    ) {
        for isa in Isa::available() {
            check_bytes(isa, &bytes(rows * dim, seed), &bytes(columns * dim, !seed), dim, longest);
        }
    }


    #[test]
    fn the_first_of_the_nearest_stays(seeds in prop::collection::vec(any::<u64>(), 1..6), count in 0..70_usize) {
        // Distances of vectors of two values of few levels, so that many are equal.
        let few = |seed: u64| bytes(2 * count, seed).iter().map(|value| value % 3).collect::<Vec<u8>>();
        let columns = few(!seeds[0]);
        let norms: Vec<u32> = columns.chunks(2).map(|c| product(c, c) as u32).collect();
        for isa in Isa::available() {
            let (mut least, mut which) = (vec![u32::MAX; count], vec![u32::MAX; count]);
            let rows: Vec<[u8; 2]> = seeds.iter().map(|&seed| [bytes(1, seed)[0] % 3, 2]).collect();
            for (mark, row) in rows.iter().enumerate() {
                let products: Vec<u32> = columns.chunks(2).map(|c| product(row, c) as u32).collect();
                lower(isa, product(row, row) as u32, &norms, &products, mark as u32, &mut least, &mut which);
            }
            for (i, column) in columns.chunks(2).enumerate() {
                let nearest = rows.iter().enumerate().map(|(mark, row)| (oracle(row, column), mark)).min().unwrap();
                prop_assert_eq!((u64::from(least[i]), which[i] as usize), nearest);
            }
            let wide = |values: &[u32]| values.iter().map(|&value| value.into()).collect::<Vec<u64>>();
            let (mut wide_least, mut wide_which) = (vec![u64::MAX; count], vec![u32::MAX; count]);
            for (mark, row) in rows.iter().enumerate() {
                let products: Vec<u64> = columns.chunks(2).map(|c| product(row, c)).collect();
                let norms = wide(&norms);
                lower_wide(isa, product(row, row), &norms, &products, mark as u32, &mut wide_least, &mut wide_which);
            }
            prop_assert_eq!((wide_least, wide_which), (wide(&least), which));
        }
    }

    #[test]
    fn floats_are_within_their_rounding(rows in 1..9_usize, dim in 1..150_usize, seed in any::<u64>()) {
        let floats = |count, seed| bytes(count, seed).iter().map(|&v| f32::from(v) * 0.37 - 50.0).collect::<Vec<f32>>();
        let (a, b) = (floats(rows * dim, seed), floats(SHORT_COLUMNS * dim, !seed));
        // A difference, its square and at most dim + 8 sums round; all summands are positive.
        let relative = (dim as f64 + 8.0) * 2_f64.powi(-24) * 1.01;
        for isa in Isa::available() {
            let transposed: Vec<f32> = (0..dim).flat_map(|i| b.iter().copied().skip(i).step_by(dim)).collect();
            let mut out = vec![f32::NAN; rows * SHORT_COLUMNS];
            squared_short(isa, &a, &transposed, dim, SHORT_COLUMNS, &mut out);
            for (r, a) in a.chunks_exact(dim).enumerate() {
                for (c, b) in b.chunks_exact(dim).enumerate() {
                    let exact: f64 = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
                    for found in [out[r * SHORT_COLUMNS + c], squared_f32(isa, a, b)] {
                        prop_assert!((f64::from(found) - exact).abs() <= relative * exact, "{isa}: {found}, {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn weighted_rows_are_the_same_everywhere(rows in 1..9_usize, row in 1..40_usize, sums in 0..5_usize, seed in any::<u64>()) {
        let from = bytes(rows * row, seed);
        let weights: Vec<f64> = bytes(sums * rows, !seed).iter().map(|&w| f64::from(w).sin()).collect();
        for isa in Isa::available() {
            let mut to = vec![f64::NAN; sums * row];
            weighted_rows(isa, &from, row, &weights, &mut to);
            for (at, &to) in to.iter().enumerate() {
                let (f, x) = (at / row, at % row);
                let sum = (0..rows).fold(0.0, |sum, y| sum + weights[f * rows + y] * f64::from(from[y * row + x]));
                prop_assert_eq!(to, sum);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Sums go on from one stretch of values to the next, for every row and column of the
    /// registers.
    #[test]
    fn deep_products_are_exact(dim in 900..3200_usize, seed in any::<u64>()) {
        for isa in Isa::available() {
            check_bytes(isa, &bytes(37 * dim, seed), &bytes(67 * dim, !seed), dim, LONGEST);
        }
    }
}

#[test]
fn no_length_overflows() {
    for dim in [1, 2, 1023, 1024, 1025, 16_385, 33_026, LONGEST, 66_053, 140_001] {
        for isa in Isa::available() {
            let (white, black) = (vec![255; 2 * dim], vec![0; 2 * dim]);
            check_bytes(isa, &white, &white, dim, LONGEST);
            check_bytes(isa, &white, &black, dim, LONGEST);
            assert_eq!(squared(isa, &white, &black), 65_025 * 2 * dim as u64);
        }
    }
}

#[test]
fn only_the_columns_asked_for_are_needed() {
    let (a, b) = (bytes(20 * 9, 1), bytes(70 * 9, 2));
    for isa in Isa::available() {
        let mut packed = Packed::new(isa);
        packed.fill(&b, 9, 0..9);
        for columns in [0, 1, 16, 33, 70] {
            let mut out = vec![7; ROWS * packed.stride()];
            packed.products(&a, 9, 0..9, columns, &mut out);
            for (r, a) in a.chunks_exact(9).enumerate() {
                for (c, b) in b.chunks_exact(9).enumerate() {
                    let found = u64::from(out[r * packed.stride() + c]);
                    // Columns come 32 at a time; the next ones are left alone.
                    let expected = if c < columns.next_multiple_of(32) { product(a, b) } else { 7 };
                    assert_eq!(found, expected, "{isa}, {columns} columns");
                }
            }
        }
    }
}
