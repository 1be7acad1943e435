//! Explicit downloads. They can be resumed and are checked against pinned digests, and a file
//! appears only when it is complete.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use atomic_write_file::AtomicWriteFile;
use flate2::read::MultiGzDecoder;
use md5::Md5;
use sha2::Sha256;
use ureq::http::StatusCode;

use crate::idx::CLASS_NAMES;
use crate::remote::{Digest, Member, REMOTE_SETS, RemoteFile};

/// Limit on the size of a download, larger than any file of a known set. A server that sends more
/// is not sending the right file.
const MAX_DOWNLOAD_BYTES: u64 = 4 << 30;
/// Largest file that is unpacked if its size is not pinned: such files are lists of class names.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Longest time that a connection may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// The outcome of a download.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchSummary {
    /// The files that are now in place, in the order of the set.
    pub files: Vec<PathBuf>,
    /// Number of bytes received over the network.
    pub downloaded: u64,
    /// Number of bytes reused from an earlier, interrupted download.
    pub resumed: u64,
}

/// Reason why a download failed. Received bytes are kept for the next attempt, unless the digest
/// was wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There is no set with this name.
    #[error("no set named {name:?} can be fetched; known are {}", known.join(", "))]
    UnknownSet {
        /// The name requested.
        name: String,
        /// The names that can be requested.
        known: Vec<&'static str>,
    },
    /// The server answered with an error.
    #[error("{address} answered with status {status}; try again later or give a mirror")]
    Status {
        /// The file's address.
        address: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server could not be reached or the answer broke off.
    #[error(
        "the download of {address} broke off after {received} bytes ({cause}); run the same \
         command to resume"
    )]
    Interrupted {
        /// The file's address.
        address: String,
        /// Number of bytes of the file that are kept.
        received: u64,
        /// Description of the failure.
        cause: String,
    },
    /// The bytes do not have the pinned digest. A downloaded file is then deleted; a file that was
    /// there before is kept.
    #[error("{path} has {kind} {found} instead of {expected}: {mend}")]
    WrongDigest {
        /// The file.
        path: PathBuf,
        /// `SHA-256` or `MD5`.
        kind: &'static str,
        /// Digest of the file.
        found: String,
        /// The pinned digest.
        expected: String,
        /// Advice for the user.
        mend: &'static str,
    },
    /// The archive has the right digest but cannot be unpacked.
    #[error("cannot unpack {path}: {cause}")]
    Unpack {
        /// The archive.
        path: PathBuf,
        /// Description of the defect.
        cause: String,
    },
    /// A file or folder could not be written or read.
    #[error("cannot write or read {path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    move |source| FetchError::File { path: path.to_owned(), source }
}

/// Downloads the set named `set`, one of [`REMOTE_SETS`], into the folder `to`, so that
/// [`load`](crate::load) opens it.
///
/// Files that already exist are not downloaded again. `mirror` replaces the address of the original
/// server; the digests stay the same. `progress` receives the name of the file, the number of bytes
/// so far and, if known, the total number of bytes.
///
/// # Errors
///
/// See [`FetchError`].
pub fn fetch(
    set: &str,
    to: &Path,
    mirror: Option<&str>,
    progress: &dyn Fn(&str, u64, Option<u64>),
) -> Result<FetchSummary, FetchError> {
    let known = REMOTE_SETS.iter().find(|known| known.name == set);
    let known = known.ok_or_else(|| FetchError::UnknownSet {
        name: set.to_owned(),
        known: REMOTE_SETS.iter().map(|known| known.name).collect(),
    })?;
    let mut summary = fetch_files(mirror.unwrap_or(known.base), known.files, to, progress)?;
    if !known.classes.is_empty() {
        let path = to.join(CLASS_NAMES);
        if !path.exists() {
            put(&path, known.classes.join("\n").as_bytes(), u64::MAX)?;
        }
        summary.files.push(path);
    }
    Ok(summary)
}

/// Downloads `files` from the address `base` into the folder `to`. Each file is first written to
/// `NAME.part`. If the download breaks off, the next call continues it there. Once the digest is
/// right, the file is renamed or unpacked.
///
/// # Errors
///
/// See [`FetchError`].
pub fn fetch_files(
    base: &str,
    files: &[RemoteFile<'_>],
    to: &Path,
    progress: &dyn Fn(&str, u64, Option<u64>),
) -> Result<FetchSummary, FetchError> {
    fs::create_dir_all(to).map_err(file_error(to))?;
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE));
    let agent = config.build().new_agent();
    let mut summary = FetchSummary::default();
    for file in files {
        let targets: Vec<PathBuf> = match file.members {
            [] => vec![to.join(file.name)],
            members => members.iter().map(|member| to.join(base_name(member.path))).collect(),
        };
        let whole = to.join(file.name);
        let unpacked = !file.members.is_empty()
            && targets.iter().zip(file.members).all(|(path, member)| is_there(path, member));
        if unpacked {
            summary.files.extend(targets);
            continue;
        }
        if whole.exists() {
            let mend = "it was there before and is no such file; move it away to download it";
            check(&whole, file.digest, mend)?;
            unpack(&whole, file.members, to)?;
            summary.files.extend(targets);
            continue;
        }
        let address = format!("{}/{}", base.trim_end_matches('/'), file.name);
        let part = to.join(format!("{}.part", file.name));
        download(&agent, &address, &part, file.name, progress, &mut summary)?;
        let mend = "the download was deleted; run the same command again, or give another mirror";
        if let Err(error) = check(&part, file.digest, mend) {
            if matches!(error, FetchError::WrongDigest { .. }) {
                fs::remove_file(&part).map_err(file_error(&part))?;
            }
            return Err(error);
        }
        if file.members.is_empty() {
            fs::rename(&part, &whole).map_err(file_error(&whole))?;
        } else {
            unpack(&part, file.members, to)?;
            fs::remove_file(&part).map_err(file_error(&part))?;
        }
        summary.files.extend(targets);
    }
    Ok(summary)
}

