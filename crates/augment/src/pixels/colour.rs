//! Changes of colour: torchvision's functions on PIL images, which blend in 32-bit floats and cut
//! the fraction off.

/// Luminance by ITU-R 601-2, in PIL's 16-bit fixed point.
fn luminance([r, g, b]: [u8; 3]) -> u8 {
    ((19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + 0x8000) >> 16) as u8
}

/// `from + factor × (to − from)`, also beyond the two; the cast cuts at 0 and 255.
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    (f32::from(from) + factor * (f32::from(to) - f32::from(from))) as u8
}

/// A finite factor as PIL takes it.
fn single(factor: f64) -> f32 {
    factor.min(f64::from(f32::MAX)) as f32
}

fn pixels(view: &mut [u8]) -> &mut [[u8; 3]] {
    view.as_chunks_mut().0
}

/// Blends black with the view.
pub(crate) fn brightness(view: &mut [u8], factor: f64) {
    blend_from_level(view, 0, factor);
}

/// Blends the mean luminance, rounded to a level, with the view.
pub(crate) fn contrast(view: &mut [u8], factor: f64) {
    let pixels = pixels(view);
    let count = pixels.len() as u64;
    let sum: u64 = pixels.iter().map(|&pixel| u64::from(luminance(pixel))).sum();
    let mean = (2 * sum + count) / (2 * count);
    blend_from_level(view, mean as u8, factor);
}

fn blend_from_level(view: &mut [u8], level: u8, factor: f64) {
    let factor = single(factor);
    let table: [u8; 256] = std::array::from_fn(|value| blend(level, value as u8, factor));
    for value in view {
        *value = table[usize::from(*value)];
    }
}

/// Blends the greyscale view with the view.
pub(crate) fn saturation(view: &mut [u8], factor: f64) {
    let factor = single(factor);
    for pixel in pixels(view) {
        let grey = luminance(*pixel);
        *pixel = pixel.map(|value| blend(grey, value, factor));
    }
}

/// Replaces the three channels by the luminance.
pub(crate) fn grey(view: &mut [u8]) {
    for pixel in pixels(view) {
        *pixel = [luminance(*pixel); 3];
    }
}

/// Turns the hue by a part of the circle, in 255ths, by way of 8-bit HSV.
///
/// A turn of exactly 0 is no step, as in torchvision's jitter without hue; any other goes through
/// HSV, which loses a little even where it turns by less than one 255th.
pub(crate) fn hue(view: &mut [u8], turn: f64) {
    if turn == 0.0 {
        return;
    }
    // Into i8's two's complement and on as u8: the hue wraps at 256, though its circle has 255 parts.
    let shift = (turn * 255.0) as i8 as u8;
    for pixel in pixels(view) {
        let [hue, saturation, value] = rgb_to_hsv(*pixel);
        *pixel = hsv_to_rgb([hue.wrapping_add(shift), saturation, value]);
    }
}

fn rgb_to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let most = r.max(g).max(b);
    let least = r.min(g).min(b);
    if most == least {
        return [0, 0, most];
    }
    let spread = f32::from(most - least);
    let saturation = spread / f32::from(most);
    let below = |channel: u8| f32::from(most - channel) / spread;
    let sixths = if r == most {
        below(b) - below(g)
    } else if g == most {
        (2.0 + f64::from(below(r)) - f64::from(below(b))) as f32
    } else {
        (4.0 + f64::from(below(g)) - f64::from(below(r))) as f32
    };
    let hue = (f64::from(sixths) / 6.0 + 1.0).fract() as f32;
    [(f64::from(hue) * 255.0) as u8, (f64::from(saturation) * 255.0) as u8, most]
}

fn hsv_to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [value; 3];
    }
    let sixths = f64::from(hue) * 6.0 / 255.0;
    let sector = sixths as u8;
    let within = f64::from((sixths - f64::from(sector)) as f32);
    let saturation = f64::from(f32::from(saturation) / 255.0);
    // None is negative, so adding a half rounds half away from zero, as C does.
    let level = |share: f64| (f64::from(value) * (1.0 - saturation * share) + 0.5) as u8;
    let low = level(1.0);
    let falling = level(within);
    let rising = level(1.0 - within);
    match sector % 6 {
        0 => [value, rising, low],
        1 => [falling, value, low],
        2 => [low, value, rising],
        3 => [low, falling, value],
        4 => [rising, low, value],
        _ => [value, low, falling],
    }
}
