"""The simulation of replicas against queueing theory, and the plan against what is written of it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.scaling import CHOICES, SMALL_SECONDS, Fleet, plan, render_plans, simulate
from tests.api.serving import ROOT


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_one_replica_keeps_calls_waiting_as_theory_says(load):
    """Pollaczek and Khinchine: with calls of one length, the mean wait is rho / (2 (1 - rho)) of it."""
    took = simulate(Fleet(1), load, 0.0, calls=100_000)
    assert len(took) == 100_000
    assert took.min() == pytest.approx(SMALL_SECONDS)
    assert took.mean() == pytest.approx(SMALL_SECONDS * (1 + load / (2 * (1 - load))), rel=0.03)


def test_calls_put_at_random_wait_as_before_one_replica():
    took = simulate(Fleet(10, "random"), 0.6, 0.0, calls=100_000)
    assert took.mean() == pytest.approx(SMALL_SECONDS * (1 + 0.6 / 0.8), rel=0.03)


@pytest.mark.parametrize("choose", CHOICES)
def test_large_calls_take_their_share_of_the_work(choose):
    """Of as many arrivals, nearly all are small: a large one takes 395 times as long."""
    took = simulate(Fleet(10, choose), 0.6, 0.5, calls=20_000)
    assert 19_850 < len(took) < 19_999


def test_who_knows_what_is_in_flight_keeps_small_calls_from_large_ones():
    late = {
        choose: np.quantile(simulate(Fleet(10, choose), 0.6, 0.5, calls=50_000), 0.9) for choose in CHOICES
    }
    assert late["least connections"] < 2 * SMALL_SECONDS < late["two choices"] < late["round robin"]


def test_a_proxy_that_knows_a_part_of_the_calls_chooses_worse():
    one, eight = (np.quantile(simulate(Fleet(10, proxies=n), 0.6, 0.5, calls=50_000), 0.95) for n in (1, 8))
    assert eight > 1.5 * one


def test_replicas_of_their_own_keep_large_calls_out_of_the_way():
    took = simulate(Fleet(2, large=1), 0.6, 0.5, calls=50_000)
    assert took.mean() == pytest.approx(SMALL_SECONDS * (1 + 0.6 / 0.8), rel=0.03)


def test_the_plan_is_what_is_written():
    """A million calls of 190 us are 190 cores that are busy all the time, and 317 that are so for 0.6 of it."""
    assert plan(1_000_000).replicas == 317
    written = (ROOT / "docs" / "scaling.md").read_text()
    assert render_plans([plan(10**exponent) for exponent in range(3, 7)]) in written
