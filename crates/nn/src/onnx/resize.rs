//! The part of an ONNX graph that brings images of any size to the size of the encoder.
//!
//! ONNX has an operator `Resize`, but antialiasing came to it late, few runtimes have it, and it does
//! not round to levels as the resizing of data sets does, which `selfsame-data` leaves to the crate
//! `fast_image_resize`. That is linear in each direction, so it is written out as two products of
//! matrices whose weights the graph computes from the size of the image: Pillow's bilinear filter,
//! its weights rounded to 16 bits, first down the columns and then along the rows, each rounded to
//! levels. Of an image that has the size already, both matrices are the identity.

use super::{DOUBLE, FLOAT, Graph, INT64, integer, integers};

/// Exclusive bound of a weight in its unit, before rounding: weights have 16 bits with their sign.
const WEIGHT_BOUND: f64 = 32_767.5;
/// Most fractional bits of a weight.
const MOST_BITS: i32 = 21;

impl Graph<'_> {
    /// Adds the map from `images`, bytes with the channels last, to levels of the centre square at
    /// the size of `size` pixels a side, as floats with the channels first.
    pub(super) fn squares(&mut self, size: usize) -> String {
        for (name, value) in [("zero", 0), ("one", 1), ("two", 2)] {
            self.constant(name, INT64, &[], &i64::to_le_bytes(value));
        }
        let doubles = |values: &[f64]| -> Vec<u8> {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        let middles: Vec<f64> = (0..size).map(|at| at as f64 + 0.5).collect();
        self.constant("middles", DOUBLE, &[size, 1], &doubles(&middles));
        let powers: Vec<f64> = (1..=MOST_BITS).map(|bits| f64::from(1 << bits)).collect();
        self.constant("powers", DOUBLE, &[powers.len()], &doubles(&powers));
        for (name, value) in [
            ("size", size as f64),
            ("nothing", 0.0),
            ("half", 0.5),
            ("unity", 1.0),
            ("weight_bound", WEIGHT_BOUND),
        ] {
            self.constant(name, DOUBLE, &[], &doubles(&[value]));
        }
        self.constant("half_level", FLOAT, &[], &0.5_f32.to_le_bytes());
        self.constant("along", INT64, &[1], &1_i64.to_le_bytes());

        let shape = self.node("Shape", &["images"], &[]);
        let rows = self.node("Gather", &[&shape, "one"], &[]);
        let columns = self.node("Gather", &[&shape, "two"], &[]);
        let side = self.node("Min", &[&rows, &columns], &[]);
        let down = self.weights(&rows, &side);
        let across = self.weights(&columns, &side);
        let across = self.node("Transpose", &[&across], &[integers("perm", &[1, 0])]);

        let values = self.node("Cast", &["images"], &[integer("to", FLOAT)]);
        let planes = self.node("Transpose", &[&values], &[integers("perm", &[0, 3, 1, 2])]);
        let low = self.product(&down, &planes);
        self.product(&low, &across)
    }

    /// Adds the weights of all pixels of `length` for each pixel of the result: a matrix of floats.
    fn weights(&mut self, length: &str, side: &str) -> String {
        let double = [integer("to", DOUBLE)];
        let kept = self.node("Cast", &[side], &double);
        let scale = self.node("Div", &[&kept, "size"], &[]);
        let stretch = self.node("Max", &[&scale, "unity"], &[]);
        // The square starts at a whole pixel.
        let beside = self.node("Sub", &[length, side], &[]);
        let before = self.node("Div", &[&beside, "two"], &[]);
        let before = self.node("Cast", &[&before], &double);
        let within = self.node("Mul", &["middles", &scale], &[]);
        let centres = self.node("Add", &[&within, &before], &[]);

        let pixels = self.node("Range", &["zero", length, "one"], &[]);
        let pixels = self.node("Cast", &[&pixels], &double);
        let pixels = self.node("Add", &[&pixels, "half"], &[]);
        let apart = self.node("Sub", &[&pixels, &centres], &[]);
        let apart = self.node("Abs", &[&apart], &[]);
        let apart = self.node("Div", &[&apart, &stretch], &[]);
        let share = self.node("Sub", &["unity", &apart], &[]);
        let share = self.node("Max", &[&share, "nothing"], &[]);
        let sum = self.node("ReduceSum", &[&share, "along"], &[integer("keepdims", 1)]);
        let weights = self.node("Div", &[&share, &sum], &[]);

        // The unit of weights is the finest in which the greatest of them has 16 bits.
        let greatest = self.node("ReduceMax", &[&weights], &[integer("keepdims", 0)]);
        let scaled = self.node("Mul", &["powers", &greatest], &[]);
        let fits = self.node("Less", &[&scaled, "weight_bound"], &[]);
        let fits = self.node("Cast", &[&fits], &double);
        let units = self.node("Mul", &["powers", &fits], &[]);
        let unit = self.node("ReduceMax", &[&units], &[integer("keepdims", 0)]);
        let weights = self.node("Mul", &[&weights, &unit], &[]);
        let weights = self.node("Add", &[&weights, "half"], &[]);
        let weights = self.node("Floor", &[&weights], &[]);
        let weights = self.node("Div", &[&weights, &unit], &[]);
        self.node("Cast", &[&weights], &[integer("to", FLOAT)])
    }

    /// Adds a product of matrices, rounded to levels.
    fn product(&mut self, left: &str, right: &str) -> String {
        let sums = self.node("MatMul", &[left, right], &[]);
        let sums = self.node("Add", &[&sums, "half_level"], &[]);
        self.node("Floor", &[&sums], &[])
    }
}
