//! The arguments of the command line.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use clap::{Args as Group, Parser, Subcommand, ValueEnum, value_parser};
use selfsame::augment::PRESETS;
use selfsame::data::{Exif, REMOTE_SETS, SplitName};
use selfsame::methods::METHODS;
use selfsame::nn::{Precision, Stem};
use selfsame::train::checkpoint::Which;
use selfsame::train::{OptimizerKind, RECIPES};
use selfsame::{EncoderKind, OnCollapse};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};

/// Headings of the options with which `certify` takes something other than a run.
const ENCODER_FROM_ELSEWHERE: &str = "An encoder from elsewhere";
const EMBEDDINGS_FROM_ELSEWHERE: &str = "Embeddings from elsewhere";

/// Contrastive self-supervised learning that tells you how well the representation will generalise.
#[derive(Parser, Debug)]
#[command(
    name = "selfsame",
    version,
    max_term_width = 100,
    after_help = "Examples:
  selfsame study                           train on the built-in glyphs, measure, write a report
  selfsame inspect photos/                 find copies and bad images before training
  selfsame views photos/ --augment simclr  look at what training would see
  selfsame forecast --data photos/         rank augmentations before training
  selfsame study --data photos/            the same for a folder of class folders, or of images
  selfsame study --resume runs/photos      go on after Ctrl-C, a crash or a power cut
  selfsame embed runs/photos --to all.npy  take the embeddings elsewhere
  selfsame export runs/photos --format onnx  take the encoder elsewhere"
)]
pub struct Args {
    /// Processor threads; all cores by default, but one for `bench augment`. Results do not depend
    /// on it
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// Instruction set: amx, avx512bf16, avx512, avx2, neon or portable [default: the fastest of
    /// this machine]
    #[arg(long, global = true, value_name = "NAME")]
    pub isa: Option<String>,
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// From images to a measured encoder: pretrain, eval and report in one
    Study(Pretrain),
    /// Train an encoder, without measuring it
    Pretrain(Pretrain),
    /// List the methods, or the settings of one: keys, values, meanings, recipes
    Methods(Methods),
    /// Measure an encoder on the test split, beside raw pixels and the untrained encoder: that of a
    /// run or of a file
    Eval(Eval),
    /// Measure what the theory says of a run's encoder: alignment, divergence, concentration, and
    /// bounds on its error
    Certify(Certify),
    /// Show the images most like any image of a run, as its encoder sees them
    #[command(visible_alias = "neighbors")]
    Neighbours(Neighbours),
    /// Compare runs: in what they differ, which is better and how sure that is, and, of many, what
    /// predicts it
    Compare(Compare),
    /// Write an encoder's embeddings of images as .npy or .csv
    Embed(Embed),
    /// Write an encoder for use elsewhere, as safetensors or ONNX
    Export(Export),
    /// Download a public data set and check its digest
    Fetch(Fetch),
    /// Write a run's page again from its records
    Report(Report),
    /// Look at images before training: copies, near copies, images that stand out, what was left out
    Inspect(Inspect),
    /// Write a page of images and their views, with what chance drew for each
    Views(Views),
    /// Rank augmentations before training, by how they draw the images of a class together, and
    /// write a page
    Forecast(Forecast),
    /// Find a maximum clique of a graph in a DIMACS file, exactly
    Clique(Clique),
    /// Run an experiment of many runs, such as every method with three seeds, and make its table
    Reproduce(Reproduce),
    /// Measure this machine: how fast views are made and compared, and encoders trained and run
    #[command(subcommand)]
    Bench(Bench),
    /// Print what makes a shell complete the words of this program
    Completions(Completions),
    /// Print the manual page of this program, or of one of its commands
    Man(Man),
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame completions bash > ~/.local/share/bash-completion/completions/selfsame
  selfsame completions fish > ~/.config/fish/completions/selfsame.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame man > selfsame.1
  selfsame man study > selfsame-study.1")]
pub struct Man {
    /// The command; without one, the page is that of the program
    #[arg(value_name = "COMMAND")]
    pub verb: Option<String>,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame study
  selfsame study --data photos/ --image-size 64 --epochs 100
  selfsame study --data cifar10.tar --augment abcd0.25e --encoder resnet34 --out runs/strong
  selfsame study --resume runs/strong")]
pub struct Pretrain {
    #[command(flatten, next_help_heading = "Images")]
    pub images: Images,
    /// Stop at the first image that cannot be used, rather than leave it out and say so
    #[arg(long, help_heading = "Images")]
    pub strict: bool,

    #[command(flatten, next_help_heading = "Training")]
    pub training: Training,
    /// What to do when the outputs collapse: say so, or stop there with exit code 1
    #[arg(
        long,
        value_parser = one_of::<OnCollapse, 2>(["warn", "stop"]),
        default_value = "warn",
        value_name = "WHAT",
        help_heading = "Training"
    )]
    pub on_collapse: OnCollapse,
    #[command(flatten)]
    pub device: DeviceArg,

    /// Folder of the run [default: runs/ and the name of the images]
    #[arg(long, value_name = "RUN", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Delete the run that the folder holds, once the new one is ready to start
    #[arg(long, help_heading = "Output", conflicts_with = "resume")]
    pub overwrite: bool,
    /// Seconds between two checkpoints; a kill loses at most the work since the last
    #[arg(long, default_value_t = 20, value_name = "SECONDS", help_heading = "Output")]
    pub save_every: u64,
    /// Weights of another encoder to measure beside the run's, as for --init; may be given several
    /// times; for `study` only
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub against: Vec<PathBuf>,
    /// Go on with this run, under its own settings; with more --epochs, prolong it
    #[arg(
        long,
        value_name = "RUN",
        help_heading = "Output",
        conflicts_with_all = RUN_KEEPS
    )]
    pub resume: Option<PathBuf>,
    #[command(flatten)]
    pub output: Json,
}

