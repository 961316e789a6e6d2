"""A small GPT on the characters of a novel, in a loop like nanoGPT's: two optimizers, bfloat16, gradient accumulation, `torch.compile`.

Needs PyTorch 2.9 or newer, which has the optimizer Muon.
"""

import gzip
from contextlib import nullcontext

import sweep_trial as sweep
import torch
from torch import nn
from torch.nn import functional

trial = sweep.current(
    steps=200,
    lr=0.003,
    params={
        "text": "data/emma/emma.txt.gz",
        "batch_size": 8,
        "accumulate": 2,
        "block": 32,
        "width": 32,
        "layers": 2,
        "heads": 4,
        "bfloat16": True,
        "compile": False,
    },
)
params = trial.params
torch.manual_seed(trial.seed)
device = "cuda" if torch.cuda.is_available() else "cpu"
autocast = torch.autocast(device, dtype=torch.bfloat16) if params["bfloat16"] else nullcontext()

with gzip.open(params["text"], "rt") as file:
    text = file.read()
letters = sorted(set(text))
numbers = {letter: at for at, letter in enumerate(letters)}
tokens = torch.tensor([numbers[letter] for letter in text])
train, valid = tokens[: int(0.9 * len(tokens))], tokens[int(0.9 * len(tokens)) :]
block, width, heads = params["block"], params["width"], params["heads"]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (part.view(b, t, heads, -1).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, dim=2))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.place = nn.Embedding(len(letters), width), nn.Embedding(block, width)
        self.blocks = nn.ModuleList(Block() for _ in range(params["layers"]))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, len(letters), bias=False)

    def forward(self, x, y):
        h = self.token(x) + self.place(torch.arange(x.shape[1], device=x.device))
        for one in self.blocks:
            h = one(h)
        scores = self.head(self.norm(h))
        return functional.cross_entropy(scores.view(-1, scores.shape[-1]), y.view(-1))


def batch(part, generator, size):
    starts = torch.randint(len(part) - block, (size,), generator=generator)
    x = torch.stack([part[start : start + block] for start in starts])
    y = torch.stack([part[start + 1 : start + block + 1] for start in starts])
    return x.to(device), y.to(device)


model = GPT().to(device)
matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
others = [p for p in model.parameters() if all(p is not matrix for matrix in matrices)]
adamw = torch.optim.AdamW(others, lr=trial.base_lr, betas=(0.9, 0.95))
muon = torch.optim.Muon(matrices, lr=2 * trial.base_lr)
scheduler = trial.schedule([adamw, muon])  # Muon keeps twice the lr of AdamW
step_model = torch.compile(model) if params["compile"] else model

held_out = [batch(valid, torch.Generator().manual_seed(0), 64) for _ in range(4)]


@torch.no_grad()
def evaluate():
    with autocast:
        return torch.stack([model(x, y) for x, y in held_out]).double().mean()


# The batches of a seed are the same under every schedule.
generator = torch.Generator().manual_seed(trial.seed)
for step in trial.steps():
    total = torch.zeros((), dtype=torch.float64)
    for _ in range(params["accumulate"]):
        x, y = batch(train, generator, params["batch_size"])
        with autocast:
            loss = step_model(x, y) / params["accumulate"]
        loss.backward()
        total += loss.detach().double().cpu()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scheduler.tell(train_loss=total, grad_norm=norm)
    adamw.step()
    muon.step()
    adamw.zero_grad(set_to_none=True)
    muon.zero_grad(set_to_none=True)
    trial.log(step, train_loss=total, grad_norm=norm)
    scheduler.step()
    if trial.evaluates(step):
        valid_loss = evaluate()
        trial.log(step, valid_loss=valid_loss)

# The last step is always evaluated.
torch.save(model.state_dict(), trial.outputs / "model.pt")
trial.finish(valid_loss)
