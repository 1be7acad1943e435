//! A grid of runs in TOML.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: selfsame_fuzz::keep_caught_panics(), |data: &[u8]| {
    selfsame_fuzz::as_file("grid.toml", data, |path| {
        let options = selfsame::grid::GridOptions::default();
        if let Ok(grid) = selfsame::grid::Grid::read(&path.to_string_lossy(), &options) {
            let _ = grid.cells();
        }
    });
});
