//! Export of encoders as ONNX files, which map bytes to embeddings.

mod resize;

use std::collections::BTreeMap;

use selfsame_augment::{Isa, Normalise};

use crate::backbone::Backbone;
use crate::layers::BatchNorm;
use crate::protobuf::Message;
use crate::state::{self, State, Values};

/// Versions of the format and of its operators. They are from 2020, so every runtime reads them.
const IR_VERSION: i64 = 7;
const OPERATORS: i64 = 13;
/// Codes of element types.
const FLOAT: i64 = 1;
const UINT8: i64 = 2;
const INT64: i64 = 7;
const DOUBLE: i64 = 11;

/// Returns the bytes of an ONNX file with an encoder in evaluation mode:
///
/// - input `images`, `uint8 [batch, height, width, 3]`: RGB pixels, as they are decoded;
/// - output `embeddings`, `float [batch, dim]`.
///
/// The graph brings the centre square of images of any size to `image_size` pixels a side, as data
/// sets do, and normalises pixels by ImageNet's statistics. The batch size is free, too. `metadata`
/// is stored with the model, for people and programs to read.
///
/// # Panics
/// If the encoder takes images of another size only.
///
/// ```
/// use std::collections::BTreeMap;
/// use selfsame_nn::layers::Init;
/// use selfsame_nn::{EncoderConfig, MlpConfig, onnx};
///
/// let config = EncoderConfig::from(MlpConfig { width: 2, image_size: 32 });
/// let encoder = config.init(&mut Init::new(0, &burn::tensor::Device::flex()));
/// let metadata = BTreeMap::from([("architecture".to_owned(), "mlp".to_owned())]);
/// let file = onnx::model(&encoder, 32, &metadata);
/// assert!(file.windows(10).any(|bytes| bytes == b"embeddings"));
/// ```
pub fn model(
    encoder: &Backbone,
    image_size: usize,
    metadata: &BTreeMap<String, String>,
) -> Vec<u8> {
    let only = encoder.image_size();
    assert!(only.is_none_or(|size| size == image_size), "the encoder takes images of another size");
    let state = state::read(encoder);
    let mut graph =
        Graph { state: &state, message: Message::default().bytes(2, "encoder"), nodes: 0 };
    let squares = graph.squares(image_size);
    let pixels = graph.normalised(&squares);
    match encoder {
        Backbone::ResNet(_) => graph.resnet(pixels),
        Backbone::Mlp(_) => graph.perceptron(&pixels),
    }
    let dim = encoder.dim().to_string();
    let about = "RGB pixels of images of any size";
    let input = value("images", UINT8, &["batch", "height", "width", "3"], about);
    let output = value("embeddings", FLOAT, &["batch", &dim], "the encoder's representation");
    let graph = graph.message.bytes(11, input).bytes(12, output);
    let model = Message::default()
        .int(1, IR_VERSION)
        .bytes(2, "selfsame")
        .bytes(3, env!("CARGO_PKG_VERSION"))
        .bytes(7, graph)
        .bytes(8, Message::default().bytes(1, "").int(2, OPERATORS));
    let entry = |(key, value): (&String, &String)| Message::default().bytes(1, key).bytes(2, value);
    metadata.iter().map(entry).fold(model, |model, entry| model.bytes(14, entry)).into_bytes()
}

/// A GraphProto under construction. Each node has the name of its output.
struct Graph<'a> {
    state: &'a State,
    message: Message,
    nodes: usize,
}

