//! The ten outlines of `glyphs`, as signed distances: negative inside, positive outside.

use std::f32::consts::{FRAC_PI_2, PI};

/// An outline in a square from -1 to 1, x to the right and y down.
pub(crate) struct Outline {
    shape: u32,
    /// Corners of the polygon, if the shape has one.
    corners: Vec<[f32; 2]>,
}

const CROSS_ARM: f32 = 0.34;
/// Size of the heart: a square standing on its tip with a half disc on each upper side.
const HEART: f32 = 0.53;

impl Outline {
    /// Makes the outline of `shape`, an index into `GLYPH_CLASSES`.
    pub(crate) fn new(shape: u32) -> Self {
        let corners: Vec<[f32; 2]> = match shape {
            2 => vec![[-0.86, -0.86], [0.86, -0.86], [0.86, 0.86], [-0.86, 0.86]],
            3 => vec![[0.0, -0.95], [0.98, 0.85], [-0.98, 0.85]],
            4 => {
                let (arm, end) = (CROSS_ARM, 0.98);
                let quarter = [[arm, -arm], [end, -arm], [end, arm]];
                let turn =
                    |[x, y]: [f32; 2], times: usize| (0..times).fold([x, y], |[x, y], _| [-y, x]);
                (0..4).flat_map(|times| quarter.map(|corner| turn(corner, times))).collect()
            }
            5 => (0..10)
                .map(|corner| {
                    let (radius, angle) = (
                        if corner % 2 == 0 { 1.0 } else { 0.42 },
                        corner as f32 * PI / 5.0 - FRAC_PI_2,
                    );
                    [radius * libm::cosf(angle), radius * libm::sinf(angle) + 0.06]
                })
                .collect(),
            7 => {
                let (tip, side) = ([0.0, 0.95], HEART * std::f32::consts::SQRT_2);
                vec![tip, [-side, tip[1] - side], [0.0, tip[1] - 2.0 * side], [side, tip[1] - side]]
            }
            8 => vec![
                [-1.0, -0.27],
                [0.05, -0.27],
                [0.05, -0.8],
                [1.0, 0.0],
                [0.05, 0.8],
                [0.05, 0.27],
                [-1.0, 0.27],
            ],
            9 => vec![
                [-0.8, -0.95],
                [0.8, -0.95],
                [0.12, 0.0],
                [0.8, 0.95],
                [-0.8, 0.95],
                [-0.12, 0.0],
            ],
            _ => Vec::new(),
        };
        Self { shape, corners }
    }

    /// Returns the signed distance of (x, y) from the outline. It is exact in sign, and exact near
    /// the outline.
    pub(crate) fn distance(&self, x: f32, y: f32) -> f32 {
        match self.shape {
            0 => disc(x, y, [0.0, 0.0], 0.95),
            1 => (disc(x, y, [0.0, 0.0], 0.74)).abs() - 0.22,
            6 => disc(x + 0.1, y, [0.0, 0.0], 0.95).max(-disc(x, y, [0.38, 0.0], 0.72)),
            7 => {
                // The midpoints of the upper sides are the centres of the half discs.
                let [[_, tip], [side, upper], ..] = self.corners[..] else { return f32::INFINITY };
                let middle = [side / 2.0, upper + (upper - tip) / 2.0];
                let discs =
                    disc(x, y, middle, HEART).min(disc(x, y, [-middle[0], middle[1]], HEART));
                discs.min(self.polygon(x, y))
            }
            _ => self.polygon(x, y),
        }
    }

