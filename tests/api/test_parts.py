"""Calls in parts by HTTP and by the client: put together in any order, they have the bits of one call."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest

from lossd.api import evaluation
from lossd.client import AsyncLossClient, LossClient, Partial, ServiceError
from lossd.declaration.loss import Loss
from lossd.declaration.samples import CallForm, forms
from lossd.engine import cost_of, evaluate, prepare_part
from lossd.engine.combine import _check_parts, combine
from lossd.engine.cuts import rows_per_block
from lossd.engine.parts import evaluate_part
from lossd.errors import BodyTooLarge
from lossd.losses import LOSSES, find
from lossd.message import Answer, Array, Branches, Call, Combination
from lossd.wire import CODECS, COMBINATION_CODECS
from lossd.wire.codec import MOST_BRANCHES, DecodeLimits
from lossd.wire.part_document import MOST_PARTS
from tests.api.serving import InProcess, serve
from tests.engine.test_parts import BLOCK_BYTES, FORMS, GENERAL, altered, borders, case_of
from tests.losses.cases import Case, batch_axis, take_rows

FORMATS = [*COMBINATION_CODECS]
every_form = pytest.mark.parametrize(("loss", "form"), FORMS, ids=lambda each: each.name)
MEAN = {"input": [1.0, 2.0, 3.0], "target": [1.0, 2.0, 5.0], "partial": {"first": 0}}
COUPLED = [loss for loss in LOSSES.values() if loss.whole_batch]


@pytest.fixture(scope="module")
def service() -> InProcess:
    return InProcess()


@pytest.fixture(scope="module")
def small_blocks() -> Iterator[InProcess]:
    """A service whose blocks are so small that a few rows have several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "prepare_part", partial(prepare_part, block_bytes=BLOCK_BYTES))
        yield InProcess()


def ask(service: InProcess, case: Case, media_type: str, *, seed: int, selected: bool) -> list[Answer]:
    """Send a case in parts of unequal length, and return the answers in their order."""
    codec, calls = CODECS[media_type], []
    for first, last in itertools.pairwise(borders(case, np.random.default_rng(seed))):
        rows = take_rows(case, np.arange(first, last))
        general = {name: case.call.arrays[name][first:last] for name in GENERAL if name in case.call.arrays}
        which = {"partial": {"first": first, "selected": selected}, "encoding": "base64"}
        call = Call({**rows.arrays, **general}, {**rows.options, **which})
        calls.append(b"".join(codec.encode_call(call)))
    path, headers = f"/v1/losses/{case.loss.name}", {"content-type": media_type}
    sent = [("POST", path, {"content": body, "headers": headers}) for body in calls]
    answers = service.together(sent)
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    return [codec.decode_answer(answer.content) for answer in answers]


def combined(service: InProcess, answers: list[Answer], media_type: str, seed: int = 0) -> Answer:
    """Put the parts of answers together, in an order of chance."""
    parts = [answer.part for answer in answers if answer.part is not None]
    order = np.random.default_rng(seed).permutation(len(parts))
    request = Combination([parts[place] for place in order], {"encoding": "base64"})
    body = b"".join(COMBINATION_CODECS[media_type].encode_combination(request))
    path, headers = f"/v1/losses/{parts[0].loss}/combine", {"content-type": media_type}
    answer = service.request("POST", path, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return CODECS[media_type].decode_answer(answer.content)


def check(service: InProcess, case: Case, media_type: str, *, seed: int = 0, selected: bool = False) -> None:
    """First the denominator of all rows, then the derivatives: both have the bits of one call."""
    plain = altered(case, {}, reduction=["mean", "weighted_mean", "batchmean", "sum"])
    whole = evaluate(case.loss, plain.call, block_bytes=BLOCK_BYTES)
    found = combined(service, ask(service, plain, media_type, seed=seed, selected=selected), media_type, seed)
    assert (found.count, found.denominator) == (whole.count, whole.denominator)
    for name, value in whole.loss.items():
        assert np.asarray(found.loss[name]).astype(value.dtype) == value, name

    asked = {"reduction": ["mean", "none"], "gradient": case.differentiable, "denominator": found.denominator}
    divided = altered(case, {}, **asked)
    whole = evaluate(case.loss, divided.call, block_bytes=BLOCK_BYTES)
    answers = ask(service, divided, media_type, seed=seed, selected=selected)
    found = combined(service, answers, media_type, seed)
    assert_same(found.loss["mean"], whole.loss["mean"], "loss")
    assert_same(np.concatenate([answer.loss["none"] for answer in answers]), whole.loss["none"], "none")
    for name in case.differentiable:
        axis = batch_axis(case, name) if name in case.form.roles else None
        by_rows = [answer.gradient["mean"][name] for answer in answers]
        actual = found.gradient["mean"][name] if axis is None else np.concatenate(by_rows, axis=axis)
        assert_same(actual, whole.gradient["mean"][name], name)


def assert_same(actual: Any, expected: Any, of: str) -> None:
    """Compare bits; a single number has no type on the wire."""
    expected = np.asarray(expected)
    actual = np.asarray(actual).astype(expected.dtype) if expected.ndim == 0 else actual
    np.testing.assert_array_equal(actual, expected, strict=True, err_msg=of)


@every_form
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda each: each.__name__)
def test_parts_come_to_the_bits_of_one_call(
    small_blocks: InProcess, loss: Loss, form: CallForm, dtype: Any
) -> None:
    check(small_blocks, case_of(loss, form, (137,), dtype), FORMATS[dtype is np.float32])


