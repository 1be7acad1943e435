//! The record of a certificate (`certificate.json`).
//!
//! Each number is a [`Quantity`], which says how far the number can be trusted: exact for the
//! images and views that were measured, an estimate for other images of their kind, a proved bound,
//! or an assumption. A number that could not be computed is absent, and
//! [`CertificateRecord::left_out`] says why. Verdict, obstacles, advice and assumptions are values;
//! [`words`] turns them into sentences.

pub mod words;

use selfsame_theory::Quantity;
use selfsame_theory::bounds::certificate::{Certificate, Form};
use serde::{Deserialize, Serialize};

use crate::sprite::Sprite;

/// Name of the file that holds a [`CertificateRecord`].
pub const CERTIFICATE_FILE: &str = "certificate.json";
/// Fraction at which a curve is reduced to one number. For σ, δ is chosen so that it brings
/// together this fraction of the middle class; for R_ε, ε is chosen so that it leaves this fraction
/// of the images spread.
pub const LEVEL: f64 = 0.5;
/// Number of images per class in [`CertificateRecord::examples`].
pub const EXAMPLES: usize = 4;

/// Measurements of the finite world of some images and their views, and bounds proved for it.
/// (`certificate.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateRecord {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word.
    pub command: Vec<String>,
    /// The subject of the certificate: the folder of a run, or a file of weights or of embeddings.
    pub subject: String,
    /// The split that the images come from. Empty for embeddings.
    pub split: String,
    /// The weights that the encoder had. Empty for embeddings.
    pub weights: String,
    /// Number format of the encoder's activations. Empty for embeddings.
    pub precision: String,
    /// Number of training steps that produced the weights. `None` if no run made them.
    pub step: Option<u64>,
    /// SHA-256 of the labels and pixels of the images measured. Empty for embeddings.
    pub digest: String,
    /// Side of the images, in pixels, if `source_size` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<u32>,
    /// Largest shorter side of the sources that crops were drawn from, in pixels. `None` if crops
    /// were drawn from the images themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_size: Option<u32>,
    /// The policy that views were drawn by, in short. Empty for embeddings.
    pub policy: String,
    /// Seed of the views.
    pub seed: u64,
    /// Number of images measured, N.
    pub images: usize,
    /// Number of views per image, M, the image itself included.
    pub views: usize,
    /// Length of an embedding, d.
    pub dim: usize,
    /// The result. `None` before anything was certified.
    pub verdict: Option<Verdict>,
    /// Obstacles to a better bound. `None` if there is no bound.
    pub obstacles: Option<Obstacles>,
    /// What to change first to improve the bound, which is not the accuracy. `None` if nothing is
    /// left to gain.
    pub advice: Option<Advice>,
    /// The classes. Empty without labels.
    pub classes: Vec<ClassRecord>,
    /// Similarity of the views of an image. `None` if each image has a single view.
    pub alignment: Option<AlignmentRecord>,
    /// Distances between the images of a class, before any encoder. `None` without pixels or labels.
    pub concentration: Option<ConcentrationRecord>,
    /// Distances between the centres of classes. `None` without labels.
    pub divergence: Option<DivergenceRecord>,
    /// Measured errors. The error that the bounds are about comes first.
    pub errors: Vec<Named>,
    /// The error bound in its forms, the weakest first.
    pub bounds: Vec<ErrorBound>,
    /// The strongest form of the bound, recomputed for the case that one factor were perfect and
    /// all else unchanged.
    pub what_if: Vec<WhatIf>,
    /// The parts of the InfoNCE loss, and what they imply for the divergence. `None` if each image
    /// has a single view.
    pub infonce: Option<InfoNceRecord>,
    /// The cross-correlation matrix, and what it implies for the divergence.
    pub correlation: Option<CorrelationRecord>,
    /// Measures that need neither labels nor theory: uniformity, RankMe, αReQ, LiDAR. RankMe and
    /// αReQ are computed from the embeddings as the encoder gives them, which is how their authors
    /// define them. During training, `metrics.jsonl` has both measures for embeddings of length 1,
    /// so the values in the two files cannot be compared.
    pub geometry: Vec<Named>,
    /// The Lipschitz constant of the encoder, as far as it was observed. `None` without pixels.
    pub lipschitz: Option<Quantity>,
    /// An upper bound on the Lipschitz constant, among images whose outputs are no shorter than the
    /// shortest measured: the product of the norms of the encoder's layers. `None` if there is no
    /// encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lipschitz_bound: Option<Quantity>,
    /// Premises of the theory, and whether they hold here.
    pub assumptions: Vec<Assumption>,
    /// Parts that could not be computed and why, and further remarks about the input.
    pub left_out: Vec<LeftOut>,
    /// [`EXAMPLES`] images of each class, class after class. `None` without pixels, or with very
    /// many classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examples: Option<Sprite>,
}

