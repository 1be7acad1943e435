//! The encoders to choose from.

use selfsame_nn::Architecture;
use serde::Deserialize;

/// An encoder's architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncoderKind {
    /// 2, 2, 2, 2 basic blocks.
    ResNet18,
    /// 3, 4, 6, 3 basic blocks.
    ResNet34,
    /// 3, 4, 6, 3 bottleneck blocks.
    ResNet50,
    /// A multilayer perceptron with two hidden layers that takes an image's pixels.
    Mlp,
}

impl From<Architecture> for EncoderKind {
    fn from(architecture: Architecture) -> Self {
        match architecture {
            Architecture::ResNet18 => Self::ResNet18,
            Architecture::ResNet34 => Self::ResNet34,
            Architecture::ResNet50 => Self::ResNet50,
        }
    }
}