@every_form
def test_parts_of_masked_and_weighted_rows(small_blocks: InProcess, loss: Loss, form: CallForm) -> None:
    rng = np.random.default_rng(3)
    for seed, dtype in enumerate((np.float64, np.float32)):
        case = case_of(loss, form, (137,), dtype)
        mask = rng.random(case.values) < 0.6
        mask[:9] = False  # whole blocks without a row
        weighted = altered(case, {"mask": mask, "sample_weight": rng.uniform(0.5, 2, case.values)})
        check(small_blocks, weighted, FORMATS[seed], seed=seed, selected=True)


@pytest.mark.parametrize("name", [loss.name for loss in LOSSES.values() if loss.ignored])
def test_parts_of_which_some_have_ignored_rows(small_blocks: InProcess, name: str) -> None:
    loss = find(name)
    argument, setting = loss.ignored
    case = case_of(loss, forms(loss)[0], (137,))
    target = case.call.arrays[argument].copy()
    target[20:33] = case.call.options.get(setting, loss.settings[setting][1])
    check(small_blocks, altered(case, {argument: target}), FORMATS[0], selected=True)


@pytest.mark.parametrize("name", ["huber", "cross_entropy"])
def test_parts_of_real_blocks_by_the_client(tmp_path: Any, name: str) -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, Array] = {"input": rng.normal(size=300_000), "target": rng.normal(size=300_000)}
    if name == "cross_entropy":
        arrays = {
            "input": rng.normal(size=(5_000, 300)).astype(np.float32),
            "target": rng.integers(300, size=5_000),
        }
    with serve(tmp_path) as server, LossClient(server.url, progress=None) as client:
        whole = client.evaluate(name, **arrays)
        one = client.evaluate(name, **{key: array[:1] for key, array in arrays.items()}, partial=Partial(0))
        assert one.part is not None
        rows, last = one.part.rows_per_block, len(arrays["target"])
        cuts = [0, rows, 2 * rows, last]

        def parts(**options: Any) -> list[Any]:
            return [
                client.evaluate(
                    name,
                    **{key: array[first:stop] for key, array in arrays.items()},
                    partial={"first": first},
                    **options,
                )
                for first, stop in itertools.pairwise(cuts)
            ]

        first = client.combine(part.part for part in parts()[::-1])
        assert_same(first.value, whole.value, "loss")
        assert first.value.dtype == whole.value.dtype
        again = client.evaluate(name, **arrays, denominator=first.denominator, gradient=True)
        second = parts(denominator=first.denominator, gradient=True)
        found = np.concatenate([part.gradient["input"] for part in second])
        np.testing.assert_array_equal(found, again.gradient["input"], strict=True)


