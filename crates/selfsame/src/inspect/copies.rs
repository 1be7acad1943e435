//! Copies and near copies among the images of all splits.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use rayon::prelude::*;
use selfsame_augment::{Scratch, resize};
use selfsame_concentration::near::{self, NearCopies, near_copies};
use selfsame_data::SplitName;
use selfsame_kernels::isa::Isa;
use selfsame_report::inspection::{Copies, Crossing, ImageName, NearCopy};

use super::pictures::Shown;
use crate::all::All;
use crate::csv::field;
use crate::{Error, Progress};

/// Maximum number of pairs that the page shows, of either kind: across splits, within a split.
const PAIRS: usize = 60;
/// Maximum number of groups of copies that the page shows.
const GROUPS: usize = 24;
/// Maximum number of images of a group that the page shows.
const MEMBERS: usize = 12;

/// Copies by number of image.
pub struct Found {
    /// Groups of two and more images with equal pixels, by their first image.
    exact: Vec<Vec<usize>>,
    /// Near copies among the first images of these groups and all other images.
    near: NearCopies,
    searched: bool,
}

impl Found {
    pub fn search(all: &All<'_>, near: bool, progress: &mut dyn Progress) -> Result<Self, Error> {
        let groups = all.equal();
        let further: HashSet<usize> =
            groups.iter().flat_map(|group| &group[1..]).copied().collect();
        let firsts: Vec<usize> = (0..all.len()).filter(|image| !further.contains(image)).collect();
        let found = match near {
            true => search_near(all, &firsts, progress)?,
            false => NearCopies::default(),
        };
        Ok(Self { exact: groups, near: found, searched: near })
    }

    pub fn record(&self, all: &All<'_>, shown: &mut Shown<'_>) -> Copies {
        let (mut across, mut within) = (0, 0);
        // What has pictures is what comes first.
        let mut near: Vec<_> = self.near.pairs.iter().collect();
        near.sort_by_key(|pair| !differ(all, &pair.images));
        let mut exact = self.exact.clone();
        exact.sort_by_key(|group| (!differ(all, group), !all.crosses(group)));
        let near = near.into_iter().map(|pair| {
            let [a, b] = pair.images;
            let rank = if all.split(a) == all.split(b) { &mut within } else { &mut across };
            *rank += 1;
            let picture = *rank <= PAIRS;
            NearCopy {
                images: [shown.name(a, picture), shown.name(b, picture)],
                mirrored: pair.mirrored,
                correlation: pair.correlation,
                closeness: pair.closeness,
            }
        });
        let near = near.collect();
        let mut named = |groups: &[Vec<usize>]| {
            let group = |(rank, group): (usize, &Vec<usize>)| {
                let images = group.iter().enumerate();
                images.map(|(at, &n)| shown.name(n, rank < GROUPS && at < MEMBERS)).collect()
            };
            groups.iter().enumerate().map(group).collect()
        };
        Copies {
            exact: named(&exact),
            groups: named(&self.groups()),
            near,
            near_pairs: self.near.found,
            crossings: self.crossings(all),
            flat: self.near.flat.len(),
            side: near::SIDE,
            threshold: self.near.threshold,
            searched: self.searched,
        }
    }

    /// Returns the groups of three images and more that copies and near copies connect, the largest
    /// first.
    fn groups(&self) -> Vec<Vec<usize>> {
        let exact = self.exact_of();
        let expand = |group: &Vec<usize>| {
            let mut images: Vec<usize> =
                group.iter().flat_map(|n| copies(&exact, n)).copied().collect();
            images.sort_unstable();
            images
        };
        let near: HashSet<usize> = self.near.groups.iter().flatten().copied().collect();
        let alone = self.exact.iter().filter(|group| !near.contains(&group[0])).cloned();
        let mut groups: Vec<Vec<usize>> =
            self.near.groups.iter().map(expand).chain(alone).filter(|g| g.len() > 2).collect();
        groups.sort_by_key(|group| (std::cmp::Reverse(group.len()), group[0]));
        groups
    }

    fn exact_of(&self) -> HashMap<usize, &[usize]> {
        self.exact.iter().map(|group| (group[0], group.as_slice())).collect()
    }

