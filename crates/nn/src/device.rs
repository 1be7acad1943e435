//! Devices of tensors, chosen by name at run time.

use burn::tensor::Device;

/// Reason why a device could not be chosen.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// No device has this name.
    #[error("unknown device `{0}`; known: flex, vulkan, metal, webgpu, cuda, rocm")]
    Unknown(String),
    /// This build does not support the device.
    #[error("device `{0}` is not in this build; build with `--features {0}`")]
    NotBuilt(String),
}

/// Returns the device called `name`. `flex`, the processor, is always available; each of the others
/// needs the cargo feature of the same name.
///
/// ```
/// assert!(selfsame_nn::device::by_name("flex").is_ok());
/// assert!(selfsame_nn::device::by_name("abacus").is_err());
/// ```
///
/// # Errors
/// [`DeviceError`] for an unknown name, or a device that this build does not support.
pub fn by_name(name: &str) -> Result<Device, DeviceError> {
    match name {
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "vulkan")]
        "vulkan" => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "metal")]
        "metal" => Ok(Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "webgpu")]
        "webgpu" => Ok(Device::webgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        #[cfg(feature = "rocm")]
        "rocm" => Ok(Device::rocm(0)),
        #[allow(unreachable_patterns, reason = "devices of this build are matched above")]
        "vulkan" | "metal" | "webgpu" | "cuda" | "rocm" => {
            Err(DeviceError::NotBuilt(name.to_owned()))
        }
        _ => Err(DeviceError::Unknown(name.to_owned())),
    }
}