/// Downloads `address` to `part`. If the server supports it, the download continues after the bytes
/// that `part` already has.
fn download(
    agent: &ureq::Agent,
    address: &str,
    part: &Path,
    name: &str,
    progress: &dyn Fn(&str, u64, Option<u64>),
    summary: &mut FetchSummary,
) -> Result<(), FetchError> {
    let mut have = fs::metadata(part).map_or(0, |metadata| metadata.len());
    let interrupted = |received: u64, cause: String| FetchError::Interrupted {
        address: address.into(),
        received,
        cause,
    };
    let mut request = agent.get(address);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = request.call().map_err(|error| interrupted(have, error.to_string()))?;
    let header = |name: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    match response.status() {
        StatusCode::OK => have = 0,
        // A range other than the requested one would be written to the wrong place.
        StatusCode::PARTIAL_CONTENT
            if header("content-range")
                .is_some_and(|range| range.starts_with(&format!("bytes {have}-"))) => {}
        // The server has no more bytes. Either the file is complete, or its digest is wrong and the
        // next attempt starts from the beginning.
        StatusCode::RANGE_NOT_SATISFIABLE if have > 0 => {
            summary.resumed += have;
            return Ok(());
        }
        StatusCode::PARTIAL_CONTENT => {
            fs::remove_file(part).map_err(file_error(part))?;
            return Err(interrupted(0, "the server sent another part than was asked for".into()));
        }
        status => {
            return Err(FetchError::Status { address: address.into(), status: status.as_u16() });
        }
    }
    summary.resumed += have;
    let total = header("content-length")
        .and_then(|length| length.parse::<u64>().ok())
        .map(|rest| have.saturating_add(rest));

    let open =
        OpenOptions::new().create(true).write(true).truncate(have == 0).append(have > 0).open(part);
    let mut file = open.map_err(file_error(part))?;
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        progress(name, have, total);
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                file.sync_all().map_err(file_error(part))?;
                return Err(interrupted(have, error.to_string()));
            }
        };
        file.write_all(&buffer[..count]).map_err(file_error(part))?;
        have += count as u64;
        summary.downloaded += count as u64;
        if have > MAX_DOWNLOAD_BYTES {
            drop(file);
            fs::remove_file(part).map_err(file_error(part))?;
            return Err(interrupted(
                0,
                format!("the server sends more than {MAX_DOWNLOAD_BYTES} bytes"),
            ));
        }
    }
    file.sync_all().map_err(file_error(part))?;
    match total {
        Some(total) if have < total => {
            Err(interrupted(have, format!("{have} of {total} bytes came")))
        }
        _ => Ok(()),
    }
}

fn check(path: &Path, digest: Digest<'_>, mend: &'static str) -> Result<(), FetchError> {
    let (kind, expected, found) = match digest {
        Digest::Sha256(expected) => ("SHA-256", expected, digest_of::<Sha256>(path)),
        Digest::Md5(expected) => ("MD5", expected, digest_of::<Md5>(path)),
    };
    let found = found.map_err(file_error(path))?;
    if found.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(FetchError::WrongDigest {
        path: path.to_owned(),
        kind,
        found,
        expected: expected.to_owned(),
        mend,
    })
}

fn digest_of<D: sha2::digest::Digest>(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Ok(hex::encode(hash.finalize()))
}

/// Returns whether an unpacked file is in place. A file gets its final name only when it is
/// complete.
fn is_there(path: &Path, member: &Member<'_>) -> bool {
    fs::metadata(path).is_ok_and(|metadata| {
        metadata.is_file() && member.bytes.is_none_or(|bytes| bytes == metadata.len())
    })
}

/// Extracts the members from the `.tar.gz` at `archive`. All other content is ignored.
fn unpack(archive: &Path, members: &[Member<'_>], to: &Path) -> Result<(), FetchError> {
    if members.is_empty() {
        return Ok(());
    }
    let unpack_error = |cause: String| FetchError::Unpack { path: archive.to_owned(), cause };
    let file = File::open(archive).map_err(file_error(archive))?;
    let mut tar = tar::Archive::new(MultiGzDecoder::new(BufReader::new(file)));
    let mut missing: Vec<&str> = members.iter().map(|member| member.path).collect();
    for entry in tar.entries().map_err(|error| unpack_error(error.to_string()))? {
        let mut entry = entry.map_err(|error| unpack_error(error.to_string()))?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.trim_start_matches("./");
        let Some(member) = members.iter().find(|member| member.path == path) else { continue };
        let limit = member.bytes.unwrap_or(MAX_TEXT_BYTES);
        if !entry.header().entry_type().is_file()
            || entry.size() > limit
            || member.bytes.is_some_and(|bytes| bytes != entry.size())
        {
            return Err(unpack_error(format!("{path} is no regular file of the expected size")));
        }
        put(&to.join(base_name(member.path)), &mut entry, limit)?;
        missing.retain(|name| *name != member.path);
    }
    match missing[..] {
        [] => Ok(()),
        _ => Err(unpack_error(format!("it lacks {}", missing.join(", ")))),
    }
}

/// Writes at most `limit` bytes to `path`. The file gets this name only when it is complete.
fn put(path: &Path, from: impl Read, limit: u64) -> Result<(), FetchError> {
    let written = AtomicWriteFile::open(path).and_then(|mut file| {
        io::copy(&mut from.take(limit), &mut file)?;
        file.commit()
    });
    written.map_err(file_error(path))
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
