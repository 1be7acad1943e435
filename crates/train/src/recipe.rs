//! Recipes: published settings of methods on CIFAR-10.

use selfsame_methods::{BarlowTwins, Byol, MethodConfig, MocoV2, SimClr, SimSiam, VicReg};
use selfsame_nn::{Architecture, Precision, ResNetConfig, Stem};

use crate::config::{OptimizerKind, TrainConfig};

/// Name and source of every recipe.
pub const RECIPES: [(&str, &str); 2] = [
    (
        "authors",
        "Huang et al. (ICLR 2023), on CIFAR-10 with lightly 1.0: simclr, mocov2, simsiam, \
         barlow_twins",
    ),
    ("solo-learn", "da Costa et al. (JMLR 2022), for CIFAR-10: these, byol and vicreg"),
];

/// All published settings of a method, for CIFAR-10 and a full-width ResNet-18.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The encoder.
    pub encoder: ResNetConfig,
    /// The method and its settings.
    pub method: MethodConfig,
    /// Settings of the training, without kNN between epochs; 200 neighbours at its end, as in both
    /// sources.
    pub train: TrainConfig,
    /// Name of the policy that draws views.
    pub augment: &'static str,
}

/// Returns the settings of `method` in the recipe called `name` in [`RECIPES`], or `None` if that
/// recipe has no settings for the method.
///
/// The recipes differ from their sources in these points:
/// - Both: here, a SimCLR step passes both views as one batch, and batch normalisation takes its
///   statistics over that batch. The sources pass one view after the other.
/// - `authors`: their encoder is a sequence of the layers of lightly's ResNet, so it has no ReLU
///   after the stem. Their learning rate changes once per epoch; here it changes at every step.
///   Their MoCo puts the keys of the first view into the queue before it computes the loss of the
///   second view; here the keys of both views are added after the step. They chose the best epoch
///   on the test images; selfsame does not.
/// - `solo-learn`: its stem pads by 2 and its pixels are normalised by the mean and deviation of
///   CIFAR; here the stem pads by 1, and pixels are normalised by the mean and deviation of
///   ImageNet. Its warm-up starts at 3e-5; here the warm-up starts near 0. Its MoCo keeps a queue
///   of 32,768 for each view, and compares a query with the queue of the other view. Here one queue
///   of that length serves both views, so the queue is 16,384 images deep. Its SimSiam keeps the
///   learning rate of the predictor constant; here that rate falls too. The last layer of its
///   SimSiam projector neither scales nor shifts. It trains a classifier together with the encoder,
///   without a gradient to the encoder, and computes in 16-bit floats.
///
/// ```
/// let recipe = selfsame_train::recipe("authors", "simclr").unwrap();
/// assert_eq!((recipe.train.batch, recipe.train.learning_rate), (512, 0.06));
/// assert_eq!(selfsame_train::recipe("authors", "rotation"), None);
/// ```
pub fn recipe(name: &str, method: &str) -> Option<Recipe> {
    match name {
        "authors" => authors(method),
        "solo-learn" => solo_learn(method),
        _ => None,
    }
}

const ENCODER: ResNetConfig = ResNetConfig {
    architecture: Architecture::ResNet18,
    stem: Stem::Cifar,
    width: 64,
    precision: Precision::F32,
};

/// SGD with a learning rate along a half cosine and without warm-up, as in the authors' runs.
const SGD: TrainConfig = TrainConfig {
    epochs: 800,
    batch: 512,
    learning_rate: 0.06,
    warmup_epochs: 0.0,
    weight_decay: 5e-4,
    clip_norm: None,
    knn_every: 0,
    knn_k: Some(200),
    optimizer: OptimizerKind::Sgd,
    trust: None,
    trust_capped: false,
    microbatch: None,
    epsilon: EPSILON,
};

/// Distance ε of every recipe: a quarter of the largest distance between normalised outputs.
pub const EPSILON: f64 = 0.5;

/// Returns settings from the training scripts of the paper, one script per method:
/// github.com/huang-research-group/contrastive2021, on lightly 1.0.8.
fn authors(method: &str) -> Option<Recipe> {
    let (learning_rate, method) = match method {
        "simclr" => {
            let simclr =
                SimClr { temperature: 0.5, temperature_end: None, hidden: 512, output: 128 };
            (0.06, MethodConfig::SimClr(simclr))
        }
        "mocov2" => (0.08, MethodConfig::by_name("mocov2", 512)?),
        "simsiam" => {
            (0.05, MethodConfig::SimSiam(SimSiam { layers: 2, output: 2048, bottleneck: 512 }))
        }
        "barlow_twins" => {
            let barlow = BarlowTwins { lambda: 5e-3, scale: 1.0, hidden: 2048, output: 2048 };
            (0.11, MethodConfig::BarlowTwins(barlow))
        }
        _ => return None,
    };
    Some(Recipe {
        encoder: ENCODER,
        method,
        train: TrainConfig { learning_rate, ..SGD },
        augment: "authors",
    })
}