@pytest.mark.parametrize("media_type", CODECS)
def test_the_client_sends_parts_in_every_format(tmp_path: Any, media_type: str) -> None:
    with serve(tmp_path) as server:
        with LossClient(server.url, media_type=media_type, progress=None) as client:
            part = client.huber([1.0, 2.0], [1.0, 5.0], partial={"first": 0, "of": 2}).part
            assert part is not None
            assert client.combine([part]).value == 1.25
            lonely = client.huber([1.0, 2.0], [1.0, 5.0], partial=Partial(0, of=3)).part
            assert lonely is not None
            with pytest.raises(ServiceError, match="the rows from 2 on are missing"):
                client.combine([lonely])
            with pytest.raises(ValueError, match="at least one part"):
                client.combine([])

        async def combine() -> float:
            async with AsyncLossClient(server.url, progress=None) as client:
                found = await client.huber([1.0, 2.0], [1.0, 5.0], partial=Partial(0))
                assert found.part is not None
                return float(await client.combine([found.part]))

        assert asyncio.run(combine()) == 1.25


@pytest.mark.parametrize("given", [None, {"first": 0}, np.ones(2)], ids=["none", "a mapping", "an array"])
def test_the_client_says_what_a_part_is_missing(given: Any) -> None:
    got = "None" if given is None else f"a value of type {type(given).__name__}"
    expected = f"expected a Part, got {got}: was the call sent with `partial`? - at `parts[0]`"
    with (
        LossClient("http://127.0.0.1:9", progress=None) as client,
        pytest.raises(TypeError, match=re.escape(expected)),
    ):
        client.combine([given])


def test_what_all_rows_share_goes_without_values(tmp_path: Any) -> None:
    with serve(tmp_path) as server, LossClient(server.url, progress=None) as client:
        asked = {"reduction": "none", "gradient": "delta"}
        part = client.huber([0.0, 9.0], [0.0, 0.0], partial=Partial(0), **asked).part
        assert part is not None
        found = client.combine([part])
        assert found["none"].gradient["delta"] == 8
        assert found["none"].value.size == 0


def part_of(service: InProcess, **more: Any) -> dict[str, Any]:
    answer = service.post("mse", json={**MEAN, **more})
    assert answer.status_code == 200, answer.text
    part: dict[str, Any] = answer.json()["part"]
    return part


def test_the_rest_of_an_answer_is_that_of_the_rows(service: InProcess) -> None:
    asked = {**MEAN, "reduction": ["none", "sum"], "gradient": True}
    whole = {name: value for name, value in asked.items() if name != "partial"}
    answer = service.post("mse", json=asked).json()
    assert answer.pop("part")["sums"] == {"sum": {"level": [0], "place": [0], "sum": [4.0]}}
    assert answer == service.post("mse", json=whole).json()


@pytest.mark.parametrize("loss", COUPLED, ids=lambda loss: loss.name)
def test_a_loss_of_the_whole_batch_says_that_it_has_no_parts(service: InProcess, loss: Loss) -> None:
    answer = service.post(loss.name, json={**loss.example.call, "partial": {"first": 0}})
    assert answer.status_code == 422
    assert f"{loss.name}, whose value is of the whole batch" in answer.json()["detail"]
    assert service.request("GET", f"/v1/losses/{loss.name}").json()["has_parts"] is False


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"partial": True}, "partial"),
        ({"partial": {}}, "partial.first"),
        ({"partial": {"first": -1}}, "partial.first"),
        ({"partial": {"first": 1.5}}, "partial.first"),
        ({"partial": {"first": True}}, "partial.first"),
        ({"partial": {"first": 2**60}}, "partial.first"),
        ({"partial": {"first": 1}}, "partial.first"),
        ({"partial": {"first": 0, "selected": 1}}, "partial.selected"),
        ({"partial": {"first": 0, "last": 3}}, "partial"),
        ({"partial": {"first": 0, "of": None}}, "partial.of"),
        ({"partial": {"first": 0, "of": 2.0}}, "partial.of"),
        ({"partial": {"first": 131072, "of": 131071}}, "partial.of"),
        ({"partial": {"first": 0, "of": 2}}, "partial.of"),
        ({"gradient": True}, "denominator"),
        ({"axis": 0}, "axis"),
    ],
)
def test_a_wrong_part_is_refused_with_its_place(service: InProcess, more: Any, place: str) -> None:
    answer = service.post("mse", json={**MEAN, **more})
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, place)


def test_null_is_no_part_and_arrays_alone_cannot_carry_one(service: InProcess) -> None:
    assert "part" not in service.post("mse", json={**MEAN, "partial": None}).json()
    assert service.post("mse", json=MEAN, headers={"accept": "application/x-npz"}).status_code == 406


