//! Macros that declare methods, and access to the settings of any method.

use serde::Serialize;
use serde_json::Value;

use crate::MethodConfig;

/// Declares the settings of a method: a struct that is stored in `config.toml`.
///
/// The program shows the documentation of this struct, so that a setting is explained in one place.
/// The first line above the struct is the summary of the method. The first paragraph above a field
/// is the meaning of that setting.
macro_rules! settings {
    (
        $(#[$($attribute:tt)*])*
        pub struct $Name:ident {
            $($(#[$($field_attribute:tt)*])* pub $field:ident: $Type:ty,)*
        }
    ) => {
        $(#[$($attribute)*])*
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $Name {
            $($(#[$($field_attribute)*])* pub $field: $Type,)*
        }

        impl $Name {
            /// The first line of the documentation.
            pub(crate) const SUMMARY: &str =
                $crate::config::summary(&[$(doc_line!($($attribute)*)),*]);
            /// Every setting with the lines of its documentation.
            pub(crate) const FIELDS: &[(&str, &[&str])] =
                &[$((stringify!($field), &[$(doc_line!($($field_attribute)*)),*])),*];
        }
    };
}

/// Expands to the line of documentation in an attribute, or to an empty line for any other
/// attribute.
macro_rules! doc_line {
    (doc = $line:literal) => {
        $line
    };
    ($($other:tt)*) => {
        ""
    };
}

/// Declares the methods of the library. Each takes one line: its name in `config.toml` and the type
/// of its settings.
macro_rules! methods {
    ($($name:literal => $module:ident::$Method:ident,)*) => {
        $(pub use $module::$Method;)*

        /// Name and summary of every method.
        pub const METHODS: [(&str, &str); [$($name),*].len()] =
            [$(($name, $Method::SUMMARY)),*];

        /// A method with its settings, as `config.toml` stores it.
        #[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "name")]
        pub enum MethodConfig {
            $(
                #[doc = concat!("[`", stringify!($Method), "`]")]
                #[serde(rename = $name)]
                $Method($Method),
            )*
        }

        impl MethodConfig {
            /// Returns the method called `name`, with default settings for an encoder that gives
            /// `dim` values per image, or `None` if no method of [`METHODS`] has that name.
            pub fn by_name(name: &str, dim: usize) -> Option<Self> {
                match name {
                    $($name => Some(Self::$Method($Method::default_for(dim))),)*
                    _ => None,
                }
            }

            /// Returns the name of this method in [`METHODS`].
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$Method(_) => $name,)*
                }
            }

            /// Returns the method itself.
            pub fn method(&self) -> &dyn Method {
                match self {
                    $(Self::$Method(method) => method,)*
                }
            }

            /// Returns every setting with the lines of its documentation.
            fn fields(&self) -> &'static [(&'static str, &'static [&'static str])] {
                match self {
                    $(Self::$Method(_) => $Method::FIELDS,)*
                }
            }
        }
    };
}

/// A setting of a method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Key in the section `[method]` of `config.toml`.
    pub key: &'static str,
    /// Value, or `None` if the setting is unset.
    pub value: Option<Value>,
    /// Meaning of the setting, as a phrase.
    pub meaning: String,
}

impl MethodConfig {
    /// Returns the settings of this method, each with its value and meaning.
    ///
    /// ```
    /// use selfsame_methods::MethodConfig;
    ///
    /// let simsiam = MethodConfig::by_name("simsiam", 512).unwrap();
    /// let keys: Vec<&str> = simsiam.settings().iter().map(|setting| setting.key).collect();
    /// assert_eq!(keys, ["layers", "output", "bottleneck"]);
    /// ```
    pub fn settings(&self) -> Vec<Setting> {
        let values = serde_json::to_value(self).expect("settings are numbers and flags");
        let setting = |&(key, doc): &(&'static str, &[&str])| Setting {
            key,
            value: values.get(key).cloned(),
            meaning: meaning(doc),
        };
        self.fields().iter().map(setting).collect()
    }
}

/// Returns the first line of a doc comment without its full stop. That line must be a paragraph of
/// its own.
pub(crate) const fn summary(doc: &[&'static str]) -> &'static str {
    assert!(doc.len() == 1 || doc[1].is_empty(), "a method's summary is one line");
    let line = doc[0].trim_ascii();
    let (text, stop) = line.split_at(line.len() - 1);
    assert!(matches!(stop.as_bytes(), b"."), "a method's summary ends with a full stop");
    text
}

/// Returns the first paragraph of a doc comment as a phrase: `Width of …, in pixels.` becomes
/// `width of …, in pixels`.
fn meaning(doc: &[&str]) -> String {
    let lines: Vec<&str> =
        doc.iter().map(|line| line.trim()).take_while(|line| !line.is_empty()).collect();
    let text = lines.join(" ");
    let text = text.strip_suffix('.').unwrap_or(&text);
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::METHODS;

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
        for (name, _) in METHODS {
            let config = MethodConfig::by_name(name, 64).unwrap();
            let settings = config.settings();
            let values = serde_json::to_value(config).unwrap();
            for key in values.as_object().unwrap().keys().filter(|key| *key != "name") {
                let setting = settings.iter().find(|setting| setting.key == key);
                assert_eq!(
                    setting.and_then(|setting| setting.value.as_ref()),
                    Some(&values[key]),
                    "{name}: {key}"
                );
            }
            for Setting { key, meaning, .. } in settings {
                assert!(meaning.len() > 10, "{name}: {key} means {meaning:?}");
            }
        }
        let unset = |name: &str| {
            let settings = MethodConfig::by_name(name, 64).unwrap().settings();
            settings.into_iter().filter(|s| s.value.is_none()).map(|s| s.key).collect::<Vec<_>>()
        };
        assert_eq!(unset("mocov2"), ["temperature_end", "momentum_end"]);
        assert!(unset("rotation").is_empty() && unset("byol").is_empty());
    }

    #[test]
    fn a_meaning_is_the_first_paragraph() {
        let doc = [" Weight of the past,", " from 0 to 1.", "", " More of it."];
        assert_eq!(meaning(&doc), "weight of the past, from 0 to 1");
    }
}
