"""Cases of the losses of scores, counts and densities, as in `cases`: tails, kinks, and both ends of the types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.oracle import formulas_of_labels as labels
from tests.oracle import formulas_of_likelihoods as likelihoods
from tests.oracle.case import Case, Drawn
from tests.oracle.exact import MP, Number
from tests.oracle.record import Comparison, Oracle

INF, NAN = np.inf, np.nan


def _scores(rng: np.random.Generator, limits: Any) -> np.ndarray:
    """Return scores near and far, next to the kinks at -1, 0 and 1, and of every magnitude."""
    eps, tiny, most = float(limits.eps), float(limits.tiny), float(limits.max)
    sweep = [0, -0.0, 0.5, 3, 20, 40, 80, 110, 700, 1e4, 1e-3, 1e-8, 1e-30, tiny, tiny / 8, most, most / 4]
    near = [1.0, 1 - eps, 1 + eps, 1 - 1e-4, 1 + 1e-4]
    edges = np.array([*sweep, *near])
    return np.concatenate([rng.standard_normal(10) * 3, edges, -edges])


def _signed(*, settings: tuple[dict[str, float], ...] = ({},)) -> Callable[..., Drawn]:
    """Draw scores for either label."""

    def draw(rng: np.random.Generator, limits: Any) -> Drawn:
        x = _scores(rng, limits)
        for given in settings:
            for label in (1.0, -1.0):
                yield Case(
                    f"{label} {given or 'plain'}",
                    {"input": x, "target": np.full(x.shape, label)},
                    given,
                    kink=True,
                )
        least, most = float(limits.smallest_subnormal), float(limits.max)
        for label in (1.0, -1.0):
            ends = np.array([0.3, least, most, INF, -INF, NAN])
            yield Case(f"ends, {label}", {"input": ends, "target": np.full(6, label)})
        yield Case("ordinary", {"input": np.array([0.3, -1.7, 2.2]), "target": np.array([1.0, -1, 1])})

    return draw


def _margin_ranking(rng: np.random.Generator, limits: Any) -> Drawn:
    x, grid = _scores(rng, limits), rng.integers(-16, 17, 40) / 8  # differences of eighths are exact
    for margin in (0.0, 1.0, 0.25, -2.0):
        arrays = {"input1": grid, "input2": rng.permutation(grid), "target": rng.choice([-1.0, 1.0], 40)}
        yield Case(f"margin {margin}", arrays, {"margin": margin}, kink=True)
    for other in (np.zeros(x.shape), x, -x):
        for label in (1.0, -1.0):
            arrays = {"input1": x, "input2": other, "target": np.full(x.shape, label)}
            yield Case(f"{label}", arrays, kink=True)
    ends = np.array([INF, -INF, 0, 0, INF, NAN])
    arrays = {"input1": ends, "input2": np.array([0, 0, INF, -INF, INF, 0]), "target": np.ones(6)}
    yield Case("infinities", arrays, kink=True)
    few = {"input1": np.array([0.3, -1]), "input2": np.array([1.0, 2.5]), "target": np.array([1.0, -1])}
    yield Case("ordinary", few, {"margin": 0.25})


def _sigmoid_focal(rng: np.random.Generator, limits: Any) -> Drawn:
    x = _scores(rng, limits)
    for label in (0.0, 1.0):
        arrays = {"input": x, "target": np.full(x.shape, label)}
        for settings in ({}, {"alpha": -1.0}, {"gamma": 0.0}, {"alpha": 1.0, "gamma": 0.5}, {"gamma": 1e-5}):
            yield Case(f"{label} {settings or 'plain'}", arrays, settings)
    least, eps = float(limits.smallest_subnormal), float(limits.eps)
    soft = rng.uniform(0, 1, x.shape)
    yield Case("soft", {"input": x, "target": soft})
    targets = np.array([eps, 0.5, 1 - eps / 2, 1e-9, 0.3])
    few = np.array([-30, -1, 0, 0.3, 30, 79, -INF, INF, least])
    x, t = (a.reshape(-1) for a in np.meshgrid(few, targets))
    for gamma in (2.0, 0.0, 10.0, 1e-3):
        yield Case(f"all pairs, gamma {gamma}", {"input": x, "target": t}, {"gamma": gamma})
    ends = {"input": np.array([INF, -INF, INF, -INF]), "target": np.array([1.0, 0, 0, 1])}
    yield Case("infinite", ends)


def _poisson_nll(rng: np.random.Generator, limits: Any) -> Drawn:
    tiny, most, eps = float(limits.tiny), float(limits.max), float(limits.eps)
    x = np.concatenate([rng.standard_normal(10) * 2, [0, 1, -1, 20, 80, -80, -700, 1e-30, -most / 4, 5]])
    t = np.concatenate([rng.integers(0, 9, 10), [0, 1, 1 + eps, 2, 0.5, 1e9, 3, tiny, 4, most / 1e9]])
    few = {"input": np.array([0.3, -1.2]), "target": np.array([3.0, 0.5])}
    yield Case("ordinary", few, {"full": True})
    yield Case("ordinary rates", {**few, "input": abs(few["input"])}, {"full": True, "log_input": False})
    for full in (False, True):
        t = np.minimum(t, 9) if full else t  # of more the digits of the logarithm of the rate have weight
        yield Case(f"counts, full {full}", {"input": x, "target": t}, {"full": full}, kink=True)
        arrays = {"input": abs(x), "target": t}
        for least in (1e-8, 0.3, 1e-60, 1.0, 1.0 + eps):
            settings = {"full": full, "log_input": False, "eps": least}
            yield Case(f"rates, full {full}, eps {least}", arrays, settings, kink=True)
    many = np.exp(rng.uniform(0.1, 1.5, 12))
    for off in (0.0, eps, -8 * eps, 1e-4, -1e-4, 0.3, -0.3):  # next to the optimum
        near = {"input": np.log(many) + off, "target": many}
        yield Case(f"optimum {off}", near, {"full": True})
        near = {"input": many * (1 + off), "target": many}
        yield Case(f"optimal rate {off}", near, {"full": True, "log_input": False})
    x, t = np.array([INF, -INF, -INF, NAN, INF]), np.array([2.0, 2, 0, 1, 0])
    yield Case("not finite", {"input": x, "target": t})
    yield Case("not finite, full", {"input": x, "target": t}, {"full": True})
    rates = {"input": np.array([INF, 0, INF]), "target": np.array([2.0, 2, 0])}
    yield Case("infinite rates", rates, {"log_input": False})


def _gaussian_nll(rng: np.random.Generator, limits: Any) -> Drawn:
    most = float(limits.max)
    x, t = rng.standard_normal((2, 12)) * 3
    var = np.exp(rng.standard_normal(12))
    x[3], t[4], var[5], var[6] = t[3], x[4], 1.0, 1e-3
    for settings in ({}, {"full": True}, {"full": True, "eps": 1e-2}):
        yield Case(f"{settings or 'plain'}", {"input": x, "target": t, "var": var}, settings, kink=True)
    yield Case("ordinary", {"input": x[:4], "target": t[:4], "var": var[:4] + 0.1}, {"full": True})
    small = {"input": x, "target": t, "var": np.resize([0, 1e-9, 1e-6, 1e-5], 12)}
    for eps in (1e-6, 1e-60, 1.0):
        yield Case(f"variances below {eps}", small, {"eps": eps}, kink=True)
    wide = np.array([most / 4, most**0.5, most**0.6, 1e-30, 1e18, 1.0])
    arrays = {
        "input": wide,
        "target": -wide[::-1].copy(),
        "var": np.array([most / 2, most**0.9, 1e30, 1e-5, 1, 1]),
    }
    yield Case("of every size", arrays)
    ends = {"input": np.array([INF, 0, NAN]), "target": np.array([0.0, -INF, 0]), "var": np.ones(3)}
    yield Case("not finite", ends)


def _kl_div(rng: np.random.Generator, limits: Any) -> Drawn:
    least, eps = float(limits.smallest_subnormal), float(limits.eps)
    p = rng.dirichlet(np.ones(12))
    p[:4] = [0, least, 1 - eps, 1]
    x = np.log(rng.dirichlet(np.ones(12)))
    yield Case("probabilities", {"input": x, "target": p})
    x[:4] = [-INF, -80, -eps, 0]
    yield Case("certainties", {"input": x, "target": p})
    for off in (0.0, eps, -1e-4):
        t = rng.uniform(0.1, 2, 8)
        yield Case(f"equal but for {off}", {"input": np.log(t) + off, "target": t})
    log_p = np.concatenate([-np.exp(rng.uniform(-3, 6, 12)), [0, -1e-30, -100, -740, -1400, 3]])
    far = np.concatenate([-np.exp(rng.uniform(-3, 6, 12)), [-1, -1, -1e30, -1e30, -float(limits.max) / 2, 1]])
    yield Case("logarithms", {"input": far, "target": log_p}, {"log_target": True})
    yield Case("equal logarithms", {"input": log_p, "target": log_p}, {"log_target": True})
    ends = {"input": np.array([-INF, -INF, 0, -1.0]), "target": np.array([-INF, -1, -INF, NAN])}
    yield Case("infinite logarithms", ends, {"log_target": True})
    ends = {"input": np.array([-INF, -INF, NAN]), "target": np.array([0, 0.5, 0.5])}
    yield Case("infinities", ends)


def _focal_power(case: Case) -> float:
    """Return the bound of a power, which multiplies the rounding of its base's logarithm."""
    return 8 + case.settings.get("gamma", 2.0) * min(max(case.largest("input"), 40.0), 750.0)


