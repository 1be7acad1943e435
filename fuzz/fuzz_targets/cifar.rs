//! A file of CIFAR-10 in its binary form.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: selfsame_fuzz::keep_caught_panics(), |data: &[u8]| {
    selfsame_fuzz::load("data_batch_1.bin", true, data);
});
