use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    BarlowTwins, Byol, InfoNce, Method, MocoV2, RevisedInfoNce, Rotation, SimClr, SimSiam,
    SimpleContrastive, Spectral, TSimClr, VicReg,
};

/// The methods there are, by name, each with what it is.
pub const METHODS: [(&str, &str); 12] = [
    ("simclr", "Chen et al. 2020: all other images of the batch as negatives"),
    ("mocov2", "Chen et al. 2020: a momentum encoder and a queue of negatives"),
    ("barlow_twins", "Zbontar et al. 2021: cross-correlation towards the identity"),
    ("simsiam", "Chen and He 2021: a predictor and a held side, no negatives"),
    ("byol", "Grill et al. 2020: predicts a momentum encoder's output"),
    ("vicreg", "Bardes et al. 2022: variance, invariance, covariance"),
    ("spectral", "HaoChen et al. 2021: a factor of the augmentation graph"),
    ("revised_infonce", "Huang et al. 2023: alignment and divergence weighed apart"),
    ("infonce", "van den Oord et al. 2018: with a chosen number of negatives"),
    ("t_simclr", "Hu et al. 2023: SimCLR with t-SNE's heavy tails"),
    ("simple_contrastive", "Huang et al. 2023: linear, for the collapse it shows"),
    ("rotation", "Gidaris et al. 2018: which quarter turn was made"),
];

/// What settings of methods mean, by their keys in `config.toml`, in the order in which they are
/// told.
const MEANINGS: [(&str, &str); 19] = [
    (
        "temperature",
        "temperature of the loss, above 0; smaller ones look at the nearest negatives alone",
    ),
    (
        "temperature_end",
        "temperature at the end, reached along a half cosine; unset, it does not change",
    ),
    ("degrees_of_freedom", "degrees of freedom of Student's t; fewer have heavier tails"),
    ("lambda", "weight of what holds the outputs apart beside what draws views together"),
    ("scale", "what the loss is multiplied by"),
    ("invariance", "weight of the distance between views"),
    ("variance", "weight of outputs that vary too little"),
    ("covariance", "weight of outputs that vary together"),
    ("radius", "length that longer outputs are shortened to"),
    (
        "negatives",
        "other images that an image is told from at a step; all of the batch where that has fewer",
    ),
    ("momentum", "share of the slow copy that stays at a step, from 0 to 1"),
    ("momentum_end", "the same at the end, reached along a half cosine; unset, it does not change"),
    ("queue", "earlier embeddings that are kept as negatives"),
    ("symmetric", "whether each view is both query and key, at twice the cost of a step"),
    (
        "splits",
        "parts of a batch that batch normalisation sees apart, as on so many machines; parts keep \
         two images",
    ),
    ("layers", "linear maps in the projector, 2 or more"),
    ("hidden", "width of the heads' hidden layers"),
    ("output", "number of values the loss compares"),
    ("bottleneck", "width of the predictor's hidden layer"),
];

/// A setting of a method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// As in `config.toml`, behind `method.`.
    pub key: &'static str,
    /// Its value; none if it is unset.
    pub value: Option<Value>,
    /// What it means.
    pub meaning: &'static str,
}

/// A method with its settings, as `config.toml` has it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum MethodConfig {
    /// [`SimClr`].
    #[serde(rename = "simclr")]
    SimClr(SimClr),
    /// [`MocoV2`].
    #[serde(rename = "mocov2")]
    MocoV2(MocoV2),
    /// [`BarlowTwins`].
    BarlowTwins(BarlowTwins),
    /// [`SimSiam`].
    #[serde(rename = "simsiam")]
    SimSiam(SimSiam),
    /// [`Byol`].
    Byol(Byol),
    /// [`VicReg`].
    #[serde(rename = "vicreg")]
    VicReg(VicReg),
    /// [`Spectral`].
    Spectral(Spectral),
    /// [`RevisedInfoNce`].
    #[serde(rename = "revised_infonce")]
    RevisedInfoNce(RevisedInfoNce),
    /// [`InfoNce`].
    #[serde(rename = "infonce")]
    InfoNce(InfoNce),
    /// [`TSimClr`].
    #[serde(rename = "t_simclr")]
    TSimClr(TSimClr),
    /// [`SimpleContrastive`].
    SimpleContrastive(SimpleContrastive),
    /// [`Rotation`].
    Rotation(Rotation),
}

