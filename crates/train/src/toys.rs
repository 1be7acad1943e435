//! Methods for tests, of kinds that the library does not have yet: methods with two objectives that
//! train different parts, and with losses on pixels.

use burn::tensor::activation::softplus;
use burn::tensor::{Tensor, TensorData};
use rand::RngExt;
use selfsame_methods::losses::Loss;
use selfsame_methods::{Batch, ConfigError, Method, Microbatch, Networks, Objective};
use selfsame_nn::layers::Init;
use selfsame_nn::{EncoderConfig, Mlp, Norms};

/// Side, in pixels, of the images that the toy methods generate.
pub(crate) const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE * 3;
const NOISE: usize = 4;

fn loss(name: &'static str, value: Tensor<1>) -> Loss {
    Loss { value: value.clone(), terms: vec![(name, value)] }
}

fn flat(images: &Tensor<4>) -> Tensor<2> {
    images.clone().reshape([-1, PIXELS as i32])
}

/// A generative adversarial network (Goodfellow et al. 2014): the encoder and a head tell real
/// images from generated images, and the generator learns to deceive them.
pub(crate) struct Adversarial;

struct Discriminate;

struct Generate;

impl Method for Adversarial {
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    fn views(&self) -> usize {
        1
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        let networks = Networks::new(encoder, init);
        let head = Mlp::new(&[encoder.dim(), 1], Norms::None, init);
        let generator = Mlp::new(&[NOISE, 16, PIXELS], Norms::Hidden, init);
        networks.with("head", head).with("generator", generator)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(Discriminate), Box::new(Generate)]
    }
}

/// Returns logits, `[images, 1]`. A logit is positive if the discriminator takes the input for a
/// real image.
fn logits(networks: &Networks, images: Tensor<4>) -> Tensor<2> {
    networks.mlp("head").forward(networks.backbone().forward(images))
}

/// Returns as many images as `images` has.
fn generated(networks: &Networks, images: &Microbatch<'_>) -> Tensor<4> {
    let like = &images.views[0];
    let noise = images.random().flat_map(|mut random| {
        std::array::from_fn::<f32, NOISE, _>(|_| random.random_range(-1.0..1.0))
    });
    let shape = [images.rows.len(), NOISE];
    let noise = Tensor::from_data(TensorData::new(noise.collect(), shape), &like.device());
    networks.mlp("generator").forward(noise).reshape(like.dims())
}

impl Objective for Discriminate {
    fn trains(&self, part: &str) -> bool {
        part == "backbone" || part == "head"
    }

    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        let generated = generated(networks, images);
        vec![logits(networks, images.views[0].clone()), logits(networks, generated)]
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let [real, generated] = batch.pair();
        loss("discriminator", (softplus(-real, 1.0) + softplus(generated, 1.0)).mean())
    }

    fn pair<'a>(&self, _embeddings: &'a [Tensor<2>]) -> Option<[&'a Tensor<2>; 2]> {
        None
    }
}

impl Objective for Generate {
    fn trains(&self, part: &str) -> bool {
        part == "generator"
    }

    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        vec![logits(networks, generated(networks, images))]
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        loss("generator", softplus(-batch.embeddings[0].clone(), 1.0).mean())
    }

    fn pair<'a>(&self, _embeddings: &'a [Tensor<2>]) -> Option<[&'a Tensor<2>; 2]> {
        None
    }
}

/// An autoencoder that reconstructs one view from the embedding of the other view, and a second
/// decoder that reads the embeddings without changing them.
pub(crate) struct Autoencoder;

struct Reconstruct;

struct Read;

impl Method for Autoencoder {
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    fn networks(&self, encoder: &EncoderConfig, init: &mut Init<'_>) -> Networks {
        let networks = Networks::new(encoder, init);
        let [decoder, reader] =
            [0, 1].map(|_| Mlp::new(&[encoder.dim(), PIXELS], Norms::None, init));
        networks.with("decoder", decoder).with("reader", reader)
    }

    fn objectives(&self) -> Vec<Box<dyn Objective>> {
        vec![Box::new(Reconstruct), Box::new(Read)]
    }
}

fn encode(networks: &Networks, views: &[Tensor<4>]) -> Vec<Tensor<2>> {
    vec![networks.backbone().forward(views[0].clone())]
}

fn distance(images: Tensor<2>, view: &Tensor<4>) -> Tensor<1> {
    (images - flat(view)).powi_scalar(2).mean()
}

/// The decoder is part of the loss, which compares pixels.
impl Objective for Reconstruct {
    fn trains(&self, part: &str) -> bool {
        part == "backbone" || part == "decoder"
    }

    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        encode(networks, images.views)
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let images = batch.networks.mlp("decoder").forward(batch.embeddings[0].clone());
        loss("reconstruction", distance(images, &batch.views[1]))
    }

    fn pair<'a>(&self, _embeddings: &'a [Tensor<2>]) -> Option<[&'a Tensor<2>; 2]> {
        None
    }
}

/// No gradient reaches the embeddings.
impl Objective for Read {
    fn trains(&self, part: &str) -> bool {
        part == "reader"
    }

    fn embed(&self, networks: &Networks, images: &Microbatch<'_>) -> Vec<Tensor<2>> {
        encode(networks, images.views)
    }

    fn loss(&self, batch: &Batch<'_>) -> Loss {
        let images = batch.networks.mlp("reader").forward(batch.embeddings[0].clone());
        loss("reading", distance(images, &batch.views[0]))
    }

    fn pair<'a>(&self, _embeddings: &'a [Tensor<2>]) -> Option<[&'a Tensor<2>; 2]> {
        None
    }
}
