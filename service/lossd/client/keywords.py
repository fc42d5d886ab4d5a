"""Tells a caller who misspelt a keyword argument of a client's method which one was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from lossd.spelling import did_you_mean

P = ParamSpec("P")
R = TypeVar("R")


def hinted(method: Callable[P, R]) -> Callable[P, R]:
    """Decorate a method so that its TypeError for an unknown keyword names the nearest parameter."""
    _, *names = inspect.signature(method).parameters  # without self
    known = dict.fromkeys(names).keys()

    @wraps(method)
    def call(*args: P.args, **keywords: P.kwargs) -> R:
        if not keywords.keys() <= known:
            unknown = next(name for name in keywords if name not in known)
            hint = did_you_mean(unknown, known)
            raise TypeError(f"{method.__name__}() got an unexpected keyword argument {unknown!r}{hint}")
        return method(*args, **keywords)

    return call
