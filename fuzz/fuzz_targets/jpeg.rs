//! A JPEG, whole and at reduced scale.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: selfsame_fuzz::keep_caught_panics(), |data: &[u8]| {
    for size in [8, 64] {
        let _ = selfsame_data::decode_image(data, size);
    }
});