impl CertificateRecord {
    /// Returns the strongest bound on the error of the nearest-centre classifier, or `None` if
    /// there is no bound.
    pub fn best_bound(&self) -> Option<&Quantity> {
        let all = self.bounds.iter().flat_map(|bound| [&bound.whole, &bound.by_class]);
        all.min_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// Returns the factor to change first to improve the bound: the one that, if it were perfect,
    /// would help most. Returns `None` if nothing is left to gain, or if no single factor would
    /// help. If the bound is vacuous, the factor is the one that would come nearest to a useful
    /// bound.
    pub fn first(&self) -> Option<&WhatIf> {
        let current = self.best_bound().map_or(1.0, |bound| bound.value);
        let order = |a: &&WhatIf, b: &&WhatIf| {
            a.bound.value.total_cmp(&b.bound.value).then(b.slack.total_cmp(&a.slack))
        };
        self.what_if
            .iter()
            .min_by(order)
            .filter(|best| current >= 1.0 || best.bound.value < current)
    }

    /// Finds a number of [`geometry`](Self::geometry) or [`errors`](Self::errors) by its name.
    pub fn named(&self, name: &str) -> Option<&Quantity> {
        self.geometry
            .iter()
            .chain(&self.errors)
            .find(|named| named.name == name)
            .map(|named| &named.quantity)
    }
}

/// Returns the least possible value of the largest product of `classes` unit vectors of `dim`
/// values. It is −1/(K − 1), the corners of a simplex, for K ≤ d + 1; and 0, axes in both
/// directions, up to K = 2d (Rankin 1955). For larger K the least value is above 0, but it is not
/// known; the function returns 0, a limit that is not reached.
pub fn least_product(classes: usize, dim: usize) -> f64 {
    if classes <= dim.saturating_add(1) { -1.0 / (classes.max(2) as f64 - 1.0) } else { 0.0 }
}

/// A number with its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// Name of the number.
    pub name: String,
    /// The number.
    pub quantity: Quantity,
}

/// Measurements and bounds of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassRecord {
    /// Name of the class.
    pub name: String,
    /// Number of images measured.
    pub images: usize,
    /// L_align over the images of the class. `None` if each image has a single view.
    pub alignment: Option<Quantity>,
    /// ‖μ_k‖², the squared length of the class's centre.
    pub norm2: Quantity,
    /// Fraction of the class's images that the nearest-centre classifier gets wrong.
    pub error: Quantity,
    /// The strongest bound on that error. `None` without pixels.
    pub bound: Option<Quantity>,
    /// Certificate of that bound: its δ, ε, σ and R_ε.
    pub certificate: Option<Certificate>,
    /// σ at [`ConcentrationRecord::delta`]. `None` without pixels.
    pub sigma: Option<Quantity>,
    /// Frequency with which two images of the class lie nearer to each other than one of them to an
    /// image of another class. `None` without pixels.
    pub separation: Option<Quantity>,
    /// σ(δ). Entry k − 1 holds bounds on the smallest δ at which k images lie pairwise within reach
    /// (the bounds are equal if δ is exact), and the largest distance that f puts between the
    /// closest views of those images.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub curve: Vec<[f64; 3]>,
}

