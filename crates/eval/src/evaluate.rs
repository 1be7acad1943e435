//! The complete evaluation of a trained encoder, together with its baselines, such as raw pixels
//! and the encoder before training.

use std::borrow::Cow;
use std::collections::BTreeMap;

use burn::tensor::Device;
use selfsame_augment::{Image, Policy, Purpose, ViewSets};
use selfsame_data::{Dataset, Split, SplitName};
use selfsame_nn::Backbone;
use selfsame_report::predictions::Predictions;
use selfsame_report::record::{
    Accuracies, EmbeddingMap, Evaluation, FewLabels, Geometry, LeftOut, OnValidation,
    Representation, Unseen,
};

use crate::ground::{Ground, Predicted, Way, trained_classes};
use crate::knn::{self, KnnOptions};
use crate::map::map;
use crate::patches::{self, Patches};
use crate::probe::LAMBDAS;
use crate::rows::Chosen;
use crate::{
    Error, Features, MAX_DIM, Normalised, Pixels, Rows, copies, embed, geometry, labels, sample,
    shrink,
};

/// Shares of the labels that further linear probes are fitted with.
const SHARES: [f64; 2] = [0.01, 0.1];
/// Number of views per image for class centres and alignment, in addition to the image itself.
const VIEWS: usize = 4;
/// Number of training images for class centres: the total, and the minimum per class.
const CENTRE_IMAGES: [usize; 2] = [2000, 20];
/// Maximum number of test images for alignment.
const ALIGNMENT_IMAGES: usize = 500;
/// Maximum number of test images for all other measures of geometry.
const GEOMETRY_IMAGES: usize = 5000;
/// Largest side, in pixels, of images that are used as raw pixels.
/// Nearest neighbours and a linear probe depend on colours and coarse layout, so more pixels would
/// cost time and hardly change the accuracies.
const SMALL_SIDE: u32 = 32;

/// Inputs of an evaluation.
pub struct Subject<'a> {
    /// The images. The test split is measured.
    pub dataset: &'a Dataset,
    /// Policy that draws views.
    pub policy: &'a Policy,
    /// Seed of the views.
    pub seed: u64,
    /// The encoders, in evaluation mode. One of them is [`Representation::Trained`].
    pub encoders: Vec<(Representation, &'a Backbone)>,
    /// Number of neighbours of kNN. If `None`, it is chosen for each representation, without the
    /// test split.
    pub knn_k: Option<usize>,
    /// Device of the encoders.
    pub device: &'a Device,
}

/// The embeddings of an encoder, of the training, validation and test split. Only accuracies need
/// the first two.
struct Embedded<'a> {
    of: Representation,
    encoder: &'a Backbone,
    splits: [Features; 3],
}

/// Hears what [`evaluate`] does, and how much of it is done of how much.
pub type Status<'a> = dyn FnMut(&str, Option<(usize, usize)>) + 'a;

/// What [`evaluate`] finds.
pub struct Evaluated {
    /// The measures.
    pub evaluation: Evaluation,
    /// A map of the test images.
    pub map: EmbeddingMap,
    /// What the trained encoder predicts; its digest and step are for the caller to say. `None`
    /// without accuracies.
    pub predictions: Option<Predictions>,
    /// Embeddings of the trained encoder, of the training, validation and test split. The first two
    /// are empty if there are no accuracies; all are if nothing was measured.
    pub trained: [Features; 3],
}

