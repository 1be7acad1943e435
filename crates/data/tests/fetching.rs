//! Downloads from a small server on this machine that misbehaves on request.

mod common;

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use flate2::{Compression, write::GzEncoder};
use selfsame_data::{Digest, FetchError, FetchSummary, Member, RemoteFile, fetch, fetch_files};
use sha2::Digest as _;

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Proper,
    IgnoresRange,
    WrongRange,
    /// Closes the connection after this many bytes of the body.
    Cuts(usize),
}

struct Server {
    address: String,
    manner: Arc<Mutex<Manner>>,
    /// The `Range` of every request, or nothing.
    requests: Arc<Mutex<Vec<Option<String>>>>,
}

impl Server {
    fn new(files: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/sets", listener.local_addr().unwrap());
        let files: HashMap<String, Vec<u8>> =
            files.into_iter().map(|(name, bytes)| (format!("/sets/{name}"), bytes)).collect();
        let server = Self {
            address,
            manner: Arc::new(Mutex::new(Manner::Proper)),
            requests: Arc::new(Mutex::new(Vec::new())),
        };
        let (manner, requests) = (Arc::clone(&server.manner), Arc::clone(&server.requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let manner = *manner.lock().unwrap();
                // A client that hangs up early is no concern of the server's.
                let _ = answer(stream, &files, manner, &requests);
            }
        });
        server
    }

    fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn requests(&self) -> Vec<Option<String>> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

fn answer(
    mut stream: TcpStream,
    files: &HashMap<String, Vec<u8>>,
    manner: Manner,
    requests: &Mutex<Vec<Option<String>>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let path = lines.next().unwrap()?.split(' ').nth(1).unwrap().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("range")
        {
            range = Some(value.to_owned());
        }
    }
    requests.lock().unwrap().push(range.clone());
    let Some(bytes) = files.get(&path) else {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    let start: usize =
        range.map_or(0, |range| range["bytes=".len()..].trim_end_matches('-').parse().unwrap());
    let (status, sent) = match (start, manner) {
        (0, _) | (_, Manner::IgnoresRange) => ("200 OK".to_owned(), &bytes[..]),
        (start, _) if start >= bytes.len() => {
            return write!(
                stream,
                "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: \
                 close\r\n\r\n"
            );
        }
        (start, _) => {
            let from = if manner == Manner::WrongRange { 0 } else { start };
            let end = bytes.len();
            let range =
                format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{end}", end - 1);
            (range, &bytes[from..])
        }
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        sent.len()
    )?;
    match manner {
        Manner::Cuts(after) => stream.write_all(&sent[..after.min(sent.len())]),
        _ => stream.write_all(sent),
    }
}

