//! Files as slices: read-only memory mappings.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::{Mmap, MmapOptions};

/// A file mapped into memory, read-only and private: a `&[u8]` whose pages are read when they are
/// touched, and which the system may drop when memory is short.
///
/// # Contract
///
/// Nobody may shorten the file or write to it while it is mapped. No system lets a process enforce
/// this rule. Therefore, map only files that this program wrote under a temporary name, renamed
/// into place and never changes again. (Replacing such a file by another rename is allowed, because
/// the mapping keeps the old file.) Breaking the contract can end the process (`SIGBUS` on a
/// shortened file) or change bytes under a shared reference. Read a file that users edit; do not
/// map it.
///
/// ```
/// let path = std::env::temp_dir().join(format!("selfsame-map-{}", std::process::id()));
/// std::fs::write(&path, b"pixels")?;
/// let map = selfsame_kernels::map::ReadOnlyMap::new(&std::fs::File::open(&path)?)?;
/// assert_eq!(&*map, b"pixels");
/// # drop(map);
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ReadOnlyMap(Mmap);

impl ReadOnlyMap {
    /// Maps all of `file`, which may be closed afterwards. The type's contract applies from here
    /// on.
    ///
    /// # Errors
    ///
    /// If the system refuses the mapping, because the process has no permission, or because the
    /// file is not a regular file or is larger than the address space.
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is private, never writable through this type, and outlives the slices
        // that it hands out. The type's contract makes the caller responsible for the file's length
        // and bytes staying the same.
        let map = unsafe { MmapOptions::new().map_copy_read_only(file)? };
        Ok(Self(map))
    }
}

impl Deref for ReadOnlyMap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_outlives_the_name_and_an_empty_file_is_empty() {
        let path = std::env::temp_dir().join(format!("selfsame-map-test-{}", std::process::id()));
        std::fs::write(&path, [7u8; 10_000]).unwrap();
        let map = ReadOnlyMap::new(&File::open(&path).unwrap()).unwrap();
        if cfg!(unix) {
            std::fs::remove_file(&path).unwrap();
        }
        assert_eq!(map.len(), 10_000);
        assert!(map.iter().all(|&byte| byte == 7));
        drop(map);

        std::fs::write(&path, []).unwrap();
        assert!(ReadOnlyMap::new(&File::open(&path).unwrap()).unwrap().is_empty());
        std::fs::remove_file(&path).unwrap();
    }
}
