//! Reads embeddings and labels that another program wrote, from NumPy's `.npy`, or both from one
//! `.npz`.

use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use half::f16;
use npyz::{NpyFile, NpyHeader, Order};
use zip::ZipArchive;

use super::Embeddings;
use super::header::{self, MAGIC};
use crate::Error;

/// Names of the arrays in an archive.
const EMBEDDINGS: &str = "embeddings";
const LABELS: &str = "labels";
/// Maximum number of values to read. An array that claims more is refused.
const MOST_VALUES: u64 = 1 << 33;
/// Advice on how to convert an array into a form that can be read.
const CONVERT: &str = "save it with np.save(file, np.ascontiguousarray(x, dtype=np.float32))";

/// Reads embeddings from a `.npy` of images × values or images × views × values, or from the array
/// `embeddings` of a `.npz`. The first view of an image is its original.
///
/// Values are 16-, 32- or 64-bit floats, in row or column order. Labels are whole numbers, one per
/// image, and need not be consecutive. They come from the file `labels` or from the array `labels`
/// in the archive; they are optional. Arrays of an archive that are not read are named in
/// [`Embeddings::unread`] and [`Embeddings::like_labels`].
///
/// # Errors
/// If a file cannot be read, is not such an array or is cut short; if there is not one label per
/// image; if there are labels both in the archive and in a separate file.
pub fn read_embeddings(path: &Path, labels: Option<&Path>) -> Result<Embeddings<'static>, Error> {
    let (array, in_archive) = open("embeddings", path, EMBEDDINGS)?;
    let (images, views, dim) = match *array.shape() {
        [images, dim] => (images as usize, 1, dim as usize),
        [images, views, dim] => (images as usize, views as usize, dim as usize),
        ref shape => {
            let cause = "holds no embeddings; they are images × values, or images × views × values";
            return Err(damaged(path, format!("an array of shape {shape:?} {cause}")));
        }
    };
    if array.shape().contains(&0) {
        let shape = array.shape();
        let cause = format!("the array is empty (its shape is {shape:?}); save one row or more");
        return Err(damaged(path, cause));
    }
    let (values, rounded) = floats(path, array)?;
    let inside = if in_archive { find(path, LABELS)? } else { None };
    let inside_is_read = inside.is_some();
    let array = match (labels, inside) {
        (Some(file), Some(_)) => {
            let cause = format!("{} holds {LABELS} already", path.display());
            return Err(Error::option("labels", file.display(), cause));
        }
        (Some(file), None) => Some((file, open("labels", file, LABELS)?.0)),
        (None, inside) => inside.map(|array| (path, array)),
    };
    let mut embeddings = Embeddings {
        name: path.display().to_string(),
        rounded,
        ..Embeddings::new(values, images, views, dim)
    };
    if in_archive {
        let read = if inside_is_read { &[EMBEDDINGS, LABELS][..] } else { &[EMBEDDINGS] };
        let mut others = others(path, read)?;
        let named = others.iter().position(Other::has_name_of_labels);
        let at = named.or_else(|| others.iter().position(|array| array.has_one_each(images)));
        if let Some(at) = at.filter(|_| array.is_none()) {
            embeddings.like_labels = Some(others.remove(at).name);
        }
        embeddings.unread = others.into_iter().map(|array| array.name).collect();
    }
    match array {
        None => Ok(embeddings),
        Some((path, array)) => {
            let labels = whole_numbers(path, array)?;
            check_labels(path, &labels, images)?;
            embeddings.labelled(&labels)
        }
    }
}

/// Refuses labels that are not one per image. Also refuses negative labels, which by convention
/// mark images without a label.
fn check_labels(path: &Path, labels: &[i64], images: usize) -> Result<(), Error> {
    if labels.len() != images {
        let row = labels.len().min(images);
        let lacks = if labels.len() < images { "label" } else { "image" };
        let cause =
            format!("{} labels for {images} images; row {row} has no {lacks}", labels.len());
        return Err(damaged(path, cause));
    }
    if let Some(row) = labels.iter().position(|&label| label < 0) {
        let cause = format!(
            "the label in row {row} is negative ({}); leave out images without a label, or all \
             labels",
            labels[row]
        );
        return Err(damaged(path, cause));
    }
    Ok(())
}

fn damaged(path: &Path, cause: impl std::fmt::Display) -> Error {
    Error::Damaged { path: path.to_owned(), cause: cause.to_string() }
}

/// Describes an array that ends early or cannot be read.
fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            damaged(path, "the array is cut short: the file ends before its last value")
        }
        _ => damaged(path, format!("the array cannot be read ({error})")),
    }
}

type Array = NpyFile<Box<dyn Read>>;

