//! Convolution and the fused operation against plain loops in f64, on every instruction set of the
//! machine.

use std::ops::Range;
use std::sync::Mutex;

use half::bf16;
use proptest::prelude::*;
use selfsame_kernels::buffer::Buffer;
use selfsame_kernels::conv::{self, After, Conv, Input, InputGradient, Prepared, Scratch, Wanted};
use selfsame_kernels::conv_bn::{self, EPSILON, Parameters, Saved, Then};
use selfsame_kernels::element::Element;
use selfsame_kernels::isa::Isa;
use selfsame_kernels::norm::Channels;

/// Values in ±1 from a small generator, so that a shape and a seed say everything.
fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1u32 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// [`noise`] as values that are stored.
fn stored<T: Element>(seed: u64, len: usize) -> Vec<T> {
    noise(seed, len).into_iter().map(T::rounded).collect()
}

/// [`noise`] that bf16 holds exactly, as weights are multiplied with activations of bf16.
fn short(seed: u64, len: usize) -> Vec<f32> {
    stored::<bf16>(seed, len).into_iter().map(Element::widened).collect()
}

fn singles<T: Element>(values: &[T]) -> Vec<f32> {
    values.iter().map(|value| value.widened()).collect()
}

/// Outputs that were not left to the next convolution.
fn made<T>(output: &Option<Buffer<T>>) -> &Buffer<T> {
    output.as_ref().expect("made here")
}

/// Half a step of the type, in parts of a value.
fn rounding<T: Element>() -> f64 {
    if T::as_bf16(&[]).is_some() { 2f64.powi(-8) } else { 0.0 }
}

