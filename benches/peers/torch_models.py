"""The models of the rows in PyTorch."""

import torch
from torch import nn
from torch.nn import functional

LAYERS, WIDTH, HEADS, CONTEXT, ALPHABET = 4, 128, 4, 64, 75


class Vae(nn.Module):
    """784-512-256-2 and back."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(256, 2), nn.Linear(256, 2)
        self.decoder = nn.Sequential(
            nn.Linear(2, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 784)
        )

    def forward(self, images, _labels):
        x = self.encoder(images)
        mean, log_variance = self.mean(x), self.log_variance(x)
        latent = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        pixels = functional.binary_cross_entropy_with_logits(self.decoder(latent), images, reduction="sum")
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum()
        return (pixels + divergence) / images.shape[0]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        batch, context, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, context, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, context, width))
        return x + self.mlp(self.norm2(x))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.characters, self.places = nn.Embedding(ALPHABET, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, ALPHABET)
        # GPT-2's initial deviation: with PyTorch's the logits are too large for an lr of 1e-3.
        for table in (self.characters, self.places):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, tokens, labels):
        x = self.characters(tokens) + self.places.weight
        logits = self.head(self.norm(self.blocks(x)))
        return functional.cross_entropy(logits.view(-1, ALPHABET), labels.view(-1))


class Classifier(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.net = nn.Sequential(*layers)

    def forward(self, images, labels):
        return functional.cross_entropy(self.net(images), labels)


def model(kind):
    """A module that returns the loss of a batch."""
    if kind == "vae":
        return Vae()
    if kind == "char-gpt":
        return Gpt()
    if kind == "mlp":
        return Classifier(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    return Classifier(
        nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def optimizer(kind, parameters, decay=0.01):
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=decay, fused=True)
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, fused=True)