/// What a run that goes on keeps. Where its images lie may change, and epochs may be added.
const RUN_KEEPS: [&str; 29] = [
    "config",
    "image_size",
    "source_size",
    "limit",
    "classes",
    "exif",
    "recipe",
    "augment",
    "method",
    "temperature",
    "encoder",
    "width",
    "stem",
    "init",
    "init_partial",
    "precision",
    "batch",
    "microbatch",
    "optimizer",
    "lr",
    "warmup_epochs",
    "weight_decay",
    "clip_norm",
    "knn_every",
    "knn_k",
    "set",
    "seed",
    "split_seed",
    "out",
];

/// Names in one argument. The parser of arguments takes a plain `Vec` for one name in each.
pub type Names = Vec<String>;

/// Splits a list of names, which cannot fail.
fn class_names(list: &str) -> Result<Names, std::convert::Infallible> {
    Ok(selfsame::data::class_names(list))
}

/// The images of a run. A resumed run already has them, unless they have been moved.
#[derive(Group, Debug)]
pub struct Images {
    /// Images: `glyphs` (built in), a folder of class folders or of images, a .tar of either, or a
    /// folder with CIFAR's binary or MNIST's IDX files; with --resume, where the images of the run
    /// have been moved to [default: glyphs]
    #[arg(long)]
    pub data: Option<String>,
    /// Side that images are brought to, in pixels [default: their own up to 96, otherwise 64]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<u32>,
    /// Draw crops from the whole images, reduced to N pixels on their shorter side where they are
    /// larger; up to 4096 [default: twice the image size]
    #[arg(long, value_name = "N")]
    pub source_size: Option<u32>,
    /// Take at most N images for training and N for test, spread evenly over the classes
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Table with the labels of the images, in place of class folders: a .csv with a column for the
    /// file and one for the label; or `none`: the folders are no classes
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Take these classes only, by name, separated by commas; a name that has a comma stands in
    /// double quotes
    #[arg(long, value_parser = class_names, value_name = "NAME,…")]
    pub classes: Option<Names>,
    /// Turn images upright as their EXIF orientation says, or ignore it [default: turn]
    #[arg(long, value_parser = exif(), value_name = "WHAT")]
    pub exif: Option<Exif>,
    /// Seed of the splits into training, validation and test, apart from --seed so that runs with
    /// other seeds are measured on the same images [default: 0]
    #[arg(long, value_name = "N")]
    pub split_seed: Option<u64>,
}

/// How a run is trained. A resumed run already has these settings.
#[derive(Group, Debug)]
pub struct Training {
    /// Start a new run with the images and settings of another, as its config.toml has them; other
    /// options still count
    #[arg(long, value_name = "FILE", conflicts_with = "recipe")]
    pub config: Option<PathBuf>,
    /// Published settings to start from, all of them, in place of the defaults below: authors
    /// (Huang et al. 2023) or solo-learn, both for CIFAR-10; other options still count
    #[arg(long, value_name = "NAME", value_parser = recipes(), hide_possible_values = true)]
    pub recipe: Option<String>,
    #[arg(long, value_name = "POLICY", help = format!("{} [default: abcde; of glyphs, a0.5bcde]", augment_help()))]
    pub augment: Option<String>,
    #[arg(
        long,
        value_parser = methods(),
        hide_possible_values = true,
        help = method_help() + " [default: simclr]"
    )]
    pub method: Option<String>,
    /// Temperature of the loss [default: the method's own]
    #[arg(long, allow_negative_numbers = true, value_name = "T")]
    pub temperature: Option<f64>,
    /// Encoder [default: resnet18]
    #[arg(long, value_parser = encoders())]
    pub encoder: Option<EncoderKind>,
    /// Channels of the encoder's first stage; 64 is the published width. Units of a hidden layer of
    /// an mlp [default: 16; 8 for glyphs; 512 for an mlp]
    #[arg(long, value_name = "CHANNELS")]
    pub width: Option<usize>,
    /// First layers of the encoder [default: cifar up to 96 pixels, otherwise imagenet]
    #[arg(long, value_parser = stems())]
    pub stem: Option<Stem>,
    /// Weights to start from: a ResNet of torchvision, lightly, solo-learn, MoCo or selfsame, as
    /// .safetensors or .pth
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// Take what fits of --init, and leave the rest as it is without
    #[arg(long, requires = "init")]
    pub init_partial: bool,
    /// What the encoder's activations are stored as, in training and in measuring
    #[arg(long, value_enum, default_value = "auto")]
    pub precision: PrecisionName,
    /// Passes over the training images; with --resume, how many a complete run is prolonged to
    /// [default: 25]
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Images a step, each in two views [default: 128]
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Images that pass the networks at a time, to save memory; the gradient stays that of the
    /// whole batch, but that batch normalisation sees N images at a time [default: the batch]
    #[arg(long, value_name = "N")]
    pub microbatch: Option<usize>,
    /// Rule that moves the weights [default: adamw]
    #[arg(long, value_parser = one_of::<OptimizerKind, 3>(["sgd", "lars", "adamw"]))]
    pub optimizer: Option<OptimizerKind>,
    /// Highest learning rate [default: by optimizer and batch; the run's config.toml has it]
    #[arg(long, allow_negative_numbers = true, value_name = "RATE")]
    pub lr: Option<f64>,
    /// Epochs over which the learning rate rises from 0 [default: a tenth, at most 10]
    #[arg(long, allow_negative_numbers = true, value_name = "N")]
    pub warmup_epochs: Option<f64>,
    /// Factor of the L2 penalty [default: 5e-4 for sgd, 1e-6 for lars, 1e-2 for adamw]
    #[arg(long, allow_negative_numbers = true, value_name = "FACTOR")]
    pub weight_decay: Option<f64>,
    /// Scale gradients down to this length where they are longer
    #[arg(long, allow_negative_numbers = true, value_name = "LENGTH")]
    pub clip_norm: Option<f64>,
    /// Epochs between kNN measurements on the validation split; 0 for none [default: a tenth of
    /// all]
    #[arg(long, value_name = "N")]
    pub knn_every: Option<usize>,
    /// Neighbours of kNN [default: chosen without the test split; during training, a tenth of the
    /// images of a class, at most 200]
    #[arg(long, value_name = "K", value_parser = from_1_to(1 << 20))]
    pub knn_k: Option<usize>,
    /// Any setting of config.toml's [method] or [train], such as method.queue=8192; may be given
    /// several times. `selfsame methods NAME` lists a method's
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Seed of everything random but the splits [default: 0]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame methods
  selfsame methods mocov2")]
