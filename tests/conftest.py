"""Shows what the asserts of shared modules compared, as those of tests do, and selects the tests of one loss."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from lossd.losses import LOSSES

pytest.register_assert_rewrite("tests.losses", "tests.oracle", "tests.engine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--loss",
        help="only the tests with this loss or an alias of it in their id, and those of all declarations",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    name = config.getoption("--loss")
    if name is None:
        return
    if name not in LOSSES:
        raise pytest.UsageError(f"expected NAME= one of {', '.join(LOSSES)}; got {name!r}")
    is_named = whole_words([name, *(alias.name for alias in LOSSES[name].aliases)])
    kept = [item for item in items if item.get_closest_marker("declarations") or is_named.search(_id(item))]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


def whole_words(names: Iterable[str]) -> re.Pattern[str]:
    """Match one of some names, but not within another: giou is no iou, and functional.l1_loss no alias."""
    return re.compile(rf"(?<![\w.:])(?:{'|'.join(map(re.escape, names))})(?![\w]|[.:]\w)")


def _id(item: pytest.Item) -> str:
    return item.callspec.id if hasattr(item, "callspec") else ""
