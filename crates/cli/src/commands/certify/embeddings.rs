//! Embeddings and labels that another program wrote: NumPy's `.npy`, or `.npz` of both.

use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, anyhow};
use half::f16;
use npyz::{NpyFile, Order};
use selfsame::theory::{Labels, Views};
use zip::ZipArchive;

use super::check_classes;
use super::world::Sample;
use crate::args::Certify as Args;
use crate::misuse;

/// Names of the arrays in an archive.
const EMBEDDINGS: &str = "embeddings";
const LABELS: &str = "labels";
/// What every `.npy` begins with.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Repeated images that are named.
const NAMED: usize = 10;
/// Values read at most: an array that claims more is not believed.
const MOST: u64 = 1 << 33;
/// How to bring an array into a form that is read.
const CONVERT: &str = "save it with np.save(file, np.ascontiguousarray(x, dtype=np.float32))";

/// The world of a file of embeddings: images × values, or images × views × values. Labels are those
/// of `--labels`, or of the archive that the embeddings are in, or none.
pub fn read(path: &Path, args: &Args) -> anyhow::Result<(Sample, Vec<String>)> {
    let (embeddings, in_archive) = open(path, EMBEDDINGS)?;
    let mut notes = Vec::new();
    let (images, views, dim) = match *embeddings.shape() {
        [images, dim] => (images as usize, 1, dim as usize),
        [images, views, dim] => (images as usize, views as usize, dim as usize),
        ref shape => {
            let cause = "holds no embeddings; they are images × values, or images × views × values";
            return Err(bad(path, format!("an array of shape {shape:?} {cause}")));
        }
    };
    if embeddings.shape().contains(&0) {
        return Err(bad(
            path,
            format!(
                "the array is empty (its shape is {:?}); save one row or more",
                embeddings.shape()
            ),
        ));
    }
    let values = floats(path, embeddings, &mut notes)?;
    let given = Views::new(images, views, dim, &values).map_err(|error| bad(path, error))?;
    given.check_varied().map_err(|error| bad(path, error))?;
    notes.extend(repeats(path, &given, args.allow_repeats)?);

    let labels = args.labels.as_deref();
    let beside = if in_archive { find(path, LABELS)? } else { None };
    let given = match (labels, beside) {
        (Some(file), Some(_)) => {
            return Err(misuse(format!(
                "{} holds {LABELS} already, and --labels {} names others; leave one of them out",
                path.display(),
                file.display()
            )));
        }
        (Some(file), None) => Some((file, open(file, LABELS)?.0)),
        (None, beside) => beside.map(|array| (path, array)),
    };
    let (labels, classes) = match given {
        Some((path, array)) => {
            let (labels, classes) = numbered(path, whole(path, array)?, images)?;
            (Some(labels), classes)
        }
        None => (None, Vec::new()),
    };
    Ok((
        Sample { values, images, views, dim, labels, classes, seed: args.seed, pixels: None },
        notes,
    ))
}

/// What to note of images that repeat an earlier one, if any do and they are `allowed`.
fn repeats(path: &Path, views: &Views<'_>, allowed: bool) -> anyhow::Result<Option<String>> {
    let found = views.repeats();
    let named = |&(image, first): &(usize, usize)| match views.views() {
        1 => format!("row {image} repeats row {first}"),
        each => format!(
            "image {image} (from row {}) repeats image {first} (from row {})",
            image * each,
            first * each
        ),
    };
    let Some(first) = found.first().map(named) else { return Ok(None) };
    let which = match found.len() {
        1 => format!("1 of {} images repeats an earlier one", views.images()),
        count => format!("{count} of {} images repeat an earlier one", views.images()),
    };
    if allowed {
        return Ok(Some(format!(
            "{which}, value for value (the first: {first}); they count like any other."
        )));
    }
    let mut all: Vec<String> = found.iter().take(NAMED).map(named).collect();
    all.extend((found.len() > NAMED).then(|| format!("and {} more", found.len() - NAMED)));
    let mend = "leave them out, or take them as they are with --allow-repeats";
    Err(bad(path, format!("{which}, value for value: {}; {mend}", all.join(", "))))
}

