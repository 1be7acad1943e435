//! NumPy's `.npz` with embeddings and labels.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: selfsame_fuzz::keep_caught_panics(), |data: &[u8]| {
    selfsame_fuzz::as_file("arrays.npz", data, |path| {
        let _ = selfsame::read_embeddings(path, None);
    });
});
