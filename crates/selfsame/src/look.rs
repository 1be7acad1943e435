//! What a run's encoder says of single images: labels that are likely wrong, copies, groups, and
//! nearest neighbours of a few.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use burn::tensor::Device;
use selfsame_data::Image;
use selfsame_eval::{Features, clusters, embed, knn, sample, suspects, twins};
use selfsame_nn::Backbone;
use selfsame_report::look::{
    CLUSTERS_FILE, Cluster, Clusters, LOOK_FILE, Labels, Look, Neighbour, Neighbourhood, Pictured,
    SUSPECTS_FILE, ShownSuspect, Suspect, Twin, Twins,
};
use selfsame_report::{write_atomic, write_json};

use crate::all::All;
use crate::csv::field;
use crate::{Error, Progress, Run};

pub(crate) mod pictures;

use pictures::Pictures;

/// Maximum number of images that are looked at.
pub(crate) const MOST: usize = 50_000;
/// Number of suspects and of pairs of either kind that the page shows.
const SHOWN: usize = 25;
/// Number of pairs that are listed.
const LISTED: usize = 1000;
/// Number of neighbours beside a suspect.
const BESIDE: usize = 5;
/// Number of clusters that are shown, and of images of each.
const CLUSTERS: usize = 24;
const TYPICAL: usize = 8;
/// Number of labels of a cluster that are counted.
const CLUSTER_LABELS: usize = 5;

/// Images with the features that an encoder gives them.
pub(crate) struct Seen<'a> {
    pub all: &'a All<'a>,
    /// The number of each image among all images.
    pub numbers: Vec<usize>,
    /// A row for each image.
    pub features: Features,
}

impl<'a> Seen<'a> {
    /// Embeds the images of all splits, or a sample of `most`.
    pub fn embed(
        all: &'a All<'a>,
        most: usize,
        encoder: &Backbone,
        device: &Device,
        progress: &mut dyn Progress,
    ) -> Result<Self, Error> {
        let numbers = sample(all.len(), most);
        let images: Vec<Image<'_>> = numbers.iter().map(|&number| all.image(number)).collect();
        let total = images.len() as u64;
        let features = embed(encoder, &images, device, &mut |done| {
            progress.advance("images embedded", done as u64, total, "");
        })?;
        progress.finish();
        Ok(Self { all, numbers, features })
    }

    /// Takes the embeddings of all images, split by split, or a sample of `most`. Returns `None` if
    /// not all images were embedded.
    pub fn of(all: &'a All<'a>, splits: [Features; 3], most: usize) -> Result<Option<Self>, Error> {
        let dim = splits[2].dim();
        let rows: usize = splits.iter().map(Features::rows).sum();
        if rows != all.len() {
            return Ok(None);
        }
        let values: Vec<f32> = splits.into_iter().flat_map(Features::into_values).collect();
        let numbers = (0..rows).collect();
        let seen = Self { all, numbers, features: Features::new(rows, dim, values)? };
        if rows <= most {
            return Ok(Some(seen));
        }
        let numbers = sample(rows, most);
        Ok(Some(Self { features: seen.pick(&numbers)?, numbers, ..seen }))
    }

    /// Returns the features of some rows.
    fn pick(&self, rows: &[usize]) -> Result<Features, Error> {
        let values = rows.iter().flat_map(|&row| self.features.row(row)).copied().collect();
        Ok(Features::new(rows.len(), self.features.dim(), values)?)
    }

    /// Returns those of `k` nearest neighbours of some rows that are not the row itself.
    pub fn nearest(&self, rows: &[usize], k: usize) -> Result<Vec<Vec<knn::Neighbour>>, Error> {
        Ok(knn::nearest_others(&self.features, rows, k)?)
    }

    /// Names an image and its nearest neighbours, and shows their pictures.
    pub fn neighbourhood(
        &self,
        row: usize,
        nearest: &[knn::Neighbour],
        pictures: &mut Pictures<'_>,
    ) -> Neighbourhood {
        let image = pictures.show(self.numbers[row]);
        let nearest = nearest.iter().map(|near| Neighbour {
            image: pictures.show(self.numbers[near.index as usize]),
            distance: distance(near.similarity),
        });
        Neighbourhood { image, nearest: nearest.collect() }
    }
}

fn distance(similarity: f32) -> f64 {
    (1.0 - f64::from(similarity)).max(0.0)
}