@pytest.mark.parametrize("path", ["/v1/losses/mse/gradcheck", "/v2/models/mse/infer"])
def test_nothing_else_takes_a_part_for_a_call(service: InProcess, path: str) -> None:
    inputs = [
        {"name": name, "shape": [3], "datatype": "FP64", "data": MEAN[name]} for name in ("input", "target")
    ]
    body = {"inputs": inputs, "parameters": {"partial": True}} if "infer" in path else MEAN
    answer = service.request("POST", path, json=body)
    assert answer.status_code in (400, 422)
    assert "partial" in answer.text


BRANCH = {"level": [0], "place": [0], "sum": [1.0]}
NEXT = {"level": [0], "place": [1], "sum": [1.0]}
WRONG: Mapping[str, tuple[Any, str]] = {
    "no object": (3, "parts[1]"),
    "no member": ({"count": 3}, "parts[1]"),
    "another member": ({"values": []}, "parts[1]"),
    "a count below 0": ({"count": -1}, "parts[1].count"),
    "a huge count": ({"count": 2**60}, "parts[1].count"),
    "a count that is none": ({"count": True}, "parts[1].count"),
    "a text as fact": ({"selected": "no"}, "parts[1].selected"),
    "a denominator of 0": ({"denominator": 0}, "parts[1].denominator"),
    "a denominator in words": ({"denominator": "NaN"}, "parts[1].denominator"),
    "another denominator": ({"denominator": 7}, "parts[1].denominator"),
    "another loss": ({"loss": "huber"}, "parts[1].loss"),
    "a number as loss": ({"loss": 1}, "parts[1].loss"),
    "an unknown type": ({"types": {"": "float8"}}, "parts[1].types."),
    "a list as type": ({"types": {"": []}}, "parts[1].types."),
    "another type": ({"types": {"": "float32"}}, "parts[1].types"),
    "no sums": ({"sums": {}}, "parts[1].sums"),
    "a list of sums": ({"sums": []}, "parts[1].sums"),
    "sums of another": ({"sums": {"sum": BRANCH}}, "parts[1].sums"),
    "a level of halves": ({"sums": {"mean": {**BRANCH, "level": [0.5]}}}, "parts[1].sums.mean.level"),
    "a level of NaN": ({"sums": {"mean": {**BRANCH, "level": ["NaN"]}}}, "parts[1].sums.mean.level"),
    "a level of words": ({"sums": {"mean": {**BRANCH, "level": ["a"]}}}, "parts[1].sums.mean.level[0]"),
    "a high level": ({"sums": {"mean": {**BRANCH, "level": [63]}}}, "parts[1].sums.mean.place[0]"),
    "a far place": ({"sums": {"mean": {**BRANCH, "place": [2**62]}}}, "parts[1].sums.mean.place[0]"),
    "a place below 0": ({"sums": {"mean": {**BRANCH, "place": [-1]}}}, "parts[1].sums.mean.place[0]"),
    "a far place of a high level": (
        {"sums": {"mean": {"level": [60], "place": [9], "sum": [1.0]}}},
        "parts[1].sums.mean.place[0]",
    ),
    "fewer places than sums": (
        {"sums": {"mean": {**BRANCH, "sum": [1.0, 2.0]}}},
        "parts[1].sums.mean.level",
    ),
    "three of a level": (
        {"sums": {"mean": {"level": [1] * 3, "place": [4, 6, 8], "sum": [1.0] * 3}}},
        "parts[1].sums.mean.level",
    ),
    "more branches than levels": (
        {"sums": {"mean": {"level": [*range(63)] * 3, "place": [0] * 189, "sum": [1.0] * 189}}},
        "parts[1].sums.mean.level",
    ),
    "a vector as sum": ({"sums": {"mean": {**BRANCH, "sum": [[1.0]]}}}, "parts[1].sums.mean.sum"),
    "a number as sums": ({"sums": {"mean": {**BRANCH, "sum": 1.0}}}, "parts[1].sums.mean.sum"),
    "complex sums": (
        {"sums": {"mean": {**BRANCH, "sum": {"real": [1.0], "imag": [0.0]}}}},
        "parts[1].sums.mean.sum",
    ),
    "the same rows": ({}, "parts[1].first"),
    "rows that leave some out": ({"first": 4}, "parts[1].first"),
    "rows that overlap": ({"first": 2}, "parts[1].first"),
    "a place below 0 in the batch": ({"first": -1}, "parts[1].first"),
    "a place too far": ({"first": 2**53}, "parts[1].first"),
    "halves of rows": ({"rows": 1.5}, "parts[1].rows"),
    "too many rows": ({"rows": 2**60}, "parts[1].rows"),
    "the same blocks": ({"first": 3}, "parts[1].sums.mean"),
    "rows above": (
        {"first": 3, "sums": {"mean": {"level": [40], "place": [0], "sum": [1.0]}}},
        "parts[1].sums.mean",
    ),
    "too many rows in all": ({"of": 2**53}, "parts[1].of"),
    "nothing in all": ({"of": None}, "parts[1].of"),
    "fewer rows in all than these": ({"first": 3, "of": 5, "sums": {"mean": NEXT}}, "parts[1].of"),
    "other blocks": ({"rows_per_block": 64}, "parts[1].rows_per_block"),
    "another setting": ({"settings": {"delta": 2.0}}, "parts[1].settings.delta"),
    "a nested setting": ({"settings": {"delta": [1.0]}}, "parts[1].settings.delta"),
    "settings of a list": ({"settings": []}, "parts[1].settings"),
    "other arrays": ({"arrays": ["input"]}, "parts[1].arrays"),
    "arrays of numbers": ({"arrays": [1]}, "parts[1].arrays"),
    "another kernel": ({"fused": False}, "parts[1].fused"),
    "shared by one": ({"shared": {"gradient.mean.weight": BRANCH}}, "parts[1].shared"),
    "shared of no kind": ({"shared": {"slope.mean.weight": BRANCH}}, "parts[1].shared"),
    "warnings of numbers": ({"warnings": [1]}, "parts[1].warnings"),
}


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize("name", WRONG)
def test_a_hostile_part_is_refused_with_its_place(service: InProcess, name: str, media_type: str) -> None:
    change, place = WRONG[name]
    good = part_of(service)
    bad = change if name in ("no object", "no member") else {**good, **change}
    answer = send(service, {"parts": [good, bad]}, media_type)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["at"] == place


