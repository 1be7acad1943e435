//! JPEGs of every legal arrangement: scan scripts, samplings, sizes, restarts. Each arrangement of the
//! same coefficients must give the same pixels, and two decoders must agree on them.

mod common;

use std::path::Path;

use common::scans::{Frame, Restarts};
use selfsame_data::decode_image;

/// Sampling factors of luminance and both colours.
const SAMPLINGS: [[(u8, u8); 3]; 16] = [
    [(1, 1), (1, 1), (1, 1)],
    [(2, 1), (1, 1), (1, 1)],
    [(1, 2), (1, 1), (1, 1)],
    [(2, 2), (1, 1), (1, 1)],
    [(4, 1), (1, 1), (1, 1)],
    [(1, 4), (1, 1), (1, 1)],
    [(4, 2), (1, 1), (1, 1)],
    [(3, 1), (1, 1), (1, 1)],
    [(1, 3), (1, 1), (1, 1)],
    [(3, 2), (1, 1), (1, 1)],
    [(2, 2), (2, 1), (1, 2)],
    [(2, 1), (2, 1), (1, 1)],
    [(2, 2), (1, 2), (2, 1)],
    // Luminance that is coarser than colour.
    [(1, 1), (2, 2), (2, 2)],
    [(1, 1), (2, 1), (1, 1)],
    [(1, 2), (2, 1), (1, 1)],
];

/// The components of each scan.
const SCRIPTS: [&[&[usize]]; 9] = [
    &[&[0, 1, 2]],
    &[&[0], &[1], &[2]],
    &[&[2], &[1], &[0]],
    &[&[1], &[0], &[2]],
    &[&[0], &[1, 2]],
    &[&[1, 2], &[0]],
    &[&[0, 1], &[2]],
    &[&[0, 2], &[1]],
    &[&[1], &[0, 2]],
];

const SIZES: [(usize, usize); 7] = [(1, 1), (8, 8), (7, 9), (16, 16), (17, 33), (41, 22), (50, 50)];

/// The central square of an image at its own size.
fn centre(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let side = width.min(height);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    (top..top + side)
        .flat_map(|row| &pixels[(row * width + left) * 3..][..side * 3])
        .copied()
        .collect()
}

fn second_decoder(bytes: &[u8]) -> Vec<u8> {
    jpeg_decoder::Decoder::new(bytes).decode().unwrap()
}

