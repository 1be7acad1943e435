//! A Python program that builds an exported encoder with PyTorch and loads its weights.

use selfsame_nn::EncoderConfig;

/// Returns the program for the weights in `file`, which lies beside it. `upright` says whether images
/// are turned as their EXIF orientation says.
pub(super) fn program(file: &str, config: &EncoderConfig, upright: bool) -> String {
    let network = match config {
        EncoderConfig::ResNet(_) => include_str!("resnet.py"),
        EncoderConfig::Mlp(_) => include_str!("mlp.py"),
    };
    let upright = if upright { "ImageOps.exif_transpose(image)" } else { "image" };
    // What stands between quotes in Python.
    let file = file.replace('\\', "\\\\").replace('"', "\\\"");
    let program = [include_str!("head.py"), network, include_str!("tail.py")].concat();
    program.replace("{file}", &file).replace("{upright}", upright)
}
