"""What every declaration says of itself: its example, its names, its domains and its schema."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from lossd.declaration.alias import NOT_OFFERED
from lossd.declaration.loss import Loss
from lossd.engine import Options, evaluate, request_model, sliders_of
from lossd.errors import InvalidCall, UnknownLoss
from lossd.losses import LOSSES, MODULES, find, near
from lossd.message import Call
from tests.losses.cases import CASES, ask

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.name)


def example_call(loss: Loss, **options) -> Call:
    """Return the call of a loss's worked example, its lists as arrays."""
    given = loss.example.call
    arrays = {name: np.asarray(value) for name, value in given.items() if name in loss.array_names}
    return Call(arrays, {name: value for name, value in given.items() if name not in arrays} | options)


@every_loss
def test_the_worked_example_holds(loss):
    answer = evaluate(loss, example_call(loss, reduction="none"))
    # Written to 16 digits, from numbers that are exact in binary.
    found = np.asarray(answer.loss["none"]).tolist()
    message = f"expected {loss.example.value!r} by the example, got {found!r}"
    np.testing.assert_allclose(found, loss.example.value, rtol=1e-15, atol=1e-15, err_msg=message)
    assert np.shape(answer.loss["none"]) == np.shape(loss.example.value)


@every_loss
def test_the_worked_example_is_not_trivial(loss):
    assert np.any(np.asarray(loss.example.value) != 0)


@every_loss
def test_every_name_finds_it(loss):
    assert find(loss.name) is loss
    for alias in loss.aliases:
        found = find(alias.name)
        assert (found.name, found.kernel) == (loss.name, loss.kernel)
        assert (found is loss) == alias.is_plain
        assert found.alias == (None if alias.is_plain else alias)


@pytest.mark.declarations
def test_no_two_losses_share_a_name():
    names = [name for loss in LOSSES.values() for name in (loss.name, *(a.name for a in loss.aliases))]
    assert len(names) == len(set(names))
    assert not set(names) & NOT_OFFERED.keys()


@every_loss
def test_an_alias_says_what_differs_if_anything_does(loss):
    for alias in loss.aliases:
        assert alias.framework
        assert alias.is_plain or alias.difference
        assert alias.defaults.keys() <= {*loss.settings, *Options.model_fields}
        assert all(f"`{name}`" in alias.difference or name == "reduction" for name in alias.defaults)


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_a_name_that_is_not_offered_is_told_what_to_call(name):
    with pytest.raises(UnknownLoss) as refused:
        find(name)
    assert f'no loss is named "{name}": that name ' in str(refused.value)
    called = re.search(r"; call ([\w.]+)", str(refused.value))
    assert called is not None
    assert find(called[1])


def test_an_unknown_name_is_told_its_neighbours():
    with pytest.raises(UnknownLoss, match=r'^no loss is named "hubber"; did you mean huber\?$') as refused:
        find("hubber")
    assert not refused.value.unlike_any
    for strange in (
        "mean_cube",
        "entropic",
        "l9",
        "nope",
        "nce",
        "sse",
        "smape",
        "margin",
        ".",
    ):  # they resemble names, but nobody typed these for those
        with pytest.raises(UnknownLoss, match=f'^no loss is named "{strange}"$') as refused:
            find(strange)
        assert refused.value.unlike_any
    with pytest.raises(UnknownLoss, match=r'"\\u0000'):
        find("\x00" * 10_000)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("keras.losses.MeanSquaredError", "MeanSquaredError"),
        ("keras.losses.mean_squared_error", "MeanSquaredError"),
        ("tf.keras.losses.mse", "MeanSquaredError"),
        ("keras.losses.huber", "Huber"),
        ("F.mse_loss", "mse_loss"),
        ("torch.nn.functional.kl_div", "kl_div"),
        ("optax.losses.huber_loss", "optax.huber_loss"),
        ("optax.huber_los", "optax.huber_loss"),
        ("sklearn.metrics.mean_squared_error", "mean_squared_error"),
        ("mae_loss", "mae"),
        ("mes", "mse"),
        *((name, "sigmoid_focal") for name in ("focal", "FocalLoss")),
        *((name, "multi_quantile") for name in ("quantile", "pinball", "PinballLoss")),
        *((name, "triplet_margin or triplet_margin_with_distance") for name in ("triplet", "TripletLoss")),
        ("ce", "cross_entropy"),
        ("kl", "kl_div"),
        ("cosine", "cosine_embedding"),
    ],
)
def test_a_framework_s_or_common_name_is_told_the_name_of_the_same_number(name, meant):
    with pytest.raises(UnknownLoss, match=rf"; did you mean {re.escape(meant)}\?$"):
        find(name)


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("RMSELoss", "mse and take the root"),
        ("msle", "mse with log"),
        ("keras.losses.MeanAbsolutePercentageError", "l1 with sample_weight"),
        ("IoU", "giou where"),
        ("keras.losses.KLDivergence", "kl_div with the logarithms"),
        ("keras.losses.poisson", "poisson_nll with log_input false"),
    ],
)
def test_another_loss_is_explained_in_any_spelling_and_not_suggested(name, called):
    with pytest.raises(UnknownLoss, match=f": that name .*; call {called}") as refused:
        find(name)
    assert "did you mean" not in str(refused.value)


