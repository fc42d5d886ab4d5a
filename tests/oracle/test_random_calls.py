"""Random calls of every loss over the whole range of its types: few here, 100,000 by the script.

python -m tests.oracle.random_calls --calls 100000 --jobs 2
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field, TypeAdapter

from lossd.declaration.loss import Loss
from lossd.declaration.result import Result
from lossd.losses import LOSSES
from tests.oracle import random_calls
from tests.oracle.case import Case
from tests.oracle.condition import exact_inputs, rows_and_gradients
from tests.oracle.curvature import hessian_vector
from tests.oracle.exact import MP
from tests.oracle.random_calls import AT_A_TIME, check_call, check_calls, spread
from tests.oracle.random_curvature import check_hessian
from tests.oracle.random_draw import Draw, is_close
from tests.oracle.records import ORACLES
from tests.oracle.wild import draw_setting


@pytest.mark.parametrize("name", LOSSES)
def test_random_calls_are_answered_to_the_last_digit(name: str) -> None:
    first = int(np.random.default_rng(sum(map(ord, name))).integers(10**6))
    found = [check_call(name, first + i) for i in range(ORACLES[name].calls)]
    assert not any(found), "\n".join(map(str, filter(None, found)))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("wrong", [1 + 1e-12, np.nan], ids=["a last digit", "NaN"])
def test_a_loss_made_wrong_is_found(name: str, wrong: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(random_calls.LOSSES, name, _spoilt(LOSSES[name], wrong))  # type: ignore[arg-type]
    # Even seeds are calls in float64.
    seen = any(check_call(name, seed) for seed in range(0, 40, 2))
    assert seen, (
        f"expected one of 20 calls to show that {name} is wrong by a factor of {wrong}; found none: its bound "
        "or what its Oracle excuses is too wide, or its random settings make all calls ill-conditioned"
    )


@pytest.mark.parametrize(
    ("field", "default"),
    [
        pytest.param(Field(gt=1, lt=2), 1.5, id="open"),
        pytest.param(Field(ge=1, le=2), 1.5, id="closed"),
        pytest.param(Field(gt=0, le=1), 0.5, id="half open"),
        pytest.param(Field(gt=3), 4.0, id="above"),
        pytest.param(Field(lt=-1), -2.0, id="below"),
        pytest.param(Field(), 0.0, id="free"),
    ],
)
def test_settings_are_drawn_within_their_bounds_and_next_to_them(field: Any, default: float) -> None:
    hint, rng = Annotated[float, field], np.random.default_rng(5)
    drawn = [draw_setting((hint, default), None, rng) for _ in range(300)]
    adapter = TypeAdapter(hint)
    assert drawn == [adapter.validate_python(number) for number in drawn]
    assert len(set(drawn)) > 50


def test_a_tie_is_one_beside_rows_of_any_size() -> None:
    """A distance to the anchor or to the positive: which one is less, no float tells in the second row."""
    triplets = [[[-1e200, 1.0], [-2e-50, 0.0]], [[0.0, 1.0], [1e-50, 0.0]], [[1.0, 1.0], [0.0, 0.0]]]
    assert check_hessian(_triplets(triplets, eps=1.0, swap=True)) is None


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        pytest.param("triplet_margin", 5065191, id="distances to a far anchor that no float tells apart"),
        pytest.param("triplet_margin", 5083012, id="subnormal distances that no float tells apart"),
        pytest.param("triplet_margin", 31001936, id="a far anchor in a row, infinity in another"),
        pytest.param("nt_xent", 31009818, id="a product of parts beyond the range, of the other sign"),
        pytest.param("nt_xent", 5037302, id="a subnormal share over a temperature and a norm"),
        pytest.param("cross_entropy", 5043762, id="logits that are all 0, times a direction"),
        pytest.param("giou", 72000108, id="kinks of equal edges whose sides add up to the same"),
        pytest.param("sinkhorn", 95000026, id="costs that outweigh epsilon, times a direction"),
        pytest.param("sinkhorn", 97500076, id="a cost whose exponential is 1 in all digits but the 370th"),
        pytest.param("sinkhorn", 97700238, id="a potential of 0 from costs that are large beside it"),
        pytest.param("sinkhorn", 97700172, id="sums of masses that differ by 1e-17, times 1e2600"),
        pytest.param("sinkhorn", 97500250, id="slopes with infinite parts of both signs"),
    ],
)
def test_what_rounding_explains_is_not_found(name: str, seed: int) -> None:
    assert check_call(name, seed) is None


def test_past_the_end_of_the_domain_there_is_no_second_derivative() -> None:
    """A step below a mass of 0 makes the sum of exponentials negative, however small it is."""
    cost = np.array([[6.5, 3.0, 10.5], [-15.7, -2.9, 15.8], [14.4, -15.9, -1.4]])
    arrays = {"input": np.array([[0.0, 1.0, 0.0]]), "target": np.array([[1.0, 0.0, 0.0]]), "cost": cost[None]}
    inputs = exact_inputs(Case("", arrays, {"epsilon": 0.1, "iterations": 2}))
    direction = np.array([[MP.mpf(-2), MP.mpf(1), MP.mpf(-2)]], dtype=object)
    found = hessian_vector(rows_and_gradients("sinkhorn", False), *inputs, "input", direction, range(3))
    assert found == [None] * 3


def test_a_curvature_may_be_nan_only_where_distances_are_0(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = LOSSES["triplet_margin"]

    def kernel(*args: object, **settings: object) -> object:
        return replace(loss.kernel(*args, **settings), hessian={"anchor": np.full((1, 2), np.nan)})

    monkeypatch.setitem(random_calls.LOSSES, "triplet_margin", replace(loss, kernel=kernel))  # type: ignore[arg-type]
    assert check_hessian(_triplets([[[2.0, 0.5]]] * 3, eps=0.0)) is None
    assert check_hessian(_triplets([[[2.0, 0.5]], [[1.0, 0.5]], [[1.0, 0.0]]], eps=0.0))


@pytest.mark.slow
def test_processes_share_the_calls() -> None:
    with spread(2) as each:
        shared = list(check_calls("huber", 2 * AT_A_TIME + 1, 60, each=each))
    assert [len(checked.findings) for checked in shared] == [0, 0, 0]
    assert sum(checked.calls for checked in shared) == 2 * AT_A_TIME + 1


def test_no_call_is_begun_when_time_is_over() -> None:
    assert [checked.calls for checked in check_calls("huber", AT_A_TIME + 1, -1)] == [0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_closeness_is_counted_in_the_types_own_places(dtype: type) -> None:
    eps = float(np.finfo(dtype).eps)
    assert is_close(dtype(1 + 4 * eps), MP.mpf(1))
    assert not is_close(dtype(1 + 40 * eps), MP.mpf(1))
    assert is_close(dtype(1 + 40 * eps), MP.mpf(1), condition=10)
    assert not is_close(dtype(np.nan), MP.mpf(1))
    assert not is_close(dtype(np.nan), MP.mpf(1), condition=MP.mpf(10) ** 30)
    assert is_close(dtype(np.nan), MP.mpf(1), condition=MP.mpf(10) ** 400)  # nothing is known
    assert not is_close(dtype(np.inf), MP.mpf(1))
    assert is_close(dtype(np.inf), MP.mpf(10) ** 400)
    assert not is_close(dtype(-np.inf), MP.mpf(10) ** 400)
    assert is_close(dtype(-np.inf), MP.mpf(1), condition=MP.mpf(10) ** 400)  # what cancels has either sign
    assert is_close(dtype(np.nan), MP.nan)
    assert not is_close(dtype(0), MP.nan)


def _triplets(triplets: list[Any], **settings: Any) -> Draw:
    arrays = {
        name: np.array(rows) for name, rows in zip(LOSSES["triplet_margin"].gradient, triplets, strict=True)
    }
    case, rng = Case("by hand", arrays, {"margin": 1.0, "p": 2.0, **settings}), np.random.default_rng(0)
    return Draw("triplet_margin", 0, case, rng, rows_and_gradients("triplet_margin", False), False)


def _spoilt(loss: Loss, factor: float) -> Loss:
    """Return a loss whose kernel gives values that are wrong by a factor, and that has no fused kernel."""

    def kernel(**arguments: Any) -> Result:
        result = loss.kernel(**arguments)
        return replace(result, value=result.value * factor)

    return replace(loss, kernel=kernel)
