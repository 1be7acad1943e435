//! An IDX file of images, as MNIST has them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: selfsame_fuzz::keep_caught_panics(), |data: &[u8]| {
    selfsame_fuzz::load("train-images-idx3-ubyte", true, data);
});
