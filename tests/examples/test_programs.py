"""Every example runs as a user runs it, and what it prints is held to closed forms and exact minima."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

EXAMPLES = Path(__file__).parents[2] / "examples"
ROUNDED = 0.5001e-4  # what four printed decimals may hide

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Array = NDArray[np.float64]

needs_matplotlib = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib")
needs_sklearn = pytest.mark.skipif(find_spec("sklearn") is None, reason="needs scikit-learn")


@pytest.mark.slow
def test_a_straight_line_follows_the_recurrence_of_gradient_descent(run: Run) -> None:
    result = run("straight_line")
    assert result.returncode == 0, result.stderr
    losses = numbers(r"step +(\d+)  learning rate (\S+) +loss (\S+)", result.stdout)
    ends = numbers(r"y = (\S+) x \+ (\S+), so at x = 4: (\S+)", result.stdout)

    constant = np.full(500, 0.03)
    decayed = 0.03 * np.repeat([1, 0.1, 0.01, 0.001], [10, 10, 10, 470])
    paths = [(rates, descent_on_squares(rates)) for rates in (constant, decayed)]
    steps = [0, 10, 20, 30, 499]
    expected = [(step, rates[step], summed_squares(path[step])) for rates, path in paths for step in steps]
    np.testing.assert_allclose(losses, expected, rtol=0, atol=0.5001e-6)
    expected = [
        (slope, intercept, 4 * slope + intercept) for _, path in paths for slope, intercept in path[-1:]
    ]
    np.testing.assert_allclose(ends, expected, rtol=0, atol=ROUNDED)


@pytest.mark.slow
@needs_matplotlib
def test_outliers_pull_each_loss_to_its_exact_minimum(run: Run, tmp_path: Path) -> None:
    result = run("outlier_regression", "--out", str(tmp_path))
    assert result.returncode == 0, result.stderr
    mse, huber, l1 = numbers(r"^(?:mse|huber|l1) +slope (\S+)  intercept (\S+)", result.stdout)

    x = np.linspace(-2, 2, 40)
    y = 3 * x + 1 + np.random.default_rng(0).normal(scale=0.5, size=40)
    y[-5:] -= 8
    design = np.column_stack([x, np.ones(40)])
    np.testing.assert_allclose(mse, np.linalg.lstsq(design, y)[0], rtol=0, atol=ROUNDED)
    np.testing.assert_allclose(huber, huber_minimum(design, y, delta=2.0), rtol=0, atol=2 * ROUNDED)
    # A subgradient never vanishes: descent ends by circling the minimum in its last, small steps.
    np.testing.assert_allclose(l1, l1_minimum(x, y), rtol=0, atol=1e-2)
    assert mse[0] < huber[0] < l1[0]

    for picture in ("lines", "loss_curves", "training"):
        assert missing_colours(tmp_path / f"{picture}.png") == [], picture


@pytest.mark.slow
@needs_sklearn
def test_digits_are_read_with_progress_in_plain_lines(run: Run) -> None:
    result = run("digits")
    assert result.returncode == 0, result.stderr
    [[accuracy, images]] = numbers(r"^held-out accuracy (\S+) on (\d+) images$", result.stdout)
    assert images == 450
    assert 0.95 <= accuracy <= 1
    epochs, losses, _ = numbers(
        r"^ *(\d+)/20  training loss (\S+)  held-out accuracy (\S+)$", result.stderr
    ).T
    assert epochs.tolist() == list(range(2, 21, 2))
    assert (np.diff(losses) < 0).all()
    assert losses[-1] < 0.1 * np.log(10), "expected a tenth of what guessing among ten digits costs"
    assert "\r" not in result.stderr


@pytest.mark.slow
@needs_sklearn
def test_diabetes_reaches_least_squares_and_the_exact_minimum_of_huber(run: Run) -> None:
    from sklearn.datasets import load_diabetes

    result = run("diabetes")
    assert result.returncode == 0, result.stderr
    [squares] = numbers(r"^mean squared error: (\S+) by descent, (\S+) in closed form$", result.stdout)
    [[huber], [least_squares], _] = numbers(r"mean absolute error, .*: (\S+) by", result.stdout)

    measurements, outcome = load_diabetes(return_X_y=True)
    shuffle = np.random.default_rng(0).permutation(442)
    design = np.column_stack([measurements / measurements.std(axis=0), np.ones(442)])[shuffle]
    truth = ((outcome - outcome.mean()) / outcome.std())[shuffle]
    x, y = design[111:], truth[111:]
    closed_form = np.linalg.solve(x.T @ x, x.T @ y)  # the normal equations
    np.testing.assert_allclose(squares, np.mean((y - x @ closed_form) ** 2), rtol=0, atol=1.5e-8)
    for printed, weights in [(least_squares, closed_form), (huber, huber_minimum(x, y, delta=1.0))]:
        held_out = truth[:111] - design[:111] @ weights
        np.testing.assert_allclose(printed, np.mean(np.abs(held_out)), rtol=0, atol=ROUNDED)


def test_progress_rewrites_one_line_on_a_terminal() -> None:
    pty = pytest.importorskip("pty", reason="needs a pseudo-terminal")
    code = "from progress import show_progress\nfor n in 1, 2, 3: show_progress(n, 3, f'loss {1 / n:.2f}')"
    terminal, stderr = pty.openpty()
    try:
        subprocess.run([sys.executable, "-c", code], cwd=EXAMPLES, stderr=stderr, check=True, timeout=60)
        shown = os.read(terminal, 10_000).decode()
    finally:
        os.close(stderr)
        os.close(terminal)
    to_the_end = "\033[K"  # ECMA-48: erase the rest of the line
    lines = [f"\r{n}/3  loss {loss}{to_the_end}" for n, loss in [(1, "1.00"), (2, "0.50"), (3, "0.33")]]
    assert shown == "".join(lines) + "\r\n"


def test_without_a_server_an_example_says_how_to_start_one(run_code: Run, closed_url: str) -> None:
    result = run_code("import straight_line; straight_line.main()", url=closed_url)
    assert result.returncode == 1
    assert re.fullmatch(
        rf"expected a lossd server at {closed_url}/?, got: .*`lossd serve`.*\n", result.stderr
    )


def test_a_refused_call_ends_an_example_with_the_reason(run_code: Run, server: str) -> None:
    result = run_code(
        "from lossd_server import post; post('mse', input=[1, 2], target=[1, 2, 3])", url=server
    )
    assert result.returncode == 1
    assert re.match(r"mse: 422: .*target", result.stderr)


def test_every_program_is_run_by_a_test() -> None:
    programs = {path.stem for path in EXAMPLES.glob("*.py") if "__main__" in path.read_text()}
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert programs == set(re.findall(r'\brun\("(\w+)"', tests))
    assert len(programs) >= 5


def test_the_references_of_this_file_meet_hand_arithmetic() -> None:
    """Beside a far point, huber's location m solves 3 m = 1 + delta, and l1's line meets all other points."""
    ones = np.ones((4, 1))
    np.testing.assert_allclose(huber_minimum(ones, np.array([0, 0, 1, 100.0]), delta=2.0), [1.0])
    np.testing.assert_allclose(l1_minimum(np.arange(5.0), np.array([0, 2, 4, 6, 100.0])), [2, 0], atol=1e-12)
    np.testing.assert_allclose(descent_on_squares(np.array([0.01]))[1], [0.56, 0.24])
    assert summed_squares(np.zeros(2)) == 56


def numbers(pattern: str, text: str) -> Array:
    """Return the groups of every match as a row of numbers."""
    found = [match.groups() for match in re.finditer(pattern, text, re.MULTILINE)]
    assert found, f"expected lines like {pattern}, got {text}"
    return np.array(found, dtype=float)


def descent_on_squares(rates: Array) -> Array:
    """Return slope and intercept before each step of descent on ``summed_squares``, and at its end.

    Its gradient is linear in the distance to the minimum, (2, 0): a step multiplies it by 1 - rate * hessian.
    """
    hessian = 2 * np.array([[14, 6], [6, 3]])  # of the sums of x^2, x and 1 over x = 1, 2, 3
    distances = [np.array([-2.0, 0.0])]
    for rate in rates:
        distances.append(distances[-1] - rate * hessian @ distances[-1])
    return np.add(distances, [2, 0])


def summed_squares(line: Array) -> float:
    slope, intercept = line
    return float(sum((slope * x + intercept - 2 * x) ** 2 for x in (1, 2, 3)))


def huber_minimum(design: Array, y: Array, *, delta: float) -> Array:
    """Solve by iteratively reweighted least squares: an error beyond delta weighs delta / |error|."""
    weights = np.ones(len(y))
    for _ in range(1000):
        scaled = np.sqrt(weights)
        solution = np.linalg.lstsq(design * scaled[:, None], y * scaled)[0]
        weights = delta / np.maximum(np.abs(y - design @ solution), delta)
    return np.asarray(solution)


def l1_minimum(x: Array, y: Array) -> Array:
    """Try the line through every pair of points: one of them is a least absolute errors fit."""
    slopes = {(i, j): (y[j] - y[i]) / (x[j] - x[i]) for i, j in combinations(range(len(x)), 2)}
    lines = [(slope, y[i] - slope * x[i]) for (i, _), slope in slopes.items()]
    return np.array(min(lines, key=lambda line: float(np.abs(line[0] * x + line[1] - y).sum())))


def missing_colours(picture: Path) -> list[str]:
    """Name the colours of mse, huber and l1 of which the picture does not hold a line's worth of pixels."""
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    pixels = imread(picture)[..., :3]
    drawn = {
        colour: np.abs(pixels - to_rgb(colour)).max(axis=-1) < 0.01
        for colour in ("#D55E00", "#009E73", "#0072B2")
    }
    return [colour for colour, where in drawn.items() if where.sum() < 500]
