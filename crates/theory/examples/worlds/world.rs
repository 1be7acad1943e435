//! Small finite worlds: images with pixels, views, embeddings and classes, made to be hard on
//! bounds.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use selfsame_theory::bounds::certificate::MainPart;
use serde::Serialize;

/// A class holds no more images, so that cliques can be found by going through all subsets.
pub const MOST_IN_CLASS: usize = 8;

/// Every row is a view; those of an image are consecutive, its original first.
#[derive(Debug, Clone, Serialize)]
pub struct World {
    /// The class of each image, ascending.
    pub labels: Vec<u32>,
    pub classes: usize,
    pub views: usize,
    /// Where each view lies in pixel space.
    pub pixels: Vec<Vec<f64>>,
    /// What the encoder makes of it, before it is scaled to the sphere or standardised.
    pub embeddings: Vec<Vec<f64>>,
}

/// A main part with its images, by their place in the class.
pub struct Witness {
    pub part: MainPart,
    pub images: Vec<usize>,
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (radius, angle): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

fn vector(random: &mut ChaCha8Rng, dim: usize) -> Vec<f64> {
    (0..dim).map(|_| normal(random)).collect()
}

fn add(to: &[f64], by: &[f64], scale: f64) -> Vec<f64> {
    to.iter().zip(by).map(|(a, b)| a + scale * b).collect()
}

/// Between 10^low and 10^high, evenly in the exponent.
fn magnitude(random: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    10.0_f64.powf(random.random_range(low..high))
}

impl World {
    /// A world of one of seven kinds.
    pub fn random(random: &mut ChaCha8Rng) -> Self {
        let classes = random.random_range(1..5);
        let views = random.random_range(1..4);
        let (pixel_dim, dim) = (random.random_range(1..4), random.random_range(1..6));
        let unbalanced = random.random_bool(0.4);
        let common = random.random_range(1..=MOST_IN_CLASS);
        let size = |random: &mut ChaCha8Rng| {
            if unbalanced { random.random_range(1..=MOST_IN_CLASS) } else { common }
        };
        let counts: Vec<usize> = (0..classes).map(|_| size(random)).collect();
        let kind = random.random_range(0..7);
        // Noise stays above 10⁻³ of the centres, so that standardised coordinates keep twelve
        // digits.
        let (image_noise, view_noise) =
            (magnitude(random, -3.0, 0.0), magnitude(random, -3.0, 0.0));
        let flipped = random.random_range(0.0..0.6);
        let common_centre = vector(random, dim);
        let map: Vec<Vec<f64>> = (0..pixel_dim).map(|_| vector(random, dim)).collect();
        let mut world = Self { labels: vec![], classes, views, pixels: vec![], embeddings: vec![] };
        for (class, count) in counts.into_iter().enumerate() {
            let place = vector(random, pixel_dim).iter().map(|v| 3.0 * v).collect::<Vec<f64>>();
            let centre = match kind {
                // Collapsed onto one point; on two opposite ones; on coordinate axes; or anywhere.
                1 => common_centre.clone(),
                2 => common_centre.iter().map(|v| if class % 2 == 0 { *v } else { -v }).collect(),
                3 => (0..dim).map(|i| f64::from(u8::from(i == class % dim))).collect(),
                _ => vector(random, dim),
            };
            for _ in 0..count {
                world.labels.push(class as u32);
                let pixel = add(&place, &vector(random, pixel_dim), image_noise);
                // A share of the images, or of the views, goes to the opposite point.
                let turned = kind == 4 && random.random_bool(flipped);
                let base = add(&centre, &vector(random, dim), image_noise);
                for view in 0..views {
                    let moved = if view == 0 {
                        pixel.clone()
                    } else {
                        add(&pixel, &vector(random, pixel_dim), view_noise)
                    };
                    let embedding = match kind {
                        0 => vector(random, dim),
                        // A smooth encoder: linear in the pixels, about a point off the origin.
                        6 => moved
                            .iter()
                            .zip(&map)
                            .fold(common_centre.clone(), |sum, (x, row)| add(&sum, row, *x)),
                        _ => {
                            let sign = if turned || kind == 5 && random.random_bool(0.5 * flipped) {
                                -1.0
                            } else {
                                1.0
                            };
                            // Views that lie further apart put the image outside S_ε for an ε that
                            // keeps the others.
                            let noise = if turned { 3.0 * view_noise } else { view_noise };
                            add(&base, &vector(random, dim), noise)
                                .iter()
                                .map(|v| sign * v)
                                .collect()
                        }
                    };
                    world.pixels.push(moved);
                    world.embeddings.push(embedding);
                }
            }
        }
        world
    }

