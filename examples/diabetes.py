"""Predict the progress of diabetes under a loss that a few odd patients cannot dominate.

A linear model of ten measurements of 442 patients (bundled with scikit-learn), fitted under huber by
gradient descent with momentum: the service gives loss and gradient, the client is plain NumPy. Closed-form
least squares judges the result twice. Under a delta beyond every error, huber is half the squared error, so
descent must reach the closed form's loss; under a delta of one standard deviation, it must predict patients
it never saw as well as least squares does. Needs scikit-learn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from lossd_server import post
from progress import show_progress

HELD_OUT = 111
STEPS = 300
# Momentum, because the curvature runs from 0.01 to 4: some of the measurements nearly repeat others.
LEARNING_RATE = 0.5
MOMENTUM = 0.9

Array = NDArray[np.float64]


def main() -> None:
    measurements, outcome = shuffled_patients()
    x, y = measurements[HELD_OUT:], outcome[HELD_OUT:]
    least_squares = np.linalg.lstsq(x, y)[0]

    by_descent = mean_square(y - x @ fit(x, y, delta=100.0))
    in_closed_form = mean_square(y - x @ least_squares)
    print(f"mean squared error: {by_descent:.8f} by descent, {in_closed_form:.8f} in closed form")
    assert abs(by_descent - in_closed_form) < 1e-8

    robust = fit(x, y, delta=1.0)
    unseen, truth = measurements[:HELD_OUT], outcome[:HELD_OUT]
    errors = {
        "huber": mean_absolute(truth - unseen @ robust),
        "least squares": mean_absolute(truth - unseen @ least_squares),
        "the mean outcome": mean_absolute(truth - y.mean()),
    }
    for model, error in errors.items():
        print(f"held-out mean absolute error, in standard deviations: {error:.4f} by {model}")
    assert errors["huber"] < 1.02 * errors["least squares"]
    assert errors["huber"] < 0.8 * errors["the mean outcome"]


def shuffled_patients() -> tuple[Array, Array]:
    """Return measurements and a constant 1 for the intercept, and outcomes, both of standard deviation 1."""
    measurements, outcome = load_diabetes(return_X_y=True)
    scaled = np.column_stack([measurements / measurements.std(axis=0), np.ones(len(measurements))])
    shuffle = np.random.default_rng(0).permutation(len(outcome))
    return scaled[shuffle], (outcome[shuffle] - outcome.mean()) / outcome.std()


def fit(x: Array, y: Array, *, delta: float) -> Array:
    """Descend from the zero model along the mean gradient under huber, and return the weights."""
    weights = np.zeros(x.shape[1])
    velocity = np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        answer = post("huber", input=x @ weights, target=y, delta=delta, gradient=True)
        # The service differentiates as far as the predictions; from there to the weights, the client.
        gradient = x.T @ np.array(answer["gradient"]["mean"]["input"])
        velocity = MOMENTUM * velocity - LEARNING_RATE * gradient
        weights = weights + velocity
        show_progress(step, STEPS, f"huber, delta {delta:g}: loss {answer['loss']['mean']:.8f}")
    return weights


def mean_square(errors: Array) -> float:
    return float(np.mean(errors**2))


def mean_absolute(errors: Array) -> float:
    return float(np.mean(np.abs(errors)))


if __name__ == "__main__":
    main()
