"""Named arrays that are no answer are refused."""

from __future__ import annotations

import numpy as np
import pytest

from lossd.errors import MalformedBody
from lossd.message import Call
from lossd.wire import CODECS

NOT_ANSWERS = {
    "a name of no part": {"total": np.array(1.0)},
    "a loss without a reduction": {"loss": np.array(1.0)},
    "a gradient without an argument": {"gradient.mean": np.array(1.0)},
    "a count of two": {"count": np.array([1, 2])},
    "a count that is not whole": {"count": np.array(1.5)},
    "a complex denominator": {"denominator": np.array(1j, np.complex64)},
    "no count": {"count": None},
    "no denominator": {"denominator": None},
}


@pytest.mark.parametrize("media_type", ["application/vnd.safetensors", "application/x-npz"])
@pytest.mark.parametrize("name", NOT_ANSWERS)
def test_arrays_that_are_no_answer_are_refused(media_type, name):
    arrays = {"loss.mean": np.array(1.0), "count": np.array(1), "denominator": np.array(1.0)} | NOT_ANSWERS[
        name
    ]
    body = b"".join(CODECS[media_type].encode_call(Call({n: a for n, a in arrays.items() if a is not None})))
    with pytest.raises(MalformedBody):
        CODECS[media_type].decode_answer(body)