@every_loss
def test_no_loss_is_suggested_twice(loss):
    """Misspell every name in several ways, but for those too short to be known again."""
    for name in (loss.name, *(alias.name for alias in loss.aliases)):
        if len(name.casefold().replace("_", "").removesuffix("loss")) < 5:
            continue
        for wrong in (name[:-1] + "~", "~" + name, name.swapcase() + "_"):
            with pytest.raises(UnknownLoss) as refused:
                find(wrong)
            _, _, hint = str(refused.value).partition("did you mean ")
            suggested = [find(each).name for each in hint.partition("?")[0].split(" or ")]
            assert loss.name in suggested
            assert len(suggested) == len(set(suggested)) <= 3


@every_loss
def test_it_says_what_it_is(loss):
    assert loss.summary.endswith("."), "the first line of the docstring is a sentence"
    assert loss.formula.startswith(r"\ell")
    assert loss.source
    assert loss.family in {module.__name__.split(".")[2] for module in MODULES}
    assert set(loss.gradient) <= set(loss.differentiable)
    assert loss.array_names.isdisjoint(loss.settings)
    assert {"sample_weight", "mask", "upstream", "hvp"} <= loss.array_names
    assert all(argument.shape and argument.domain for argument in loss.arguments)


@every_loss
def test_it_says_what_it_is_for_and_what_not(loss):
    assert loss.use.endswith(".")
    assert loss.avoid.endswith(".")
    assert "Use:" not in loss.description
    assert str(loss.denominator)


@every_loss
def test_its_formula_has_the_symbols_of_what_moves_it(loss):
    moved = [argument.name for argument in loss.arguments if argument.name in loss.symbols]
    for name in (*loss.symbols, *loss.differentiable_settings, *moved):
        assert name in loss.symbol_names, f"{name} has no symbol in {loss.formula}"


@every_loss
def test_its_picture_moves_a_number_of_the_worked_example(loss):
    picture, call = loss.picture, loss.example.call
    assert picture.low < picture.high
    number = call[picture.argument]
    for place in picture.at:
        number = number[place]
    if picture.kind == "curve":
        assert not picture.at
        assert picture.label
    else:
        assert picture.low <= number <= picture.high


@every_loss
def test_its_sliders_reach_the_defaults_of_the_settings(loss):
    for name, slider in sliders_of(loss).items():
        assert min(slider.low, 1e-6) <= loss.settings[name][1] <= slider.high
        assert slider.low < slider.high
        assert slider.low > 0 or slider.scale == "linear"


@every_loss
def test_its_model_documents_every_argument_and_setting(loss):
    schema = request_model(loss).model_json_schema()
    json.dumps(schema)
    own = {argument.name for argument in loss.arguments} | set(loss.settings)
    assert own | {"reduction", "gradient", "sample_weight", "mask", "denominator"} <= set(
        schema["properties"]
    )
    needed = {a.name for a in loss.arguments if not a.optional} - set(loss.one_of)
    assert set(schema.get("required", [])) == needed
    for name in own:
        described = schema["properties"][name]
        assert described.get("description") or name in loss.settings


@pytest.mark.parametrize("case", CASES, ids=str)
def test_samples_lie_in_their_domains(case):
    answer = ask(case, check_target="strict", check_finite=True, reduction="none")
    assert np.isfinite(answer.loss["none"]).all()
    assert answer.warnings == ()


@pytest.mark.parametrize("case", [case for case in CASES if not case.drawn], ids=str)
def test_a_missing_argument_is_named(case):
    for name in case.form.roles:
        arrays = {key: array for key, array in case.call.arrays.items() if key != name}
        optional = any(a.name == name and a.optional for a in case.loss.arguments)
        if optional and name not in case.loss.one_of:
            evaluate(case.loss, Call(arrays, case.call.options))
            continue
        with pytest.raises(InvalidCall) as refused:
            evaluate(case.loss, Call(arrays, case.call.options))
        place = " or ".join(case.loss.one_of) if name in case.loss.one_of else name
        assert [detail.at for detail in refused.value.errors] == [place]


@every_loss
def test_the_kernel_has_every_derivative_that_is_declared(loss):
    found = []

    def recording(*arguments, **settings):
        found.append(loss.kernel(*arguments, **settings))
        return found[-1]

    call = example_call(loss)
    evaluate(replace(loss, kernel=recording), call)
    needed = {
        name for name in loss.differentiable if name in call.arrays or name in loss.differentiable_settings
    }
    missing = needed - found[0].gradient.keys()
    assert not missing, f"{loss.name}: expected {missing} in the gradient that the kernel returns"


@every_loss
def test_gradient_true_means_what_the_source_differentiates(loss):
    call = example_call(loss, gradient=True, reduction="sum")
    given = [name for name in loss.gradient if name in call.arrays]
    answer = evaluate(loss, call)
    assert list(answer.gradient["sum"]) == given
    for name, gradient in answer.gradient["sum"].items():
        assert gradient.shape == call.arrays[name].shape
    assert evaluate(loss, example_call(loss)).gradient == {}


@pytest.mark.parametrize("name", ["a." * 31_000, "torch.nn." + "A" * 80, "huber" * 17])
def test_a_name_longer_than_any_is_compared_with_none(name, monkeypatch):
    """62 KB of "a." kept the event loop for two seconds: each part was looked up as a module."""
    module = import_module("lossd.losses.suggestions")
    for compare in ("framework_of", "plain"):
        monkeypatch.setattr(module, compare, lambda _: pytest.fail("it was compared"))
    with pytest.raises(UnknownLoss) as caught:
        find(name)
    assert "did you mean" not in str(caught.value)
    assert not near(name)