fn body() -> Vec<u8> {
    (0..300_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn get(server: &Server, digest: Digest<'_>, to: &Path) -> Result<FetchSummary, FetchError> {
    fetch_files(
        &server.address,
        &[RemoteFile { name: "file.bin", digest, members: &[] }],
        to,
        &|_, _, _| {},
    )
}

#[test]
fn a_file_comes_once_and_whole() {
    let server = Server::new([("file.bin", body())]);
    let sha = hex::encode(sha2::Sha256::digest(body()));
    let to = tempfile::tempdir().unwrap();
    let seen = Mutex::new(Vec::new());
    let file = RemoteFile { name: "file.bin", digest: Digest::Sha256(&sha), members: &[] };
    let address = format!("{}/", server.address);
    let summary = fetch_files(&address, &[file], &to.path().join("new"), &|name, done, total| {
        seen.lock().unwrap().push((name.to_owned(), done, total));
    })
    .unwrap();
    assert_eq!(summary.files, [to.path().join("new/file.bin")]);
    assert_eq!((summary.downloaded, summary.resumed), (300_000, 0));
    assert_eq!(fs::read(&summary.files[0]).unwrap(), body());
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.last(), Some(&("file.bin".to_owned(), 300_000, Some(300_000))));
    assert!(seen.is_sorted());
    assert_eq!(server.requests(), [None]);

    let again =
        get(&server, Digest::Md5(&hex::encode(md5::Md5::digest(body()))), &to.path().join("new"))
            .unwrap();
    assert_eq!(
        (again.downloaded, server.requests().len()),
        (0, 0),
        "what is there is not asked for"
    );
}

#[test]
fn a_cut_download_resumes_where_it_stopped() {
    let server = Server::new([("file.bin", body())]);
    let sha = hex::encode(sha2::Sha256::digest(body()));
    let to = tempfile::tempdir().unwrap();
    server.behave(Manner::Cuts(100_000));
    for received in [100_000, 200_000] {
        let error = get(&server, Digest::Sha256(&sha), to.path()).unwrap_err();
        assert!(
            matches!(&error, FetchError::Interrupted { received: bytes, .. } if *bytes == received),
            "{error}"
        );
        assert!(error.to_string().contains("resume"));
        assert!(!to.path().join("file.bin").exists());
    }
    server.behave(Manner::Proper);
    let summary = get(&server, Digest::Sha256(&sha), to.path()).unwrap();
    assert_eq!((summary.downloaded, summary.resumed), (100_000, 200_000));
    let ranges = server.requests();
    assert_eq!(ranges, [None, Some("bytes=100000-".to_owned()), Some("bytes=200000-".to_owned())]);
    assert_eq!(fs::read(to.path().join("file.bin")).unwrap(), body());
    assert!(!to.path().join("file.bin.part").exists());
}

#[test]
fn servers_without_ranges_start_anew_and_wrong_ranges_are_refused() {
    let server = Server::new([("file.bin", body())]);
    let sha = hex::encode(sha2::Sha256::digest(body()));
    let to = tempfile::tempdir().unwrap();
    write_part(to.path(), &body()[..1234]);
    server.behave(Manner::WrongRange);
    let error = get(&server, Digest::Sha256(&sha), to.path()).unwrap_err();
    assert!(error.to_string().contains("another part"), "{error}");

    write_part(to.path(), &body()[..1234]);
    server.behave(Manner::IgnoresRange);
    let summary = get(&server, Digest::Sha256(&sha), to.path()).unwrap();
    assert_eq!((summary.downloaded, summary.resumed), (300_000, 0));

    // Everything had come, only the renaming was missing.
    fs::remove_file(to.path().join("file.bin")).unwrap();
    write_part(to.path(), &body());
    server.behave(Manner::Proper);
    let summary = get(&server, Digest::Sha256(&sha), to.path()).unwrap();
    assert_eq!((summary.downloaded, summary.resumed), (0, 300_000));
}

fn write_part(folder: &Path, bytes: &[u8]) {
    fs::write(folder.join("file.bin.part"), bytes).unwrap();
}

#[test]
fn wrong_digests_missing_files_and_silent_servers_are_told_apart() {
    let server = Server::new([("file.bin", body())]);
    let to = tempfile::tempdir().unwrap();
    let sha = hex::encode(sha2::Sha256::digest("something else"));
    let error = get(&server, Digest::Sha256(&sha), to.path()).unwrap_err();
    assert!(
        matches!(error, FetchError::WrongDigest { .. }) && error.to_string().contains(&sha),
        "{error}"
    );
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0, "nothing stays");

    // A file that was there before is not ours to delete.
    fs::write(to.path().join("file.bin"), "mine").unwrap();
    assert!(matches!(
        get(&server, Digest::Md5(&sha), to.path()),
        Err(FetchError::WrongDigest { .. })
    ));
    assert_eq!(fs::read(to.path().join("file.bin")).unwrap(), b"mine");

    let absent = RemoteFile { name: "absent.bin", digest: Digest::Md5("00"), members: &[] };
    let error = fetch_files(&server.address, &[absent], to.path(), &|_, _, _| {}).unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 404, .. }), "{error}");
    let error = fetch_files("http://127.0.0.1:1", &[absent], to.path(), &|_, _, _| {}).unwrap_err();
    assert!(matches!(error, FetchError::Interrupted { received: 0, .. }), "{error}");
    let error = fetch("imagenet", to.path(), None, &|_, _, _| {}).unwrap_err().to_string();
    assert!(error.contains("cifar10, cifar100, fashion-mnist"), "{error}");
    let error =
        fetch("fashion-mnist", to.path(), Some(&server.address), &|_, _, _| {}).unwrap_err();
    assert!(matches!(error, FetchError::Status { .. }), "the mirror is asked: {error}");
}