/// Returns settings from `scripts/pretrain/cifar/*.yaml` of github.com/vturrisi/solo-learn, each at
/// the revision named below. Settings that a file leaves out have the defaults of the code: warm-up
/// over 10 epochs, momentum 0.9, and a λ of 0.0051 for Barlow Twins.
fn solo_learn(method: &str) -> Option<Recipe> {
    let common = TrainConfig { epochs: 1000, batch: 256, warmup_epochs: 10.0, ..SGD };
    let sgd = |learning_rate, weight_decay| TrainConfig { learning_rate, weight_decay, ..common };
    let lars = |learning_rate, weight_decay| TrainConfig {
        optimizer: OptimizerKind::Lars,
        trust: Some(0.02),
        trust_capped: true,
        ..sgd(learning_rate, weight_decay)
    };
    let (train, augment, method) = match method {
        // simclr.yaml and augmentations/symmetric.yaml, 07f8c3b.
        "simclr" => {
            let simclr =
                SimClr { temperature: 0.2, temperature_end: None, hidden: 2048, output: 256 };
            (lars(0.4, 1e-4), "simclr", MethodConfig::SimClr(simclr))
        }
        // mocov2plus.yaml and augmentations/symmetric_weak.yaml, 1df0b89.
        "mocov2" => {
            let moco = MocoV2 {
                temperature: 0.2,
                temperature_end: None,
                momentum: 0.99,
                momentum_end: Some(0.999),
                queue: 32768,
                symmetric: true,
                splits: 1,
                hidden: 2048,
                output: 256,
            };
            (sgd(0.3, 1e-4), "mocov2", MethodConfig::MocoV2(moco))
        }
        // simsiam.yaml and augmentations/symmetric_weak.yaml, 3a64e55.
        "simsiam" => {
            let simsiam = SimSiam { layers: 3, output: 2048, bottleneck: 512 };
            (sgd(0.5, 1e-5), "mocov2", MethodConfig::SimSiam(simsiam))
        }
        // barlow.yaml and augmentations/asymmetric.yaml, 07f8c3b.
        "barlow_twins" => {
            let barlow = BarlowTwins { lambda: 5.1e-3, scale: 0.1, hidden: 2048, output: 2048 };
            (lars(0.3, 1e-4), "barlow_twins", MethodConfig::BarlowTwins(barlow))
        }
        // byol.yaml and augmentations/asymmetric.yaml, 4d64ac0.
        "byol" => {
            let byol = Byol { momentum: 0.99, hidden: 4096, output: 256 };
            (lars(1.0, 1e-5), "byol", MethodConfig::Byol(byol))
        }
        // vicreg.yaml, 1df0b89.
        "vicreg" => {
            // The `var_loss_weight` of 25 in the source is the weight of the sum over both views.
            // Our weight is the weight of the mean over both views.
            let vicreg = VicReg {
                invariance: 25.0,
                variance: 50.0,
                covariance: 1.0,
                hidden: 2048,
                output: 2048,
            };
            (lars(0.3, 1e-4), "vicreg", MethodConfig::VicReg(vicreg))
        }
        _ => return None,
    };
    Some(Recipe { encoder: ENCODER, method, train, augment })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, DataConfig};
    use selfsame_methods::METHODS;

    /// Checks every number of every recipe against a second copy from its source.
    #[test]
    fn every_number_is_that_of_its_source() {
        let sgd = "optimizer = 'sgd'";
        let lars = "optimizer = 'lars'\ntrust = 0.02\ntrust_capped = true";
        let authors = (512, 800, 0.0, "authors");
        let solo = |augment| (256, 1000, 10.0, augment);
        let table = [
            (
                "authors",
                authors,
                0.06,
                5e-4,
                sgd,
                "name = 'simclr'\ntemperature = 0.5\nhidden = 512\noutput = 128",
            ),
            (
                "authors",
                authors,
                0.08,
                5e-4,
                sgd,
                "name = 'mocov2'\ntemperature = 0.1\nmomentum = 0.99\nqueue = 4096\nsymmetric = \
                 true\nsplits = 8\n\
                 hidden = 512\noutput = 128",
            ),
            (
                "authors",
                authors,
                0.05,
                5e-4,
                sgd,
                "name = 'simsiam'\nlayers = 2\noutput = 2048\nbottleneck = 512",
            ),
            (
                "authors",
                authors,
                0.11,
                5e-4,
                sgd,
                "name = 'barlow_twins'\nlambda = 0.005\nscale = 1.0\nhidden = 2048\noutput = 2048",
            ),
            (
                "solo-learn",
                solo("simclr"),
                0.4,
                1e-4,
                lars,
                "name = 'simclr'\ntemperature = 0.2\nhidden = 2048\noutput = 256",
            ),
            (
                "solo-learn",
                solo("mocov2"),
                0.3,
                1e-4,
                sgd,
                "name = 'mocov2'\ntemperature = 0.2\nmomentum = 0.99\nmomentum_end = 0.999\nqueue \
                 = 32768\n\
                 symmetric = true\nsplits = 1\nhidden = 2048\noutput = 256",
            ),
            (
                "solo-learn",
                solo("mocov2"),
                0.5,
                1e-5,
                sgd,
                "name = 'simsiam'\nlayers = 3\noutput = 2048\nbottleneck = 512",
            ),
            (
                "solo-learn",
                solo("barlow_twins"),
                0.3,
                1e-4,
                lars,
                "name = 'barlow_twins'\nlambda = 0.0051\nscale = 0.1\nhidden = 2048\noutput = 2048",
            ),
            (
                "solo-learn",
                solo("byol"),
                1.0,
                1e-5,
                lars,
                "name = 'byol'\nmomentum = 0.99\nhidden = 4096\noutput = 256",
            ),
            (
                "solo-learn",
                solo("vicreg"),
                0.3,
                1e-4,
                lars,
                "name = 'vicreg'\ninvariance = 25.0\nvariance = 50.0\ncovariance = 1.0\nhidden = \
                 2048\noutput = 2048",
            ),
        ];
        for (
            name,
            (batch, epochs, warmup_epochs, augment),
            learning_rate,
            weight_decay,
            rule,
            method,
        ) in table
        {
            let expected: MethodConfig = toml::from_str(method).unwrap();
            let train = format!(
                "batch = {batch}\nepochs = {epochs}\nwarmup_epochs = \
                 {warmup_epochs:?}\nweight_decay = {weight_decay:?}\n\
                 learning_rate = {learning_rate:?}\nknn_every = 0\nknn_k = 200\nepsilon = 0.5\n{rule}"
            );
            let found = recipe(name, expected.name()).unwrap();
            assert_eq!((found.method, found.augment), (expected, augment), "{name}");
            assert_eq!(found.train, toml::from_str(&train).unwrap(), "{name} {method}");
            let encoder = ResNetConfig {
                architecture: Architecture::ResNet18,
                stem: Stem::Cifar,
                width: 64,
                precision: Precision::F32,
            };
            assert_eq!(found.encoder, encoder);
        }
        let all = METHODS
            .map(|(method, _)| RECIPES.map(|(name, _)| recipe(name, method)))
            .into_iter()
            .flatten();
        assert_eq!(all.flatten().count(), table.len(), "a line each");
    }

    /// Checks that each recipe has the methods that it names, and that its settings pass every
    /// check.
    #[test]
    fn each_recipe_makes_sense_and_has_what_it_says() {
        let has = |name| {
            METHODS.map(|(method, _)| method).into_iter().filter(move |m| recipe(name, m).is_some())
        };
        assert_eq!(
            has("authors").collect::<Vec<_>>(),
            ["simclr", "mocov2", "barlow_twins", "simsiam"]
        );
        assert_eq!(has("solo-learn").count(), 6);
        for (name, _) in RECIPES {
            for method in has(name) {
                let Recipe { encoder, method, train, augment } = recipe(name, method).unwrap();
                let data = DataConfig {
                    split_seed: None,
                    source: "cifar10".into(),
                    image_size: 32,
                    source_size: None,
                    limit: None,
                    labels: None,
                    classes: None,
                    exif: Default::default(),
                };
                let config = Config {
                    seed: 0,
                    init: None,
                    data,
                    encoder: encoder.into(),
                    method,
                    train,
                    augment: augment.parse().unwrap(),
                };
                config.check().unwrap();
            }
        }
    }
}
