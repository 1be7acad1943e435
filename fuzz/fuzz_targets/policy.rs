//! An augmentation policy, as letters or as TOML.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: selfsame_fuzz::keep_caught_panics(), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = text.parse::<selfsame_augment::Policy>();
    if let Ok(policy) = selfsame_augment::Policy::from_toml(text) {
        let again = selfsame_augment::Policy::from_toml(&policy.to_toml());
        assert_eq!(again.as_ref(), Ok(&policy), "a policy survives being written");
    }
});
