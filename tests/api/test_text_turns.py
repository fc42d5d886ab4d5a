"""Long texts take turns, short ones do not wait."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from lossd.api.text_turns import TextTurns
from tests.api.serving import PATIENCE_SECONDS

LONG, SHORT = 1 << 20, (1 << 20) - 1


class Unwanted(Exception):
    """Raised by a checkpoint."""


def refuse() -> None:
    raise Unwanted


def test_one_long_text_at_a_time() -> None:
    turns, inside, most = TextTurns(), [0], [0]

    def take() -> None:
        for _ in range(200):
            with turns.turn(LONG, lambda: None):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=take) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE_SECONDS)
    assert (most[0], inside[0]) == (1, 0)


def test_a_text_that_waits_is_given_up_when_nobody_wants_it_any_more() -> None:
    turns = TextTurns()
    with turns.turn(LONG, refuse), pytest.raises(Unwanted), turns.turn(LONG, refuse):
        raise AssertionError("expected to wait")
    with turns.turn(LONG, refuse):
        pass


def test_a_short_text_does_not_wait() -> None:
    turns = TextTurns()
    with ExitStack() as stack:
        for size in (LONG, SHORT, 0):
            stack.enter_context(turns.turn(size, refuse))


def test_a_turn_ends_with_an_error() -> None:
    turns = TextTurns()
    with pytest.raises(Unwanted), turns.turn(LONG, refuse):
        refuse()
    with turns.turn(LONG, refuse):
        pass