@pytest.mark.parametrize(
    ("more", "detail"),
    [
        ({"delta": 2.0}, ("parts[1].settings.delta", "number 1.0, as in parts[0]", "number 2.0")),
        (
            {"sample_weight": [1.0, 2.0, 3.0]},
            ("parts[1].arrays", "input, target, as in parts[0]", "input, sample_weight, target"),
        ),
    ],
)
def test_parts_of_calls_that_differ_are_refused_by_what_differs(
    service: InProcess, more: Any, detail: tuple[str, str, str]
) -> None:
    call = {**MEAN, "reduction": "sum"}
    parts = [service.post("huber", json={**call, **each}).json()["part"] for each in ({}, more)]
    answer = service.post("huber/combine", json={"parts": parts})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [dict(zip(("at", "expected", "got"), detail, strict=True))]


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"sums": {"median": BRANCH}}, "parts[0].sums"),
        ({"sums": {"none": BRANCH}}, "parts[0].sums"),
        ({"normalizers": {"sum": BRANCH}}, "parts[0].normalizers"),
        ({"normalizers": {}}, "parts[0].normalizers"),
        ({"types": {}}, "parts[0].types"),
        ({"types": {"": "complex64"}}, "parts[0].types."),
        ({"shared": {"gradient.mean.weight": BRANCH}}, "parts[0].types"),
        ({"shared": {"gradient.median.weight": BRANCH}}, "parts[0].shared"),
    ],
)
def test_a_part_must_have_what_its_names_ask_for(
    service: InProcess, change: Any, place: str, media_type: str
) -> None:
    answer = send(service, {"parts": [{**part_of(service), **change}]}, media_type)
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, place)


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "parts"),
        ({"parts": None}, "parts"),
        ({"parts": []}, "parts"),
        ({"parts": {}}, "parts"),
        ({"parts": [0] * 20_000}, "parts"),
        ({"parts": [], "empty": "one"}, "empty"),
        ({"parts": [], "encoding": []}, "encoding"),
        ({"parts": [], "reduction": "sum"}, "reduction"),
    ],
)
def test_what_is_no_combination_is_refused(
    service: InProcess, body: Any, place: str, media_type: str
) -> None:
    answer = send(service, body, media_type)
    assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, place)


