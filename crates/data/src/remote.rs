//! Data about the sets that can be downloaded: official addresses and pinned digests.

/// A public data set and the address where its authors publish it.
#[derive(Clone, Copy, Debug)]
pub struct RemoteSet {
    /// Name of the set in commands.
    pub name: &'static str,
    /// Address of the authors' server. The names of the files are appended to it.
    pub base: &'static str,
    /// Files of the set.
    pub files: &'static [RemoteFile<'static>],
    /// Class names for formats that have none, written to `classes.txt`; empty otherwise.
    pub classes: &'static [&'static str],
}

/// A file to download.
#[derive(Clone, Copy, Debug)]
pub struct RemoteFile<'a> {
    /// Name of the file at the address and, unless it is unpacked, in the folder.
    pub name: &'a str,
    /// Digest that the file must have.
    pub digest: Digest<'a>,
    /// Files to extract from the file, if it is a `.tar.gz`; all others are ignored. If this is
    /// empty, the file is kept as it is.
    pub members: &'a [Member<'a>],
}

/// A pinned digest, in hexadecimal.
#[derive(Clone, Copy, Debug)]
pub enum Digest<'a> {
    /// SHA-256.
    Sha256(&'a str),
    /// MD5, which protects against accidents, not against attackers. It is used if the authors
    /// publish no stronger digest.
    Md5(&'a str),
}

/// A file inside an archive, written to the folder under the last part of its path.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Path of the file in the archive.
    pub path: &'a str,
    /// Size of the file in bytes, if the format fixes it.
    pub bytes: Option<u64>,
}

/// All sets that [`fetch`](crate::fetch) knows.
pub const REMOTE_SETS: &[RemoteSet] = &[
    RemoteSet {
        name: "cifar10",
        base: "https://www.cs.toronto.edu/~kriz",
        files: &[RemoteFile {
            name: "cifar-10-binary.tar.gz",
            digest: Digest::Sha256(
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
            members: &[
                Member { path: "cifar-10-batches-bin/batches.meta.txt", bytes: None },
                Member { path: "cifar-10-batches-bin/data_batch_1.bin", bytes: Some(30_730_000) },
                Member { path: "cifar-10-batches-bin/data_batch_2.bin", bytes: Some(30_730_000) },
                Member { path: "cifar-10-batches-bin/data_batch_3.bin", bytes: Some(30_730_000) },
                Member { path: "cifar-10-batches-bin/data_batch_4.bin", bytes: Some(30_730_000) },
                Member { path: "cifar-10-batches-bin/data_batch_5.bin", bytes: Some(30_730_000) },
                Member { path: "cifar-10-batches-bin/test_batch.bin", bytes: Some(30_730_000) },
            ],
        }],
        classes: &[],
    },
    RemoteSet {
        name: "cifar100",
        base: "https://www.cs.toronto.edu/~kriz",
        files: &[RemoteFile {
            name: "cifar-100-binary.tar.gz",
            digest: Digest::Sha256(
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
            members: &[
                Member { path: "cifar-100-binary/fine_label_names.txt", bytes: None },
                Member { path: "cifar-100-binary/coarse_label_names.txt", bytes: None },
                Member { path: "cifar-100-binary/train.bin", bytes: Some(153_700_000) },
                Member { path: "cifar-100-binary/test.bin", bytes: Some(30_740_000) },
            ],
        }],
        classes: &[],
    },
    RemoteSet {
        name: "fashion-mnist",
        base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        files: &[
            RemoteFile {
                name: "train-images-idx3-ubyte.gz",
                digest: Digest::Md5("8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
                members: &[],
            },
            RemoteFile {
                name: "train-labels-idx1-ubyte.gz",
                digest: Digest::Md5("25c81989df183df01b3e8a0aad5dffbe"),
                members: &[],
            },
            RemoteFile {
                name: "t10k-images-idx3-ubyte.gz",
                digest: Digest::Md5("bef4ecab320f06d8554ea6380940ec79"),
                members: &[],
            },
            RemoteFile {
                name: "t10k-labels-idx1-ubyte.gz",
                digest: Digest::Md5("bb300cfdad3c16e7a12a480ee83cd310"),
                members: &[],
            },
        ],
        classes: &[
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
    },
];