#[test]
fn archives_are_unpacked_safely_and_only_once() {
    let record = vec![3u8; 3073];
    let gzip = |files: &[(&str, &[u8])]| {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    };
    let names = b"a b c d e f g h i j";
    let whole = gzip(&[
        ("../../outside.bin", b"x"),
        ("cifar-10-batches-bin/data_batch_1.bin", &record),
        ("cifar-10-batches-bin/batches.meta.txt", names),
        ("cifar-10-batches-bin/readme.html", b"not asked for"),
    ]);
    let members = [
        Member { path: "cifar-10-batches-bin/data_batch_1.bin", bytes: Some(3073) },
        Member { path: "cifar-10-batches-bin/batches.meta.txt", bytes: None },
    ];
    let server = Server::new([("whole.tar.gz", whole.clone())]);
    let get = |name: &str, bytes: &[u8], to: &Path| {
        let sha = hex::encode(sha2::Sha256::digest(bytes));
        let file = RemoteFile { name, digest: Digest::Sha256(&sha), members: &members };
        fetch_files(&server.address, &[file], to, &|_, _, _| {})
    };
    let above = tempfile::tempdir().unwrap();
    let to = above.path().join("a/b");
    get("whole.tar.gz", &whole, &to).unwrap();
    let mut there: Vec<_> =
        fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["batches.meta.txt", "data_batch_1.bin"]);
    assert_eq!(fs::read_dir(above.path()).unwrap().count(), 1, "nothing outside");
    let set = common::load_plainly(&to);
    assert_eq!((set.classes[3].as_str(), set.train.labels()), ("d", Some(&[3][..])));
    server.requests();
    assert_eq!(get("whole.tar.gz", &whole, &to).unwrap().files.len(), 2);
    assert!(server.requests().is_empty(), "what is unpacked is not asked for");

    // An archive that was brought by other means is used and kept.
    let brought = above.path().join("brought");
    fs::create_dir(&brought).unwrap();
    fs::write(brought.join("whole.tar.gz"), &whole).unwrap();
    assert_eq!(get("whole.tar.gz", &whole, &brought).unwrap().downloaded, 0);
    assert_eq!(fs::read_dir(&brought).unwrap().count(), 3);
}

#[test]
fn archives_without_what_they_should_hold_are_errors() {
    let archive = |entries: &[(&str, usize)]| {
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, size) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_size(*size as u64);
            header.set_cksum();
            builder.append_data(&mut header, name, &vec![0; *size][..]).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    };
    let members = [
        Member { path: "set/data.bin", bytes: Some(100) },
        Member { path: "set/names.txt", bytes: None },
    ];
    let cases = [
        (archive(&[("set/data.bin", 100)]), "lacks set/names.txt"),
        (archive(&[("set/data.bin", 99), ("set/names.txt", 9)]), "expected size"),
        (archive(&[("set/data.bin", 100), ("set/names.txt", 2 << 20)]), "expected size"),
        (body(), "cannot unpack"),
    ];
    for (bytes, wanted) in cases {
        let sha = hex::encode(sha2::Sha256::digest(&bytes));
        let server = Server::new([("set.tar.gz", bytes)]);
        let to = tempfile::tempdir().unwrap();
        let file =
            RemoteFile { name: "set.tar.gz", digest: Digest::Sha256(&sha), members: &members };
        let error = fetch_files(&server.address, &[file], to.path(), &|_, _, _| {})
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