@pytest.mark.parametrize("media_type", FORMATS)
def test_parts_that_leave_rows_out_are_refused(small_blocks: InProcess, media_type: str) -> None:
    """A part that got lost, or rows that one was too short of, gave the loss of the others without a word."""
    case = case_of(find("mse"), forms(find("mse"))[0], (137,))
    step = rows_per_block(case.loss, case.call, BLOCK_BYTES)

    def part(first: int, stop: int) -> Any:
        arrays = {name: array[first:stop].tolist() for name, array in case.call.arrays.items()}
        answer = small_blocks.post("mse", json={**arrays, "partial": {"first": first}})
        return answer.json()["part"]

    cuts = [(0, step), (step, 3 * step), (3 * step, 4 * step), (4 * step, 137)]
    whole = [part(*cut) for cut in cuts]
    assert [(each["first"], each["rows"]) for each in whole] == [(cut[0], cut[1] - cut[0]) for cut in cuts]
    assert send(small_blocks, {"parts": whole[::-1]}, media_type).json()["count"] == 137
    short = part(step, 3 * step - 1)
    for parts, wrong, expected in (
        ([whole[3], whole[0], whole[2]], 2, f"{step}, where parts[1] ends"),
        ([whole[0], short, *whole[2:]], 2, f"{3 * step - 1}, where parts[1] ends"),
        (whole[1:], 0, "0, where the batch begins"),
        ([*whole[:2], whole[1]], 2, f"{3 * step}, where parts[1] ends"),
    ):
        error = send(small_blocks, {"parts": parts}, media_type).json()["errors"][0]
        assert (error["at"], error["expected"]) == (f"parts[{wrong}].first", expected)


@pytest.mark.parametrize("media_type", FORMATS)
def test_a_last_part_that_is_missing_is_refused_where_parts_say_how_many_rows_there_are(
    small_blocks: InProcess, media_type: str
) -> None:
    case = case_of(find("mse"), forms(find("mse"))[0], (137,))
    step = rows_per_block(case.loss, case.call, BLOCK_BYTES)

    def part(first: int, stop: int, **more: int) -> Any:
        arrays = {name: array[first:stop].tolist() for name, array in case.call.arrays.items()}
        answer = small_blocks.post("mse", json={**arrays, "partial": {"first": first, **more}})
        return answer.json()["part"]

    begin, middle, end = (0, step), (step, 3 * step), (3 * step, 137)
    whole = [part(*cut, of=137) for cut in (begin, middle, end)]
    assert send(small_blocks, {"parts": whole}, media_type).json()["count"] == 137
    one_tells = [part(*begin), whole[1], part(*end)]
    assert send(small_blocks, {"parts": one_tells}, media_type).json()["count"] == 137
    for parts, place, expected in (
        (whole[:2], "parts", "all 137 rows of the batch, as parts[0].of says"),
        (one_tells[:2], "parts", "all 137 rows of the batch, as parts[1].of says"),
        ([whole[2], whole[0]], "parts[0].first", f"{step}, where parts[1] ends"),
        ([*whole[:2], part(*end, of=138)], "parts[2].of", "137, as in parts[0]"),
        ([{**each, "of": 130} for each in whole], "parts[0].of", "137 rows or more, where parts[2] ends"),
    ):
        error = send(small_blocks, {"parts": parts}, media_type).json()["errors"][0]
        assert (error["at"], error["expected"]) == (place, expected)
    error = send(small_blocks, {"parts": whole[:2]}, media_type).json()["errors"][0]
    assert error["got"] == f"{3 * step}: the rows from {3 * step} on are missing"


def send(service: InProcess, body: Any, media_type: str) -> Any:
    """Ask for a combination, given as JSON has it."""
    content = json.dumps(body).encode() if "json" in media_type else msgspec.msgpack.encode(body)
    headers = {"content-type": media_type, "accept": "application/json"}
    return service.request("POST", "/v1/losses/mse/combine", content=content, headers=headers)


def test_what_combine_does_not_read_is_refused(service: InProcess) -> None:
    path, parts = "/v1/losses/mse/combine", {"parts": [part_of(service)]}
    headers = {"content-type": "application/x-npz"}
    assert service.request("POST", path, content=b"PK", headers=headers).status_code == 415
    assert service.request("POST", f"{path}?empty=nan", json=parts).status_code == 422
    assert service.request("POST", "/v1/losses/mss/combine", json=parts).status_code == 404
    assert service.request("GET", path).status_code == 405


