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
    Accuracies, EmbeddingMap, Evaluation, Geometry, LeftOut, Representation, Scores, Unseen,
};

use crate::knn::{self, KnnOptions};
use crate::map::map;
use crate::probe::PathPoint;
use crate::rows::Chosen;
use crate::{
    Error, Features, MAX_DIM, Normalised, Pixels, Rows, accuracy, centre, copies, embed, geometry,
    probe, sample, shrink,
};

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

/// Measures encoders and raw pixels on the test split, and maps the embeddings of that split.
///
/// Without labels, measures that need labels are left out, and [`Evaluation::left_out`] says so.
/// `status` is called with a description of the current work.
///
/// # Errors
/// The errors of the measures: mostly [`Error::NotFinite`], if the encoder returns values that are
/// not finite.
pub fn evaluate(
    subject: &Subject<'_>,
    status: &mut dyn FnMut(&str),
) -> Result<(Evaluation, EmbeddingMap, Option<Predictions>), Error> {
    let Subject { dataset, .. } = subject;
    status("comparing the pixels of all images");
    let copied = copies(dataset);
    let mut evaluation = Evaluation {
        split: SplitName::Test.name().into(),
        classes: dataset.classes.len() as u64,
        images: dataset.test.len() as u64,
        copies: copied.pairs,
        unseen: unseen(dataset),
        source_size: dataset.larger_source(),
        ..Evaluation::default()
    };
    if dataset.test.is_empty() {
        evaluation.left_out.push(LeftOut::NoImages);
        return Ok((evaluation, EmbeddingMap::default(), None));
    }

    let ground = Ground::new(dataset, &copied.known);
    let encoders = subject.embed(ground.is_ok(), status)?;
    let predictions = match ground {
        Err(reason) => {
            evaluation.left_out.push(reason);
            None
        }
        Ok(ground) => accuracies(subject, &ground, &encoders, &mut evaluation, status)?,
    };

    status("alignment, uniformity and effective rank");
    for Embedded { of, encoder, splits } in &encoders {
        evaluation.geometry.insert(of.clone(), shape(subject, encoder, &splits[2])?);
    }
    let test = |of| encoders.iter().find(|each| each.of == of).map(|each| &each.splits[2]);
    let trained = test(Representation::Trained);
    status("a map of the test images");
    let map = trained.map(|trained| map(dataset, trained, test(Representation::Untrained)));
    Ok((evaluation, map.transpose()?.unwrap_or_default(), predictions))
}