/// Opens the array of a file, or the array called `name` if the file is an archive. Also returns
/// whether the file is an archive. `option` is the name of the option that gave the file.
fn open(option: &'static str, path: &Path, name: &str) -> Result<(Array, bool), Error> {
    match path.extension().and_then(|end| end.to_str()) {
        Some("npy") => {
            let file = File::open(path).map_err(Error::file(path))?;
            let bytes = file.metadata().map_err(Error::file(path))?.len();
            Ok((array(path, Box::new(BufReader::new(file)), bytes)?, false))
        }
        Some("npz") => match find(path, name)? {
            Some(array) => Ok((array, true)),
            None => {
                let held: Vec<String> = others(path, &[])?.into_iter().map(|o| o.name).collect();
                let held = match held.is_empty() {
                    true => "it holds none".to_owned(),
                    false => format!("it holds {}", held.join(", ")),
                };
                let mend = "save it with np.savez(file, embeddings=x, labels=y)";
                Err(damaged(path, format!("no array is called {name} ({held}); {mend}")))
            }
        },
        _ => Err(Error::option(
            option,
            path.display(),
            "embeddings and labels are read from .npy or .npz; write one with np.save or \
             np.savez, from a Parquet file by way of pandas.read_parquet and to_numpy",
        )),
    }
}

fn open_archive(path: &Path) -> Result<ZipArchive<BufReader<File>>, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    ZipArchive::new(BufReader::new(file)).map_err(|_| {
        damaged(
            path,
            "this is no archive of NumPy's, or one that is cut short; write it with np.savez",
        )
    })
}

/// An array of an archive that is not read.
struct Other {
    name: String,
    /// The header, if it is intact.
    header: Option<NpyHeader>,
}

impl Other {
    /// Returns whether other programs call labels so.
    fn has_name_of_labels(&self) -> bool {
        let name = self.name.to_lowercase();
        ["label", "labels", "target", "targets", "y", "class", "classes"].contains(&name.as_str())
    }

    /// Returns whether there is one whole number for each of `images` images.
    fn has_one_each(&self, images: usize) -> bool {
        self.header.as_ref().is_some_and(|header| {
            let (rows, shape) = (images as u64, header.shape());
            let kind = header.dtype().descr();
            let kind = kind.trim_matches('\'').trim_start_matches(['<', '>', '|', '=']);
            (shape == [rows] || shape == [rows, 1]) && kind.starts_with(['i', 'u'])
        })
    }
}

/// Lists the arrays of an archive, except those with a name in `read`.
fn others(path: &Path, read: &[&str]) -> Result<Vec<Other>, Error> {
    let mut archive = open_archive(path)?;
    let mut others = Vec::new();
    for index in 0..archive.len() {
        let Ok(mut entry) = archive.by_index(index) else { continue };
        let Ok(name) = entry.name().map(|name| name.into_owned()) else { continue };
        let name = name.strip_suffix(".npy").unwrap_or(&name);
        if read.contains(&name) {
            continue;
        }
        // A name in a file may have any length and any characters.
        let shown = name.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c });
        let header = header::read(&mut entry)
            .and_then(|header| NpyHeader::from_reader(header.as_slice()))
            .ok();
        others.push(Other { name: shown.collect(), header });
    }
    Ok(others)
}

/// Finds the array called `name` in an archive.
fn find(path: &Path, name: &str) -> Result<Option<Array>, Error> {
    let mut archive = open_archive(path)?;
    let entry_name = format!("{name}.npy");
    let Some(index) = archive.index_for_name(&entry_name) else { return Ok(None) };
    let broken = |error: &dyn std::fmt::Display| {
        damaged(path, format!("{entry_name} in it is damaged ({error})"))
    };
    let mut entry = archive.by_index(index).map_err(|error| broken(&error))?;
    let bytes = entry.size();
    if bytes > 8 * MOST_VALUES {
        return Err(damaged(path, format!("{entry_name} claims {bytes} bytes")));
    }
    // An entry borrows from the archive, but an array owns its reader, so read the whole entry.
    let mut content = Vec::new();
    (&mut entry).take(bytes).read_to_end(&mut content).map_err(|error| broken(&error))?;
    let bytes = content.len() as u64;
    Ok(Some(array(path, Box::new(Cursor::new(content)), bytes)?))
}

