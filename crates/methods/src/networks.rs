use std::collections::BTreeMap;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use selfsame_nn::layers::Init;
use selfsame_nn::{Backbone, EncoderConfig, Mlp, Norms};

use crate::momentum;

const BACKBONE: &str = "backbone";
const PROJECTOR: &str = "projector";
/// Begins the names of the slow copies that a momentum encoder is made of.
const SLOW: &str = "momentum.";

/// Everything that a method trains, or carries from one step to the next, as parts with names.
///
/// All of it is in a checkpoint; the name of a part begins the names of its tensors there, as in
/// `projector.layers.0.weight`. Every method has a part `backbone`, the encoder that training is
/// for. The other parts are up to the method: most have a `projector`, and a decoder or a
/// discriminator is added in the same way.
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
/// // From the 16 values that this encoder gives an image to 8 × 8 pixels of three channels.
/// let decoder = Mlp::new(&[16, 32, 8 * 8 * 3], Norms::Hidden, &mut init);
/// let networks = Networks::new(&encoder.into(), &mut init).with("decoder", decoder);
/// assert!(state::read(&networks).contains_key("decoder.layers.1.bias"));
/// ```
#[derive(Clone, Debug)]
pub struct Networks {
    parts: BTreeMap<String, Part>,
}

/// A part of [`Networks`].
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "networks have few parts, and Burn boxes no module")]
pub enum Part {
    /// An encoder: images to embeddings.
    Backbone(Backbone),
    /// A perceptron on embeddings: a projector, a predictor, a small decoder or discriminator.
    Mlp(Mlp),
    /// Embeddings of earlier steps, `[count, dim]`.
    Queue(Param<Tensor<2>>),
}

impl From<Mlp> for Part {
    fn from(mlp: Mlp) -> Self {
        Self::Mlp(mlp)
    }
}

impl Networks {
    /// An encoder with initial weights, and no other part.
    pub fn new(encoder: &EncoderConfig, init: &mut Init<'_>) -> Self {
        let backbone = Part::Backbone(encoder.init(init));
        Self { parts: BTreeMap::from([(BACKBONE.to_owned(), backbone)]) }
    }

    /// An encoder with a projector: linear maps to `widths` values each.
    pub(crate) fn with_projector(
        encoder: &EncoderConfig,
        widths: &[usize],
        norms: Norms,
        init: &mut Init<'_>,
    ) -> Self {
        let encoded = Self::new(encoder, init);
        let widths = [&[encoder.dim()], widths].concat();
        encoded.with(PROJECTOR, Mlp::new(&widths, norms, init))
    }

    /// The same with one more part, or with `part` in place of the one of that name.
    pub fn with(mut self, name: &str, part: impl Into<Part>) -> Self {
        self.parts.insert(name.to_owned(), part.into());
        self
    }

    /// The same with a queue of `rows`, `[count, dim]`, that no gradient moves, in place of the
    /// one of that name.
    pub fn with_queue(self, name: &str, rows: Tensor<2>) -> Self {
        self.with(name, Part::Queue(Param::from_tensor(rows.detach()).no_grad()))
    }

    /// The same with slow copies of backbone and projector, equal to them for now: a momentum
    /// encoder. Their names are `momentum.backbone` and `momentum.projector`.
    pub(crate) fn with_momentum(self) -> Self {
        [BACKBONE, PROJECTOR].into_iter().fold(self, |networks, name| {
            // By way of `valid`, which gives the copy running statistics of its own.
            let copy = networks.parts[name].valid().train().no_grad();
            networks.with(&format!("{SLOW}{name}"), copy)
        })
    }

    /// Moves the slow copies towards what they are copies of: `momentum` · slow + (1 −
    /// `momentum`) · fast.
    pub(crate) fn follow(self, momentum: f64) -> Self {
        let copied = self.parts.iter().filter(|(name, _)| !name.starts_with(SLOW));
        let fast: BTreeMap<_, _> =
            copied.map(|(name, part)| (name.clone(), part.clone())).collect();
        self.map_parts(|name, part| match name.strip_prefix(SLOW) {
            Some(copied) => momentum::follow(part, &fast[copied], momentum),
            None => part,
        })
    }

    /// The same with gradients for those parts only that `trains` names, which share their weights
    /// and running statistics with these.
    pub fn train_only(&self, trains: impl Fn(&str) -> bool) -> Self {
        self.clone().map_parts(|name, part| if trains(name) { part } else { part.no_grad() })
    }

    /// The names of all parts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// The encoder that training is for.
    pub fn backbone(&self) -> &Backbone {
        self.encoder(BACKBONE)
    }

    /// The perceptron called `name`.
    ///
    /// # Panics
    /// If no part has that name, or it is no perceptron.
    pub fn mlp(&self, name: &str) -> &Mlp {
        match self.parts.get(name) {
            Some(Part::Mlp(mlp)) => mlp,
            _ => panic!("the method has no perceptron {name:?}"),
        }
    }

    /// The rows of the queue called `name`, `[count, dim]`, the newest first.
    ///
    /// # Panics
    /// If no part has that name, or it is no queue.
    pub fn queue(&self, name: &str) -> Tensor<2> {
        match self.parts.get(name) {
            Some(Part::Queue(rows)) => rows.val(),
            _ => panic!("the method has no queue {name:?}"),
        }
    }

    /// Images `[images, height, width, 3]` through backbone and projector, `[images, dim]`.
    pub fn project(&self, images: Tensor<4>) -> Tensor<2> {
        self.mlp(PROJECTOR).forward(self.backbone().forward(images))
    }

    /// The same through the slow copies of the two, the momentum encoder.
    pub fn project_momentum(&self, images: Tensor<4>) -> Tensor<2> {
        let [backbone, projector] = [BACKBONE, PROJECTOR].map(|name| format!("{SLOW}{name}"));
        self.mlp(&projector).forward(self.encoder(&backbone).forward(images))
    }

    /// [`project`](Self::project) on all views as one batch, so that batch normalisation takes its
    /// statistics over all of them.
    pub(crate) fn project_together(&self, views: &[Tensor<4>]) -> Vec<Tensor<2>> {
        let z = self.project(Tensor::cat(views.to_vec(), 0));
        let [rows, _] = z.dims();
        z.split(rows / views.len(), 0)
    }

    /// [`project`](Self::project) on one view after the other.
    pub(crate) fn project_each(&self, views: &[Tensor<4>]) -> Vec<Tensor<2>> {
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

/// As Burn derives it for a struct whose fields are the parts.
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
