//! Seeds in TOML. Integers of TOML end at 2⁶³ − 1, so larger seeds are written as text; both are
//! read.
//!
//! The module is made for `#[serde(with = "selfsame_train::seed")]`.
//!
//! ```
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Settings {
//!     #[serde(with = "selfsame_train::seed")]
//!     seed: u64,
//! }
//!
//! let settings: Settings = toml::from_str("seed = 7")?;
//! assert_eq!(toml::to_string(&settings)?, "seed = 7\n");
//! let largest: Settings = toml::from_str("seed = '18446744073709551615'")?;
//! assert_eq!(toml::to_string(&largest)?, "seed = \"18446744073709551615\"\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes a seed.
///
/// # Errors
/// The errors of the serializer.
pub fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*seed) {
        Ok(small) => serializer.serialize_i64(small),
        Err(_) => serializer.collect_str(seed),
    }
}

/// Reads a seed.
///
/// # Errors
/// If the value is not a whole number from 0 to 2⁶⁴ − 1, as a number or as text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Seed;

    impl Visitor<'_> for Seed {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a seed, a whole number from 0 to {}", u64::MAX)
        }

        fn visit_u64<E: Error>(self, seed: u64) -> Result<u64, E> {
            Ok(seed)
        }

        fn visit_i64<E: Error>(self, seed: i64) -> Result<u64, E> {
            u64::try_from(seed)
                .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(seed), &self))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_any(Seed)
}

/// Seeds that may be unset, for `#[serde(with = "selfsame_train::seed::option")]`.
pub mod option {
    use super::{Deserializer, Serializer};

    /// Writes a seed.
    ///
    /// # Errors
    /// The errors of the serializer.
    pub fn serialize<S: Serializer>(seed: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        match seed {
            Some(seed) => super::serialize(seed, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a seed.
    ///
    /// # Errors
    /// If the value is not a seed.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        super::deserialize(deserializer).map(Some)
    }
}

/// Lists of seeds, for `#[serde(with = "selfsame_train::seed::list")]`.
pub mod list {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Seed(#[serde(with = "super")] u64);

    /// Writes seeds.
    ///
    /// # Errors
    /// The errors of the serializer.
    pub fn serialize<S: Serializer>(seeds: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(seeds.iter().map(|&seed| Seed(seed)))
    }

    /// Reads seeds.
    ///
    /// # Errors
    /// If a value is not a seed.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
        let seeds = Vec::<Seed>::deserialize(deserializer)?;
        Ok(seeds.into_iter().map(|Seed(seed)| seed).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Both {
        #[serde(with = "super")]
        one: u64,
        #[serde(with = "super::list")]
        many: Vec<u64>,
    }

    #[test]
    fn every_seed_survives_toml_and_json() {
        for one in [0, 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
            let both = Both { one, many: vec![one, 3] };
            let text = toml::to_string(&both).unwrap();
            assert_eq!(toml::from_str::<Both>(&text).unwrap(), both, "{text}");
            let text = serde_json::to_string(&both).unwrap();
            assert_eq!(serde_json::from_str::<Both>(&text).unwrap(), both, "{text}");
        }
    }

    #[test]
    fn what_is_no_seed_is_refused() {
        for value in ["-1", "1.5", "'-1'", "'1e3'", "'18446744073709551616'", "true", "'x'"] {
            let error = toml::from_str::<Both>(&format!("one = {value}\nmany = []")).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("from 0 to 18446744073709551615"), "{value}: {text}");
        }
    }
}
