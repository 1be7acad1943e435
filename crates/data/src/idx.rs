//! IDX files of the MNIST family, plain or gzipped: <https://yann.lecun.org/exdb/mnist/>.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::DataError;
use crate::catalogue::{Catalogue, Entry, Part, Source, stamp};
use crate::decode::{MAX_PIXELS, MAX_SIDE};
use crate::facts::Exif;
use crate::leavings::short;
use crate::target::{RgbImage, Target};

/// Maximum size of one file in bytes, decompressed.
const MAX_BYTES: u64 = 4 << 30;
/// File with the names of the classes, one per line. The format itself has no class names.
pub(crate) const CLASS_NAMES: &str = "classes.txt";

/// Decompressed grey images, by part.
struct Images {
    parts: Vec<Grey>,
    /// Location of each image: the part and the image within it.
    images: Vec<(usize, usize)>,
}

struct Grey {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
    /// Whether pixels are stored column by column.
    transposed: bool,
    stamp: String,
}

/// What the files of training and of test are called. EMNIST says `test`.
const TRAIN: &[&str] = &["train"];
const TEST: &[&str] = &["t10k", "test"];
/// How the names of files with images end, and of those with labels. A dot may replace the second
/// hyphen.
const IMAGES: [&str; 2] = ["-images-idx3-ubyte", "-images.idx3-ubyte"];
const LABELS: [&str; 2] = ["-labels-idx1-ubyte", "-labels.idx1-ubyte"];

/// Returns whether `path` is a folder with IDX images.
pub(crate) fn recognise(path: &Path) -> bool {
    !prefixes(path).is_empty()
}

/// Returns what stands before the parts in the names of image files in the folder: nothing in
/// MNIST, and a name such as `emnist-letters-` in EMNIST.
fn prefixes(path: &Path) -> BTreeSet<String> {
    let entries = path.read_dir().into_iter().flatten().flatten();
    let prefix = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let before = IMAGES.iter().find_map(|ending| name.strip_suffix(ending))?;
        let prefix = TRAIN.iter().chain(TEST).find_map(|part| before.strip_suffix(part))?;
        entry.path().is_file().then(|| prefix.to_owned())
    };
    entries.filter_map(prefix).collect()
}

/// Opens a folder with `train-images-idx3-ubyte` and `t10k-images-idx3-ubyte` and their labels,
/// each with or without `.gz`. A dot may replace the second hyphen. The names of EMNIST begin with
/// the name of the set; its images are stored with rows and columns swapped, and are swapped back.
pub(crate) fn open(path: &Path, name: String) -> Result<Catalogue, DataError> {
    let mut source = Images { parts: Vec::new(), images: Vec::new() };
    let mut entries = Vec::new();
    let prefixes = prefixes(path);
    let prefix = prefixes.first().map_or("", String::as_str);
    if prefixes.len() > 1 {
        let cause = format!(
            "it holds the files of several sets, such as {}; move those of one into a folder of their own",
            prefixes
                .iter()
                .map(|name| short(&format!("{name}train-images-idx3-ubyte")))
                .collect::<Vec<_>>()
                .join(" and ")
        );
        return Err(DataError::Layout { path: path.to_owned(), cause });
    }
    let transposed = prefix.to_ascii_lowercase().starts_with("emnist");
    let find = |part, what, dimensions| find(path, prefix, part, what, dimensions);
    if find(TRAIN, "images", 3).is_none() {
        let cause = "it holds only test images, and nothing to learn from; fetch the file \
                     train-images-idx3-ubyte";
        return Err(DataError::Layout { path: path.to_owned(), cause: cause.into() });
    }
    let has_test = find(TEST, "images", 3).is_some();
    let mut labelled: Option<bool> = None;
    for (files, part) in [(TRAIN, Part::Train), (TEST, Part::Test)] {
        let part = if has_test { part } else { Part::Whole };
        let Some(image_path) = find(files, "images", 3) else { continue };
        let (header, pixels) = read(&image_path, 3)?;
        let [count, height, width] = [header[0], header[1], header[2]];
        let labels = match find(files, "labels", 1) {
            Some(label_path) => {
                let (header, labels) = read(&label_path, 1)?;
                if header[0] != count {
                    let cause = format!(
                        "it has {} labels for the {count} images of {}",
                        header[0],
                        image_path.display()
                    );
                    return Err(DataError::format(&label_path, cause));
                }
                Some(labels)
            }
            None => None,
        };
        if labelled.is_some_and(|previous| previous != labels.is_some()) {
            let cause =
                "one of train and t10k has labels and the other has none; fetch the missing file";
            return Err(DataError::Layout { path: path.to_owned(), cause: cause.into() });
        }
        labelled = Some(labels.is_some());
        let file_name = image_path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for image in 0..count as usize {
            let class = labels.as_ref().map_or(0, |labels| u32::from(labels[image]));
            entries.push(Entry {
                name: format!("{file_name}[{image}]"),
                class,
                part,
                item: source.images.len(),
            });
            source.images.push((source.parts.len(), image));
        }
        let stamp = stamp(&image_path);
        source.parts.push(Grey { width, height, pixels, transposed, stamp });
    }

    let mut notes = Vec::new();
    if transposed {
        notes.push("EMNIST stores its images column by column; they are read so.".to_owned());
    }
    let classes = if labelled == Some(true) {
        let count = entries.iter().map(|entry| entry.class + 1).max().unwrap_or(0);
        class_names(path, count)?
    } else {
        notes.push("There are no label files, so the images count as unlabelled.".to_owned());
        Vec::new()
    };
    Ok(Catalogue { classes, entries, notes, ..Catalogue::new(name, Box::new(source)) })
}

