//! The binary version of CIFAR-10 and CIFAR-100: <https://www.cs.toronto.edu/~kriz/cifar.html>.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::DataError;
use crate::archive::read_range;
use crate::catalogue::{Catalogue, Entry, Part, Source, stamp};
use crate::facts::Exif;
use crate::target::{RgbImage, Target};

const SIDE: u32 = 32;
const PLANE: usize = 32 * 32;

/// The record layout of CIFAR-10 or of CIFAR-100.
struct Layout {
    train: &'static [&'static str],
    test: &'static str,
    class_names: &'static str,
    classes: u32,
    /// Number of bytes before the pixels. The last of these bytes is the label that is used:
    /// CIFAR-100 stores its coarse label before the fine label.
    label_bytes: usize,
}

const CIFAR_10: Layout = Layout {
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: "test_batch.bin",
    class_names: "batches.meta.txt",
    classes: 10,
    label_bytes: 1,
};
const CIFAR_100: Layout = Layout {
    train: &["train.bin"],
    test: "test.bin",
    class_names: "fine_label_names.txt",
    classes: 100,
    label_bytes: 2,
};

struct Records {
    /// The files, each with its stamp.
    files: Vec<(Mutex<File>, String)>,
    label_bytes: usize,
    /// Location of each image: the file and the record within it.
    records: Vec<(usize, u64)>,
}

/// Finds the folders with binary files: `path` itself, or those inside it that the official archives
/// unpack to.
pub(crate) fn recognise(path: &Path) -> Vec<PathBuf> {
    [path.to_owned(), path.join("cifar-10-batches-bin"), path.join("cifar-100-binary")]
        .into_iter()
        .filter(|folder| {
            [CIFAR_10.train[0], CIFAR_10.test, "train.bin"]
                .iter()
                .any(|file| folder.join(file).is_file())
        })
        .collect()
}

/// Returns whether a file of this name belongs to the binary version of either set.
pub(crate) fn is_own(name: &str) -> bool {
    let of = |layout: &Layout| {
        layout.train.contains(&name) || [layout.test, layout.class_names].contains(&name)
    };
    of(&CIFAR_10) || of(&CIFAR_100) || ["readme.html", "coarse_label_names.txt"].contains(&name)
}

/// Returns whether the folder, or one that the official archive unpacks to inside it, holds CIFAR
/// as Python pickles, which are not read.
pub(crate) fn is_pickled(path: &Path) -> bool {
    let folders = ["", "cifar-10-batches-py", "cifar-100-python"].map(|name| path.join(name));
    let is_pickle = |file: PathBuf| {
        let mut start = [0];
        File::open(file).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
            && start == [0x80]
    };
    folders
        .iter()
        .any(|folder| ["data_batch_1", "train"].iter().any(|file| is_pickle(folder.join(file))))
}

/// Opens a folder found by [`recognise`].
pub(crate) fn open(path: &Path, name: String) -> Result<Catalogue, DataError> {
    let both = [CIFAR_10.train[0], CIFAR_100.train[0]];
    let contradiction = |cause: String| DataError::Layout { path: path.to_owned(), cause };
    if both.iter().all(|file| path.join(file).is_file()) {
        let cause = "it holds the files of CIFAR-10 and of CIFAR-100; move those of one away";
        return Err(contradiction(cause.to_owned()));
    }
    let layout = if path.join(CIFAR_100.train[0]).is_file() { CIFAR_100 } else { CIFAR_10 };
    let mut notes = Vec::new();
    let classes = class_names(path, &layout, &mut notes)?;
    let mut source =
        Records { files: Vec::new(), label_bytes: layout.label_bytes, records: Vec::new() };
    let mut entries = Vec::new();
    let has_test = path.join(layout.test).is_file();
    if layout.train.iter().all(|file| !path.join(file).is_file()) {
        return Err(contradiction(format!(
            "it holds only the test images, {}, and nothing to learn from; fetch the other files",
            layout.test
        )));
    }
    let parts =
        layout.train.iter().map(|&file| (file, if has_test { Part::Train } else { Part::Whole }));
    for (file_name, part) in parts.chain([(layout.test, Part::Test)]) {
        let file_path = path.join(file_name);
        if !file_path.is_file() {
            notes.push(format!("{file_name} is missing: its images are not in the set."));
            continue;
        }
        let labels = labels(&file_path, &layout)?;
        let file = File::open(&file_path).map_err(DataError::read(&file_path))?;
        source.files.push((Mutex::new(file), stamp(&file_path)));
        for (record, class) in labels.into_iter().enumerate() {
            let name = format!("{file_name}[{record}]");
            entries.push(Entry { name, class, part, item: source.records.len() });
            source.records.push((source.files.len() - 1, record as u64));
        }
    }
    Ok(Catalogue { classes, entries, notes, ..Catalogue::new(name, Box::new(source)) })
}

