"""Suggests what an unknown name may mean: a name within its framework, another spelling, or a part of a name.

A suggestion is a name that leads to the same loss, so a framework's qualified name stays with that framework, and one
letter does not turn a short name into another: `rmse` and `ciou` are losses of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from lossd.declaration.alias import NOT_OFFERED
from lossd.declaration.loss import Loss
from lossd.spelling import names_near, names_of

MODULES: Mapping[str, str] = {
    **dict.fromkeys(("torch", "nn", "F"), "PyTorch"),
    **dict.fromkeys(("keras", "tf.keras", "tensorflow.keras"), "Keras"),
    **dict.fromkeys(("tf", "tensorflow"), "TensorFlow"),
    "optax": "optax",
    "rlax": "rlax",
    "sklearn": "scikit-learn",
    "torchvision": "torchvision",
    "pytorch_metric_learning": "pytorch-metric-learning",
    **dict.fromkeys(("tfr", "tensorflow_ranking"), "TensorFlow Ranking"),
    "onnx": "ONNX",
    **dict.fromkeys(("xgboost", "xgb"), "XGBoost"),
    **dict.fromkeys(("lightgbm", "lgb"), "LightGBM"),
    "catboost": "CatBoost",
}
"""Modules to the framework that they belong to, with all that is in them."""

COMMON_NAMES: Mapping[str, str] = {
    "ce": "cross_entropy",
    "xent": "cross_entropy",
    "kl": "kl_div",
    "kld": "kl_div",
    "logistic": "bce_with_logits",
    "pinball": "multi_quantile",
    "quantile": "multi_quantile",
    "infonce": "nt_xent",
    "simclr": "nt_xent",
    "wasserstein": "sinkhorn",
    "optimaltransport": "sinkhorn",
    "binarycrossentropyfromlogitstrue": "bce_with_logits",
    "categoricalcrossentropyfromlogitstrue": "cross_entropy",
    "sparsecategoricalcrossentropyfromlogitstrue": "cross_entropy",
}
"""What people call a loss and no framework does, in lower-case letters, to the loss."""

_MOST = 3
_LONGEST = 80  # letters of a name that is compared: no known one is as long
_KEPT = 2048  # names whose letters are kept: all known ones, and some that callers wrote
_SHORT = 5  # letters without "loss"; a change of one in fewer letters is often another loss
_UNTOLD = {"loss", "error"}  # words of many names
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_REPEATED = re.compile(r"(.)\1+")
_CALLED = re.compile(r"; call (\w+)")

Suggest = Callable[[str, Iterable[str]], list[str]]


def suggestions(name: str, named: Mapping[str, Loss]) -> list[str]:
    """Return known names that ``name`` may mean, at most one for each loss, the loss's own first.

    Of a name that is not offered it is the loss that the explanation says to call.
    """
    if len(name) > _LONGEST:
        return []
    if explained := explanation(name, named):
        return _CALLED.findall(explained)[:1]
    module, _, last = name.rpartition(".")
    framework = framework_of(module)
    found = _within(framework, last, named) or _first(name, named) or _first(last, named)
    kept = {named[each].name: each for each in reversed(found)}
    if framework:  # no other framework's name, whose defaults are others
        kept = {loss: each if _is_of(framework, each, named) else loss for loss, each in kept.items()}
    return list(reversed(kept.values()))[:_MOST]


def explanation(name: str, named: Mapping[str, Loss]) -> str:
    """Say what a name means that is not offered, also within its framework or spelt otherwise; else nothing."""
    if len(name) > _LONGEST:
        return ""
    module, _, last = name.rpartition(".")
    if name in NOT_OFFERED:
        return NOT_OFFERED[name]
    framework = framework_of(module)
    own = [each for each in named if framework and _is_of(framework, each, named)]
    if _alike(last, own) or (module and (_alike(name, named) or _misspelt(name, named))):
        return ""
    if last in NOT_OFFERED:
        return NOT_OFFERED[last]
    alike = _alike(last, NOT_OFFERED) if framework or not _alike(last, named) else []
    return NOT_OFFERED[alike[0]] if alike else ""


def framework_of(module: str) -> str:
    """Return the framework that a module belongs to; nothing where none is known."""
    while module:
        if module in MODULES:
            return MODULES[module]
        module = module.rpartition(".")[0]
    return ""


def _within(framework: str, last: str, named: Mapping[str, Loss]) -> list[str]:
    """Return the framework's names for what ``last`` is, there or, where it has none, elsewhere."""
    own = {each.rpartition(".")[2]: each for each in named if _is_of(framework, each, named)}
    if last in own:
        return [own[last]]
    if alike := _alike(last, own) or _misspelt(last, own):
        return [own[each] for each in alike]
    loss = named[last].name if last in named else ""
    return [each for each in own.values() if named[each].name == loss][:1]


def _is_of(framework: str, name: str, named: Mapping[str, Loss]) -> bool:
    """Tell whether a framework has a name; those of losses are PyTorch's where it has the loss."""
    loss = named[name]
    return any(alias.name == name and alias.framework == framework for alias in loss.aliases) or (
        framework == "PyTorch" and name == loss.name
    )


def _first(name: str, named: Mapping[str, Loss]) -> list[str]:
    """Return the names of the first way of reading ``name`` that finds some."""
    ways: tuple[Suggest, ...] = (_alike, _common, _misspelt)
    found: Iterator[list[str]] = (way(name, named) for way in ways)
    return next(filter(None, found), []) or _with_words(name, named)


def _alike(name: str, known: Iterable[str]) -> list[str]:
    """Return the names that differ in case and punctuation alone, else those that differ in "loss" too."""
    known = list(known)
    if not plain(name):
        return []
    same = [each for each in known if plain(each) == plain(name)]
    return same or [each for each in known if _stem(each) == _stem(name)]


def _common(name: str, known: Iterable[str]) -> list[str]:
    meant = COMMON_NAMES.get(_stem(name), "")
    return [meant] if meant in known else []


def _misspelt(name: str, known: Iterable[str]) -> list[str]:
    """Return the names that are one typing error away; of short ones, those with letters swapped or typed twice."""
    near = names_near(name, names_of(known))
    letters, once = sorted(plain(name)), _once(name)
    return [
        each
        for each in near
        if len(_stem(each)) >= _SHORT or sorted(plain(each)) == letters or _once(each) == once
    ]


def _once(name: str) -> str:
    return _REPEATED.sub(r"\1", plain(name))


def _with_words(name: str, named: Mapping[str, Loss]) -> list[str]:
    """Return the names that have all words of ``name``, unless so many losses have them that none is meant."""
    wanted = _words(name)
    found = [each for each in named if wanted and wanted <= _words(each)]
    return found if len({named[each].name for each in found}) <= _MOST else []


@lru_cache(_KEPT)
def _words(name: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(name)) - _UNTOLD


@lru_cache(_KEPT)
def plain(name: str) -> str:
    """Leave letters and digits: as the search of the pages compares names."""
    return "".join(filter(str.isalnum, name.casefold()))


@lru_cache(_KEPT)
def _stem(name: str) -> str:
    return plain(name).removesuffix("loss") or plain(name)