/// Returns whether a file of this name belongs to a set of IDX files.
pub(crate) fn is_own(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name == CLASS_NAMES || IMAGES.iter().chain(&LABELS).any(|ending| name.ends_with(ending))
}

fn find(path: &Path, prefix: &str, parts: &[&str], what: &str, dimensions: u8) -> Option<PathBuf> {
    let names = parts.iter().flat_map(|part| {
        ["-", "."].into_iter().flat_map(move |dot| {
            ["", ".gz"].map(|gz| format!("{prefix}{part}-{what}{dot}idx{dimensions}-ubyte{gz}"))
        })
    });
    names.map(|name| path.join(name)).find(|file| file.is_file())
}

/// Returns the names in `classes.txt`, or the numbers from 0 if there is no such file. There are at
/// least ten classes, as in the MNIST family.
fn class_names(path: &Path, count: u32) -> Result<Vec<String>, DataError> {
    let path = path.join(CLASS_NAMES);
    match fs::read(&path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let names: Vec<String> = text
                .lines()
                .map(|line| line.trim().to_owned())
                .filter(|line| !line.is_empty())
                .collect();
            if names.len() < count as usize {
                let cause =
                    format!("it names {} classes, but labels go up to {}", names.len(), count - 1);
                return Err(DataError::format(&path, cause));
            }
            Ok(names)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok((0..count.max(10)).map(|class| class.to_string()).collect())
        }
        Err(error) => Err(DataError::read(&path)(error)),
    }
}

/// Reads the sizes in the header and the bytes after it, and checks them against each other.
fn read(path: &Path, dimensions: usize) -> Result<(Vec<u32>, Vec<u8>), DataError> {
    let file = File::open(path).map_err(DataError::read(path))?;
    let gzipped = path.extension().is_some_and(|extension| extension == "gz");
    let mut reader: Box<dyn Read> = if gzipped {
        Box::new(MultiGzDecoder::new(std::io::BufReader::new(file)))
    } else {
        Box::new(std::io::BufReader::new(file))
    };
    let truncated = |error: std::io::Error| match error.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => {
            DataError::format(path, format!("truncated or damaged ({error}); fetch it again"))
        }
        _ => DataError::read(path)(error),
    };

    let mut word = || -> Result<[u8; 4], DataError> {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map_err(truncated)?;
        Ok(bytes)
    };
    let magic = word()?;
    if magic != [0, 0, 8, dimensions as u8] {
        let cause = format!(
            "it starts with {magic:02x?} instead of [00, 00, 08, {dimensions:02x}]: not an IDX \
             file of {dimensions} \
             dimensions of bytes"
        );
        return Err(DataError::format(path, cause));
    }
    let header =
        (0..dimensions).map(|_| word().map(u32::from_be_bytes)).collect::<Result<Vec<_>, _>>()?;
    let total = header.iter().try_fold(1u64, |total, &size| total.checked_mul(u64::from(size)));
    let total = match total {
        Some(total) if total <= MAX_BYTES => total,
        _ => {
            return Err(DataError::format(
                path,
                format!("sizes {header:?} are more than {MAX_BYTES} bytes together"),
            ));
        }
    };
    if let [_, height, width] = header[..] {
        let pixels = u64::from(height) * u64::from(width);
        if pixels == 0 || height > MAX_SIDE || width > MAX_SIDE || pixels > MAX_PIXELS {
            return Err(DataError::format(
                path,
                format!("images of {width}x{height} cannot be read"),
            ));
        }
    }

    // Memory use grows with the bytes that the file contains, not with the size that the header
    // claims.
    let mut bytes = Vec::new();
    reader.take(total + 1).read_to_end(&mut bytes).map_err(truncated)?;
    if bytes.len() as u64 != total {
        let has =
            if bytes.len() as u64 > total { "more".to_owned() } else { bytes.len().to_string() };
        let cause =
            format!("its header {header:?} means {total} bytes, but it has {has}; fetch it again");
        return Err(DataError::format(path, cause));
    }
    Ok((header, bytes))
}

impl Source for Images {
    fn read(&self, item: usize, target: Target) -> Result<RgbImage, String> {
        let (part, image) = self.images[item];
        let Grey { width, height, ref pixels, transposed, .. } = self.parts[part];
        let (columns, rows) = (width as usize, height as usize);
        let pixels = &pixels[image * rows * columns..][..rows * columns];
        let pixels = if transposed {
            let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
            places.flat_map(|(row, column)| [pixels[column * rows + row]; 3]).collect()
        } else {
            pixels.iter().flat_map(|&grey| [grey; 3]).collect()
        };
        Ok(RgbImage::plain(width, height, pixels, target))
    }

    fn dimensions(&self, item: usize, _exif: Exif) -> Result<(u32, u32), String> {
        let part = &self.parts[self.images[item].0];
        Ok((part.width, part.height))
    }

    fn stamp(&self, item: usize) -> String {
        let (part, image) = self.images[item];
        format!("{} {image}", self.parts[part].stamp)
    }
}