/// Similarity of the views of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlignmentRecord {
    /// L_align of the finite world: over all views here, including the image itself and the pairs
    /// of a view with itself.
    pub finite: Quantity,
    /// An estimate of L_align for two views that the policy draws independently. It leaves out the
    /// image itself, which comes first and was not drawn. `None` with fewer than two drawn views.
    pub unbiased: Option<Quantity>,
    /// The value of L_align if the two views came from independent images: 2(1 − ‖E f‖²).
    pub chance: Quantity,
    /// Median of the view diameters: for half of the images, no two views are further apart.
    pub median_diameter: Quantity,
    /// R_ε as a curve over ε: (ε, fraction of images with two views more than ε apart), with about
    /// a thousand points at most.
    pub curve: Vec<[f64; 2]>,
    /// R_ε at several ε: the measured value, and the bound that the alignment proves.
    pub spread: Vec<Spread>,
}

impl AlignmentRecord {
    /// Returns the best available L_align: that of drawn views, or, if there are too few of them,
    /// that of the views here.
    pub fn best(&self) -> &Quantity {
        self.unbiased.as_ref().unwrap_or(&self.finite)
    }
}

/// R_ε at one ε.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// ε.
    pub epsilon: f64,
    /// R_ε of the drawn views.
    pub outside: Quantity,
    /// Interval of R_ε for other images of the same kind with as many views. It allows for ε having
    /// been chosen from the measured images.
    pub outside_interval: Quantity,
    /// R_ε of the first half of the views. It shows how much R_ε still grows with the number of
    /// views.
    pub outside_of_half: Quantity,
    /// The bound on R_ε that L_align proves: M·L_align/ε², at most 1.
    pub bound: Quantity,
    /// log₁₀ of the bound of theorem 2 of the paper, for the constants named there and L_align of
    /// drawn views. `None` without pixels, or with fewer than two drawn views per image.
    pub log10_published: Option<Quantity>,
}

/// Distances between the images of a class in pixels, each measured between the nearest views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConcentrationRecord {
    /// The δ of the numbers below: the distance at which the main part of the middle class holds
    /// [`LEVEL`] of that class. It is an upper bound if the proof of its curve ran out of time.
    pub delta: Quantity,
    /// δ as the root mean square difference of a colour channel, in levels of 255.
    pub levels: Quantity,
    /// Time limit for the proof of each curve, in seconds. `None` if there was no limit.
    pub budget: Option<f64>,
    /// σ: the smallest fraction of a class in its main part.
    pub sigma: Quantity,
    /// Interval of σ for other images of the same kind.
    pub sigma_interval: Quantity,
    /// Mean over classes of the fraction of a class in its main part.
    pub mean_sigma: Quantity,
    /// Interval of that mean for other images of the same kind.
    pub mean_sigma_interval: Quantity,
    /// Fraction of images with an image of another class within δ.
    pub overlap: Quantity,
    /// Fraction of images with a view that equals a view of another class.
    pub touching: Quantity,
    /// P[d_A(same class) < d_A(different class)] + ½ P[=]. `None` with a single class.
    pub separation: Option<Quantity>,
    /// Interval of the separation for other images of the same kind.
    pub separation_interval: Option<Quantity>,
}

/// Distances between the centres of classes, ‖f‖ = 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DivergenceRecord {
    /// The largest μ_k·μ_ℓ of different classes. `None` with a single class.
    pub largest: Option<Quantity>,
    /// Mean of μ_k·μ_ℓ over pairs of images of different classes. `None` with a single class.
    pub mean: Option<Quantity>,
    /// Δ_μ = 1 − min ‖μ_k‖².
    pub shortfall: Quantity,
    /// The closest pairs, the closest first.
    pub closest: Vec<Pair>,
    /// All products μ_k·μ_ℓ, row by row, exact. Empty if there are too many classes to display.
    pub products: Vec<f64>,
}

/// Two classes, and bounds on the product of their centres. Products lie between −1 and 1, so a
/// bound of 1 or more is vacuous.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Positions in [`CertificateRecord::classes`].
    pub classes: [usize; 2],
    /// μ_k·μ_ℓ.
    pub product: Quantity,
    /// The bound that InfoNCE proves. `None` if each image has a single view.
    pub infonce: Option<LossPair>,
    /// The product for standardised embeddings, and the bound that cross-correlation proves.
    pub correlation: Option<CorrelationPair>,
}

/// Bounds on a product of two centres by the InfoNCE loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossPair {
    /// The bound as published.
    pub published: Quantity,
    /// A sharper bound.
    pub pairwise: Quantity,
}

