"""Train a convolutional network on a loss that lossd computes, beside a twin that trains on PyTorch's own.

Three 5x5 convolutions (32, 32 and 64 channels), each halved by pooling, then 1024-64-10, on the handwritten digits
of scikit-learn as 3x32x32 images. `RemoteLoss` stands where `torch.nn.CrossEntropyLoss` would. The twins start
alike and see the same batches, first of one image, then of 64: their losses and the gradients of every parameter
must agree to the rounding of float32. Needs lossd[client], PyTorch and scikit-learn.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lossd.client.torch import RemoteLoss
from progress import show_progress

STEPS = 5
LEARNING_RATE = 0.05
ROUNDING = 1e-5


def main() -> None:
    images, labels = digits()
    for size in (1, 64):
        ours, theirs = network(), network()
        criteria = RemoteLoss("cross_entropy"), nn.CrossEntropyLoss()
        optimizers = [torch.optim.SGD(each.parameters(), LEARNING_RATE) for each in (ours, theirs)]
        for step, (x, y) in enumerate(batches(images, labels, size), start=1):
            losses = [
                criterion(model(x), y) for criterion, model in zip(criteria, (ours, theirs), strict=True)
            ]
            for loss, optimizer in zip(losses, optimizers, strict=True):
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss, apart = losses[0].item(), gap(*losses)
            gradients_apart = max(gap(*pair) for pair in zip(gradients(ours), gradients(theirs), strict=True))
            show_progress(step, STEPS, f"batch of {size}: loss {loss:.6f}")
            print(
                f"batch {size} step {step}: loss {loss:.6f} within {apart:.1e}, gradients {gradients_apart:.1e}"
            )
            assert max(apart, gradients_apart) < ROUNDING


def digits() -> tuple[Tensor, Tensor]:
    """Return 1797 images of (3, 32, 32), in [0, 1], and what they show."""
    read = load_digits()
    grey = torch.tensor(read.images, dtype=torch.float32)[:, None] / 16
    large = nn.functional.interpolate(grey, size=(32, 32), mode="bilinear")
    return large.expand(-1, 3, -1, -1), torch.tensor(read.target)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1024, 64),
        nn.Linear(64, 10),
    )


def batches(images: Tensor, labels: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, STEPS * size, size):
        yield images[start : start + size], labels[start : start + size]


def gradients(model: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def gap(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference, relative to the largest number."""
    ours, theirs = ours.detach(), theirs.detach()
    return float((ours - theirs).abs().max() / theirs.abs().max())


if __name__ == "__main__":
    main()
