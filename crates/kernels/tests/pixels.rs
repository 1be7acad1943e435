//! Pixel kernels against plain loops, for every instruction set of this machine, at odd sizes and
//! in spare memory.

use proptest::prelude::*;
use selfsame_kernels::isa::Isa;
use selfsame_kernels::pixels::{
    BITS, Recolour, Window, box_rows, convolve, interleave, luminance_sum, recolour,
    scale_and_shift, split, split_transposed, transpose, weigh_rows,
};

fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mix = |i: u64| (i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 29;
    (0..length as u64).map(|i| (mix(i) ^ mix(i) >> 17) as u8).collect()
}

/// Memory for intermediate results as a larger call leaves it behind.
fn used<T: Clone + From<u8>>() -> Vec<T> {
    vec![77.into(); 20_000]
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
            split_transposed(isa, &from, stride, [rows, columns], &mut turned, to_stride, &mut used());
            for row in turned.chunks_exact(to_stride) {
                prop_assert_eq!(&row[3 * rows..], &[7; 5][..beyond], "what lies between rows");
            }
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
            let mut to = vec![7; windows.len() * row + more];
            weigh_rows(isa, &from, stride, row, (&shapes, &flat), &mut to, &mut used());
            let (to, beyond) = to.split_at(windows.len() * row);
            prop_assert_eq!(beyond, &[7; 5][..more], "what lies behind the last row");
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
            box_rows(isa, &from, row, radius, [full as u32, edge as u32], &mut to, &mut used());
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

    /// In either direction each of n products loses less than 2⁻⁷ of a level, and ⌊n / 2⌋ of those
    /// are given back: the sums are off by at most (n + 1) / 128 levels, and a level may be the
    /// next one where its sum is that near to a half.
    #[test]
    fn convolutions_are_rounded_sums(
        [rows, row, reach] in [1..30_usize, 1..80_usize, 0..12_usize],
        width in 0.3_f64..6.0,
        seed: u64,
    ) {
        let from = bytes(rows * row, seed);
        let exact: Vec<f64> = (0..=2 * reach).map(|i| (-((i as f64 - reach as f64) / width).powi(2)).exp()).collect();
        let total: f64 = exact.iter().sum();
        let mut kernel: Vec<u16> = exact[reach..].iter().map(|weight| (weight / total * 65536.0) as u16).collect();
        kernel[0] = (65536 - 2 * kernel[1..].iter().map(|&weight| u32::from(weight)).sum::<u32>()).min(65535) as u16;
        let weight = |i: usize| f64::from(kernel[i.abs_diff(reach)]) / 65536.0;
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
            convolve(isa, &mut plane, row, &kernel, &mut used());
            for (i, &byte) in plane.iter().enumerate() {
                let (x, y) = ((i % row) as isize, (i / row) as isize);
                let mut sum = 0.0;
                for j in 0..=2 * reach {
                    for k in 0..=2 * reach {
                        let y = mirror(y + j as isize - reach as isize, rows);
                        let x = mirror(x + k as isize - reach as isize, row);
                        sum += weight(j) * weight(k) * f64::from(at(&from, row, x, y));
                    }
                }
                let error = (kernel.len() + 1) as f64 / 128.0 + 1e-9;
                let [low, high] = [sum - error, sum + error].map(|sum| (sum + 0.5).floor().clamp(0.0, 255.0));
                prop_assert!((low..=high).contains(&f64::from(byte)), "{} {}: {} for \
                    {}", isa, i, byte, sum);
            }
            results.push(plane);
        }
        prop_assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn changes_of_colour_are_those_of_scalars(
        count in prop_oneof![1..40_usize, 1000..1100_usize],
        changes in prop::collection::vec(changes(), 0..6),
        seed: u64,
    ) {
        let planes = bytes(3 * count, seed);
        let mut expected = planes.clone();
        for i in 0..count {
            let pixel = [planes[i], planes[count + i], planes[2 * count + i]];
            for (c, value) in changes.iter().fold(pixel, changed).into_iter().enumerate() {
                expected[c * count + i] = value;
            }
        }
        // Of a single plane those that need no colour, which are the same for each of three equal
        // values.
        let plain = |change: &&Recolour| matches!(change, Recolour::Blend { .. } | Recolour::Solarise(_));
        let plain: Vec<Recolour> = changes.iter().filter(plain).copied().collect();
        let single: Vec<u8> = planes.iter().map(|&value| plain.iter().fold([value; 3], changed)[0]).collect();
        for isa in Isa::available() {
            let mut ours = planes.clone();
            recolour(isa, &mut ours, 3, &changes);
            prop_assert_eq!(&ours, &expected, "{}", isa);
            let mut ours = planes.clone();
            recolour(isa, &mut ours, 1, &plain);
            prop_assert_eq!(&ours, &single, "{}", isa);
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

/// A change of one pixel with Pillow's arithmetic: 32-bit floats where its C has `float`, 64-bit
/// ones where a constant or a function makes them `double`.
fn changed([red, green, blue]: [u8; 3], change: &Recolour) -> [u8; 3] {
    let [r, g, b] = [red, green, blue].map(u32::from);
    let luminance = ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8;
    // A cast to a byte cuts to 0 and 255.
    let blended = |from: u8, factor: f32, value: u8| {
        (f32::from(from) + factor * (f32::from(value) - f32::from(from))) as u8
    };
    let pixel = [red, green, blue];
    match *change {
        Recolour::Blend { from, factor } => pixel.map(|value| blended(from, factor, value)),
        Recolour::Saturate(factor) => pixel.map(|value| blended(luminance, factor, value)),
        Recolour::TurnHue(turn) => {
            let [hue, saturation, value] = to_hsv(pixel);
            from_hsv([hue.wrapping_add(turn), saturation, value])
        }
        Recolour::Grey => [luminance; 3],
        Recolour::Solarise(threshold) => {
            pixel.map(|value| if value < threshold { value } else { 255 - value })
        }
    }
}

/// Pillow's `rgb2hsv`, as in Python's `colorsys` but with 8 bits.
fn to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    let (most, least) = (red.max(green).max(blue), red.min(green).min(blue));
    if most == least {
        return [0, 0, most];
    }
    let spread = f32::from(most - least);
    let saturation = spread / f32::from(most);
    let [far_red, far_green, far_blue] =
        [red, green, blue].map(|value| f32::from(most - value) / spread);
    let sixths = if red == most {
        far_blue - far_green
    } else if green == most {
        (2.0 + f64::from(far_red) - f64::from(far_blue)) as f32
    } else {
        (4.0 + f64::from(far_green) - f64::from(far_red)) as f32
    };
    let hue = ((f64::from(sixths) / 6.0 + 1.0) % 1.0) as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, most]
}

/// Pillow's `hsv2rgb`.
fn from_hsv([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let sixths = f64::from(hue) * 6.0 / 255.0;
    let sixth = sixths.floor();
    let part = f64::from((sixths - sixth) as f32);
    let share = f64::from((f64::from(saturation) / 255.0) as f32);
    let level = |lack: f64| (f64::from(value) * (1.0 - lack)).round() as u8;
    let (low, falling, rising) = (level(share), level(share * part), level(share * (1.0 - part)));
    match sixth as u8 % 6 {
        0 => [value, rising, low],
        1 => [falling, value, low],
        2 => [low, value, rising],
        3 => [low, falling, value],
        4 => [rising, low, value],
        _ => [value, low, falling],
    }
}

/// Every colour there is, for each level of red turned by another part of the circle.
#[test]
fn every_hue_is_turned_as_by_pillow() {
    let rest: Vec<[u8; 2]> =
        (0..=255).flat_map(|green| (0..=255).map(move |blue| [green, blue])).collect();
    for red in 0..=255_u8 {
        let turn = Recolour::TurnHue(red.wrapping_mul(37).wrapping_add(11));
        let pixels: Vec<[u8; 3]> = rest.iter().map(|&[green, blue]| [red, green, blue]).collect();
        let planes = |pixels: &[[u8; 3]]| -> Vec<u8> {
            (0..3).flat_map(|c| pixels.iter().map(move |pixel| pixel[c])).collect()
        };
        let turned: Vec<[u8; 3]> = pixels.iter().map(|&pixel| changed(pixel, &turn)).collect();
        let expected = planes(&turned);
        for isa in Isa::available() {
            let mut ours = planes(&pixels);
            recolour(isa, &mut ours, 3, &[turn]);
            assert!(ours == expected, "{isa}, red {red}");
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
