"""The network of the example learns from the service as it does from PyTorch alone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from itertools import pairwise

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def losses_of_torch_alone(size: int) -> list[float]:
    """Train the same network without the service; five steps of descent written out."""
    torch.manual_seed(0)
    channels = [3, 32, 32, 64]
    convolutions = [nn.Conv2d(*pair, 5, padding="same") for pair in pairwise(channels)]
    linear = [nn.Linear(1024, 64), nn.Linear(64, 10)]
    parameters = [p for layer in (*convolutions, *linear) for p in layer.parameters()]
    read = load_digits()
    losses = []
    for rows in np.split(np.arange(5 * size), 5):
        grey = torch.tensor(read.images[rows] / 16, dtype=torch.float32)[:, None].repeat(1, 3, 1, 1)
        x = functional.interpolate(grey, scale_factor=4, mode="bilinear")
        for layer in convolutions:
            x = functional.max_pool2d(layer(x), 2)
        loss = functional.cross_entropy(linear[1](linear[0](x.flatten(1))), torch.tensor(read.target[rows]))
        losses.append(loss.item())
        with torch.no_grad():
            for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter -= 0.05 * slope
    return losses


@pytest.mark.slow
@pytest.mark.torch
def test_a_network_trains_on_the_service_as_on_torch(run: Run) -> None:
    result = run("torch_cnn")
    assert result.returncode == 0, result.stderr
    line = r"(?m)^batch (\d+) step (\d): loss (\S+) within (\S+), gradients (\S+)$"
    told = np.array(re.findall(line, result.stdout), dtype=float)
    assert told[:, :2].tolist() == [[size, step] for size in (1, 64) for step in range(1, 6)]
    expected = losses_of_torch_alone(1) + losses_of_torch_alone(64)
    np.testing.assert_allclose(told[:, 2], expected, rtol=1e-5)
    # What float32 rounds, after it has gone through the gradients of 900000 products.
    assert told[:, 3].max() < 1e-6
    assert told[:, 4].max() < 1e-5
    assert "5/5  batch of 64: loss" in result.stderr