pub struct Methods {
    /// The one whose settings are asked for
    #[arg(value_parser = methods(), hide_possible_values = true)]
    pub method: Option<String>,
    /// Values of the encoder's representation, which heads follow: 8 times the width of a ResNet-18
    #[arg(long, default_value_t = 128, value_name = "VALUES", value_parser = from_1_to(65_536))]
    pub dim: usize,
    #[command(flatten)]
    pub output: Json,
}

/// An encoder in a file of weights, in place of that of a run.
#[derive(Group, Debug)]
pub struct FromElsewhere {
    /// Weights of an encoder in place of a run: a ResNet of torchvision, lightly, solo-learn, MoCo
    /// or selfsame, as .safetensors or .pth
    #[arg(
        long,
        value_name = "FILE",
        help_heading = ENCODER_FROM_ELSEWHERE,
        conflicts_with_all = ["run", "checkpoint"]
    )]
    pub init: Option<PathBuf>,
    /// Take what fits of --init, and leave the rest as it is without
    #[arg(long, help_heading = ENCODER_FROM_ELSEWHERE)]
    pub init_partial: bool,
    /// Encoder [default: what the file is of]
    #[arg(long, value_parser = encoders(), help_heading = ENCODER_FROM_ELSEWHERE)]
    pub encoder: Option<EncoderKind>,
    /// Channels of the encoder's first stage [default: what the file is of]
    #[arg(
        long,
        value_name = "CHANNELS",
        value_parser = from_1_to(1024),
        help_heading = ENCODER_FROM_ELSEWHERE
    )]
    pub width: Option<usize>,
    /// First layers of the encoder [default: what the file is of]
    #[arg(long, value_parser = stems(), help_heading = ENCODER_FROM_ELSEWHERE)]
    pub stem: Option<Stem>,
}

/// How the images that an encoder from elsewhere sees are read.
#[derive(Group, Debug)]
pub struct ImagesElsewhere {
    /// Side that images are brought to, in pixels [default: their own up to 96, otherwise 64]
    #[arg(
        long,
        value_name = "PIXELS",
        value_parser = value_parser!(u32).range(8..=1024),
        help_heading = ENCODER_FROM_ELSEWHERE
    )]
    pub image_size: Option<u32>,
    /// Turn images upright as their EXIF orientation says [default], or ignore it
    #[arg(long, value_parser = exif(), value_name = "WHAT", help_heading = ENCODER_FROM_ELSEWHERE)]
    pub exif: Option<Exif>,
    /// Take at most N images for training and N for test, spread evenly over the classes
    #[arg(long, value_name = "N", help_heading = ENCODER_FROM_ELSEWHERE)]
    pub limit: Option<usize>,
    /// Take these classes only, by name, separated by commas; a name that has a comma stands in
    /// double quotes
    #[arg(
        long,
        value_parser = class_names,
        value_name = "NAME,…",
        help_heading = ENCODER_FROM_ELSEWHERE
    )]
    pub classes: Option<Names>,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame eval runs/glyphs --json
  selfsame eval runs/photos --against resnet18.pth
  selfsame eval --init resnet18.pth --data photos/ --image-size 224

