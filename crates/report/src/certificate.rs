//! The record of a certificate (`certificate.json`).
//!
//! Each number is a [`Quantity`], which says what it is worth: exact for the images and views that
//! were measured, an estimate for others of their kind, a proved bound, or an assumption. A number
//! that could not be computed is absent, and [`CertificateRecord::left_out`] says why. Verdict,
//! obstacles, advice and assumptions are values; [`words`] turns them into sentences.

pub mod words;

use selfsame_theory::Quantity;
use selfsame_theory::bounds::certificate::{Certificate, Form};
use serde::{Deserialize, Serialize};

use crate::sprite::Sprite;

/// Name of the file that holds a [`CertificateRecord`].
pub const CERTIFICATE_FILE: &str = "certificate.json";
/// The share of the middle class that δ brings together where one number of σ stands for its curve,
/// and of the images that ε leaves spread where one does for R_ε.
pub const LEVEL: f64 = 0.5;
/// Images of each class in [`CertificateRecord::examples`].
pub const EXAMPLES: usize = 4;

/// The finite world of some images and their views, measured, and what is proved of it.
/// (`certificate.json`)
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateRecord {
    /// Version of selfsame.
    pub selfsame: String,
    /// The command, word by word.
    pub command: Vec<String>,
    /// What was measured: the folder of a run, or a file of weights or of embeddings.
    pub subject: String,
    /// The split that the images are of; empty for embeddings.
    pub split: String,
    /// Which weights the encoder had; empty for embeddings.
    pub weights: String,
    /// Steps of training that they had seen; none where no run made them.
    pub step: Option<u64>,
    /// SHA-256 of the labels and pixels of the images measured; empty for embeddings.
    pub digest: String,
    /// The policy that views were drawn by, in short; empty for embeddings.
    pub policy: String,
    /// Seed of the views.
    pub seed: u64,
    /// Images measured, N.
    pub images: usize,
    /// Views of each, M, the image itself among them.
    pub views: usize,
    /// Values of an embedding, d.
    pub dim: usize,
    /// The result; none before anything was certified.
    pub verdict: Option<Verdict>,
    /// What stands in the way of a better bound; none where there is no bound.
    pub obstacles: Option<Obstacles>,
    /// What to change first to improve the bound, which is not the accuracy; none where nothing is
    /// left to gain.
    pub advice: Option<Advice>,
    /// The classes; empty without labels.
    pub classes: Vec<ClassRecord>,
    /// How alike the views of an image are; none where an image has one view.
    pub alignment: Option<AlignmentRecord>,
    /// How near the images of a class are, before any encoder; none without pixels or labels.
    pub concentration: Option<ConcentrationRecord>,
    /// How far apart the centres of classes are; none without labels.
    pub divergence: Option<DivergenceRecord>,
    /// Errors that were measured, the one that the bounds are about first.
    pub errors: Vec<Named>,
    /// The error bound in its forms, the weakest first.
    pub bounds: Vec<ErrorBound>,
    /// The strongest form again, were one factor perfect and all else as it is.
    pub what_if: Vec<WhatIf>,
    /// The InfoNCE loss in its parts, and what it says of the divergence; none where an image has
    /// one view.
    pub infonce: Option<InfoNceRecord>,
    /// The cross-correlation matrix, and what it says of the divergence.
    pub correlation: Option<CorrelationRecord>,
    /// Measures that need neither labels nor theory: uniformity, RankMe, αReQ, LiDAR. RankMe and
    /// αReQ are of the embeddings as the encoder gives them, which is how their authors define
    /// them; while a run trains, `metrics.jsonl` has both of embeddings of length 1, and the two
    /// are not to be compared.
    pub geometry: Vec<Named>,
    /// The Lipschitz constant of the encoder, as far as it was seen; none without pixels.
    pub lipschitz: Option<Quantity>,
    /// The same from above among images whose outputs are no shorter than the shortest measured, as
    /// the product of its layers' norms; none where there is no encoder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lipschitz_bound: Option<Quantity>,
    /// What the theory takes for granted, and whether it holds here.
    pub assumptions: Vec<Assumption>,
    /// What could not be computed and why, and what else to know about the input.
    pub left_out: Vec<LeftOut>,
    /// [`EXAMPLES`] images of each class, class after class; none without pixels, or with very many
    /// classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examples: Option<Sprite>,
}