    /// Returns the distance to the nearest side. It is negative if a ray to the right crosses an
    /// odd number of sides.
    fn polygon(&self, x: f32, y: f32) -> f32 {
        let (mut nearest, mut inside) = (f32::INFINITY, false);
        let mut from = self.corners[self.corners.len() - 1];
        for &to in &self.corners {
            let (side_x, side_y) = (to[0] - from[0], to[1] - from[1]);
            let (dx, dy) = (x - from[0], y - from[1]);
            let along =
                ((dx * side_x + dy * side_y) / (side_x * side_x + side_y * side_y)).clamp(0.0, 1.0);
            let (away_x, away_y) = (dx - along * side_x, dy - along * side_y);
            nearest = nearest.min(away_x * away_x + away_y * away_y);
            if (from[1] > y) != (to[1] > y) && x < from[0] + side_x * (y - from[1]) / side_y {
                inside = !inside;
            }
            from = to;
        }
        if inside { -nearest.sqrt() } else { nearest.sqrt() }
    }
}

fn disc(x: f32, y: f32, centre: [f32; 2], radius: f32) -> f32 {
    let (dx, dy) = (x - centre[0], y - centre[1]);
    (dx * dx + dy * dy).sqrt() - radius
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glyphs::GLYPH_CLASSES;

    const STEPS: usize = 400;

    /// Returns the points of a grid over [-1.1, 1.1]².
    fn grid() -> impl Iterator<Item = (f32, f32)> {
        let place = |at: usize| (at as f32 + 0.5) * 2.2 / STEPS as f32 - 1.1;
        (0..STEPS * STEPS).map(move |at| (place(at % STEPS), place(at / STEPS)))
    }

    #[test]
    fn areas_are_those_of_the_shapes() {
        let segment = |radius: f32, chord: f32| {
            let half_angle = (chord / radius).acos();
            radius * radius * (half_angle - half_angle.sin() * half_angle.cos())
        };
        // Two discs of radii 0.95 and 0.72 at distance 0.48: the point where they cross, measured
        // from the centre of the larger disc.
        let cross = (0.48f32.powi(2) + 0.95f32.powi(2) - 0.72f32.powi(2)) / (2.0 * 0.48);
        let lens = segment(0.95, cross) + segment(0.72, 0.48 - cross);
        let star = 10.0 * 0.5 * 0.42 * (PI / 5.0).sin();
        let wanted = [
            PI * 0.95 * 0.95,
            PI * (0.96f32.powi(2) - 0.52f32.powi(2)),
            1.72 * 1.72,
            0.98 * 1.8,
            4.0 * 0.98 * 0.68 - 0.68 * 0.68,
            star,
            PI * 0.95 * 0.95 - lens,
            4.0 * HEART * HEART + PI * HEART * HEART,
            1.05 * 0.54 + 0.95 * 0.8,
            2.0 * 0.95 * (0.8 + 0.12),
        ];
        for (shape, wanted) in wanted.into_iter().enumerate() {
            let outline = Outline::new(shape as u32);
            let inside = grid().filter(|&(x, y)| outline.distance(x, y) < 0.0).count();
            let area = inside as f32 * (2.2 / STEPS as f32).powi(2);
            // A perimeter of at most 9 crosses that many cells of side 0.0055. Each cell is half
            // right on average.
            assert!(
                (area - wanted).abs() < 0.02,
                "{}: {area} instead of {wanted}",
                GLYPH_CLASSES[shape]
            );
        }
    }

    #[test]
    fn outlines_fill_their_square_and_distances_grow_by_the_way() {
        for (shape, name) in GLYPH_CLASSES.into_iter().enumerate() {
            let outline = Outline::new(shape as u32);
            let inside: Vec<_> = grid().filter(|&(x, y)| outline.distance(x, y) < 0.0).collect();
            let reach = inside.iter().map(|&(x, y)| x.abs().max(y.abs())).fold(0.0, f32::max);
            assert!((0.85..=1.08).contains(&reach), "{name}: {reach}");
            let step = 2.2 / STEPS as f32;
            for (x, y) in grid() {
                let change = (outline.distance(x + step, y) - outline.distance(x, y)).abs();
                assert!(change <= step * 1.001, "{name} at {x}, {y}: {change}");
            }
        }
    }
}
