//! What a file is, according to its name.

/// Endings of the images that are read, in lower case.
pub(crate) const IMAGES: &[&str] = &[
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "gif", "tif", "tiff", "pbm", "pgm",
    "ppm", "pnm",
];

/// Kind of a file, according to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Image,
    /// A file that systems and programs leave behind, or a hidden one. It is passed over.
    Junk,
    Other,
}

/// Names of files and folders that systems and programs leave behind, in lower case. Names that
/// start with a dot are passed over anyway.
const JUNK: &[&str] = &[
    "__macosx",
    "@eadir",
    "@tmp",
    "@recycle",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "__pycache__",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
];

/// Hidden folders of systems and programs, in lower case.
const JUNK_HIDDEN: &[&str] = &[
    ".ipynb_checkpoints",
    ".git",
    ".cache",
    ".thumbnails",
    ".picasaoriginals",
    ".fseventsd",
    ".spotlight-v100",
    ".svn",
    ".appledouble",
    ".documentrevisions-v100",
];

/// Returns the kind of the file whose folders and name are `components`.
pub(crate) fn kind<S: AsRef<str>>(components: &[S]) -> Kind {
    let junk = |part: &str| {
        part.starts_with('.') || JUNK.iter().any(|known| part.eq_ignore_ascii_case(known))
    };
    if components.iter().any(|part| junk(part.as_ref())) {
        return Kind::Junk;
    }
    let name = components.last().map_or("", |name| name.as_ref());
    if is_image_name(name) { Kind::Image } else { Kind::Other }
}

/// Returns whether a file of [`Kind::Junk`] is an image that a person may have hidden: no folder
/// around it belongs to a system, and it is no companion of another file.
pub(crate) fn is_hidden_image<S: AsRef<str>>(components: &[S]) -> bool {
    let Some((name, folders)) = components.split_last() else { return false };
    let system = |part: &str| {
        JUNK.iter().chain(JUNK_HIDDEN).any(|known| part.eq_ignore_ascii_case(known))
            || part.to_ascii_lowercase().starts_with(".trash")
    };
    !name.as_ref().starts_with("._")
        && !folders.iter().any(|part| system(part.as_ref()))
        && is_image_name(name.as_ref())
}

/// Longest ending in bytes. What follows a dot beyond that is a part of the name.
const MAX_ENDING: usize = 12;

/// Returns the ending of a file's name in lower case and without its dot, or an empty text if it
/// has none.
pub(crate) fn ending(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((_, ending))
            if ending.len() <= MAX_ENDING && ending.bytes().all(|b| b.is_ascii_alphanumeric()) =>
        {
            ending.to_ascii_lowercase()
        }
        _ => String::new(),
    }
}

/// Returns the name of an archive that is read without its ending, or `None` if the name is that of
/// another file.
pub(crate) fn archive_stem(name: &str) -> Option<&str> {
    [".tar.gz", ".tgz", ".tar"].iter().find_map(|end| {
        let (stem, ending) = name.split_at_checked(name.len().checked_sub(end.len())?)?;
        ending.eq_ignore_ascii_case(end).then_some(stem)
    })
}

/// Returns a file's name without what follows its last dot.
pub(crate) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Endings of files that hold pictures in some form that is not read, with what to do about them, and
/// about one of them.
const UNREAD: &[(&[&str], &str, &str)] = &[
    (
        &[
            "avif", "heic", "heif", "hif", "ico", "j2k", "jp2", "jxl", "pcx", "psd", "qoi", "sgi",
            "tga", "xcf", "dds", "exr", "hdr", "pfm", "mpo", "pam", "apng", "pict", "jpf", "jpx",
            "wdp", "jxr", "fits",
        ],
        "convert them to PNG or JPEG",
        "convert it to PNG or JPEG",
    ),
    (
        &[
            "arw", "cr2", "cr3", "crw", "dng", "nef", "nrw", "orf", "pef", "raf", "raw", "rw2",
            "srw",
        ],
        "they are camera raw; develop them to JPEG or PNG",
        "it is camera raw; develop it to JPEG or PNG",
    ),
    (&["ai", "djvu", "eps", "pdf", "ps", "svg", "svgz"], "render them to PNG", "render it to PNG"),
    (
        &["avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ogv", "webm", "wmv"],
        "they are videos; save their frames as JPEG or PNG",
        "it is a video; save its frames as JPEG or PNG",
    ),
    (
        &["dcm", "dicom", "mha", "mhd", "nii", "nrrd"],
        "save their slices as PNG",
        "save its slices as PNG",
    ),
    (&["7z", "bz2", "gz", "rar", "tar", "tgz", "xz", "zip", "zst"], "unpack them", "unpack it"),
    (
        &[
            "arrow",
            "h5",
            "hdf5",
            "lmdb",
            "mat",
            "mdb",
            "npy",
            "npz",
            "parquet",
            "pickle",
            "pkl",
            "tfrecord",
            "tfrecords",
        ],
        "if they hold images, save those as PNG",
        "if it holds images, save those as PNG",
    ),
];