    /// The same world with one thing changed a little, or a lot.
    pub fn mutated(&self, random: &mut ChaCha8Rng) -> Self {
        let mut world = self.clone();
        let row = random.random_range(0..world.embeddings.len());
        let (image, dim) = (row / self.views, world.embeddings[row].len());
        let scale = magnitude(random, -2.5, 0.3);
        let other = random.random_range(0..world.embeddings.len());
        match random.random_range(0..6) {
            // One view, all views of an image, or a whole class is moved.
            0 => world.embeddings[row] = add(&self.embeddings[row], &vector(random, dim), scale),
            1 => {
                let step = vector(random, dim);
                for view in image * self.views..(image + 1) * self.views {
                    world.embeddings[view] = add(&self.embeddings[view], &step, scale);
                }
            }
            2 => {
                let step = vector(random, dim);
                let of_class = |view: usize| self.labels[view / self.views] == self.labels[image];
                for view in (0..world.embeddings.len()).filter(|view| of_class(*view)) {
                    world.embeddings[view] = add(&self.embeddings[view], &step, scale);
                }
            }
            // An embedding is turned about, or becomes that of another view.
            3 => world.embeddings[row].iter_mut().for_each(|value| *value = -*value),
            4 => world.embeddings[row] = self.embeddings[other].clone(),
            _ => {
                let step = vector(random, self.pixels[row].len());
                world.pixels[row] = add(&self.pixels[row], &step, scale);
            }
        }
        world
    }

    pub fn images(&self) -> usize {
        self.labels.len()
    }

    pub fn dim(&self) -> usize {
        self.embeddings[0].len()
    }

    /// The images of a class.
    pub fn members(&self, class: usize) -> Vec<usize> {
        (0..self.images()).filter(|&image| self.labels[image] as usize == class).collect()
    }

    /// The two closest views of two images, and d_A.
    fn closest(&self, a: usize, b: usize) -> (usize, usize, f64) {
        let mut best = (0, 0, f64::INFINITY);
        for first in a * self.views..(a + 1) * self.views {
            for second in b * self.views..(b + 1) * self.views {
                let distance = distance(&self.pixels[first], &self.pixels[second]);
                if distance < best.2 {
                    best = (first, second, distance);
                }
            }
        }
        best
    }

    /// The steps of σ(δ) of a class, by going through all its subsets; `rows` are the embeddings
    /// that gaps are measured on.
    pub fn main_parts(&self, class: usize, rows: &[Vec<f64>]) -> Vec<Witness> {
        let members = self.members(class);
        let n = members.len();
        let mut apart = vec![(0.0_f64, 0.0_f64); n * n];
        for (i, j) in (0..n * n).map(|at| (at / n, at % n)).filter(|(i, j)| i < j) {
            let (first, second, pixels) = self.closest(members[i], members[j]);
            let pair = (pixels, distance(&rows[first], &rows[second]));
            (apart[i * n + j], apart[j * n + i]) = (pair, pair);
        }
        // The largest d_A and gap within each subset: those of the rest, and those of its first
        // image to the rest.
        let mut within = vec![(0.0_f64, 0.0_f64); 1 << n];
        for subset in 1_usize..1 << n {
            let first = subset.trailing_zeros() as usize;
            let rest = subset & (subset - 1);
            let mut largest = within[rest];
            for other in (0..n).filter(|other| rest >> other & 1 == 1) {
                let (pixels, gap) = apart[first * n + other];
                largest = (largest.0.max(pixels), largest.1.max(gap));
            }
            within[subset] = largest;
        }
        let mut steps: Vec<Witness> = Vec::new();
        for size in 1..=n {
            let of_size = (1_usize..1 << n).filter(|subset| subset.count_ones() as usize == size);
            let best = of_size.min_by(|&a, &b| {
                within[a].0.total_cmp(&within[b].0).then(within[a].1.total_cmp(&within[b].1))
            });
            let Some(best) = best else { continue };
            let part = MainPart { delta: within[best].0, images: size, gap: within[best].1 };
            if steps.last().is_some_and(|last| last.part.delta == part.delta) {
                steps.pop();
            }
            steps.push(Witness {
                part,
                images: (0..n).filter(|i| best >> i & 1 == 1).map(|i| members[i]).collect(),
            });
        }
        steps
    }

    /// The largest ratio of distances over all pairs of views: the Lipschitz constant on the finite
    /// world, or none.
    pub fn lipschitz(&self, rows: &[Vec<f64>]) -> Option<f64> {
        let pairs = (0..rows.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        let distances = pairs.map(|(i, j)| {
            (distance(&self.pixels[i], &self.pixels[j]), distance(&rows[i], &rows[j]))
        });
        selfsame_theory::bounds::lipschitz::largest_ratio(distances)
            .ok()
            .map(|largest| largest.value)
    }
}

pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