def test_a_few_bytes_do_not_ask_for_a_large_answer() -> None:
    service = InProcess(max_answer_bytes=10**6)
    nothing = {"level": [], "place": [], "sum": {"dtype": "float64", "shape": [0, 10**7], "data": ""}}
    part = part_of(service)
    part |= {"shared": {"gradient.mean.weight": nothing}, "types": {"": "float64", "weight": "float64"}}
    answer = service.request("POST", "/v1/losses/mse/combine", json={"parts": [part]})
    assert answer.status_code == 422
    assert "to put these parts together is too expensive: its answer" in answer.json()["detail"]


def shared_part(service: InProcess, sums: Array, dtype: str) -> dict[str, Any]:
    """Return a part, as MessagePack has it, whose rows share a weight; its derivative is of that type."""
    one = {"dtype": "int8", "shape": [len(sums)], "data": bytes(len(sums))}
    numbers = {"dtype": sums.dtype.name, "shape": [*sums.shape], "data": sums.tobytes()}
    shared = {"gradient.mean.weight": {"level": one, "place": one, "sum": numbers}}
    return {**part_of(service), "shared": shared, "types": {"": "float64", "weight": dtype}}


@pytest.mark.parametrize(("of", "answered"), [("complex128", 422), ("float64", 200)])
def test_an_answer_costs_what_its_own_types_take(of: str, answered: int) -> None:
    """The sums of a part without rows take no bytes, and their answer is in a type that may be wider."""
    service = InProcess(max_answer_bytes=10**6)
    body = {"parts": [shared_part(service, np.zeros((0, 10**5)), of)]}
    answer = send(service, body, "application/vnd.msgpack")
    assert answer.status_code == answered
    if answered == 422:
        assert "its answer would be 1.53 MiB" in answer.json()["detail"]


def test_narrow_sums_are_not_widened_before_their_cost_is_known() -> None:
    size, service = 1 << 21, InProcess()
    narrow = np.ones((1, size), np.int8)
    body = msgspec.msgpack.encode({"parts": [shared_part(service, narrow, "float64")]})
    codec = COMBINATION_CODECS["application/vnd.msgpack"]
    tracemalloc.start()
    parts = codec.decode_combination(body).parts
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size, "int8 widened to float64 takes eight times its size"
    assert cost_of(parts).workspace >= 8 * size, "what they are widened to is reserved"


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16", "bfloat16"])
def test_narrow_sums_are_added_in_float64(service: InProcess, dtype: str) -> None:
    many = np.full((1, 2), 120).astype(np.dtype(dtype))
    pair = [shared_part(service, many, "float64"), shared_part(service, many, "float64")]
    second = {"dtype": "int8", "shape": [1], "data": b"\1"}
    pair[1]["shared"]["gradient.mean.weight"]["place"] = second
    pair[1] |= {"first": 3, "sums": {"mean": {**BRANCH, "place": [1]}}}
    pair[1]["normalizers"] = {"mean": {**BRANCH, "place": [1]}}
    answer = send(service, {"parts": pair}, "application/vnd.msgpack")
    assert answer.json()["gradient"]["mean"]["weight"] == [240.0, 240.0]


def test_many_tiny_parts_cost_work() -> None:
    part, service = part_of(InProcess()), InProcess(max_work=10**6)
    many = [
        {
            **part,
            "first": 3 * place,
            "sums": {"mean": {**BRANCH, "place": [place]}},
            "normalizers": {"mean": {**BRANCH, "place": [place]}},
        }
        for place in range(200)
    ]
    few = service.request("POST", "/v1/losses/mse/combine", json={"parts": many[:9]})
    assert few.json()["loss"] == {"mean": 1.0}
    refused = service.request("POST", "/v1/losses/mse/combine", json={"parts": many})
    assert "to put these parts together is too expensive: its work" in refused.json()["detail"]
    limited = InProcess(work_per_second=1.0, work_burst=1)
    statuses = [
        limited.request("POST", "/v1/losses/mse/combine", json={"parts": many[:9]}).status_code
        for _ in range(2)
    ]
    assert statuses == [200, 429]


