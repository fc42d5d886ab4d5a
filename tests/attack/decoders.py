"""The decoders of what comes over the network, with valid bytes for each.

Called in this process, they may only return or raise an error of ours.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np

from lossd.engine import answer_of, combine, cost_of
from lossd.engine.parts import evaluate_part
from lossd.errors import LossdError
from lossd.losses import LOSSES, find
from lossd.message import Answer, Call, Combination
from lossd.wire import BATCH_CODECS, CODECS, COMBINATION_CODECS, ENCODINGS, DecodeLimits
from lossd.wire.batch import Answered, ArrayNames, Outcome, Refused
from lossd.wire.content_encoding import compress, decompress
from lossd.wire.msgpack import batch as msgpack_batch
from lossd.wire.open_inference.request import decode_inference, read_header_length
from lossd.wire.query import to_query, with_query
from tests.attack.mutation import mutate
from tests.v2.bytes_of import tensor
from tests.wire.json_cases import TENSORS
from tests.wire.test_codecs import SEEDS

LIMITS = DecodeLimits(max_elements=10_000, max_bytes=100_000)
BATCH_NAMES = ArrayNames(lambda name: find(name).array_names, TENSORS)
LONGEST_SECONDS = 5.0  # for 64 KiB, on a machine that does other things too

INFERENCE = json.dumps(
    {
        "id": "x",
        "parameters": {"reduction": "sum", "timeout": 5_000_000, "binary_data_output": True},
        "inputs": [
            tensor("input", "FP32", [2, 2], size=16),
            tensor("target", "FP32", [2, 2], [[1, 2], [3, "NaN"]]),
            tensor("mask", "BOOL", [2], size=2),
        ],
        "outputs": [{"name": "loss", "parameters": {"binary_data": False}}],
    }
).encode()
INFERENCE_RAW = bytes(range(16)) + b"\0\1"
IN_TEXT = json.dumps(
    {"inputs": [tensor("input", "FP32", [2], [1, "NaN"]), tensor("mask", "BOOL", [1], [True])]}
).encode()


class Decoder(NamedTuple):
    """A decoder, and bytes that it reads."""

    decode: Callable[[bytes], Any]
    seeds: Sequence[bytes]


def packed(encoding: str) -> list[bytes]:
    """Compress the bodies that the codec of JSON reads, and one that is much smaller compressed."""
    bodies = [*SEEDS["application/json"], b"[%s0]" % (b"0," * 200_000)]
    return [b"".join(compress([body], encoding)) for body in bodies]


def batches(media_type: str) -> list[bytes]:
    """Write the examples of some losses as batches, with calls that are wrong."""
    calls = [{"loss": loss.name, **loss.example.call} for loss in list(LOSSES.values())[::4]]
    bodies = [{"calls": calls}, {"calls": [*calls[:2], {"loss": "none"}, {"loss": "mse"}]}, {"calls": []}]
    write = json.dumps if media_type == "application/json" else msgspec.msgpack.encode
    written = [write(body) for body in bodies]
    return [each.encode() if isinstance(each, str) else each for each in written]


def batch_results() -> list[bytes]:
    """Write what batches come to: answers and problems, in the format that clients read."""
    problem = {"type": "/problems/x", "title": "x", "status": 422, "detail": "x", "errors": [{"at": "x"}]}
    outcomes: list[Outcome] = [Refused(problem)]
    outcomes += [
        Answered(Answer({"mean": np.array(0.5)}, 2, 2.0, {"mean": {"input": np.zeros(2)}}), Call({}))
    ]
    return [b"".join(msgpack_batch.encode_outcomes(each)) for each in (outcomes, outcomes[:1], [])]


def combinations() -> list[Combination]:
    """Make parts that go together, with derivatives of what their rows share."""
    rng, found = np.random.default_rng(0), []
    arrays = {"input": rng.normal(size=(40, 3)), "target": rng.integers(3, size=40), "weight": np.ones(3)}
    for asked in (
        {"reduction": ["mean", "sum"]},
        {"reduction": ["mean", "none"], "denominator": 7.0, "gradient": ["input", "weight"]},
    ):
        parts = []
        for first, stop in ((0, 32), (32, 40)):
            rows = {name: array[first:stop] if len(array) == 40 else array for name, array in arrays.items()}
            parts.append(
                evaluate_part(find("cross_entropy"), Call(rows, asked), first=first, block_bytes=256)
            )
        found += [Combination(parts), Combination(parts[:1], {"empty": "zero"})]
    return found


def put_together(body: bytes, media_type: str) -> None:
    """Decode parts, put them together and encode what they come to, as the service does."""
    combination = COMBINATION_CODECS[media_type].decode_combination(body, LIMITS)
    if cost_of(combination.parts).answer <= LIMITS.max_bytes:
        found = combine(combination.parts, combination.options.get("empty", "error"))
        CODECS[media_type].encode_answer(answer_of(found), Call({}, combination.options))


def queries() -> list[bytes]:
    """Write the options of every example as a query string."""
    examples = [{**loss.example.call, "reduction": ["sum", "none"]} for loss in LOSSES.values()]
    return [to_query(example).encode() for example in examples]


DECODERS: Mapping[str, Decoder] = {
    **{
        f"call in {name}": Decoder(
            partial(codec.decode_call, array_names=TENSORS, limits=LIMITS), SEEDS[name]
        )
        for name, codec in CODECS.items()
    },
    **{
        f"answer in {name}": Decoder(partial(codec.decode_answer, limits=LIMITS), SEEDS[name])
        for name, codec in CODECS.items()
    },
    **{
        f"parts in {name}": Decoder(
            partial(put_together, media_type=name),
            [b"".join(codec.encode_combination(each)) for each in combinations()],
        )
        for name, codec in COMBINATION_CODECS.items()
    },
    **{
        name: Decoder(partial(decompress, encoding=name, max_bytes=LIMITS.max_bytes), packed(name))
        for name in ENCODINGS
    },
    **{
        f"batch in {name}": Decoder(
            partial(codec.decode_batch, names=BATCH_NAMES, limits=LIMITS), batches(name)
        )
        for name, codec in BATCH_CODECS.items()
    },
    "results of a batch": Decoder(partial(msgpack_batch.decode_outcomes, limits=LIMITS), batch_results()),
    "query": Decoder(
        lambda query: with_query(Call({}), query, TENSORS, LIMITS),
        queries(),
    ),
    "open inference": Decoder(lambda body: decode_inference(body, limits=LIMITS), [IN_TEXT]),
    "open inference with raw bytes": Decoder(
        lambda body: decode_inference(body, len(INFERENCE), LIMITS), [INFERENCE + INFERENCE_RAW]
    ),
    "length of the JSON": Decoder(read_header_length, [b"1", b"400", b"18446744073709551615"]),
}
"""Name to a decoder of what came over the network."""


def attack(rng: random.Random, name: str) -> bool:
    """Decode one mutated body; return whether it was refused.

    Anything but an error of ours goes through, as a failure, with the body that shows it.
    """
    decoder = DECODERS[name]
    body = mutate(rng, decoder.seeds)
    start = time.process_time()
    try:
        decoder.decode(body)
    except LossdError:
        return True
    except Exception as error:
        raise AssertionError(f"{name} raised {error!r} for {body!r}") from error
    finally:
        assert time.process_time() - start < LONGEST_SECONDS, f"{name} took too long for {body!r}"
    return False