impl Graph<'_> {
    /// Adds a residual network, from normalised pixels to embeddings.
    fn resnet(&mut self, pixels: String) {
        let mut x = self.stem(&pixels);
        for stage in 1..=4 {
            let named = |block: usize| format!("layer{stage}.{block}");
            for block in 0.. {
                if !self.state.contains_key(&format!("{}.conv1.weight", named(block))) {
                    break;
                }
                x = self.block(&named(block), if stage > 1 && block == 0 { 2 } else { 1 }, x);
            }
        }
        let pooled = self.node("GlobalAveragePool", &[&x], &[]);
        self.add("Flatten", &[&pooled], "embeddings", &[integer("axis", 1)]);
    }

    /// Adds a multilayer perceptron, from normalised pixels to embeddings.
    fn perceptron(&mut self, pixels: &str) {
        let interleaved = self.node("Transpose", &[pixels], &[integers("perm", &[0, 2, 3, 1])]);
        let mut x = self.node("Flatten", &[&interleaved], &[integer("axis", 1)]);
        let layers = self
            .state
            .keys()
            .filter(|name| name.starts_with("layers.") && name.ends_with(".weight"));
        let layers = layers.count();
        for layer in 0..layers {
            let [weight, bias] = ["weight", "bias"].map(|part| format!("layers.{layer}.{part}"));
            for name in [&weight, &bias] {
                self.initializer(name, &self.state[name]);
            }
            x = self.node("Gemm", &[&x, &weight, &bias], &[integer("transB", 1)]);
            x = self.batch_norm(&format!("norms.{layer}"), &x);
            if layer + 1 < layers {
                x = self.node("Relu", &[&x], &[]);
            }
        }
        self.add("Relu", &[&x], "embeddings", &[]);
    }

    /// Adds the map from levels to normalised pixels, channels first.
    fn normalised(&mut self, levels: &str) -> String {
        // Normalising is linear, so two points determine it.
        let [mut low, mut high] = [[0.0; 3]; 2];
        Normalise::IMAGENET.apply(Isa::best(), &[0; 3], &mut low);
        Normalise::IMAGENET.apply(Isa::best(), &[255; 3], &mut high);
        let scale = std::array::from_fn::<_, 3, _>(|c| {
            ((f64::from(high[c]) - f64::from(low[c])) / 255.0) as f32
        });
        self.initializer("scale", &Values { shape: vec![3, 1, 1], values: scale.to_vec() });
        self.initializer("shift", &Values { shape: vec![3, 1, 1], values: low.to_vec() });
        let scaled = self.node("Mul", &[levels, "scale"], &[]);
        self.node("Add", &[&scaled, "shift"], &[])
    }

    /// Adds the map from normalised pixels to the input of the first block.
    fn stem(&mut self, pixels: &str) -> String {
        let for_large = self.state["conv1.weight"].shape[2] == 7;
        let mut x = self.conv_bn("conv1", "bn1", if for_large { 2 } else { 1 }, pixels);
        x = self.node("Relu", &[&x], &[]);
        if for_large {
            let window = [
                integers("kernel_shape", &[3, 3]),
                integers("strides", &[2, 2]),
                integers("pads", &[1, 1, 1, 1]),
            ];
            x = self.node("MaxPool", &[&x], &window);
        }
        x
    }

    /// Adds a basic block or a bottleneck.
    fn block(&mut self, name: &str, stride: i64, x: String) -> String {
        let named = |part: &str| format!("{name}.{part}");
        let bottleneck = self.state.contains_key(&named("conv3.weight"));
        let (first, second) = if bottleneck { (1, stride) } else { (stride, 1) };
        let mut y = self.conv_bn(&named("conv1"), &named("bn1"), first, &x);
        y = self.node("Relu", &[&y], &[]);
        y = self.conv_bn(&named("conv2"), &named("bn2"), second, &y);
        if bottleneck {
            y = self.node("Relu", &[&y], &[]);
            y = self.conv_bn(&named("conv3"), &named("bn3"), 1, &y);
        }
        let identity = match self.state.contains_key(&named("downsample.0.weight")) {
            true => self.conv_bn(&named("downsample.0"), &named("downsample.1"), stride, &x),
            false => x,
        };
        let sum = self.node("Add", &[&y, &identity], &[]);
        self.node("Relu", &[&sum], &[])
    }

    /// Adds a convolution with batch normalisation.
    fn conv_bn(&mut self, conv: &str, bn: &str, stride: i64, x: &str) -> String {
        let state = self.state;
        let weight = format!("{conv}.weight");
        let kernel = state[&weight].shape[2] as i64;
        self.initializer(&weight, &state[&weight]);
        let window = [
            integers("kernel_shape", &[kernel; 2]),
            integers("strides", &[stride; 2]),
            integers("pads", &[kernel / 2; 4]),
        ];
        let y = self.node("Conv", &[x, &weight], &window);
        self.batch_norm(bn, &y)
    }

    /// Adds batch normalisation with the running statistics.
    fn batch_norm(&mut self, bn: &str, x: &str) -> String {
        let inputs =
            ["weight", "bias", "running_mean", "running_var"].map(|part| format!("{bn}.{part}"));
        for name in &inputs {
            self.initializer(name, &self.state[name]);
        }
        let [weight, bias, mean, variance] = &inputs;
        let epsilon = attribute("epsilon", 1).float(2, BatchNorm::EPSILON as f32);
        self.node("BatchNormalization", &[x, weight, bias, mean, variance], &[epsilon])
    }

    /// Adds a node and returns the name of its output.
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[Message]) -> String {
        let output = format!("{operator}_{}", self.nodes);
        self.add(operator, inputs, &output, attributes);
        output
    }

    fn add(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: &[Message]) {
        self.nodes += 1;
        let node = inputs.iter().fold(Message::default(), |node, input| node.bytes(1, input));
        let node = node.bytes(2, output).bytes(3, output).bytes(4, operator);
        self.push(1, attributes.iter().fold(node, |node, attribute| node.bytes(5, attribute)));
    }

    /// Adds a tensor of floats.
    fn initializer(&mut self, name: &str, values: &Values) {
        let bytes: Vec<u8> = values.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, FLOAT, &values.shape, &bytes);
    }

    /// Adds a constant as a TensorProto. `bytes` are its values, low bytes first.
    fn constant(&mut self, name: &str, kind: i64, shape: &[usize], bytes: &[u8]) {
        let tensor = Message::default().ints(1, shape.iter().map(|&size| size as i64));
        self.push(5, tensor.int(2, kind).bytes(8, name).bytes(9, bytes));
    }

    fn push(&mut self, field: u32, message: Message) {
        self.message = std::mem::take(&mut self.message).bytes(field, message);
    }
}

/// Creates an AttributeProto without its value. `kind` is 1 for a float, 2 for an integer, and 7
/// for integers.
fn attribute(name: &str, kind: i64) -> Message {
    Message::default().bytes(1, name).int(20, kind)
}

fn integer(name: &str, value: i64) -> Message {
    attribute(name, 2).int(3, value)
}

fn integers(name: &str, values: &[i64]) -> Message {
    attribute(name, 7).ints(8, values.iter().copied())
}

/// Creates the ValueInfoProto of a tensor. Each size is a number, or a name if the size is free.
fn value(name: &str, kind: i64, sizes: &[&str], meaning: &str) -> Message {
    let size = |size: &&str| match size.parse() {
        Ok(number) => Message::default().int(1, number),
        Err(_) => Message::default().bytes(2, size),
    };
    let shape = sizes.iter().map(size).fold(Message::default(), |shape, size| shape.bytes(1, size));
    let tensor = Message::default().int(1, kind).bytes(2, shape);
    Message::default()
        .bytes(1, name)
        .bytes(2, Message::default().bytes(1, tensor))
        .bytes(3, meaning)
}
