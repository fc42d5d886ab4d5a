"""Cases of the losses of lists, chains, returns and transport, as in `cases`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.oracle import formulas_of_structure as formulas
from tests.oracle.case import Case, Drawn
from tests.oracle.record import Oracle

EPS = float(np.finfo(np.float64).eps)


def _scores(
    rng: np.random.Generator, limits: Any, shape: tuple[int, ...]
) -> Iterator[tuple[str, np.ndarray, bool]]:
    """Yield scores of many sizes, and whether they are tied."""
    x = rng.standard_normal(shape)
    yield "plain", x, False
    yield "tied", np.rint(x), True
    for scale in (20.0, 600.0, float(limits.max) / 64, 1e-30, float(limits.tiny)):
        yield f"times {scale:.0e}", x * scale, False
    yield "far from zero", x + 1e4, False


def _ranking_softmax(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x, tied in _scores(rng, limits, (6, 5)):
        relevance = rng.uniform(0, 2, x.shape) * (rng.random(x.shape) < 0.6)
        yield Case(name, {"input": x, "target": relevance}, kink=tied)
    certain = 60 * np.eye(4) - 20
    yield Case("certain", {"input": certain, "target": np.eye(4)})
    yield Case("of one item", {"input": certain[:, :1], "target": np.ones((4, 1))})
    heavy = 10.0 ** rng.uniform(-30, 30, (4, 4))
    yield Case("relevance of every size", {"input": rng.standard_normal((4, 4)), "target": heavy})
    ruled_out = np.where(np.eye(4) == 1, -np.inf, 0.5)
    yield Case("ruled out", {"input": ruled_out, "target": 1 - np.eye(4)})


def _rank_ndcg(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x, tied in _scores(rng, limits, (6, 5)):
        grades = rng.integers(0, 4, x.shape)
        for settings in ({}, {"truncation_level": 2}, {"sigma": 0.5}):
            yield Case(f"{name} {settings}", {"input": x, "target": grades}, settings, kink=tied)
    x = rng.standard_normal((3, 4))
    yield Case("all alike", {"input": x, "target": np.full((3, 4), 2)})
    yield Case("of one item", {"input": x[:, :1], "target": np.zeros((3, 1), int)})
    yield Case("highest grades", {"input": x, "target": np.array([[31, 30, 0, 31]] * 3)})


def _cox(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x, tied in _scores(rng, limits, (7,)):
        happened = np.array([1, 0, 1, 1, 1, 0, 1], bool)
        for time, durations in {
            "apart": rng.permutation(7) + 0.5,
            "tied": rng.integers(0, 3, 7) * 1.0,
            "at once": np.ones(7),
        }.items():
            arrays = {"log_h": x, "durations": durations, "events": happened}
            yield Case(f"{name}, {time}", arrays, kink=tied or time != "apart")
    risen = np.array([0.0, 40.0, -40.0, 80.0, -80.0, 400.0])
    for order in (np.arange(6.0), -np.arange(6.0), np.array([0.0, 0, 1, 1, 2, 2])):
        arrays = {"log_h": risen, "durations": order, "events": np.ones(6, bool)}
        yield Case(f"spread {order}", arrays, kink=len(set(order)) < 6)
    one = np.ones(1)
    yield Case("alone", {"log_h": one, "durations": one, "events": one.astype(bool)})
    yield Case("no event", {"log_h": risen, "durations": np.arange(6.0), "events": np.zeros(6, bool)})


def _td_lambda(rng: np.random.Generator, limits: Any) -> Drawn:
    settings = {"stop_target_gradients": False}
    for scale in (1.0, float(limits.max) / 256, float(limits.tiny) * 64):
        v, r, w = rng.standard_normal((3, 4, 5)) * scale
        gamma = rng.uniform(0.5, 1, (4, 5)) * (rng.random((4, 5)) < 0.8)
        arrays = {"v_tm1": v, "r_t": r, "discount_t": gamma, "v_t": w}
        yield Case(f"of {scale:.0e}", {**arrays, "lambda_": rng.uniform(0, 1, (4, 5))}, settings)
        for mixing in (0.0, 0.9, 1.0):
            yield Case(f"of {scale:.0e}, {mixing}", {**arrays, "lambda_": np.array(mixing)}, settings)


def _crf(rng: np.random.Generator, limits: Any) -> Drawn:
    for name, x, tied in _scores(rng, limits, (4, 4, 3)):
        tags = rng.integers(0, 3, (4, 4))
        scale = min(float(np.abs(x).max()), 30.0)
        transitions = rng.standard_normal((3, 3)) * scale
        ends = {
            "start_transitions": rng.standard_normal(3),
            "end_transitions": rng.standard_normal(3) * scale,
        }
        arrays = {"emissions": x, "tags": tags, "transitions": transitions}
        yield Case(name, arrays, kink=tied)
        given = {**arrays, **ends, "lengths": np.array([4, 2, 1, 0])}
        yield Case(f"{name}, of lengths", given, kink=tied)
        for height in (30.0, 300.0):  # the tags are all but certain
            easy = x / max(1.0, float(np.abs(x).max())) + height * np.eye(3)[tags]
            given = {**arrays, "emissions": easy, "transitions": transitions / scale}
            yield Case(f"{name}, easy {height}", given, kink=tied)
    x, tags = rng.standard_normal((3, 3, 3)), np.array([[0, 1, 2], [0, 0, 1], [1, 2, 2]])
    forbidden = np.array([[0.5, 1.0, -np.inf], [-np.inf, 0.0, 0.3], [-np.inf, -np.inf, 0.1]])
    yield Case("in order", {"emissions": x, "tags": tags, "transitions": forbidden})
    yield Case("one tag", {"emissions": x[..., :1], "tags": tags * 0, "transitions": np.ones((1, 1))})


def _sinkhorn(rng: np.random.Generator, limits: Any) -> Drawn:
    a, b = rng.dirichlet(np.ones(3), (2, 3))
    costs = rng.random((3, 3, 3))
    for epsilon in (0.1, 1.0, 1e4):
        for iterations in (1, 3):
            settings = {"epsilon": epsilon, "iterations": iterations}
            yield Case(f"shared {settings}", {"input": a, "target": b, "cost": costs[0]}, settings)
            yield Case(f"by row {settings}", {"input": a, "target": b, "cost": costs}, settings)
    settings = {"epsilon": 0.5, "iterations": 2}
    one = {"input": np.ones((2, 1)), "target": np.ones((2, 1)), "cost": np.ones((1, 1))}
    yield Case("of one bin", one, settings)
    for scale in (1e-30, 1e30):
        settings = {"epsilon": 0.5 * scale, "iterations": 2}
        yield Case(f"times {scale}", {"input": a, "target": b, "cost": costs * scale}, settings)


CHAIN = ("emissions", "transitions", "start_transitions", "end_transitions")


def _exponents(bound: float, *names: str) -> Callable[[Case], float]:
    """Return the bound of exponentials of differences of some arguments: half a unit in each, as many as it is."""
    return lambda case: bound + min(2 * case.largest(*names), 800)


def _steps(case: Case) -> float:
    """Return the bound of a chain, whose exponents are sums over its steps."""
    return 12 + min(case.largest(*CHAIN) * case.arrays["tags"].shape[1], 800)


def _score(case: Case) -> float:
    """Return as much as a sequence's score, which is added up in float64, may be of either sign."""
    return case.arrays["emissions"].shape[-2] * case.largest(*CHAIN)


