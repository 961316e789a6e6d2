"""JAX, as fast as it gets on one thread.

    jax_train.py serve                    answers requests to time a row (data.serve). Forms: scan, a jitted lax.scan over all
                                          steps; vmap, the same for 8 trials at once; step, a jitted step called in a loop
    jax_train.py runs RUNS.json I N       trains runs I, I+N, I+2N ... of a file, and evaluates them
"""

import json
import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import data
from jax_models import init, loss

VMAP = 8
each = jax.tree_util.tree_map


def start(rule, p):
    zeros = each(jnp.zeros_like, p)
    return zeros if rule == "sgd" else (zeros, each(jnp.zeros_like, p))


def update(rule, p, state, grads, lr, t):
    if rule == "sgd":
        velocity = each(lambda v, g: 0.9 * v + g, state, grads)
        return each(lambda p, v: p - lr * v, p, velocity), velocity
    first, second = state
    first = each(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
    second = each(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)
    one, two = 1 - 0.9 ** (t + 1), 1 - 0.999 ** (t + 1)
    new = each(lambda p, m, v: p * (1 - lr * 0.01) - lr / one * m / (jnp.sqrt(v / two) + 1e-8), p, first, second)
    return new, (first, second)


def stepper(kind, rule):
    def step(p, state, x, y, lr, t):
        value, grads = jax.value_and_grad(lambda p: loss(kind, p, x, y, t))(p)
        return *update(rule, p, state, grads, lr, t.astype(jnp.float32)), value

    return step


def scanner(kind, rule):
    """Trains a run whose batches `take(t)` returns."""
    step = stepper(kind, rule)

    def run(p, lrs, take):
        def body(carry, now):
            lr, t = now
            p, state, value = step(*carry, *take(t), lr, t)
            return (p, state), value

        (p, _), losses = lax.scan(body, (p, start(rule, p)), (lrs, jnp.arange(lrs.shape[0])))
        return p, losses

    return run


def scan_trainer(row, steps):
    inputs, labels = (jnp.asarray(x) for x in data.batches(row["model"], row["batch"], steps))
    scan, count = scanner(row["model"], row["optimizer"]), inputs.shape[0]
    p, lrs, trials = init(row["model"], 0), jnp.full(steps, 1e-3, jnp.float32), 1

    def run(p, lrs, inputs, labels):
        return scan(p, lrs, lambda t: (inputs[t % count], labels[t % count]))

    if row["form"] == "vmap":
        trials = VMAP
        p = each(lambda x: jnp.stack([x] * trials), p)
        lrs = jnp.stack([lrs * (1 + i / trials) for i in range(trials)])
        run = jax.vmap(run, (0, 0, None, None))
    run = jax.jit(run).lower(p, lrs, inputs, labels).compile()

    def train(count):
        # A compiled scan has one length, and needs no warm-up.
        if count == steps:
            jax.block_until_ready(run(p, lrs, inputs, labels))

    return train, trials


def step_trainer(row, steps):
    inputs, labels = data.batches(row["model"], row["batch"], steps)
    inputs, labels = [jnp.asarray(x) for x in inputs], [jnp.asarray(y) for y in labels]
    step = jax.jit(stepper(row["model"], row["optimizer"]), donate_argnums=(0, 1))
    initial, lr = init(row["model"], 0), jnp.float32(1e-3)
    times = [jnp.int32(t) for t in range(steps)]

    def train(count):
        # A copy, since a step reuses the buffers that it gets.
        p = each(jnp.copy, initial)
        state = start(row["optimizer"], p)
        for t in range(count):
            p, state, _ = step(p, state, inputs[t % len(inputs)], labels[t % len(inputs)], lr, times[t])
        jax.block_until_ready(p)

    return train, 1


def row_trainer(row, steps):
    """See data.serve."""
    return step_trainer(row, steps) if row["form"] == "step" else scan_trainer(row, steps)


def orders(seed, steps):
    return jnp.asarray(np.concatenate([data.order(seed, e) for e in range(steps // 781 + 1)])[:steps], jnp.int32)


def compiled_runs(images, labels, lengths):
    """A compiled training for each length."""
    scan = scanner("mlp", "sgd")

    def run(p, images, labels, order, lrs):
        return scan(p, lrs, lambda t: (images[order[t]], labels[order[t]]))

    def compiled(steps):
        inputs = init("mlp", 0), images, labels, orders(0, steps), jnp.zeros(steps, jnp.float32)
        return jax.jit(run).lower(*inputs).compile()

    return {steps: compiled(steps) for steps in lengths}


def runs(runs_file, index, count):
    (images, labels), *rest = [(jnp.asarray(x), jnp.asarray(y)) for x, y in data.mnist()]
    chosen = json.load(open(runs_file))
    lrs = np.load(runs_file.replace(".json", ".npz"))
    data.report(ready=time.time())
    began = time.perf_counter()
    # All lengths of the sweep, also those that the chosen runs do not have: a process of the whole sweep compiles them once.
    run = compiled_runs(images, labels, sorted({len(own) for own in lrs.values()}))
    evaluate = jax.jit(lambda p, x, y: loss("mlp", p, x, y, 0))
    jax.block_until_ready([evaluate(init("mlp", 0), x, y) for x, y in rest])
    compiling = time.perf_counter() - began
    began = time.perf_counter()
    for one in chosen[index::count]:
        own = jnp.asarray(lrs[one["trial_id"]], jnp.float32)
        p, _ = run[own.shape[0]](init("mlp", one["seed"]), images, labels, orders(one["seed"], own.shape[0]), own)
        jax.block_until_ready([evaluate(p, x, y) for x, y in rest])
    data.report(compiling=compiling, training=time.perf_counter() - began)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        data.serve(row_trainer)
    else:
        runs(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
