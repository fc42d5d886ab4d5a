"""Asks PyTorch the same as the engine: one call, its value and its gradients."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

torch.set_num_threads(1)  # its idle workers spin, and slow whatever runs next

# What its users pass as functions.
DISTANCES = {
    "cosine": lambda u, v: 1 - functional.cosine_similarity(u, v, dim=-1),
    "squared": lambda u, v: (u - v).square().sum(-1),
    "manhattan": lambda u, v: (u - v).abs().sum(-1),
}


def _triplet_margin_with_distance(*, distance: str = "euclidean", **given: Any) -> torch.Tensor:
    return functional.triplet_margin_with_distance_loss(**given, distance_function=DISTANCES.get(distance))


def _kl_div(**given: Any) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its mean is not batchmean
        return functional.kl_div(**given)


FUNCTIONS = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "huber": functional.huber_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "cross_entropy": functional.cross_entropy,
    "nll": functional.nll_loss,
    "bce": functional.binary_cross_entropy,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
    "soft_margin": functional.soft_margin_loss,
    "hinge_embedding": functional.hinge_embedding_loss,
    "margin_ranking": functional.margin_ranking_loss,
    "poisson_nll": functional.poisson_nll_loss,
    "gaussian_nll": functional.gaussian_nll_loss,
    "kl_div": _kl_div,
    "triplet_margin": functional.triplet_margin_loss,
    "ctc": functional.ctc_loss,
    "multi_margin": functional.multi_margin_loss,
    "multilabel_margin": functional.multilabel_margin_loss,
    "multilabel_soft_margin": functional.multilabel_soft_margin_loss,
    "cosine_embedding": functional.cosine_embedding_loss,
    "triplet_margin_with_distance": _triplet_margin_with_distance,
}


def ask_torch(
    name: str,
    arrays: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    *,
    reduction: str,
    wanted: list[str],
    upstream: np.ndarray | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return PyTorch's value, and the gradients that are wanted, of the sum of value times ``upstream``."""
    tensors = {key: torch.from_numpy(np.array(array)) for key, array in arrays.items()}
    for key in wanted:
        tensors[key].requires_grad_()
    given = dict(tensors)
    if "logits" in given:  # PyTorch's has no such argument: its users normalise themselves
        given["log_probs"] = given.pop("logits").log_softmax(-1)
    value = FUNCTIONS[name](**given, **settings, reduction=reduction)
    if wanted:
        value.backward(torch.ones_like(value) if upstream is None else torch.from_numpy(np.array(upstream)))
    return value.detach().numpy(), {key: _gradient(tensors[key]) for key in wanted}


def _gradient(tensor: torch.Tensor) -> np.ndarray:
    return (torch.zeros_like(tensor) if tensor.grad is None else tensor.grad).detach().numpy()