impl CertificateRecord {
    /// The strongest bound on the error of the nearest-centre classifier; none where there is no
    /// bound.
    pub fn best_bound(&self) -> Option<&Quantity> {
        let all = self.bounds.iter().flat_map(|bound| [&bound.whole, &bound.by_class]);
        all.min_by(|a, b| a.value.total_cmp(&b.value))
    }

    /// The factor to change first to improve the bound: the one that, were it perfect, would help
    /// most; none where nothing is left to gain, or not by one factor alone. Of a vacuous bound it
    /// is the one that would come nearest.
    pub fn first(&self) -> Option<&WhatIf> {
        let own = self.best_bound().map_or(1.0, |bound| bound.value);
        let order = |a: &&WhatIf, b: &&WhatIf| {
            a.bound.value.total_cmp(&b.bound.value).then(b.slack.total_cmp(&a.slack))
        };
        self.what_if.iter().min_by(order).filter(|best| own >= 1.0 || best.bound.value < own)
    }

    /// A number of [`geometry`](Self::geometry) or [`errors`](Self::errors), by its name.
    pub fn named(&self, name: &str) -> Option<&Quantity> {
        self.geometry
            .iter()
            .chain(&self.errors)
            .find(|named| named.name == name)
            .map(|named| &named.quantity)
    }
}

/// The least that the largest product of `classes` unit vectors of `dim` values can be: −1/(K − 1),
/// the corners of a simplex, where K ≤ d + 1; 0, axes in both directions, up to K = 2d (Rankin
/// 1955). Beyond, it is above 0, and nobody knows how much: 0 is a limit that is not reached.
pub fn least_product(classes: usize, dim: usize) -> f64 {
    if classes <= dim.saturating_add(1) { -1.0 / (classes.max(2) as f64 - 1.0) } else { 0.0 }
}

/// A number with its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// What it is.
    pub name: String,
    /// The number.
    pub quantity: Quantity,
}

/// What is known of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassRecord {
    /// Its name.
    pub name: String,
    /// Images measured.
    pub images: usize,
    /// L_align over its images; none where an image has one view.
    pub alignment: Option<Quantity>,
    /// ‖μ_k‖², the squared length of its centre.
    pub norm2: Quantity,
    /// The share of its images that the nearest centre gets wrong.
    pub error: Quantity,
    /// The bound on that share, of the strongest form; none without pixels.
    pub bound: Option<Quantity>,
    /// That certificate: its δ, ε, σ and R_ε.
    pub certificate: Option<Certificate>,
    /// σ at [`ConcentrationRecord::delta`]; none without pixels.
    pub sigma: Option<Quantity>,
    /// How often two of its images lie nearer than one of them and another class's; none without
    /// pixels.
    pub separation: Option<Quantity>,
    /// σ(δ): entry k − 1 holds the bounds of the smallest δ at which k images lie pairwise within
    /// reach, equal where it is exact, and the largest distance that f puts between the closest
    /// views of those images.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub curve: Vec<[f64; 3]>,
}

/// How alike the views of an image are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlignmentRecord {
    /// L_align of the finite world: of all views here, the image itself among them, a view paired
    /// with itself included.
    pub finite: Quantity,
    /// The same for two views that the policy draws independently, from those beside the image
    /// itself, which is the first and was not drawn; none with fewer than two of them.
    pub unbiased: Option<Quantity>,
    /// What it would be were the two views those of independent images: 2(1 − ‖E f‖²).
    pub chance: Quantity,
    /// The median of the view diameters: half of the images have no two views further apart.
    pub median_diameter: Quantity,
    /// R_ε over ε: (ε, share of images with two views more than ε apart), at most some thousand
    /// points.
    pub curve: Vec<[f64; 2]>,
    /// R_ε at some ε: as measured, and what the alignment proves of it.
    pub spread: Vec<Spread>,
}

impl AlignmentRecord {
    /// What stands for L_align: that of views drawn, and where too few are for it, that of the
    /// views here.
    pub fn best(&self) -> &Quantity {
        self.unbiased.as_ref().unwrap_or(&self.finite)
    }
}

/// R_ε at one ε.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// ε.
    pub epsilon: f64,
    /// R_ε of the views drawn.
    pub outside: Quantity,
    /// The same for other images of their kind, and as many views; the interval allows for ε having
    /// been chosen by these.
    pub outside_interval: Quantity,
    /// The same of the first half of the views: how much it still grows with their number.
    pub outside_of_half: Quantity,
    /// What L_align proves of it: M·L_align/ε², at most 1.
    pub bound: Quantity,
    /// log₁₀ of what theorem 2 of the paper says, for the constants named there and L_align of
    /// views drawn; none without pixels, or with fewer than two views drawn of each image.
    pub log10_published: Option<Quantity>,
}

