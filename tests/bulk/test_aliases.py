"""Files that are evaluated in parts under another framework's name have the bits of one call under that name."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossd.commands import in_parts
from lossd.declaration.samples import forms, sample_call
from lossd.engine import evaluate
from lossd.errors import InvalidCall
from lossd.losses import LOSSES, find
from lossd.message import Array, Call

WITHOUT_PARTS = {
    "CTCLoss": "rows along the second axis",
    "ctc_loss": "rows along the second axis",
    "Dice": "the option axis",
    "rlax.td_lambda": "an argument that is a single number",
}
ALIASES = [
    alias.name
    for loss in LOSSES.values()
    if not loss.whole_batch
    for alias in loss.aliases
    if alias.name not in WITHOUT_PARTS
]
ROWS = 41


def _evaluate(
    folder: Path, name: str, arrays: dict[str, Array], *outputs: str, **options: Any
) -> dict[str, Any]:
    for argument, array in arrays.items():
        np.save(folder / f"{argument}.npy", array)
    files = {argument: str(folder / f"{argument}.npy") for argument in arrays}
    out = [f"{output}={folder / output}.npy" for output in outputs]
    arguments = argparse.Namespace(scheduler=None, journal=None, threads=1, out=out)
    return json.loads(in_parts.evaluate_files(arguments, find(name), files, options))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ALIASES)
def test_every_alias_gives_the_bits_of_the_whole_call(tmp_path: Path, name: str, weighted: bool) -> None:
    loss, rng = find(name), np.random.default_rng(7)
    call = sample_call(LOSSES[loss.name], rng, form=forms(loss)[0], batch=(ROWS,))
    arrays = dict(call.arrays)
    if weighted:
        arrays["sample_weight"] = rng.uniform(0.5, 2, ROWS)
    whole = evaluate(loss, Call(arrays, call.options))
    if "none" in whole.loss:
        found = _evaluate(tmp_path, name, arrays, "loss", **call.options)
        assert "loss" not in found
        np.testing.assert_array_equal(np.load(tmp_path / "loss.npy"), whole.loss["none"], strict=True)
    else:
        found = _evaluate(tmp_path, name, arrays, **call.options)
        assert found["loss"] == {reduction: float(value) for reduction, value in whole.loss.items()}
    assert (found["count"], found["denominator"]) == (whole.count, whole.denominator)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mean_squared_error", {}),
        ("mean_absolute_error", {}),
        ("MeanSquaredError", {}),
        ("optax.squared_error", {"reduction": "mean"}),
        ("reg:squarederror", {}),
        ("mse", {"convention": "gbm"}),
        ("mse", {"size_average": False}),
    ],
)
def test_gradients_and_weights_of_first_axes_are_those_of_the_whole_call(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    loss, rng = find(name), np.random.default_rng(7)
    weighs = loss.alias is not None and loss.alias.weighs_samples
    arrays = {argument: rng.normal(size=(ROWS, 6)) for argument in ("input", "target")}
    arrays["sample_weight"] = rng.uniform(0.5, 2, ROWS if weighs else (ROWS, 6))
    found = _evaluate(tmp_path, name, arrays, "gradient.input", **options)
    ((reduction, value),) = found["loss"].items()
    whole = evaluate(loss, Call(arrays, {**options, "gradient": "input"}))
    assert whole.loss == {reduction: value}
    gradient = np.load(tmp_path / "gradient.input.npy")
    np.testing.assert_array_equal(gradient, whole.gradient[reduction]["input"], strict=True)


@pytest.mark.parametrize(
    ("name", "outputs", "options", "message"),
    [
        ("optax.squared_error", [], {}, "rows have theirs by --out loss=FILE, got none"),
        ("optax.squared_error", ["loss", "gradient.input"], {}, "one reduction to a number"),
        ("reg:squarederror", ["loss"], {}, "another convention, whose rows have losses of their own"),
        ("mse", ["loss"], {"convention": "gbm"}, "another convention, whose rows have losses of their own"),
        ("mse", [], {"reduce": False}, "rows have theirs by --out loss=FILE, got none"),
    ],
)
def test_what_the_name_reduces_otherwise_is_refused(
    tmp_path: Path, name: str, outputs: list[str], options: dict[str, Any], message: str
) -> None:
    arrays = {argument: np.ones(ROWS) for argument in ("input", "target")}
    with pytest.raises(InvalidCall, match=message):
        _evaluate(tmp_path, name, arrays, *outputs, **options)
    assert not [*tmp_path.glob("*.part")]
