//! Times the forward and backward pass of ResNet-18's convolutions: f32 on `avx512` beside bf16 on
//! `avx512bf16`, on one thread. Prints the median and the least of several runs, in milliseconds.

use std::ops::Range;
use std::time::Instant;

use half::bf16;
use selfsame_kernels::conv::{self, After, Conv, Input, InputGradient, Wanted};
use selfsame_kernels::element::Element;
use selfsame_kernels::isa::Isa;
use selfsame_kernels::peak;

const RUNS: usize = 7;
const BATCH: usize = 16;

fn values<T: Element>(len: usize) -> Vec<T> {
    (0..len).map(|at| T::rounded((at * 31 % 251) as f32 / 125.0 - 1.0)).collect()
}

/// Returns the median and the least time, in milliseconds.
fn time(mut work: impl FnMut()) -> [f64; 2] {
    work();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    [times[RUNS / 2], times[0]]
}

fn passes<T: Element>(isa: Isa, conv: &Conv) -> [[f64; 2]; 2] {
    let input: Vec<T> = values(conv.batch * conv.in_image());
    let gradient: Vec<T> = values(conv.batch * conv.out_image());
    let weights: Vec<f32> = values(conv.outputs * conv.inputs * conv.kernel * conv.kernel);
    let image = conv.out_image();
    let fill = |images: Range<usize>, to: &mut [T]| {
        to.copy_from_slice(&gradient[images.start * image..images.end * image]);
    };
    let forward = time(|| {
        conv::forward(isa, conv, Input::Ready(&input), &weights, After::Moments);
    });
    let backward = time(|| {
        let wanted = Wanted { input: InputGradient::Wanted, weights: None };
        conv::backward(isa, conv, Input::Ready(&input), &weights, fill, |_, _| (), wanted);
    });
    [forward, backward]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [single, short] = ["avx512", "avx512bf16"].map(str::parse::<Isa>);
    let (single, short) = (single?, short?);
    println!(
        "peak: f32 {:.0} GFLOP/s, bf16 {:.0} GFLOP/s",
        peak::operations(single, false) / 1e9,
        peak::operations(short, true) / 1e9
    );
    let layers: [[usize; 5]; 12] = [
        [32, 3, 64, 3, 1],
        [32, 64, 64, 3, 1],
        [32, 64, 128, 3, 2],
        [32, 64, 128, 1, 2],
        [16, 128, 128, 3, 1],
        [16, 128, 256, 3, 2],
        [16, 128, 256, 1, 2],
        [8, 256, 256, 3, 1],
        [8, 256, 512, 3, 2],
        [8, 256, 512, 1, 2],
        [4, 512, 512, 3, 1],
        [16, 128, 128, 1, 1],
    ];
    println!("size in→out kernel/stride: f32, bf16 forward; f32, bf16 backward: median (least) ms");
    for [size, inputs, outputs, kernel, stride] in layers {
        let conv = Conv {
            batch: BATCH,
            height: size,
            width: size,
            inputs,
            outputs,
            kernel,
            stride,
            padding: kernel / 2,
        };
        let [a, b] = [passes::<f32>(single, &conv), passes::<bf16>(short, &conv)];
        print!("{size} {inputs}→{outputs} {kernel}/{stride}:");
        for pass in 0..2 {
            let [[f, f_least], [s, s_least]] = [a[pass], b[pass]];
            print!("  {f:.2} ({f_least:.2}) {s:.2} ({s_least:.2}) ×{:.2}", f_least / s_least);
        }
        println!();
    }
    Ok(())
}
