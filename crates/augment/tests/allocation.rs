//! That a view takes no memory of its own.

use allocation_counter::measure;
use selfsame_augment::{CropBox, Draw, Image, Isa, Policy, Purpose, Scratch, ViewKey};

/// Deviation of a blur, at most.
const STRONGEST: f64 = 9.0;

/// Every step in every view, with the filter that reaches furthest.
fn every_step(blur: &str) -> Policy {
    let text = format!(
        "crop = {{ scale = [0.01, 1.0], interpolation = 'bicubic' }}
         pad_crop = {{ fill = 'reflect' }}
         rotation = {{ probability = 1 }}
         flip = {{ probability = 1 }}
         vertical_flip = {{ probability = 1 }}
         jitter = {{ probability = 1 }}
         grey = {{ probability = 1 }}
         blur = {{ probability = 1, sigma = [0.1, {STRONGEST}]{blur} }}
         solarise = {{ probability = 1 }}"
    );
    Policy::from_toml(&text).unwrap()
}

#[test]
fn after_the_whole_image_and_the_strongest_blur_no_view_takes_memory() {
    let policies = [every_step(""), every_step(", kernel = 23")];
    let key = |image| ViewKey::new(Purpose::Training { epoch: 0 }, 3, image, 0);
    for (width, height, size) in [(90, 70, 48), (90, 90, 32), (31, 31, 30), (20, 30, 48)] {
        let pixels: Vec<u8> = (0..width * height * 3).map(|i| (i % 251) as u8).collect();
        let grey = Image::grey(width, height, &pixels[..(width * height) as usize]).unwrap();
        for source in [Image::rgb(width, height, &pixels).unwrap(), grey] {
            for isa in Isa::available() {
                let mut scratch = Scratch::new(isa);
                let mut out = vec![0; size as usize * size as usize * source.channels()];
                let first = measure(|| {
                    for policy in &policies {
                        let crop = Some(CropBox { left: 0, top: 0, width, height });
                        let mut whole = Draw { crop, ..policy.draw(key(0), width, height) };
                        whole.blur.as_mut().unwrap().sigma = STRONGEST;
                        whole.apply(source, size, &mut scratch, &mut out).unwrap();
                    }
                });
                assert!(first.count_total > 0, "the counter counts");
                let later = measure(|| {
                    for (image, policy) in (0..200)
                        .flat_map(|image| policies.iter().map(move |policy| (image, policy)))
                    {
                        policy.view(key(image), source, size, &mut scratch, &mut out).unwrap();
                    }
                });
                assert_eq!(
                    later.count_total,
                    0,
                    "{width}×{height} to {size}, {} channels, {isa}",
                    source.channels()
                );
            }
        }
    }
}
