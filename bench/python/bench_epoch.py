"""An epoch of MinNorm-OG on small convolutional networks, against one of descent alone.

    python bench/python/bench_epoch.py [--repeats 7]

Batches of 256 images, of which 50 span, as in the paper's experiments; one thread, in turns.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import nn

from machine import print_machine
from minnorm.torch import GD, MinNormOG
from timing import always, interleaved

BATCH, BATCHES, SPAN, CLASSES = 256, 4, 50, 10


def network(channels: int, size: int) -> nn.Module:
    """Two convolutions, two poolings and a linear layer, for 3 x size x size images."""
    return nn.Sequential(
        *(nn.Conv2d(3, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(2 * channels * (size // 4) ** 2, CLASSES)),
    )


def epochs_of(channels: int, size: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = network(channels, size)
    images = torch.rand(BATCHES, BATCH, 3, size, size, generator=generator)
    labels = torch.randint(CLASSES, (BATCHES, BATCH), generator=generator)
    loader = list(zip(images, labels, strict=True))
    options = {"lr": 1e-4, "seed": 0}
    perturbed = {**options, "n_pert": SPAN, "lambda_reg": 0.01}
    return {
        "GD": lambda: GD(model, **options).run(loader, 1, progress=False),
        "MinNormOG": lambda: MinNormOG(model, **perturbed).run(loader, 1, progress=False),
        "MinNormOG, matrix-free": lambda: MinNormOG(
            model, projection="matrix_free", **perturbed
        ).run(loader, 1, progress=False),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print_machine()
    print(f"- torch {torch.__version__}, one thread; ms an epoch of {BATCHES} batches of {BATCH}")
    for channels, size in ((16, 8), (16, 32), (32, 32), (64, 32)):
        section = interleaved(
            f"{channels} and {2 * channels} channels, {size} x {size} images",
            {name: always(task) for name, task in epochs_of(channels, size).items()},
            options.repeats,
        )
        base = section.rows["GD"].median
        print(f"\n{section.title}\n")
        for name, row in section.rows.items():
            low, high = 1e3 * min(row.times), 1e3 * max(row.times)
            print(
                f"  {name:24s} {1e3 * row.median:8.1f} ({low:.1f} .. {high:.1f})"
                f"  {row.median / base:.2f} x GD"
            )


if __name__ == "__main__":
    main()
