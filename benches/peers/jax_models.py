"""The models of the rows in JAX: parameters and the loss of a batch."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

LAYERS, WIDTH, HEADS, CONTEXT, ALPHABET = 4, 128, 4, 64, 75


def uniform(rng, *shape, fan_in):
    return jnp.asarray(rng.uniform(-1, 1, shape) / np.sqrt(fan_in), jnp.float32)


def dense(rng, inputs, outputs):
    return [uniform(rng, inputs, outputs, fan_in=inputs), uniform(rng, outputs, fan_in=inputs)]


def conv(rng, inputs, outputs):
    fan_in = inputs * 25
    return [uniform(rng, outputs, inputs, 5, 5, fan_in=fan_in), uniform(rng, outputs, fan_in=fan_in)]


def normal(rng, *shape):
    return jnp.asarray(rng.normal(0, 0.02, shape), jnp.float32)


def norm_init():
    return [jnp.ones(WIDTH), jnp.zeros(WIDTH)]


def block_init(rng):
    def linear(inputs, outputs):
        return [normal(rng, inputs, outputs), jnp.zeros(outputs)]

    return {
        "norm1": norm_init(), "qkv": linear(WIDTH, 3 * WIDTH), "out": linear(WIDTH, WIDTH),
        "norm2": norm_init(), "fc1": linear(WIDTH, 4 * WIDTH), "fc2": linear(4 * WIDTH, WIDTH),
    }  # fmt: skip


def init(kind, seed):
    rng = np.random.default_rng(seed)
    if kind == "mlp":
        return [dense(rng, 784, 128), dense(rng, 128, 10)]
    if kind == "lenet":
        return [conv(rng, 1, 16), conv(rng, 16, 32), dense(rng, 512, 128), dense(rng, 128, 10)]
    if kind == "vae":
        sizes = [(784, 512), (512, 256), (256, 2), (256, 2), (2, 256), (256, 512), (512, 784)]
        return [dense(rng, *size) for size in sizes]
    return {
        "characters": normal(rng, ALPHABET, WIDTH), "places": normal(rng, CONTEXT, WIDTH),
        "blocks": [block_init(rng) for _ in range(LAYERS)],
        "norm": norm_init(), "head": [normal(rng, WIDTH, ALPHABET), jnp.zeros(ALPHABET)],
    }  # fmt: skip


def linear(p, x):
    return x @ p[0] + p[1]


def pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def classify(kind, p, x):
    if kind == "mlp":
        return linear(p[1], jax.nn.relu(linear(p[0], x)))
    x = x.reshape(-1, 1, 28, 28)
    for w, b in p[:2]:
        x = pool(jax.nn.relu(lax.conv(x, w, (1, 1), "VALID") + b[:, None, None]))
    x = jax.nn.relu(linear(p[2], x.reshape(x.shape[0], -1)))
    return linear(p[3], x)


def cross_entropy(logits, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


def vae(p, images, key):
    x = jax.nn.relu(linear(p[1], jax.nn.relu(linear(p[0], images))))
    mean, log_variance = linear(p[2], x), linear(p[3], x)
    y = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
    y = linear(p[6], jax.nn.relu(linear(p[5], jax.nn.relu(linear(p[4], y)))))
    pixels = (jax.nn.softplus(y) - images * y).sum()
    divergence = 0.5 * (mean**2 + jnp.exp(log_variance) - 1 - log_variance).sum()
    return (pixels + divergence) / images.shape[0]


def layer_norm(p, x):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * p[0] + p[1]


def block(p, x, batch):
    def heads(y):
        return y.reshape(batch, CONTEXT, HEADS, WIDTH // HEADS)

    q, k, v = (heads(part) for part in jnp.split(linear(p["qkv"], layer_norm(p["norm1"], x)), 3, -1))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(WIDTH // HEADS).astype(np.float32)
    scores = jnp.where(np.tril(np.ones((CONTEXT, CONTEXT), bool)), scores, -jnp.inf)
    y = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v).reshape(-1, WIDTH)
    x = x + linear(p["out"], y)
    return x + linear(p["fc2"], jax.nn.gelu(linear(p["fc1"], layer_norm(p["norm2"], x)), approximate=False))


def gpt(p, tokens, labels):
    """Rows of all activations are the characters of all windows."""
    x = (p["characters"][tokens] + p["places"]).reshape(-1, WIDTH)
    for one in p["blocks"]:
        x = block(one, x, tokens.shape[0])
    return cross_entropy(linear(p["head"], layer_norm(p["norm"], x)), labels.reshape(-1))


def loss(kind, p, x, y, t):
    """`t` is the step, from which the noise of an autoencoder follows."""
    if kind == "vae":
        return vae(p, x, jax.random.fold_in(jax.random.key(0), t))
    if kind == "char-gpt":
        return gpt(p, x, y)
    return cross_entropy(classify(kind, p, x), y)
