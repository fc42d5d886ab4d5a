"""Fit y = 2x by gradient descent: the client holds the model, the service gives the loss and its gradient.

Two runs of 500 steps. One keeps its learning rate and finds the line. The other cuts it to a tenth after
each 10 of the first 30 steps and stops short: the steep direction (how high the line lies over the data) is
learnt in ten steps, the shallow one (slope against intercept) is frozen before it has moved far.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lossd_server import post

STEPS = 500
LEARNING_RATE = 0.03
X = np.array([1.0, 2.0, 3.0])
Y = 2 * X


def main() -> None:
    print("constant learning rate")
    slope, intercept = fit(constant)
    assert abs(slope - 2) < 1e-3, slope
    assert abs(intercept) < 1e-3, intercept
    print(f"  y = {slope:.4f} x + {intercept:.4f}, so at x = 4: {4 * slope + intercept:.4f}")

    print("learning rate x 0.1 every 10 of the first 30 steps")
    slope, intercept = fit(decayed)
    assert 1.5 < slope < 1.9, slope
    print(f"  y = {slope:.4f} x + {intercept:.4f}, so at x = 4: {4 * slope + intercept:.4f}")


def constant(step: int) -> float:
    return LEARNING_RATE


def decayed(step: int) -> float:
    cuts = min(step, 30) // 10
    return LEARNING_RATE * 0.1**cuts


def fit(learning_rate: Callable[[int], float]) -> tuple[float, float]:
    """Descend from the line y = 0 and return slope and intercept after ``STEPS`` steps."""
    slope = intercept = 0.0
    for step in range(STEPS):
        answer = post("mse", input=slope * X + intercept, target=Y, reduction="sum", gradient=True)
        if step in (0, 10, 20, 30, STEPS - 1):
            loss = answer["loss"]["sum"]
            print(f"  step {step:>3}  learning rate {learning_rate(step):<7.2g}  loss {loss:.6f}")
        # The chain rule is the client's: d prediction / d slope = x, d prediction / d intercept = 1.
        gradient = np.array(answer["gradient"]["sum"]["input"])
        slope -= learning_rate(step) * float(gradient @ X)
        intercept -= learning_rate(step) * float(gradient.sum())
    return slope, intercept


if __name__ == "__main__":
    main()
