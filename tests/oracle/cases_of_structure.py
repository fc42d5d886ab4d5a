"""The inputs that losses of lists, chains, returns and transport are held against their oracles on.

Each is a name, arrays with one row per first index, and settings, as `cases.Case` takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

Drawn = Iterator[tuple[Any, ...]]


def _scores(
    rng: np.random.Generator, limits: Any, shape: tuple[int, ...]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield scores of many sizes."""
    x = rng.standard_normal(shape)
    yield "plain", x
    yield "kink, tied", np.rint(x)
    for scale in (20.0, 600.0, float(limits.max) / 64, 1e-30, float(limits.tiny)):
        yield f"times {scale:.0e}", x * scale
    yield "far from zero", x + 1e4


def _ranking_softmax(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x in _scores(rng, limits, (6, 5)):
        relevance = rng.uniform(0, 2, x.shape) * (rng.random(x.shape) < 0.6)
        yield name, {"input": x, "target": relevance}
    certain = 60 * np.eye(4) - 20
    yield "certain", {"input": certain, "target": np.eye(4)}
    yield "of one item", {"input": certain[:, :1], "target": np.ones((4, 1))}
    heavy = 10.0 ** rng.uniform(-30, 30, (4, 4))
    yield "relevance of every size", {"input": rng.standard_normal((4, 4)), "target": heavy}
    ruled_out = np.where(np.eye(4) == 1, -np.inf, 0.5)
    yield "ruled out", {"input": ruled_out, "target": 1 - np.eye(4)}


def _rank_ndcg(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x in _scores(rng, limits, (6, 5)):
        grades = rng.integers(0, 4, x.shape)
        for settings in ({}, {"truncation_level": 2}, {"sigma": 0.5}):
            yield f"{name} {settings}", {"input": x, "target": grades}, settings
    x = rng.standard_normal((3, 4))
    yield "all alike", {"input": x, "target": np.full((3, 4), 2)}
    yield "of one item", {"input": x[:, :1], "target": np.zeros((3, 1), int)}
    yield "highest grades", {"input": x, "target": np.array([[31, 30, 0, 31]] * 3)}


def _cox(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x in _scores(rng, limits, (7,)):
        happened = np.array([1, 0, 1, 1, 1, 0, 1], bool)
        for time, durations in {
            "apart": rng.permutation(7) + 0.5,
            "tied": rng.integers(0, 3, 7) * 1.0,
            "at once": np.ones(7),
        }.items():
            kink = "" if time == "apart" else "kink, "
            yield f"{kink}{name}, {time}", {"log_h": x, "durations": durations, "events": happened}
    risen = np.array([0.0, 40.0, -40.0, 80.0, -80.0, 400.0])
    for order in (np.arange(6.0), -np.arange(6.0), np.array([0.0, 0, 1, 1, 2, 2])):
        kink = "" if len(set(order)) == 6 else "kink, "
        yield f"{kink}spread {order}", {"log_h": risen, "durations": order, "events": np.ones(6, bool)}
    one = np.ones(1)
    yield "alone", {"log_h": one, "durations": one, "events": one.astype(bool)}
    yield "no event", {"log_h": risen, "durations": np.arange(6.0), "events": np.zeros(6, bool)}


def _td_lambda(rng: np.random.Generator, limits: Any) -> Drawn:
    settings = {"stop_target_gradients": False}
    for scale in (1.0, float(limits.max) / 256, float(limits.tiny) * 64):
        v, r, w = rng.standard_normal((3, 4, 5)) * scale
        gamma = rng.uniform(0.5, 1, (4, 5)) * (rng.random((4, 5)) < 0.8)
        arrays = {"v_tm1": v, "r_t": r, "discount_t": gamma, "v_t": w}
        yield f"of {scale:.0e}", {**arrays, "lambda_": rng.uniform(0, 1, (4, 5))}, settings
        for mixing in (0.0, 0.9, 1.0):
            yield f"of {scale:.0e}, {mixing}", {**arrays, "lambda_": np.array(mixing)}, settings


def _crf(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x in _scores(rng, limits, (4, 4, 3)):
        tags = rng.integers(0, 3, (4, 4))
        scale = min(float(np.abs(x).max()), 30.0)
        transitions = rng.standard_normal((3, 3)) * scale
        ends = {
            "start_transitions": rng.standard_normal(3),
            "end_transitions": rng.standard_normal(3) * scale,
        }
        arrays = {"emissions": x, "tags": tags, "transitions": transitions}
        yield name, arrays
        yield f"{name}, of lengths", {**arrays, **ends, "lengths": np.array([4, 2, 1, 0])}
        for height in (30.0, 300.0):  # the tags are all but certain
            easy = x / max(1.0, float(np.abs(x).max())) + height * np.eye(3)[tags]
            yield f"{name}, easy {height}", {**arrays, "emissions": easy, "transitions": transitions / scale}
    x, tags = rng.standard_normal((3, 3, 3)), np.array([[0, 1, 2], [0, 0, 1], [1, 2, 2]])
    forbidden = np.array([[0.5, 1.0, -np.inf], [-np.inf, 0.0, 0.3], [-np.inf, -np.inf, 0.1]])
    yield "in order", {"emissions": x, "tags": tags, "transitions": forbidden}
    yield "one tag", {"emissions": x[..., :1], "tags": tags * 0, "transitions": np.ones((1, 1))}


def _sinkhorn(rng: np.random.Generator, limits: Any) -> Drawn:
    a, b = rng.dirichlet(np.ones(3), (2, 3))
    costs = rng.random((3, 3, 3))
    for epsilon in (0.1, 1.0, 1e4):
        for iterations in (1, 3):
            settings = {"epsilon": epsilon, "iterations": iterations}
            yield f"shared {settings}", {"input": a, "target": b, "cost": costs[0]}, settings
            yield f"by row {settings}", {"input": a, "target": b, "cost": costs}, settings
    settings = {"epsilon": 0.5, "iterations": 2}
    yield (
        "of one bin",
        {"input": np.ones((2, 1)), "target": np.ones((2, 1)), "cost": np.ones((1, 1))},
        settings,
    )
    for scale in (1e-30, 1e30):
        settings = {"epsilon": 0.5 * scale, "iterations": 2}
        yield f"times {scale}", {"input": a, "target": b, "cost": costs * scale}, settings


STRUCTURED: Mapping[str, Callable[..., Drawn]] = {
    "ranking_softmax": _ranking_softmax,
    "rank_ndcg": _rank_ndcg,
    "cox": _cox,
    "td_lambda": _td_lambda,
    "crf": _crf,
    "sinkhorn": _sinkhorn,
}
