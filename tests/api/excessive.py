"""Wrong requests of any size, each wrong in one way throughout: what their errors cost must not grow with them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from lossd.message import Call
from lossd.wire import CODECS

JSON, SAFETENSORS, MESSAGEPACK, NPZ = CODECS
GOOD = {"input": [1.0], "target": [2.0]}
INFERENCE_INPUTS = [
    {"name": name, "shape": [1], "datatype": "FP64", "data": value} for name, value in GOOD.items()
]


class Wrong(NamedTuple):
    """A request that is wrong."""

    body: bytes
    path: str = "/v1/losses/mse"
    content_type: str | bytes = JSON
    headers: Mapping[str, str] = {}
    method: str = "POST"


def _json(**members: object) -> Wrong:
    return Wrong(json.dumps({**GOOD, **members}).encode())


def _msgpack(**members: object) -> Wrong:
    return Wrong(msgspec.msgpack.encode({**GOOD, **members}), content_type=MESSAGEPACK)


def _arrays(media_type: str, arrays: Mapping[str, object]) -> Wrong:
    call = Call({name: np.asarray(value) for name, value in arrays.items()})
    return Wrong(b"".join(CODECS[media_type].encode_call(call)), content_type=media_type)


def _inference(**members: object) -> Wrong:
    document = {"inputs": INFERENCE_INPUTS, **members}
    return Wrong(json.dumps(document).encode(), "/v2/models/mse/infer")


def _query(text: str) -> Wrong:
    return Wrong(json.dumps(GOOD).encode(), f"/v1/losses/mse?{text}")


def _names(size: int) -> dict[str, int]:
    return {f"gradient_{number}": 1 for number in range(size // 20)}


def _npz(name: str) -> Wrong:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.ones(1)})
    return Wrong(buffer.getvalue(), content_type=NPZ)


BODIES: Mapping[str, Callable[[int], Wrong]] = {
    "json: unknown names": lambda size: _json(**_names(size)),
    "json: unknown names with long values": lambda size: _json(
        **dict.fromkeys("abcdefgh", "x" * (size // 8))
    ),
    "json: one long name": lambda size: _json(**{"x" * size: 1}),
    "json: a long name twice": lambda size: Wrong(b'{"%s": 1, "%s": 2}' % ((b"x" * (size // 2),) * 2)),
    "json: long names in an option": lambda size: _json(axis={"x" * size: 1}),
    "json: long name of a deep option": lambda size: _json(**{"x" * size: [[[[]]] * 20]}),
    "json: wrong names to differentiate": lambda size: _json(
        gradient=[f"inputs{i}" for i in range(size // 14)]
    ),
    "json: a long name to differentiate": lambda size: _json(gradient=["x" * size]),
    "json: one long name to differentiate": lambda size: _json(gradient="x" * size),
    "json: many wrong reductions": lambda size: _json(reduction=["median"] * (size // 10)),
    "json: many right reductions": lambda size: _json(reduction=["mean"] * (size // 8)),
    "json: a long reduction": lambda size: _json(reduction="x" * size),
    "json: many axes": lambda size: _json(axis=list(range(size // 8))),
    "json: many axes that are text": lambda size: _json(axis=["0"] * (size // 5)),
    "json: a long list in a list": lambda size: _json(axis=[[1] * (size // 3)]),
    "json: a long text for a number": lambda size: _json(denominator="x" * size),
    "json: a long text for an array": lambda size: _json(input="x" * size),
    "json: a wrong number at the end": lambda size: _json(
        input=[[0] * (size // 3), [0] * (size // 3 - 1) + ["x"]]
    ),
    "json: an object with long names for an array": lambda size: _json(input={"x" * size: 1, "real": 1}),
    "json: an object of many names for an array": lambda size: _json(input=_names(size)),
    "json: a long dtype": lambda size: _json(input={"dtype": "x" * size, "shape": [1], "data": ""}),
    "json: a long shape": lambda size: _json(input={"dtype": "int8", "shape": [1] * (size // 3), "data": ""}),
    "json: base64 that is wrong": lambda size: _json(
        input={"dtype": "int8", "shape": [1], "data": "A" * size + "*"}
    ),
    "json: a syntax error at the end": lambda size: Wrong(b'{"input": [%s' % (b"0," * (size // 2))),
    "json: brackets": lambda size: Wrong(b'{"input": %s' % (b"[" * size)),
    "json: a list": lambda size: Wrong(b"[%s0]" % (b"0," * (size // 2))),
    "json: not UTF-8 at the end": lambda size: Wrong(b'{"%s\xff": 1}' % (b"x" * size)),
    "msgpack: unknown names": lambda size: _msgpack(**_names(size)),
    "msgpack: one long name": lambda size: _msgpack(**{"x" * size: 1}),
    "msgpack: one long name that is too deep": lambda size: _msgpack(**{"x" * size: [[[[[[[[[1]]]]]]]]] * 3}),
    "msgpack: a long name twice": lambda size: Wrong(
        b"\x82" + 2 * (b"\xdb" + (size // 2).to_bytes(4, "big") + b"x" * (size // 2) + b"\x01"),
        content_type=MESSAGEPACK,
    ),
    "msgpack: the last name twice": lambda size: Wrong(
        b"\xdf"
        + (size // 5 + 1).to_bytes(4, "big")
        + b"".join(
            b"\xa3%03x\x01" % (i % 4096) if size < 20_000 else b"\xa6%06x\x01" % i
            for i in [*range(size // 5), size // 5 - 1]
        ),
        content_type=MESSAGEPACK,
    ),
    "msgpack: names to differentiate": lambda size: _msgpack(
        gradient=[f"inputs{i}" for i in range(4096 + size // 64)]
    ),
    "msgpack: a text in an array": lambda size: _msgpack(input=[0] * size + ["x" * 100]),
    "msgpack: text that is not UTF-8": lambda size: Wrong(
        b"\x81\xa5input\xdd" + (size + 1).to_bytes(4, "big") + b"\0" * size + b"\xa1\xff",
        content_type=MESSAGEPACK,
    ),
    "safetensors: unknown names": lambda size: _arrays(
        SAFETENSORS, {**GOOD, **{name: np.ones(1, np.uint8) for name in _names(min(size, 1 << 18))}}
    ),
    "safetensors: one long name": lambda size: _arrays(SAFETENSORS, {**GOOD, "x" * min(size, 1 << 19): 1}),
    "safetensors: long offsets": lambda size: Wrong(
        (lambda header: len(header).to_bytes(8, "little") + header)(
            b'{"%s":{"dtype":"U8","shape":[1],"data_offsets":[9,8]}}' % (b"x" * min(size, 1 << 19))
        ),
        content_type=SAFETENSORS,
    ),
    "npz: a name that no loss has": lambda size: _npz("x" * 70),
    "npz: a long name": lambda size: _npz("x" * min(size, 60_000)),
    "v2: parameters": lambda size: _inference(parameters=_names(size)),
    "v2: a long parameter": lambda size: _inference(parameters={"x" * size: 1}),
    "v2: a long name of an input": lambda size: _inference(
        inputs=[*INFERENCE_INPUTS, {**INFERENCE_INPUTS[0], "name": "x" * size}]
    ),
    "v2: many inputs": lambda size: _inference(
        inputs=[*INFERENCE_INPUTS, *({**INFERENCE_INPUTS[0], "name": name} for name in _names(size // 4))]
    ),
    "v2: many outputs": lambda size: _inference(outputs=[{"name": name} for name in _names(size)]),
    "v2: a long output": lambda size: _inference(outputs=[{"name": "gradient." + "x" * size}]),
    "v2: a long datatype": lambda size: _inference(inputs=[{**INFERENCE_INPUTS[0], "datatype": "x" * size}]),
    "v2: many reductions": lambda size: _inference(parameters={"reduction": ["mean"] * (size // 8)}),
    "v2: a long reduction": lambda size: _inference(parameters={"reduction": "x" * size}),
    "v2: a long text of reductions": lambda size: _inference(parameters={"reduction": "mean," * (size // 5)}),
    "v2: a long shape": lambda size: _inference(inputs=[{**INFERENCE_INPUTS[0], "shape": [1] * (size // 3)}]),
}
"""Name to what makes a wrong request of about so many bytes in its body."""

HEADS: Mapping[str, Callable[[int], Wrong]] = {
    "query: unknown names": lambda size: _query("&".join(_names(min(size, 18_000)))),
    "query: a long name": lambda size: _query("x" * size + "=1"),
    "query: a long value": lambda size: _query("reduction=" + "x" * size),
    "query: many values": lambda size: _query("reduction=mean&" * (size // 15)),
    "query: a list of names": lambda size: _query("reduction=" + "mean," * (size // 5)),
    "query: a long array": lambda size: _query("sample_weight=" + "x" * size),
    "content type": lambda size: Wrong(b"{}", content_type="x/" + "y" * size),
    "content encoding": lambda size: Wrong(b"{}", headers={"content-encoding": "x" * size}),
    "accept": lambda size: Wrong(b"{}", headers={"accept": "x/" + "y" * size}),
    "accepted types": lambda size: Wrong(b"{}", headers={"accept": "text/html," * (size // 10)}),
    "timeout": lambda size: Wrong(b"{}", headers={"request-timeout": "x" * size}),
    "binary length": lambda size: Wrong(
        b"{}", "/v2/models/mse/infer", headers={"inference-header-content-length": "x" * size}
    ),
    "request id": lambda size: Wrong(b"{}", headers={"x-request-id": "x" * size, "traceparent": "x" * size}),
    "path": lambda size: Wrong(b"", "/" + "x" * size, method="GET"),
    "path of a loss": lambda size: Wrong(b"{}", "/v1/losses/" + "x" * size),
    "path of an entry": lambda size: Wrong(b"", "/v1/losses/" + "x" * size, method="GET"),
    "path of an asset": lambda size: Wrong(b"", "/docs/" + "x" * size, method="GET"),
    "path of a problem": lambda size: Wrong(b"", "/problems/" + "x" * size, method="GET"),
    "path of a model": lambda size: Wrong(b"{}", f"/v2/models/{'x' * size}/infer"),
    "path of a version": lambda size: Wrong(b"{}", f"/v2/models/mse/versions/{'x' * size}/infer"),
    "path of a call of other servers": lambda size: Wrong(b"{}", f"/v2/repository/models/{'x' * size}"),
    "method": lambda size: Wrong(b"", method="X" * size),
}
"""Name to what makes a wrong request of about so many bytes in its head."""