/// Measures encoders and raw pixels on the test split, and maps the embeddings of that split.
///
/// Without labels, measures that need labels are left out, and [`Evaluation::left_out`] says so.
/// `status` is called with a description of the current work, and again with how much of it is done
/// of how much.
///
/// # Errors
/// The errors of the measures: mostly [`Error::NotFinite`], if the encoder returns values that are
/// not finite.
pub fn evaluate(subject: &Subject<'_>, status: &mut Status<'_>) -> Result<Evaluated, Error> {
    let Subject { dataset, .. } = subject;
    status("comparing the pixels of all images", None);
    let copied = copies(dataset);
    let mut evaluation = Evaluation {
        split: SplitName::Test.name().into(),
        classes: dataset.classes.len() as u64,
        images: dataset.test.len() as u64,
        copies: copied.pairs.clone(),
        unseen: unseen(dataset),
        source_size: dataset.larger_source(),
        ..Evaluation::default()
    };
    if dataset.test.is_empty() {
        evaluation.left_out.push(LeftOut::NoImages);
        let nothing = || Features::new(0, 1, Vec::new());
        return Ok(Evaluated {
            evaluation,
            map: EmbeddingMap::default(),
            predictions: None,
            trained: [nothing()?, nothing()?, nothing()?],
        });
    }

    let ground = Ground::new(dataset, &copied);
    let mut encoders = subject.embed(ground.is_ok(), status)?;
    let predictions = match ground {
        Err(reason) => {
            evaluation.left_out.push(reason);
            None
        }
        Ok(ground) => accuracies(subject, &ground, &encoders, &mut evaluation, status)?,
    };

    status("alignment, uniformity and effective rank", None);
    for Embedded { of, encoder, splits } in &encoders {
        evaluation.geometry.insert(of.clone(), shape(subject, encoder, &splits[2])?);
    }
    status("a map of the test images", None);
    let trained = encoders.iter().position(|each| each.of == Representation::Trained);
    let trained = encoders.swap_remove(trained.expect("one encoder is the trained one")).splits;
    let untrained = encoders.iter().find(|each| each.of == Representation::Untrained);
    let map = map(dataset, &trained[2], untrained.map(|each| &each.splits[2]))?;
    Ok(Evaluated { evaluation, map, predictions, trained })
}