/// The product of two centres of standardised embeddings, and bounds on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrelationPair {
    /// μ_k·μ_ℓ.
    pub product: Quantity,
    /// ‖μ_k‖‖μ_ℓ‖, which the product cannot exceed. A bound above this value is vacuous.
    pub most: Quantity,
    /// The bound as published.
    pub published: Quantity,
    /// A sharper bound.
    pub sharper: Quantity,
    /// The sharpest bound: it uses that the coordinates are centred.
    pub centred: Quantity,
}

/// The error bound in one form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBound {
    /// The proof that the form comes from.
    pub form: Form,
    /// The bound with one δ and one ε for all classes; 1 if it is vacuous.
    pub whole: Quantity,
    /// Certificate of that bound.
    pub certificate: Certificate,
    /// The bound with a δ and an ε per class; 1 if it is vacuous.
    pub by_class: Quantity,
}

/// The strongest bound for the case that one factor were perfect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhatIf {
    /// The factor.
    pub factor: Factor,
    /// The strongest bound in that case. Its [`Trust`](selfsame_theory::Trust) says what is
    /// assumed.
    pub bound: Quantity,
    /// Margin by which the condition with one δ and one ε holds in that case, in units of r². It is
    /// negative if the condition fails.
    pub slack: f64,
}

/// One of the three factors of generalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// The views of an image lie together.
    Alignment,
    /// The centres of classes lie apart.
    Divergence,
    /// The images of a class share near views.
    Concentration,
}

impl Factor {
    /// Returns the name of the factor, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alignment => "alignment",
            Self::Divergence => "divergence",
            Self::Concentration => "concentration",
        }
    }
}

/// The result of a certificate. Its numbers are in [`CertificateRecord::errors`] and
/// [`CertificateRecord::bounds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The nearest-centre error is proved to be below 100 %.
    Proved,
    /// The bound is 100 % or more, which is true of any encoder.
    Vacuous,
    /// There are labels but no pixels, so there is an error but no bound.
    NoPixels,
    /// There is only one class, so no image can be mistaken for an image of another class.
    SingleClass,
    /// There are no labels, so there is no error to bound.
    NoLabels,
}

/// The condition of the theorem as published, with the values that decide it: the condition is ρ <
/// [`allowed`](Self::allowed).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Obstacles {
    /// The limit that ρ must stay below, given the centres. It is 0 if the centres alone rule out
    /// every ρ.
    pub allowed: f64,
    /// Whether the condition holds at the δ and ε below. If it holds nowhere, δ and ε are those of
    /// the least ρ with at least half of every class in main parts.
    pub holds: bool,
    /// δ, a distance in pixels.
    pub delta: f64,
    /// ε, a distance of embeddings.
    pub epsilon: f64,
    /// The terms of ρ.
    pub rho: Rho,
}

/// The terms of ρ, which bounds how far a class can be from its centre.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rho {
    /// 2(1 − σ): images outside the main parts.
    pub unconcentrated: f64,
    /// R_ε / min p: images whose views are spread.
    pub unaligned: f64,
    /// σ × gap: the closest views, which f puts apart.
    pub gap: f64,
    /// 2σε: the spread of the views of all other images.
    pub spread: f64,
}

impl Rho {
    /// Returns ρ, the sum of the terms.
    pub fn total(&self) -> f64 {
        self.unconcentrated + self.unaligned + self.gap + self.spread
    }
}

/// What to change first to improve the bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "advice", rename_all = "snake_case")]
pub enum Advice {
    /// Improve the factor that would improve the bound most if it were perfect.
    Improve {
        /// The factor to improve.
        factor: Factor,
        /// The present bound.
        from: f64,
        /// The bound if the factor were perfect; 1 if the bound would still be vacuous.
        to: f64,
    },
    /// No single factor would improve the bound, even if it were perfect.
    NoneAlone {
        /// The present bound.
        bound: f64,
    },
}

/// InfoNCE at temperature 1 with one negative, L = L_1 + L_2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InfoNceRecord {
    /// L_1 = ½ L_align − 1.
    pub l1: Quantity,
    /// L_2.
    pub l2: Quantity,
    /// The bound that L_2 proves on the mean of μ_k·μ_ℓ. `None` without labels.
    pub average: Option<Quantity>,
    /// The bound on that mean that uses no labels, only the masses of the classes.
    pub label_free: Option<Quantity>,
    /// The bound on that mean that uses only the mean embedding.
    pub from_mean: Option<Quantity>,
}