/// How near the images of a class are in pixels, by their nearest views.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConcentrationRecord {
    /// The δ of the numbers below: where the main part of the middle class holds [`LEVEL`] of it. A
    /// bound from above where the proof of its curve ran out of time.
    pub delta: Quantity,
    /// The same as the root mean square difference of a colour channel, in levels of 255.
    pub levels: Quantity,
    /// Seconds that the proof of each curve might take; none for as long as it took.
    pub budget: Option<f64>,
    /// σ: the smallest share of a class in its main part.
    pub sigma: Quantity,
    /// The same for others of these images' kind.
    pub sigma_interval: Quantity,
    /// The mean of that share over classes.
    pub mean_sigma: Quantity,
    /// The same for others of these images' kind.
    pub mean_sigma_interval: Quantity,
    /// Share of images with an image of another class within δ.
    pub overlap: Quantity,
    /// Share of images with a view that equals one of another class.
    pub touching: Quantity,
    /// P[d_A(same class) < d_A(different class)] + ½ P[=]; none with a single class.
    pub separation: Option<Quantity>,
    /// The same for others of these images' kind.
    pub separation_interval: Option<Quantity>,
}

/// How far apart the centres of classes are, ‖f‖ = 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DivergenceRecord {
    /// The largest μ_k·μ_ℓ of different classes; none with a single class.
    pub largest: Option<Quantity>,
    /// Its mean over pairs of images of different classes; none with a single class.
    pub mean: Option<Quantity>,
    /// Δ_μ = 1 − min ‖μ_k‖².
    pub shortfall: Quantity,
    /// The closest pairs, the closest first.
    pub closest: Vec<Pair>,
    /// All μ_k·μ_ℓ, row after row, exact; left out where there are too many classes to look at.
    pub products: Vec<f64>,
}

/// Two classes, and bounds on the product of their centres. Products lie between −1 and 1; a bound
/// of 1 or more is vacuous.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// Positions in [`CertificateRecord::classes`].
    pub classes: [usize; 2],
    /// μ_k·μ_ℓ.
    pub product: Quantity,
    /// What InfoNCE proves of it; none where an image has one view.
    pub infonce: Option<LossPair>,
    /// The same of standardised embeddings, and what cross-correlation proves of it.
    pub correlation: Option<CorrelationPair>,
}

/// Bounds on a product of two centres by the InfoNCE loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossPair {
    /// As published.
    pub published: Quantity,
    /// Sharper.
    pub pairwise: Quantity,
}

/// A product of two centres of standardised embeddings, and bounds on it; none of them can exceed
/// ‖μ_k‖‖μ_ℓ‖.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrelationPair {
    /// μ_k·μ_ℓ.
    pub product: Quantity,
    /// ‖μ_k‖‖μ_ℓ‖, which it cannot exceed: a bound above is vacuous.
    pub most: Quantity,
    /// As published.
    pub published: Quantity,
    /// Sharper.
    pub sharper: Quantity,
    /// Sharpest: it knows that the coordinates are centred.
    pub centred: Quantity,
}

/// The error bound in one form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBound {
    /// Which proof.
    pub form: Form,
    /// The bound with one δ and one ε for all classes; 1 where it is vacuous.
    pub whole: Quantity,
    /// That certificate.
    pub certificate: Certificate,
    /// The bound with a δ and an ε for each class; 1 where it is vacuous.
    pub by_class: Quantity,
}

/// The strongest bound in a world where one factor is perfect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhatIf {
    /// The factor.
    pub factor: Factor,
    /// The strongest bound then; its [`Trust`](selfsame_theory::Trust) says what is assumed.
    pub bound: Quantity,
    /// By how much the condition with one δ and one ε holds then, in units of r²; negative by how
    /// much it fails.
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
    /// Its name, in lower case.
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
    /// No image can be mistaken for one of another class.
    SingleClass,
    /// Without labels there is no error to bound.
    NoLabels,
}

/// Why the theorem, as it is printed, holds or not: its condition is ρ <
/// [`allowed`](Self::allowed).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Obstacles {
    /// What ρ must stay below, given the centres; 0 where the centres alone forbid any ρ.
    pub allowed: f64,
    /// Whether the condition holds at the δ and ε below. Where it holds nowhere, ρ is at its least
    /// with half of every class or more in main parts.
    pub holds: bool,
    /// δ, a distance in pixels.
    pub delta: f64,
    /// ε, a distance of embeddings.
    pub epsilon: f64,
    /// What ρ is the sum of.
    pub rho: Rho,
}

