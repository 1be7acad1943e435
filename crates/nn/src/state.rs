//! A module's tensors by name, and the safetensors files that hold them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};

/// Counts the trained values of a module: all values but batch normalisation's running statistics.
pub fn parameters<M: Module>(module: &M) -> usize {
    read(module)
        .iter()
        .filter(|(name, _)| !is_statistic(name))
        .map(|(_, values)| values.values.len())
        .sum()
}

/// Returns whether the tensor called `name` is one of batch normalisation's running statistics.
pub(crate) fn is_statistic(name: &str) -> bool {
    name.ends_with("running_mean") || name.ends_with("running_var")
}

/// One tensor's values on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Sizes of the dimensions, outermost first.
    pub shape: Vec<usize>,
    /// The values. Their number is the product of `shape`.
    pub values: Vec<f32>,
}

/// Tensors by their full names, such as `backbone.layer1.0.conv1.weight`.
pub type State = BTreeMap<String, Values>;

/// Copies every parameter and running statistic out of a module.
pub fn read<M: Module>(module: &M) -> State {
    let mut state = State::new();
    // Burn stores updates of running statistics separately; `valid` applies them.
    visit(&module.valid(), &mut state);
    state
}

impl VisitNamed for State {
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>) {
        self.insert(name.to_owned(), to_host(param.val()));
    }
}

/// A visitor that is called with each of a module's tensors; see [`visit`].
pub trait VisitNamed {
    /// Is called with each tensor and its full name.
    fn tensor<const D: usize>(&mut self, name: &str, param: &Param<Tensor<D>>);
}

/// Calls the visitor with each float tensor of a module, in order.
pub fn visit<M: Module>(module: &M, visitor: &mut impl VisitNamed) {
    module.visit(&mut Walk { path: Vec::new(), inner: visitor });
}

/// A function that replaces a module's tensors; see [`map`].
pub trait MapNamed {
    /// Returns the replacement for the tensor with the full name `name`.
    fn tensor<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>>;
}

/// Replaces each float tensor of a module by the tensor that the mapper returns for it.
pub fn map<M: Module>(module: M, mapper: &mut impl MapNamed) -> M {
    module.map(&mut Walk { path: Vec::new(), inner: mapper })
}

/// Joins the parts of full names while Burn walks through a module, because Burn names only one
/// level at a time.
///
/// The variant of an enum is not part of a name: the tensors of `Backbone::ResNet` have the same
/// names as the tensors of a field of type `ResNet`.
struct Walk<'a, T> {
    path: Vec<String>,
    inner: &'a mut T,
}

impl<T> Walk<'_, T> {
    fn enter(&mut self, name: &str, container: &str) {
        if !is_enum(container) {
            self.path.push(name.to_owned());
        }
    }

    fn exit(&mut self, container: &str) {
        if !is_enum(container) {
            self.path.pop();
        }
    }
}

/// Returns whether a container is an enum. `container` is the name that Burn's derived modules give
/// it.
fn is_enum(container: &str) -> bool {
    container.starts_with("Enum:")
}

impl<T: VisitNamed> ModuleVisitor for Walk<'_, T> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.inner.tensor(&self.path.join("."), param);
    }
}

impl<T: MapNamed> ModuleMapper for Walk<'_, T> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.inner.tensor(&self.path.join("."), param)
    }
}

/// Copies a tensor to the host.
pub fn to_host<const D: usize>(tensor: Tensor<D>) -> Values {
    let shape = tensor.dims().to_vec();
    Values {
        shape,
        values: tensor
            .into_data()
            .convert::<f32>()
            .try_into_vec()
            .expect("the data was converted to f32"),
    }
}

/// Copies host values to the device of `like`, without a gradient.
fn to_device<const D: usize>(values: &Values, like: &Tensor<D>) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.values.clone(), values.shape.clone()), &like.device())
}

/// Replaces all tensors of a module by the tensors of `state`.
///
/// # Errors
/// [`Mismatch`] names every tensor that is missing, is unknown, or has another shape. In this case
/// nothing is loaded.
pub fn load<M: Module>(module: M, state: &State) -> Result<M, Mismatch> {
    let mismatch = Mismatch::between(&read(&module), state);
    if !mismatch.is_empty() {
        return Err(mismatch);
    }
    Ok(map(module, &mut Loader(state)))
}

