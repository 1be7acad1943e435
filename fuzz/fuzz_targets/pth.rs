//! Weights as PyTorch saves them: a zip file with a pickle in it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: selfsame_fuzz::keep_caught_panics(), |data: &[u8]| {
    selfsame_fuzz::as_file("weights.pth", data, |path| {
        let _ = selfsame::nn::import::read(path);
    });
});