def _potentials(case: Case) -> float:
    """Return the bound of transport; slopes through the iterations are sums whose addends the oracle does not say."""
    return 1000 + 2 * case.largest("cost") / case.settings.get("epsilon", 0.1)


def _earlier_discounts(case: Case) -> float:
    """Return what the discounts of earlier steps multiply a return with, each no heavier than its type computes in."""
    steps, largest = case.arrays["v_t"].shape[1], max(case.largest("discount_t"), 1.0)
    return min(largest, float(np.finfo(case.dtype).eps) ** -0.5) ** (steps - 1)


def _largest_potential(case: Case) -> float:
    """Return as much as a potential may be: what the entropy adds to it is a multiple of epsilon, beside the costs."""
    return case.largest("cost") + float(case.settings.get("epsilon", 0.1))


ORACLES: dict[str, Oracle] = {
    "ranking_softmax": Oracle(formulas.ranking_softmax, _ranking_softmax, bound=6, spreads_nan=True),
    "rank_ndcg": Oracle(
        formulas.rank_ndcg,
        _rank_ndcg,
        bound=_exponents(8, "input"),
        calls=15,
        settings={"truncation_level": (30, 1, 2)},
        spreads_nan=True,
    ),
    "cox": Oracle(
        formulas.cox,
        _cox,
        bound=_exponents(8, "log_h"),
        calls=15,
        orders=("durations",),
        spreads_nan=True,
    ),
    "td_lambda": Oracle(
        formulas.td_lambda,
        _td_lambda,
        bound=8,
        settings={"stop_target_gradients": (False,)},
        factor=_earlier_discounts,
    ),
    "crf": Oracle(
        formulas.crf,
        _crf,
        bound=_steps,
        calls=3,
        sharpness=lambda case: _score(case) * EPS / float(np.finfo(case.dtype).eps),
        swamped=lambda case: _score(case) * EPS > 2.0**-10,
        dual_numbers=True,
        spreads_nan=True,
        limits=(),
    ),
    "sinkhorn": Oracle(
        formulas.sinkhorn,
        _sinkhorn,
        bound=_potentials,
        calls=3,
        settings={"iterations": (1, 2, 3)},
        hessian_cancels=True,  # by as much as the costs outweigh epsilon
        curvature_addends=_largest_potential,
        dual_numbers=True,
        spreads_nan=True,
        limits=(),
    ),
}
