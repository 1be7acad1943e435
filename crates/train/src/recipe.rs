use selfsame_methods::{BarlowTwins, Byol, MethodConfig, MocoV2, SimClr, SimSiam, VicReg};
use selfsame_nn::{Architecture, EncoderConfig, Stem};

use crate::config::{OptimizerKind, TrainConfig};

/// The recipes there are, each with its source.
pub const RECIPES: [(&str, &str); 2] = [
    ("authors", "Huang et al. (ICLR 2023), on CIFAR-10 with lightly 1.0: simclr, mocov2, simsiam, barlow_twins"),
    ("solo-learn", "da Costa et al. (JMLR 2022), for CIFAR-10: these, byol and vicreg"),
];

/// Published settings of a method, all of them, for CIFAR-10 and a full-width ResNet-18.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The encoder.
    pub encoder: EncoderConfig,
    /// The method and its settings.
    pub method: MethodConfig,
    /// The training, without kNN between epochs.
    pub train: TrainConfig,
    /// The name of the policy.
    pub augment: &'static str,
}

/// The recipe of a name of [`RECIPES`] for a method; none where it has none for that method.
///
/// What differs from the sources: solo-learn's warm-up starts at 3e-5 and not near 0, its SimSiam does not lower the
/// predictor's learning rate, and its last layer of SimSiam's projector neither scales nor shifts; the authors took
/// the best epoch by the test images, which is left to them.
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

const ENCODER: EncoderConfig = EncoderConfig { architecture: Architecture::ResNet18, stem: Stem::Cifar, width: 64 };

/// SGD over a half cosine, without warm-up.
const SGD: TrainConfig = TrainConfig {
    epochs: 800,
    batch: 512,
    learning_rate: 0.06,
    warmup_epochs: 0.0,
    weight_decay: 5e-4,
    clip_norm: None,
    knn_every: 0,
    optimizer: OptimizerKind::Sgd,
    trust: None,
    trust_capped: false,
    microbatch: None,
    epsilon: EPSILON,
};

/// A quarter of the largest distance between normalised outputs.
pub const EPSILON: f64 = 0.5;

fn authors(method: &str) -> Option<Recipe> {
    let (learning_rate, method) = match method {
        "simclr" => {
            let simclr = SimClr { temperature: 0.5, temperature_end: None, hidden: 512, output: 128 };
            (0.06, MethodConfig::SimClr(simclr))
        }
        "mocov2" => {
            let moco = MocoV2 {
                temperature: 0.1,
                temperature_end: None,
                momentum: 0.99,
                momentum_end: None,
                queue: 4096,
                symmetric: true,
                splits: 8,
                hidden: 512,
                output: 128,
            };
            (0.08, MethodConfig::MocoV2(moco))
        }
        "simsiam" => (0.05, MethodConfig::SimSiam(SimSiam { layers: 2, output: 2048, bottleneck: 512 })),
        "barlow_twins" => {
            let barlow = BarlowTwins { lambda: 5e-3, scale: 1.0, hidden: 2048, output: 2048 };
            (0.11, MethodConfig::BarlowTwins(barlow))
        }
        _ => return None,
    };
    Some(Recipe { encoder: ENCODER, method, train: TrainConfig { learning_rate, ..SGD }, augment: "authors" })
}

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
        "simclr" => {
            let simclr = SimClr { temperature: 0.2, temperature_end: None, hidden: 2048, output: 256 };
            (lars(0.4, 1e-4), "simclr", MethodConfig::SimClr(simclr))
        }
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
        "simsiam" => {
            let simsiam = SimSiam { layers: 3, output: 2048, bottleneck: 512 };
            (sgd(0.5, 1e-5), "mocov2", MethodConfig::SimSiam(simsiam))
        }
        "barlow_twins" => {
            let barlow = BarlowTwins { lambda: 5.1e-3, scale: 0.1, hidden: 2048, output: 2048 };
            (lars(0.3, 1e-4), "barlow_twins", MethodConfig::BarlowTwins(barlow))
        }
        "byol" => {
            let byol = Byol { momentum: 0.99, hidden: 4096, output: 256 };
            (lars(1.0, 1e-5), "byol", MethodConfig::Byol(byol))
        }
        "vicreg" => {
            let vicreg = VicReg { invariance: 25.0, variance: 25.0, covariance: 1.0, hidden: 2048, output: 2048 };
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

    /// Each recipe's own word on which methods it has, and settings that pass every check.
    #[test]
    fn each_recipe_makes_sense_and_has_what_it_says() {
        let has = |name| METHODS.map(|(method, _)| method).into_iter().filter(move |m| recipe(name, m).is_some());
        assert_eq!(has("authors").collect::<Vec<_>>(), ["simclr", "mocov2", "barlow_twins", "simsiam"]);
        assert_eq!(has("solo-learn").count(), 6);
        for (name, _) in RECIPES {
            for method in has(name) {
                let Recipe { encoder, method, train, augment } = recipe(name, method).unwrap();
                let data = DataConfig { source: "cifar10".into(), image_size: 32, limit: None, classes: None };
                let config = Config { seed: 0, init: None, data, encoder, method, train, augment: augment.parse().unwrap() };
                config.check().unwrap();
            }
        }
    }
}
