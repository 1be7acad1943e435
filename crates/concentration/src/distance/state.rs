//! The file of a run: magic, digest of the inputs, one byte per tile, keys, pairs, and a digest of
//! everything before it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::run::{Run, Source};
use super::views::Shape;

const MAGIC: &[u8; 16] = b"selfsame dist 2\n";
const DIGEST: usize = 32;

/// Reasons why a run's file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file does not belong to a run, or has changed since it was written.
    #[error("{}: not a whole file of distances ({cause}); remove it to start \
             again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with the file.
        cause: String,
    },
    /// The file belongs to other views.
    #[error("{}: distances of other views; remove it to start again", path.display())]
    OtherInputs {
        /// The file.
        path: PathBuf,
    },
}

impl Run<'_> {
    /// Returns the digest of the inputs of the distances, computed once.
    fn inputs(&self) -> [u8; DIGEST] {
        *self.inputs.get_or_init(|| self.hash_inputs())
    }

    fn hash_inputs(&self) -> [u8; DIGEST] {
        let mut hash = Sha256::new();
        // The format had room for two sets of views. Write that there is one set, and write its
        // shape in place of the second set's shape.
        hash.update([1]);
        let mut numbers =
            |numbers: [usize; 5]| numbers.map(|number| hash.update((number as u64).to_le_bytes()));
        match &self.source {
            Source::Bytes(set) => {
                let Shape { width, height, channels } = set.shape;
                let shape = [set.images, set.views, width, height, channels];
                numbers(shape);
                numbers(shape);
                hash.update(set.bytes);
            }
            Source::Floats(set) => {
                numbers([set.images, set.views, set.dim, 0, 4]);
                for value in set.values {
                    hash.update(value.to_le_bytes());
                }
            }
        }
        hash.finalize().into()
    }

    /// Writes the computed distances, atomically.
    ///
    /// # Errors
    /// If the file cannot be written; an earlier file then stays intact.
    pub fn write(&self, path: &Path) -> Result<(), StateError> {
        let mut content = Vec::with_capacity(self.file_length());
        content.extend(MAGIC);
        content.extend(self.inputs());
        content.extend(self.done.iter().map(|&done| u8::from(done)));
        content.extend(self.keys.iter().flat_map(|key| key.to_le_bytes()));
        content.extend(self.pairs.as_flattened().iter().flat_map(|view| view.to_le_bytes()));
        let digest = Sha256::digest(&content);
        content.extend(digest);
        let written = AtomicWriteFile::open(path).and_then(|mut file| {
            file.write_all(&content)?;
            file.commit()
        });
        written.map_err(|source| StateError::Io { path: path.to_owned(), source })
    }

    /// Loads the distances that [`Run::write`] wrote.
    ///
    /// Distances of embeddings must continue with the instruction set they began with, to end with
    /// the same bytes.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or belongs to other views. The run then stays as it
    /// was.
    pub fn read(&mut self, path: &Path) -> Result<(), StateError> {
        let io = |source| StateError::Io { path: path.to_owned(), source };
        let damaged =
            |cause: &str| StateError::Damaged { path: path.to_owned(), cause: cause.to_owned() };
        let length = std::fs::metadata(path).map_err(io)?.len();
        // A file of other views usually has another length, too. Its head shows that it is not a
        // damaged file.
        if length > 1 << 40 || length < (MAGIC.len() + 2 * DIGEST) as u64 {
            return Err(damaged(&format!("{length} bytes")));
        }
        let mut head = [0; 16 + DIGEST];
        let mut file = std::fs::File::open(path).map_err(io)?;
        std::io::Read::read_exact(&mut file, &mut head).map_err(io)?;
        if &head[..MAGIC.len()] != MAGIC {
            return Err(damaged("it begins otherwise"));
        }
        if head[MAGIC.len()..] != self.inputs() {
            return Err(StateError::OtherInputs { path: path.to_owned() });
        }
        if length != self.file_length() as u64 {
            return Err(damaged(&format!("{length} bytes, not {}", self.file_length())));
        }
        let content = std::fs::read(path).map_err(io)?;
        let Some((content, digest)) = content.split_last_chunk::<DIGEST>() else {
            return Err(damaged("too short"));
        };
        if content.len() + DIGEST != self.file_length()
            || Sha256::digest(content).as_slice() != digest
        {
            return Err(damaged("its digest differs"));
        }
        let (done, rest) = content[head.len()..].split_at(self.done.len());
        let (keys, pairs) = rest.split_at(8 * self.keys.len());
        self.done = done.iter().map(|&done| done == 1).collect();
        self.keys = keys.as_chunks().0.iter().map(|&key| u64::from_le_bytes(key)).collect();
        let view = |bytes: &[u8; 2]| u16::from_le_bytes(*bytes);
        self.pairs = pairs
            .as_chunks::<2>()
            .0
            .as_chunks::<2>()
            .0
            .iter()
            .map(|[u, v]| [view(u), view(v)])
            .collect();
        Ok(())
    }

    fn file_length(&self) -> usize {
        MAGIC.len() + DIGEST + self.done.len() + 12 * self.keys.len() + DIGEST
    }
}
