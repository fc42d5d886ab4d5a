"""One random call with its exact result, what is found wrong in its answer, and when an answer is close enough."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from lossd.losses import LOSSES
from tests.oracle.case import Case
from tests.oracle.condition import Exact
from tests.oracle.exact import MP, Number
from tests.oracle.record import Oracle
from tests.oracle.records import ORACLES
from tests.oracle.truth import weighs

# Units in the last place of the result and of what its condition adds to it.
ULPS = 12
# Smallest numbers of the type that the steps of a formula may lose together, before they are multiplied by weights.
SUBNORMALS = 16
TYPES = (np.float64, np.float32)


class Finding(NamedTuple):
    """A call whose answer is wrong, and where."""

    name: str
    seed: int
    case: Case
    options: Mapping[str, Any]
    text: str

    def __str__(self) -> str:
        arrays = {key: array.tolist() for key, array in self.case.arrays.items()}
        dtype = TYPES[self.seed % len(TYPES)].__name__
        asked = {**self.case.settings, **self.options}
        call = f"{self.name} seed {self.seed} {dtype} {arrays} {asked}"
        return f"{call}: {self.text}; {repeated(self.name, self.seed)}"


class Draw(NamedTuple):
    """A random call, and its exact result as a function of its numbers."""

    name: str
    seed: int
    case: Case
    rng: np.random.Generator
    exact: Exact
    rowwise: bool

    @property
    def differentiable(self) -> list[str]:
        given = [key for key, array in self.case.arrays.items() if array.dtype.kind == "f"]
        return [
            key
            for key in LOSSES[self.name].differentiable
            if key in [*given, *LOSSES[self.name].differentiable_settings]
        ]

    @property
    def limits(self) -> Any:
        return np.finfo(TYPES[self.seed % len(TYPES)])

    @property
    def largest_factor(self) -> Any:
        """What may multiply numbers too small for the type: weights, and what the loss has."""
        return self._heaviest * MP.mpf(self.oracle.factor(self.case))

    @property
    def largest_second_factor(self) -> Any:
        """The same of second derivatives."""
        return self._heaviest * MP.mpf((self.oracle.second_factor or self.oracle.factor)(self.case))

    @property
    def _heaviest(self) -> Any:
        """The largest product of weights: where these are heavy, what is too small is computed in a wider type."""
        arrays = self.case.arrays
        weights = [np.abs(array).max(initial=1) for key, array in arrays.items() if weighs(self.name, key)]
        return MP.mpf(float(min(np.prod(weights, dtype=np.float64), self.limits.eps**-0.5)))

    @property
    def oracle(self) -> Oracle:
        return ORACLES[self.name]

    def shown_place(self, key: str, place: int | tuple[int, ...]) -> str:
        """Return the place of a result as its argument is indexed."""
        if key not in self.case.arrays:
            return key if key in LOSSES[self.name].settings else f"{key}[{place}]"
        shape = self.case.arrays[key].shape
        index = np.unravel_index(place, shape) if isinstance(place, int) else place
        return f"{key}[{', '.join(map(str, index))}]" if index else key

    @property
    def curved(self) -> str:
        """Return the argument that second derivatives are taken of: each in turn."""
        arrays = self.case.arrays
        given = [key for key in LOSSES[self.name].gradient if key in arrays and arrays[key].ndim]
        return given[self.seed // len(TYPES) % len(given)]


def repeated(name: str, seed: int) -> str:
    """Return the command that repeats a call."""
    return f"python -m tests.oracle.random_calls {name} --seed {seed} --calls 1"


def shown(number: Number) -> str:
    """Return an exact number in as many digits as float64 has; as 0 where no type can tell it from that."""
    return "0.0" if abs(number) < MP.mpf(10) ** -400 else str(MP.nstr(number, 17))


def is_close(got: Any, exact: Any, condition: Any = 0, weight: Any = 1) -> bool:
    """Return whether a number is the exact one, up to rounding where the problem's condition is as given.

    What is lost of numbers too small for the type may be multiplied by as much as ``weight``.
    """
    eps, most, least = _limits(got.dtype)
    if MP.isnan(exact):
        return bool(np.isnan(got))
    if MP.isinf(exact):
        return bool(np.isinf(got) and (got > 0) == (exact > 0))
    error = ULPS * eps * (abs(exact) + condition)
    if np.isinf(got):  # what rounding leaves of parts that cancel may have either sign
        return bool((exact if got > 0 else -exact) + error > most)
    if np.isnan(got):  # of parts that are infinite in the type and cancel: any number would do
        return bool(error > most)
    return bool(abs(MP.mpf(float(got)) - exact) <= error + SUBNORMALS * least * weight)


@cache
def _limits(dtype: np.dtype[Any]) -> tuple[Any, Any, Any]:
    """Return the spacing at 1, the largest number and the smallest of a type."""
    limits = np.finfo(dtype)
    return MP.mpf(float(limits.eps)), MP.mpf(float(limits.max)), MP.mpf(float(limits.smallest_subnormal))
