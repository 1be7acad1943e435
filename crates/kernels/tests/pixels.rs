//! Pixel kernels against plain loops, for every instruction set of this machine, at odd sizes and in spare memory.

use proptest::prelude::*;
use selfsame_kernels::isa::Isa;
use selfsame_kernels::pixels::{
    BITS, Recolour, Window, box_rows, convolve, interleave, luminance_sum, recolour, scale_and_shift, split,
    split_transposed, transpose, weigh_rows,
};

fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mix = |i: u64| (i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29;
    (0..length as u64).map(|i| (mix(i) ^ mix(i) >> 17) as u8).collect()
}

/// Byte (x, y) of a picture of which the rows are `stride` apart.
fn at(picture: &[u8], stride: usize, x: usize, y: usize) -> u8 {
    picture[y * stride + x]
}

proptest! {
    #[test]
    fn transposing_moves_every_byte_and_no_other(
        [rows, columns, more, beyond] in [0..40_usize, 0..70_usize, 0..5_usize, 0..5_usize],
        seed: u64,
    ) {
        let (stride, to_stride) = (columns + more, rows + beyond);
        let from = bytes(rows * stride, seed);
        for isa in Isa::available() {
            let mut to = vec![7; columns * to_stride];
            transpose(isa, &from, stride, [rows, columns], &mut to, to_stride);
            for (i, &byte) in to.iter().enumerate() {
                let (x, y) = (i / to_stride, i % to_stride);
                let expected = if y < rows { at(&from, stride, x, y) } else { 7 };
                prop_assert_eq!(byte, expected, "{} {} {}", isa, x, y);
            }
        }
    }

    #[test]
    fn splitting_and_joining_move_every_channel(
        [rows, columns, more, beyond] in [1..75_usize, 1..70_usize, 0..9_usize, 0..5_usize],
        seed: u64,
    ) {
        let stride = 3 * columns + more;
        // As short as it may be: the last row ends with its last pixel.
        let from = bytes((rows - 1) * stride + 3 * columns, seed);
        for isa in Isa::available() {
            let mut planes = vec![0; 3 * rows * columns];
            split(isa, &from, stride, [rows, columns], &mut planes);
            let to_stride = 3 * rows + beyond;
            let mut turned = vec![7; columns * to_stride];
            split_transposed(isa, &from, stride, [rows, columns], &mut turned, to_stride, &mut Vec::new());
            for (x, y, c) in (0..columns).flat_map(|x| (0..rows).flat_map(move |y| (0..3).map(move |c| (x, y, c)))) {
                let expected = at(&from, stride, 3 * x + c, y);
                prop_assert_eq!(planes[(c * rows + y) * columns + x], expected);
                prop_assert_eq!(turned[x * to_stride + c * rows + y], expected);
            }
            let mut joined = vec![0; planes.len()];
            interleave(isa, &planes, &mut joined);
            for (y, row) in joined.chunks_exact(3 * columns).enumerate() {
                prop_assert_eq!(row, &from[y * stride..][..3 * columns]);
            }
        }
    }

    #[test]
    fn weighed_rows_are_rounded_sums(
        (row, more) in (1..100_usize, 0..5_usize),
        windows in prop::collection::vec((0..9_usize, 1..21_usize), 1..6),
        seed: u64,
    ) {
        let stride = row + more;
        let from = bytes(30 * stride, seed);
        // Weights that add up to one, some of them below zero.
        let weights: Vec<Vec<i32>> = windows
            .iter()
            .map(|&(start, count)| {
                let mut weights: Vec<i32> = (0..count).map(|i| ((start + i * 7) % 5) as i32 * 40_000 - 50_000).collect();
                weights[count / 2] += (1 << BITS) - weights.iter().sum::<i32>();
                weights
            })
            .collect();
        let flat = weights.concat();
        let shapes: Vec<Window> = windows.iter().map(|&(start, count)| Window { start, count }).collect();
        for isa in Isa::available() {
            let mut to = vec![0; windows.len() * row];
            weigh_rows(isa, &from, stride, row, (&shapes, &flat), &mut to, &mut Vec::new());
            for (i, &byte) in to.iter().enumerate() {
                let (x, window) = (i % row, i / row);
                let sum: i64 = weights[window]
                    .iter()
                    .enumerate()
                    .map(|(j, &weight)| i64::from(weight) * i64::from(at(&from, stride, x, shapes[window].start + j)))
                    .sum();
                let expected = ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255);
                prop_assert_eq!(i64::from(byte), expected, "{}", isa);
            }
        }
    }

    #[test]
    fn boxes_are_rounded_averages(
        [rows, row, radius] in [1..30_usize, 1..70_usize, 0..40_usize],
        share in 0.0..=1.0,
        seed: u64,
    ) {
        let from = bytes(rows * row, seed);
        let count = 2 * radius as u64 + 1;
        let full = ((1 << 24) as f64 / (count as f64 + 2.0 * share)) as u64;
        let full = full.min((1 << 24) / count);
        let edge = ((1 << 24) - count * full) / 2;
        for isa in Isa::available() {
            let mut to = vec![0; from.len()];
            box_rows(isa, &from, row, radius, [full as u32, edge as u32], &mut to, &mut Vec::new());
            for (i, &byte) in to.iter().enumerate() {
                let (x, y) = ((i % row), (i / row) as isize);
                let near = |d: isize| u64::from(at(&from, row, x, (y + d).clamp(0, rows as isize - 1) as usize));
                let reach = radius as isize;
                let inner: u64 = (-reach..=reach).map(near).sum();
                let sum = inner * full + (near(-reach - 1) + near(reach + 1)) * edge;
                prop_assert_eq!(u64::from(byte), (sum + (1 << 23)) >> 24, "{}", isa);
            }
        }
    }

    /// The sums are of non-negative products in 32-bit floats, so their relative error is at most twice the number of
    /// weights times 2⁻²⁴, in either direction; a level may be the next one where the sum is that near to a half.
    #[test]
    fn convolutions_are_rounded_sums(
        [rows, row, reach] in [1..30_usize, 1..80_usize, 0..12_usize],
        width in 0.3_f64..6.0,
        seed: u64,
    ) {
        let from = bytes(rows * row, seed);
        let exact: Vec<f64> = (0..=2 * reach).map(|i| (-((i as f64 - reach as f64) / width).powi(2)).exp()).collect();
        let total: f64 = exact.iter().sum();
        let kernel: Vec<f32> = exact.iter().map(|weight| (weight / total) as f32).collect();
        let mirror = |i: isize, length: usize| {
            let (mut i, last) = (i, length as isize - 1);
            while last > 0 && !(0..=last).contains(&i) {
                i = if i < 0 { -i } else { 2 * last - i };
            }
            if last == 0 { 0 } else { i as usize }
        };
        let mut results = Vec::new();
        for isa in Isa::available() {
            let mut plane = from.clone();
            convolve(isa, &mut plane, row, &kernel[reach..], &mut vec![f32::NAN; 3]);
            for (i, &byte) in plane.iter().enumerate() {
                let (x, y) = ((i % row) as isize, (i / row) as isize);
                let mut sum = 0.0;
                for (j, &down) in kernel.iter().enumerate() {
                    for (k, &along) in kernel.iter().enumerate() {
                        let y = mirror(y + j as isize - reach as isize, rows);
                        let x = mirror(x + k as isize - reach as isize, row);
                        sum += f64::from(down) * f64::from(along) * f64::from(at(&from, row, x, y));
                    }
                }
                let error = sum * 4.0 * kernel.len() as f64 * 2.0_f64.powi(-24) + 1e-9;
                let [low, high] = [sum - error, sum + error].map(|sum| (sum + 0.5).floor().clamp(0.0, 255.0));
                prop_assert!((low..=high).contains(&f64::from(byte)), "{} {}: {} for {}", isa, i, byte, sum);
            }
            results.push(plane);
        }
        prop_assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn changes_of_colour_are_the_same_in_every_set_and_piece(
        count in prop_oneof![1..40_usize, 1000..1100_usize],
        changes in prop::collection::vec(changes(), 0..6),
        seed: u64,
    ) {
        let planes = bytes(3 * count, seed);
        // Pixel by pixel: what is beside a pixel must not matter.
        let mut alone = planes.clone();
        for i in 0..count {
            let mut pixel = [planes[i], planes[count + i], planes[2 * count + i]];
            recolour("portable".parse().unwrap(), &mut pixel, 3, &changes);
            for (c, value) in pixel.into_iter().enumerate() {
                alone[c * count + i] = value;
            }
        }
        for isa in Isa::available() {
            let mut together = planes.clone();
            recolour(isa, &mut together, 3, &changes);
            prop_assert_eq!(&together, &alone, "{}", isa);
        }
    }

    #[test]
    fn luminance_and_floats_are_those_of_plain_loops(count in 0..2100_usize, seed: u64) {
        let planes = bytes(3 * count, seed);
        let weights = [19595_u64, 38470, 7471];
        let value = |c: usize, i: usize| u64::from(planes[c * count + i]);
        let expected: u64 =
            (0..count).map(|i| ((0..3).map(|c| weights[c] * value(c, i)).sum::<u64>() + 0x8000) >> 16).sum();
        let (scale, shift) = ([0.5, 3.0, 1e-3], [-1.0, 0.25, 7.0]);
        for isa in Isa::available() {
            prop_assert_eq!(luminance_sum(isa, &planes, 3), expected);
            prop_assert_eq!(luminance_sum(isa, &planes, 1), planes.iter().map(|&v| u64::from(v)).sum::<u64>());
            let mut floats = vec![0.0; planes.len()];
            scale_and_shift(isa, &planes, scale, shift, &mut floats);
            for (i, &float) in floats.iter().enumerate() {
                prop_assert_eq!(float, f32::from(planes[i]) * scale[i % 3] + shift[i % 3]);
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Recolour> {
    prop_oneof![
        (any::<u8>(), 0.0..300.0_f32).prop_map(|(from, factor)| Recolour::Blend { from, factor }),
        (0.0..300.0_f32).prop_map(Recolour::Saturate),
        any::<u8>().prop_map(Recolour::TurnHue),
        Just(Recolour::Grey),
        any::<u8>().prop_map(Recolour::Solarise),
    ]
}

#[test]
fn huge_factors_are_cut() {
    for isa in Isa::available() {
        for factor in [f32::MAX, 1e30] {
            let mut values = [0, 1, 100, 255, 7, 200];
            recolour(isa, &mut values, 1, &[Recolour::Blend { from: 100, factor }]);
            assert_eq!(values, [0, 0, 100, 255, 0, 255]);
            recolour(isa, &mut values, 1, &[Recolour::Blend { from: 0, factor }]);
            assert_eq!(values, [0, 0, 255, 255, 0, 255]);
        }
    }
}

#[test]
#[should_panic = "a factor of at least 0"]
fn a_negative_factor_is_refused() {
    recolour(Isa::best(), &mut [1, 2, 3], 3, &[Recolour::Blend { from: 0, factor: -1e9 }]);
}

#[test]
#[should_panic = "a factor of at least 0"]
fn a_factor_that_is_no_number_is_refused() {
    recolour(Isa::best(), &mut [1, 2, 3], 3, &[Recolour::Saturate(f32::NAN)]);
}

#[test]
#[should_panic = "whole"]
fn a_stride_that_would_wrap_is_refused() {
    transpose(Isa::best(), &[0; 16], 1 << (usize::BITS - 3), [9, 16], &mut [0; 9 * 16], 9);
}
