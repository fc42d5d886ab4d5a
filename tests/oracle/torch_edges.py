"""Calls whose answer is a matter of definition, for the comparison with PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

inf, nan = np.inf, np.nan
HUGE, TINY = 1e30, 1e-30  # their squares leave float32


def _pair(input: Any, target: Any, **rest: Any) -> dict[str, Any]:
    return {"input": input, "target": target, **rest}


def _frames(
    frames: Any, targets: Any, input_lengths: Any, target_lengths: Any, **rest: Any
) -> dict[str, Any]:
    lengths = {"input_lengths": input_lengths, "target_lengths": target_lengths}
    return {"logits": frames, "targets": targets, **lengths, **rest}


def _triple(anchor: Any, positive: Any, negative: Any, **rest: Any) -> dict[str, Any]:
    return {"anchor": anchor, "positive": positive, "negative": negative, **rest}


_RESIDUALS = {
    "zeros": _pair([0.0, -0.0, 1.0], [0.0, 0.0, 1.0]),
    "kinks": _pair([1.0, -1.0, 0.5, 2.0], [0.0, 0.0, 0.5, 1.0]),
    "infinite input": _pair([inf, -inf, 1.0], [0.0, 0.0, 0.0]),
    "infinite target": _pair([0.0, 1.0], [inf, -inf]),
    "equal infinities": _pair([inf, 1.0], [inf, 0.0]),
    "nan": _pair([nan, 1.0], [0.0, 0.0]),
    "nan target": _pair([0.0, 1.0], [nan, 0.0]),
    "huge": _pair([HUGE, -HUGE, 1.0], [0.0, 0.0, 0.0]),
    "tiny": _pair([TINY, -TINY, 0.0], [0.0, 0.0, TINY]),
    "empty": _pair(np.zeros((0, 3)), np.zeros((0, 3))),
    "one number": _pair(np.array(2.0), np.array(0.5)),
}
_WEIGHED = {
    "zero weights": _pair([1.0, 2.0], [0.0, 0.0], weight=[0.0, 0.0]),
    "some zero weights": _pair([1.0, 2.0], [0.0, 0.0], weight=[0.0, 3.0]),
    "negative weight": _pair([1.0, 2.0], [0.0, 0.0], weight=[-1.0, 3.0]),
}
_LABELS = {
    "one class": _pair([[3.0], [-2.0]], [0, 0]),
    "all ignored": _pair([[1.0, 2.0]], [-100]),
    "some ignored": _pair([[1.0, 2.0], [nan, nan]], [1, -100]),
    "class ruled out": _pair([[-inf, 1.0, 2.0]], [1]),
    "true class ruled out": _pair([[-inf, 1.0, 2.0]], [0]),
    "zero weight": _pair([[1.0, 2.0]], [1], weight=[1.0, 0.0]),
    "some zero weight": _pair([[1.0, 2.0], [0.0, 0.5]], [1, 0], weight=[1.0, 0.0]),
    "nan": _pair([[nan, 1.0], [0.0, 1.0]], [0, 1]),
    "huge": _pair([[HUGE, -HUGE], [HUGE, HUGE]], [1, 0]),
    "empty": _pair(np.zeros((0, 3)), np.zeros(0, int)),
    "no pixels": _pair(np.zeros((2, 3, 0)), np.zeros((2, 0), int)),
    "no sample axis": _pair([1.0, 0.0, -1.0], np.array(2)),
}


def _scores(input1: Any, input2: Any, target: Any, **rest: Any) -> dict[str, Any]:
    return {"input1": input1, "input2": input2, "target": target, **rest}


_LOGITS = [[[1.0, 0.0, -1.0]], [[0.5, 0.5, 0.0]], [[-1.0, 2.0, 0.0]], [[0.0, 0.0, 0.0]]]

EDGES: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "mse": _RESIDUALS | _WEIGHED,
    "l1": _RESIDUALS | _WEIGHED,
    "huber": _RESIDUALS | _WEIGHED,
    "smooth_l1": {**_RESIDUALS, "beta 0": _pair([1.0, 0.0, -2.0], [0.0, 0.0, 0.0], beta=0.0)},
    "cross_entropy": {
        **_LABELS,
        "smoothed, one class": _pair([[3.0]], [0], label_smoothing=0.5),
        "smoothed away": _pair([[3.0, 1.0]], [0], label_smoothing=1.0),
        "smoothed, class ruled out": _pair([[-inf, 1.0, 2.0]], [1], label_smoothing=0.1),
        "infinite logit": _pair([[inf, 1.0]], [0]),
        "no probability": _pair([[1.0, 2.0]], [[0.0, 0.0]]),
        "probabilities, empty": _pair(np.zeros((0, 3)), np.zeros((0, 3))),
    },
    "nll": {**_LABELS, "infinite": _pair([[inf, -inf]], [0])},
    "bce": {
        "certain and right": _pair([0.0, 1.0], [0.0, 1.0]),
        "certain and wrong": _pair([0.0, 1.0], [1.0, 0.0]),
        "certain, unsure target": _pair([0.0, 1.0], [0.25, 0.25]),
        "tiny": _pair([TINY, 1e-44], [1.0, 0.0]),
        "zero weights": _pair([0.5, 0.25], [0.0, 1.0], weight=[0.0, 0.0]),
        "empty": _pair(np.zeros((2, 0)), np.zeros((2, 0))),
    },
    "bce_with_logits": {
        "zeros": _pair([0.0, -0.0], [0.0, 1.0]),
        "certain and wrong": _pair([inf, -inf], [0.0, 1.0]),
        "certain and right": _pair([inf, -inf], [1.0, 0.0]),
        "huge": _pair([HUGE, -HUGE, HUGE, -HUGE], [1.0, 0.0, 0.0, 1.0]),
        "nan": _pair([nan, 0.5], [0.0, 1.0]),
        "zero pos_weight": _pair([0.5, 0.25], [0.0, 1.0], pos_weight=[0.0]),
        "empty": _pair(np.zeros((2, 0)), np.zeros((2, 0))),
    },
    "soft_margin": {
        "zeros": _pair([0.0, -0.0], [1.0, -1.0]),
        "certain and right": _pair([inf, -inf], [1.0, -1.0]),
        "certain and wrong": _pair([inf, -inf], [-1.0, 1.0]),
        "far and wrong": _pair([89.0, -710.0, HUGE], [-1.0, 1.0, -1.0]),
        "nan": _pair([nan, 0.5], [1.0, -1.0]),
        "empty": _pair(np.zeros((2, 0)), np.zeros((2, 0))),
    },
    "hinge_embedding": {
        "kinks": _pair([1.0, 1.0, 0.0, 0.0], [1.0, -1.0, 1.0, -1.0]),
        "neither label": _pair([0.5, 3.0, -1.0], [0.0, 2.0, 0.5], check_target="none"),
        "infinite": _pair([inf, -inf, inf, -inf], [1.0, 1.0, -1.0, -1.0]),
        "huge": _pair([HUGE, -HUGE], [-1.0, -1.0], margin=2.0),
        "nan": _pair([nan, nan], [1.0, -1.0]),
        "empty": _pair(np.zeros((2, 0)), np.zeros((2, 0))),
    },
    "margin_ranking": {
        "ties": _scores([1.0, 2.0], [1.0, 2.0], [1.0, -1.0]),
        "kinks": _scores([1.0, 2.0], [0.5, 2.5], [1.0, -1.0], margin=0.5),
        "any target": _scores(
            [1.0, 2.0, 1.0], [0.5, 2.5, 3.0], [0.0, 2.0, -0.5], margin=0.5, check_target="none"
        ),
        "infinite": _scores([inf, -inf, 0.0], [0.0, 0.0, inf], [1.0, 1.0, 1.0]),
        "nan": _scores([nan, 0.0], [0.0, 0.0], [1.0, 1.0]),
        "empty": _scores(np.zeros((2, 0)), np.zeros((2, 0)), np.zeros((2, 0))),
    },
    "poisson_nll": {
        "no count": _pair([0.0, -1.0], [0.0, 0.0]),
        "no count, full": _pair([0.0, -1.0], [0.0, 0.0], full=True),
        "one, full": _pair([0.5, 0.5], [1.0, 1.5], full=True),
        "no rate": _pair([0.0, 0.0], [0.0, 2.0], log_input=False),
        "impossible": _pair([-inf, -inf], [0.0, 2.0]),
        "infinite": _pair([inf, inf], [0.0, 2.0]),
        "nan": _pair([nan, 0.0], [1.0, 1.0]),
        "empty": _pair(np.zeros((2, 0)), np.zeros((2, 0))),
    },
    "gaussian_nll": {
        "equal": _pair([1.0, 2.0], [1.0, 2.0], var=[1.0, 0.5]),
        "no variance": _pair([1.0, 2.0], [1.0, 2.5], var=[0.0, 0.0]),
        "variance at eps": _pair([1.0, 2.0], [1.0, 2.5], var=[0.25, 0.2], eps=0.25),
        "one for a row": _pair([[1.0, 2.0], [0.0, 3.0]], [[1.0, 2.5], [1.0, -1.0]], var=[[0.5], [2.0]]),
        "infinite": _pair([inf, 0.0], [0.0, -inf], var=[1.0, 1.0]),
        "nan": _pair([nan, 0.0], [0.0, 0.0], var=[1.0, nan]),
        "huge": _pair([1e18, -1e18], [0.0, 0.0], var=[1e30, 1.0]),
        "empty": _pair(np.zeros((2, 0)), np.zeros((2, 0)), var=np.zeros((2, 0))),
    },
    "kl_div": {
        "equal": _pair([0.0, -1.0], [0.0, -1.0], log_target=True),
        "no probability": _pair([0.0, -1.0], [0.0, 0.5]),
        "ruled out": _pair([-inf, -inf], [0.0, 0.5]),
        "ruled out, logarithms": _pair([-inf, -inf, -1.0], [-inf, -1.0, -inf], log_target=True),
        "nan": _pair([nan, -1.0], [0.5, 0.5]),
        "empty": _pair(np.zeros((2, 0)), np.zeros((2, 0))),
    },
    "triplet_margin": {
        "all equal": _triple([[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 2.0]]),
        "at the origin": _triple([[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 3.0]], eps=0.0, margin=2.0),
        "at the margin": _triple([[0.0]], [[1.0]], [[2.0]], eps=0.0),
        "past the margin": _triple([[0.0]], [[1.0]], [[9.0]]),
        "p 1, some equal": _triple([[0.0, 1.0]], [[0.0, 2.0]], [[0.5, 1.0]], p=1.0, eps=0.0),
        "swap, a tie": _triple([[0.0]], [[0.5]], [[0.25]], swap=True, eps=0.0),
        "nan": _triple([[nan, 0.0]], [[1.0, 1.0]], [[1.0, 2.0]]),
        "empty": _triple(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3))),
        "one vector": _triple([0.0, 1.0], [1.0, 1.0], [0.5, 1.0]),
    },
    "ctc": {
        "no labels": _frames(_LOGITS, [[1]], [4], [0]),
        "one frame": _frames(_LOGITS, [[2]], [1], [1]),
        "just fits": _frames(_LOGITS, [[1, 1, 2]], [4], [3]),
        "does not fit": _frames(_LOGITS, [[1, 1, 2]], [3], [3], zero_infinity=True),
        "does not fit, infinite": _frames(_LOGITS, [[1, 1, 2]], [3], [3]),
        "class ruled out": _frames([[[-inf, 0.0, 1.0]], [[0.0, 1.0, -inf]]], [[2]], [2], [1]),
        "one sample": _frames([frame[0] for frame in _LOGITS], [1, 2], np.array(4), np.array(2)),
    },
    "multi_margin": {
        "one class": _pair([[1.0]], [0]),
        "ties": _pair([[0.5, 0.5, -2.0]], [1]),
        "at the margin": _pair([[1.0, 0.0]], [0]),
        "squared": _pair([[0.5, 0.25, -2.0], [0.0, 3.0, 1.0]], [1, 0], p=2),
        "one vector": _pair([0.5, 0.25, -2.0], np.array(2)),
    },
    "multilabel_margin": {
        "no label": _pair([[1.0, 2.0, 0.5]], [[-1, -1, -1]]),
        "every label": _pair([[1.0, 2.0]], [[1, 0]]),
        "at the margin": _pair([[1.0, 0.0]], [[0, -1]]),
        "one vector": _pair([0.5, 0.25, -2.0], [2, -1, -1]),
    },
    "multilabel_soft_margin": {
        "saturated": _pair([[800.0, -800.0, 0.0]], [[1.0, 0.0, 1.0]]),
        "soft labels": _pair([[0.5, -1.0]], [[0.25, 0.75]]),
    },
    "cosine_embedding": {  # where it is not 0, PyTorch has 1e-12 more in each square of a length
        "opposed": {"input1": [[1.0, 0.0]], "input2": [[-1.0, 0.0]], "target": [-1.0]},
        "within the margin": {
            "input1": [[1.0, 2.0]],
            "input2": [[2.0, 1.0]],
            "target": [-1.0],
            "margin": 0.9,
        },
    },
    "triplet_margin_with_distance": {
        "past the margin": _triple([[0.0]], [[1.0]], [[9.0]]),
        "active": _triple([[0.0, 1.0]], [[0.5, 2.0]], [[0.5, 1.5]]),
        "swap": _triple([[0.0, 1.0]], [[0.5, 2.0]], [[0.5, 1.5]], swap=True),
    },
}
