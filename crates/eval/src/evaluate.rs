//! The whole evaluation of a trained encoder, beside its baselines: raw pixels and the encoder before training.

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use selfsame_augment::{Policy, Scratch, Source, ViewKey};
use selfsame_data::{Dataset, Split};
use selfsame_nn::ResNet;
use selfsame_report::Sprite;
use selfsame_report::record::{EmbeddingMap, Evaluation, Geometry, MapImage, Projection, Scores};

use crate::knn::{self, KnnOptions};
use crate::{Error, Features, Normalised, Pixels, Rows, accuracy, centre, embed, geometry, pca, probe};

/// Views drawn of an image for class centres and alignment, beside the image itself.
const VIEWS: u32 = 4;
/// Training images that class centres are made of, in all and at the least for each class.
const CENTRE_IMAGES: [usize; 2] = [2000, 20];
/// Test images that alignment, the other geometry and the map look at, at most.
const ALIGNMENT_IMAGES: usize = 500;
const GEOMETRY_IMAGES: usize = 5000;
const MAP_IMAGES: usize = 600;
/// Side of the map's thumbnails, at most.
const THUMB_SIDE: u32 = 32;

/// What an evaluation needs.
pub struct Subject<'a> {
    /// The images; what is measured is the test split.
    pub dataset: &'a Dataset,
    /// How views are drawn.
    pub policy: &'a Policy,
    /// Seed of the views.
    pub seed: u64,
    /// The encoder, in evaluation mode.
    pub trained: &'a ResNet,
    /// The same encoder with its initial weights.
    pub untrained: &'a ResNet,
    /// Where both live.
    pub device: &'a Device,
}

