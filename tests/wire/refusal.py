"""How a body is refused: by which error, at which place, with which words."""

from __future__ import annotations

import pytest

from lossd.errors import MalformedBody
from lossd.wire import CODECS, DecodeLimits
from tests.wire.json_cases import TENSORS

LIMITS = DecodeLimits(max_elements=1000, max_depth=4, max_bytes=100_000)


def assert_refused(media_type, body, at, message, *, error=MalformedBody, limits=LIMITS):
    """Hold that decoding raises ``error`` at a place, which for bytes may be any; and says ``message``, briefly."""
    with pytest.raises(error) as caught:
        CODECS[media_type].decode_call(body, TENSORS, limits)
    assert type(caught.value) is error
    place = caught.value.errors[0].at
    assert place.startswith(at) if at == "byte" else place == at
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400
