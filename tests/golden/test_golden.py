"""Recorded calls are answered as they were, but for the last places."""

from __future__ import annotations

import numpy as np
import pytest

from tests.api.serving import InProcess
from tests.golden.calls import ask, differences, load

# NumPy's functions differ in the last place between processors, and sums have another order in other blocks.
ULPS = 64
# Line to what a number may be off that is a sum of larger ones of either sign: of nt_xent in float32, the slope of the
# temperature is 13 times smaller than its terms.
CANCELLED = {260: 13 * ULPS}
RECORDS = load()


@pytest.fixture(scope="module")
def service() -> InProcess:
    return InProcess()


@pytest.mark.parametrize("part", range(20))
def test_recorded_calls_are_answered_as_they_were(service: InProcess, part: int) -> None:
    for line, record in list(enumerate(RECORDS))[part::20]:
        status, answer = ask(service, record)
        assert status == 200, (record, answer)
        most = CANCELLED.get(line, ULPS)
        wrong = [text for ulps, text in differences(record, answer) if ulps > most]
        assert not wrong, (line, record, wrong)


def test_a_thousand_calls_of_every_kind_are_recorded() -> None:
    assert len(RECORDS) == 1000
    assert {record["path"].split("/")[1] for record in RECORDS} == {"v1", "v2"}
    assert sum("arrays" in record for record in RECORDS) >= 30


def test_a_number_that_is_another_is_found(service: InProcess) -> None:
    record = next(record for record in RECORDS if "mean" in record["answer"].get("loss", {}))
    _, answer = ask(service, record)
    answer["loss"]["mean"] *= 1.1
    assert [text for ulps, text in differences(record, answer) if ulps > ULPS]


def test_a_number_of_a_tensor_that_is_another_is_found_and_one_a_place_off_is_let_be(
    service: InProcess,
) -> None:
    record = next(record for record in RECORDS if record["path"].startswith("/v2") and record["eps"] < 1e-15)
    _, answer = ask(service, record)
    output = next(each for each in answer["outputs"] if each["datatype"] == "FP64" and np.any(each["data"]))
    plain = output["data"]
    for factor, found in ((1 + 2**-52, False), (1.1, True)):
        output["data"] = [number * factor for number in plain]
        assert any(ulps > ULPS for ulps, _ in differences(record, answer)) == found
