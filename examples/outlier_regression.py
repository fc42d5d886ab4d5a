"""Fit a line to data with outliers under three losses, and draw what each of them does.

40 points lie near a line, and the last five were shifted down by 8. A squared error grows with the square
of the shift, so mse bends its line towards the five; huber limits their pull to that of an error of delta;
under l1 they pull no harder than any other point. The service gives every loss, gradient and curve; this
program holds the line and draws.

Needs matplotlib. Writes three pictures to ``--out`` (default: ``out`` beside this file).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lossd_server import post

Vector = NDArray[np.float64]

SLOPE, INTERCEPT = 3.0, 1.0
OUTLIERS = 5
SHIFT = -8.0
STEPS = 500
LOSSES: Mapping[str, Mapping[str, float]] = {"mse": {}, "huber": {"delta": 2.0}, "l1": {}}
# Okabe and Ito's colours: distinct to colour-blind readers, and in grey.
COLOURS = {"mse": "#D55E00", "huber": "#009E73", "l1": "#0072B2"}


@dataclass(frozen=True)
class Fit:
    """A line, and the loss at every step on the way to it."""

    slope: float
    intercept: float
    history: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out", help="folder for pictures")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    x, y = points()
    fits = {loss: fit(x, y, loss, settings) for loss, settings in LOSSES.items()}
    for loss, line in fits.items():
        reached = line.history[-1]
        print(f"{loss:<6} slope {line.slope:.4f}  intercept {line.intercept:.4f}  loss {reached:.4f}")

    # Least squares has a closed form to hold mse to; the others are held to the order of the outliers' pull.
    assert np.allclose([fits["mse"].slope, fits["mse"].intercept], np.polyfit(x, y, 1), atol=1e-6)
    assert fits["mse"].slope < fits["huber"].slope < fits["l1"].slope < SLOPE + 0.1
    assert fits["mse"].slope < SLOPE - 0.5, "the outliers should pull mse far off the line"
    assert fits["l1"].slope > SLOPE - 0.5, "the outliers should not pull l1 far off the line"

    for name, figure in {
        "lines": draw_lines(x, y, fits),
        "loss_curves": draw_loss_curves(),
        "training": draw_training(fits),
    }.items():
        figure.savefig(out / f"{name}.png", dpi=150)
        print(f"wrote {out / name}.png")


def points() -> tuple[Vector, Vector]:
    """Return 40 points near a line, the last five of them shifted down."""
    x = np.linspace(-2, 2, 40)
    y = SLOPE * x + INTERCEPT + np.random.default_rng(0).normal(scale=0.5, size=x.size)
    y[-OUTLIERS:] += SHIFT
    return x, y


def fit(x: Vector, y: Vector, loss: str, settings: Mapping[str, float]) -> Fit:
    """Descend from the line y = 0 along the mean gradient that the service returns."""
    slope = intercept = 0.0
    history = []
    for step in range(STEPS):
        answer = post(loss, input=slope * x + intercept, target=y, gradient=True, **settings)
        history.append(answer["loss"]["mean"])
        gradient = np.array(answer["gradient"]["mean"]["input"])
        # l1's gradient does not shrink near its minimum: only a shrinking step settles there.
        learning_rate = 0.2 * 0.9875**step
        slope -= learning_rate * float(gradient @ x)
        intercept -= learning_rate * float(gradient.sum())
    return Fit(slope, intercept, history)


def draw_lines(x: Vector, y: Vector, fits: Mapping[str, Fit]) -> Figure:
    figure, axes = picture()
    axes.scatter(x[:-OUTLIERS], y[:-OUTLIERS], s=22, color="0.45", label="points")
    axes.scatter(x[-OUTLIERS:], y[-OUTLIERS:], s=40, color="black", marker="x", label=f"shifted by {SHIFT:g}")
    axes.plot(x, SLOPE * x + INTERCEPT, color="0.6", linestyle=":", label=f"true line, slope {SLOPE:.2f}")
    for loss, line in fits.items():
        label = f"{title(loss)}, slope {line.slope:.2f}"
        axes.plot(x, line.slope * x + line.intercept, color=COLOURS[loss], linewidth=2, label=label)
    axes.set(title="Five outliers pull mse most, l1 least", xlabel="x", ylabel="y")
    axes.legend(frameon=False)
    return figure


def draw_loss_curves() -> Figure:
    residual = np.linspace(-4, 4, 321)
    figure, axes = picture()
    for loss in ("mse", "l1"):
        axes.plot(residual, curve(loss, residual), color=COLOURS[loss], linewidth=2, label=loss)
    for delta, style in [(0.1, ":"), (1.0, "--"), (10.0, "-")]:
        label = f"huber, delta {delta:g}"
        values = curve("huber", residual, delta=delta)
        axes.plot(residual, values, color=COLOURS["huber"], linestyle=style, linewidth=2, label=label)
    axes.set(title="What an error costs", xlabel="input - target", ylabel="loss", ylim=(0, 8))
    axes.legend(frameon=False, loc="upper center")
    return figure


def curve(loss: str, residual: Vector, **settings: float) -> Vector:
    """Return the loss of each residual."""
    answer = post(loss, input=residual, target=np.zeros_like(residual), reduction="none", **settings)
    return np.array(answer["loss"]["none"])


def draw_training(fits: Mapping[str, Fit]) -> Figure:
    figure, axes = picture()
    for loss, line in fits.items():
        axes.plot(line.history, color=COLOURS[loss], linewidth=2, label=title(loss))
    axes.set(title="Loss against iteration", xlabel="iteration", ylabel="mean loss")
    axes.set(xlim=(0, 100), ylim=(0, None))
    axes.legend(frameon=False)
    return figure


def picture() -> tuple[Figure, Axes]:
    # A figure of its own rather than pyplot's: it draws to a file, and no display is looked for.
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    return figure, figure.subplots()


def title(loss: str) -> str:
    return ", ".join([loss, *(f"{name} {value:g}" for name, value in LOSSES[loss].items())])


if __name__ == "__main__":
    main()
