"""A multi-layer perceptron on MNIST with Accelerate: gradient accumulation, mixed precision, one process or several.

    accelerate launch --num_processes 2 accelerate_mlp.py
"""

import mnist
import sweep_trial as sweep
import torch
from accelerate import Accelerator
from torch import nn

trial = sweep.current(
    steps=300,
    lr=0.05,
    params={
        "data": "data/mnist",
        "batch_size": 16,
        "width": 64,
        "accumulate": 2,
        "precision": "bf16",
        "prepared": True,  # whether the scheduler is prepared
        "scale": 0,  # the exponent of the first scale of a loss scaler on the CPU; 0: none
    },
)
params = trial.params
torch.manual_seed(trial.seed)
use_cpu = not torch.cuda.is_available()
accelerator = Accelerator(cpu=use_cpu, mixed_precision=params["precision"], gradient_accumulation_steps=params["accumulate"])
if params["scale"]:
    # Accelerate makes a scaler for fp16 on a GPU. With a first scale that is far too high, the first updates are skipped.
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** params["scale"])

parts = {
    name: torch.utils.data.TensorDataset(torch.from_numpy(mnist.scaled(images)), torch.from_numpy(labels))
    for name, (images, labels) in mnist.load(params["data"]).items()
}
generator = torch.Generator().manual_seed(trial.seed)
loader = torch.utils.data.DataLoader(parts["train"], params["batch_size"], shuffle=True, drop_last=True, generator=generator)
model = nn.Sequential(nn.Linear(784, params["width"]), nn.ReLU(), nn.Linear(params["width"], 10))
optimizer = torch.optim.SGD(model.parameters(), lr=trial.base_lr, momentum=0.9)
scheduler = trial.schedule(optimizer)
if params["prepared"]:
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
else:
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)


@torch.no_grad()
def evaluate(part):
    x, y = (values.to(accelerator.device) for values in parts[part].tensors)
    scores = accelerator.unwrap_model(model)(x).float()
    return nn.functional.cross_entropy(scores, y), (scores.argmax(1) == y).double().mean()


def endless(loader):
    while True:
        yield from loader


step, losses = 0, []
for x, y in endless(loader):
    with accelerator.accumulate(model):
        loss = nn.functional.cross_entropy(model(x), y)
        accelerator.backward(loss)
        optimizer.step()
        if params["prepared"] or accelerator.sync_gradients and not accelerator.optimizer_step_was_skipped:
            scheduler.step()
        optimizer.zero_grad()
    losses.append(accelerator.reduce(loss.detach(), reduction="mean"))  # the mean over the processes
    if not accelerator.sync_gradients:
        continue
    train_loss, losses = torch.stack(losses).mean(), []
    if accelerator.optimizer_step_was_skipped:  # by the loss scaler: not an update
        accelerator.print(f"step {step}: the loss scaler skipped the update")
        continue
    trial.log(step, train_loss=train_loss)
    if trial.evaluates(step):
        valid_loss, valid_accuracy = evaluate("valid")
        trial.log(step, valid_loss=valid_loss, valid_accuracy=valid_accuracy)
    step += 1
    if step == trial.total_steps:
        break

# The last step is always evaluated.
test_loss, test_accuracy = evaluate("test")
trial.finish(valid_loss, valid_accuracy=valid_accuracy, test_loss=test_loss, test_accuracy=test_accuracy)
accelerator.end_training()
