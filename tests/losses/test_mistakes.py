"""A mistake in a declaration is an error that names the loss and what is wrong, before anything calls it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from lossd.engine import Options
from lossd.losses import LOSSES, by_name
from lossd.declaration.roles import Label, Pixels, Real
from lossd.declaration.loss import GENERAL_ARRAYS, GENERAL_OPTIONS, Example, Loss, Terms, loss
from lossd.message import Array


def no_role(input, target: Real) -> Terms:
    """Lack the role of an argument."""


def plain_array(input: Array, target: Real) -> Terms:
    """Have an array for an argument, which says nothing of its shape."""


def positional_setting(input: Real, delta: float = 1.0) -> Terms:
    """Have a setting among the arguments."""


def no_type(input: Real, *, delta=1.0) -> Terms:
    """Lack the type of a setting."""


def no_input(embeddings: Real) -> Terms:
    """Have no argument of the name that is differentiated unless another is named."""


def no_derivative(input: Label) -> Terms:
    """Have labels where the argument that is differentiated would be."""


def masked(input: Real, mask: Real) -> Terms:
    """Have an argument of a general option's name."""


def two_taken(input: Real, *, empty: bool = False, axis: int = 0) -> Terms:
    """Have settings of general options' names."""


def undocumented(input: Real) -> Terms: ...


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
}


def declare(kernel: Any) -> Loss:
    """Declare a loss of which nothing but its kernel matters."""
    return loss(formula=r"\ell = 0", source="none", example=Example(value=0.0))(kernel)


@pytest.mark.parametrize("kernel", MISTAKES, ids=lambda kernel: kernel.__name__)
def test_a_mistake_is_named(kernel):
    with pytest.raises(TypeError, match=f"^{re.escape(MISTAKES[kernel])}$"):
        declare(kernel)


def test_a_setting_that_chooses_the_core_axes_may_be_named_axis():
    def regions(input: Pixels, *, axis: int | None = None) -> Terms:
        """Have the axes of a region for a setting."""

    assert list(declare(regions).settings) == ["axis"]


def test_the_names_that_are_taken_are_those_of_the_general_options():
    assert {*GENERAL_ARRAYS, *GENERAL_OPTIONS} == set(Options.model_fields)


def test_a_second_declaration_of_one_name_is_refused():
    scope: dict[str, Any] = {"declare": declare, "Real": Real, "__name__": "lossd.losses.regression"}
    source = '@declare\ndef twice(input: Real): "Be declared."\n'
    exec(source, scope)
    assert isinstance(scope["twice"], Loss)
    with pytest.raises(
        TypeError, match=r"^twice: expected one declaration of that name in lossd\.losses\.regre"
    ):
        exec(source, scope)


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
