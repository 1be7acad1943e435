//! Embeddings of images.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use npyz::WriterBuilder;
use selfsame_data::{Dataset, Image, Split, SplitName};
use selfsame_eval::{Features, embed as embed_images};
use selfsame_nn::{Backbone, EncoderConfig, Precision};
use selfsame_report::write_atomic;
use selfsame_train::checkpoint::Which;

use crate::csv::field;
use crate::images::note_skipped;
use crate::run::{check_new, make_parent};
use crate::weights::ONLY_F32;
use crate::{Error, Images, Progress, Run};

/// Images to embed, and where to write the embeddings.
#[derive(Clone, Debug)]
pub struct EmbedOptions {
    /// Images to embed. By default: the run's own.
    pub data: Option<Images>,
    /// Split of the images to embed. By default: all three.
    pub split: Option<SplitName>,
    /// Which weights of the run to load.
    pub weights: Which,
    /// Number format in which activations are stored; a perceptron always uses f32. By default: as
    /// in training.
    pub precision: Option<Precision>,
    /// File to write. Its name ends in `.npy` or `.csv`. With an `.npy`, a `.csv` of the same name
    /// is written too, and lists the image of each row. If `None`, nothing is written.
    pub to: Option<PathBuf>,
    /// Whether existing files are overwritten.
    pub overwrite: bool,
    /// Device to compute on.
    pub device: Device,
}

impl Default for EmbedOptions {
    fn default() -> Self {
        Self {
            data: None,
            split: None,
            weights: Which::Last,
            precision: None,
            to: None,
            overwrite: false,
            device: Device::flex(),
        }
    }
}

impl EmbedOptions {
    /// Checks the files, before anything is read.
    ///
    /// # Errors
    /// If a name has another end, or if a file exists and may not be overwritten.
    pub fn check(&self) -> Result<(), Error> {
        self.files().map(drop)
    }

    fn files(&self) -> Result<Option<Files>, Error> {
        self.to.as_deref().map(|to| Files::new(to, self.overwrite)).transpose()
    }
}

/// Images and their embeddings, row by row.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// The images.
    pub images: Vec<EmbeddedImage>,
    /// The images' embeddings, one row per image.
    pub features: Features,
    /// The file that lists the image of each row, if it was written.
    pub names: Option<PathBuf>,
}

/// An image that was embedded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedImage {
    /// Name of the image within the set.
    pub name: String,
    /// Split that the image belongs to.
    pub split: SplitName,
    /// Name of the image's class, if it has one.
    pub class: Option<String>,
}

/// Embeds images with a run's encoder, and writes the embeddings if a file is given.
///
/// # Errors
/// If the folder is not a run, if its weights are missing, if the images cannot be loaded, or if a
/// file exists or cannot be written.
///
/// ```no_run
/// use selfsame::EmbedOptions;
///
/// let options = EmbedOptions { data: Some("more-photos/".into()), ..EmbedOptions::default() };
/// let embedded = selfsame::embed("runs/photos".as_ref(), &options, &mut ())?;
/// println!("{}: {:?}", embedded.images[0].name, embedded.features.row(0));
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn embed(
    run: &Path,
    options: &EmbedOptions,
    progress: &mut dyn Progress,
) -> Result<Embedded, Error> {
    options.check()?;
    let run = Run::open_to_read(run)?;
    let mut config = (*run.plan()?).clone();
    match (options.precision, &mut config.encoder) {
        (Some(precision), EncoderConfig::ResNet(encoder)) => encoder.precision = precision,
        (Some(Precision::Bf16), EncoderConfig::Mlp(_)) => {
            return Err(Error::option("precision", Precision::Bf16, ONLY_F32));
        }
        _ => {}
    }
    if options.data.is_some() {
        // Another set has its own labels and classes, and all of its images are wanted, without
        // crops.
        let data = &mut config.data;
        (data.limit, data.labels, data.classes, data.source_size) = (None, None, None, None);
    }
    let plan = config.check()?;
    let (encoder, _) = run.trained(&plan, options.weights, &options.device)?;
    let dataset = match &options.data {
        Some(data) => data.get(&run.load_options(&plan, false), progress)?,
        None => run.images(&plan, false, progress)?.into(),
    };

    // No record names the images that were left out of another set.
    let all = options.data.is_none().then_some("in the run's page and run.json");
    embed_with(&encoder, &dataset, options, all, progress)
}

/// Embeds images with an encoder that no run has trained, such as one that
/// [`read_encoder`](crate::read_encoder) read, and writes the embeddings if a file is given. Of the
/// options, those that tell of a run mean nothing here: `data`, `weights` and `precision`.
///
/// # Errors
/// If a file exists or cannot be written, or if the split is empty.
///
/// ```no_run
/// use selfsame::{EmbedOptions, WeightsOptions};
///
/// let file = "resnet18.pth".as_ref();
/// let loaded = selfsame::read_encoder(file, &WeightsOptions::default(), &mut ())?;
/// let images = selfsame::load("photos/", &Default::default(), &mut ())?;
/// let options = EmbedOptions::default();
/// let embedded = selfsame::embed_encoder(&loaded.encoder, &images, &options, &mut ())?;
/// println!("{}: {:?}", embedded.images[0].name, embedded.features.row(0));
/// # Ok::<(), selfsame::Error>(())
/// ```
pub fn embed_encoder(
    encoder: &Backbone,
    dataset: &Dataset,
    options: &EmbedOptions,
    progress: &mut dyn Progress,
) -> Result<Embedded, Error> {
    embed_with(encoder, dataset, options, None, progress)
}