/// What is wrong with the content of a file, which is no misuse of the program.
fn bad(path: &Path, cause: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{}: {cause}", path.display())
}

/// What ends before it should, or cannot be read.
fn cut(path: &Path, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            bad(path, "the array is cut short: the file ends before its last value")
        }
        _ => bad(path, format!("the array cannot be read ({error})")),
    }
}

type Array = NpyFile<Box<dyn Read>>;

/// The array of a file, or the one called `name` of an archive; and whether it is one.
fn open(path: &Path, name: &str) -> anyhow::Result<(Array, bool)> {
    match path.extension().and_then(|end| end.to_str()) {
        Some("npy") => {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            let bytes = file.metadata().with_context(|| path.display().to_string())?.len();
            Ok((array(path, Box::new(BufReader::new(file)), bytes)?, false))
        }
        Some("npz") => {
            let missing = || {
                bad(
                    path,
                    format!(
                        "no array is called {name}; save it with np.savez(file, embeddings=x, \
                         labels=y)"
                    ),
                )
            };
            Ok((find(path, name)?.ok_or_else(missing)?, true))
        }
        _ => Err(misuse(format!(
            "{}: embeddings and labels are read from .npy or .npz; write one with np.save or \
             np.savez, from a Parquet \
             file by way of pandas.read_parquet and to_numpy",
            path.display()
        ))),
    }
}

/// The array of this name in an archive, if there is one.
fn find(path: &Path, name: &str) -> anyhow::Result<Option<Array>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|_| {
        bad(path, "this is no archive of NumPy's, or one that is cut short; write it with np.savez")
    })?;
    let entry_name = format!("{name}.npy");
    let Some(index) = archive.index_for_name(&entry_name) else { return Ok(None) };
    let damaged = |error: &dyn std::fmt::Display| {
        bad(path, format!("{entry_name} in it is damaged ({error})"))
    };
    let mut entry = archive.by_index(index).map_err(|error| damaged(&error))?;
    let bytes = entry.size();
    if bytes > 8 * MOST {
        return Err(bad(path, format!("{entry_name} claims {bytes} bytes")));
    }
    // An archive lends its entries, and an array owns what it reads from.
    let mut content = Vec::new();
    (&mut entry).take(bytes).read_to_end(&mut content).map_err(|error| damaged(&error))?;
    let bytes = content.len() as u64;
    Ok(Some(array(path, Box::new(Cursor::new(content)), bytes)?))
}

/// An array whose announced size its `bytes` can hold.
fn array(path: &Path, mut reader: Box<dyn Read>, bytes: u64) -> anyhow::Result<Array> {
    let mut start = Vec::new();
    (&mut reader)
        .take(MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(|error| cut(path, &error))?;
    if start != MAGIC {
        let how =
            if start.is_empty() { "the file is empty" } else { "it does not begin as one does" };
        return Err(bad(
            path,
            format!("this is no array of NumPy's: {how}; write one with np.save"),
        ));
    }
    let whole: Box<dyn Read> = Box::new(Cursor::new(start).chain(reader));
    let array = NpyFile::new(whole).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => {
            bad(path, "the array is cut short: the file ends within its header")
        }
        _ => bad(path, format!("the header of the array cannot be read ({error})")),
    })?;
    let each = array.dtype().num_bytes().unwrap_or(1) as u64;
    let claimed = array.shape().iter().try_fold(1_u64, |all, &side| all.checked_mul(side));
    match claimed
        .filter(|&values| values <= MOST)
        .and_then(|values| values.checked_mul(each.max(1)))
    {
        Some(claimed) if claimed <= bytes => Ok(array),
        _ => Err(bad(
            path,
            format!("the array is cut short: shape {:?} in {bytes} bytes", array.shape()),
        )),
    }
}

