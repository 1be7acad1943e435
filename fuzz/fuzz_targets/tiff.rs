//! A TIFF.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: selfsame_fuzz::keep_caught_panics(), |data: &[u8]| {
    let _ = selfsame_data::decode_image(data, 16);
});