/// Looks at the images of a run whose folder is locked, and writes `suspects.json`, `clusters.csv` and
/// `look.json`.
pub(crate) fn look(
    run: &Run,
    seen: &Seen<'_>,
    step: u64,
    progress: &mut dyn Progress,
) -> Result<Look, Error> {
    let all = seen.all;
    let mut pictures = Pictures::new(all);
    let judged = judge(seen, progress)?;
    let judged = judged.map(|judged| label_record(seen, judged, &mut pictures)).transpose()?;
    let (labels, suspects) = judged.unzip();
    progress.note("comparing all images by their features");
    let twins = find_twins(seen, &mut pictures)?;
    progress.note("grouping images");
    let (clusters, table) = find_clusters(seen, &mut pictures)?;
    let look = Look {
        step,
        images: seen.numbers.len() as u64,
        out_of: all.len() as u64,
        labels,
        twins,
        clusters,
        pictures: pictures.pack()?,
    };
    write_json(&run.path().join(SUSPECTS_FILE), &suspects.unwrap_or_default())?;
    write_atomic(&run.path().join(CLUSTERS_FILE), table.as_bytes())?;
    write_json(&run.path().join(LOOK_FILE), &look)?;
    Ok(look)
}

/// Judged labels: the record of the judgement, and the suspects by row.
type Judged = (Labels, Vec<suspects::Suspect>);

/// Searches for labels that are likely wrong. Returns `None` if labels cannot be judged.
fn judge(seen: &Seen<'_>, progress: &mut dyn Progress) -> Result<Option<Judged>, Error> {
    let all = seen.all;
    let classes = all.dataset.classes.len();
    let labelled: Vec<usize> =
        (0..seen.numbers.len()).filter(|&row| all.label(seen.numbers[row]).is_some()).collect();
    let chosen = sample(labelled.len(), suspects::MOST / classes.max(1));
    let rows: Vec<usize> = chosen.into_iter().map(|at| labelled[at]).collect();
    let labels: Vec<u32> = rows.iter().filter_map(|&row| all.label(seen.numbers[row])).collect();
    let mut sizes = vec![0; classes];
    labels.iter().for_each(|&label| sizes[label as usize] += 1);
    if sizes.iter().filter(|&&size| size >= suspects::FOLDS).count() < 2 {
        return Ok(None);
    }
    let features = seen.pick(&rows)?;
    // The penalty is chosen without the test split, like everything else.
    let chooses = |row: usize| all.split(seen.numbers[rows[row]]) != selfsame_data::SplitName::Test;
    let place: HashMap<usize, usize> =
        rows.iter().enumerate().map(|(at, &row)| (seen.numbers[row], at)).collect();
    let copies: Vec<Vec<usize>> = all
        .equal()
        .iter()
        .map(|group| group.iter().filter_map(|number| place.get(number).copied()).collect())
        .collect();
    let folds = suspects::FOLDS as u64;
    let found =
        suspects::out_of_fold(&features, &labels, classes, &copies, &chooses, &mut |done| {
            progress.advance("folds of the labels judged", done as u64, folds, "");
        })?;
    progress.finish();
    let doubted = suspects::suspects(&found.probabilities, &labels, classes)?.rows;
    let labels = Labels {
        judged: found.predicted as u64,
        suspects: doubted.len() as u64,
        accuracy: found.accuracy,
        folds,
        lambda: found.lambda,
        shown: Vec::new(),
    };
    let of_all =
        doubted.into_iter().map(|suspect| suspects::Suspect { row: rows[suspect.row], ..suspect });
    Ok(Some((labels, of_all.collect())))
}

/// Names all suspects, and shows the first beside their nearest neighbours.
fn label_record(
    seen: &Seen<'_>,
    (labels, doubted): Judged,
    pictures: &mut Pictures<'_>,
) -> Result<(Labels, Vec<Suspect>), Error> {
    let class = |label: u32| seen.all.dataset.classes[label as usize].clone();
    let shown = &doubted[..doubted.len().min(SHOWN)];
    let rows: Vec<usize> = shown.iter().map(|suspect| suspect.row).collect();
    let nearest = seen.nearest(&rows, BESIDE)?;
    let shown = shown.iter().zip(nearest).map(|(suspect, nearest)| ShownSuspect {
        neighbourhood: seen.neighbourhood(suspect.row, &nearest, pictures),
        likely: class(suspect.likely),
        probability: suspect.probability,
    });
    let labels = Labels { shown: shown.collect(), ..labels };
    let named = doubted.iter().map(|suspect| {
        let Pictured { name, split, class: label, .. } = pictures.name(seen.numbers[suspect.row]);
        Suspect {
            image: name,
            split,
            label: label.unwrap_or_default(),
            likely: class(suspect.likely),
            probability: suspect.probability,
        }
    });
    let named = named.collect();
    Ok((labels, named))
}

