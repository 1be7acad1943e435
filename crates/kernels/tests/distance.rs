//! Distances on every instruction set of the machine against plain loops.

use proptest::prelude::*;
use selfsame_kernels::distance::{
    Blocks, SHORT_COLUMNS, dots, squared, squared_f32, squared_norm, squared_short, weighted_rows,
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

fn check_bytes(isa: Isa, a: &[u8], b: &[u8], dim: usize) {
    let (rows, columns) = (a.len() / dim, b.len() / dim);
    let mut out = vec![1; rows * columns];
    dots(isa, a, b, dim, |_, _| true, &mut Blocks::default(), &mut out);
    for (r, a) in a.chunks_exact(dim).enumerate() {
        assert_eq!(squared_norm(isa, a), product(a, a), "{isa}, {dim} values");
        for (c, b) in b.chunks_exact(dim).enumerate() {
            assert_eq!(out[r * columns + c], 1 + product(a, b), "{isa}, {dim} values, row {r}, column {c}");
            assert_eq!(squared(isa, a, b), oracle(a, b), "{isa}, {dim} values");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_are_exact(rows in 0..11_usize, columns in 0..40_usize, dim in 1..200_usize, seed in any::<u64>()) {
        for isa in Isa::available() {
            check_bytes(isa, &bytes(rows * dim, seed), &bytes(columns * dim, !seed), dim);
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

#[test]
fn no_length_overflows() {
    for dim in [1, 2, 1023, 1024, 1025, 16_385, 33_026, 66_053, 140_001] {
        for isa in Isa::available() {
            let (white, black) = (vec![255; 2 * dim], vec![0; 2 * dim]);
            check_bytes(isa, &white, &white, dim);
            check_bytes(isa, &white, &black, dim);
            assert_eq!(squared(isa, &white, &black), 65_025 * 2 * dim as u64);
        }
    }
}

#[test]
fn products_that_are_not_needed_may_be_left_out() {
    let (a, b) = (bytes(20 * 9, 1), bytes(70 * 9, 2));
    for isa in Isa::available() {
        let mut out = vec![0; 20 * 70];
        dots(isa, &a, &b, 9, |rows, columns| columns.end > rows.start, &mut Blocks::default(), &mut out);
        for (r, a) in a.chunks_exact(9).enumerate() {
            for (c, b) in b.chunks_exact(9).enumerate().skip(r) {
                assert_eq!(out[r * 70 + c], product(a, b));
            }
        }
    }
}