struct Loader<'a>(&'a State);

impl MapNamed for Loader<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = &self.0[name];
        param.map(|old| {
            let trainable = old.is_require_grad();
            to_device(values, &old).set_require_grad(trainable)
        })
    }
}

/// Differences between the tensors of a file and the tensors of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Names that only the module has.
    pub missing: Vec<String>,
    /// Names that only the file has.
    pub unexpected: Vec<String>,
    /// Names that both have, with the shape in the module and the shape in the file.
    pub shapes: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl Mismatch {
    /// Compares the tensors that were found with the tensors that are wanted.
    pub fn between(wanted: &State, found: &State) -> Self {
        Self {
            missing: wanted.keys().filter(|name| !found.contains_key(*name)).cloned().collect(),
            unexpected: found.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect(),
            shapes: wanted
                .iter()
                .filter_map(|(name, want)| {
                    Some((name.clone(), want.shape.clone(), found.get(name)?.shape.clone()))
                })
                .filter(|(_, want, found)| want != found)
                .collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.shapes.is_empty()
    }
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if !self.shapes.is_empty() {
            let shapes: Vec<String> = self
                .shapes
                .iter()
                .map(|(name, want, found)| format!("{name} (model {want:?}, file {found:?})"))
                .collect();
            parts.push(format!("other shape: {}", shapes.join(", ")));
        }
        if !self.missing.is_empty() {
            parts.push(format!("missing from the file: {}", self.missing.join(", ")));
        }
        if !self.unexpected.is_empty() {
            parts.push(format!("unknown to the model: {}", self.unexpected.join(", ")));
        }
        f.write_str(&parts.join("; "))
    }
}

impl std::error::Error for Mismatch {}

/// Reason why a file of tensors could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system could not read or write the file.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The bytes are not an intact safetensors file of f32 values.
    #[error("{}: damaged or no safetensors file ({cause}); use another checkpoint of the run, or \
             train again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Description of the damage.
        cause: String,
    },
}

/// Key of the metadata in a file's header. All metadata is one JSON object under this key. The
/// safetensors library writes the keys of a header in random order, but files with the same content
/// must have the same bytes.
const METADATA: &str = "selfsame";
/// Key, within the metadata, of the SHA-256 digest of the file's content.
const DIGEST: &str = "sha256";

/// Writes tensors and text metadata as a safetensors file. The data goes to a temporary file, which
/// is synced and then renamed, so an older file stays intact until the new file is complete.
///
/// # Errors
/// [`FileError::Io`]. In this case an older file stays intact.
pub fn write_file(
    path: &Path,
    state: &State,
    metadata: &BTreeMap<String, String>,
) -> Result<(), FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    let bytes: Vec<(&String, &[usize], Vec<u8>)> = state
        .iter()
        .map(|(name, t)| {
            (name, t.shape.as_slice(), t.values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| io(std::io::Error::other(e)))?;
    let mut signed = metadata.clone();
    signed.insert(DIGEST.to_owned(), digest(state, metadata));
    let json = serde_json::to_string(&signed).map_err(|e| io(e.into()))?;
    let header = std::collections::HashMap::from([(METADATA.to_owned(), json)]);
    let content =
        safetensors::serialize(views, Some(header)).map_err(|e| io(std::io::Error::other(e)))?;
    let mut file = AtomicWriteFile::open(path).map_err(io)?;
    file.write_all(&content).map_err(io)?;
    file.commit().map_err(io)
}

/// Reads a file that [`write_file`] wrote.
///
/// # Errors
/// [`FileError::Io`], or [`FileError::Damaged`] if any bit differs from what was written. Files of
/// other programs, without our metadata, have no digest, so only their form is checked.
pub fn read_file(path: &Path) -> Result<(State, BTreeMap<String, String>), FileError> {
    let damaged = |cause: String| FileError::Damaged { path: path.to_owned(), cause };
    let content =
        std::fs::read(path).map_err(|source| FileError::Io { path: path.to_owned(), source })?;
    let (_, header) = SafeTensors::read_metadata(&content).map_err(|e| damaged(e.to_string()))?;
    let signed: Option<BTreeMap<String, String>> =
        match header.metadata().as_ref().and_then(|m| m.get(METADATA)) {
            Some(json) => Some(serde_json::from_str(json).map_err(|e| damaged(e.to_string()))?),
            None => None,
        };
    let tensors = SafeTensors::deserialize(&content).map_err(|e| damaged(e.to_string()))?;
    let mut state = State::new();
    for (name, view) in tensors.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(damaged(format!("{name} holds {:?} values, not F32", view.dtype())));
        }
        let values =
            view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        state.insert(name, Values { shape: view.shape().to_vec(), values });
    }
    let Some(mut metadata) = signed else { return Ok((state, BTreeMap::new())) };
    if metadata.remove(DIGEST) != Some(digest(&state, &metadata)) {
        return Err(damaged("its content does not match its own digest".to_owned()));
    }
    Ok((state, metadata))
}