fn class_names(
    path: &Path,
    layout: &Layout,
    notes: &mut Vec<String>,
) -> Result<Vec<String>, DataError> {
    let path = path.join(layout.class_names);
    let names: Vec<String> = match fs::read(&path) {
        Ok(bytes) => {
            String::from_utf8_lossy(&bytes).split_whitespace().map(str::to_owned).collect()
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            notes.push(format!(
                "{} is missing: the classes are named by their numbers.",
                layout.class_names
            ));
            (0..layout.classes).map(|class| class.to_string()).collect()
        }
        Err(error) => return Err(DataError::read(&path)(error)),
    };
    if names.len() != layout.classes as usize {
        let cause = format!(
            "it has {} class names where there are {} classes",
            names.len(),
            layout.classes
        );
        return Err(DataError::format(&path, cause));
    }
    Ok(names)
}

/// Reads the label of every record. The length of the file must be a multiple of the record length.
fn labels(path: &Path, layout: &Layout) -> Result<Vec<u32>, DataError> {
    let record_bytes = layout.label_bytes + 3 * PLANE;
    let file = File::open(path).map_err(DataError::read(path))?;
    let length = file.metadata().map_err(DataError::read(path))?.len();
    if length == 0 || length % record_bytes as u64 != 0 {
        let cause = format!(
            "its {length} bytes are not a whole number of {record_bytes}-byte records; fetch it \
             again"
        );
        return Err(DataError::format(path, cause));
    }
    let mut reader = BufReader::new(file);
    let mut record = vec![0; record_bytes];
    (0..length / record_bytes as u64)
        .map(|index| {
            reader.read_exact(&mut record).map_err(DataError::read(path))?;
            let label = u32::from(record[layout.label_bytes - 1]);
            if label >= layout.classes {
                let cause =
                    format!("record {index} has label {label}, of {} classes", layout.classes);
                return Err(DataError::format(path, cause));
            }
            Ok(label)
        })
        .collect()
}

impl Source for Records {
    fn read(&self, item: usize, target: Target) -> Result<RgbImage, String> {
        let (file, record) = self.records[item];
        let start = record * (self.label_bytes + 3 * PLANE) as u64 + self.label_bytes as u64;
        let planes = read_range(&self.files[file].0, start, 3 * PLANE as u64)
            .map_err(|error| format!("it cannot be read: {error}"))?;
        let pixels = (0..PLANE)
            .flat_map(|at| [planes[at], planes[at + PLANE], planes[at + 2 * PLANE]])
            .collect();
        Ok(RgbImage::plain(SIDE, SIDE, pixels, target))
    }

    fn dimensions(&self, _item: usize, _exif: Exif) -> Result<(u32, u32), String> {
        Ok((SIDE, SIDE))
    }

    fn stamp(&self, item: usize) -> String {
        let (file, record) = self.records[item];
        format!("{} {record}", self.files[file].1)
    }
}