Writes eval.json, map.json and report.html into the folder of the run or, where there is no run, into
a folder of their own.")]
pub struct Eval {
    /// Folder of the run
    pub run: Option<PathBuf>,
    /// Weights of another encoder to measure beside it, as for --init; may be given several times
    #[arg(long, value_name = "FILE")]
    pub against: Vec<PathBuf>,
    #[command(flatten)]
    pub from: FromElsewhere,
    /// What the encoder's activations are stored as [default: bf16 where the processor has AMX,
    /// otherwise f32]
    #[arg(long, value_parser = precisions(), help_heading = ENCODER_FROM_ELSEWHERE)]
    pub precision: Option<Precision>,
    /// Images to measure it on, as for `selfsame study --data`
    #[arg(long, help_heading = ENCODER_FROM_ELSEWHERE)]
    pub data: Option<String>,
    #[command(flatten)]
    pub images: ImagesElsewhere,
    /// Table with the labels of the images, as for `selfsame study --labels`
    #[arg(long, value_name = "FILE", help_heading = ENCODER_FROM_ELSEWHERE)]
    pub labels: Option<PathBuf>,
    /// Seed of the splits, of the views and of the weights before training [default: 0]
    #[arg(long, value_name = "N", help_heading = ENCODER_FROM_ELSEWHERE)]
    pub seed: Option<u64>,
    /// Folder for the results [default: evaluations/ and the name of the file]
    #[arg(long, value_name = "DIR", help_heading = ENCODER_FROM_ELSEWHERE)]
    pub out: Option<PathBuf>,
    /// Write over earlier results there
    #[arg(long, help_heading = ENCODER_FROM_ELSEWHERE)]
    pub overwrite: bool,
    /// Which weights: those of the last step, or of the best validation kNN
    #[arg(long, value_parser = checkpoints(), default_value = "last")]
    pub checkpoint: Which,
    /// Neighbours of kNN, such as 200, the number of published figures [default: the run's setting;
    /// if it has none, chosen for each representation without the test split]
    #[arg(long, value_name = "K", value_parser = from_1_to(1 << 20))]
    pub knn_k: Option<usize>,
    #[command(flatten)]
    pub device: DeviceArg,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame certify runs/glyphs
  selfsame certify runs/photos --split validation --per-class 200 --views 32
  selfsame certify --init resnet50.pth --data photos/ --image-size 224 --augment simclr
  selfsame certify --embeddings features.npy --labels labels.npy --json

Writes certificate.json, every number with what it is worth: exact, estimate, bound or assumed. That
of a run lies in its folder, and the run's page shows it; others have a folder and a page of their
own. Embeddings come without images, so for them there is no error bound.")]
pub struct Certify {
    /// Folder of the run, which has its own encoder, images and policy
    pub run: Option<PathBuf>,
    #[command(flatten)]
    pub from: FromElsewhere,
    /// What the encoder's activations are stored as [default: bf16 where the processor has AMX,
    /// otherwise f32]
    #[arg(long, value_parser = precisions(), help_heading = ENCODER_FROM_ELSEWHERE)]
    pub precision: Option<Precision>,
    /// Images to measure it on, as for `selfsame study --data`
    #[arg(long, help_heading = ENCODER_FROM_ELSEWHERE)]
    pub data: Option<String>,
    #[command(flatten)]
    pub images: ImagesElsewhere,
    /// Draw crops from the whole images, reduced to N pixels on their shorter side where they are
    /// larger; up to 4096 [default: twice the image size]
    #[arg(long, value_name = "N", help_heading = ENCODER_FROM_ELSEWHERE)]
    pub source_size: Option<u32>,
    #[arg(
        long,
        value_name = "POLICY",
        help_heading = ENCODER_FROM_ELSEWHERE,
        help = augment_help() + " [default: abcde; of glyphs, a0.5bcde]"
    )]
    pub augment: Option<String>,
    /// Embeddings of any encoder in place of a run: a .npy of images × values or of images × views
    /// × values, each image's original first; or a .npz with `embeddings` and, if there are any,
    /// `labels`
    #[arg(
        long,
        value_name = "FILE",
        help_heading = EMBEDDINGS_FROM_ELSEWHERE,
        conflicts_with_all =
            ["run", "init", "split", "per_class", "views", "budget", "checkpoint", "device"]
    )]
    pub embeddings: Option<PathBuf>,
    /// The class of each of their images: a .npy of whole numbers; with --init, a table of labels as
    /// for `selfsame study --labels`
    #[arg(long, value_name = "FILE", help_heading = EMBEDDINGS_FROM_ELSEWHERE)]
    pub labels: Option<PathBuf>,
    /// Take embeddings that repeat an earlier row, as copies of an image do, and note them
    #[arg(long, help_heading = EMBEDDINGS_FROM_ELSEWHERE)]
    pub allow_repeats: bool,
    /// Folder for certificate.json and report.html [default: that of the run; where there is no run,
    /// certificates/ and the name of the file]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the certificate that is there
    #[arg(long)]
    pub overwrite: bool,
    /// Which images
    #[arg(long, value_parser = splits(), default_value = "test")]
    pub split: SplitName,
    /// Images of each class that are measured, at most
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub per_class: usize,
    /// Views of each image, beside the image itself
    #[arg(long, default_value_t = 16, value_name = "M")]
    pub views: usize,
    /// Time that the proof of each curve of concentration may take, as 60s or 1.5m; what is not
    /// proved by then is a bound [default: none up to 100 images a class, otherwise 10s]
    #[arg(long, value_name = "TIME", value_parser = selfsame::time)]
    pub budget: Option<std::time::Duration>,
    /// Which weights: those of the last step, or of the best validation kNN
    #[arg(long, value_parser = checkpoints(), default_value = "last")]
    pub checkpoint: Which,
    /// Seed of the splits, where images in place of a run have none
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub split_seed: u64,
    /// Seed of the views, and of what is estimated by drawing; the same for all runs, so that they
    /// can be compared
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    #[command(flatten)]
    pub device: DeviceArg,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame compare runs/plain runs/blur
  selfsame compare runs/* --out comparison
  selfsame compare certificates/*

Takes what `selfsame eval` and `selfsame certify` wrote into the folders; measures nothing anew.
Runs that measured the same test images are compared image by image. From five certified runs on, it
also says which measure predicts their accuracies.")]
pub struct Compare {
    /// Folders of runs, or of certificates that no run has
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Folder for compare.html and compare.json
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Write over an earlier comparison there
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame embed runs/glyphs --to glyphs.npy
  selfsame embed runs/photos --data more-photos/ --to more.csv
  selfsame embed --init resnet18.pth --data photos/ --image-size 224 --to photos.npy")]
pub struct Embed {
    /// Folder of the run
    pub run: Option<PathBuf>,
    /// File to write, .npy or .csv; beside an .npy, a .csv of the same name says which image each
    /// row is
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// Images to embed [default: the run's own]
    #[arg(long)]
    pub data: Option<String>,
    /// Which of them
    #[arg(
        long,
        value_parser = PossibleValuesParser::new(["all", "train", "validation", "test"]),
        default_value = "all"
    )]
    pub split: String,
    /// Which weights: those of the last step, or of the best validation kNN
    #[arg(long, value_parser = checkpoints(), default_value = "last")]
    pub checkpoint: Which,
    /// What the encoder's activations are stored as [default: what the run was trained with; with
    /// --init, bf16 where the processor has AMX, otherwise f32]
    #[arg(long, value_parser = precisions())]
    pub precision: Option<Precision>,
    #[command(flatten)]
    pub from: FromElsewhere,
    #[command(flatten)]
    pub images: ImagesElsewhere,
    /// Table with the labels of the images, as for `selfsame study --labels`
    #[arg(long, value_name = "FILE", help_heading = ENCODER_FROM_ELSEWHERE)]
    pub labels: Option<PathBuf>,
    /// Seed of the splits [default: 0]
    #[arg(long, value_name = "N", help_heading = ENCODER_FROM_ELSEWHERE)]
    pub seed: Option<u64>,
    /// Write over an existing file
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub device: DeviceArg,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame neighbours runs/photos
  selfsame neighbours runs/photos church/017.jpg tench/003.jpg --nearest 12

Writes neighbours.json into the run's folder, and shows it on the run's page. `eval` and `study` find
images whose labels are likely wrong (suspects.json), near copies, and groups (clusters.csv).")]
pub struct Neighbours {
    /// Folder of the run
    pub run: PathBuf,
    /// Images of the run's data, by name or by a part of it that no other name has [default: a few
    /// of each class]
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Neighbours of each image
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = from_1_to(100))]
    pub nearest: usize,
    /// Which weights: those of the last step, or of the best validation kNN
    #[arg(long, value_parser = checkpoints(), default_value = "last")]
    pub checkpoint: Which,
    #[command(flatten)]
    pub device: DeviceArg,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame export runs/photos --format onnx
  selfsame export runs/photos --format pytorch-names --checkpoint best --out take/photos.safetensors
  selfsame export --init resnet18.pth --format onnx

Metadata of the file say what it holds and how images are prepared for it.")]
pub struct Export {
    /// Folder of the run
    pub run: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// Which weights: those of the last step, or of the best validation kNN
    #[arg(long, value_parser = checkpoints(), default_value = "last")]
    pub checkpoint: Which,
    #[command(flatten)]
    pub from: FromElsewhere,
    /// Side of the images that the encoder is for, in pixels [default: 32 or 224, by its first
    /// layers]
    #[arg(
        long,
        value_name = "PIXELS",
        value_parser = value_parser!(u32).range(8..=1024),
        help_heading = ENCODER_FROM_ELSEWHERE
    )]
    pub image_size: Option<u32>,
    /// File to write [default: the name of the run or of the weights, with an end of the format]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write over existing files
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame fetch cifar10 --to data/cifar10
  selfsame study --data data/cifar10")]
pub struct Fetch {
    /// The set
    #[arg(value_parser = PossibleValuesParser::new(REMOTE_SETS.iter().map(|set| set.name)))]
    pub set: String,
    /// Folder to put it in; an interrupted download there goes on
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Address to use in place of the official one; the digests stay
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Example:
  selfsame report runs/glyphs")]
pub struct Report {
    /// Folder of the run
    pub run: PathBuf,
    /// File of the page [default: report.html in that folder]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write over a file that --out names
    #[arg(long, requires = "out")]
    pub overwrite: bool,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame inspect photos/
  selfsame inspect cifar10.tar --out look --json

Writes inspect.html, a page with pictures, and inspect.json, which lists everything by name. Near
copies are the same picture saved again, brighter or darker, mirrored or retouched; those that are
cropped or turned are not found. Images are compared as training would see them.")]
pub struct Inspect {
    /// Images, as for `selfsame study --data`
    #[arg(default_value = "glyphs")]
    pub data: String,
    /// Side that images are brought to, in pixels [default: their own up to 96, otherwise 64]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<u32>,
    /// Take at most N images for training and N for test, spread evenly over the classes
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Table with the labels of the images, in place of class folders: a .csv with a column for the
    /// file and one for the label; or `none`: the folders are no classes
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Take these classes only, by name, separated by commas; a name that has a comma stands in
    /// double quotes
    #[arg(long, value_parser = class_names, value_name = "NAME,…")]
    pub classes: Option<Names>,
    /// Turn images upright as their EXIF orientation says, or ignore it
    #[arg(long, value_parser = exif(), default_value = "turn", value_name = "WHAT")]
    pub exif: Exif,
    /// Search for exact copies only: the time for near copies grows with the square of the images
    #[arg(long)]
    pub no_near: bool,
    /// Seed of the splits, where the images have none
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub split_seed: u64,
    /// Folder for inspect.html, inspect.json and copies.csv [default: inspections/ and the name of
    /// the images]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write over an earlier inspection there
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame views
  selfsame views photos/ --augment simclr --out photos.html
  selfsame views photos/ --augment a --augment abc --augment mine.toml")]
pub struct Views {
    /// Images, as for `selfsame study --data`; only as many are read as are needed
    #[arg(default_value = "glyphs")]
    pub data: String,
    #[arg(
        long,
        default_value = "abcde",
        value_name = "POLICY",
        help = augment_help() + ". Give it several times to compare policies on the same images"
    )]
    pub augment: Vec<String>,
    /// Side that images are brought to, in pixels [default: their own up to 96, otherwise 64]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<u32>,
    /// Draw crops from the whole images, reduced to N pixels on their shorter side where they are
    /// larger; up to 4096 [default: twice the image size]
    #[arg(long, value_name = "N")]
    pub source_size: Option<u32>,
    /// Turn images upright as their EXIF orientation says, or ignore it
    #[arg(long, value_parser = exif(), default_value = "turn", value_name = "WHAT")]
    pub exif: Exif,
    /// Table with the labels of the images, as for `selfsame study --labels`
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Side of the views, in pixels [default: that of the images]
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<u32>,
    /// Images, taken from the training split; of a large set only some are read, so that with
    /// another N the same image may have other views
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub images: usize,
    /// Views of each image
    #[arg(long, default_value_t = 6, value_name = "N")]
    pub views: usize,
    /// Seed of the splits, where the images have none
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub split_seed: u64,
    /// Seed of everything else that is random
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// File to write
    #[arg(long, default_value = "views.html", value_name = "FILE")]
    pub out: PathBuf,
    /// Write over an existing file
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame forecast
  selfsame forecast --data photos/ --policies a,ab,abc,abcd,abcde
  selfsame forecast --data photos/ --policies pairs --policies '{crop = {scale = [0.5, 1.0]}}'
  selfsame forecast --data cifar10.tar --policies pairs --per-class 500 --views 32
  selfsame forecast --data flat/ --encoder runs/flat --clusters 10 --policies simclr,byol,mine.toml

Run the same command again to go on after a stop. The folder holds report.html, forecast.json with
every number and setting, table.md, and the squared distances as .npy.")]
pub struct Forecast {
    /// Images, as for `selfsame study --data`; those of the training split are probed
    #[arg(long, default_value = "glyphs")]
    pub data: String,
    /// Table with the labels of the images, as for `selfsame study --labels`
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    #[arg(long, default_value = "pairs", value_name = "POLICY,…", help = policies_help())]
    pub policies: Vec<String>,
    /// Labelled images of each class that are probed; the fewer, the wider the intervals
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub per_class: usize,
    /// Views of each image, beside the image itself
    #[arg(long, default_value_t = 16, value_name = "M")]
    pub views: usize,
    /// Leave the image itself out of its views
    #[arg(long)]
    pub no_original: bool,
    /// Side that images are brought to, in pixels [default: their own up to 96, otherwise 64]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<u32>,
    /// Draw crops from the whole images, reduced to N pixels on their shorter side where they are
    /// larger; up to 4096 [default: twice the image size]
    #[arg(long, value_name = "N")]
    pub source_size: Option<u32>,
    /// Turn images upright as their EXIF orientation says, or ignore it
    #[arg(long, value_parser = exif(), default_value = "turn", value_name = "WHAT")]
    pub exif: Exif,
    /// Measure distances between embeddings of this run's encoder, brought to length 1, rather than
    /// between pixels
    #[arg(long, value_name = "RUN")]
    pub encoder: Option<PathBuf>,
    /// Take K clusters of the encoder's embeddings for classes; all that depends on them is then
    /// assumed
    #[arg(long, value_name = "K", requires = "encoder")]
    pub clusters: Option<usize>,
    /// Compare pixels even with --encoder, which then only makes the clusters
    #[arg(long, requires = "clusters")]
    pub pixels: bool,
    /// Time that the proof of each curve may take, as 60s or 1.5m; what is not proved by then is an
    /// interval [default: none up to 100 images a class, otherwise 10s]
    #[arg(long, value_name = "TIME", value_parser = selfsame::time)]
    pub budget: Option<std::time::Duration>,
    /// Seed of the splits, where the images have none
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub split_seed: u64,
    /// Seed of everything else that is random
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Where to run the encoder: flex (the processor) or, if built with that feature, vulkan, metal,
    /// webgpu, cuda, rocm
    #[arg(long, default_value = "flex", value_name = "NAME", requires = "encoder")]
    pub device: String,
    /// Folder of the forecast [default: forecasts/ and the name of the images]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Start again where the folder holds another forecast
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame clique brock200_4.clq
  selfsame clique C250.9.clq --budget 60s --json")]
pub struct Clique {
    /// Graph in DIMACS ASCII: `p edge VERTICES EDGES`, then `e VERTEX VERTEX` a line
    pub file: PathBuf,
    /// Time after which it stops with what is proved: seconds, or with an s, m or h [default: none]
    #[arg(long, value_name = "TIME", value_parser = selfsame::time)]
    pub budget: Option<std::time::Duration>,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame reproduce table1 --data cifar10.tar
  selfsame reproduce all --scale paper --dry-run
  selfsame reproduce table1 --scale paper --with device=vulkan --with epochs=100
  selfsame reproduce methods-glyphs
  selfsame --threads 1 reproduce table1 --shard 1/2    and at the same time --shard 2/2

Without --data, CIFAR-10 is looked for in data/cifar10, where `selfsame fetch cifar10` puts it.
The same command goes on after a stop. A grid of your own (all of its format: docs/grids.md):

  title = \"Colour and width\"
  about = \"SimCLR on glyphs, five epochs\"
  seeds = [0, 1]
  [all]                      # options of `selfsame study` that all runs share
  data = \"glyphs\"
  epochs = 5
  [[rows]]                   # those of each row
  name = \"crop and colour\"
  augment = \"ad\"
  [[rows]]
  name = \"crop\"
  augment = \"a\"
  [[columns]]                # those of each column, if there are any
  width = 4
  [[columns]]
  width = 8")]
pub struct Reproduce {
    /// Experiment of the paper: table1, table2, pairs, losses, maps or all of them; or another
    /// grid: atlas, crossing, methods-glyphs, methods-cifar10, precision, or a TOML file
    pub grid: String,
    /// Size of an experiment of the paper [default: small]
    #[arg(long, value_enum)]
    pub scale: Option<ScaleName>,
    /// Images, in place of those that the grid names
    #[arg(long)]
    pub data: Option<String>,
    /// An option of `selfsame study` for all runs, whatever the grid says of it; may be given
    /// several times
    #[arg(long, value_name = "OPTION=VALUE", value_parser = selfsame::grid::setting)]
    pub with: Vec<(String, toml::Value)>,
    /// Folder of the runs, their page (report.html), table (table.md) and result.json [default:
    /// runs/ and the grid's name, and the scale if that is not small]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Do part I of N of the runs, to share them between processes and machines that see the same
    /// folder
    #[arg(long, value_name = "I/N", default_value = "1/1", value_parser = shard)]
    pub shard: (usize, usize),
    /// Say how many runs are left and, from a few steps of each kind, how long they will take on
    /// this machine
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: Json,
}

/// Scales of the experiments.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum ScaleName {
    /// The authors' settings, for those with a GPU
    Paper,
    /// What two cores finish in an hour or two
    Small,
    /// Minutes, on generated images: whether everything works, not how well
    Smoke,
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let numbers = text
        .split_once('/')
        .and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    match numbers {
        Some((part, parts)) if (1..=parts).contains(&part) => Ok((part, parts)),
        _ => Err("write it as 1/4 for the first of four parts".to_owned()),
    }
}

/// Kinds of work to measure.
#[derive(Subcommand, Debug)]
pub enum Bench {
    /// Views a second on one core, or on as many as --threads says: cropped, jittered, blurred and
    /// normalised to floats
    Augment(BenchAugment),
    /// View pairs compared a second: augmented distances of random bytes, or of the images of a
    /// data set
    Distance(BenchDistance),
    /// Views trained on a second: whole steps, from drawing the views to moving the weights
    Train(BenchTrain),
    /// Images embedded a second by a random encoder
    Embed(BenchEmbed),
    /// How near this machine's limits each operation of a training step comes, as a table and a
    /// page
    Ops(BenchOps),
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame bench train --encoder resnet18 --width 64 --batch 64
  selfsame bench train --data cifar10.tar --precision f32 --json
  selfsame --isa avx2 --threads 1 bench train --width 16")]
pub struct BenchTrain {
    #[command(flatten)]
    pub encoder: BenchEncoder,
    /// Images a step, each in as many views as the method takes: two, mostly
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub batch: usize,
    #[arg(
        long,
        default_value = "simclr",
        value_parser = methods(),
        hide_possible_values = true,
        help = method_help()
    )]
    pub method: String,
    #[arg(long, default_value = "simclr", value_name = "POLICY", help = augment_help())]
    pub augment: String,
    /// Steps of which the median counts; two more come before
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub steps: usize,
    /// A Python script that trains the same, to be run before and after: it takes --batch (images),
    /// --width and --steps, and prints a line of JSON with `views_per_second`
    #[arg(long, value_name = "SCRIPT")]
    pub against_torch: Option<PathBuf>,
    /// The Python that runs it
    #[arg(long, default_value = "python3", value_name = "PYTHON", requires = "against_torch")]
    pub python: PathBuf,
    /// What the script is given besides, such as "--compile"
    #[arg(
        long,
        default_value = "",
        value_name = "ARGS",
        allow_hyphen_values = true,
        requires = "against_torch"
    )]
    pub peer_args: String,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Example:
  selfsame bench embed --encoder resnet18 --width 64 --images 10000")]
pub struct BenchEmbed {
    #[command(flatten)]
    pub encoder: BenchEncoder,
    /// Images to embed; a small set is gone through several times
    #[arg(long, default_value_t = 2000, value_name = "N")]
    pub images: usize,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame bench ops --width 64 --batch 64
  selfsame --isa avx2 bench ops --width 16 --batch 256 --out avx2")]
pub struct BenchOps {
    #[command(flatten)]
    pub encoder: BenchEncoder,
    /// Images a step, each in two views
    #[arg(long, default_value_t = 64, value_parser = from_1_to(65_536), value_name = "N")]
    pub batch: usize,
    /// Folder for roofline.html and roofline.json, which are written over
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    #[command(flatten)]
    pub output: Json,
}

/// The encoder to measure and its images.
#[derive(Group, Debug)]
pub struct BenchEncoder {
    /// Images: what `study` takes
    #[arg(long, default_value = "glyphs")]
    pub data: String,
    /// Side that images are brought to, in pixels [default: their own up to 96, otherwise 64]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<u32>,
    /// Draw crops from the whole images, reduced to N pixels on their shorter side where they are
    /// larger; up to 4096 [default: twice the image size]
    #[arg(long, value_name = "N")]
    pub source_size: Option<u32>,
    /// Encoder
    #[arg(long, value_parser = encoders(), default_value = "resnet18")]
    pub encoder: EncoderKind,
    /// Channels of its first stage
    #[arg(long, default_value_t = 64, value_name = "CHANNELS")]
    pub width: usize,
    /// What activations are stored as
    #[arg(long, value_enum, default_value = "auto")]
    pub precision: PrecisionName,
    #[command(flatten)]
    pub device: DeviceArg,
}

/// Values of `--precision`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrecisionName {
    /// bf16 where the processor has AMX, otherwise f32
    Auto,
    /// Half of the memory; weights, sums and statistics stay f32
    Bf16,
    /// 32 bits throughout
    F32,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame bench distance
  selfsame --threads 1 bench distance --images 500 --views 32 --dim 3072 --json
  selfsame bench distance --data cifar10.tar --images 500 --views 32")]
pub struct BenchDistance {
    /// Images, each with its views; with --data at most so many of each class
    #[arg(long, default_value_t = 250, value_name = "N")]
    pub images: usize,
    /// Views of each image
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub views: usize,
    /// Random bytes of a view
    #[arg(long, default_value_t = 3072, value_name = "N", conflicts_with = "data")]
    pub dim: usize,
    /// Compare views of these images in place of random bytes, within each class; what it takes,
    /// `study` explains
    #[arg(long)]
    pub data: Option<String>,
    #[arg(
        long,
        default_value = "abcde",
        value_name = "POLICY",
        requires = "data",
        help = augment_help()
    )]
    pub augment: String,
    #[command(flatten)]
    pub output: Json,
}

#[derive(Group, Debug)]
#[command(after_help = "Examples:
  selfsame bench augment
  selfsame bench augment --source 500 --size 224 --json
  selfsame bench augment --augment simclr --isa portable")]
pub struct BenchAugment {
    /// Side of the images, in pixels
    #[arg(long, default_value_t = 32, value_name = "PIXELS")]
    pub source: u32,
    /// Side of the views, in pixels
    #[arg(long, default_value_t = 32, value_name = "PIXELS")]
    pub size: u32,
    #[arg(
        long,
        value_name = "POLICY",
        help = augment_help() + " [default: MoCo v2's with bilinear crops and torchvision's blur]"
    )]
    pub augment: Option<String>,
    /// How long to measure
    #[arg(long, default_value_t = 4.0, value_name = "SECONDS")]
    pub seconds: f64,
    #[command(flatten)]
    pub output: Json,
}

/// Returns the help for `--augment`.
fn augment_help() -> String {
    format!(
        "Views: letters of a crop (with a smallest area: a0.2), b blur, c grey, d colour (with a \
         strength: d0.25), e flip; `none`; a published policy ({}); or every parameter as TOML, in a file or in braces",
        policy_names()
    )
}

/// Returns the help for `--policies`.
fn policies_help() -> String {
    format!(
        "Augmentations to rank, separated by commas; may be repeated. {}. `pairs` stands for all \
         ten pairs of a, b, c, d, e; `none`, images as they are, stands beside them in any case",
        augment_help()
    )
}

/// Returns the names of the published policies.
pub fn policy_names() -> String {
    PRESETS.map(|(name, _)| name).join(", ")
}

#[derive(Group, Debug)]
pub struct DeviceArg {
    /// Where to compute: flex (the processor) or, if built with that feature, vulkan, metal,
    /// webgpu, cuda, rocm
    #[arg(long, default_value = "flex", value_name = "NAME")]
    pub device: String,
}

#[derive(Group, Debug)]
pub struct Json {
    /// Print one JSON object as the last line of standard output; all else goes to standard error
    #[arg(long)]
    pub json: bool,
}

/// Returns the help for `--method`.
fn method_help() -> String {
    format!("How to train: {}", METHODS.map(|(name, _)| name).join(", "))
}

fn methods() -> PossibleValuesParser {
    PossibleValuesParser::new(METHODS.map(|(name, _)| name))
}

fn recipes() -> PossibleValuesParser {
    PossibleValuesParser::new(RECIPES.map(|(name, _)| name))
}

/// Parses one of `names` into the library's value of that name.
fn one_of<T, const N: usize>(names: [&'static str; N]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| {
        let name: StrDeserializer<'_, serde::de::value::Error> = name.as_str().into_deserializer();
        T::deserialize(name)
    })
}

fn encoders() -> impl TypedValueParser<Value = EncoderKind> {
    one_of(["resnet18", "resnet34", "resnet50", "mlp"])
}

fn exif() -> impl TypedValueParser<Value = Exif> {
    one_of([Exif::Turn.name(), Exif::Ignore.name()])
}

fn precisions() -> impl TypedValueParser<Value = Precision> {
    one_of(["bf16", "f32"])
}

fn stems() -> impl TypedValueParser<Value = Stem> {
    one_of(["cifar", "imagenet"])
}

fn checkpoints() -> impl TypedValueParser<Value = Which> {
    PossibleValuesParser::new(["last", "best"])
        .map(|name| if name == "best" { Which::Best } else { Which::Last })
}

fn splits() -> impl TypedValueParser<Value = SplitName> {
    PossibleValuesParser::new(SplitName::ALL.map(SplitName::name))
        .try_map(|name| split(&name).ok_or("no split is called that"))
}

/// Returns the split with the given name.
pub fn split(name: &str) -> Option<SplitName> {
    SplitName::ALL.into_iter().find(|split| split.name() == name)
}

/// Parses a whole number from 1 to `most`.
fn from_1_to(most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=most)
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum ExportFormat {
    /// Every network of the run, heads too, as in its checkpoint
    Safetensors,
    /// The encoder as safetensors, for load_state_dict of torchvision's ResNet; and model.py beside
    /// it, which builds the network, loads the weights and prepares images
    PytorchNames,
    /// The encoder as ONNX, from RGB bytes of any size to embeddings: resizing and normalising are
    /// inside
    Onnx,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_resumed_run_ignores_no_setting() {
        let command = Args::command();
        let study = command.find_subcommand("study").unwrap();
        // What may change: where the images lie, and how far the run is to go.
        let may_change = ["data", "labels", "epochs"];
        for group in ["Images", "Training"] {
            let group = study.get_groups().find(|found| found.get_id() == group).unwrap();
            for setting in group.get_args().map(clap::Id::as_str) {
                let kept = RUN_KEEPS.contains(&setting);
                assert_eq!(!kept, may_change.contains(&setting), "{setting}");
            }
        }
    }
}
