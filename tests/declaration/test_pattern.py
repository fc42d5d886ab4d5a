"""Shape patterns: what is read from their text, and which texts are none."""

from __future__ import annotations

import re

import pytest

from lossd.declaration.index_domain import Index
from lossd.declaration.pattern import AXES, Axis, Dimension, Pattern, parse
from lossd.declaration.role import Role
from lossd.losses import LOSSES

C, D, N, T = (Dimension(letter) for letter in "CDNT")

# Text to the axes in front of the batch, those behind it, and whether there is a batch.
PATTERNS = {
    "(...)": ((), (), True),
    "(..., C)": ((), (C,), True),
    "(..., 4)": ((), (Dimension("", 4),), True),
    "(T, ..., C)": ((T,), (C,), True),
    "(..., C+1, D)": ((), (Dimension("C", 1), D), True),
    "(C, D)": ((), (C, D), False),
    "(N, D)": ((), (N, D), False),
    "(N)": ((), (N,), False),
    "()": ((), (), False),
    "( ...,C )": ((), (C,), True),
}


@pytest.mark.parametrize("text", PATTERNS)
def test_a_pattern_is_its_axes_and_its_batch(text):
    before, after, batched = PATTERNS[text]
    found = parse(text)
    assert found == Pattern(text, before, after, batched)
    assert found.core == before + after
    assert str(found) == text


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("(..., Z)", "Z"), ("(..., CC)", "CC"), ("(..., c)", "c"), ("(..., C-1)", "C-1"), ("(..., C+)", "C+"),
     ("(?)", "?")],
)  # fmt: skip
def test_a_wrong_axis_is_named(text, wrong):
    letters = ", ".join(AXES)
    expected = f"expected the letters {letters} and numbers in a pattern, got {wrong!r} in {text!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(expected)}$"):
        parse(text)


@pytest.mark.parametrize("text", ["", "...", "..., C", "(..., C", "..., C)", "[..., C]"])
def test_a_pattern_stands_in_parentheses(text):
    with pytest.raises(TypeError, match=r"^expected a pattern such as \(\.\.\., C\), got "):
        parse(text)


def test_lengths_follow_from_the_letters():
    pattern = parse("(T, ..., C+1, 4)")
    assert pattern.letters == ("T", "C")
    assert pattern.core_shape({"T": 7, "C": 2}) == (7, 3, 4)
    assert parse("(...)").core_shape({}) == ()
    with pytest.raises(KeyError):
        pattern.core_shape({"T": 7})


@pytest.mark.parametrize(
    ("text", "by_item", "shared"),
    [("(N, D)", True, False), ("(N)", True, False), ("(C, D)", False, True), ("(C)", False, True),
     ("(...)", False, False), ("(..., C)", False, False), ("(..., N)", False, False)],
)  # fmt: skip
def test_without_a_batch_the_first_axis_is_the_items_or_all_rows_share_the_array(text, by_item, shared):
    assert parse(text).by_item == by_item
    assert Role(text).shared == shared


def test_lists_may_differ_in_length_along_one_letter():
    assert parse("(..., L)").ragged == parse("(..., L, C)").ragged == "L"
    assert parse("(..., C)").ragged == ""


@pytest.mark.parametrize("letter", AXES)
@pytest.mark.declarations
def test_every_letter_has_a_meaning(letter):
    assert AXES[letter].meaning
    assert parse(f"(..., {letter})").letters == (letter,)


@pytest.mark.declarations
def test_every_letter_of_every_loss_has_one_meaning():
    used = {
        letter
        for loss in LOSSES.values()
        for argument in loss.arguments
        for form in argument.role.forms
        for letter in form.pattern.letters
    }
    assert used <= AXES.keys()
    assert Axis("x") == Axis("x", least=0, ragged=False)


def test_a_role_of_several_patterns_has_a_form_for_each():
    role = Role("(..., C) or (..., 4)", alternative=Role("(...)", domain=Index("C")))
    assert [str(form.pattern) for form in role.forms] == ["(..., C)", "(..., 4)", "(...)"]
    assert [form.domain.kind for form in role.forms] == ["real", "real", "whole"]
    assert role.differentiable
    assert not Role(domain=Index("C")).differentiable
    assert str(role) == "(..., C) or (..., 4) or (...)"
    assert str(Role("(...)", broadcasts=True)) == "broadcast to (...)"