/// The cross-correlation matrix of standardised embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrelationRecord {
    /// Number of standardised coordinates. Constant coordinates are left out.
    pub dim: usize,
    /// Number of coordinates left out.
    pub constant: usize,
    /// L_1 = Σ (1 − C_ii)². `None` if each image has a single view.
    pub l1: Option<Quantity>,
    /// L_2 = ‖C − I‖².
    pub l2: Quantity,
    /// tr C.
    pub trace: Quantity,
    /// |L_align − 2(d − tr C)| over 2d, which is 0 except for rounding.
    pub trace_residual: Quantity,
    /// Difference of the two sides of the Gram identity, relative to their size. `None` without
    /// labels.
    pub gram_residual: Option<Quantity>,
    /// τ', the part of the correlation that is within classes. `None` without labels.
    pub within: Option<Quantity>,
    /// Root of the mean of (μ_k·μ_ℓ + 1)² over pairs of classes. `None` with fewer than two
    /// classes.
    pub average: Option<Quantity>,
    /// The bound that L_2 proves on that root mean square.
    pub average_bound: Option<Quantity>,
}

/// A premise of the theory, and whether it holds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumption {
    /// The premise.
    pub premise: Premise,
    /// Whether the premise holds here. `None` if this cannot be known, or if nothing here needs it.
    pub holds: Option<bool>,
}

/// A premise of the theory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Premise {
    /// No view of an image equals a view of an image of another class.
    ClassesDoNotMeet,
    /// All embeddings have the same length.
    SameLength,
    /// An image is one of its own views.
    ImageAmongItsViews,
    /// The encoder is Lipschitz.
    Lipschitz,
    /// The measured views are all the views that are possible.
    AllViews,
}

/// Something that a certificate does not say, with the reason, or a problem that it tolerated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum LeftOut {
    /// Concentration has no intervals. They are estimated from halves of the images, and this class
    /// has too few images.
    FewImages {
        /// The class with the fewest images.
        class: String,
        /// Number of images in that class.
        images: usize,
        /// Number of images per class that intervals need.
        needed: usize,
    },
    /// There are no labels, so there are no classes and no numbers about classes.
    NoLabels,
    /// There is a single class, so nothing compares classes.
    SingleClass,
    /// Each image has one view, so nothing compares views.
    SingleView,
    /// There are no pixels, so nothing measures distances of images.
    NoPixels,
    /// The embeddings have too many values for the matrix that RankMe, αReQ and LiDAR need.
    TooWide {
        /// Maximum number of values.
        most: usize,
    },
    /// There is no cross-correlation matrix, because no coordinate varies or too many do.
    NoCorrelation {
        /// Maximum number of coordinates.
        most: usize,
    },
    /// Some coordinates have no variance, so cross-correlation cannot scale them.
    ConstantCoordinates,
    /// The run has not been evaluated, so accuracies are not in the record.
    NotEvaluated,
    /// The evaluation of the run used other weights.
    OtherWeights,
    /// An image could not be read.
    Image {
        /// Name of the image.
        name: String,
        /// Reason why the image could not be read.
        cause: String,
    },
    /// Some of the images behind the accuracies of the run's evaluation are copies of training or
    /// validation images.
    EvaluatedCopies {
        /// Number of copies.
        copies: u64,
        /// Number of images behind the accuracies.
        images: u64,
    },
    /// The embeddings have no labels, but there is an array beside them that looks like labels and
    /// was not read because of its name.
    UnreadLabels {
        /// Name of the array.
        array: String,
    },
    /// Arrays beside the embeddings were not read.
    UnreadArrays {
        /// Names of the arrays.
        arrays: Vec<String>,
    },
    /// 64-bit embeddings were rounded to 32 bits.
    Rounded,
    /// The embeddings of some images repeat those of an earlier image, value for value.
    Repeats {
        /// Number of those images.
        count: usize,
        /// The first of those images, and the image that it repeats.
        first: [usize; 2],
    },
}
