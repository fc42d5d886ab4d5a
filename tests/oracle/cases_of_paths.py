"""Cases of the losses that sum over alignments, as in `cases`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle.case import Case, Drawn
from tests.oracle.formulas_of_paths import ctc, ctc_alone
from tests.oracle.record import Oracle


def _ctc(rng: np.random.Generator, limits: Any) -> Drawn:
    x = rng.standard_normal((6, 5, 3)) * 2
    x[1] *= 20
    targets = np.array([[1, 2, 1], [1, 1, 2], [2, 2, 2], [2, 1, 2], [1, 2, 2], [1, 2, 2]])
    lengths = {"input_lengths": np.array([5, 5, 5, 4, 2, 0]), "target_lengths": np.array([3, 2, 3, 3, 0, 0])}
    log_probs = x - np.log(np.exp(x).sum(2, keepdims=True))
    possible = np.array([0, 1, 2, 3, 4])
    given = {"targets": targets[possible], **{name: array[possible] for name, array in lengths.items()}}
    yield Case("log_probs", {"log_probs": log_probs[possible], **given})
    yield Case("logits", {"logits": x[possible], **given})
    free = log_probs[possible] - rng.uniform(0, 1, (5, 5, 3))
    yield Case("not normalised", {"log_probs": free, **given})
    spoken = np.array([[1, 1, 0, 2, 1], [1, 0, 1, 2, 2], [2, 0, 2, 0, 2], [2, 1, 2, 2, 0], [0, 0, 0, 0, 0]])
    for height in (20.0, 40.0):  # the labels are all but certain
        yield Case(f"easy {height}", {"logits": height * np.eye(3)[spoken], **given})
    swapped = {**given, "targets": 2 * (given["targets"] == 1)}
    yield Case("blank 1", {"logits": x[possible], **swapped}, {"blank": 1})
    impossible = {**lengths, "targets": targets, "input_lengths": np.array([5, 2, 4, 3, 2, 0])}
    for key, frames in {"log_probs": log_probs, "logits": x}.items():
        yield Case(f"impossible {key}", {key: frames, **impossible}, {"zero_infinity": True})
    yield from _ctc_extremes(rng, limits)


def _ctc_extremes(rng: np.random.Generator, limits: Any) -> Drawn:
    """Draw alignments that are all but certain, hopeless, tied or ruled out, of logits of every magnitude."""
    given = {
        "targets": np.array([[1, 2], [1, 1], [2, 1]]),
        "input_lengths": np.array([4, 4, 3]),
        "target_lengths": np.array([2, 2, 1]),
    }
    spoken = np.array([[1, 1, 2, 0], [1, 0, 0, 1], [0, 2, 2, 0]])
    instead = np.array([[0, 1, 2, 2], [0, 0, 0, 1], [0, 2, 0, 0]])  # where labels may begin or end as well
    sure = np.maximum(np.eye(3)[spoken], np.eye(3)[instead]) - 1
    for height in (3.0, 20.0, 36.0, 80.0):
        near = height * sure * rng.uniform(0.7, 1.3, sure.shape)
        yield Case(f"sure {height}", {"logits": near, **given})
        yield Case(f"sure log_probs {height}", {"log_probs": near - np.exp(-height), **given})
    x = rng.standard_normal((3, 4, 3))
    for scale in (float(limits.tiny) * 8, 1e-30, 1e3, float(limits.max) / 64):
        yield Case(f"logits of {scale:.0e}", {"logits": x * scale, **given})
        yield Case(f"log_probs of {scale:.0e}", {"log_probs": x * scale, **given})
    yield Case(
        "far below another", {"logits": x + np.array([0, 0, 1e3]), **given, "targets": np.ones((3, 2), int)}
    )
    out = np.where(rng.uniform(size=x.shape) < 0.25, -np.inf, x)
    out[spoken[..., None] == np.arange(3)] = 0
    yield Case("ruled out", {"logits": out, **given})
    yield Case("ruled out log_probs", {"log_probs": out - 1, **given})
    one = {"input_lengths": np.array([1, 1, 0]), "target_lengths": np.array([1, 0, 0])}
    yield Case("one frame", {"logits": 30 * x[:, :1], "targets": given["targets"], **one})
    alone = {
        "targets": np.zeros((3, 0), int),
        "input_lengths": np.array([4, 2, 0]),
        "target_lengths": np.zeros(3, int),
    }
    yield Case("one class", {"logits": x[..., :1], **alone})
    yield Case("one free class", {"log_probs": x[..., :1], **alone})


def _frames(case: Case) -> float:
    """Return the bound of a recursion over time: every frame rounds once."""
    return 8 + case.arrays.get("log_probs", case.arrays.get("logits")).shape[1]


def _underflow(case: Case) -> float:
    """Return what makes 1e-140 of a float64's least number: a product of probabilities may have no digits below."""
    frames = case.arrays.get("log_probs", case.arrays.get("logits"))
    return 1e-140 / float(np.finfo(frames.dtype).tiny) if frames.dtype == np.float64 else 1.0


ORACLES: dict[str, Oracle] = {
    "ctc": Oracle(
        ctc,
        _ctc,
        bound=_frames,
        plain=ctc_alone,
        calls=10,
        differentiated=1,
        settings={"blank": (0,)},
        sizes={"C": 4},  # the labels of a sample are 1 to 3
        factor=_underflow,
        hessian_cancels=True,  # s (1 - s) - p (1 - p), where s + p is 1
        has_limits=lambda case: not case.settings["zero_infinity"],
        spreads_nan=True,
        limits=(),
    ),
}