/// Embeds images. `all` says where the images that were left out are named.
fn embed_with(
    encoder: &Backbone,
    dataset: &Dataset,
    options: &EmbedOptions,
    all: Option<&str>,
    progress: &mut dyn Progress,
) -> Result<Embedded, Error> {
    let files = options.files()?;
    let rows = rows(dataset, options.split);
    if let Some(split) = options.split.filter(|_| rows.is_empty()) {
        let cause = format!("that split of {} is empty", dataset.name);
        return Err(Error::option("split", split.name(), cause));
    }
    let images: Vec<Image<'_>> = rows.iter().map(|(_, split, i)| split.image(*i)).collect();
    let total = images.len() as u64;
    let features = embed_images(encoder, &images, &options.device, &mut |done| {
        progress.advance("images", done as u64, total, "");
    })?;
    progress.finish();
    let images = rows.iter().map(|&(name, split, i)| EmbeddedImage {
        name: split.name(i).to_owned(),
        split: name,
        class: split.labels().map(|labels| dataset.classes[labels[i] as usize].clone()),
    });
    let mut embedded = Embedded { images: images.collect(), features, names: None };
    if let Some(files) = files {
        files.write(&embedded)?;
        embedded.names = Some(files.names);
    }
    note_skipped(dataset, all, progress);
    Ok(embedded)
}

/// Lists the images of the wanted splits, each by its split and its index within that split.
fn rows(dataset: &Dataset, wanted: Option<SplitName>) -> Vec<(SplitName, &Split, usize)> {
    [
        (SplitName::Train, &dataset.train),
        (SplitName::Validation, &dataset.validation),
        (SplitName::Test, &dataset.test),
    ]
    .into_iter()
    .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name))
    .flat_map(|(name, split)| (0..split.len()).map(move |i| (name, split, i)))
    .collect()
}

/// Files to write embeddings to.
struct Files {
    /// File of the matrix, if it has its own file.
    npy: Option<PathBuf>,
    /// File of the table of images. It also has the embeddings unless they have their own file.
    names: PathBuf,
}

impl Files {
    fn new(to: &Path, overwrite: bool) -> Result<Self, Error> {
        let end = to.extension().map(|end| end.to_string_lossy().to_lowercase());
        let (npy, names) = match end.as_deref() {
            Some("csv") => (None, to.to_owned()),
            Some("npy") => (Some(to.to_owned()), to.with_extension("csv")),
            _ => {
                let cause = "the name must end in .npy or .csv";
                return Err(Error::option("to", to.display(), cause));
            }
        };
        check_new(&[to, &names], overwrite)?;
        Ok(Self { npy, names })
    }

    fn write(&self, embedded: &Embedded) -> Result<(), Error> {
        make_parent(&self.names)?;
        write_atomic(&self.names, table(embedded, self.npy.is_none()).as_bytes())?;
        if let Some(npy) = &self.npy {
            let bytes = matrix(&embedded.features).map_err(Error::file(npy))?;
            write_atomic(npy, &bytes)?;
        }
        Ok(())
    }
}

/// Formats CSV with one line per image, with or without its embedding. Columns have the names
/// `filename` and `embedding_0`, which users know from lightly.
fn table(embedded: &Embedded, with_values: bool) -> String {
    let mut table = String::from("filename,split,label");
    if with_values {
        for i in 0..embedded.features.dim() {
            let _ = write!(table, ",embedding_{i}");
        }
    }
    table.push('\n');
    for (row, image) in embedded.images.iter().enumerate() {
        let label = image.class.as_deref().unwrap_or_default();
        let _ = write!(table, "{},{},{}", field(&image.name), image.split.name(), field(label));
        if with_values {
            for value in embedded.features.row(row) {
                let _ = write!(table, ",{value}");
            }
        }
        table.push('\n');
    }
    table
}

/// Encodes a matrix as the bytes of an `.npy` file.
fn matrix(features: &Features) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let shape = [features.rows() as u64, features.dim() as u64];
    let mut writer =
        npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut bytes).begin_nd()?;
    writer.extend(features.values().iter().copied())?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_written_where_it_was_asked_for() {
        let files = Files::new(Path::new("x.CSV"), false).unwrap();
        assert_eq!((files.npy, files.names), (None, "x.CSV".into()));
        let files = Files::new(Path::new("x.NPY"), false).unwrap();
        assert_eq!((files.npy, files.names), (Some("x.NPY".into()), "x.csv".into()));
    }
}
