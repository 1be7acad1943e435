//! Origin of the pixels of a view: shifts, rotations and flips of square planes.

use crate::draw::{Shift, Turn};
use crate::policy::Fill;

/// Moves the view so that it starts at `shift`.
pub(crate) fn shift(planes: &mut [u8], size: usize, shift: Shift, moved: &mut Vec<u8>) {
    let source = |at: usize, by: i32| -> Option<usize> {
        let (at, size) = (at as i64 + i64::from(by), size as i64);
        let inside = match shift.fill {
            Fill::Black if !(0..size).contains(&at) => return None,
            Fill::Black => at,
            Fill::Edge => at.clamp(0, size - 1),
            Fill::Reflect if size == 1 => 0,
            Fill::Reflect => {
                let within = at.rem_euclid(2 * (size - 1));
                within.min(2 * (size - 1) - within)
            }
        };
        Some(inside as usize)
    };
    gather(planes, size, moved, |x, y, plane| {
        match (source(x, shift.right), source(y, shift.down)) {
            (Some(x), Some(y)) => plane[y * size + x],
            _ => 0,
        }
    });
}

/// Rotates about the centre as PIL does. Multiples of a right angle are exact. For other angles,
/// each pixel takes its level from the point that its centre comes from.
pub(crate) fn rotate(planes: &mut [u8], size: usize, turn: Turn, moved: &mut Vec<u8>) {
    let degrees = turn.degrees.rem_euclid(360.0);
    let last = size - 1;
    if degrees == 0.0 {
        return;
    } else if degrees == 90.0 {
        return gather(planes, size, moved, |x, y, plane| plane[x * size + last - y]);
    } else if degrees == 180.0 {
        return gather(planes, size, moved, |x, y, plane| plane[(last - y) * size + last - x]);
    } else if degrees == 270.0 {
        return gather(planes, size, moved, |x, y, plane| plane[(last - x) * size + y]);
    }
    let radians = -degrees.to_radians();
    let (sine, cosine) = (to_15_decimals(libm::sin(radians)), to_15_decimals(libm::cos(radians)));
    let centre = size as f64 / 2.0;
    // Use PIL's order of operations, which decides whether a point on the edge is inside.
    let right = (cosine * -centre + sine * -centre) + centre;
    let down = (-sine * -centre + cosine * -centre) + centre;
    if turn.smooth {
        gather(planes, size, moved, |x, y, plane| {
            let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
            bilinear(plane, size, cosine * x + sine * y + right, -sine * x + cosine * y + down)
        });
    } else {
        // Compute in 16.16 fixed point, which accumulates along a row and from row to row.
        let fixed = |value: f64| (value * 65536.0 + 0.5).floor() as i64;
        let (along, across) = (fixed(cosine), fixed(sine));
        let back = fixed(-sine);
        let first = fixed(right + cosine * 0.5 + sine * 0.5);
        let top = fixed(down - sine * 0.5 + cosine * 0.5);
        gather(planes, size, moved, |x, y, plane| {
            let (x, y) = (x as i64, y as i64);
            let column = (first + along * x + across * y) >> 16;
            let row = (top + back * x + along * y) >> 16;
            let inside = |at: i64| usize::try_from(at).ok().filter(|&at| at < size);
            inside(row).zip(inside(column)).map_or(0, |(row, column)| plane[row * size + column])
        });
    }
}

/// Rounds a number from −1 to 1 as Python's `round(value, 15)` does: by its exact digits. The
/// product with 10¹⁵ would lose some of these digits.
fn to_15_decimals(value: f64) -> f64 {
    let product = value.abs() * 1e15;
    let lost = libm::fma(value.abs(), 1e15, -product);
    let below = product.floor();
    let part = (product - below) + lost;
    let up = part > 0.5 || part == 0.5 && below % 2.0 == 1.0;
    ((below + f64::from(up)) / 1e15).copysign(value)
}

/// Returns the level at a point, interpolated from the four pixels around it and truncated to an
/// integer. Points outside of the plane are black.
fn bilinear(plane: &[u8], size: usize, x: f64, y: f64) -> u8 {
    let side = size as f64;
    if !(0.0..side).contains(&x) || !(0.0..side).contains(&y) {
        return 0;
    }
    let (x, y) = (x - 0.5, y - 0.5);
    let (left, top) = (x.floor(), y.floor());
    let (right_part, lower_part) = (x - left, y - top);
    let at = |column: f64, row: f64| {
        let inside = |place: f64| place.clamp(0.0, side - 1.0) as usize;
        f64::from(plane[inside(row) * size + inside(column)])
    };
    let along = |row: f64| {
        let (here, next) = (at(left, row), at(left + 1.0, row));
        here + (next - here) * right_part
    };
    let (upper, lower) = (along(top), along(top + 1.0));
    (upper + (lower - upper) * lower_part) as u8
}

/// Replaces every pixel (x, y) of each plane by the result of `from` on the original plane.
fn gather(
    planes: &mut [u8],
    size: usize,
    moved: &mut Vec<u8>,
    from: impl Fn(usize, usize, &[u8]) -> u8,
) {
    moved.clear();
    moved.extend_from_slice(planes);
    for (plane, old) in planes.chunks_exact_mut(size * size).zip(moved.chunks_exact(size * size)) {
        for (y, row) in plane.chunks_exact_mut(size).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                *value = from(x, y, old);
            }
        }
    }
}

/// Flips a plane vertically.
pub(crate) fn reverse_rows(plane: &mut [u8], size: usize) {
    let (upper, lower) = plane.split_at_mut(plane.len() / 2 / size * size);
    for (above, below) in upper.chunks_exact_mut(size).zip(lower.rchunks_exact_mut(size)) {
        above.swap_with_slice(below);
    }
}

#[cfg(test)]
mod tests {
    use super::to_15_decimals;

    #[test]
    fn decimals_are_rounded_as_text_is() {
        for degrees in -3600..=3600 {
            let radians = (f64::from(degrees) / 10.0).to_radians();
            for value in [libm::sin(radians), libm::cos(radians)] {
                let text: f64 = format!("{value:.15}").parse().unwrap();
                assert_eq!(to_15_decimals(value).to_bits(), text.to_bits(), "{value}");
            }
        }
    }
}
