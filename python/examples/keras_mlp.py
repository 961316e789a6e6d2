"""A multi-layer perceptron on MNIST in Keras, trained by `fit`. Any backend: KERAS_BACKEND=jax, torch or tensorflow."""

import keras
import mnist
import sweep_trial as sweep

trial = sweep.current(steps=300, lr=0.05, params={"data": "data/mnist", "batch_size": 64, "width": 64})
keras.utils.set_random_seed(trial.seed)

parts = {name: (mnist.scaled(images), labels) for name, (images, labels) in mnist.load(trial.params["data"]).items()}
model = keras.Sequential(
    [
        keras.layers.Input((784,)),
        keras.layers.Dense(trial.params["width"], activation="relu"),
        keras.layers.Dense(10),
    ]
)
model.compile(
    optimizer=keras.optimizers.SGD(trial.base_lr, momentum=0.9),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
# The callback stops after the last step, so the number of epochs is an upper limit. An epoch of Keras is here the
# time between two validations.
model.fit(
    *parts["train"],
    batch_size=trial.params["batch_size"],
    epochs=trial.total_steps,
    steps_per_epoch=trial.evaluate_every,
    validation_data=parts["valid"],
    validation_batch_size=1000,
    callbacks=[trial.keras_callback()],
    verbose=0,
)
test_loss, test_accuracy = model.evaluate(*parts["test"], batch_size=1000, verbose=0)
trial.log(trial.total_steps - 1, test_loss=test_loss, test_accuracy=test_accuracy)