impl MethodConfig {
    /// The method of a name of [`METHODS`], with sensible settings for an encoder of `dim` values.
    pub fn by_name(name: &str, dim: usize) -> Option<Self> {
        Some(match name {
            "simclr" => Self::SimClr(SimClr::sensible(dim)),
            "mocov2" => Self::MocoV2(MocoV2::sensible(dim)),
            "barlow_twins" => Self::BarlowTwins(BarlowTwins::sensible(dim)),
            "simsiam" => Self::SimSiam(SimSiam::sensible(dim)),
            "byol" => Self::Byol(Byol::sensible(dim)),
            "vicreg" => Self::VicReg(VicReg::sensible(dim)),
            "spectral" => Self::Spectral(Spectral::sensible(dim)),
            "revised_infonce" => Self::RevisedInfoNce(RevisedInfoNce::sensible(dim)),
            "infonce" => Self::InfoNce(InfoNce::sensible(dim)),
            "t_simclr" => Self::TSimClr(TSimClr::sensible(dim)),
            "simple_contrastive" => Self::SimpleContrastive(SimpleContrastive::sensible(dim)),
            "rotation" => Self::Rotation(Rotation {}),
            _ => return None,
        })
    }

    /// Its settings, each with its value and what it means.
    ///
    /// ```
    /// use selfsame_methods::MethodConfig;
    ///
    /// let simsiam = MethodConfig::by_name("simsiam", 512).unwrap();
    /// let keys: Vec<&str> = simsiam.settings().iter().map(|setting| setting.key).collect();
    /// assert_eq!(keys, ["layers", "output", "bottleneck"]);
    /// ```
    pub fn settings(&self) -> Vec<Setting> {
        let Ok(Value::Object(own)) = serde_json::to_value(self) else { return Vec::new() };
        // What is unset does not show in the values; a method takes it or refuses it.
        let takes = |key: &str| {
            let mut with = own.clone();
            with.insert(key.to_owned(), Value::from(0.5));
            serde_json::from_value::<Self>(Value::Object(with)).is_ok()
        };
        let found = MEANINGS.into_iter().filter(|(key, _)| own.contains_key(*key) || takes(key));
        found.map(|(key, meaning)| Setting { key, value: own.get(key).cloned(), meaning }).collect()
    }

    /// The name it has in [`METHODS`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::SimClr(_) => "simclr",
            Self::MocoV2(_) => "mocov2",
            Self::BarlowTwins(_) => "barlow_twins",
            Self::SimSiam(_) => "simsiam",
            Self::Byol(_) => "byol",
            Self::VicReg(_) => "vicreg",
            Self::Spectral(_) => "spectral",
            Self::RevisedInfoNce(_) => "revised_infonce",
            Self::InfoNce(_) => "infonce",
            Self::TSimClr(_) => "t_simclr",
            Self::SimpleContrastive(_) => "simple_contrastive",
            Self::Rotation(_) => "rotation",
        }
    }

    /// The method itself.
    pub fn method(&self) -> &dyn Method {
        match self {
            Self::SimClr(method) => method,
            Self::MocoV2(method) => method,
            Self::BarlowTwins(method) => method,
            Self::SimSiam(method) => method,
            Self::Byol(method) => method,
            Self::VicReg(method) => method,
            Self::Spectral(method) => method,
            Self::RevisedInfoNce(method) => method,
            Self::InfoNce(method) => method,
            Self::TSimClr(method) => method,
            Self::SimpleContrastive(method) => method,
            Self::Rotation(method) => method,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_method_and_its_toml() {
        for (name, _) in METHODS {
            let config = MethodConfig::by_name(name, 64).unwrap();
            assert_eq!(config.name(), name);
            config.method().check().unwrap();
            let text = toml::to_string(&config).unwrap();
            assert!(text.contains(&format!("name = \"{name}\"")), "{text}");
            assert_eq!(toml::from_str::<MethodConfig>(&text).unwrap(), config);
        }
        assert_eq!(MethodConfig::by_name("simcrl", 64), None);
    }

    #[test]
    fn every_setting_has_a_meaning() {
        let mut told = std::collections::BTreeSet::new();
        for (name, _) in METHODS {
            let config = MethodConfig::by_name(name, 64).unwrap();
            let settings = config.settings();
            let values = serde_json::to_value(config).unwrap();
            for key in values.as_object().unwrap().keys().filter(|key| *key != "name") {
                let found = settings.iter().find(|setting| setting.key == key);
                assert_eq!(
                    found.and_then(|setting| setting.value.as_ref()),
                    Some(&values[key]),
                    "{name}: {key}"
                );
            }
            told.extend(settings.iter().map(|setting| setting.key));
        }
        let unset = |name: &str| {
            let settings = MethodConfig::by_name(name, 64).unwrap().settings();
            settings.into_iter().filter(|s| s.value.is_none()).map(|s| s.key).collect::<Vec<_>>()
        };
        assert_eq!(unset("mocov2"), ["temperature_end", "momentum_end"]);
        assert!(unset("rotation").is_empty() && unset("byol").is_empty());
        // And no meaning is of a setting that no method has.
        assert_eq!(told.len(), MEANINGS.len());
    }
}