/// Calls `visit` with the positions of output, input and weight of every product in the
/// convolution.
fn products(conv: &Conv, mut visit: impl FnMut(usize, usize, usize)) {
    let Conv { batch, height, width, inputs, outputs, kernel, stride, padding } = *conv;
    for image in 0..batch {
        for y in 0..conv.out_height() {
            for x in 0..conv.out_width() {
                for (row, column) in
                    (0..kernel).flat_map(|row| (0..kernel).map(move |column| (row, column)))
                {
                    let (from_y, from_x) = (y * stride + row, x * stride + column);
                    let inside = (padding..padding + height).contains(&from_y)
                        && (padding..padding + width).contains(&from_x);
                    if !inside {
                        continue;
                    }
                    let pixel = (image * height + from_y - padding) * width + from_x - padding;
                    for output in 0..outputs {
                        for input in 0..inputs {
                            visit(
                                ((image * conv.out_height() + y) * conv.out_width() + x) * outputs
                                    + output,
                                pixel * inputs + input,
                                ((output * inputs + input) * kernel + row) * kernel + column,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// `found` may be off by `roundings` · 2⁻²⁴ of the sum of the terms' magnitudes, each term being
/// rounded at most so often (in a sum in any order as often as there are terms), with a little for
/// products of such errors; and then by its rounding to what is stored.
fn assert_sums<T: Element>(
    what: &str,
    found: &[T],
    sums: &[f64],
    (magnitudes, roundings): &(Vec<f64>, usize),
) {
    assert_eq!(found.len(), sums.len(), "{what}");
    for (index, (found, (&sum, &magnitude))) in
        found.iter().zip(sums.iter().zip(magnitudes)).enumerate()
    {
        let bound = (roundings + 1) as f64 * 2f64.powi(-24) * magnitude;
        let bound = bound + (sum.abs() + bound) * rounding::<T>();
        let found = found.widened();
        assert!(
            (f64::from(found) - sum).abs() <= bound,
            "{what} {index}: {found} for {sum}, bound {bound:e}"
        );
    }
}

/// m x mᵀ.
fn both_axes<const N: usize, const M: usize>(
    m: &[[f64; N]; M],
    x: &[[f64; N]; N],
) -> [[f64; M]; M] {
    let entry = |row: usize, column: usize| {
        let terms = (0..N).flat_map(|a| (0..N).map(move |b| (a, b)));
        terms.map(|(a, b)| m[row][a] * x[a][b] * m[column][b]).sum()
    };
    std::array::from_fn(|row| std::array::from_fn(|column| entry(row, column)))
}

/// Magnitudes of Winograd's transforms: |Bᵀ| of inputs, |G| of kernels, |Aᵀ| of sums.
const OF_INPUTS: [[f64; 4]; 4] =
    [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]];
const OF_KERNEL: [[f64; 3]; 4] =
    [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.0, 0.0, 1.0]];
const OF_SUMS: [[f64; 4]; 2] = [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0]];

fn transposed<const N: usize, const M: usize>(m: &[[f64; N]; M]) -> [[f64; M]; N] {
    std::array::from_fn(|row| std::array::from_fn(|column| m[column][row]))
}

/// Calls `visit` with every tile of 2×2 outputs of `conv` and the magnitudes of the 4×4 inputs
/// below it, by input, through their transform.
fn minimal_tiles(conv: &Conv, input: &[f32], mut visit: impl FnMut([usize; 3], &[[[f64; 4]; 4]])) {
    for image in 0..conv.batch {
        for y in (0..conv.out_height()).step_by(2) {
            for x in (0..conv.out_width()).step_by(2) {
                let value = |row: usize, column: usize, channel: usize| {
                    let [row, column] =
                        [y + row, x + column].map(|at| at.checked_sub(conv.padding));
                    match (row, column) {
                        (Some(row), Some(column)) if row < conv.height && column < conv.width => {
                            let pixel = (image * conv.height + row) * conv.width + column;
                            f64::from(input[pixel * conv.inputs + channel].abs())
                        }
                        _ => 0.0,
                    }
                };
                let inputs = (0..conv.inputs).map(|channel| {
                    let d = std::array::from_fn(|row| {
                        std::array::from_fn(|column| value(row, column, channel))
                    });
                    both_axes(&OF_INPUTS, &d)
                });
                visit([image, y, x], &inputs.collect::<Vec<_>>());
            }
        }
    }
}

/// Positions, among all outputs but for their channel, of the outputs that a tile at `[image, y,
/// x]` has.
fn minimal_outputs(
    conv: &Conv,
    [image, y, x]: [usize; 3],
) -> impl Iterator<Item = (usize, [usize; 2])> {
    let [height, width] = [conv.out_height(), conv.out_width()];
    let all = [[0, 0], [0, 1], [1, 0], [1, 1]].into_iter();
    let there = all.filter(move |[row, column]| y + row < height && x + column < width);
    there.map(move |[row, column]| ((image * height + y + row) * width + x + column, [row, column]))
}

/// |Aᵀ| (Σ |G| |g| |Gᵀ| ⊙ |Bᵀ| |d| |B|) |A| for every output: the magnitudes of all terms that minimal filtering adds.
fn minimal_output(
    conv: &Conv,
    input: &[f32],
    kernel: impl Fn(usize, usize, usize) -> f32,
) -> Vec<f64> {
    let kernel = &kernel;
    let kernels: Vec<[[f64; 4]; 4]> = (0..conv.outputs)
        .flat_map(|to| (0..conv.inputs).map(move |from| (to, from)))
        .map(|(to, from)| {
            let tap =
                |row: usize, column: usize| f64::from(kernel(to, from, 3 * row + column).abs());
            both_axes(
                &OF_KERNEL,
                &std::array::from_fn(|row| std::array::from_fn(|column| tap(row, column))),
            )
        })
        .collect();
    let mut output = vec![0.0; conv.batch * conv.out_image()];
    minimal_tiles(conv, input, |tile, inputs| {
        for (to, kernels) in kernels.chunks_exact(conv.inputs).enumerate() {
            let mut sums = [[0.0; 4]; 4];
            for (kernel, input) in kernels.iter().zip(inputs) {
                for at in 0..16 {
                    sums[at / 4][at % 4] += kernel[at / 4][at % 4] * input[at / 4][at % 4];
                }
            }
            let of_tile = both_axes(&OF_SUMS, &sums);
            for (pixel, [row, column]) in minimal_outputs(conv, tile) {
                output[pixel * conv.outputs + to] = of_tile[row][column];
            }
        }
    });
    output
}

/// |Gᵀ| (Σ |A| |y| |Aᵀ| ⊙ |Bᵀ| |d| |B|) |G| for every weight.
fn minimal_weights(conv: &Conv, input: &[f32], gradient: &[f32]) -> Vec<f64> {
    let mut sums = vec![[[0.0; 4]; 4]; conv.outputs * conv.inputs];
    minimal_tiles(conv, input, |tile, inputs| {
        for (to, sums) in sums.chunks_exact_mut(conv.inputs).enumerate() {
            let mut y = [[0.0; 2]; 2];
            for (pixel, [row, column]) in minimal_outputs(conv, tile) {
                y[row][column] = f64::from(gradient[pixel * conv.outputs + to].abs());
            }
            let y = both_axes(&transposed(&OF_SUMS), &y);
            for (sums, input) in sums.iter_mut().zip(inputs) {
                for at in 0..16 {
                    sums[at / 4][at % 4] += y[at / 4][at % 4] * input[at / 4][at % 4];
                }
            }
        }
    });
    sums.iter().flat_map(|sums| both_axes(&transposed(&OF_KERNEL), sums)).flatten().collect()
}

/// What bounds the rounding of a convolution's results: the magnitudes of the terms that are added
/// to a result, and how often any of them is rounded on its way.
struct Magnitudes {
    output: (Vec<f64>, usize),
    input: (Vec<f64>, usize),
    weights: (Vec<f64>, usize),
}

impl Magnitudes {
    /// Those of minimal filtering. Multiplied out, a result is a sum of products of two values and
    /// powers of two, each off by a factor of 1 ± 2⁻²⁴ for every rounding that it passes; so the
    /// error is at most the roundings' number times the same sum of magnitudes, |Aᵀ| (Σ |G| |g|
    /// |Gᵀ| ⊙ |Bᵀ| |d| |B|) |A| for outputs. Along each of two axes a value passes one addition in
    /// Bᵀ and in A, two in G, Gᵀ and Aᵀ; halving is exact. In a sum of n products, in any order, it
    /// passes at most n roundings. That makes 2 + 4 + n + 4 for a correlation, 2 + 2 + n + 4 for
    /// the weights.
    fn minimal(conv: &Conv, input: &[f32], weights: &[f32], gradient: &[f32]) -> Self {
        let Conv { height, width, inputs, outputs, .. } = *conv;
        let back = Conv {
            height: conv.out_height(),
            width: conv.out_width(),
            inputs: outputs,
            outputs: inputs,
            padding: 2 - conv.padding,
            ..*conv
        };
        assert_eq!([back.out_height(), back.out_width()], [height, width]);
        let tiles = conv.batch * conv.out_height().div_ceil(2) * conv.out_width().div_ceil(2);
        Self {
            output: (
                minimal_output(conv, input, |to, from, tap| {
                    weights[(to * inputs + from) * 9 + tap]
                }),
                inputs + 10,
            ),
            input: (
                minimal_output(&back, gradient, |to, from, tap| {
                    weights[(from * inputs + to) * 9 + 8 - tap]
                }),
                outputs + 10,
            ),
            weights: (minimal_weights(conv, input, gradient), tiles + 8),
        }
    }
}

fn check_convolution(conv: &Conv) {
    check_convolution_of::<f32>(conv);
    check_convolution_of::<bf16>(conv);
}

fn check_convolution_of<T: Element + PartialEq>(conv: &Conv) {
    let input: Vec<T> = stored(1, conv.batch * conv.in_image());
    let weights = short(2, conv.outputs * conv.inputs * conv.kernel * conv.kernel);
    let gradient: Vec<T> = stored(3, conv.batch * conv.out_image());
    let zeros = |len: usize| (vec![0.0; len], vec![0.0; len]);
    let (mut output, mut input_gradient, mut weight_gradient) =
        (zeros(gradient.len()), zeros(input.len()), zeros(weights.len()));
    let wide = (singles(&input), singles(&gradient));
    let add = |sums: &mut (Vec<f64>, Vec<f64>), at: usize, a: f32, b: f32| {
        let product = f64::from(a) * f64::from(b);
        sums.0[at] += product;
        sums.1[at] += product.abs();
    };
    products(conv, |o, i, w| {
        add(&mut output, o, wide.0[i], weights[w]);
        add(&mut input_gradient, i, wide.1[o], weights[w]);
        add(&mut weight_gradient, w, wide.1[o], wide.0[i]);
    });
    let area = conv.kernel * conv.kernel;
    let pixels = conv.batch * conv.out_height() * conv.out_width();
    let plain = Magnitudes {
        output: (output.1, area * conv.inputs),
        input: (input_gradient.1, area * conv.outputs),
        weights: (weight_gradient.1, pixels),
    };
    let minimal = conv.is_minimal().then(|| Magnitudes::minimal(conv, &wide.0, &weights, &wide.1));
    let write = |images: Range<usize>, to: &mut [T]| {
        to.copy_from_slice(
            &gradient[images.start * conv.out_image()..images.end * conv.out_image()],
        );
    };
    for isa in Isa::available() {
        let as_bf16 = isa.multiplies_bf16() && T::as_bf16(&[]).is_some();
        let of = minimal.as_ref().filter(|_| !as_bf16).unwrap_or(&plain);
        let (found, _) = conv::forward(isa, conv, Input::Ready(&input), &weights, After::Moments);
        assert_sums(&format!("{isa} output"), &found, &output.0, &of.output);
        check_prepared(isa, conv, &input, &weights);
        // What is shown of the input's gradient.
        let shown = Mutex::new(vec![None; conv.batch]);
        let show = |images: Range<usize>, of: &mut [T]| {
            assert_eq!(of.len(), images.len() * conv.in_image());
            for (index, of) in images.zip(of.chunks(conv.in_image())) {
                let before = shown.lock().expect("no panic")[index].replace(of.to_vec());
                assert!(before.is_none(), "{isa}: image {index} is shown twice");
            }
        };
        let unseen = |_: Range<usize>, _: &mut [T]| ();
        let (of_weights, of_input) = conv::backward(
            isa,
            conv,
            Input::Ready(&input),
            &weights,
            write,
            show,
            Wanted { input: InputGradient::Wanted, weights: None },
        );
        let of_input = of_input.expect("asked for");
        let shown: Option<Vec<Vec<T>>> =
            shown.into_inner().expect("no panic").into_iter().collect();
        assert!(shown.expect("every image").concat() == *of_input, "{isa}");
        assert_sums(&format!("{isa} input"), &of_input, &input_gradient.0, &of.input);
        assert_sums(&format!("{isa} weights"), &of_weights, &weight_gradient.0, &of.weights);
        let (alone, none) = conv::backward(
            isa,
            conv,
            Input::Ready(&input),
            &weights,
            write,
            unseen,
            Wanted { input: InputGradient::Unwanted, weights: None },
        );
        assert!(none.is_none() && *alone == *of_weights);
        // With what is added: the same as adding afterwards, so that the order of two parts does
        // not matter.
        let added: Vec<T> = stored(4, input.len());
        let wanted = Wanted { input: InputGradient::Added(&added), weights: Some(&weights) };
        let (of_weights, both) =
            conv::backward(isa, conv, Input::Ready(&input), &weights, write, unseen, wanted);
        let both = both.expect("wanted");
        let after =
            of_input.iter().zip(&added).map(|(own, add)| T::rounded(own.widened() + add.widened()));
        assert!(both.iter().copied().eq(after), "{isa} both");
        let with_weights: Vec<f64> = weight_gradient
            .0
            .iter()
            .zip(&weights)
            .map(|(sum, add)| sum + f64::from(*add))
            .collect();
        let of = (of.weights.0.iter().map(|magnitude| magnitude + 1.0).collect(), of.weights.1);
        assert_sums(&format!("{isa} weights, both"), &of_weights, &with_weights, &of);
    }
}

/// Laid out once and used by one thread, twice, weights give the very values that [`conv::forward`]
/// gives, also after a scratch has served another convolution.
fn check_prepared<T: Element + PartialEq>(isa: Isa, conv: &Conv, input: &[T], weights: &[f32]) {
    let per_channel = |seed: u64| short(seed, conv.outputs);
    let [gamma, beta, mean] = [5, 6, 7].map(per_channel);
    let channels = Channels::new(&mean, &vec![0.5; conv.outputs], &gamma, &beta, 1e-5);
    let residual: Vec<T> = stored(8, conv.batch * conv.out_image());
    let after = After::Normalise { channels: &channels, residual: Some(&residual), relu: true };
    let (expected, _) = conv::forward(isa, conv, Input::Ready(input), weights, after);
    let prepared = Prepared::<T>::new(isa, conv, weights);
    let other = Conv {
        batch: 1,
        height: 5,
        width: 3,
        inputs: 2,
        outputs: 3,
        kernel: 3,
        stride: 1,
        padding: 1,
    };
    let mut scratch = Scratch::default();
    for _ in 0..2 {
        let mut found = vec![T::rounded(f32::NAN); residual.len()];
        prepared.forward(Input::Ready(input), after, &mut scratch, &mut found);
        assert!(found.iter().eq(expected.iter()), "{isa} {conv:?}");
        let ones = Prepared::<T>::new(isa, &other, &[1.0; 54]);
        ones.forward(
            Input::Ready(&[T::rounded(9.0); 30]),
            After::Moments,
            &mut scratch,
            &mut [T::default(); 45],
        );
    }
}

fn same(
    batch: usize,
    [height, width]: [usize; 2],
    [inputs, outputs]: [usize; 2],
    kernel: usize,
    stride: usize,
) -> Conv {
    Conv { batch, height, width, inputs, outputs, kernel, stride, padding: kernel / 2 }
}

#[test]
fn convolution_of_the_shapes_that_encoders_use_and_of_odd_ones() {
    for conv in [
        same(2, [8, 8], [3, 16], 3, 1),
        same(3, [8, 8], [16, 32], 3, 2),
        same(3, [8, 8], [16, 32], 1, 2),
        same(9, [4, 4], [17, 48], 3, 1),
        same(2, [15, 13], [3, 8], 7, 2),
        same(1, [1, 1], [1, 1], 1, 1),
        same(1, [1, 1], [5, 7], 3, 2),
        same(2, [1, 1], [5, 33], 7, 2),
        same(5, [3, 1], [1, 17], 3, 2),
        same(33, [2, 5], [2, 3], 3, 1),
        same(1, [7, 9], [64, 20], 1, 1),
        // Minimal filtering: of one pixel, of odd sizes, of paddings of every width.
        same(2, [1, 1], [16, 24], 3, 1),
        same(0, [4, 4], [16, 16], 3, 1),
        Conv { padding: 0, ..same(3, [5, 4], [17, 19], 3, 1) },
        Conv { padding: 2, ..same(3, [1, 5], [16, 33], 3, 1) },
        Conv { padding: 0, ..same(1, [3, 3], [29, 70], 3, 1) },
        same(2, [17, 39], [21, 40], 3, 1),
        same(5, [7, 3], [40, 17], 3, 1),
        same(0, [4, 4], [2, 2], 3, 1),
        // Rows of whole strips for tiles: kernels that see some pixels only, steps of few and of
        // many channels.
        same(2, [32, 32], [32, 48], 1, 2),
        same(3, [16, 16], [64, 40], 3, 1),
        same(3, [5, 16], [128, 40], 3, 1),
        same(1, [1, 16], [192, 40], 3, 1),
        same(2, [6, 32], [96, 17], 3, 2),
        same(1, [48, 48], [3, 20], 3, 1),
        // Turns of several steps, the last one short; rows of a strip and a few pixels.
        same(2, [16, 16], [208, 40], 3, 1),
        same(1, [1, 16], [208, 40], 3, 1),
        same(2, [4, 4], [640, 33], 1, 1),
        same(2, [28, 28], [3, 16], 3, 1),
        same(3, [28, 28], [1, 20], 3, 1),
        same(3, [20, 28], [16, 16], 3, 1),
        same(1, [21, 21], [3, 9], 7, 2),
        same(1, [66, 32], [96, 40], 3, 1),
        // Images side by side, with steps of many channels.
        same(9, [4, 4], [224, 40], 3, 1),
        same(5, [3, 8], [160, 24], 3, 2),
        // Weights' sums that are taken of some channels at a time, and a few more.
        same(12, [4, 3], [146, 141], 3, 1),
        same(3, [4, 5], [144, 131], 3, 2),
        // The last ones few enough to lie otherwise than the others.
        same(3, [4, 5], [208, 208], 3, 1),
        same(3, [4, 5], [146, 97], 3, 1),
        Conv { padding: 0, ..same(2, [9, 8], [4, 6], 3, 3) },
        Conv { padding: 4, ..same(2, [9, 10], [2, 6], 5, 3) },
        Conv { padding: 0, ..same(1, [6, 6], [2, 3], 2, 2) },
        Conv { padding: 1, ..same(1, [7, 7], [2, 3], 2, 4) },
    ] {
        check_convolution(&conv);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn convolution_of_any_shape(
        batch in 1usize..6, height in 1usize..10, width in 1usize..10, inputs in 1usize..20, outputs in 1usize..40,
        kernel in 1usize..6, stride in 1usize..4, padding in 0usize..5,
    ) {
        let conv = Conv { batch, height, width, inputs, outputs, kernel, stride, padding: padding.min(kernel - 1) };
        prop_assume!(height + 2 * conv.padding >= kernel && width + 2 * conv.padding >= kernel);
        check_convolution(&conv);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn minimal_filtering_of_any_shape(
        batch in 1usize..6, height in 1usize..12, width in 1usize..12, inputs in 16usize..40, outputs in 16usize..70,
        padding in 0usize..3,
    ) {
        let conv = Conv { batch, height, width, inputs, outputs, kernel: 3, stride: 1, padding };
        prop_assume!(height + 2 * padding >= 3 && width + 2 * padding >= 3);
        prop_assert!(conv.is_minimal());
        check_convolution(&conv);
    }
}

/// A layer as encoders have them, and what minimal filtering costs it in precision.
#[test]
fn minimal_filtering_of_a_layer_is_little_less_precise_than_plain_sums() {
    let conv = same(3, [8, 8], [64, 64], 3, 1);
    assert!(conv.is_minimal());
    check_convolution(&conv);
    let input = noise(1, conv.batch * conv.in_image());
    let weights = noise(2, 64 * 64 * 9);
    let mut exact = vec![0.0; conv.batch * conv.out_image()];
    let mut magnitudes = exact.clone();
    products(&conv, |o, i, w| {
        let product = f64::from(input[i]) * f64::from(weights[w]);
        exact[o] += product;
        magnitudes[o] += product.abs();
    });
    for isa in Isa::available() {
        let (found, _) = conv::forward(isa, &conv, Input::Ready(&input), &weights, After::Moments);
        let off = found.iter().zip(&exact).zip(&magnitudes);
        let off =
            off.map(|((&found, exact), magnitude)| (f64::from(found) - exact).abs() / magnitude);
        let most = off.fold(0.0, f64::max) * 2f64.powi(24);
        // 1.8 was measured; plain sums of 64 · 9 products may be off by 576 of these parts of their
        // magnitudes.
        assert!(most < 4.0, "{isa}: off by {most} · 2⁻²⁴ of the magnitudes");
    }
}

/// The operation in f64, straight from its formula.
fn plain(
    conv: &Conv,
    input: &[f64],
    weights: &[f64],
    gamma: &[f64],
    beta: &[f64],
    residual: &[f64],
    relu: bool,
) -> Vec<f64> {
    let mut output = vec![0.0; conv.batch * conv.out_image()];
    products(conv, |o, i, w| output[o] += input[i] * weights[w]);
    let pixels = (output.len() / conv.outputs) as f64;
    for channel in 0..conv.outputs {
        let of_channel = || output.iter().skip(channel).step_by(conv.outputs);
        let mean = of_channel().sum::<f64>() / pixels;
        let variance = of_channel().map(|value| (value - mean).powi(2)).sum::<f64>() / pixels;
        for value in output.iter_mut().skip(channel).step_by(conv.outputs) {
            *value = (*value - mean) / (variance + EPSILON).sqrt() * gamma[channel] + beta[channel];
        }
    }
    for (value, residual) in output.iter_mut().zip(residual) {
        *value += residual;
        if relu {
            *value = value.max(0.0);
        }
    }
    output
}

#[test]
fn fused_gradients_are_finite_differences_of_the_plain_loop() {
    for (conv, relu, with_residual) in [
        (same(3, [5, 4], [2, 3], 3, 2), false, false),
        (same(2, [4, 4], [3, 2], 3, 1), true, true),
        (same(4, [3, 3], [2, 5], 1, 1), true, false),
        (same(2, [4, 3], [2, 3], 3, 1), false, true),
    ] {
        let lens = [
            conv.batch * conv.in_image(),
            conv.outputs * conv.inputs * conv.kernel * conv.kernel,
            conv.outputs,
            conv.outputs,
            conv.batch * conv.out_image(),
        ];
        let values: Vec<Vec<f32>> =
            lens.iter().enumerate().map(|(seed, &len)| noise(seed as u64 + 5, len)).collect();
        let residual = with_residual.then_some(values[4].as_slice());
        let gradient = noise(11, lens[4]);
        let wide: Vec<Vec<f64>> =
            values.iter().map(|values| values.iter().map(|&v| f64::from(v)).collect()).collect();
        let loss = |wide: &[Vec<f64>]| -> f64 {
            let zeros = vec![0.0; lens[4]];
            let residual = if with_residual { &wide[4] } else { &zeros };
            let output = plain(&conv, &wide[0], &wide[1], &wide[2], &wide[3], residual, relu);
            output.iter().zip(&gradient).map(|(value, &gradient)| value * f64::from(gradient)).sum()
        };
        let parameters = Parameters { weights: &values[1], gamma: &values[2], beta: &values[3] };
        for isa in Isa::available() {
            let found = conv_bn::forward(
                isa,
                &conv,
                Input::Ready(&values[0]),
                parameters,
                Then::Here { residual, relu },
            );
            let saved = Saved {
                input: Input::Ready(&values[0]),
                convolved: &found.convolved,
                mean: &found.mean,
                variance: &found.variance,
                output: residual.map(|_| &**made(&found.output)),
                sums: None,
                origin: None,
            };
            let gradients = conv_bn::backward(
                isa,
                &conv,
                parameters,
                saved,
                relu,
                &gradient,
                Wanted { input: InputGradient::Wanted, weights: None },
            );
            let input = gradients.input.expect("asked for");
            let mut all = vec![&*input, &gradients.weights, &gradients.gamma, &gradients.beta];
            if with_residual {
                all.push(gradients.residual.as_deref().unwrap_or(&gradient));
            }
            for (which, found) in all.into_iter().enumerate() {
                for (index, &found) in found.iter().enumerate() {
                    let step = 1e-5;
                    let moved = |by: f64| {
                        let mut moved = wide.clone();
                        moved[which][index] += by;
                        loss(&moved)
                    };
                    let slope = (moved(step) - moved(-step)) / (2.0 * step);
                    // The differences' own error is about 1e-9; the rest is f32 in sums of some
                    // hundred terms.
                    let bound = 1e-4 * (1.0 + slope.abs());
                    assert!(
                        (f64::from(found) - slope).abs() < bound,
                        "{isa} {conv:?} gradient {which} at {index}: {found} for {slope}"
                    );
                }
            }
        }
    }
}

#[test]
fn evaluation_with_the_batch_statistics_is_training() {
    for outputs in [17, 40, 64] {
        let conv = same(3, [7, 6], [3, outputs], 3, 1);
        let [weights, gamma, beta] =
            [(2, outputs * 27), (3, outputs), (4, outputs)].map(|(seed, len)| short(seed, len));
        let parameters = Parameters { weights: &weights, gamma: &gamma, beta: &beta };
        let input: Vec<f32> = short(1, conv.batch * conv.in_image());
        let residual: Vec<f32> = short(5, conv.batch * conv.out_image());
        let [narrow, narrow_residual] =
            [&input, &residual].map(|v| v.iter().map(|&v| bf16::rounded(v)).collect::<Vec<_>>());
        for isa in Isa::available() {
            for (residual, narrow_residual) in
                [(Some(&*residual), Some(&*narrow_residual)), (None, None)]
            {
                let trained = conv_bn::forward(
                    isa,
                    &conv,
                    Input::Ready(&input),
                    parameters,
                    Then::Here { residual, relu: true },
                );
                let statistics = [trained.mean.as_slice(), &trained.variance];
                let evaluated =
                    conv_bn::evaluate(isa, &conv, &input, parameters, statistics, residual, true);
                assert!(**made(&trained.output) == *evaluated, "{isa}");
                // What passes through bf16 is rounded once in evaluation, twice in training, of
                // values below 8, say; sums of 27 terms below 27 are off by some 2⁻¹⁵.
                let shorter = conv_bn::evaluate(
                    isa,
                    &conv,
                    &narrow,
                    parameters,
                    statistics,
                    narrow_residual,
                    true,
                );
                let twice = conv_bn::forward(
                    isa,
                    &conv,
                    Input::Ready(&narrow),
                    parameters,
                    Then::Here { residual: narrow_residual, relu: true },
                );
                for ((found, twice), &expected) in
                    shorter.iter().zip(&**made(&twice.output)).zip(&*evaluated)
                {
                    let bound = expected.abs() * 2f32.powi(-8) + 2f32.powi(-13);
                    assert!(
                        (found.widened() - expected).abs() <= bound,
                        "{isa}: {found} for {expected}"
                    );
                    let bound = expected.abs() * 2f32.powi(-8) + 8.0 * 2f32.powi(-8);
                    assert!(
                        (twice.widened() - expected).abs() <= bound,
                        "{isa}: {twice} for {expected}"
                    );
                }
            }
        }
    }
}

/// Root of the mean squared difference over that of the second.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square =
        |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let difference =
        square(&mut found.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    (difference / square(&mut expected.iter().map(|b| f64::from(*b))).max(f64::MIN_POSITIVE)).sqrt()
}

/// The operation in bf16, on every instruction set, against itself in f32, which finite differences
/// vouch for.
#[test]
fn fused_in_bf16_is_fused_in_f32_but_for_rounding() {
    for (conv, relu, with_residual) in [
        (same(8, [16, 16], [32, 64], 3, 1), true, false),
        (same(5, [16, 16], [16, 16], 3, 1), true, true),
        (same(16, [9, 7], [64, 33], 3, 2), true, true),
        (same(4, [32, 32], [3, 24], 3, 1), true, false),
        (same(7, [8, 8], [48, 96], 1, 2), false, false),
        (same(3, [31, 33], [3, 16], 7, 2), true, false),
        (same(33, [4, 4], [130, 160], 3, 1), true, true),
    ] {
        let input = short(1, conv.batch * conv.in_image());
        let weights = short(2, conv.outputs * conv.inputs * conv.kernel * conv.kernel);
        let [gamma, beta] = [short(3, conv.outputs), short(4, conv.outputs)];
        let residual = with_residual.then(|| short(5, conv.batch * conv.out_image()));
        let gradient = short(6, conv.batch * conv.out_image());
        let parameters = Parameters { weights: &weights, gamma: &gamma, beta: &beta };
        fn all<T: Element>(
            isa: Isa,
            conv: &Conv,
            parameters: Parameters<'_>,
            relu: bool,
            input: &[f32],
            residual: Option<&[f32]>,
            gradient: &[f32],
        ) -> Vec<Vec<f32>> {
            let of =
                |values: &[f32]| values.iter().map(|&value| T::rounded(value)).collect::<Vec<T>>();
            let (input, residual, gradient) = (of(input), residual.map(of), of(gradient));
            let forward = conv_bn::forward(
                isa,
                conv,
                Input::Ready(&input),
                parameters,
                Then::Here { residual: residual.as_deref(), relu },
            );
            let saved = Saved {
                input: Input::Ready(&input),
                convolved: &forward.convolved,
                mean: &forward.mean,
                variance: &forward.variance,
                output: residual.as_ref().map(|_| &**made(&forward.output)),
                sums: None,
                origin: None,
            };
            let found = conv_bn::backward(
                isa,
                conv,
                parameters,
                saved,
                relu,
                &gradient,
                Wanted { input: InputGradient::Wanted, weights: None },
            );
            let mut all = vec![
                singles(made(&forward.output)),
                forward.mean,
                forward.variance,
                found.weights.to_vec(),
                found.gamma,
                found.beta,
            ];
            all.push(singles(&found.input.expect("asked for")));
            all.extend(found.residual.map(|residual| singles(&residual)));
            all
        }
        let expected = all::<f32>(
            Isa::available()[0],
            &conv,
            parameters,
            relu,
            &input,
            residual.as_deref(),
            &gradient,
        );
        for isa in Isa::available() {
            let found =
                all::<bf16>(isa, &conv, parameters, relu, &input, residual.as_deref(), &gradient);
            for (which, (found, expected)) in found.iter().zip(&expected).enumerate() {
                // Statistics come from f32 sums of the same values. What is stored is rounded by up
                // to 2⁻⁸ of itself a time, as are the convolved values that the backward pass
                // starts from, and where those are next to zero ReLU decides otherwise for one
                // value in some hundred, which then is wrong by all of itself.
                let bound = if (1..=2).contains(&which) { 1e-5 } else { 0.05 };
                let off = distance(found, expected);
                assert!(off <= bound, "{isa} {conv:?} {which}: off by {off:e}");
            }
        }
    }
}

#[test]
fn statistics_survive_a_mean_far_from_zero() {
    statistics_survive::<f32>(1.0);
    statistics_survive::<bf16>(16.0);
}

fn statistics_survive<T: Element>(spread: f32) {
    // Every input is 1000 plus noise, so that sums of squares would lose the variance in f32.
    let conv = same(7, [9, 9], [1, 2], 1, 1);
    let input: Vec<T> = noise(1, conv.batch * conv.in_image())
        .iter()
        .map(|value| T::rounded(1000.0 + spread * value))
        .collect();
    let mean =
        input.iter().map(|&value| f64::from(value.widened())).sum::<f64>() / input.len() as f64;
    let square = |value: &T| (f64::from(value.widened()) - mean).powi(2);
    let variance = input.iter().map(square).sum::<f64>() / input.len() as f64;
    let parameters = Parameters { weights: &[1.0, 1.0], gamma: &[1.0, 1.0], beta: &[0.0, 0.0] };
    for isa in Isa::available() {
        let found = conv_bn::forward(
            isa,
            &conv,
            Input::Ready(&input),
            parameters,
            Then::Here { residual: None, relu: false },
        );
        assert!((f64::from(found.mean[0]) - mean).abs() <= mean * 2f64.powi(-23), "{isa}");
        assert!((f64::from(found.variance[1]) - variance).abs() <= variance * 1e-5, "{isa}");
    }
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    threads_do_not_matter::<f32>();
    threads_do_not_matter::<bf16>();
}

fn threads_do_not_matter<T: Element>() {
    for conv in [
        same(137, [8, 8], [5, 20], 3, 1),
        same(137, [8, 8], [16, 20], 3, 1),
        same(150, [8, 8], [130, 129], 3, 1),
        same(70, [32, 32], [16, 32], 3, 2),
    ] {
        threads_do_not_matter_to::<T>(&conv);
    }
}

fn threads_do_not_matter_to<T: Element>(conv: &Conv) {
    let Conv { inputs, outputs, .. } = *conv;
    let input: Vec<T> = stored(1, conv.batch * conv.in_image());
    let lens = [(2, outputs * inputs * 9), (3, outputs), (4, outputs)];
    let [weights, gamma, beta] = lens.map(|(seed, len)| noise(seed, len));
    let gradient: Vec<T> = stored(5, conv.batch * conv.out_image());
    let parameters = Parameters { weights: &weights, gamma: &gamma, beta: &beta };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let isa = Isa::best();
            let forward = conv_bn::forward(
                isa,
                conv,
                Input::Ready(&input),
                parameters,
                Then::Here { residual: Some(&gradient), relu: true },
            );
            let saved = Saved {
                input: Input::Ready(&input),
                convolved: &forward.convolved,
                mean: &forward.mean,
                variance: &forward.variance,
                output: Some(made(&forward.output)),
                sums: None,
                origin: None,
            };
            let found = conv_bn::backward(
                isa,
                conv,
                parameters,
                saved,
                true,
                &gradient,
                Wanted { input: InputGradient::Wanted, weights: None },
            );
            let mut all = singles(made(&forward.output));
            all.extend(
                forward.mean.iter().chain(&forward.variance).chain(&found.gamma).chain(&found.beta),
            );
            all.extend(singles(&found.input.expect("asked for")).iter().chain(&*found.weights));
            all.iter().map(|value| value.to_bits()).collect::<Vec<u32>>()
        })
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert!(one == run(threads), "{threads} threads");
    }
}

/// A convolution of what an earlier one has left to it, against the same of what that one would
/// have made.
#[test]
fn left_to_the_next_convolution_is_made_before_it() {
    left_to_the_next::<f32>();
    left_to_the_next::<bf16>();
}

fn left_to_the_next<T: Element + PartialEq>() {
    let first = same(9, [8, 7], [5, 20], 3, 2);
    let second = same(9, [4, 4], [20, 33], 3, 1);
    let input_of_first: Vec<T> = stored(1, first.batch * first.in_image());
    let weights = [noise(2, 20 * 45), noise(3, 33 * 180)];
    let [gamma, beta] = [noise(4, 33), noise(5, 33)];
    let gradient: Vec<T> = stored(6, second.batch * second.out_image());
    let parameters = [&weights[0], &weights[1]].map(|weights| {
        (weights.as_slice(), weights.len() / if weights.len() == 900 { 45 } else { 180 })
    });
    let parameters = parameters.map(|(weights, of)| Parameters {
        weights,
        gamma: &gamma[..of],
        beta: &beta[..of],
    });
    for isa in Isa::available() {
        let here = Then::Here { residual: None, relu: true };
        let whole =
            conv_bn::forward(isa, &first, Input::Ready(&input_of_first), parameters[0], here);
        let left =
            conv_bn::forward(isa, &first, Input::Ready(&input_of_first), parameters[0], Then::Next);
        assert!(left.output.is_none() && *left.convolved == *whole.convolved, "{isa}");
        let channels = Channels::new(
            &left.mean,
            &left.variance,
            parameters[0].gamma,
            parameters[0].beta,
            EPSILON,
        );
        let results =
            [Input::Ready(made(&whole.output)), Input::Convolved(&left.convolved, &channels)].map(
                |input| {
                    let forward = conv_bn::forward(isa, &second, input, parameters[1], here);
                    let (convolved, output) = (&*forward.convolved, None);
                    let saved = Saved {
                        input,
                        convolved,
                        mean: &forward.mean,
                        variance: &forward.variance,
                        output,
                        sums: None,
                        origin: None,
                    };
                    let wanted = Wanted { input: InputGradient::Wanted, weights: None };
                    let found = conv_bn::backward(
                        isa,
                        &second,
                        parameters[1],
                        saved,
                        true,
                        &gradient,
                        wanted,
                    );
                    assert_eq!(found.before.is_some(), matches!(input, Input::Convolved(..)));
                    let of_input = found.input.expect("wanted");
                    if let Some(sums) = &found.before {
                        // The first one's sums, come from the second, are those that it finds
                        // itself.
                        let [given, own] = [Some(sums), None].map(|sums| {
                            let (convolved, mean, variance) =
                                (&*left.convolved, &left.mean, &left.variance);
                            let saved = Saved {
                                input: Input::Ready(&input_of_first),
                                convolved,
                                mean,
                                variance,
                                output: None,
                                sums,
                                origin: None,
                            };
                            let found = conv_bn::backward(
                                isa,
                                &first,
                                parameters[0],
                                saved,
                                true,
                                &of_input,
                                wanted,
                            );
                            (
                                singles(&found.input.expect("wanted")),
                                found.weights.to_vec(),
                                found.gamma,
                                found.beta,
                            )
                        });
                        assert!(given == own, "{isa}");
                    }
                    (singles(made(&forward.output)), singles(&of_input), found.weights.to_vec())
                },
            );
        assert!(results[0] == results[1], "{isa}");
    }
}

/// The sums that a convolution takes for the one whose output behind ReLU it reads, and the
/// gradient that it lets pass, are those which that one finds itself.
#[test]
fn sums_for_what_made_the_input_are_its_own() {
    sums_for_the_origin::<f32>();
    sums_for_the_origin::<bf16>();
}

fn sums_for_the_origin<T: Element + PartialEq>() {
    let first = same(9, [8, 7], [5, 20], 3, 2);
    let second = same(9, [4, 4], [20, 33], 3, 1);
    let input: Vec<T> = stored(1, first.batch * first.in_image());
    let [residual, gradient] =
        [(6, first.batch * first.out_image()), (7, second.batch * second.out_image())]
            .map(|(seed, len)| stored::<T>(seed, len));
    let (weights, [gamma, beta]) =
        ([noise(2, 20 * 45), noise(3, 33 * 180)], [noise(4, 33), noise(5, 33)]);
    let parameters = [(&weights[0], 20), (&weights[1], 33)].map(|(weights, of)| Parameters {
        weights,
        gamma: &gamma[..of],
        beta: &beta[..of],
    });
    let wanted = Wanted { input: InputGradient::Wanted, weights: None };
    for isa in Isa::available() {
        for residual in [None, Some(&*residual)] {
            let then = Then::Here { residual, relu: true };
            let made_of = conv_bn::forward(isa, &first, Input::Ready(&input), parameters[0], then);
            let output = made(&made_of.output);
            let channels = Channels::new(
                &made_of.mean,
                &made_of.variance,
                parameters[0].gamma,
                parameters[0].beta,
                EPSILON,
            );
            let here = Then::Here { residual: None, relu: true };
            let forward = conv_bn::forward(isa, &second, Input::Ready(output), parameters[1], here);
            let results = [None, Some((&*made_of.convolved, &channels))].map(|origin| {
                let saved = Saved {
                    input: Input::Ready(output),
                    convolved: &forward.convolved,
                    mean: &forward.mean,
                    variance: &forward.variance,
                    output: None,
                    sums: None,
                    origin,
                };
                let found =
                    conv_bn::backward(isa, &second, parameters[1], saved, true, &gradient, wanted);
                assert_eq!(found.before.is_some(), origin.is_some());
                let of_output = found.input.expect("wanted");
                let saved = Saved {
                    input: Input::Ready(&input),
                    convolved: &made_of.convolved,
                    mean: &made_of.mean,
                    variance: &made_of.variance,
                    output: residual.map(|_| &**output),
                    sums: found.before.as_ref(),
                    origin: None,
                };
                let own =
                    conv_bn::backward(isa, &first, parameters[0], saved, true, &of_output, wanted);
                let of_residual =
                    residual.map(|_| singles(own.residual.as_deref().unwrap_or(&of_output)));
                (
                    singles(&own.input.expect("wanted")),
                    own.weights.to_vec(),
                    own.gamma,
                    own.beta,
                    of_residual,
                )
            });
            assert!(results[0] == results[1], "{isa}");
        }
    }
}

/// A scratch that has served images of 8 × 8 serves those of 7 × 7, whose frame is as large where
/// it is of whole tiles.
#[test]
fn a_scratch_serves_one_size_after_the_other() {
    let [large, small] = [8, 7].map(|side| same(2, [side, side], [16, 16], 3, 1));
    let weights = short(2, 16 * 144);
    for isa in Isa::available() {
        let mut scratch = Scratch::default();
        let [mut first, mut second] =
            [&large, &small].map(|conv| vec![0.0f32; conv.batch * conv.out_image()]);
        let prepared = Prepared::new(isa, &large, &weights);
        prepared.forward(
            Input::Ready(&noise(1, first.len())),
            After::Moments,
            &mut scratch,
            &mut first,
        );
        let input = noise(3, second.len());
        let prepared = Prepared::new(isa, &small, &weights);
        prepared.forward(Input::Ready(&input), After::Moments, &mut scratch, &mut second);
        let (alone, _) = conv::forward(isa, &small, Input::Ready(&input), &weights, After::Moments);
        assert!(*second == *alone, "{isa}");
    }
}
