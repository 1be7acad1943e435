//! The networks of a method as named parts: backbone, heads, queues and slow copies.

use std::collections::BTreeMap;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use selfsame_nn::layers::Init;
use selfsame_nn::state::{self, VisitNamed};
use selfsame_nn::{Backbone, EncoderConfig, Mlp, Norms};

use crate::momentum;

const BACKBONE: &str = "backbone";
const PROJECTOR: &str = "projector";
/// Prefix of the names of the slow copies, which form a momentum encoder.
const SLOW: &str = "momentum.";

/// Everything that a method trains or carries from one step to the next, as named parts.
///
/// A checkpoint holds all parts. There, the name of a part is the prefix of the names of its
/// tensors, as in `projector.layers.0.weight`. Every method has a part `backbone`, the encoder that
/// training produces. The other parts are up to the method: most methods have a `projector`, and a
/// decoder or a discriminator is added in the same way.
///
/// ```
/// use burn::tensor::Device;
/// use selfsame_methods::Networks;
/// use selfsame_nn::layers::Init;
/// use selfsame_nn::{Architecture, Mlp, Norms, Precision, ResNetConfig, Stem, state};
///
/// let encoder = ResNetConfig {
///     architecture: Architecture::ResNet18,
///     stem: Stem::Cifar,
///     width: 2,
///     precision: Precision::F32,
/// };
/// let device = Device::flex();
/// let mut init = Init::new(1, &device);
/// // Maps the 16 values per image of this encoder to 8 × 8 pixels of three channels.
/// let decoder = Mlp::new(&[16, 32, 8 * 8 * 3], Norms::Hidden, &mut init);
/// let networks = Networks::new(&encoder.into(), &mut init).with("decoder", decoder);
/// assert!(state::read(&networks).contains_key("decoder.layers.1.bias"));
/// ```
#[derive(Clone, Debug)]
pub struct Networks {
    parts: BTreeMap<String, Part>,
}

/// One part of [`Networks`].
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "networks have few parts, and Burn boxes no module")]
pub enum Part {
    /// An encoder, which maps images to embeddings.
    Backbone(Backbone),
    /// A perceptron on embeddings, such as a projector, a predictor, a small decoder or a small
    /// discriminator.
    Mlp(Mlp),
    /// Embeddings of earlier steps, `[count, dim]`.
    Queue(Param<Tensor<2>>),
}

impl From<Mlp> for Part {
    fn from(mlp: Mlp) -> Self {
        Self::Mlp(mlp)
    }
}

impl Part {
    /// Returns a copy without gradients, whose running statistics are its own.
    fn apart(&self) -> Self {
        // A clone shares running statistics with the original; `valid` gives the copy its own.
        self.valid().train().no_grad()
    }
}

impl Networks {
    /// Creates an encoder with initial weights and no other part.
    pub fn new(encoder: &EncoderConfig, init: &mut Init<'_>) -> Self {
        let backbone = Part::Backbone(encoder.init(init));
        Self { parts: BTreeMap::from([(BACKBONE.to_owned(), backbone)]) }
    }

    /// Creates an encoder with a projector, which is a sequence of linear maps with `widths`
    /// outputs.
    ///
    /// # Panics
    /// If there are no `widths`.
    pub fn with_projector(
        encoder: &EncoderConfig,
        widths: &[usize],
        norms: Norms,
        init: &mut Init<'_>,
    ) -> Self {
        let encoded = Self::new(encoder, init);
        let widths = [&[encoder.dim()], widths].concat();
        encoded.with(PROJECTOR, Mlp::new(&widths, norms, init))
    }

    /// Adds `part` under `name`, replacing any part that already has that name.
    ///
    /// # Panics
    /// If `name` is empty or has a full stop, which separates it from the names of its tensors, or
    /// if the part called `backbone` would be no encoder.
    pub fn with(self, name: &str, part: impl Into<Part>) -> Self {
        let part = part.into();
        assert!(!name.is_empty() && !name.contains('.'), "{name:?} is no name of a part");
        assert!(
            name != BACKBONE || matches!(part, Part::Backbone(_)),
            "the part {BACKBONE:?} is an encoder"
        );
        self.insert(name.to_owned(), part)
    }

    fn insert(mut self, name: String, part: Part) -> Self {
        self.parts.insert(name, part);
        self
    }

    /// Adds a queue of `rows`, `[count, dim]`, under `name`, replacing any part that already has
    /// that name. No gradient moves the rows.
    ///
    /// # Panics
    /// See [`with`](Self::with).
    pub fn with_queue(self, name: &str, rows: Tensor<2>) -> Self {
        self.with(name, Part::Queue(Param::from_tensor(rows.detach()).no_grad()))
    }

    /// Adds a momentum encoder: slow copies of backbone and projector, which are equal to the
    /// originals at first. Their names are `momentum.backbone` and `momentum.projector`.
    ///
    /// # Panics
    /// If there is no projector.
    pub fn with_momentum(self) -> Self {
        [BACKBONE, PROJECTOR].into_iter().fold(self, |networks, name| {
            let copy = networks.parts[name].apart();
            networks.insert(format!("{SLOW}{name}"), copy)
        })
    }

    /// Moves each slow copy towards the part that it copies: `momentum` · slow + (1 − `momentum`) ·
    /// fast.
    pub fn follow(self, momentum: f64) -> Self {
        let copied = self.parts.iter().filter(|(name, _)| !name.starts_with(SLOW));
        let fast: BTreeMap<_, _> =
            copied.map(|(name, part)| (name.clone(), part.clone())).collect();
        self.map_parts(|name, part| match name.strip_prefix(SLOW) {
            Some(copied) => momentum::follow(part, &fast[copied], momentum),
            None => part,
        })
    }