    /// Counts the images of each split that have a copy in each split.
    fn crossings(&self, all: &All<'_>) -> Vec<Crossing> {
        // For each image, the splits that hold an exact copy and a near copy of it.
        let mut found: BTreeMap<usize, [[bool; 3]; 2]> = BTreeMap::new();
        let mut note = |kind: usize, a: usize, b: usize| {
            let (split, other) = (all.split(a), all.split(b));
            // Within a split, only the later image counts as a copy.
            if split != other || b < a {
                found.entry(a).or_default()[kind][other as usize] = true;
            }
        };
        for group in &self.exact {
            // The first image of each split stands for all of them.
            let of_split = |name| group.iter().copied().find(|&image| all.split(image) == name);
            let firsts: Vec<usize> = SplitName::ALL.into_iter().filter_map(of_split).collect();
            for &image in group {
                for &first in firsts.iter().filter(|first| **first != image) {
                    note(0, image, first);
                }
            }
        }
        let exact = self.exact_of();
        for pair in &self.near.pairs {
            let [a, b] = &pair.images;
            for &a in copies(&exact, a) {
                for &b in copies(&exact, b) {
                    note(1, a, b);
                    note(1, b, a);
                }
            }
        }
        let mut crossings = Vec::new();
        for split in SplitName::ALL {
            for of in SplitName::ALL {
                let of_split = found.iter().filter(|(image, _)| all.split(**image) == split);
                let [exact, near] = of_split.fold([0, 0], |[exact, near], (_, kinds)| {
                    let [is_exact, is_near] = kinds.map(|kind| kind[of as usize]);
                    [exact + usize::from(is_exact), near + usize::from(is_near && !is_exact)]
                });
                if exact + near > 0 {
                    crossings.push(Crossing { split: split.name(), of: of.name(), exact, near });
                }
            }
        }
        crossings
    }
}

/// Returns all images with the pixels of `image`.
fn copies<'a>(exact: &HashMap<usize, &'a [usize]>, image: &'a usize) -> &'a [usize] {
    exact.get(image).copied().unwrap_or(std::slice::from_ref(image))
}

/// Returns whether some of these images have different labels.
fn differ(all: &All<'_>, images: &[usize]) -> bool {
    images.iter().any(|&image| all.label(image) != all.label(images[0]))
}

/// Lists all copies as a table (CSV), a line for each image that could be removed: the later one
/// of two near copies, and all but the first of a group of exact copies. Training images come
/// before validation images, and these before test images.
pub fn table(copies: &Copies) -> String {
    let mut table = "image,split,class,copy_of,copy_split,copy_class,kind,closeness\n".to_owned();
    let mut line = |image: &ImageName, of: &ImageName, kind: &str, closeness: String| {
        for ImageName { name, split, class, .. } in [image, of] {
            let class = class.as_deref().unwrap_or_default();
            let _ = write!(table, "{},{split},{},", field(name), field(class));
        }
        let _ = writeln!(table, "{kind},{closeness}");
    };
    for group in &copies.exact {
        group[1..].iter().for_each(|image| line(image, &group[0], "exact", "0".to_owned()));
    }
    for pair in &copies.near {
        let [of, image] = &pair.images;
        line(image, of, "near", format!("{:.3}", pair.closeness));
    }
    table
}

/// Finds the near copies among `images`.
fn search_near(
    all: &All<'_>,
    images: &[usize],
    progress: &mut dyn Progress,
) -> Result<NearCopies, Error> {
    let mut pixels = vec![0; images.len() * near::BYTES];
    let targets = pixels.par_chunks_exact_mut(near::BYTES).zip(images);
    targets.for_each_init(Scratch::default, |scratch, (target, &number)| {
        target.copy_from_slice(&resize(all.image(number), near::SIDE as u32, scratch));
    });
    let pairs = images.len() as u64 * (images.len() as u64).saturating_sub(1) / 2;
    let found = near_copies(Isa::best(), &pixels, &mut |share| {
        progress.advance("pairs compared", (share * pairs as f64) as u64, pairs, "");
        !progress.stop()
    });
    let mut found = found.ok_or(Error::Stopped)?;
    for pair in &mut found.pairs {
        pair.images = pair.images.map(|image| images[image]);
    }
    let lists = found.groups.iter_mut().flatten().chain(&mut found.flat);
    lists.for_each(|image| *image = images[*image]);
    Ok(found)
}
