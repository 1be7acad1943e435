//! A tar file of images.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: selfsame_fuzz::keep_caught_panics(), |data: &[u8]| {
    selfsame_fuzz::load("images.tar", false, data);
});
