"""The layers: which package may import which, read from the syntax trees, so that no import can hide in a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

SERVICE = Path(__file__).parents[1] / "service"

# Package or module of lossd to the parts of lossd it may import, besides itself.
LAYERS = {
    "": set(),
    "errors": set(),
    "message": set(),
    "spelling": set(),
    "wording": set(),
    "loss_page": set(),
    "service_links": set(),
    "settings": {"service_links", "spelling"},
    "numerics": {"message"},
    "declaration": {"numerics", "message"},
    "losses": {"declaration", "numerics", "message", "errors", "spelling", "wording"},
    "fused": {"losses", "declaration", "numerics", "message"},
    "engine": {"fused", "declaration", "numerics", "message", "errors", "spelling", "wording"},
    "wire": {"message", "errors", "wording"},
    "access": {"errors"},
    "bulk": {"engine", "losses", "declaration", "wire", "message", "errors", "wording"},
    "client": {"wire", "message", "errors", "spelling", "wording", "loss_page"},
    "page": {"", "engine", "losses", "declaration", "loss_page", "message", "errors"},
    "api": {
        "",
        "page",
        "access",
        "engine",
        "losses",
        "declaration",
        "wire",
        "message",
        "errors",
        "settings",
        "wording",
    },
    "commands": {
        "",
        "page",
        "access",
        "api",
        "app",
        "bulk",
        "engine",
        "losses",
        "declaration",
        "wire",
        "message",
        "errors",
        "service_links",
        "settings",
        "wording",
        "loss_page",
    },
    "app": {"", "api", "engine", "losses", "wire", "message", "errors", "settings"},
    "__main__": {"", "commands", "errors"},
}
# What a kernel needs to know nothing of: bytes, logs and threads.
PURE = {"orjson", "simdjson", "structlog", "threading", "concurrent"}
HTTP = {"fastapi", "starlette", "uvicorn", "httpx", "uvloop", "httptools"}
# Part of lossd to the distributions it keeps away from.
KEPT_OUT = {
    "errors": HTTP | {"pydantic", "numpy"},
    "message": HTTP | {"pydantic"},
    "service_links": HTTP | {"pydantic", "numpy"},
    "spelling": HTTP | {"pydantic", "numpy"},
    "wording": HTTP | {"pydantic", "numpy"},
    "loss_page": HTTP | {"pydantic", "numpy"},
    "settings": HTTP | {"numpy"},
    "numerics": HTTP | PURE | {"pydantic"},
    "declaration": HTTP | PURE,
    "losses": HTTP | PURE,
    "fused": HTTP | PURE,
    "engine": HTTP | {"orjson", "simdjson", "structlog"},
    "wire": HTTP | {"pydantic", "structlog"},
    "access": HTTP | {"numpy", "pydantic", "orjson", "structlog"},
    "page": HTTP | {"structlog"},
    "client": {"fastapi", "starlette", "uvicorn"},
}


class Import(NamedTuple):
    """One import statement's module, and where it is written."""

    file: Path
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(SERVICE)}:{self.line} imports {self.module}"


def part_of(module: str) -> str:
    """Return the part of lossd that a dotted module name lies in."""
    return module.partition(".")[2].partition(".")[0]


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(SERVICE).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def imports_of(file: Path, source: str | None = None) -> Iterator[Import]:
    """Find the imports of a file, wherever in it they stand."""
    for node in ast.walk(ast.parse(source) if source else tree_of(file)):
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} imports relatively"
            names = [f"lossd.{alias.name}" for alias in node.names if alias.name != "__version__"]
            modules = names if node.module == "lossd" and names else [node.module or ""]
            yield from (Import(file, node.lineno, module) for module in modules)


def breaches(file: Path, source: str | None = None) -> list[str]:
    """Return the imports of a file that its layer does not allow."""
    own = part_of(module_of(file))
    wrong = []
    for found in imports_of(file, source):
        top = found.module.split(".")[0]
        if top == "lossd":
            allowed = part_of(found.module) in LAYERS[own] | {own}
        else:
            allowed = top not in KEPT_OUT.get(own, set())
        if not allowed:
            wrong.append(str(found))
    return wrong


FILES = sorted((SERVICE / "lossd").rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SERVICE)))
def test_imports_point_down(file):
    assert part_of(module_of(file)) in LAYERS, "a new package: say in LAYERS what it may import"
    assert breaches(file) == []


def test_only_api_and_app_know_the_web_framework():
    knowing = {
        part_of(module_of(i.file)) for f in FILES for i in imports_of(f) if i.module.split(".")[0] in _WEB
    }
    assert knowing <= {"api", "app"}


def test_only_app_knows_every_layer():
    layers = {"api", "engine", "losses", "wire", "settings"}
    for file in FILES:
        known = {part_of(found.module) for found in imports_of(file)} - {part_of(module_of(file))}
        assert not layers <= known or module_of(file) == "lossd.app", f"{file} knows all layers"


def test_importing_a_layer_starts_nothing():
    """No module makes an app, a pool or a server while it loads: there is no state at import."""
    for file in FILES:
        for node in tree_of(file).body:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            name = getattr(getattr(value, "func", None), "id", "")
            assert name not in {"FastAPI", "create_app", "Settings", "ThreadPoolExecutor"}, (
                f"{file}:{node.lineno}"
            )


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("losses/regression/residual.py", "from lossd.engine import evaluate"),
        ("losses/regression/residual.py", "from lossd.fused import FUSED"),
        ("losses/regression/residual.py", "def late():\n    import fastapi"),
        ("losses/sequence/ctc.py", "import threading"),
        ("fused/table.py", "from lossd.engine.bind import Bound"),
        ("declaration/loss.py", "from lossd.losses import LOSSES"),
        ("declaration/loss.py", "from lossd.errors import invalid"),
        ("numerics/stable.py", "from lossd.declaration.result import Result"),
        ("numerics/stable.py", "import pydantic"),
        ("wire/codec.py", "from lossd.losses import LOSSES"),
        ("wire/codec.py", "from lossd import engine"),
        ("wire/codec.py", "import pydantic"),
        ("engine/plan.py", "from starlette.responses import Response"),
        ("access/keys.py", "from starlette.types import Scope"),
        ("access/keys.py", "from lossd.settings import Settings"),
        ("errors.py", "import lossd.message"),
    ],
)
def test_a_breach_is_found(file, source):
    assert breaches(SERVICE / "lossd" / file, source)


_WEB = {"fastapi", "starlette"}
