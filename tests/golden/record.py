"""Draws the calls of the golden file and records their answers: python -m tests.golden.record

To be run before a change that must leave the answers as they are, never to make a test pass.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes  # which makes bfloat16 a name of NumPy's
import numpy as np

from lossd.declaration.loss import Loss
from lossd.declaration.samples import forms, sample_call
from lossd.losses import LOSSES
from lossd.message import Array
from lossd.wire.open_inference.named_tensor import json_tensor
from lossd.wire.tensor import to_base64
from tests.api.serving import InProcess
from tests.golden.calls import ANSWERS, OK, Record, ask

CALLS = 1000
DTYPES = ("float64", "float32", "float16", "bfloat16")
REDUCTIONS = ("none", "sum", "mean", "batchmean", "weighted_mean")
BATCHES = ((6,), (1,), (3, 2), (2, 2, 2), (40,))

# Name of a general option to how it is drawn, for a loss of this many values per call.
Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]
OPTIONS: dict[str, Draw] = {
    "sample_weight": lambda rng, batch: rng.uniform(0, 2, batch).round(3),
    "mask": lambda rng, batch: rng.random(batch) < 0.8,
    "denominator": lambda rng, batch: float(rng.integers(1, 50)),
    "axis": lambda rng, batch: int(rng.integers(len(batch))),
    "dtype": lambda rng, batch: str(rng.choice(DTYPES)),
    "upstream": lambda rng, batch: rng.standard_normal(batch).round(3),
    "hessian": lambda rng, batch: True,
    "hvp": lambda rng, batch: True,  # filled in with a direction
    "convention": lambda rng, batch: "gbm",
    "check_target": lambda rng, batch: str(rng.choice(["strict", "none"])),
    "check_finite": lambda rng, batch: True,
    "empty": lambda rng, batch: str(rng.choice(["nan", "zero"])),
}


def small(seed: int) -> Iterator[Record]:
    """Draw small calls without end: every loss in turn, its forms, shapes and types, and some of the options."""
    rng = np.random.default_rng(seed)
    names = [*LOSSES]
    while True:
        for name in names:
            yield _small_call(LOSSES[name], rng)


def _small_call(loss: Loss, rng: np.random.Generator) -> Record:
    every = forms(loss)
    form = every[rng.integers(len(every))]
    several = next(iter(form.roles.values())).pattern.batched
    batch = BATCHES[rng.integers(len(BATCHES) if several else 2)]
    dtype = np.dtype(DTYPES[int(rng.choice(len(DTYPES), p=[0.4, 0.4, 0.1, 0.1]))])
    call = sample_call(loss, rng, form=form, batch=batch, draw_settings=bool(rng.integers(2)))
    options = dict(call.options)
    options["reduction"] = [*rng.permutation(REDUCTIONS)[: rng.integers(1, 4)].tolist()]
    given = [*form.roles]
    possible = [n for n in loss.differentiable if n in given or n in loss.differentiable_settings]
    choices = [True, False, *([possible] if possible else [])]
    options["gradient"] = choices[rng.integers(len(choices))]
    for option in rng.permutation([*OPTIONS])[: rng.integers(0, 4)]:
        options.setdefault(str(option), OPTIONS[str(option)](rng, batch))
    first = next(n for n in loss.gradient if n in given)
    if options.get("hvp") is True:
        options["hvp"] = rng.standard_normal(call.arrays[first].shape).round(3)
    if "upstream" in options:
        options["reduction"] = ["none"]
    arrays = {
        name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in call.arrays.items()
    }
    eps = float(ml_dtypes.finfo(np.dtype(options.get("dtype") or dtype)).eps)
    if rng.random() < 0.25:
        return {**_of_open_inference(loss, arrays, options), "eps": eps}
    body = {**_written(arrays, rng), **_plain(options)}
    return {"path": f"/v1/losses/{loss.name}", "body": body, "eps": eps}


def _large_calls() -> Iterator[Record]:
    """Return large calls: of several blocks, or of items that are compared with one another."""
    rows = {"values": "normal", "shape": [300_000], "dtype": "float32"}
    classes = {"values": "normal", "shape": [3000, 200], "dtype": "float32"}
    moved = {"values": "normal", "shape": [4, 30, 90, 90], "dtype": "float64"}
    labels = {"values": "below 200", "shape": [3000], "dtype": "int64"}
    frames = {"values": "normal", "shape": [90, 64, 40], "dtype": "float32"}
    vectors = {"values": "normal", "shape": [20_000, 24], "dtype": "float64"}
    images = {"values": "uniform", "shape": [40, 64, 64], "dtype": "float32"}
    arrays: dict[str, list[dict[str, Any]]] = {
        **{name: [{"input": rows, "target": rows}] for name in _PAIRED},
        "bce": [{"input": _uniform(rows), "target": _uniform(rows)}],
        "bce_with_logits": [{"input": rows, "target": _uniform(rows)}],
        "cross_entropy": [
            {"input": classes, "target": labels},
            {"input": classes, "target": labels, "weight": {**_uniform(classes), "shape": [200]}},
            {"input": moved, "target": {**labels, "values": "below 30", "shape": [4, 90, 90]}},
        ],
        "nll": [{"input": classes, "target": labels}],
        "multi_quantile": [
            {"input": classes, "target": {**classes, "shape": [3000]}, "quantiles": _QUANTILES}
        ],
        "dice": [{"input": images, "target": images}],
        "triplet_margin": [{"anchor": vectors, "positive": vectors, "negative": vectors}],
        "nt_xent": [{"embeddings": {**vectors, "shape": [300, 24]}, "labels": {**labels, "shape": [300]}}],
        "ctc": [_frames(frames)],
    }
    every = {"reduction": ["none", "mean", "sum"], "gradient": True, "encoding": "base64"}
    for place, (name, each) in enumerate(
        (name, each) for name, several in arrays.items() for each in several
    ):
        settings = {"axis": [1, 2]} if name == "dice" else {}
        for options in (every, {"gradient": True, "encoding": "base64"}):
            record = {"path": f"/v1/losses/{name}", "seed": place, "arrays": each}
            eps = 2.0**-23 if any(array["dtype"] == "float32" for array in each.values()) else 2.0**-52
            yield {**record, "options": {**options, **settings}, "eps": eps}


def _uniform(array: dict[str, Any]) -> dict[str, Any]:
    return {**array, "values": "uniform"}


_PAIRED = ("mse", "l1", "huber", "smooth_l1", "pseudo_huber")
_QUANTILES = {"values": "uniform", "shape": [200], "dtype": "float32"}


def _frames(logits: dict[str, Any]) -> dict[str, Any]:
    of_samples = {"shape": [64], "dtype": "int64"}
    return {
        "logits": logits,
        "targets": {"values": "from 1 below 40", "shape": [64, 20], "dtype": "int64"},
        "input_lengths": {"values": "from 60 below 91", **of_samples},
        "target_lengths": {"values": "from 1 below 21", **of_samples},
    }


def _written(arrays: dict[str, Array], rng: np.random.Generator) -> dict[str, Any]:
    """Write arrays as base64, or float64 and whole numbers sometimes as lists."""
    lists = rng.random() < 0.5
    return {
        name: array.tolist() if lists and array.dtype.itemsize == 8 else to_base64(array)
        for name, array in arrays.items()
    }


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in options.items()}


def _of_open_inference(loss: Loss, arrays: dict[str, Array], options: dict[str, Any]) -> Record:
    tensors = {**arrays, **{name: v for name, v in options.items() if isinstance(v, np.ndarray)}}
    inputs = [json_tensor(name, _protocol_has(array)) for name, array in tensors.items()]
    parameters = {name: value for name, value in options.items() if name not in tensors}
    entries = [{**entry, "data": entry["data"].tolist()} for entry in inputs]
    return {"path": f"/v2/models/{loss.name}/infer", "body": {"inputs": entries, "parameters": parameters}}


def _protocol_has(array: Array) -> Array:
    return array if array.dtype.name in DTYPES or array.dtype.kind in "iub" else array.astype(np.float32)


def main() -> None:
    """Draw calls until there are enough that the service answers, and write them with their answers."""
    service = InProcess()
    records = []
    for record in _large_calls():
        status, answer = ask(service, record)
        assert status == OK, (record["path"], answer)
        records.append({**record, "answer": answer})
    for record in small(seed=0):
        status, answer = ask(service, record)
        if status == OK:  # some options do not go together
            records.append({**record, "answer": answer})
        if len(records) == CALLS:
            break
    with ANSWERS.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        file.writelines(json.dumps(record).encode() + b"\n" for record in records)


if __name__ == "__main__":
    main()