def _counts(arrays: dict[str, np.ndarray], settings: Mapping[str, Any]) -> None:
    """Keep inputs in the range of an exponential, unless they are rates, which are positive."""
    input = arrays["input"]
    arrays["input"] = np.minimum(input, input.dtype.type(1e4)) if settings["log_input"] else abs(input)


def _probabilities(arrays: dict[str, np.ndarray], settings: Mapping[str, Any]) -> None:
    """Keep logarithms in the range of an exponential; probabilities are positive."""
    target = arrays["target"]
    arrays["target"] = np.minimum(target, target.dtype.type(80)) if settings["log_target"] else abs(target)


def _outgrown(case: Case, argument: str) -> Number:
    """Return a number whose logarithm is larger than any float, where it is compared with one."""
    is_probability = argument == "target" and not case.settings["log_target"]
    return MP.ldexp(1, 10**400) if is_probability else MP.mpf(10) ** 500


MARGIN = (Comparison("margin"),)
ORACLES: dict[str, Oracle] = {
    "soft_margin": Oracle(labels.soft_margin, _signed(), bound=4),
    "hinge": Oracle(labels.hinge, _signed(), bound=2),
    "squared_hinge": Oracle(labels.squared_hinge, _signed(), bound=4),
    "hinge_embedding": Oracle(
        labels.hinge_embedding,
        _signed(settings=({}, {"margin": 0.3}, {"margin": -2.0}, {"margin": 1e-300})),
        bound=2,
        comparisons=MARGIN,
    ),
    "margin_ranking": Oracle(labels.margin_ranking, _margin_ranking, bound=4, comparisons=MARGIN),
    "sigmoid_focal": Oracle(
        labels.sigmoid_focal,
        _sigmoid_focal,
        bound=_focal_power,
        calls=20,
        factor=lambda case: max(case.settings.get("gamma", 2.0), 1.0) ** 2,
        spreads_nan=True,
    ),
    "poisson_nll": Oracle(
        likelihoods.poisson_nll,
        _poisson_nll,
        bound=4,
        repair=_counts,
        settings={
            "eps": (1e-8, 1e-8, 0.0, 1.0, 1.0 - 2.0**-20, 0.3, 1e-60, 1e30)
        },  # next to 1 a logarithm is small
    ),
    "gaussian_nll": Oracle(likelihoods.gaussian_nll, _gaussian_nll, bound=6),
    "kl_div": Oracle(likelihoods.kl_div, _kl_div, bound=4, repair=_probabilities, far=_outgrown),
}
