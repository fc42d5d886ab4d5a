"""The numbers a newcomer can check by hand: losses of small arrays under each reduction, and gradients.

Run it against a server: ``lossd serve`` in one terminal, ``python examples/worked_numbers.py`` in another.
"""

from __future__ import annotations

import json
from math import exp, log
from typing import Any

import numpy as np

from lossd_server import post


def main() -> None:
    mean_squared_error_as_in_numpy()
    every_reduction_of_a_3x3_example()
    the_same_by_legacy_options()
    forward_and_backward()
    l1_beside_mse()
    four_dimensions_instead_of_one()
    cross_entropy_of_one_sample()


def mean_squared_error_as_in_numpy() -> None:
    """``((prediction - truth) ** 2).mean(axis=0)``: (0.25 + 0.01 + 0.01 + 0.04) / 4."""
    prediction, truth = [1, 2, 3, 4], [1.5, 2.1, 2.9, 4.2]
    check("mse", post("mse", input=prediction, target=truth)["loss"]["mean"], 0.0775)
    check("mse along axis 0", post("mse", input=prediction, target=truth, axis=0)["loss"]["mean"], 0.0775)


# Nine squared errors that sum to 37.
INPUT = [[1, 2, 3], [2, 1, 3], [3, 1, 2]]
IDENTITY = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
SQUARES = [[0, 4, 9], [4, 0, 9], [9, 1, 1]]


def every_reduction_of_a_3x3_example() -> None:
    """Ask for four reductions in one call."""
    reductions = {"none": SQUARES, "mean": 37 / 9, "sum": 37, "batchmean": 37 / 3}
    answer = post("mse", input=INPUT, target=IDENTITY, reduction=list(reductions))
    for reduction, expected in reductions.items():
        check(f"3x3 mse, {reduction}", answer["loss"][reduction], expected)


def the_same_by_legacy_options() -> None:
    """PyTorch's ``size_average`` and ``reduce`` still choose the reduction; the answer warns about them."""
    for size_average, reduce, reduction, expected in [
        (True, True, "mean", 37 / 9),
        (False, True, "sum", 37),
        (True, False, "none", SQUARES),
        (False, False, "none", SQUARES),
    ]:
        answer = post("mse", input=INPUT, target=IDENTITY, size_average=size_average, reduce=reduce)
        check(f"3x3 mse, {size_average=!s}, {reduce=!s}", answer["loss"][reduction], expected)
        assert answer["warnings"], "expected a warning about legacy options, got none"
    print("  ", answer["warnings"][0])


def forward_and_backward() -> None:
    """Loss and gradient in one call; the gradient of a mean over four elements is 2 (input - target) / 4."""
    answer = post("mse", input=[[300000, 3], [500000, 4]], target=[[350000, 4], [450000, 3]], gradient=True)
    check("forward", answer["loss"]["mean"], 1250000000.5)
    check("backward", answer["gradient"]["mean"]["input"], [[-25000, -0.5], [25000, 0.5]])


def l1_beside_mse() -> None:
    """One element is off by 2: absolute errors sum to 2, squared ones to 4."""
    for loss, total in [("l1", 2), ("mse", 4)]:
        answer = post(loss, input=[1, 2, 3], target=[1, 2, 5], reduction=["mean", "sum"])
        check(f"{loss}, mean", answer["loss"]["mean"], total / 3)
        check(f"{loss}, sum", answer["loss"]["sum"], total)


def four_dimensions_instead_of_one() -> None:
    """The shape (1, 1, 1, 3) changes nothing but the shape of what comes back per element."""
    for loss, worst, slope in [("l1", 2, -1), ("mse", 4, -4)]:
        call = {"input": [[[[1, 2, 3]]]], "target": [[[[1, 2, 5]]]]}
        answer = post(loss, **call, reduction=["none", "mean", "sum"], gradient=True)
        values, gradient = answer["loss"], answer["gradient"]["sum"]["input"]
        check(f"{loss} of shape (1, 1, 1, 3), none", values["none"], [[[[0, 0, worst]]]])
        check(f"{loss} of shape (1, 1, 1, 3), mean", values["mean"], worst / 3)
        check(f"{loss} of shape (1, 1, 1, 3), sum", values["sum"], worst)
        check(f"{loss} of shape (1, 1, 1, 3), gradient", gradient, [[[[0, 0, slope]]]])


def cross_entropy_of_one_sample() -> None:
    """Class 1 of three is right: log(sum of exponentials) less its score; gradient: softmax less one-hot."""
    scores = [0.1, 0.2, 0.3]
    total = sum(map(exp, scores))
    answer = post("cross_entropy", input=scores, target=1, gradient=True)
    check("cross entropy of class 1", answer["loss"]["mean"], log(total) - 0.2)
    softmax = np.exp(scores) / total
    check("its gradient", answer["gradient"]["mean"]["input"], softmax - [0, 1, 0])


def check(what: str, got: Any, expected: Any) -> None:
    """Print one worked number and hold it to the value and shape worked out by hand."""
    assert np.shape(got) == np.shape(expected), f"{what}: shape {np.shape(got)}"
    # 1e-12: double precision, with room for a few roundings in another order.
    np.testing.assert_allclose(got, expected, rtol=1e-12, err_msg=what)
    print(f"{what:<44}{json.dumps(np.round(got, 4).tolist())}")


if __name__ == "__main__":
    main()
