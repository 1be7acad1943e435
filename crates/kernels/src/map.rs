//! Files as slices: read-only memory mappings.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::{Mmap, MmapOptions};

/// A whole file, mapped read-only and private into memory: a `&[u8]` whose pages are read when
/// touched and may be dropped by the system when memory is short.
///
/// # Contract
///
/// Nobody may shorten or write to the file while it is mapped. No system lets a process enforce
/// this upon others, so map only files that this program wrote itself under a temporary name,
/// renamed into place and never touches again (replacing them by another rename is fine: the
/// mapping keeps the old file). Breaking the contract can end the process (`SIGBUS` on a shortened
/// file) or let bytes change under a shared reference. A file that users edit is to be read, not
/// mapped.
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
    /// Maps the whole of `file`, which may be closed afterwards. The type's contract holds from
    /// here on.
    ///
    /// # Errors
    ///
    /// What the system says: no permission, not a regular file, or larger than the address space.
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the mapping is private and never writable through this type, and its lifetime is
        // that of the slices handed out. That the file keeps its length and bytes is the caller's
        // part, stated as the type's contract.
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
