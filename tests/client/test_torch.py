"""The bridge to PyTorch: values and gradients are those of PyTorch's own losses, wherever autograd asks for them."""

from __future__ import annotations

import copy
import re
import time
from typing import Any

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import torch
from torch.nn import functional

from lossd.client import AsyncLossClient, LossClient, ServiceError
from lossd.client.torch import RemoteLoss, to_numpy, to_torch
from tests.api.serving import Served

pytestmark = pytest.mark.torch
REDUCTIONS = ["mean", "sum", "none"]
TYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
# Rounding of one result, and of PyTorch's own arithmetic in the narrow types.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2, torch.float16: 4e-3}


def draw(
    *shape: int, dtype: torch.dtype = torch.float64, seed: int = 0, requires_grad: bool = False
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(*shape, dtype=torch.float64, generator=generator)
    return drawn.to(dtype).requires_grad_(requires_grad)


def same(ours: torch.Tensor | None, theirs: torch.Tensor | None, dtype: torch.dtype = torch.float64) -> None:
    assert ours is not None
    assert theirs is not None
    assert (ours.dtype, ours.shape, ours.device) == (theirs.dtype, theirs.shape, theirs.device)
    torch.testing.assert_close(ours, theirs, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def gradients(loss: torch.Tensor, *of: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Differentiate something nonlinear of the loss, so that what follows it matters."""
    return torch.autograd.grad((loss.double() ** 2).sum(), of)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_pointwise_loss_and_both_its_gradients(
    client: LossClient, reduction: str, dtype: torch.dtype
) -> None:
    input, target = (draw(4, 5, dtype=dtype, seed=seed, requires_grad=True) for seed in (1, 2))
    ours = RemoteLoss("HuberLoss", client=client, reduction=reduction, delta=0.7)(input, target)
    theirs = functional.huber_loss(input, target, reduction=reduction, delta=0.7)
    same(ours, theirs, dtype)
    for one, other in zip(gradients(ours, input, target), gradients(theirs, input, target), strict=True):
        same(one, other, dtype)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_with_class_weights_and_pixels(
    client: LossClient, reduction: str, smoothing: float
) -> None:
    input = draw(3, 4, 2, 5, requires_grad=True)
    target = torch.arange(30).reshape(3, 2, 5) % 4
    target[0, 0, 0] = -100
    settings = {
        "weight": torch.tensor([0.5, 1.0, 2.0, 0.0], dtype=torch.float64),
        "label_smoothing": smoothing,
    }
    ours = RemoteLoss("cross_entropy", client=client, reduction=reduction, **settings)(input, target)
    theirs = functional.cross_entropy(input, target, reduction=reduction, **settings)
    same(ours, theirs)
    same(*gradients(ours, input), *gradients(theirs, input))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradients_for_probabilities_as_target_and_for_weights(client: LossClient, reduction: str) -> None:
    input = draw(6, 3, seed=1, requires_grad=True)
    target = draw(6, 3, seed=2).softmax(1).detach().requires_grad_()
    weight = draw(6, 3, seed=3).exp().detach().requires_grad_()
    of = (input, target, weight)
    ours = RemoteLoss("bce_with_logits", client=client, reduction=reduction)(input, target, weight=weight)
    # PyTorch has no gradient for the weight of its own loss, so it is written out.
    rows = weight * functional.binary_cross_entropy_with_logits(input, target, reduction="none")
    theirs = {"mean": rows.mean(), "sum": rows.sum(), "none": rows}[reduction]
    same(ours, theirs)
    for one, other in zip(gradients(ours, *of), gradients(theirs, *of), strict=True):
        same(one, other)


def test_a_class_weight_that_is_trained(client: LossClient) -> None:
    """The mean divides by the weights of the targets, so the gradient of the weights goes through both."""
    input, target = draw(5, 3), torch.tensor([0, 2, 1, 1, 0])
    weight = torch.nn.Parameter(torch.tensor([0.5, 1.5, 1.0], dtype=torch.float64))
    criterion = RemoteLoss("cross_entropy", client=client, weight=weight)
    assert dict(criterion.named_parameters()) == {"weight": weight}
    criterion(input, target).backward()
    twin = weight.detach().clone().requires_grad_()
    rows = -input.log_softmax(1)[torch.arange(5), target] * twin[target]
    (rows.sum() / twin[target].sum()).backward()
    same(weight.grad, twin.grad)


def test_a_smooth_setting_that_is_trained(client: LossClient) -> None:
    delta = torch.nn.Parameter(torch.tensor(0.5))
    input, target = draw(50, seed=1), draw(50, seed=2)
    criterion = RemoteLoss("huber", client=client, delta=delta, reduction="sum")
    criterion(input, target).backward()
    far = (input - target).abs().detach()
    # Beyond delta the loss is delta r - delta^2 / 2.
    expected = torch.where(far > 0.5, far - 0.5, 0).sum().float()
    same(delta.grad, expected, torch.float32)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_twice_in_one_graph_with_something_before_and_behind(client: LossClient, reduction: str) -> None:
    x, y = draw(4, 3, seed=1, requires_grad=True), draw(4, 3, seed=2)

    def total(criterion: Any) -> torch.Tensor:
        return (criterion(x.tanh(), y).exp() + criterion(2 * x, x.sin()) * 3).sum()

    ours = total(RemoteLoss("smooth_l1", client=client, reduction=reduction))
    theirs = total(torch.nn.SmoothL1Loss(reduction=reduction))
    same(ours, theirs)
    same(*torch.autograd.grad(ours, x), *torch.autograd.grad(theirs, x))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_backward_twice_through_a_graph_that_is_kept(client: LossClient, reduction: str) -> None:
    x = draw(4, requires_grad=True)
    loss = RemoteLoss("mse", client=client, reduction=reduction)(x, torch.zeros_like(x)).sum()
    once = torch.autograd.grad(loss, x, retain_graph=True)
    same(*once, *torch.autograd.grad(loss, x))
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_rows_that_affect_each_other_and_several_inputs(client: LossClient, reduction: str) -> None:
    anchor, positive, negative = (draw(6, 4, seed=seed, requires_grad=True) for seed in (1, 2, 3))
    of = (anchor, positive, negative)
    ours = RemoteLoss("triplet_margin", client=client, reduction=reduction, swap=True)(*of)
    theirs = functional.triplet_margin_loss(*of, reduction=reduction, swap=True)
    same(ours, theirs)
    for one, other in zip(gradients(ours, *of), gradients(theirs, *of), strict=True):
        same(one, other)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    by_item = RemoteLoss("nt_xent", client=client, reduction="none", temperature=0.5)
    together = RemoteLoss("nt_xent", client=client, reduction="sum", temperature=0.5)
    same(
        *torch.autograd.grad(by_item(anchor, labels).sum(), anchor),
        *torch.autograd.grad(together(anchor, labels), anchor),
    )


def test_ctc_from_logits_by_name(client: LossClient) -> None:
    logits = draw(12, 2, 5, requires_grad=True)
    targets, lengths = torch.tensor([[1, 2, 2], [3, 4, 0]]), (torch.tensor([12, 10]), torch.tensor([3, 2]))
    ours = RemoteLoss("ctc", client=client)(None, targets, *lengths, logits=logits)
    theirs = functional.ctc_loss(logits.log_softmax(-1), targets, *lengths)
    same(ours, theirs)
    same(*torch.autograd.grad(ours, logits), *torch.autograd.grad(theirs, logits))


def test_complex_residuals(client: LossClient) -> None:
    input = torch.complex(draw(5, seed=1), draw(5, seed=2)).requires_grad_()
    target = torch.complex(draw(5, seed=3), draw(5, seed=4))
    ours, theirs = RemoteLoss("l1", client=client)(input, target), functional.l1_loss(input, target)
    same(ours, theirs)
    same(*torch.autograd.grad(ours, input), *torch.autograd.grad(theirs, input))


@pytest.mark.parametrize("layout", ["transposed", "strided", "expanded"])
def test_tensors_of_any_layout(client: LossClient, layout: str) -> None:
    layouts = {
        "transposed": lambda x: x.t(),
        "strided": lambda x: x[::2, 1:],
        "expanded": lambda x: x[:1].expand(3, 4),
    }
    leaf = draw(4, 4, requires_grad=True)
    input = layouts[layout](leaf)
    target = torch.zeros(input.shape, dtype=torch.float64)
    ours = torch.autograd.grad(RemoteLoss("mse", client=client)(input, target), leaf)
    same(*ours, *torch.autograd.grad(functional.mse_loss(input, target), leaf))


def test_a_scalar_and_a_single_sample(client: LossClient) -> None:
    x = torch.tensor(2.0, requires_grad=True)
    loss = RemoteLoss("mse", client=client)(x, torch.tensor(0.5))
    same(loss, torch.tensor(2.25), torch.float32)
    same(*torch.autograd.grad(loss, x), torch.tensor(3.0), torch.float32)
    logits = draw(1, 10, dtype=torch.float32, requires_grad=True)
    criterion, label = RemoteLoss("cross_entropy", client=client), torch.tensor([3])
    same(criterion(logits, label), functional.cross_entropy(logits, label), torch.float32)


def test_what_needs_no_gradient_costs_none(client: LossClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    evaluate = client.evaluate
    monkeypatch.setattr(
        client, "evaluate", lambda *a, **k: asked.append(k.get("gradient")) or evaluate(*a, **k)
    )
    criterion = RemoteLoss("mse", client=client)
    x, t = draw(3, requires_grad=True), draw(3, seed=1)
    with torch.no_grad():
        assert not criterion(x, t).requires_grad
    assert not criterion(x.detach(), t).requires_grad
    assert criterion(x, t).requires_grad
    assert criterion(t, x).requires_grad
    assert asked == [None, None, ["input"], ["target"]]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_second_derivative_is_refused_rather_than_wrong(client: LossClient, reduction: str) -> None:
    x = draw(3, requires_grad=True)
    loss = RemoteLoss("mse", client=client, reduction=reduction)(x, torch.zeros(3)).sum()
    with pytest.raises(NotImplementedError, match="create_graph"):
        torch.autograd.grad(loss, x, create_graph=True)


def test_a_module_moves_copies_and_shows_its_settings(client: LossClient) -> None:
    weight = torch.tensor([1.0, 2.0])
    criterion = RemoteLoss("cross_entropy", client=client, weight=weight, label_smoothing=0.1)
    assert repr(criterion) == "RemoteLoss('cross_entropy', reduction='mean', label_smoothing=0.1)"
    assert criterion.double().weight.dtype == torch.float64
    assert criterion.to("meta").weight.device.type == "meta"
    twin = copy.deepcopy(RemoteLoss("mse", client=client))
    x = draw(3, requires_grad=True)
    same(twin(x, 2 * x.detach()), functional.mse_loss(x, 2 * x.detach()))
    twin.client.close()


@pytest.mark.parametrize("dtype", [*TYPES, torch.int64, torch.bool, torch.complex64], ids=str)
def test_bits_survive_the_way_to_numpy_and_back(dtype: torch.dtype) -> None:
    tensor = (draw(3, 4) * 3).to(dtype)
    back = to_torch(to_numpy(tensor), like=tensor)
    assert back.dtype == dtype
    assert torch.equal(back, tensor)


def test_a_wrong_use_says_what_is_wrong(client: LossClient) -> None:
    x = draw(3)
    with pytest.raises(ServiceError, match="`target`"):
        RemoteLoss("mse", client=client)(x, x[:2])
    with pytest.raises(TypeError, match="at most input, target, weight, got 4"):
        RemoteLoss("mse", client=client)(x, x, x, x)
    with pytest.raises(ValueError, match="`reduction`"):
        RemoteLoss("mse", client=client, reduction=["mean", "sum"])
    with pytest.raises(
        ValueError, match="expected a loss such as mse, got the boosting objective 'reg:squarederror'"
    ):
        RemoteLoss("reg:squarederror", client=client)
    with pytest.raises(ValueError, match="`upstream`"):
        RemoteLoss("mse", client=client, upstream=x)


FP32_UNDER_AUTOCAST = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "huber": functional.huber_loss,
    "smooth_l1": functional.smooth_l1_loss,
    "bce": functional.binary_cross_entropy,
    "bce_with_logits": functional.binary_cross_entropy_with_logits,
}


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", FP32_UNDER_AUTOCAST)
def test_under_autocast_types_and_numbers_are_those_of_pytorch(
    client: LossClient, name: str, reduction: str, dtype: torch.dtype
) -> None:
    input = draw(4, 5, seed=1).sigmoid().to(dtype).requires_grad_()
    target = draw(4, 5, seed=2).sigmoid().to(dtype)
    criterion = RemoteLoss(name, client=client, reduction=reduction)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = criterion(input, target), FP32_UNDER_AUTOCAST[name](input, target, reduction=reduction)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert ours.dtype == wide
    same(ours, theirs, wide)
    # The upstream of both is the same; only rounding to the input's type is left.
    upstream = torch.full_like(ours, 0.5)
    same(*torch.autograd.grad(ours, input, upstream), *torch.autograd.grad(theirs, input, upstream), dtype)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_under_autocast_losses_of_classes_and_of_distances_too(
    client: LossClient, dtype: torch.dtype, reduction: str
) -> None:
    logits = draw(6, 4, seed=1, dtype=dtype).requires_grad_()
    labels = torch.arange(6) % 4
    weight = torch.tensor([0.5, 1.0, 2.0, 1.0]).to(dtype)
    positive, negative = draw(6, 4, seed=2, dtype=dtype), draw(6, 4, seed=3, dtype=dtype)
    options: dict[str, Any] = {"reduction": reduction}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pairs = [
            (
                RemoteLoss("cross_entropy", client=client, weight=weight, **options)(logits, labels),
                functional.cross_entropy(logits, labels, weight, **options),
            ),
            (
                RemoteLoss("nll", client=client, **options)(logits, labels),
                functional.nll_loss(logits, labels, **options),
            ),
            (
                RemoteLoss("triplet_margin", client=client, **options)(logits, positive, negative),
                functional.triplet_margin_loss(logits, positive, negative, **options),
            ),
        ]
    for ours, theirs in pairs:
        same(ours, theirs, torch.float32)
        upstream = torch.full_like(ours, 0.5)
        same(
            *torch.autograd.grad(ours, logits, upstream),
            *torch.autograd.grad(theirs, logits, upstream),
            dtype,
        )


def test_a_network_trains_under_autocast(client: LossClient) -> None:
    torch.manual_seed(0)
    ours = torch.nn.Linear(4, 3)
    theirs = copy.deepcopy(ours)
    x, labels = torch.randn(8, 4), torch.arange(8) % 3
    for model, criterion in (
        (ours, RemoteLoss("cross_entropy", client=client)),
        (theirs, torch.nn.CrossEntropyLoss()),
    ):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            criterion(model(x), labels).backward()
    same(ours.weight.grad, theirs.weight.grad, torch.bfloat16)


def test_without_autocast_the_type_is_that_of_the_input(client: LossClient) -> None:
    x = draw(3, dtype=torch.bfloat16)
    assert RemoteLoss("mse", client=client)(x, x).dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=False):
        assert RemoteLoss("mse", client=client)(x, x).dtype == torch.bfloat16


def test_wrong_names_are_refused_when_the_loss_is_made(server: Served, client: LossClient) -> None:
    with pytest.raises(ServiceError, match=r"404 unknown loss: .*did you mean huber"):
        RemoteLoss("hubber", client=client)
    with pytest.raises(
        TypeError, match=r"expected a setting of huber \(weight, delta\) .*'detla'.*mean delta\?"
    ):
        RemoteLoss("HuberLoss", client=client, detla=0.5)
    with pytest.raises(TypeError, match="'foo'"):
        RemoteLoss("cross_entropy", client=client, weight=torch.ones(3), foo=torch.ones(3))
    RemoteLoss("bce_with_logits", client=client, pos_weight=torch.ones(3), sample_weight=torch.ones(3))
    RemoteLoss("multi_quantile", client=client, quantiles=torch.tensor([0.5]), check_target="none")


def test_an_address_stands_for_a_client(server: Served) -> None:
    criterion = RemoteLoss("mse", client=server.url)
    x = draw(3)
    same(criterion(x, 2 * x), functional.mse_loss(x, 2 * x))
    criterion.client.close()
    with pytest.raises(ValueError, match="write 'http://localhost:8000'"):
        RemoteLoss("mse", client="localhost:8000")
    with pytest.raises(TypeError, match="expected a LossClient or an address, got a value of type int"):
        RemoteLoss("mse", client=8000)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got a value of type AsyncLossClient"):
        RemoteLoss("mse", client=AsyncLossClient(server.url))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"delta": -1}, "expected number > 0, got -1 - at `delta`"),
        ({"delta": float("nan")}, "expected number > 0, got nan - at `delta`"),
        ({"empty": "never"}, 'expected "error", "nan", "zero", got \'never\' - at `empty`'),
    ],
)
def test_a_setting_outside_its_range_is_refused_when_the_loss_is_made(
    client: LossClient, settings: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        RemoteLoss("huber", client=client, **settings)
    assert RemoteLoss("huber", client=client, delta=torch.tensor(2.0), empty="zero").loss == "huber"


def test_names_are_checked_later_where_no_server_answers_yet(server: Served) -> None:
    x = draw(3)
    with LossClient("http://127.0.0.1:9") as client:
        begun = time.monotonic()
        wrong_loss = RemoteLoss("hubber", client=client)
        wrong_setting = RemoteLoss("huber", client=client, detla=0.5)
        right = RemoteLoss("huber", client=client, delta=0.5)
        assert time.monotonic() - begun < 5, "expected no waiting for a server where it is not needed"
        client.url = server.url  # the server is there
        with pytest.raises(ServiceError, match=r"404 unknown loss: .*did you mean huber"):
            wrong_loss(x, x)
        with pytest.raises(ServiceError, match=r'"detla"; did you mean delta\? - at `detla`'):
            wrong_setting(x, x)
        assert right(x, x) == 0


def test_a_loss_that_is_newer_than_the_client_takes_its_arguments_in_order(
    client: LossClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("torch", "arrays"):
        monkeypatch.setattr(f"lossd.client.{module}.ARRAYS", {})
        monkeypatch.setattr(f"lossd.client.{module}.ALIASES", {})
    x, y = draw(4, requires_grad=True), draw(4, seed=1)
    ours = RemoteLoss("huber", client=client, delta=torch.tensor(0.5))(x, y)
    theirs = functional.huber_loss(x, y, delta=0.5)
    same(ours, theirs)
    same(*torch.autograd.grad(ours, x), *torch.autograd.grad(theirs, x))


def test_a_loss_is_given_by_its_name() -> None:
    message = "expected the name of a loss, such as 'huber', got a value of type HuberLoss - at `loss`"
    with pytest.raises(TypeError, match=message):
        RemoteLoss(torch.nn.HuberLoss())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("axis", [0, -1, [0, 2]], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_along_axes_hands_each_its_own_gradient(
    client: LossClient, reduction: str, axis: int | list[int], dtype: torch.dtype
) -> None:
    input, target = (draw(2, 3, 4, dtype=dtype, seed=seed, requires_grad=True) for seed in (1, 2))
    ours = RemoteLoss("huber", client=client, reduction=reduction, axis=axis, delta=0.7)(input, target)
    rows = functional.huber_loss(input, target, reduction="none", delta=0.7)
    theirs = getattr(rows, reduction)(dim=axis)
    same(ours, theirs, dtype)
    for one, other in zip(gradients(ours, input, target), gradients(theirs, input, target), strict=True):
        same(one, other, dtype)


def test_a_weight_divides_a_mean_along_an_axis_and_has_no_gradient_there(client: LossClient) -> None:
    input, target = draw(2, 3, seed=1, requires_grad=True), draw(2, 3, seed=2)
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    along = RemoteLoss("mse", client=client, reduction="weighted_mean", axis=1)
    loss = along(input, target, sample_weight=weight.detach())
    rows = functional.mse_loss(input, target, reduction="none")
    theirs = (rows * weight.detach()).sum(1) / weight.detach().sum()
    same(loss, theirs)
    same(gradients(loss, input)[0], gradients(theirs, input)[0])
    with pytest.raises(
        NotImplementedError, match="gradients of sample_weight are asked for, got 'weighted_mean'"
    ):
        gradients(along(input, target, sample_weight=weight), weight)