def many_names(parts: int, names: int) -> Combination:
    """Make parts of one call that share so many things, of none of which they have a sum."""
    nothing = Branches(*np.zeros((2, 0), np.int64), np.zeros(0))
    one = evaluate_part(find("mse"), Call({"input": np.ones(3), "target": np.zeros(3)}, {"reduction": "sum"}))
    one = replace(
        one,
        sums={},
        normalizers={},
        denominator=1.0,
        shared={("gradient", "mean", f"w{name}"): nothing for name in range(names)},
        types={"": np.dtype(np.float64), **{f"w{name}": np.dtype(np.float64) for name in range(names)}},
    )
    return Combination([replace(one, first=3 * place) for place in range(parts)])


def test_the_names_of_all_parts_are_counted_together() -> None:
    """In JSON, the keys of a body bound them."""
    codec = COMBINATION_CODECS["application/vnd.msgpack"]
    few, many = (many_names(count, 128) for count in (MOST_BRANCHES // 128, MOST_BRANCHES // 128 + 1))
    assert combine(codec.decode_combination(b"".join(codec.encode_combination(few))).parts).loss == {}
    body = b"".join(codec.encode_combination(many))
    with pytest.raises(BodyTooLarge, match=rf"at most {MOST_BRANCHES} names .* - at `parts\[128\]"):
        codec.decode_combination(body)


@pytest.mark.parametrize("media_type", FORMATS)
def test_reading_and_checking_parts_ends_between_them(media_type: str) -> None:
    """A deadline that passes, or a caller that leaves, ended neither."""
    codec, given = COMBINATION_CODECS[media_type], many_names(50, 3)
    body, limits = b"".join(codec.encode_combination(given)), DecodeLimits()
    for work in (
        lambda checkpoint: codec.decode_combination(body, limits, checkpoint),
        lambda checkpoint: combine(given.parts, checkpoint=checkpoint),
    ):
        calls = itertools.count()

        def checkpoint(calls: Iterator[int] = calls) -> None:
            if next(calls) == 40:
                raise TimeoutError

        with pytest.raises(TimeoutError):
            work(checkpoint)


def test_checking_parts_takes_work_in_proportion_to_their_names() -> None:
    """The names of a part were collected again for each of them."""
    calls = []
    for names in (64, 128):
        given, count = many_names(8, names).parts, itertools.count()
        profile = sys.getprofile()
        sys.setprofile(lambda frame, event, argument, count=count: next(count) and None)
        try:
            _check_parts(given, "", None)
        finally:
            sys.setprofile(profile)
        calls.append(next(count))
    assert calls[1] < 2.5 * calls[0]


@pytest.mark.parametrize("media_type", FORMATS)
def test_as_many_parts_as_are_allowed_are_put_together(service: InProcess, media_type: str) -> None:
    part, many = part_of(service), []
    for place in range(MOST_PARTS):
        branches = {"mean": {**BRANCH, "place": [place]}}
        many.append({**part, "first": 3 * place, "sums": branches, "normalizers": branches})
    answer = send(service, {"parts": many}, media_type)
    assert (answer.status_code, answer.json()["denominator"]) == (200, MOST_PARTS)
    assert send(service, {"parts": [*many, part]}, media_type).status_code == 422


def test_a_part_of_nothing_keeps_the_shape_of_what_rows_share(service: InProcess) -> None:
    call = {"input": [[1.0, 2.0]], "target": [0], "weight": [1.0, 2.0], "mask": [False]}
    asked = {"reduction": "sum", "gradient": "weight", "partial": {"first": 0, "selected": True}}
    part = service.post("cross_entropy", json={**call, **asked}).json()["part"]
    for encoding in ("list", "base64"):
        answer = service.request(
            "POST", "/v1/losses/cross_entropy/combine", json={"parts": [part], "encoding": encoding}
        )
        assert answer.json()["loss"] == {"sum": 0.0}
        assert np.size(answer.json()["gradient"]["sum"]["weight"]) in (1, 2)


def test_the_log_says_what_was_put_together(service: InProcess) -> None:
    part = part_of(service)
    service.request("POST", "/v1/losses/mse/combine", json={"parts": [part]})
    line = service.log()[-1]
    assert (line["loss"], line["format"], line["status"]) == ("mse", "json", 200)
    assert line["work"] > 0
