"""A small network in PyTorch whose cooldowns share one stable phase: see wsd.yaml, and docs/how-to/share-prefixes.md."""

import torch
from torch import nn

import sweep_trial as sweep

trial = sweep.current(steps=800, lr=0.1)
torch.manual_seed(trial.seed)

data = torch.Generator().manual_seed(0)  # the data are the same in every trial
x = torch.randn(4000, 64, generator=data)
y = (torch.tanh(x @ torch.randn(64, 16, generator=data)) @ torch.randn(16, 10, generator=data)).argmax(1)
valid = x[3200:], y[3200:]
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x[:3200], y[:3200]),
    batch_size=64,
    shuffle=True,
    generator=torch.Generator().manual_seed(trial.seed),
)

model = nn.Sequential(
    nn.Linear(64, 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=trial.base_lr, momentum=0.9, weight_decay=5e-4)
scheduler = trial.schedule(optimizer)
parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}

first, saved = 0, None
if trial.resume:
    first, saved = trial.resume.step, torch.load(trial.resume.path)
    for name, part in parts.items():
        part.load_state_dict(saved[name])


@torch.no_grad()
def evaluate():
    model.eval()
    loss = nn.functional.cross_entropy(model(valid[0]), valid[1])
    model.train()
    return loss


for epoch in range(max(0, first - 1) // len(loader), trial.total_steps // len(loader)):
    if saved:  # the epoch of the checkpoint is drawn again
        trial.restore(saved["epoch"], loader)
    begin = trial.state(loader)
    for step, (inputs, labels) in enumerate(loader, epoch * len(loader)):
        if step < first:  # trained before the checkpoint
            if step == first - 1:
                trial.restore(saved["now"], loader)
                saved = None
            continue
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        trial.log(step, train_loss=loss)
        if trial.evaluates(step):
            trial.log(step, valid_loss=evaluate())
        scheduler.step()
        if trial.needs_checkpoint(step):
            states = {name: part.state_dict() for name, part in parts.items()}
            path = trial.checkpoints / "latest.pt"
            torch.save({**states, "epoch": begin, "now": trial.state(loader)}, path)
            trial.checkpoint(step, path)
trial.finish(valid_loss=evaluate())
