//! Division of images into training, validation and test.

use sha2::{Digest, Sha256};

use crate::catalogue::{Entry, Part};

/// Indices into the entries of the catalogue. Each part keeps the order of the catalogue.
pub(crate) struct Splits {
    pub(crate) train: Vec<usize>,
    pub(crate) validation: Vec<usize>,
    pub(crate) test: Vec<usize>,
    pub(crate) notes: Vec<String>,
}

/// Divides the entries, with at most `limit` in training and validation together and at most
/// `limit` in test.
///
/// Within each class, the images are put in an order drawn from the seed and dealt like cards. If
/// the set has no test part, the second of every ten images goes to test. If the set has no
/// validation part, the second of every nine remaining images goes to validation (of every ten, if
/// the set has a test part). A limit takes the first image of every class, then the second image of
/// every class, and so on. So a smaller limit takes a subset of the images that a larger limit
/// takes, and no image moves to another part.
pub(crate) fn split(entries: &[Entry], seed: u64, limit: Option<usize>) -> Splits {
    let part_of = |index: usize| entries[index].part;
    let entries_of = |part: Part| {
        (0..entries.len()).filter(move |&index| part_of(index) == part).collect::<Vec<_>>()
    };
    let (whole, train, mut validation, mut test) = (
        entries_of(Part::Whole),
        entries_of(Part::Train),
        entries_of(Part::Validation),
        entries_of(Part::Test),
    );
    let order = Order::new(entries, seed);
    let mut notes = Vec::new();

    if test.is_empty() && !validation.is_empty() {
        test = std::mem::take(&mut validation);
        notes.push(
            "The set's own validation part is used as the test part, since it has no other."
                .to_owned(),
        );
    }
    let undivided = !whole.is_empty();
    let (mut pool, every) = if undivided {
        let (rest, dealt) = order.deal(whole, 10);
        test = dealt;
        (rest, 9)
    } else {
        (train, 10)
    };
    let own_validation = !validation.is_empty();

    if let Some(limit) = limit {
        let learned = pool.len() + validation.len();
        let share = if own_validation { share(limit, validation.len(), learned) } else { 0 };
        pool = order.first(pool, limit - share);
        validation = order.first(validation, share);
        test = order.first(test, limit);
    }
    if !own_validation {
        (pool, validation) = order.deal(pool, every);
    }

    notes.push(if undivided {
        "The set has no parts of its own: of every ten images of a class, by seed, eight are for \
         training, one for \
         validation and one for test."
            .to_owned()
    } else if own_validation {
        "Training, validation and test are the set's own parts.".to_owned()
    } else {
        "Training and test are the set's own parts; every tenth training image of a class, by \
         seed, is held out for \
         validation."
            .to_owned()
    });
    for part in [&mut pool, &mut validation, &mut test] {
        part.sort_unstable();
    }
    Splits { train: pool, validation, test, notes }
}

/// Returns `limit` · `part` / `total`, rounded, but at least 1 if there are two or more to
/// distribute.
fn share(limit: usize, part: usize, total: usize) -> usize {
    let limit = limit.min(total);
    let exact = limit as u128 * part as u128;
    let rounded = ((exact + total as u128 / 2) / total as u128) as usize;
    rounded.max(usize::from(limit > 1)).min(part)
}

/// The drawn order of the images. It sorts by the hash of seed and name, so that it depends on
/// nothing else, neither on the other images nor on the location of the set.
struct Order<'a> {
    entries: &'a [Entry],
    keys: Vec<[u8; 16]>,
}

impl<'a> Order<'a> {
    fn new(entries: &'a [Entry], seed: u64) -> Self {
        let key = |entry: &Entry| {
            let digest =
                Sha256::new().chain_update(seed.to_le_bytes()).chain_update(&entry.name).finalize();
            std::array::from_fn(|byte| digest[byte])
        };
        Self { entries, keys: entries.iter().map(key).collect() }
    }

