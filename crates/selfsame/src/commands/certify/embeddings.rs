//! Embeddings and labels that another program wrote: NumPy's `.npy`, or `.npz` of both.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};
use npyz::{NpyFile, Order};
use selfsame::theory::{Labels, Views};
use zip::ZipArchive;

use super::check_classes;
use super::world::Sample;
use crate::misuse;

/// Names of the arrays in an archive.
const EMBEDDINGS: &str = "embeddings";
const LABELS: &str = "labels";
/// Values read at most: an array that claims more is not believed.
const MOST: u64 = 1 << 33;
/// How to bring an array into a form that is read.
const CONVERT: &str = "save it with np.save(file, np.ascontiguousarray(x, dtype=np.float32))";

/// The world of a file of embeddings: images × values, or images × views × values. Labels are those of `labels`, or of
/// the archive that the embeddings are in, or none.
pub fn read(path: &Path, labels: Option<&Path>, seed: u64) -> anyhow::Result<(Sample, Vec<String>)> {
    let (embeddings, in_archive) = open(path, EMBEDDINGS)?;
    let mut notes = Vec::new();
    let (images, views, dim) = match *embeddings.shape() {
        [images, dim] => (images as usize, 1, dim as usize),
        [images, views, dim] => (images as usize, views as usize, dim as usize),
        ref shape => bail!(
            "{}: an array of shape {shape:?} holds no embeddings; they are images × values, or images × views × values",
            path.display()
        ),
    };
    let values = floats(embeddings, &mut notes).with_context(|| path.display().to_string())?;
    let named = |error: selfsame::theory::Error| anyhow::anyhow!("{}: {error}", path.display());
    Views::new(images, views, dim, &values).and_then(|views| views.check_distinct()).map_err(named)?;

    let given = match labels {
        Some(path) => Some((path, open(path, LABELS)?.0)),
        None if in_archive => find(path, LABELS)?.map(|array| (path, array)),
        None => None,
    };
    let (labels, classes) = match given {
        Some((path, array)) => {
            let named = |error: anyhow::Error| error.context(format!("{}: the labels", path.display()));
            let (labels, classes) = numbered(whole(array).map_err(named)?, images).map_err(named)?;
            (Some(labels), classes)
        }
        None => (None, Vec::new()),
    };
    Ok((Sample { values, images, views, dim, labels, classes, seed, pixels: None }, notes))
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
            let array = find(path, name)?;
            let array = array.with_context(|| {
                format!(
                    "{}: no array is called {name}; save it with np.savez(file, embeddings=x, labels=y)",
                    path.display()
                )
            })?;
            Ok((array, true))
        }
        _ => Err(misuse(format!(
            "{}: embeddings and labels are read from .npy or .npz; write one with np.save or np.savez, from a Parquet \
             file by way of pandas.read_parquet and to_numpy",
            path.display()
        ))),
    }
}

/// The array of this name in an archive, if there is one.
fn find(path: &Path, name: &str) -> anyhow::Result<Option<Array>> {
    let shown = || path.display().to_string();
    let file = File::open(path).with_context(shown)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).with_context(shown)?;
    let entry_name = format!("{name}.npy");
    let Some(index) = archive.index_for_name(&entry_name) else { return Ok(None) };
    let mut entry = archive.by_index(index).with_context(shown)?;
    let bytes = entry.size();
    if bytes > 8 * MOST {
        bail!("{}: {entry_name} claims {bytes} bytes", shown());
    }
    // An archive lends its entries, and an array owns what it reads from.
    let mut content = Vec::new();
    (&mut entry).take(bytes).read_to_end(&mut content).with_context(shown)?;
    let bytes = content.len() as u64;
    Ok(Some(array(path, Box::new(std::io::Cursor::new(content)), bytes)?))
}

/// An array whose announced size its `bytes` can hold.
fn array(path: &Path, reader: Box<dyn Read>, bytes: u64) -> anyhow::Result<Array> {
    let shown = || path.display().to_string();
    let array = NpyFile::new(reader).with_context(|| format!("{} is no array of NumPy's", shown()))?;
    let each = array.dtype().num_bytes().unwrap_or(1) as u64;
    let claimed = array.shape().iter().try_fold(1_u64, |all, &side| all.checked_mul(side));
    match claimed.filter(|&values| values <= MOST).and_then(|values| values.checked_mul(each.max(1))) {
        Some(claimed) if claimed <= bytes => {}
        _ => bail!("{} is cut short: shape {:?} in {bytes} bytes", shown(), array.shape()),
    }
    if array.order() == Order::Fortran && array.shape().len() > 1 {
        bail!("{} is stored column by column; {CONVERT}", shown());
    }
    Ok(array)
}

/// The values as 32-bit numbers, and a note where they were others.
fn floats(array: Array, notes: &mut Vec<String>) -> anyhow::Result<Vec<f32>> {
    let array = match array.try_data::<f32>() {
        Ok(values) => return values.collect::<Result<_, _>>().context("the array is cut short"),
        Err(array) => array,
    };
    let kind = array.dtype().descr();
    let Ok(values) = array.try_data::<f64>() else {
        bail!("its values are {kind}, not 32- or 64-bit floats; {CONVERT}")
    };
    notes.push("The 64-bit values were rounded to 32 bits; all that is called exact is so of the rounded ones.".into());
    values.map(|value| value.map(|value| value as f32)).collect::<Result<_, _>>().context("the array is cut short")
}

/// Whole numbers of any width.
fn whole(array: Array) -> anyhow::Result<Vec<i64>> {
    if array.shape().len() != 1 {
        bail!("have shape {:?}; they are one whole number an image", array.shape());
    }
    let kind = array.dtype().descr();
    macro_rules! any {
        ($array:expr; $($kind:ty)*) => {{
            let array = $array;
            $(let array = match array.try_data::<$kind>() {
                Ok(values) => {
                    let values: Result<Vec<$kind>, _> = values.collect();
                    let converted = values?.into_iter().map(|value| i64::try_from(value).context("are beyond 64 bits"));
                    return converted.collect();
                }
                Err(array) => array,
            };)*
            drop(array);
        }};
    }
    any!(array; i64 i32 i16 i8 u8 u16 u32 u64);
    bail!("are {kind}, not whole numbers; number the classes with np.unique(y, return_inverse=True)[1]")
}

/// Labels numbered from 0 in their order, and the numbers they had as names.
fn numbered(given: Vec<i64>, images: usize) -> anyhow::Result<(Labels, Vec<String>)> {
    if given.len() != images {
        bail!("are {}, but there are {images} images; row {} has none", given.len(), given.len().min(images));
    }
    if let Some(row) = given.iter().position(|&label| label < 0) {
        bail!("are negative in row {row} ({}); leave out images without a label, or all labels", given[row]);
    }
    let mut present = given.clone();
    present.sort_unstable();
    present.dedup();
    let number = |label: &i64| present.binary_search(label).unwrap_or_default() as u32;
    check_classes(present.len())?;
    let labels = Labels::new(given.iter().map(number).collect(), present.len())?;
    Ok((labels, present.iter().map(i64::to_string).collect()))
}