/// Computes the SHA-256 digest of names, shapes, values and metadata. The digest includes the length
/// of every name and text, so that they cannot run together.
pub fn digest(state: &State, metadata: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    let text = |hasher: &mut Sha256, s: &str| {
        hasher.update((s.len() as u64).to_le_bytes());
        hasher.update(s.as_bytes());
    };
    for (name, tensor) in state {
        text(&mut hasher, name);
        text(&mut hasher, &format!("{:?}", tensor.shape));
        for block in tensor.values.chunks(4096) {
            let bytes: Vec<u8> = block.iter().flat_map(|v| v.to_le_bytes()).collect();
            hasher.update(bytes);
        }
    }
    for (key, value) in metadata {
        text(&mut hasher, key);
        text(&mut hasher, value);
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Init, Linear};
    use burn::tensor::Device;

    fn linear(seed: u64) -> Linear {
        Linear::new(3, 2, &mut Init::new(seed, &Device::flex()))
    }

    #[test]
    fn a_file_gives_back_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("linear.safetensors");
        let metadata = BTreeMap::from([("step".to_owned(), "7".to_owned())]);
        let state = read(&linear(1));
        assert_eq!(state.keys().collect::<Vec<_>>(), ["bias", "weight"]);
        assert_eq!(state["weight"].shape, [2, 3]);
        write_file(&path, &state, &metadata).unwrap();
        assert_eq!(read_file(&path).unwrap(), (state.clone(), metadata));
        assert_eq!(read(&load(linear(2), &state).unwrap()), state);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("linear.safetensors");
        let state = read(&linear(1));
        write_file(&path, &state, &BTreeMap::from([("step".to_owned(), "7".to_owned())])).unwrap();
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            for bit in [0, 6] {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                std::fs::write(&path, &bad).unwrap();
                match read_file(&path) {
                    Err(FileError::Damaged { path: named, .. }) => assert_eq!(named, path),
                    // The flip hit the key of the metadata, so the file looks like a file of
                    // another program. The tensors are intact.
                    Ok((read, metadata)) => {
                        assert!(
                            read == state && metadata.is_empty(),
                            "bit {bit} of byte {at}: {metadata:?}"
                        );
                    }
                    Err(other) => panic!("bit {bit} of byte {at}: {other}"),
                }
            }
        }
        for length in 0..good.len() {
            std::fs::write(&path, &good[..length]).unwrap();
            assert!(matches!(read_file(&path), Err(FileError::Damaged { .. })), "cut at {length}");
        }
    }

    #[test]
    fn a_mismatch_names_every_tensor() {
        let mut state = read(&linear(1));
        let bias = state.remove("bias").unwrap();
        state.insert("offset".to_owned(), bias);
        state.get_mut("weight").unwrap().shape = vec![3, 2];
        let mismatch = load(linear(2), &state).unwrap_err();
        assert_eq!(
            mismatch.to_string(),
            "other shape: weight (model [2, 3], file [3, 2]); missing from the file: bias; \
             unknown to the model: offset"
        );
    }
}