/// Returns whether a file with this ending is a picture, though not one that is read.
pub(crate) fn is_picture(ending: &str) -> bool {
    UNREAD[..2].iter().any(|(endings, ..)| endings.contains(&ending))
}

/// Returns whether a file of this name would be read as an image.
pub(crate) fn is_image_name(name: &str) -> bool {
    IMAGES.contains(&ending(name).as_str())
}

/// Returns what to do about `count` files with this ending so that their pictures are read, or `None`
/// if nobody expects pictures in them.
fn mend(ending: &str, count: usize) -> Option<&'static str> {
    let (_, many, one) = UNREAD.iter().find(|(endings, ..)| endings.contains(&ending))?;
    Some(if count == 1 { one } else { many })
}

/// Returns [`mend`] as a remark in brackets, or an empty text.
pub(crate) fn mend_clause(ending: &str, count: usize) -> String {
    mend(ending, count).map(|mend| format!(" ({mend})")).unwrap_or_default()
}

/// Endings of files that may hold pixels as an array, though most hold something else.
const ARRAYS: &[&str] =
    &["bin", "dat", "data", "h5", "hdf5", "mat", "npy", "npz", "pickle", "pkl", "raw"];

/// Returns whether a folder of files with this ending may be meant as a class.
pub(crate) fn may_be_class(ending: &str) -> bool {
    may_be_image(ending) || ARRAYS.contains(&ending)
}

/// Endings of files that accompany images: texts, tables, annotations, programs.
const COMPANIONS: &[&str] = &[
    "bib",
    "bin",
    "c",
    "caffemodel",
    "cfg",
    "cls",
    "conf",
    "cpp",
    "csv",
    "dat",
    "data",
    "db",
    "doc",
    "docx",
    "h",
    "htm",
    "html",
    "ini",
    "ipynb",
    "js",
    "json",
    "jsonl",
    "lock",
    "log",
    "lst",
    "m",
    "mat",
    "md",
    "md5",
    "meta",
    "names",
    "npy",
    "npz",
    "onnx",
    "pb",
    "pkl",
    "pt",
    "pth",
    "py",
    "readme",
    "rst",
    "rtf",
    "sh",
    "sha256",
    "sqlite",
    "tex",
    "toml",
    "tsv",
    "txt",
    "xls",
    "xlsx",
    "xmp",
    "xml",
    "yaml",
    "yml",
];

/// Returns whether a file with this ending may have been meant as an image. Texts, tables and
/// programs are not; files without an ending, or with one that nothing is known about, are.
pub(crate) fn may_be_image(ending: &str) -> bool {
    !COMPANIONS.contains(&ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_what_people_call_endings() {
        for (name, wanted) in [
            ("a.PNG", "png"),
            ("a.tar.gz", "gz"),
            ("a", ""),
            ("a.", ""),
            ("v1. final version", ""),
            ("a.b\u{1b}[2J", ""),
            ("a.averyverylongending", ""),
        ] {
            assert_eq!(ending(name), wanted, "{name:?}");
        }
    }

    #[test]
    fn what_other_systems_leave_behind_is_passed_over() {
        for name in [
            "@eaDir/cat/a.png",
            "cat/@eaDir/a.png@SynoEAStream",
            "$RECYCLE.BIN/a.png",
            "System Volume Information/IndexerVolumeGuid",
            "__MACOSX/cat/._a.png",
            "lost+found/a.png",
            ".ipynb_checkpoints/a-checkpoint.png",
            "cat/Thumbs.db",
            "desktop.ini",
            "cat/._a.png",
            "cat/.DS_Store",
            "#recycle/a.jpg",
        ] {
            let parts: Vec<&str> = name.split('/').collect();
            assert_eq!(kind(&parts), Kind::Junk, "{name}");
        }
        assert_eq!(kind(&["eaDir", "a.png"]), Kind::Image);
        // Words that a class may be called as well.
        assert_eq!(kind(&["recycler", "a.png"]), Kind::Image);
        assert_eq!(kind(&["lost.dir", "a.png"]), Kind::Image);
        assert_eq!(kind(&["thumbs", "a.txt"]), Kind::Other);
    }

    #[test]
    fn nothing_that_is_read_is_called_unread_and_lists_are_lower_case() {
        for ending in IMAGES {
            assert_eq!(mend(ending, 1), None, "{ending}");
        }
        let unread = UNREAD.iter().flat_map(|(endings, ..)| endings.iter());
        for ending in unread.chain(IMAGES).chain(COMPANIONS) {
            assert!(ending.len() <= MAX_ENDING && *ending == ending.to_lowercase());
        }
    }
}