    /// Returns the images in the drawn order, each with its position within its class.
    fn ranked(&self, mut indices: Vec<usize>) -> Vec<(usize, usize)> {
        indices.sort_unstable_by_key(|&index| (self.entries[index].class, self.keys[index], index));
        let mut rank = 0;
        let mut ranked = Vec::with_capacity(indices.len());
        for (position, &index) in indices.iter().enumerate() {
            let same = position > 0
                && self.entries[indices[position - 1]].class == self.entries[index].class;
            rank = if same { rank + 1 } else { 0 };
            ranked.push((rank, index));
        }
        ranked
    }

    /// Deals the images into two parts: those that stay, and the second of every `every` images of
    /// each class.
    fn deal(&self, indices: Vec<usize>, every: usize) -> (Vec<usize>, Vec<usize>) {
        let (dealt, rest): (Vec<_>, Vec<_>) =
            self.ranked(indices).into_iter().partition(|(rank, _)| rank % every == 1);
        let indices =
            |ranked: Vec<(usize, usize)>| ranked.into_iter().map(|(_, index)| index).collect();
        (indices(rest), indices(dealt))
    }

    /// Returns at most `limit` images, spread evenly over the classes.
    fn first(&self, indices: Vec<usize>, limit: usize) -> Vec<usize> {
        let mut ranked = self.ranked(indices);
        ranked.sort_by_key(|&(rank, index)| (rank, self.entries[index].class));
        ranked.into_iter().take(limit).map(|(_, index)| index).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn entries(parts: &[(Part, u32)]) -> Vec<Entry> {
        let entry = |(item, &(part, class)): (usize, &(Part, u32))| Entry {
            name: format!("{item}"),
            class,
            part,
            item,
        };
        parts.iter().enumerate().map(entry).collect()
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_complete_and_within_the_limit(
            divided in any::<bool>(),
            choices in proptest::collection::vec((0usize..3, 0u32..4), 1..200),
            seed in any::<u64>(),
            limit in proptest::option::of(0usize..250),
        ) {
            let parts = [Part::Train, Part::Validation, Part::Test];
            let part_and_class = |&(part, class): &(usize, u32)| (if divided { parts[part] } else { Part::Whole }, class);
            let entries = entries(&choices.iter().map(part_and_class).collect::<Vec<_>>());
            let splits = split(&entries, seed, limit);
            let all: Vec<usize> = [&splits.train, &splits.validation, &splits.test].into_iter().flatten().copied().collect();
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
            prop_assert!([&splits.train, &splits.validation, &splits.test].iter().all(|part| part.is_sorted()));
            match limit {
                None => prop_assert_eq!(all.len(), entries.len()),
                Some(limit) => {
                    prop_assert!(splits.train.len() + splits.validation.len() <= limit && splits.test.len() <= limit);
                }
            }
            for (part, indices) in [(Part::Train, &splits.train), (Part::Test, &splits.test)] {
                // The set's own training images never become test images, and its test images never
                // become training images.
                let other = if part == Part::Train { Part::Test } else { Part::Train };
                prop_assert!(indices.iter().all(|&index| entries[index].part != other));
            }
            prop_assert_eq!(split(&entries, seed, limit).train, splits.train);
        }
    }

    #[test]
    fn every_class_of_ten_gives_one_to_each_held_out_part() {
        let entries = entries(&(0..300).map(|item| (Part::Whole, item % 30)).collect::<Vec<_>>());
        let splits = split(&entries, 9, None);
        for held_out in [&splits.validation, &splits.test] {
            let classes: BTreeSet<u32> =
                held_out.iter().map(|&index| entries[index].class).collect();
            assert_eq!((held_out.len(), classes.len()), (30, 30));
        }
        let one = super::split(&entries[..1], 9, None);
        assert_eq!((one.train.len(), one.validation.len(), one.test.len()), (1, 0, 0));
    }
}