/// Opens an array, and checks that its size fits into its `bytes`.
fn array(path: &Path, mut reader: Box<dyn Read>, bytes: u64) -> Result<Array, Error> {
    let mut start = Vec::new();
    (&mut reader)
        .take(MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(|error| unreadable(path, &error))?;
    if start != MAGIC {
        let how =
            if start.is_empty() { "the file is empty" } else { "it does not begin as one does" };
        return Err(damaged(
            path,
            format!("this is no array of NumPy's: {how}; write one with np.save"),
        ));
    }
    let broken = |error: std::io::Error| match error.kind() {
        ErrorKind::UnexpectedEof => {
            damaged(path, "the array is cut short: the file ends within its header")
        }
        _ => damaged(path, format!("the header of the array cannot be read ({error})")),
    };
    let mut rewound = Cursor::new(start).chain(reader);
    let header = header::read(&mut rewound).map_err(broken)?;
    let rewound: Box<dyn Read> = Box::new(Cursor::new(header).chain(rewound));
    let array = NpyFile::new(rewound).map_err(broken)?;
    let each = array.dtype().num_bytes().unwrap_or(1) as u64;
    let claimed = array.shape().iter().try_fold(1_u64, |all, &side| all.checked_mul(side));
    match claimed
        .filter(|&values| values <= MOST_VALUES)
        .and_then(|values| values.checked_mul(each.max(1)))
    {
        Some(claimed) if claimed <= bytes => Ok(array),
        _ => Err(damaged(
            path,
            format!("the array is cut short: shape {:?} in {bytes} bytes", array.shape()),
        )),
    }
}

/// Reads the values as 32-bit floats, row by row. Also returns whether they were rounded to 32
/// bits.
fn floats(path: &Path, array: Array) -> Result<(Vec<f32>, bool), Error> {
    let (order, shape) = (array.order(), array.shape().to_vec());
    let unreadable = |error: std::io::Error| unreadable(path, &error);
    let array = match array.try_data::<f32>() {
        Ok(values) => {
            let values = values.collect::<Result<_, _>>().map_err(unreadable)?;
            return Ok((by_rows(values, order, &shape), false));
        }
        Err(array) => array,
    };
    let kind = array.dtype().descr();
    if matches!(kind.trim_matches('\''), "<f2" | "=f2") {
        let mut bytes = vec![0; 2 * array.len() as usize];
        array.into_inner().read_exact(&mut bytes).map_err(unreadable)?;
        let values = bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32());
        return Ok((by_rows(values.collect(), order, &shape), false));
    }
    let Ok(values) = array.try_data::<f64>() else {
        let cause = format!("its values are {kind}, not 16-, 32- or 64-bit floats; {CONVERT}");
        return Err(damaged(path, cause));
    };
    let values = values.collect::<Result<_, _>>().map_err(unreadable)?;
    Ok((rounded(path, by_rows(values, order, &shape), &shape)?, true))
}

/// Rounds 64-bit values to 32 bits.
fn rounded(path: &Path, values: Vec<f64>, shape: &[u64]) -> Result<Vec<f32>, Error> {
    // Infinities in the file itself are refused later, together with all other values that are not
    // finite.
    let overflows = |value: &f64| value.is_finite() && (*value as f32).is_infinite();
    if let Some(index) = values.iter().position(overflows) {
        let dim = shape.last().map_or(1, |&dim| dim as usize);
        let cause = format!(
            "row {} holds {:e} in column {}: values are taken as 32-bit floats, which end at \
             3.4e38; divide all values by one number, which changes no direction",
            index / dim,
            values[index],
            index % dim
        );
        return Err(damaged(path, cause));
    }
    Ok(values.into_iter().map(|value| value as f32).collect())
}

/// Brings values into row order. A file may have them in column order: NumPy writes a transposed
/// array that way.
fn by_rows<T: Copy>(values: Vec<T>, order: Order, shape: &[u64]) -> Vec<T> {
    if order == Order::C {
        return values;
    }
    let place = |index: usize| {
        let (mut rest, mut stride, mut place) = (index, values.len(), 0);
        for &side in shape.iter().rev() {
            stride /= side as usize;
            place += rest % side as usize * stride;
            rest /= side as usize;
        }
        place
    };
    (0..values.len()).map(|index| values[place(index)]).collect()
}

/// Reads whole numbers of any width from an array with one column.
fn whole_numbers(path: &Path, array: Array) -> Result<Vec<i64>, Error> {
    if !matches!(array.shape(), [_] | [_, 1]) {
        return Err(damaged(
            path,
            format!("labels of shape {:?}; they are one whole number an image", array.shape()),
        ));
    }
    let kind = array.dtype().descr();
    macro_rules! any {
        ($array:expr; $($kind:ty)*) => {{
            let array = $array;
            $(let array = match array.try_data::<$kind>() {
                Ok(values) => {
                    let values: Result<Vec<$kind>, _> = values.collect();
                    let values = values.map_err(|error| unreadable(path, &error))?;
                    let beyond = |value| {
                        damaged(path, format!("the label {value} is beyond 63 bits"))
                    };
                    let labels = values.into_iter();
                    return labels.map(|v| i64::try_from(v).map_err(|_| beyond(v))).collect();
                }
                Err(array) => array,
            };)*
            drop(array);
        }};
    }
    any!(array; i64 i32 i16 i8 u8 u16 u32 u64);
    let mend = "number the classes with np.unique(y, return_inverse=True)[1]";
    Err(damaged(path, format!("the labels are {kind}, not whole numbers; {mend}")))
}
