"""Small requests with long answers: what is written is foreseen from the shapes, and ends with its deadline."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import numpy as np
import pytest

from lossd.api.batch import BatchJob
from lossd.api.combining import CombineJob
from lossd.api.dispatch import _TEXT_BYTES
from lossd.api.evaluation import EvaluationJob
from lossd.api.incoming import as_written
from lossd.api.v2.infer import _InferJob
from lossd.engine import compute, cost_of, prepare
from lossd.engine.combine import answer_of, combine
from lossd.engine.limits import LIST_BYTES
from lossd.losses import find
from lossd.message import Call
from lossd.wire import CODECS, COMBINATION_CODECS
from lossd.wire.codec import DecodeLimits
from lossd.wire.decompression import zstd
from tests.api.serving import InProcess

SHAPES = [(4096,), (4096, 1), (4096, *[1] * 7), (512, 1, 1, 8, 1), (2,) * 12, (64, 64)]
ZEROS = {"level": [], "place": []}


def part(names: str, shape: list[int], dtype: str) -> dict[str, Any]:
    """Return a part without rows, whose arguments are shared and of that shape."""
    numbers = {"dtype": dtype, "shape": [0, *shape], "data": ""}
    shared = {f"gradient.mean.{name}": {**ZEROS, "sum": numbers} for name in names}
    return {
        **{"loss": "mse", "first": 0, "rows": 2, "rows_per_block": 131072, "fused": True, "count": 2},
        **{"settings": {}, "arrays": ["input", "target"]},
        **{"selected": False, "denominator": 2.0, "normalizers": {}, "shared": shared, "warnings": []},
        "types": {"": "float64", **dict.fromkeys(names, dtype)},
        "sums": {"mean": {"level": [0], "place": [0], "sum": [5.0]}},
    }


def near(estimated: int, written: int) -> bool:
    """Tell whether two sizes differ by less than a factor, beside what is around the arrays of an answer."""
    return written <= 2 * estimated + 1000 and estimated <= 8 * written


@pytest.mark.parametrize("media_type", CODECS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("encoding", ["list", "base64"])
@pytest.mark.parametrize("axis", [None, -1])
def test_answers_are_as_long_as_their_estimates_say(media_type, shape, dtype, encoding, axis):
    codec = CODECS[media_type]
    numbers = np.random.default_rng(0).normal(size=shape).astype(dtype)
    options = {"reduction": ["none", "mean"], "gradient": True, "encoding": encoding, "axis": axis}
    call = Call({"input": numbers, "target": np.zeros(shape, dtype)}, options)
    prepared = prepare(find("mse"), call)
    cost = as_written(prepared.estimate, codec, call)
    estimated = cost.answer * (_TEXT_BYTES if codec.is_text else 1) + LIST_BYTES * cost.inner_lists
    written = sum(map(len, codec.encode_answer(compute(prepared), call)))
    assert near(estimated, written), (estimated, written)


@pytest.mark.parametrize("media_type", COMBINATION_CODECS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("encoding", ["list", "base64"])
def test_what_parts_come_to_is_as_long_as_estimated(media_type, shape, encoding):
    codec = COMBINATION_CODECS[media_type]
    document = {"parts": [part("xy", [*shape], "float32")], "encoding": encoding}
    reader, limits = COMBINATION_CODECS["application/json"], DecodeLimits(max_depth=13)
    combination = reader.decode_combination(json.dumps(document).encode(), limits)
    call = Call({}, combination.options)
    cost = as_written(cost_of(combination.parts), codec, call)
    estimated = cost.answer * (_TEXT_BYTES if codec.is_text else 1) + LIST_BYTES * cost.inner_lists
    written = sum(map(len, codec.encode_answer(answer_of(combine(combination.parts)), call)))
    assert near(estimated, written), (estimated, written)


@pytest.fixture(scope="module")
def service() -> InProcess:
    return InProcess()


@pytest.mark.parametrize(
    ("names", "shape", "dtype"),
    [
        ("x", [4 << 20, *[1] * 13], "float64"),
        ("xyzw", [2 << 20, *[1] * 14], "float16"),
        ("xyz", [1 << 20, *[1] * 13, 0], "float64"),
    ],
    ids=["one", "four", "empty lists"],
)
def test_a_sum_of_no_branches_asks_for_no_longer_text_than_others(service, names, shape, dtype):
    answer = service.request("POST", "/v1/losses/mse/combine", json={"parts": [part(names, shape, dtype)]})
    assert answer.status_code == 422
    assert "nested lists" in answer.json()["detail"]


def tensor(shape: list[int]) -> dict[str, Any]:
    return {"dtype": "float16", "shape": shape, "data": b64encode(bytes(2 * np.prod(shape))).decode()}


def test_a_packed_call_with_axes_of_length_1_is_charged_for_its_text():
    service = InProcess(max_answer_bytes=1 << 24)
    for shape, answered in (([1 << 20], 200), ([1 << 20, *[1] * 15], 422)):
        numbers = tensor(shape)
        document = {"input": numbers, "target": numbers, "reduction": "none"}
        body = zstd.compress(json.dumps(document).encode())
        answer = service.post("mse", content=body, headers={"content-encoding": "zstd"})
        assert answer.status_code == answered


def test_empty_rows_are_counted():
    service = InProcess(max_answer_bytes=1 << 22)
    numbers = {"dtype": "float64", "shape": [1 << 22, 0], "data": ""}
    answer = service.post("mse", json={"input": numbers, "target": numbers, "reduction": "none"})
    assert answer.status_code == 422


NUMBERS = {"dtype": "float64", "shape": [1 << 16, 1], "data": b64encode(bytes(8 << 16)).decode()}
CALL = {"input": NUMBERS, "target": NUMBERS, "reduction": "none"}
INFER = [
    {"name": name, "shape": [9000], "datatype": "FP64", "data": [0.5] * 9000} for name in ("input", "target")
]
LONG = {
    "a call": (EvaluationJob, "/v1/losses/mse", CALL),
    "a call's bytes": (EvaluationJob, "/v1/losses/mse", {**CALL, "encoding": "base64"}),
    "a batch": (BatchJob, "/v1/batch", {"calls": [{"loss": "mse", **CALL}]}),
    "parts": (CombineJob, "/v1/losses/mse/combine", {"parts": [part("x", [1 << 16, 1], "float64")]}),
    "an inference": (_InferJob, "/v2/models/mse/infer", {"inputs": INFER}),
}


@pytest.mark.parametrize(("job", "path", "document"), LONG.values(), ids=LONG)
def test_a_deadline_that_passes_while_an_answer_is_written_ends_it(service, job, path, document, monkeypatch):
    encode = job.encode

    def encode_late(self, answer, *checkpoint):
        self.exchange.deadline = 0.0
        return encode(self, answer, *checkpoint)

    assert service.request("POST", path, json=document).status_code == 200
    monkeypatch.setattr(job, "encode", encode_late)
    assert service.request("POST", path, json=document).status_code == 504
