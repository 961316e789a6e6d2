"""A multi-layer perceptron on MNIST with Lightning: automatic optimization with accumulated batches, or manual optimization of two
optimizers (`params: {manual: true}`).
"""

import logging
import warnings

import lightning
import mnist
import sweep_trial as sweep
import torch
from torch import nn

trial = sweep.current(
    steps=300,
    lr=0.05,
    params={"data": "data/mnist", "batch_size": 32, "width": 64, "accumulate": 2, "manual": False, "devices": 1},
)
params = trial.params
lightning.seed_everything(trial.seed, verbose=False)
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore")


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = not params["manual"]
        self.first = nn.Linear(784, params["width"])
        self.second = nn.Linear(params["width"], 10)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))

    def training_step(self, batch, at):
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        if params["manual"]:
            self.manual_backward(loss / params["accumulate"])
            if (at + 1) % params["accumulate"] == 0:
                for optimizer in self.optimizers():
                    optimizer.step()
                    optimizer.zero_grad()
        return loss

    def validation_step(self, batch, at):
        x, y = batch
        scores = self(x)
        self.log("val_loss", nn.functional.cross_entropy(scores, y), sync_dist=True)
        self.log("val_acc", (scores.argmax(1) == y).double().mean(), sync_dist=True)

    def configure_optimizers(self):
        if params["manual"]:
            # The second one has half the lr of the first, at every step.
            return (
                torch.optim.SGD(self.first.parameters(), lr=trial.base_lr, momentum=0.9),
                torch.optim.SGD(self.second.parameters(), lr=trial.base_lr / 2, momentum=0.9),
            )
        return torch.optim.SGD(self.parameters(), lr=trial.base_lr, momentum=0.9)


parts = {
    name: torch.utils.data.TensorDataset(torch.from_numpy(mnist.scaled(images)), torch.from_numpy(labels))
    for name, (images, labels) in mnist.load(params["data"]).items()
}
model = Classifier()
trainer = lightning.Trainer(
    max_epochs=-1,
    accumulate_grad_batches=1 if params["manual"] else params["accumulate"],
    devices=params["devices"],
    strategy="ddp" if params["devices"] > 1 else "auto",
    callbacks=[trial.lightning_callback(valid_accuracy="val_acc")],
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(
    model,
    torch.utils.data.DataLoader(parts["train"], params["batch_size"], shuffle=True, drop_last=True),
    torch.utils.data.DataLoader(parts["valid"], 2000),
    ckpt_path=trial.resume and str(trial.resume.path),
)
if trial.stop_requested:
    raise SystemExit(143)  # the exit code that shells use after SIGTERM


@torch.no_grad()
def test():
    x, y = parts["test"].tensors
    scores = model.cpu()(x)
    return nn.functional.cross_entropy(scores, y), (scores.argmax(1) == y).double().mean()


test_loss, test_accuracy = test()
trial.log(trial.total_steps - 1, test_loss=test_loss, test_accuracy=test_accuracy)
