"""A mistake in a declaration is an error that names the loss and what is wrong, before anything calls it."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from types import ModuleType
from typing import Annotated, Any

import pytest

from lossd.declaration.example import Example
from lossd.declaration.families import Curve, residual_loss
from lossd.declaration.general_names import GENERAL_ARRAYS, GENERAL_OPTIONS
from lossd.declaration.loss import Loss, loss
from lossd.declaration.result import Result
from lossd.declaration.role import Role
from lossd.declaration.roles import ItemLabels, Real
from lossd.engine import Options
from lossd.fused import FUSED
from lossd.fused.table import fused
from lossd.losses import LOSSES, by_name
from lossd.message import Array


def no_role(input, target: Real) -> Result:
    """Lack the role of an argument."""


def plain_array(input: Array, target: Real) -> Result:
    """Have an array for an argument, which says nothing of its shape."""


def positional_setting(input: Real, delta: float = 1.0) -> Result:
    """Have a setting among the arguments."""


def no_type(input: Real, *, delta=1.0) -> Result:
    """Lack the type of a setting."""


def no_input(embeddings: Real) -> Result:
    """Have no argument of the name that is differentiated unless another is named."""


def no_derivative(input: ItemLabels) -> Result:
    """Have labels where the argument that is differentiated would be."""


def masked(input: Real, mask: Real) -> Result:
    """Have an argument of a general option's name."""


def two_taken(input: Real, *, empty: bool = False, axis: int = 0) -> Result:
    """Have settings of general options' names."""


def undocumented(input: Real) -> Result: ...


def silent(input: Real, *, delta: float = 1.0, beta: float = 1.0) -> Result:
    """Say nothing of one of its settings.

    Settings:
        beta: What is said of the other.
    """


def strange(input: Real, *, delta: float = 1.0) -> Result:
    """Describe what it does not have.

    Settings:
        delta: What is said of it.
        gamma: What is said of nothing.
        input: What is no setting.
    """


def no_pattern(input: Annotated[Array, Role("..., C")]) -> Result:
    """Have a shape without parentheses."""


def no_axis(input: Annotated[Array, Role("(..., Z)")]) -> Result:
    """Have a letter that means nothing."""


MISTAKES = {
    no_role: "no_role: expected a Role such as Real on `input`",
    plain_array: "plain_array: expected a Role such as Real on `input`",
    positional_setting: "positional_setting: expected a Role such as Real on `delta`",
    no_type: "no_type: expected a type such as float on the setting `delta`",
    no_input: "no_input: expected `gradient` to name some of `embeddings`, got `input`",
    no_derivative: "no_derivative: expected `gradient` to name some of nothing, got `input`",
    masked: "masked: expected a name that no general option has, got `mask`",
    two_taken: "two_taken: expected a name that no general option has, got `axis`, `empty`",
    undocumented: "undocumented: expected a docstring, whose first line is the summary",
    silent: "silent: expected a line under Settings: in the docstring for `delta`",
    strange: "strange: expected only settings under Settings:, got `gamma`, `input`",
    no_pattern: "expected a pattern such as (..., C), got '..., C'",
    no_axis: "expected the letters N, M, L, P, T, S, C, D, K, B, Q and numbers in a pattern, got 'Z' in '(..., Z)'",
}


def declare(kernel: Any) -> Loss:
    """Declare a loss of which nothing but its kernel matters."""
    return loss(formula=r"\ell = 0", source="none", example=Example(value=0.0))(kernel)


@pytest.mark.parametrize("kernel", MISTAKES, ids=lambda kernel: kernel.__name__)
def test_a_mistake_is_named(kernel):
    with pytest.raises(TypeError, match=f"^{re.escape(MISTAKES[kernel])}$"):
        declare(kernel)


def test_a_family_s_loss_describes_its_settings_too():
    def kinked(r: Array, *, delta: float = 1.0) -> Curve:
        """Say nothing of its setting."""

    with pytest.raises(
        TypeError, match=r"^kinked: expected a line under Settings: in the docstring for `delta`$"
    ):
        residual_loss(formula=r"\ell = 0", source="none", example=Example(value=0.0))(kinked)


def test_a_fused_kernel_takes_names_of_its_loss_alone():
    def faster(input: Array, goal: Array, *, scale: Any, out: Array, scratch: Any) -> float:
        return 0.0

    with pytest.raises(TypeError, match=r"^faster: expected names of mse, got goal$"):
        fused(LOSSES["mse"])(faster)
    assert [kernel.function.__name__ for kernel in FUSED[LOSSES["mse"].kernel]] == ["mse_block"]


def test_the_names_that_are_taken_are_those_of_the_general_options():
    assert {*GENERAL_ARRAYS, *GENERAL_OPTIONS} == set(Options.model_fields)


def test_a_second_declaration_of_one_name_is_refused(monkeypatch):
    module = ModuleType("lossd.losses.regression.twice")
    vars(module).update(declare=declare, Real=Real)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    source = '@declare\ndef twice(input: Real): "Be declared."\n'
    exec(source, vars(module))
    assert isinstance(module.twice, Loss)
    with pytest.raises(
        TypeError, match=r"^twice: expected one declaration of that name in lossd\.losses\.regre"
    ):
        exec(source, vars(module))


@pytest.mark.parametrize("name", ["huber", "HuberLoss"])
def test_a_name_of_two_losses_is_refused(name):
    other = replace(LOSSES["dice"], name=name)
    with pytest.raises(
        ValueError, match=f"^{name}: expected one loss of this name or alias, got two: .*huber"
    ):
        by_name([LOSSES["huber"], other])


def test_an_alias_that_a_loss_has_twice_is_refused():
    alias = LOSSES["huber"].aliases[0]
    with pytest.raises(ValueError, match=f"^{alias.name}: expected one loss"):
        by_name([replace(LOSSES["huber"], aliases=(alias, alias))])


@pytest.mark.parametrize("name", LOSSES)
def test_code_in_what_people_read_is_between_single_backticks(name):
    assert "``" not in LOSSES[name].summary + LOSSES[name].description
    described = [field.description for field in Options.model_fields.values()]
    assert [text for text in described if "``" in text] == []