impl<'a> Subject<'a> {
    /// Embeds the test split with each encoder, and for accuracies also the other splits.
    fn embed(&self, accuracies: bool, status: &mut Status<'_>) -> Result<Vec<Embedded<'a>>, Error> {
        let each = self.encoders.iter().map(|(of, encoder)| {
            let mut part = |split: &Split, part: &str, wanted: bool| {
                let images = if wanted { images(split) } else { Vec::new() };
                let what = format!("embedding {} {part} images: {of}", images.len());
                if !images.is_empty() {
                    status(&what, None);
                }
                embed(encoder, &images, self.device, &mut |done| {
                    status(&what, Some((done, images.len())));
                })
            };
            let splits = [
                part(&self.dataset.train, "training", accuracies)?,
                part(&self.dataset.validation, "validation", accuracies)?,
                part(&self.dataset.test, "test", true)?,
            ];
            Ok(Embedded { of: of.clone(), encoder, splits })
        });
        each.collect()
    }
}

/// Measures the accuracies of encoders, given with their features, and of raw pixels. Returns what
/// the trained encoder predicts; its digest and step are for the caller to say.
fn accuracies(
    subject: &Subject<'_>,
    ground: &Ground<'_>,
    encoders: &[Embedded<'_>],
    evaluation: &mut Evaluation,
    status: &mut Status<'_>,
) -> Result<Option<Predictions>, Error> {
    let dataset = ground.dataset;
    let views = DrawnViews::for_centres(subject);
    let few = SHARES.map(|share| FewLabels { share, ..FewLabels::default() }).into();
    let mut measured =
        Measured { ground, subject, labels: &views.labels, predicted: BTreeMap::new(), few };
    for Embedded { of, encoder, splits } in encoders {
        let rows = splits.each_ref().map(|features| features as &dyn Rows);
        measured.add(of, rows, &views.embed(encoder)?, status)?;
    }
    let splits = [&dataset.train, &dataset.validation, &dataset.test];
    let raw = splits.map(|split| shrink(&images(split), SMALL_SIDE));
    let raw_views = views.small();
    status("learning whitened patches", None);
    let side = dataset.image_size.min(SMALL_SIDE) as usize;
    let patches = Patches::learn(&slices(&raw[0]), side, 0)?;
    let filtered = |images: &[Cow<'_, [u8]>]| patches.features(&slices(images));
    let [train, validation, test] = raw.each_ref().map(|images| filtered(images));
    let rows: [&dyn Rows; 3] = [&train?, &validation?, &test?];
    measured.add(&Representation::Patches, rows, &filtered(&raw_views)?, status)?;
    let [train, validation, test] = raw.each_ref().map(|images| pixels(images));
    let rows: [&dyn Rows; 3] = [&*train?, &*validation?, &*test?];
    measured.add(&Representation::Pixels, rows, &*pixels(&raw_views)?, status)?;
    let Measured { mut predicted, few, .. } = measured;

    let truth = ground.truth();
    let classes = dataset.classes.len();
    let over = |chosen: &[usize]| -> Result<Accuracies, Error> {
        let truth = labels::pick(&truth, chosen);
        let scores = predicted
            .iter()
            .map(|(of, each)| Ok((of.clone(), each.scores(chosen, &truth, classes)?)));
        Ok(Accuracies {
            images: truth.len() as u64,
            majority: Some(majority(&truth, classes)),
            of: scores.collect::<Result<_, Error>>()?,
        })
    };
    let (known, new): (Vec<usize>, Vec<usize>) =
        (0..truth.len()).partition(|&image| ground.known[image]);
    evaluation.accuracies = Some(over(&(0..truth.len()).collect::<Vec<_>>())?);
    evaluation.known = known.len() as u64;
    if !known.is_empty() && !new.is_empty() {
        evaluation.without_copies = Some(over(&new)?);
    }
    evaluation.verdict = evaluation.judge();
    evaluation.few_labels = few;
    evaluation.protocol = protocol(ground, &views, &predicted, subject.knn_k);
    let trained = encoders.iter().find(|each| each.of == Representation::Trained);
    if let Some((Embedded { splits, .. }, found)) =
        trained.zip(predicted.get(&Representation::Trained))
    {
        evaluation.per_class = found.per_class(&truth, &dataset.classes);
        evaluation.class_names.clone_from(&dataset.classes);
        evaluation.confusion = found.confusion(&truth, classes);
        let [train, validation, _] = splits;
        let knn = ground.validation_knn(train, validation, found.k)?;
        let images = ground.validation.len() as u64;
        evaluation.validation = knn.map(|knn_acc1| OnValidation { images, knn_acc1 });
    }
    let name = |&image: &usize| dataset.test.name(image).to_owned();
    Ok(predicted.remove(&Representation::Trained).map(|trained| Predictions {
        image_size: dataset.image_size,
        source_size: dataset.larger_source(),
        classes: dataset.classes.clone(),
        images: ground.test.iter().map(name).collect(),
        labels: truth,
        knn: trained.knn,
        linear: trained.linear,
        centre: trained.centre,
        ..Predictions::default()
    }))
}

/// What the representations make of the test images.
struct Measured<'a> {
    ground: &'a Ground<'a>,
    subject: &'a Subject<'a>,
    /// Labels of the views that centres are computed from.
    labels: &'a [u32],
    predicted: BTreeMap<Representation, Predicted>,
    /// The accuracies with few labels, for each of [`SHARES`].
    few: Vec<FewLabels>,
}

impl Measured<'_> {
    /// Adds a representation, given for the three splits and for the views of centres.
    fn add(
        &mut self,
        of: &Representation,
        rows: [&dyn Rows; 3],
        views: &dyn Rows,
        status: &mut Status<'_>,
    ) -> Result<(), Error> {
        let what = format!("kNN, linear probe and nearest centre: {of}");
        status(&what, None);
        status(&what, Some((0, LAMBDAS.len())));
        let ways = match of {
            Representation::Pixels => &Way::OF_PIXELS[..],
            _ => &[Way::Plain],
        };
        let found = self.ground.classify(
            rows,
            (views, self.labels),
            (self.subject.knn_k, ways),
            &mut |done| status(&what, Some((done, LAMBDAS.len()))),
        )?;
        self.predicted.insert(of.clone(), found);
        for few in &mut self.few {
            let (images, accuracy) = self.ground.few_labels(rows, few.share)?;
            few.images = images as u64;
            few.linear_acc1.insert(of.clone(), accuracy);
        }
        Ok(())
    }
}

/// Lists the classes without a training image, with their images in the test and validation splits.
fn unseen(dataset: &Dataset) -> Vec<Unseen> {
    let trained = trained_classes(dataset);
    let in_split = |name: SplitName| {
        let images =
            labels::counts(dataset.split(name).labels().unwrap_or_default(), trained.len());
        let lacking = images.into_iter().enumerate().filter(|(class, _)| !trained[*class]);
        let lacking = lacking.filter(|(_, images)| *images > 0);
        let named = lacking.map(|(class, images)| Unseen {
            class: dataset.classes[class].clone(),
            split: name.name().into(),
            images: images as u64,
        });
        named.collect::<Vec<_>>()
    };
    [SplitName::Test, SplitName::Validation].into_iter().flat_map(in_split).collect()
}

/// Describes, for the reader, how the numbers were measured.
fn protocol(
    ground: &Ground<'_>,
    views: &DrawnViews<'_>,
    predicted: &BTreeMap<Representation, Predicted>,
    knn_k: Option<usize>,
) -> Vec<(String, String)> {
    let dataset = ground.dataset;
    let choosing = ground.choosing();
    let fits = predicted.iter().map(|(of, Predicted { fit, .. })| {
        let end = if fit.converged { "" } else { ", stopped before convergence" };
        format!("{of} {:e} ({} iterations{end})", fit.lambda, fit.iterations)
    });
    let fits = fits.collect::<Vec<_>>().join(", ");
    let k = match knn_k {
        Some(k) => format!("k = {k}, as asked for"),
        None => {
            let [smaller @ .., largest] = knn::CANDIDATES.map(|k| k.to_string());
            let ks = predicted.iter().map(|(of, found)| format!("{of} {}", found.k));
            format!(
                "k chosen {choosing}, among {} and {largest}, at most the images of the largest \
                 class, the smallest of equally good ones: {}",
                smaller.join(", "),
                ks.collect::<Vec<_>>().join(", ")
            )
        }
    };
    let way = predicted.get(&Representation::Pixels).map_or("", |found| found.way.name());
    let side = dataset.image_size.min(SMALL_SIDE);
    let temperature = KnnOptions::default().temperature;
    [
        ("kNN", format!("cosine, weights exp(s / {temperature}), {k}")),
        ("Linear probe", "logistic regression to convergence on standardised features".to_owned()),
        ("Probe's L2 strength", format!("chosen {choosing}: {fits}")),
        (
            "Probe with few labels",
            "on a random choice of images of each class, at least one; strength chosen by \
             cross-validation over these images alone"
                .to_owned(),
        ),
        (
            "Nearest centre",
            format!(
                "of {} training images, each with {VIEWS} views, features normalised",
                views.chosen.len()
            ),
        ),
        (
            "Raw pixels",
            format!("at {side} × {side}; for kNN {way}, the best of three ways in the same trials"),
        ),
        (
            "Whitened patches",
            format!(
                "at {side} × {side}: {} random {1} × {1} patches of training images, whitened, as \
                 filters; both signs rectified, averaged over quarters, centred (Coates and Ng \
                 2011)",
                patches::FILTERS,
                patches::SIDE
            ),
        ),
    ]
    .into_iter()
    .chain(dataset.larger_source().map(|size| {
        let crops = format!(
            "centre squares of {0} × {0} pixels; crops of views are drawn from whole images of up \
             to {size} pixels on their shorter side",
            dataset.image_size
        );
        ("Images", crops)
    }))
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Returns the share of the commonest label.
fn majority(labels: &[u32], classes: usize) -> f64 {
    labels::counts(labels, classes).into_iter().max().unwrap_or(0) as f64 / labels.len() as f64
}

fn images(split: &Split) -> Vec<Image<'_>> {
    (0..split.len()).map(|i| split.image(i)).collect()
}

fn slices<'a>(images: &'a [Cow<'_, [u8]>]) -> Vec<&'a [u8]> {
    images.iter().map(|image| &**image).collect()
}

/// Returns images as raw pixels. An empty split does not tell the size of images, so its rows, of
/// which there are none, have an arbitrary width.
fn pixels<'a>(images: &'a [Cow<'_, [u8]>]) -> Result<Box<dyn Rows + 'a>, Error> {
    match images {
        [] => Ok(Box::new(Features::new(0, 1, Vec::new())?)),
        images => Ok(Box::new(Pixels::new(slices(images))?)),
    }
}

/// Computes the measures of an encoder on the test split that need no labels.
fn shape(subject: &Subject<'_>, encoder: &Backbone, test: &Features) -> Result<Geometry, Error> {
    let chosen = sample(test.rows(), ALIGNMENT_IMAGES);
    let alignment_over = Some([chosen.len() as u64, DrawnViews::PER_IMAGE as u64]);
    let features = DrawnViews::new(subject, &subject.dataset.test, chosen, Purpose::Alignment)
        .embed(encoder)?;
    let chosen = sample(test.rows(), GEOMETRY_IMAGES);
    let sampled = Chosen { rows: test, chosen: &chosen };
    Ok(Geometry {
        alignment_over,
        images: Some(sampled.rows() as u64),
        alignment: Some(geometry::alignment(&Normalised(&features), DrawnViews::PER_IMAGE)?),
        uniformity: if sampled.rows() > 1 { Some(geometry::uniformity(&sampled)?) } else { None },
        rankme: if sampled.dim() <= MAX_DIM { Some(geometry::rank_me(&sampled)?) } else { None },
    })
}

/// Images, each followed by its views. This is A_M(x) of the theory, with the image itself
/// included. Views are drawn on demand, one block at a time, because all views may not fit into
/// memory.
struct DrawnViews<'a> {
    subject: &'a Subject<'a>,
    split: &'a Split,
    chosen: Vec<usize>,
    purpose: Purpose,
    /// Labels of the views, one per view, or empty without labels.
    labels: Vec<u32>,
}

impl<'a> DrawnViews<'a> {
    /// Number of rows per image.
    const PER_IMAGE: usize = VIEWS + 1;
    /// Number of images drawn at a time.
    const BLOCK: usize = 50;

    fn for_centres(subject: &'a Subject<'a>) -> Self {
        let (split, classes) = (&subject.dataset.train, subject.dataset.classes.len());
        let labels = split.labels().unwrap_or_default();
        let max = (CENTRE_IMAGES[0] / classes).max(CENTRE_IMAGES[1]);
        let chosen = labels::members(labels, classes)
            .iter()
            .flat_map(|images| sample(images.len(), max).into_iter().map(|i| images[i]))
            .collect();
        Self::new(subject, split, chosen, Purpose::Centres)
    }

    fn new(
        subject: &'a Subject<'a>,
        split: &'a Split,
        chosen: Vec<usize>,
        purpose: Purpose,
    ) -> Self {
        let labels = split
            .labels()
            .map(|labels| chosen.iter().flat_map(|&i| [labels[i]; Self::PER_IMAGE]).collect());
        Self { subject, split, chosen, purpose, labels: labels.unwrap_or_default() }
    }

    /// Draws the images `chosen`. Each image is followed by its views.
    fn draw(&self, chosen: &[usize]) -> Vec<u8> {
        let Subject { policy, seed, dataset, .. } = *self.subject;
        let views = 0..VIEWS as u32;
        let sets = ViewSets { policy, purpose: self.purpose, seed, views, original: true };
        sets.draw(&self.split.numbered(chosen), dataset.image_size)
    }

    fn embed(&self, encoder: &Backbone) -> Result<Features, Error> {
        let (mut values, mut dim) = (Vec::new(), 1);
        for block in self.chosen.chunks(Self::BLOCK) {
            let bytes = self.draw(block);
            let views = Image::squares(self.subject.dataset.image_size, &bytes);
            let features = embed(encoder, &views, self.subject.device, &mut |_| ())?;
            dim = features.dim();
            values.extend(features.into_values());
        }
        Features::new(self.chosen.len() * Self::PER_IMAGE, dim, values)
    }

    /// Returns the views as raw pixels.
    fn small(&self) -> Vec<Cow<'static, [u8]>> {
        let blocks = self.chosen.chunks(Self::BLOCK).flat_map(|block| {
            let bytes = self.draw(block);
            let views = Image::squares(self.subject.dataset.image_size, &bytes);
            shrink(&views, SMALL_SIDE)
                .into_iter()
                .map(|image| Cow::Owned(image.into_owned()))
                .collect::<Vec<_>>()
        });
        blocks.collect()
    }
}

#[cfg(test)]
mod tests {
    use selfsame_nn::MlpConfig;
    use selfsame_nn::layers::Init;

