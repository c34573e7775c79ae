"""Small torch models of every kind, their data, and their per-sample gradients by plain loops."""

import torch
from torch import nn

from minnorm.torch import MinNormOG


class Tied(nn.Module):
    """An encoder and a decoder of one matrix, used twice in each forward pass."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4, bias=False)
        self.decoder = nn.Linear(4, 4)
        self.decoder.weight = self.encoder.weight

    def forward(self, x):
        return self.decoder(torch.tanh(self.encoder(x)))


class Borrowed(nn.Module):
    """A layer that is called once, and its weight used once more without it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return nn.functional.linear(torch.tanh(self.layer(x)), self.layer.weight)


class TwoHeads(nn.Module):
    """Content and colour from a common layer."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 6)
        self.content, self.colour = nn.Linear(6, 5), nn.Linear(6, 3)

    def forward(self, x):
        features = torch.tanh(self.body(x))
        return self.content(features), self.colour(features)


class Attention(nn.Module):
    """Linear layers at several positions of a sample, one of them called twice."""

    def __init__(self):
        super().__init__()
        self.query, self.value = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
        self.out = nn.Linear(3, 2)

    def forward(self, x):
        x = x[:, :, None] * torch.tensor([1.0, 0.5, -0.3])
        q, v = self.query(x), self.value(x)
        mixed = torch.softmax(q @ self.query(v).transpose(1, 2), 2) @ v
        return self.out(mixed).tanh().sum(1)


class Forward(nn.Module):
    """Layers by name and a forward method given as a function of the module and its input."""

    def __init__(self, forward, **layers):
        super().__init__()
        self._given = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self._given(self, x)


def one(forward, **layers):
    """A layer ``a``, Linear(4, 4) unless given, called by the function, and a last layer ``z``."""
    layers = {"a": nn.Linear(4, 4)} | layers
    return Forward(lambda s, x: s.z(torch.tanh(forward(s, x))), **layers, z=nn.Linear(4, 2))


def mlp(outputs=1, dtype=torch.float32, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, outputs)).to(dtype)


def cnn(dtype=torch.float32, seed=0):
    """Convolution, batch normalisation with running statistics of its own, dropout; 3 logits.

    No bias before the normalisation: its gradient is zero, and AdamW would walk along rounding.
    """
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(36, 3),
    ).to(dtype)
    with torch.no_grad():
        model(3 * torch.randn(32, 1, 6, 6, dtype=dtype) + 1)
    return model


def images(n, dtype=torch.float32, seed=1):
    return torch.randn(n, 1, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def points(n, dtype=torch.float32, seed=1):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Still(torch.optim.SGD):
    """An optimizer that does not move: what is left is the perturbation."""

    def step(self, closure=None):
        return None


def classes(n, kinds=3, seed=5):
    return torch.randint(kinds, (n,), generator=torch.Generator().manual_seed(seed))


def perturbed(model, loader, epochs=1, **options):
    """The projection alone: no descent, nothing damped or restored unless asked for."""
    options = {"optimizer": Still, "damping": 0.0, "restore": 0} | options
    return MinNormOG(model, **options).run(loader, epochs)


def theta(model):
    """The trainable parameters (d,), shared ones once."""
    return torch.cat([p.detach().reshape(-1) for p in model.parameters() if p.requires_grad])


def rows_by_loop(model, inputs, scalars):
    """One backward pass per scalar, in eval mode; `scalars` maps outputs of one sample to (r,)."""
    trained = [p for p in model.parameters() if p.requires_grad]
    model.eval()
    rows = []
    for x in inputs:
        for value in scalars(model(x[None])):
            found = torch.autograd.grad(value, trained, retain_graph=True, allow_unused=True)
            pairs = zip(found, trained, strict=True)
            filled = [torch.zeros_like(p) if g is None else g for g, p in pairs]
            rows.append(torch.cat([g.reshape(-1) for g in filled]))
    model.train()
    return torch.stack(rows)


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}