fn most_apart(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

/// The pixels of a square but the outermost.
fn inside(pixels: &[u8], side: usize) -> Vec<u8> {
    let inner = 1..side.saturating_sub(1).max(1);
    let rows = inner.clone();
    rows.flat_map(|row| &pixels[(row * side + 1) * 3..][..inner.len() * 3]).copied().collect()
}

#[test]
fn every_scan_script_of_every_sampling_gives_the_pixels_of_one_scan() {
    let mut compared = 0;
    for (sampling, (width, height)) in
        SAMPLINGS.iter().flat_map(|sampling| SIZES.map(|size| (sampling, size)))
    {
        let frame = Frame::smooth(width, height, sampling);
        let one_scan = frame.encode(SCRIPTS[0], Restarts::None);
        let wanted = centre(&second_decoder(&one_scan), width, height);
        for (number, script) in SCRIPTS.into_iter().enumerate() {
            let restarts = [Restarts::None, Restarts::Every(1), Restarts::Every(3)][number % 3];
            let bytes = frame.encode(script, restarts);
            let found = decode_image(&bytes, width.min(height) as u32).unwrap_or_else(|cause| {
                panic!("{sampling:?} {script:?} {width}x{height}: {cause}")
            });
            // The inverse DCTs round each sample by at most a level apart, and upsampling rounds
            // colour by one more. 1 + 1.772 × 2 for blue, and 1 for its own rounding. At the edge,
            // the fast decoder interpolates colour with what lies outside of the image.
            assert!(most_apart(&found, &wanted) <= 32, "{sampling:?} {width}x{height}");
            let side = width.min(height);
            let most = most_apart(&inside(&found, side), &inside(&wanted, side));
            assert!(most <= 6, "{sampling:?} {script:?} {restarts:?} {width}x{height}: {most}");
            if script.len() > 1 {
                assert!(found == wanted, "{sampling:?} {script:?} {width}x{height}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, SAMPLINGS.len() * SIZES.len() * SCRIPTS.len());
}

#[test]
fn small_sizes_do_not_depend_on_the_scan_script() {
    for sampling in &SAMPLINGS {
        let frame = Frame::smooth(150, 130, sampling);
        let one_scan = frame.encode(SCRIPTS[0], Restarts::None);
        for size in [6, 8, 13, 26, 40] {
            let wanted = decode_image(&one_scan, size).unwrap();
            for script in &SCRIPTS[1..] {
                let found = decode_image(&frame.encode(script, Restarts::Every(2)), size).unwrap();
                // One scan is decoded at a reduced scale, several are not. The waves of this picture
                // are short beside a pixel of the smallest sizes.
                let apart: f64 =
                    found.iter().zip(&wanted).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
                let mean = apart / found.len() as f64;
                assert!(mean < 3.0, "{sampling:?} {script:?} to {size}: {mean}");
            }
        }
    }
}

#[test]
fn a_scan_that_is_missing_or_cut_is_an_error() {
    let frame = Frame::smooth(41, 22, &SAMPLINGS[3]);
    for script in [&SCRIPTS[1][..2], &SCRIPTS[1][..1], &SCRIPTS[4][1..]] {
        let cause = decode_image(&frame.encode(script, Restarts::None), 8).unwrap_err();
        assert!(cause.contains("scan of a component is missing"), "{cause}");
    }
    for script in [SCRIPTS[1], SCRIPTS[4], SCRIPTS[6]] {
        let bytes = frame.encode(script, Restarts::None);
        let whole = decode_image(&bytes, 22).unwrap();
        for length in 0..bytes.len() - 2 {
            assert!(decode_image(&bytes[..length], 22).is_err(), "cut to {length}");
            if bytes[length - usize::from(length > 0)] != 0xff {
                let closed = [&bytes[..length], &[0xff, 0xd9]].concat();
                if let Ok(image) = decode_image(&closed, 22) {
                    assert!(image == whole, "closed at {length} of {}", bytes.len());
                }
            }
        }
    }
}

#[test]
fn colours_follow_the_segments_and_names_of_components() {
    let frame = Frame::smooth(16, 16, &SAMPLINGS[0]);
    let adobe = |transform| {
        let mut segment = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0".to_vec();
        segment.push(transform);
        segment
    };
    let jfif = b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
    let decoded = |names: [u8; 3], segments: &[Vec<u8>]| {
        let bytes = frame.named(names).encode(SCRIPTS[0], Restarts::None);
        let bytes = [&bytes[..2], &segments.concat(), &bytes[2..]].concat();
        decode_image(&bytes, 16).unwrap()
    };
    let ycbcr = decoded([1, 2, 3], std::slice::from_ref(&jfif));
    let rgb = decoded(*b"RGB", &[]);
    assert!(most_apart(&ycbcr, &rgb) > 30);
    let same = [
        ([1, 2, 3], vec![], &ycbcr),
        ([0, 1, 2], vec![], &ycbcr),
        (*b"BGR", vec![], &ycbcr),
        ([1, 34, 35], vec![], &ycbcr),
        ([1, 2, 3], vec![adobe(1)], &ycbcr),
        ([1, 2, 3], vec![adobe(0)], &rgb),
        (*b"RGB", vec![adobe(0)], &rgb),
        // JFIF knows YCbCr only.
        (*b"RGB", vec![jfif.clone()], &ycbcr),
        ([1, 2, 3], vec![jfif.clone(), adobe(0)], &ycbcr),
    ];
    for (names, segments, wanted) in same {
        let most = most_apart(&decoded(names, &segments), wanted);
        assert!(most <= 6, "{names:?} {segments:?}: {most}");
    }
}

#[test]
fn what_is_not_read_is_named() {
    let frame = Frame::smooth(16, 16, &SAMPLINGS[0]);
    let bytes = frame.encode(SCRIPTS[0], Restarts::None);
    let at = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let changed = |offset: usize, values: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at + offset..][..values.len()].copy_from_slice(values);
        decode_image(&bytes, 8).unwrap_err()
    };
    for (offset, values, word) in [
        (1, &[0xc9][..], "arithmetic"),
        (1, &[0xca], "arithmetic"),
        (1, &[0xc3], "lossless"),
        (1, &[0xc5], "hierarchical"),
        (4, &[12], "12 bits"),
        (5, &[0, 0], "height after"),
        (9, &[2], "2 channels"),
    ] {
        let cause = changed(offset, values);
        assert!(cause.contains(word), "{word}: {cause}");
    }
    // Fill bytes before a marker are allowed.
    let filled = [&bytes[..at], &[0xff; 5], &bytes[at..]].concat();
    assert_eq!(decode_image(&filled, 16), decode_image(&bytes, 16));
}

#[test]
fn several_scans_from_elsewhere_are_read() {
    let folder = Path::new("../../../shared/cases");
    let read = |name: &str| std::fs::read(folder.join(name));
    let (Ok(several), Ok(one)) = (read("multiscan-420.jpg"), read("multiscan-420.interleaved.jpg"))
    else {
        println!("skipped: {} is absent", folder.display());
        return;
    };
    for size in [8, 32, 64] {
        let [several, one] = [&several, &one].map(|bytes| decode_image(bytes, size).unwrap());
        assert!(most_apart(&several, &one) <= 6, "at {size}");
    }
}