/// The values as 32-bit numbers, row by row, and a note where they were others.
fn floats(path: &Path, array: Array, notes: &mut Vec<String>) -> anyhow::Result<Vec<f32>> {
    let (order, shape) = (array.order(), array.shape().to_vec());
    let cut = |error: std::io::Error| cut(path, &error);
    let array = match array.try_data::<f32>() {
        Ok(values) => {
            return Ok(by_rows(values.collect::<Result<_, _>>().map_err(cut)?, order, &shape));
        }
        Err(array) => array,
    };
    let kind = array.dtype().descr();
    if matches!(kind.trim_matches('\''), "<f2" | "=f2") {
        let mut bytes = vec![0; 2 * array.len() as usize];
        array.into_inner().read_exact(&mut bytes).map_err(cut)?;
        let values = bytes.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32());
        return Ok(by_rows(values.collect(), order, &shape));
    }
    let Ok(values) = array.try_data::<f64>() else {
        return Err(bad(
            path,
            format!("its values are {kind}, not 16-, 32- or 64-bit floats; {CONVERT}"),
        ));
    };
    notes.push(
        "The 64-bit values were rounded to 32 bits; all that is called exact is so of the \
                rounded ones."
            .into(),
    );
    let values: Vec<f64> = by_rows(values.collect::<Result<_, _>>().map_err(cut)?, order, &shape);
    // What was infinite before is refused with all that is not finite.
    let beyond = |value: &f64| value.is_finite() && (*value as f32).is_infinite();
    if let Some(at) = values.iter().position(beyond) {
        let dim = shape.last().map_or(1, |&dim| dim as usize);
        let mend = "divide all values by one number, which changes no direction";
        return Err(bad(
            path,
            format!(
                "row {} holds {:e} in column {}: values are taken as 32-bit floats, which end at \
                 3.4e38; {mend}",
                at / dim,
                values[at],
                at % dim
            ),
        ));
    }
    Ok(values.into_iter().map(|value| value as f32).collect())
}

/// Values in the order of rows, where a file has them in that of columns, as NumPy writes a
/// transposed array.
fn by_rows<T: Copy>(values: Vec<T>, order: Order, shape: &[u64]) -> Vec<T> {
    if order == Order::C {
        return values;
    }
    let place = |at: usize| {
        let (mut rest, mut stride, mut place) = (at, values.len(), 0);
        for &side in shape.iter().rev() {
            stride /= side as usize;
            place += rest % side as usize * stride;
            rest /= side as usize;
        }
        place
    };
    (0..values.len()).map(|at| values[place(at)]).collect()
}

/// Whole numbers of any width, in one column.
fn whole(path: &Path, array: Array) -> anyhow::Result<Vec<i64>> {
    if !matches!(array.shape(), [_] | [_, 1]) {
        return Err(bad(
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
                    let values = values.map_err(|error| cut(path, &error))?;
                    let beyond = |value| bad(path, format!("the label {value} is beyond 63 bits"));
                    return values.into_iter().map(|value| i64::try_from(value).map_err(|_| beyond(value))).collect();
                }
                Err(array) => array,
            };)*
            drop(array);
        }};
    }
    any!(array; i64 i32 i16 i8 u8 u16 u32 u64);
    let mend = "number the classes with np.unique(y, return_inverse=True)[1]";
    Err(bad(path, format!("the labels are {kind}, not whole numbers; {mend}")))
}

/// Labels numbered from 0 in their order, and the numbers they had as names.
fn numbered(path: &Path, given: Vec<i64>, images: usize) -> anyhow::Result<(Labels, Vec<String>)> {
    if given.len() != images {
        let (labels, row) = (given.len(), given.len().min(images));
        let which = if labels < images {
            format!("row {row} has no label")
        } else {
            format!("row {row} has no image")
        };
        return Err(bad(path, format!("{labels} labels for {images} images; {which}")));
    }
    if let Some(row) = given.iter().position(|&label| label < 0) {
        let mend = "leave out images without a label, or all labels";
        return Err(bad(
            path,
            format!("the label in row {row} is negative ({}); {mend}", given[row]),
        ));
    }
    let mut present = given.clone();
    present.sort_unstable();
    present.dedup();
    let number = |label: &i64| present.binary_search(label).unwrap_or_default() as u32;
    check_classes(present.len())?;
    let labels = Labels::new(given.iter().map(number).collect(), present.len())?;
    Ok((labels, present.iter().map(i64::to_string).collect()))
}
