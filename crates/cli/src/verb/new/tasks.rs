//! The built-in tasks of `sweep new --task`.

/// A built-in task, as a sweep file describes it.
pub(super) struct BuiltIn {
    pub title: &'static str,
    /// The sections that define model, data and optimizer.
    pub sections: &'static str,
    pub budget: &'static str,
    pub lrs: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Task {
    /// A small MLP on MNIST (seconds per run)
    Mnist,
    /// An MLP on Fashion-MNIST
    FashionMnist,
    /// A convolutional network on MNIST
    Lenet,
    /// A variational autoencoder on MNIST
    Vae,
    /// A small transformer on the text of a novel
    CharGpt,
    /// A noisy quadratic, whose expected loss has a closed form
    Quadratic,
    /// Linear regression with power-law spectrum, whose expected loss has a closed form
    PowerLawRegression,
}

impl Task {
    pub(super) fn describe(self) -> BuiltIn {
        match self {
            Self::Mnist => MNIST,
            Self::FashionMnist => FASHION_MNIST,
            Self::Lenet => LENET,
            Self::Vae => VAE,
            Self::CharGpt => CHAR_GPT,
            Self::Quadratic => QUADRATIC,
            Self::PowerLawRegression => POWER_LAW_REGRESSION,
        }
    }
}

/// The usual range of SGD with momentum.
pub(super) const SGD: &str = "[0.01, 0.03, 0.1, 0.3]";
/// The usual range of Adam.
pub(super) const ADAM: &str = "[0.0003, 0.001, 0.003, 0.01]";

const MNIST: BuiltIn = BuiltIn {
    title: "a small MLP on MNIST",
    sections: "\
data: {dataset: mnist, batch_size: 64}
model: {kind: mlp, hidden: [128]}
optimizer: {kind: sgd, momentum: 0.9}",
    budget: "{epochs: 2}",
    lrs: SGD,
};

const FASHION_MNIST: BuiltIn = BuiltIn {
    title: "an MLP on Fashion-MNIST",
    sections: "\
data: {dataset: fashion-mnist, batch_size: 64}
model: {kind: mlp, hidden: [256, 128]}
optimizer: {kind: adamw}",
    budget: "{epochs: 5}",
    lrs: ADAM,
};

const LENET: BuiltIn = BuiltIn {
    title: "a convolutional network on MNIST",
    sections: "\
data: {dataset: mnist, batch_size: 64}
model: {kind: lenet}
optimizer: {kind: sgd, momentum: 0.9}",
    budget: "{epochs: 2}",
    lrs: SGD,
};

const VAE: BuiltIn = BuiltIn {
    title: "a variational autoencoder on MNIST",
    sections: "\
data: {dataset: mnist, batch_size: 100}
model: {kind: vae, hidden: [512, 256], latent: 2}
optimizer: {kind: adamw, weight_decay: 0}",
    budget: "{epochs: 10}",
    lrs: ADAM,
};

const CHAR_GPT: BuiltIn = BuiltIn {
    title: "a small transformer on a novel",
    sections: "\
data: {dataset: emma, batch_size: 16}
model: {kind: char-gpt, layers: 4, heads: 4, width: 128, context: 64}
optimizer: {kind: adamw}
clip_norm: 1",
    budget: "{steps: 1000}",
    lrs: ADAM,
};

const QUADRATIC: BuiltIn = BuiltIn {
    title: "a noisy quadratic",
    sections: "\
task: {kind: quadratic}
optimizer: {kind: sgd}",
    budget: "{steps: 500}",
    lrs: "[0.0625, 0.125, 0.25, 0.5]",
};

const POWER_LAW_REGRESSION: BuiltIn = BuiltIn {
    title: "linear regression with a power-law spectrum",
    sections: "\
task: {kind: power-law-regression}
optimizer: {kind: sgd}",
    budget: "{steps: 500}",
    lrs: "[0.0625, 0.125, 0.25, 0.5]",
};