/// Measures the trained encoder, the untrained one and raw pixels on the test split, and maps its embeddings.
///
/// Without labels, all that needs them is left out, and [`Evaluation::left_out`] says so. `status` is told what is
/// under way.
///
/// # Errors
/// As the measures: mostly [`Error::NotFinite`], for an encoder whose outputs are no numbers.
pub fn evaluate(subject: &Subject<'_>, status: &mut dyn FnMut(&str)) -> Result<(Evaluation, EmbeddingMap), Error> {
    let Subject { dataset, .. } = subject;
    let mut evaluation = Evaluation {
        split: "test".into(),
        classes: dataset.classes.len() as u64,
        images: dataset.test.len() as u64,
        ..Evaluation::default()
    };
    if dataset.test.is_empty() {
        evaluation.left_out.push("There is no test image, so nothing was measured.".into());
        return Ok((evaluation, EmbeddingMap::default()));
    }

    let mut embedded = |encoder: &ResNet, name: &str| -> Result<[Features; 3], Error> {
        let mut part = |split: &Split, part: &str| {
            let images: Vec<&[u8]> = (0..split.len()).map(|i| split.image(i).pixels).collect();
            status(&format!("embedding {} {part} images with the {name} encoder", images.len()));
            embed(encoder, &images, dataset.image_size as usize, subject.device, &mut |_| ())
        };
        Ok([part(&dataset.train, "training")?, part(&dataset.validation, "validation")?, part(&dataset.test, "test")?])
    };
    let trained = embedded(subject.trained, "trained")?;
    let untrained = embedded(subject.untrained, "untrained")?;

    if dataset.classes.is_empty() {
        evaluation.left_out.push(
            "The images have no labels, so kNN, linear probe and nearest centre, which need them, were left out; \
             alignment, uniformity and effective rank do not."
                .into(),
        );
    } else if dataset.classes.len() == 1 {
        evaluation.left_out.push("There is a single class, so there is nothing to tell apart.".into());
    } else if dataset.train.is_empty() || dataset.validation.is_empty() {
        evaluation.left_out.push("kNN, linear probe and nearest centre need training and validation images.".into());
    } else {
        let views = ViewSet::for_centres(subject);
        status("kNN, linear probe and nearest centre of the trained encoder");
        let by = |encoder: &ResNet| views.embed(encoder, subject);
        evaluation.test =
            Some(scores(dataset, [&trained[0], &trained[1], &trained[2]], &by(subject.trained)?, &views)?);
        status("the same of the untrained encoder");
        evaluation.untrained =
            Some(scores(dataset, [&untrained[0], &untrained[1], &untrained[2]], &by(subject.untrained)?, &views)?);
        status("the same of raw pixels");
        let [a, b, c] = [pixels(&dataset.train)?, pixels(&dataset.validation)?, pixels(&dataset.test)?];
        evaluation.pixels = Some(scores(dataset, [&a, &b, &c], &Pixels::new(views.images())?, &views)?);
        evaluation.majority = Some(majority(dataset));
        let k = KnnOptions::default();
        evaluation.protocol = [
            (
                "kNN",
                format!(
                    "cosine, k = {}, weights exp(s / {}), neighbours from the training split",
                    k.k.min(dataset.train.len()),
                    k.temperature
                ),
            ),
            (
                "Linear probe",
                "logistic regression on standardised features, L2 strength chosen on the validation split".into(),
            ),
            (
                "Nearest centre",
                format!(
                    "centres of {} training images, each with {VIEWS} views, features normalised",
                    views.labels.len() / views.per_image
                ),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
    }

    status("alignment, uniformity and effective rank");
    evaluation.geometry = Some(shape(subject, subject.trained, &trained[2])?);
    evaluation.untrained_geometry = Some(shape(subject, subject.untrained, &untrained[2])?);
    let map = map(dataset, &trained[2], &untrained[2])?;
    Ok((evaluation, map))
}

/// Accuracies on the test split of one representation, given for the train, validation and test split and for
/// the views that centres are made of.
fn scores(
    dataset: &Dataset,
    [train, validation, test]: [&dyn Rows; 3],
    views: &dyn Rows,
    set: &ViewSet,
) -> Result<Scores, Error> {
    let labels = |split: &'_ Split| split.labels().unwrap_or_default().to_vec();
    let (train_labels, truth, classes) = (labels(&dataset.train), labels(&dataset.test), dataset.classes.len());
    let neighbours = knn::classify(train, &train_labels, classes, test, &KnnOptions::default())?;
    let probe = probe::fit(train, &train_labels, validation, &labels(&dataset.validation), classes)?;
    let centres =
        centre::fit(&Normalised(views), &set.labels, &vec![1.0 / set.per_image as f64; set.labels.len()], classes)?;
    Ok(Scores {
        knn_acc1: accuracy(&neighbours, &truth)?,
        linear_acc1: accuracy(&probe.predict(test)?, &truth)?,
        centre_acc1: accuracy(&centres.predict(&Normalised(test))?, &truth)?,
    })
}

/// Share of the test split's commonest class.
fn majority(dataset: &Dataset) -> f64 {
    let labels = dataset.test.labels().unwrap_or_default();
    let count = |class: usize| labels.iter().filter(|&&label| label as usize == class).count();
    (0..dataset.classes.len()).map(count).max().unwrap_or(0) as f64 / labels.len() as f64
}

fn pixels(split: &Split) -> Result<Pixels<'_>, Error> {
    Pixels::new((0..split.len()).map(|i| split.image(i).pixels).collect())
}

/// Label-free measures of an encoder on the test split.
fn shape(subject: &Subject<'_>, encoder: &ResNet, test: &Features) -> Result<Geometry, Error> {
    let views = ViewSet::draw(subject, &subject.dataset.test, &sample(test.rows(), ALIGNMENT_IMAGES), u64::MAX - 1);
    let features = views.embed(encoder, subject)?;
    let some = rows(test, &sample(test.rows(), GEOMETRY_IMAGES))?;
    Ok(Geometry {
        alignment: Some(geometry::alignment(&Normalised(&features), views.per_image)?.finite),
        uniformity: if some.rows() > 1 { Some(geometry::uniformity(&some)?) } else { None },
        rankme: if some.dim() <= 4096 { Some(geometry::rank_me(&some)?) } else { None },
    })
}

fn map(dataset: &Dataset, trained: &Features, untrained: &Features) -> Result<EmbeddingMap, Error> {
    let chosen = sample(trained.rows(), MAP_IMAGES);
    let project = |features: &Features| -> Result<Projection, Error> {
        let pca = pca::project(&Normalised(&rows(features, &chosen)?))?;
        Ok(Projection { explained: pca.explained, points: pca.coordinates })
    };
    let test = &dataset.test;
    let (side, tiles) = thumbnails(test, &chosen);
    let tiles: Vec<&[u8]> = tiles.iter().map(Vec::as_slice).collect();
    Ok(EmbeddingMap {
        method: "pca".into(),
        split: "test".into(),
        images: chosen
            .iter()
            .map(|&i| MapImage { name: test.name(i).to_owned(), label: test.labels().map(|labels| labels[i]) })
            .collect(),
        trained: project(trained)?,
        untrained: Some(project(untrained)?),
        thumbs: Sprite::thumbnails(side, side, &tiles, 25).ok(),
    })
}

/// The chosen images, brought to thumbnail size.
fn thumbnails(split: &Split, chosen: &[usize]) -> (u32, Vec<Vec<u8>>) {
    let whole: Policy = "none".parse().expect("`none` is a policy");
    let mut scratch = Scratch::default();
    let side = chosen.first().map_or(1, |&i| split.image(i).width.min(THUMB_SIDE));
    let tile = |&i: &usize| {
        let mut out = vec![0; (side * side * 3) as usize];
        let image = split.image(i);
        let source = Source::new(image.width, image.height, image.pixels).expect("a split holds whole images");
        let key = ViewKey { seed: 0, image: 0, epoch: 0, view: 0 };
        whole.view(key, source, side, &mut scratch, &mut out).expect("the tile has its size");
        out
    };
    (side, chosen.iter().map(tile).collect())
}

/// At most `most` of `count` indices, ascending: always the same random ones, since a regular choice could fall in
/// step with a regular order of classes.
pub fn sample(count: usize, most: usize) -> Vec<usize> {
    let mut chosen = rand::seq::index::sample(&mut ChaCha8Rng::seed_from_u64(0), count, count.min(most)).into_vec();
    chosen.sort_unstable();
    chosen
}

fn rows(features: &Features, chosen: &[usize]) -> Result<Features, Error> {
    let values = chosen.iter().flat_map(|&i| features.row(i)).copied().collect();
    Features::new(chosen.len(), features.dim(), values)
}

/// Images, each followed by its views: A_M(x) of the theory, the image itself included.
struct ViewSet {
    bytes: Vec<u8>,
    size: usize,
    per_image: usize,
    /// One a view; empty without labels.
    labels: Vec<u32>,
}

impl ViewSet {
    fn for_centres(subject: &Subject<'_>) -> Self {
        let (split, classes) = (&subject.dataset.train, subject.dataset.classes.len());
        let labels = split.labels().unwrap_or_default();
        let most = (CENTRE_IMAGES[0] / classes).max(CENTRE_IMAGES[1]);
        let chosen: Vec<usize> = (0..classes as u32)
            .flat_map(|class| {
                let members: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
                sample(members.len(), most).into_iter().map(move |i| members[i])
            })
            .collect();
        Self::draw(subject, split, &chosen, u64::MAX)
    }

    /// `epoch` keeps these views apart from those of training and from each other.
    fn draw(subject: &Subject<'_>, split: &Split, chosen: &[usize], epoch: u64) -> Self {
        let size = subject.dataset.image_size;
        let mut scratch = Scratch::default();
        let (mut bytes, mut labels) = (Vec::new(), Vec::new());
        let mut view = vec![0; (size * size * 3) as usize];
        for &i in chosen {
            let image = split.image(i);
            let source = Source::new(image.width, image.height, image.pixels).expect("a split holds whole images");
            bytes.extend_from_slice(image.pixels);
            for number in 0..VIEWS {
                let key = ViewKey { seed: subject.seed, image: i as u64, epoch, view: number };
                subject.policy.view(key, source, size, &mut scratch, &mut view).expect("the view has its size");
                bytes.extend_from_slice(&view);
            }
            labels.extend(split.labels().map(|labels| vec![labels[i]; VIEWS as usize + 1]).unwrap_or_default());
        }
        Self { bytes, size: size as usize, per_image: VIEWS as usize + 1, labels }
    }

    fn images(&self) -> Vec<&[u8]> {
        self.bytes.chunks(self.size * self.size * 3).collect()
    }

    fn embed(&self, encoder: &ResNet, subject: &Subject<'_>) -> Result<Features, Error> {
        embed(encoder, &self.images(), self.size, subject.device, &mut |_| ())
    }
}
