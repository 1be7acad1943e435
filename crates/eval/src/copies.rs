//! Images with the same pixels, within a split and across splits.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use rayon::prelude::*;
use selfsame_data::{Dataset, SplitName};
use selfsame_report::record::Copies;

/// The copies in a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Number of copies for each pair of splits, and within each split. A pair without copies is
    /// not listed.
    pub pairs: Vec<Copies>,
    /// Whether each test image has the pixels of a training or validation image.
    pub known: Vec<bool>,
    /// Groups of images with the same pixels, as of [`equal_images`].
    pub groups: Vec<Vec<(SplitName, usize)>>,
}

/// Pairs of splits: the split of the copies, and the split of the originals.
const PAIRS: [[SplitName; 2]; 6] = [
    [SplitName::Test, SplitName::Train],
    [SplitName::Test, SplitName::Validation],
    [SplitName::Validation, SplitName::Train],
    [SplitName::Train, SplitName::Train],
    [SplitName::Validation, SplitName::Validation],
    [SplitName::Test, SplitName::Test],
];

/// An image: its split, and its place there.
type Place = (SplitName, usize);

/// Finds the images of a data set that are equal, as [`equal_images`] does. Every image is read once
/// or twice.
///
/// ```
/// use selfsame_data::{LoadOptions, load};
///
/// let options = LoadOptions { limit: Some(20), ..LoadOptions::default() };
/// let mut glyphs = load("glyphs", &options, &|_, _| {})?;
/// assert!(selfsame_eval::copies(&glyphs).pairs.is_empty());
///
/// let options = LoadOptions { limit: Some(20), ..LoadOptions::default() };
/// glyphs.test = load("glyphs", &options, &|_, _| {})?.train;
/// let copied = selfsame_eval::copies(&glyphs);
/// assert_eq!((copied.pairs.len(), copied.pairs[0].images), (1, glyphs.test.len() as u64));
/// # Ok::<(), selfsame_data::DataError>(())
/// ```
pub fn copies(dataset: &Dataset) -> Copied {
    let groups = equal_images(dataset);
    let mut copied = Copied { pairs: Vec::new(), known: vec![false; dataset.test.len()], groups };
    let mut counts = PAIRS.map(|_| [0; 2]);
    for group in &copied.groups {
        count(dataset, group, &mut counts);
        let [train, validation, test] = SplitName::ALL.map(|split| members(group, split));
        if !train.is_empty() || !validation.is_empty() {
            test.iter().for_each(|&(_, image)| copied.known[image] = true);
        }
    }
    let found = PAIRS.into_iter().zip(counts).filter(|(_, [images, _])| *images > 0);
    copied.pairs = found
        .map(|([split, of], [images, relabelled])| Copies {
            split: split.name().into(),
            of: of.name().into(),
            images,
            out_of: dataset.split(split).len() as u64,
            relabelled,
        })
        .collect();
    copied
}

/// Groups the images of a data set that are equal: all that crops are drawn from, to the byte, and
/// the lower bytes of 16-bit values, which are not kept. Groups are in the order of their first
/// images, the images of a group in the order of splits and images. Images that equal
/// no other are left out.
pub fn equal_images(dataset: &Dataset) -> Vec<Vec<Place>> {
    let hasher = RandomState::new();
    let content = |(split, image): Place| {
        let (source, facts) =
            (dataset.split(split).source(image), dataset.split(split).facts(image));
        (source.width(), source.height(), facts.dropped, source.pixels())
    };
    let of_split = |split| (0..dataset.split(split).len()).map(move |image| (split, image));
    let places: Vec<Place> = SplitName::ALL.into_iter().flat_map(of_split).collect();
    let hashes: Vec<u64> =
        places.par_iter().map(|&place| hasher.hash_one(content(place))).collect();
    let mut by_hash: HashMap<u64, Vec<Place>> = HashMap::new();
    for (&hash, &place) in hashes.iter().zip(&places) {
        by_hash.entry(hash).or_default().push(place);
    }
    let alike: Vec<Vec<Place>> = by_hash.into_values().filter(|group| group.len() > 1).collect();
    // Different images may have the same hash.
    let equal = alike.into_par_iter().flat_map_iter(|group| {
        let mut equal: Vec<Vec<Place>> = Vec::new();
        for place in group {
            match equal.iter_mut().find(|group| content(group[0]) == content(place)) {
                Some(group) => group.push(place),
                None => equal.push(vec![place]),
            }
        }
        equal.into_iter().filter(|group| group.len() > 1)
    });
    let mut groups: Vec<Vec<Place>> = equal.collect();
    groups.sort_unstable_by_key(|group| group[0]);
    groups
}

/// Returns the images of one split in a group.
fn members(group: &[Place], split: SplitName) -> &[Place] {
    let start = group.partition_point(|place| place.0 < split);
    let end = group.partition_point(|place| place.0 <= split);
    &group[start..end]
}

