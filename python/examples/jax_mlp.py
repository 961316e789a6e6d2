"""A multi-layer perceptron on MNIST in JAX, with optax. Supports open-loop and closed-loop schedules."""

import jax
import jax.numpy as jnp
import mnist
import optax
import sweep_trial as sweep

trial = sweep.current(steps=300, lr=0.05, params={"data": "data/mnist", "batch_size": 64, "width": 64})

parts = mnist.load(trial.params["data"])
images, labels = parts["train"]
batches = mnist.Batches(len(images), trial.params["batch_size"], trial.seed)

first, second = jax.random.split(jax.random.key(trial.seed))
width = trial.params["width"]
weights = {
    "w1": jax.random.normal(first, (784, width)) * (2 / 784) ** 0.5,
    "b1": jnp.zeros(width),
    "w2": jax.random.normal(second, (width, 10)) * (1 / width) ** 0.5,
    "b2": jnp.zeros(10),
}

# An open-loop schedule is part of the compiled update. The lr of a closed-loop schedule is an argument of each update.
make = optax.inject_hyperparams(optax.sgd, static_args=("momentum",))
optimizer = make(learning_rate=0.0 if trial.closed_loop else trial.optax_schedule(), momentum=0.9)
state = optimizer.init(weights)


def scores(weights, x):
    return jax.nn.relu(x @ weights["w1"] + weights["b1"]) @ weights["w2"] + weights["b2"]


def loss_of(weights, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(scores(weights, x), y).mean()


@jax.jit
def train(weights, state, x, y):
    loss, gradient = jax.value_and_grad(loss_of)(weights, x, y)
    change, state = optimizer.update(gradient, state, weights)
    return optax.apply_updates(weights, change), state, loss, optax.global_norm(gradient)


@jax.jit
def judge(weights, x, y):
    return loss_of(weights, x, y), (scores(weights, x).argmax(1) == y).mean()


def evaluate(part):
    return judge(weights, mnist.scaled(parts[part][0]), parts[part][1])


for step in trial.steps():
    chosen = batches[step]
    if trial.closed_loop:
        state.hyperparams["learning_rate"] = jnp.asarray(trial.lr(step), jnp.float32)
    weights, state, loss, norm = train(weights, state, mnist.scaled(images[chosen]), labels[chosen])
    trial.log(step, train_loss=loss, grad_norm=norm)
    if trial.evaluates(step):
        valid_loss, valid_accuracy = evaluate("valid")
        trial.log(step, valid_loss=valid_loss, valid_accuracy=valid_accuracy)

# The last step is always evaluated.
test_loss, test_accuracy = evaluate("test")
trial.finish(valid_loss, valid_accuracy=valid_accuracy, test_loss=test_loss, test_accuracy=test_accuracy)
