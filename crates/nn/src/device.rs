//! Where tensors live: chosen at run time by name.

use burn::tensor::Device;

/// Why a device could not be chosen.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// The name means nothing.
    #[error("unknown device `{0}`; known: flex, vulkan, metal, webgpu, cuda, rocm")]
    Unknown(String),
    /// The program was built without that device.
    #[error("device `{0}` is not in this build; build with `--features {0}`")]
    NotBuilt(String),
}

/// The device called `name`: `flex` is the processor and always there, the others come with the
/// cargo feature of the same name.
///
/// ```
/// assert!(selfsame_nn::device::by_name("flex").is_ok());
/// assert!(selfsame_nn::device::by_name("abacus").is_err());
/// ```
///
/// # Errors
/// [`DeviceError`] for an unknown name, or one that this build does not have.
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
        #[allow(unreachable_patterns, reason = "what this build has is matched above")]
        "vulkan" | "metal" | "webgpu" | "cuda" | "rocm" => {
            Err(DeviceError::NotBuilt(name.to_owned()))
        }
        _ => Err(DeviceError::Unknown(name.to_owned())),
    }
}
