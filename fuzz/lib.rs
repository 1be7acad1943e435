//! What the fuzz targets share.

use std::path::Path;

/// Panics that the readers catch are no findings: a decoder's panic makes its image an unusable one.
/// libFuzzer would end at the panic itself; with this hook only one that nobody catches ends it.
pub fn keep_caught_panics() {
    std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
}

/// Writes `bytes` to a file of this name in a folder of its own and hands on the file's path.
pub fn as_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a temporary file");
    read(&path);
}

/// Loads a data set from the file `name` or, if `in_folder`, from the folder that it lies in.
pub fn load(name: &str, in_folder: bool, bytes: &[u8]) {
    let options = selfsame_data::LoadOptions { image_size: Some(8), ..Default::default() };
    as_file(name, bytes, |path| {
        let source = if in_folder { path.parent().unwrap_or(path) } else { path };
        let _ = selfsame_data::load(&source.to_string_lossy(), &options, &|_, _| {});
    });
}