/// Finds pairs of images that are nearly the same, by pixels and by features.
fn find_twins(seen: &Seen<'_>, pictures: &mut Pictures<'_>) -> Result<Twins, Error> {
    let all = seen.all;
    let found = twins::twins(&seen.features)?;
    let mut equal = Vec::new();
    // Equal images have equal features, and are listed once, by their pixels.
    let mut group_of = HashMap::new();
    for group in all.equal() {
        group_of.extend(group.iter().map(|&image| (image, group[0])));
        equal.extend(group[1..].iter().map(|&image| [group[0], image]));
    }
    let mut listed = HashSet::new();
    let near = found.pairs.iter().filter_map(|pair| {
        let images = pair.rows.map(|row| seen.numbers[row]);
        // One image stands for all that are equal to it.
        let first = images.map(|image| group_of.get(&image).copied().unwrap_or(image));
        let first = [first[0].min(first[1]), first[0].max(first[1])];
        (first[0] != first[1] && listed.insert(first)).then_some((
            images,
            pair.closeness,
            pair.distance,
        ))
    });
    let pairs: Vec<([usize; 2], bool, f64, f64)> = equal
        .into_iter()
        .map(|images| (images, true, 0.0, 0.0))
        .chain(near.map(|(images, closeness, distance)| (images, false, closeness, distance)))
        .collect();
    let across = pairs.iter().filter(|(images, ..)| all.crosses(images)).count();
    let mut shown = [0; 2];
    let record = |(images, equal, closeness, distance): &([usize; 2], bool, f64, f64)| {
        let rank = &mut shown[usize::from(all.crosses(images))];
        *rank += 1;
        let images = images.map(|image| match *rank <= SHOWN {
            true => pictures.show(image),
            false => pictures.name(image),
        });
        Twin { images, equal: *equal, closeness: *closeness, distance: *distance }
    };
    Ok(Twins {
        across: across as u64,
        within: (pairs.len() - across) as u64,
        threshold: found.threshold,
        pairs: pairs.iter().take(LISTED).map(record).collect(),
    })
}

/// Groups images. Also returns the table of the group of each image.
fn find_clusters(
    seen: &Seen<'_>,
    pictures: &mut Pictures<'_>,
) -> Result<(Option<Clusters>, String), Error> {
    let mut table = "image,split,label,cluster\n".to_owned();
    let Some(found) = clusters::cluster(&seen.features)? else { return Ok((None, table)) };
    for (&number, cluster) in seen.numbers.iter().zip(&found.of) {
        let image = pictures.name(number);
        let label = image.class.unwrap_or_default();
        let (name, label) = (field(&image.name), field(&label));
        let cluster = cluster.map(|cluster| (cluster + 1).to_string()).unwrap_or_default();
        let _ = writeln!(table, "{name},{},{label},{cluster}", image.split);
    }
    let label = |row: usize| seen.all.label(seen.numbers[row]);
    let labelled = found.of.iter().enumerate();
    let (of, labels): (Vec<u32>, Vec<u32>) =
        labelled.filter_map(|(row, cluster)| Some(((*cluster)?, label(row)?))).unzip();
    let cluster = |(at, members): (usize, &Vec<usize>)| {
        let mut counts = HashMap::new();
        members
            .iter()
            .filter_map(|&row| label(row))
            .for_each(|label| *counts.entry(label).or_insert(0) += 1);
        let mut counts: Vec<(u32, u64)> = counts.into_iter().collect();
        counts.sort_by_key(|&(label, images)| (std::cmp::Reverse(images), label));
        counts.truncate(CLUSTER_LABELS);
        let typical = members.iter().take(TYPICAL);
        let named = |(label, images): (u32, u64)| {
            (seen.all.dataset.classes[label as usize].clone(), images)
        };
        Cluster {
            images: members.len() as u64,
            labels: counts.into_iter().map(named).collect(),
            typical: match at < CLUSTERS {
                true => typical.map(|&row| pictures.show(seen.numbers[row])).collect(),
                false => typical.map(|&row| pictures.name(seen.numbers[row])).collect(),
            },
        }
    };
    let clusters = Clusters {
        clusters: found.members.iter().enumerate().map(cluster).collect(),
        between: found.of.iter().filter(|cluster| cluster.is_none()).count() as u64,
        sampled: found.sampled as u64,
        smallest: found.smallest as u64,
        components: found.components as u64,
        explained: found.explained,
        agreement: clusters::agreement(&of, &labels),
    };
    Ok((Some(clusters), table))
}