impl<'a> Subject<'a> {
    /// Embeds the test split with each encoder, and for accuracies also the other splits.
    fn embed(
        &self,
        accuracies: bool,
        status: &mut dyn FnMut(&str),
    ) -> Result<Vec<Embedded<'a>>, Error> {
        let each = self.encoders.iter().map(|(of, encoder)| {
            let mut part = |split: &Split, part: &str, wanted: bool| {
                let images = if wanted { images(split) } else { Vec::new() };
                if !images.is_empty() {
                    status(&format!("embedding {} {part} images: {of}", images.len()));
                }
                embed(encoder, &images, self.device, &mut |_| ())
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

/// The images that accuracies are measured with: only those whose class has a training image. No
/// classifier could be right about any other.
struct Ground<'a> {
    dataset: &'a Dataset,
    /// The validation images that settings are chosen with.
    validation: Vec<usize>,
    /// The test images that accuracies are over.
    test: Vec<usize>,
    /// Whether each of these test images has the pixels of a training or validation image.
    known: Vec<bool>,
}

impl<'a> Ground<'a> {
    /// Selects the images. If no accuracy means anything, returns the reason.
    fn new(dataset: &'a Dataset, known: &[bool]) -> Result<Self, LeftOut> {
        match dataset.classes.len() {
            0 => return Err(LeftOut::NoLabels),
            1 => return Err(LeftOut::SingleClass),
            _ if dataset.train.is_empty() => return Err(LeftOut::NothingToFit),
            _ => {}
        }
        let trained = trained_classes(dataset);
        let of_trained = |split: &Split| -> Vec<usize> {
            let labels = split.labels().unwrap_or_default().iter().enumerate();
            labels.filter(|(_, label)| trained[**label as usize]).map(|(image, _)| image).collect()
        };
        let (validation, test) = (of_trained(&dataset.validation), of_trained(&dataset.test));
        if test.is_empty() {
            return Err(LeftOut::OnlyUnseen);
        }
        if trained.iter().filter(|&&trained| trained).count() == 1 {
            return Err(LeftOut::SingleTrainedClass);
        }
        if validation.is_empty() {
            return Err(LeftOut::NothingToFit);
        }
        let known = test.iter().map(|&image| known[image]).collect();
        Ok(Self { dataset, validation, test, known })
    }

    /// Classifies the test images by one representation, in three ways, and reports on the fit of
    /// the linear probe. The representation is given for the three splits and for the views from
    /// which centres are computed.
    fn classify(
        &self,
        [train, validation, test]: [&dyn Rows; 3],
        views: &dyn Rows,
        set: &DrawnViews<'_>,
    ) -> Result<Predicted, Error> {
        let labels = self.dataset.train.labels().unwrap_or_default();
        let choosing = pick(self.dataset.validation.labels().unwrap_or_default(), &self.validation);
        let validation = &Chosen { rows: validation, chosen: &self.validation };
        let test = &Chosen { rows: test, chosen: &self.test };
        let classes = self.dataset.classes.len();
        let knn = knn::classify(train, labels, classes, test, &KnnOptions::default())?;
        let probe = probe::fit(train, labels, validation, &choosing, classes)?;
        let centres = centre::fit(&Normalised(views), &set.labels, classes)?;
        let (linear, centre) = (probe.predict(test)?, centres.predict(&Normalised(test))?);
        let k = KnnOptions::default().k.min(train.rows());
        Ok(Predicted { knn, k, linear, fit: probe.chosen, centre })
    }
}

/// Classes that a representation predicts for the test images.
struct Predicted {
    knn: Vec<u32>,
    /// Number of neighbours that voted.
    k: usize,
    linear: Vec<u32>,
    /// The fit of the linear probe.
    fit: PathPoint,
    centre: Vec<u32>,
}

impl Predicted {
    /// Computes the accuracies over the test images at `chosen`, of the classes `truth`.
    fn scores(&self, chosen: &[usize], truth: &[u32]) -> Result<Scores, Error> {
        let share = |predicted: &[u32]| accuracy(&pick(predicted, chosen), truth);
        Ok(Scores {
            knn_acc1: share(&self.knn)?,
            knn_k: Some(self.k as u64),
            linear_acc1: share(&self.linear)?,
            linear_penalty: Some(self.fit.lambda),
            centre_acc1: share(&self.centre)?,
        })
    }
}

/// Measures the accuracies of encoders, given with their features, and of raw pixels. Returns what
/// the trained encoder predicts; its digest and step are for the caller to say.
fn accuracies(
    subject: &Subject<'_>,
    ground: &Ground<'_>,
    encoders: &[Embedded<'_>],
    evaluation: &mut Evaluation,
    status: &mut dyn FnMut(&str),
) -> Result<Option<Predictions>, Error> {
    let dataset = ground.dataset;
    let views = DrawnViews::for_centres(subject);
    let mut predicted = BTreeMap::new();
    for Embedded { of, encoder, splits } in encoders {
        status(&format!("kNN, linear probe and nearest centre: {of}"));
        let of_views = views.embed(encoder)?;
        let rows = splits.each_ref().map(|features| features as &dyn Rows);
        predicted.insert(of.clone(), ground.classify(rows, &of_views, &views)?);
    }
    status("kNN, linear probe and nearest centre: raw pixels");
    let splits = [&dataset.train, &dataset.validation, &dataset.test];
    let raw = splits.map(|split| shrink(&images(split), SMALL_SIDE));
    let raw_views = views.small();
    let [train, validation, test] = raw.each_ref().map(|images| pixels(images));
    let rows: [&dyn Rows; 3] = [&train?, &validation?, &test?];
    let of_pixels = ground.classify(rows, &pixels(&raw_views)?, &views)?;
    predicted.insert(Representation::Pixels, of_pixels);

    let truth = pick(dataset.test.labels().unwrap_or_default(), &ground.test);
    let over = |chosen: &[usize]| -> Result<Accuracies, Error> {
        let truth = pick(&truth, chosen);
        let scores =
            predicted.iter().map(|(of, each)| Ok((of.clone(), each.scores(chosen, &truth)?)));
        Ok(Accuracies {
            images: truth.len() as u64,
            majority: Some(majority(&truth, dataset.classes.len())),
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
    evaluation.protocol = protocol(dataset, &views, &predicted);
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

/// Returns the entries of `all` at `chosen`.
fn pick(all: &[u32], chosen: &[usize]) -> Vec<u32> {
    chosen.iter().map(|&at| all[at]).collect()
}

/// Counts the images of each class.
fn counts(labels: &[u32], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    counts
}

/// Returns, for each class, whether it has a training image.
fn trained_classes(dataset: &Dataset) -> Vec<bool> {
    let labels = dataset.train.labels().unwrap_or_default();
    counts(labels, dataset.classes.len()).into_iter().map(|images| images > 0).collect()
}

/// Lists the classes without a training image, with their images in the test and validation splits.
fn unseen(dataset: &Dataset) -> Vec<Unseen> {
    let trained = trained_classes(dataset);
    let in_split = |name: SplitName| {
        let images = counts(dataset.split(name).labels().unwrap_or_default(), trained.len());
        let lacking = images.into_iter().enumerate().filter(|(class, _)| !trained[*class]);
        let lacking = lacking.filter(|(_, images)| *images > 0);
        let named = lacking.map(|(class, images)| Unseen {
            class: dataset.classes[class].clone(),
            split: name.name().into(),
            images,
        });
        named.collect::<Vec<_>>()
    };
    [SplitName::Test, SplitName::Validation].into_iter().flat_map(in_split).collect()
}

/// Describes, for the reader, how the numbers were measured.
fn protocol(
    dataset: &Dataset,
    views: &DrawnViews<'_>,
    predicted: &BTreeMap<Representation, Predicted>,
) -> Vec<(String, String)> {
    let KnnOptions { k, temperature } = KnnOptions::default();
    let fits = predicted.iter().map(|(of, Predicted { fit, .. })| {
        let end = if fit.converged { "" } else { ", stopped before convergence" };
        format!("{of} {:e} ({} iterations{end})", fit.lambda, fit.iterations)
    });
    let fits = fits.collect::<Vec<_>>().join(", ");
    [
        (
            "kNN",
            format!("cosine, k = {}, weights exp(s / {temperature})", k.min(dataset.train.len())),
        ),
        ("Linear probe", "logistic regression to convergence on standardised features".to_owned()),
        ("Probe's L2 strength", format!("chosen on validation: {fits}")),
        (
            "Nearest centre",
            format!(
                "of {} training images, each with {VIEWS} views, features normalised",
                views.chosen.len()
            ),
        ),
        ("Raw pixels", format!("at {0} × {0}", dataset.image_size.min(SMALL_SIDE))),
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
    counts(labels, classes).into_iter().max().unwrap_or(0) as f64 / labels.len() as f64
}

fn images(split: &Split) -> Vec<Image<'_>> {
    (0..split.len()).map(|i| split.image(i)).collect()
}

fn pixels<'a>(images: &'a [Cow<'_, [u8]>]) -> Result<Pixels<'a>, Error> {
    Pixels::new(images.iter().map(|image| &**image).collect())
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
        let mut members = vec![Vec::new(); classes];
        for (i, &label) in labels.iter().enumerate() {
            members[label as usize].push(i);
        }
        let chosen = members
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
    use selfsame_data::{LoadOptions, load};
    use selfsame_nn::MlpConfig;
    use selfsame_nn::layers::Init;

    use super::*;

    fn glyphs() -> Dataset {
        let options =
            LoadOptions { image_size: Some(8), limit: Some(40), ..LoadOptions::default() };
        load("glyphs", &options, &|_, _| ()).unwrap()
    }

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
            device: &device,
        };
        let mut done = Vec::new();
        let (found, map, predictions) =
            evaluate(&subject, &mut |status| done.push(status.to_owned())).unwrap();
        let embedded: Vec<_> =
            done.iter().filter(|status| status.starts_with("embedding")).collect();
        assert_eq!(embedded.len(), 1, "{done:?}");
        assert!(embedded.iter().all(|status| status.contains("test images")), "{done:?}");
        assert_eq!((found.left_out, predictions), (vec![LeftOut::NoLabels], None));
        assert!(found.geometry.contains_key(&Representation::Trained) && !map.images.is_empty());
    }
}