/// Adds the copies of a group to the counts of all pairs: how many there are, and how many have a
/// label that none of their originals has.
fn count(dataset: &Dataset, group: &[Place], counts: &mut [[u64; 2]; PAIRS.len()]) {
    let label = |&(split, image): &Place| dataset.split(split).labels().map(|labels| labels[image]);
    for ([split, of], counts) in PAIRS.into_iter().zip(counts) {
        let (copies, originals) = (members(group, split), members(group, of));
        if split == of {
            let Some((first, rest)) = copies.split_first() else { continue };
            let mut labels = BTreeSet::from([label(first)]);
            let relabelled = rest.iter().filter(|place| labels.insert(label(place))).count();
            *counts = [counts[0] + rest.len() as u64, counts[1] + relabelled as u64];
        } else if !originals.is_empty() {
            let labels: BTreeSet<Option<u32>> = originals.iter().map(label).collect();
            let relabelled = copies.iter().filter(|place| !labels.contains(&label(place))).count();
            *counts = [counts[0] + copies.len() as u64, counts[1] + relabelled as u64];
        }
    }
}

#[cfg(test)]
mod tests {
    use selfsame_data::{LoadOptions, Split, load};

    use super::*;
    use crate::testing::dataset;

    #[test]
    fn copies_are_counted_by_pair_and_label() {
        // Images are levels, labels beside them.
        let splits = [
            vec![(1, 0), (2, 0), (3, 1), (3, 1), (3, 0)],
            vec![(1, 0), (4, 1)],
            vec![(1, 1), (3, 1), (4, 1), (4, 1), (5, 0), (1, 0)],
        ];
        let copied = copies(&dataset(&splits));
        let found: Vec<_> = copied
            .pairs
            .iter()
            .map(|pair| (&*pair.split, &*pair.of, pair.images, pair.out_of, pair.relabelled))
            .collect();
        assert_eq!(
            found,
            [
                ("test", "train", 3, 6, 1),
                ("test", "validation", 4, 6, 1),
                ("validation", "train", 1, 2, 0),
                ("train", "train", 2, 5, 1),
                ("test", "test", 2, 6, 1),
            ]
        );
        assert_eq!(copied.known, [true, true, true, true, false, true]);
    }

    #[test]
    fn a_single_pixel_tells_images_apart() {
        let mut data = dataset(&[vec![(7, 0); 3], vec![(8, 0)], vec![(9, 0)]]);
        let mut pixels = data.train.image(0).pixels().to_vec();
        *pixels.last_mut().unwrap() += 1;
        data.test = Split::new(data.image_size, pixels, Some(vec![0])).unwrap();
        let copied = copies(&data);
        assert_eq!((copied.pairs.len(), copied.known), (1, vec![false]));
        assert_eq!((&*copied.pairs[0].of, copied.pairs[0].images), ("train", 2));
    }

    /// Writes a PGM whose 16-bit value at each place is given, and loads the folder.
    fn written(images: [&dyn Fn(usize) -> u16; 3], (width, height): (usize, usize)) -> Dataset {
        let folder = tempfile::tempdir().unwrap();
        for (number, value) in images.into_iter().enumerate() {
            let header = format!("P5 {width} {height} 65535\n").into_bytes();
            let values = (0..width * height).flat_map(|at| value(at).to_be_bytes());
            let bytes: Vec<u8> = header.into_iter().chain(values).collect();
            std::fs::write(folder.path().join(format!("{number}.pgm")), bytes).unwrap();
        }
        let options = LoadOptions { image_size: Some(24), ..LoadOptions::default() };
        load(folder.path().to_str().unwrap(), &options, &|_, _| {}).unwrap()
    }

    #[test]
    fn images_that_differ_beside_their_centre_or_in_lower_bytes_are_no_copies() {
        let side = |level: u16| move |at: usize| if at % 72 < 20 { level } else { 30_000 };
        let sides = written([&side(0), &side(9000), &side(0)], (72, 24));
        let squares: Vec<Place> = SplitName::ALL
            .into_iter()
            .flat_map(|split| (0..sides.split(split).len()).map(move |image| (split, image)))
            .collect();
        let square = |&(split, image): &Place| sides.split(split).image(image).pixels();
        assert!(squares.iter().all(|place| square(place) == square(&squares[0])));
        let equal = equal_images(&sides);
        assert_eq!((equal.len(), equal[0].len()), (1, 2));

        let dark = |first: u16| move |at: usize| if at == 0 { first } else { (at % 256) as u16 };
        let equal = equal_images(&written([&dark(7), &dark(8), &dark(7)], (24, 24)));
        assert_eq!((equal.len(), equal[0].len()), (1, 2));
    }
}