    use super::*;
    use crate::testing::glyphs;

    #[test]
    fn without_labels_only_test_images_are_embedded() {
        let device = Device::flex();
        let encoder: selfsame_nn::EncoderConfig = MlpConfig { width: 4, image_size: 8 }.into();
        let encoder = encoder.init(&mut Init::new(1, &device));
        let split = |count: usize| {
            let pixels = (0..count * 192).map(|i| (i * i * 7 % 251) as u8).collect();
            Split::new(8, pixels, None).unwrap()
        };
        let (train, validation, test) = (split(6), split(2), split(4));
        let dataset = Dataset { classes: Vec::new(), train, validation, test, ..glyphs() };
        let policy = "a".parse().unwrap();
        let subject = Subject {
            dataset: &dataset,
            policy: &policy,
            seed: 0,
            encoders: vec![(Representation::Trained, &encoder)],
            knn_k: None,
            device: &device,
        };
        let mut done = Vec::new();
        let Evaluated { evaluation: found, map, predictions, .. } =
            evaluate(&subject, &mut |what, part| done.push((what.to_owned(), part))).unwrap();
        let embedded: Vec<_> =
            done.iter().filter(|(what, _)| what.starts_with("embedding")).collect();
        assert!(embedded.iter().all(|(what, _)| what.contains("test images")), "{done:?}");
        assert_eq!([embedded[0].1, embedded[embedded.len() - 1].1], [None, Some((4, 4))]);
        assert_eq!((found.left_out, predictions), (vec![LeftOut::NoLabels], None));
        assert!(found.geometry.contains_key(&Representation::Trained) && !map.images.is_empty());
    }
}
