//! Encoders and heads of selfsame, on Burn.
//!
//! Every layer keeps PyTorch's names and shapes, so a module's [`state`] is a torchvision state
//! dict: `conv1.weight`, `layer2.0.downsample.1.running_var`, … No tensor is renamed or transposed.

mod backbone;
pub mod block;
pub mod descent;
pub mod device;
mod ends;
mod flex;
pub mod frozen;
mod fused;
pub mod import;
pub mod layers;
mod lipschitz;
mod mlp;
pub mod onnx;
pub mod parts;
pub mod pixels;
#[doc(hidden)]
pub mod protobuf;
mod resnet;
pub mod state;

pub use backbone::{Backbone, EncoderConfig, MlpConfig};
pub use mlp::{Mlp, Norms};
pub use resnet::{Architecture, Precision, ResNet, ResNetConfig, Stem};