/// The parts of ρ, which bounds how far from its centre a class can be.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rho {
    /// 2(1 − σ): images outside the main parts.
    pub unconcentrated: f64,
    /// R_ε / min p: images whose views are spread.
    pub unaligned: f64,
    /// σ × gap: closest views that f puts apart.
    pub gap: f64,
    /// 2σε: the spread of the views of all other images.
    pub spread: f64,
}

impl Rho {
    /// ρ.
    pub fn total(&self) -> f64 {
        self.unconcentrated + self.unaligned + self.gap + self.spread
    }
}

/// What to change first to improve the bound.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "advice", rename_all = "snake_case")]
pub enum Advice {
    /// The factor that, were it perfect, would improve the bound most.
    Improve {
        /// That factor.
        factor: Factor,
        /// The bound as it is.
        from: f64,
        /// The bound were the factor perfect; 1 where it would still be vacuous.
        to: f64,
    },
    /// No factor, were it alone perfect, would improve the bound.
    NoneAlone {
        /// The bound as it is.
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
    /// What L_2 proves of the mean of μ_k·μ_ℓ; none without labels.
    pub average: Option<Quantity>,
    /// The same without looking at labels, but for the masses of classes.
    pub label_free: Option<Quantity>,
    /// The same from the mean embedding alone.
    pub from_mean: Option<Quantity>,
}

/// The cross-correlation matrix of standardised embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrelationRecord {
    /// Coordinates standardised; those that are constant are left out.
    pub dim: usize,
    /// Coordinates left out.
    pub constant: usize,
    /// L_1 = Σ (1 − C_ii)²; none where an image has one view.
    pub l1: Option<Quantity>,
    /// L_2 = ‖C − I‖².
    pub l2: Quantity,
    /// tr C.
    pub trace: Quantity,
    /// |L_align − 2(d − tr C)| over 2d, which is 0 but for rounding.
    pub trace_residual: Quantity,
    /// The two sides of the Gram identity, their difference over their size; none without labels.
    pub gram_residual: Option<Quantity>,
    /// τ', what of the correlation is within classes; none without labels.
    pub within: Option<Quantity>,
    /// The root of the mean of (μ_k·μ_ℓ + 1)² over pairs of classes; none without two classes.
    pub average: Option<Quantity>,
    /// What L_2 proves of it.
    pub average_bound: Option<Quantity>,
}

/// Something that the theory takes for granted, and whether it holds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assumption {
    /// What is taken for granted.
    pub premise: Premise,
    /// Whether it holds here; none where it cannot be known, or nothing here needs it.
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
    /// The views measured are all there could be.
    AllViews,
}

/// What a certificate does not tell and why, or what it had to put up with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum LeftOut {
    /// Concentration has no intervals, which come from halves of the images: this class has too
    /// few.
    FewImages {
        /// The class with the fewest images.
        class: String,
        /// Its images.
        images: usize,
        /// Images of every class that intervals take.
        needed: usize,
    },
    /// No labels, so no classes and nothing that is about them.
    NoLabels,
    /// A single class, so nothing that holds one class against another.
    SingleClass,
    /// One view an image, so nothing that compares views.
    SingleView,
    /// No pixels, so nothing that measures distances of images.
    NoPixels,
    /// Embeddings with too many values for the matrix behind RankMe, αReQ and LiDAR.
    TooWide {
        /// The most values.
        most: usize,
    },
    /// No cross-correlation matrix: no coordinate varies, or too many do.
    NoCorrelation {
        /// The most coordinates.
        most: usize,
    },
    /// Coordinates without variance, which cross-correlation cannot scale.
    ConstantCoordinates,
    /// The run has not been evaluated, so accuracies are not in the record.
    NotEvaluated,
    /// The evaluation of the run is of other weights.
    OtherWeights,
    /// An image that could not be read.
    Image {
        /// Its name.
        name: String,
        /// Why.
        cause: String,
    },
    /// 64-bit embeddings were rounded to 32 bits.
    Rounded,
    /// Images whose embeddings repeat those of an earlier image, value for value.
    Repeats {
        /// How many.
        count: usize,
        /// The first of them, and the image it repeats.
        first: [usize; 2],
    },
}
