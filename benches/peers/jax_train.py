"""JAX, as fast as it gets on one thread: a jitted lax.scan over steps.

    jax_train.py steps MODEL OPTIMIZER FORM STEPS    microseconds of a step of one trial, after compiling; FORM:
                                                     scan, one trial after another; vmap, 8 trials at once
    jax_train.py runs RUNS.json PART                 trains every second run of a file, and evaluates
"""

import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import json

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import data


def init(kind, seed):
    rng = np.random.default_rng(seed)

    def uniform(*shape, fan_in):
        return jnp.asarray(rng.uniform(-1, 1, shape) / np.sqrt(fan_in), jnp.float32)

    def layer(shape, fan_in, outputs):
        return [uniform(*shape, fan_in=fan_in), uniform(outputs, fan_in=fan_in)]

    if kind == "mlp":
        return [layer((784, 128), 784, 128), layer((128, 10), 128, 10)]
    return [layer((16, 1, 5, 5), 25, 16), layer((32, 16, 5, 5), 400, 32), layer((512, 128), 512, 128), layer((128, 10), 128, 10)]


def pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def logits(kind, p, x):
    if kind == "mlp":
        return jax.nn.relu(x @ p[0][0] + p[0][1]) @ p[1][0] + p[1][1]
    x = x.reshape(-1, 1, 28, 28)
    for w, b in p[:2]:
        x = pool(jax.nn.relu(lax.conv(x, w, (1, 1), "VALID") + b[:, None, None]))
    x = jax.nn.relu(x.reshape(x.shape[0], -1) @ p[2][0] + p[2][1])
    return x @ p[3][0] + p[3][1]


def loss(kind, p, x, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits(kind, p, x)), y[:, None], 1).mean()


def update(rule, p, state, grads, lr, t):
    each = jax.tree_util.tree_map
    if rule == "sgd":
        velocity = each(lambda v, g: 0.9 * v + g, state, grads)
        return each(lambda p, v: p - lr * v, p, velocity), velocity
    first, second = state
    first = each(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
    second = each(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)
    one, two = 1 - 0.9 ** (t + 1), 1 - 0.999 ** (t + 1)
    new = each(lambda p, m, v: p * (1 - lr * 0.01) - lr / one * m / (jnp.sqrt(v / two) + 1e-8), p, first, second)
    return new, (first, second)


def trainer(kind, rule):
    def run(p, images, labels, order, lrs):
        zeros = jax.tree_util.tree_map(jnp.zeros_like, p)
        state = zeros if rule == "sgd" else (zeros, zeros)

        def step(carry, now):
            p, state = carry
            indices, lr, t = now
            value, grads = jax.value_and_grad(lambda p: loss(kind, p, images[indices], labels[indices]))(p)
            return update(rule, p, state, grads, lr, t), value

        t = jnp.arange(lrs.shape[0], dtype=jnp.float32)
        (p, _), losses = lax.scan(step, (p, state), (order, lrs, t))
        return p, losses

    return run


def orders(seed, steps):
    return jnp.asarray(np.concatenate([data.order(seed, e) for e in range(steps // 781 + 1)])[:steps], jnp.int32)


def main():
    (images, labels), *rest = [(jnp.asarray(x), jnp.asarray(y)) for x, y in data.mnist()]
    if sys.argv[1] == "steps":
        kind, rule, form, steps = *sys.argv[2:5], int(sys.argv[5])
        p, lrs = init(kind, 0), jnp.full(steps, 1e-3, jnp.float32)
        run, trials = trainer(kind, rule), 1
        if form == "vmap":
            trials = 8
            p = jax.tree_util.tree_map(lambda x: jnp.stack([x] * trials), p)
            lrs = jnp.stack([lrs * (1 + i / trials) for i in range(trials)])
            run = jax.vmap(run, (0, None, None, None, 0))
        run = jax.jit(run)
        order = orders(0, steps)
        jax.block_until_ready(run(p, images, labels, order, lrs))
        began = time.perf_counter()
        jax.block_until_ready(run(p, images, labels, order, lrs))
        return data.tell(us=(time.perf_counter() - began) / steps / trials * 1e6)

    runs, part = json.load(open(sys.argv[2])), int(sys.argv[3])
    lrs = np.load(sys.argv[2].replace(".json", ".npz"))
    run = jax.jit(trainer("mlp", "sgd"))
    evaluate = jax.jit(lambda p, x, y: loss("mlp", p, x, y))
    for one in runs[part::2]:
        own = jnp.asarray(lrs[one["trial_id"]], jnp.float32)
        p, _ = run(init("mlp", one["seed"]), images, labels, orders(one["seed"], own.shape[0]), own)
        jax.block_until_ready([evaluate(p, x, y) for x, y in rest])


main()
