//! A thousand damaged images in one folder: none may end the program, and each is either decoded or
//! named.

mod common;

use common::scans::{Frame, Restarts};
use common::{bmp, gif, jpeg, png, pnm, tiff, webp, write};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use selfsame_data::{DataError, LoadOptions};

/// Flips bytes anywhere, overwrites a stretch of the header, or cuts.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    match random.random_range(0..4) {
        0 => {
            for _ in 0..random.random_range(1..8) {
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= random.random_range(1..=255);
            }
        }
        1 => {
            let start = random.random_range(0..bytes.len().min(64));
            let end = (start + random.random_range(1..9)).min(bytes.len());
            let value = [0x00, 0x7f, 0xff][random.random_range(0..3)];
            bytes[start..end].fill(value);
        }
        2 => bytes.truncate(random.random_range(0..bytes.len())),
        _ => {
            let start = random.random_range(0..bytes.len());
            let end = random.random_range(start..bytes.len());
            bytes.drain(start..=end);
        }
    }
}

#[test]
fn a_thousand_mutated_images_are_each_kept_or_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let lossy: &[u8] = include_bytes!("fixtures/lossy.webp");
    for number in 0..1000 {
        let side = random.random_range(1..40);
        let (extension, mut bytes) = match number % 4 {
            0 => ("jpg", jpeg(number / 4, side)),
            1 => ("png", png(number, side)),
            2 => ("webp", webp(number, side)),
            _ => ("webp", lossy.to_vec()),
        };
        mutate(&mut bytes, &mut random);
        write(folder.path(), &format!("{}/{number:04}.{extension}", number % 5), bytes);
    }

    let options = LoadOptions { image_size: Some(16), ..LoadOptions::default() };
    let set = common::load(folder.path(), &options).unwrap();
    let kept = common::sizes(&set).iter().sum::<usize>();
    println!("{kept} of 1000 mutated images were decoded, {} named", set.skipped.len());
    assert_eq!(kept + set.skipped.len(), 1000);
    assert!(set.skipped.len() > 500, "most damage shows");
    assert!(
        set.skipped.iter().all(|skipped| !skipped.cause.is_empty() && skipped.name.contains('/'))
    );

    // JPEGs are decoded at a reduced scale for this, and are no more forgiven for it.
    let small = LoadOptions { image_size: Some(2), ..LoadOptions::default() };
    assert_eq!(common::load(folder.path(), &small).unwrap().skipped, set.skipped);

    let strict = LoadOptions { strict: true, ..options };
    let first = common::load(folder.path(), &strict).unwrap_err();
    assert!(
        matches!(&first, DataError::Damaged { name, .. } if set.skipped.iter().any(|skipped| skipped.name == *name))
    );
}

#[test]
fn of_twenty_thousand_mutated_files_each_is_decoded_or_refused_with_a_cause() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let scans: [&[&[usize]]; 3] = [&[&[0], &[1], &[2]], &[&[1, 2], &[0]], &[&[0, 1, 2]]];
    let makers: [fn(usize, usize) -> Vec<u8>; 7] = [jpeg, png, webp, bmp, gif, tiff, pnm];
    let (mut decoded, mut refused) = ([0; 8], [0; 8]);
    for number in 0..20_000 {
        let (kind, side) = (number % 8, random.random_range(1..40));
        let mut bytes = match makers.get(kind) {
            Some(make) => make(number / 8, side),
            None => Frame::smooth(side, side + 3, &[(2, 2), (1, 1), (1, 1)])
                .encode(scans[number / 8 % 3], Restarts::Every(2)),
        };
        mutate(&mut bytes, &mut random);
        match selfsame_data::decode_image(&bytes, [16, 3, 40][number % 3]) {
            Ok(_) => decoded[kind] += 1,
            Err(cause) => {
                assert!(!cause.is_empty());
                refused[kind] += 1;
            }
        }
    }
    println!("{decoded:?} decoded, {refused:?} refused");
    // Hardly any damage to a PNG goes unnoticed.
    assert!(decoded.iter().all(|&count| count > 0) && refused.iter().all(|&count| count > 1000));
}
