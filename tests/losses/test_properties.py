"""Every property of every loss."""

from __future__ import annotations

import pytest

from tests.losses.cases import CASES
from tests.losses.properties import PROPERTIES


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__.removeprefix("check_"))
def test_every_loss(check, case):
    check(case)