    /// Returns networks in which only the parts that `trains` accepts have gradients and move their
    /// running statistics. All other parts are copies whose running statistics are their own. A
    /// slow copy goes with the part that it copies.
    pub fn train_only(&self, trains: impl Fn(&str) -> bool) -> Self {
        self.clone().map_parts(|name, part| match trains(name.strip_prefix(SLOW).unwrap_or(name)) {
            true => part,
            false => part.apart(),
        })
    }

    /// Returns a copy without gradients, whose running statistics are its own.
    pub fn apart(&self) -> Self {
        self.clone().map_parts(|_, part| part.apart())
    }

    /// Returns the names of the parts that have weights for gradients to move.
    pub fn trainable(&self) -> impl Iterator<Item = &str> {
        let trainable = |part: &Part| {
            let mut found = Trainable(false);
            state::visit(part, &mut found);
            found.0
        };
        self.parts.iter().filter(move |(_, part)| trainable(part)).map(|(name, _)| name.as_str())
    }

    /// Returns the encoder that training produces.
    pub fn backbone(&self) -> &Backbone {
        self.encoder(BACKBONE)
    }

    /// Returns the perceptron called `name`.
    ///
    /// # Panics
    /// If no part has that name, or if the part is not a perceptron.
    pub fn mlp(&self, name: &str) -> &Mlp {
        match self.parts.get(name) {
            Some(Part::Mlp(mlp)) => mlp,
            _ => panic!("the method has no perceptron {name:?}"),
        }
    }

    /// Returns the rows of the queue called `name`, `[count, dim]`, newest first.
    ///
    /// # Panics
    /// If no part has that name, or if the part is not a queue.
    pub fn queue(&self, name: &str) -> Tensor<2> {
        match self.parts.get(name) {
            Some(Part::Queue(rows)) => rows.val(),
            _ => panic!("the method has no queue {name:?}"),
        }
    }

    /// Passes images `[images, height, width, 3]` through backbone and projector, to `[images,
    /// dim]`.
    ///
    /// # Panics
    /// If there is no projector.
    pub fn project(&self, images: Tensor<4>) -> Tensor<2> {
        self.mlp(PROJECTOR).forward(self.backbone().forward(images))
    }

    /// Passes images through the momentum encoder, the slow copies of backbone and projector.
    ///
    /// # Panics
    /// If there is no momentum encoder.
    pub fn project_momentum(&self, images: Tensor<4>) -> Tensor<2> {
        let [backbone, projector] = [BACKBONE, PROJECTOR].map(|name| format!("{SLOW}{name}"));
        self.mlp(&projector).forward(self.encoder(&backbone).forward(images))
    }

    /// Applies [`project`](Self::project) to all views as one batch, so that batch normalisation
    /// takes its statistics over all views.
    ///
    /// # Panics
    /// If there is no projector, or no view.
    pub fn project_together(&self, views: &[Tensor<4>]) -> Vec<Tensor<2>> {
        let z = self.project(Tensor::cat(views.to_vec(), 0));
        let [rows, _] = z.dims();
        z.split(rows / views.len(), 0)
    }

    /// Applies [`project`](Self::project) to one view after the other.
    ///
    /// # Panics
    /// If there is no projector.
    pub fn project_each(&self, views: &[Tensor<4>]) -> Vec<Tensor<2>> {
        views.iter().map(|view| self.project(view.clone())).collect()
    }

    fn encoder(&self, name: &str) -> &Backbone {
        match self.parts.get(name) {
            Some(Part::Backbone(backbone)) => backbone,
            _ => panic!("the method has no encoder {name:?}"),
        }
    }

    fn map_parts(self, mut change: impl FnMut(&str, Part) -> Part) -> Self {
        let change = |(name, part): (String, Part)| {
            let part = change(&name, part);
            (name, part)
        };
        Self { parts: self.parts.into_iter().map(change).collect() }
    }
}

/// Whether a weight that gradients move was visited.
struct Trainable(bool);

impl VisitNamed for Trainable {
    fn tensor<const D: usize>(&mut self, _name: &str, param: &Param<Tensor<D>>) {
        self.0 |= param.is_require_grad();
    }
}

/// The implementation that Burn would derive for a struct whose fields are the parts.
impl Module for Networks {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.parts.values().fold(devices, |devices, part| part.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        self.map_parts(|_, part| part.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_parts(|_, part| part.to_device(device))
    }

    fn train(self) -> Self {
        self.map_parts(|_, part| part.train())
    }

    fn valid(&self) -> Self {
        self.clone().map_parts(|_, part| part.valid())
    }

    fn materialize(self) -> Self {
        self.map_parts(|_, part| part.materialize())
    }

    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        for (name, part) in &self.parts {
            visitor.enter_module(name, "Struct:Networks");
            part.visit(visitor);
            visitor.exit_module(name, "Struct:Networks");
        }
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        self.map_parts(|name, part| {
            mapper.enter_module(name, "Struct:Networks");
            let part = part.map(mapper);
            mapper.exit_module(name, "Struct:Networks");
            part
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use selfsame_nn::MlpConfig;

    fn add(name: &str) -> Networks {
        let device = Device::flex();
        let mut init = Init::new(0, &device);
        let encoder = MlpConfig { width: 2, image_size: 1 }.into();
        let part = Mlp::new(&[2, 2], Norms::None, &mut init);
        Networks::new(&encoder, &mut init).with(name, part)
    }

    #[test]
    #[should_panic(expected = "\"momentum.decoder\" is no name of a part")]
    fn a_part_cannot_pass_as_a_slow_copy() {
        add("momentum.decoder");
    }

    #[test]
    #[should_panic(expected = "the part \"backbone\" is an encoder")]
    fn the_backbone_is_an_encoder() {
        add("backbone");
    }
}
