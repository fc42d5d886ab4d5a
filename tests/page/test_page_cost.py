"""What a page of a missing loss costs, which anyone may ask for without a key: the nearest names, and no more."""

from __future__ import annotations

import pytest

from lossd.losses import LOSSES
from lossd.page import samples
from lossd.page.frameworks import nearest
from lossd.page.pages import missing_page


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_evaluated_once_its_cards_are_drawn(monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    name = loss.upper()
    assert loss in [each.loss for each in nearest(name)]
    first = missing_page(name, "why")
    monkeypatch.setattr(samples, "evaluate", lambda *_: pytest.fail("a loss is evaluated"))
    assert missing_page(name, "why") == first
