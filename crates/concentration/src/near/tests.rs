use super::*;

/// Smooth pictures with details: waves whose directions and lengths come from the seed.
fn picture(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / (1_u64 << 24) as f64
    };
    let mut values = vec![0.0; BYTES];
    for wave in 0..24 {
        let frequency = 0.1 + 0.05 * f64::from(wave);
        let (angle, phase) = (7.0 * random(), 7.0 * random());
        let colours = [random(), random(), random()].map(|part| (part - 0.3) / frequency);
        for (at, value) in values.iter_mut().enumerate() {
            let (y, x) = ((at / 3 / SIDE) as f64, (at / 3 % SIDE) as f64);
            let along = x * angle.cos() + y * angle.sin();
            *value += 6.0 * colours[at % 3] * (frequency * along + phase).sin();
        }
    }
    values.iter().map(|value| (128.0 + value).clamp(40.0, 215.0) as u8).collect()
}

fn find(images: &[Vec<u8>]) -> NearCopies {
    near_copies(Isa::best(), &images.concat(), &mut |_| true).unwrap()
}

#[test]
fn planted_copies_are_found_and_nothing_else() {
    let mut images: Vec<Vec<u8>> = (0..300).map(picture).collect();
    let change = |image: &[u8], change: &dyn Fn(usize, f64) -> f64| -> Vec<u8> {
        image
            .iter()
            .enumerate()
            .map(|(at, &v)| change(at, v.into()).clamp(0.0, 255.0) as u8)
            .collect()
    };
    let brighter = change(&images[10], &|_, value| value + 30.0);
    let duller = change(&images[20], &|_, value| 100.0 + 0.3 * value);
    let mirrored = mirror(&images[30], SIDE);
    let noisy = change(&images[40], &|at, value| value + ((at * 7919) % 11) as f64 - 5.0);
    let copy = images[50].clone();
    images.extend([brighter, duller, mirrored, noisy, copy]);
    images.push(vec![77; BYTES]);
    let found = find(&images);
    assert_eq!(found.groups, [[10, 300], [20, 301], [30, 302], [40, 303], [50, 304]]);
    assert_eq!((found.found, &found.flat[..]), (5, &[305][..]));
    // What differs in brightness only, or is mirrored, is as near as a copy.
    assert!(found.pairs[..3].iter().all(|pair| pair.closeness == 0.0), "{:?}", found.pairs);
    for pair in &found.pairs {
        assert_eq!(pair.mirrored, pair.images == [30, 302], "{pair:?}");
        assert!(pair.correlation > 0.95, "{pair:?}");
    }
}

#[test]
fn the_bound_excludes_no_near_copy() {
    let mut images: Vec<Vec<u8>> = (0..120).map(|seed| picture(seed / 3)).collect();
    for (index, image) in images.iter_mut().enumerate() {
        // Three of each, with more and more noise.
        for (at, value) in image.iter_mut().enumerate() {
            *value = value.wrapping_add((at * (index % 3) * 13 % (1 + index % 9)) as u8);
        }
    }
    let bytes = images.concat();
    let mut set = Set::new(Isa::best(), &bytes);
    assert!(set.measure_units(Isa::best(), &mut |_| true));
    let mut all = Vec::new();
    for b in 0..set.len() {
        for a in 0..b {
            let ways = [false, true].map(|mirrored| {
                let turned = |values: &[u8], side| match mirrored {
                    true => mirror(values, side),
                    false => values.to_vec(),
                };
                let block = Block {
                    images: b..b + 1,
                    mirrored,
                    plain: turned(set.plain(b), SIDE),
                    coarse: Vec::new(),
                    details: turned(set.details(b), DETAIL_SIDE),
                };
                set.near(Isa::best(), a, &block, b)
            });
            all.extend(
                ways.into_iter().flatten().min_by(|a, b| a.closeness.total_cmp(&b.closeness)),
            );
        }
    }
    assert!((20..=120).contains(&all.len()), "{} at {}", all.len(), median(set.thresholds.clone()));
    let found = find(&images);
    assert_eq!(found.found, all.len());
    assert_eq!(found.pairs, closest(all));
}

#[test]
fn every_instruction_set_finds_the_same() {
    let mut images: Vec<Vec<u8>> = (0..60).map(picture).collect();
    images.push(images[3].iter().map(|value| value / 2 + 40).collect());
    let expected = find(&images);
    assert_eq!(expected.groups, [[3, 60]]);
    for isa in Isa::available() {
        let found = near_copies(isa, &images.concat(), &mut |_| true).unwrap();
        assert_eq!(found, expected, "{isa}");
    }
}

#[test]
fn few_images_and_none() {
    assert_eq!(find(&[]), NearCopies { threshold: NEAREST, ..NearCopies::default() });
    let (a, b) = (picture(1), picture(2));
    assert_eq!(find(&[a.clone(), b.clone()]).found, 0);
    assert_eq!(find(&[a.clone(), b, a.clone()]).groups, [[0, 2]]);
    let many = vec![a; 40];
    let found = find(&many);
    assert_eq!((found.groups.len(), found.groups[0].len(), found.found), (1, 40, 40 * 39 / 2));
    assert!(found.pairs.len() <= 40 * KEPT);
}

#[test]
fn it_stops_when_asked() {
    let images: Vec<u8> = (0..40).flat_map(picture).collect();
    assert_eq!(near_copies(Isa::best(), &images, &mut |_| false), None);
    let mut shares = Vec::new();
    let advance = &mut |share| {
        shares.push(share);
        true
    };
    near_copies(Isa::best(), &images, advance).unwrap();
    assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{shares:?}");
}
