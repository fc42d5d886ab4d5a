"""What an installer sees: a wheel with all of the package, and locks true to pyproject.toml."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lossd import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKS = {
    "runtime": (),
    "test": ("client", "test", "examples"),
    "dev": ("client", "test", "examples", "bench", "docs", "dev"),
}

# Locks of what the image's build runs, and which it does not hold.
TOOLS = ("build", "sbom")


def read_lock(name: str) -> dict[str, Requirement]:
    """Return the pins of one lock by package name."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", "")
    pins = [Requirement(line.split("--hash")[0]) for line in text.splitlines() if line]
    return {canonicalize_name(pin.name): pin for pin in pins}


def asked_for(lock: str) -> list[Requirement]:
    return [
        Requirement(line)
        for line in [*PROJECT["dependencies"], *(line for extra in LOCKS[lock] for line in EXTRAS[extra])]
    ]


def closure(requirements: list[Requirement]) -> set[str]:
    """Follow requirements through what is installed; markers are read for this interpreter."""
    seen: set[tuple[str, str]] = set()
    todo = [each for each in requirements if not each.marker or each.marker.evaluate({"extra": ""})]
    while todo:
        each = todo.pop()
        name = canonicalize_name(each.name)
        for extra in {"", *each.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            needs = [Requirement(line) for line in distribution(name).requires or ()]
            todo += [need for need in needs if not need.marker or need.marker.evaluate({"extra": extra})]
    return {name for name, _ in seen}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_what_pyproject_asks_for(lock: str) -> None:
    pins = read_lock(lock)
    for need in asked_for(lock):
        pin = pins[canonicalize_name(need.name)]
        (version,) = (each.version for each in pin.specifier)
        assert need.specifier.contains(version), f"{lock}.txt has {pin}, pyproject.toml asks for {need}"


@pytest.mark.parametrize("lock", ["runtime", "test"])
def test_a_lock_pins_all_that_is_needed_and_nothing_else(lock: str) -> None:
    pins = {
        name for name, pin in read_lock(lock).items() if not pin.marker or pin.marker.evaluate({"extra": ""})
    }
    try:
        needed = closure(asked_for(lock))
    except PackageNotFoundError as missing:
        pytest.skip(f"{missing.name} is not installed, so what it needs is not known")
    assert pins == needed


def test_the_locks_agree_with_each_other() -> None:
    pins: dict[str, str] = {}
    for lock in (*TOOLS, *LOCKS):
        for name, pin in read_lock(lock).items():
            assert pins.setdefault(name, str(pin.specifier)) == str(pin.specifier)


@pytest.mark.parametrize("lock", [*TOOLS, *LOCKS])
def test_every_pin_has_hashes(lock: str) -> None:
    for entry in re.split(r"\n(?=\S)", (ROOT / "requirements" / f"{lock}.txt").read_text()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry


@pytest.mark.parametrize("package", ["numpy", "orjson", "pydantic-core", "httptools", "ml-dtypes", "uvloop"])
def test_a_compiled_package_has_hashes_for_several_platforms(package: str) -> None:
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    entry = re.search(rf"(?m)^{package}==.*(\n .*)+", text)
    assert entry is not None
    assert entry[0].count("--hash") > 10


def test_the_package_imports_only_what_it_declares() -> None:
    declared = {canonicalize_name(need.name) for need in asked_for("runtime")} | {"pydantic-core", "lossd"}
    # The client speaks through httpx, an extra, and bridges to PyTorch for those who have it.
    of_the_client = {"httpx", "torch"}
    source = ROOT / "service" / "lossd"
    of_extras = {
        source / "commands" / "plot.py": {"matplotlib"},
        source / "numerics" / "special.py": {"scipy"},
        source / "access" / "tokens.py": {"pyjwt"},
        source / "api" / "telemetry" / "traces.py": {
            "opentelemetry-api",
            "opentelemetry-exporter-otlp-proto-http",
            "opentelemetry-sdk",
        },
    }
    undeclared = []
    for file in source.rglob("*.py"):
        allowed = declared | (of_the_client if file.is_relative_to(source / "client") else set())
        allowed |= of_extras.get(file, set())
        names = imported(ast.parse(file.read_text()))
        undeclared += [f"{file.name}: {name}" for name in names if not distributions(name) & allowed]
    assert not undeclared


def imported(tree: ast.Module) -> set[str]:
    """Name the top-level modules that a module imports or looks for resources in, but for Python's own."""
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name("files"), args=[ast.Constant(str(name))]):
                names.add(name)
    later = {"compression"}  # in the standard library from CPython 3.14 on
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - later


def distributions(module: str) -> set[str]:
    return {canonicalize_name(each) for each in _installed().get(module, (module,))}


_installed = cache(packages_distributions)  # it reads the files of all packages


def test_what_serves_does_not_need_a_client_or_a_framework() -> None:
    assert not {"httpx", "torch", "scipy", "scikit-learn", "matplotlib"} & read_lock("runtime").keys()


@pytest.mark.parametrize("lock", [*TOOLS, *LOCKS])
def test_pytorch_is_in_no_lock(lock: str) -> None:
    assert "torch" not in read_lock(lock)


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    left_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "service" / "lossd", tmp_path / "service" / "lossd", ignore=left_out)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.name == f"lossd-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        info = f"lossd-{__version__}.dist-info"
        members = {name for name in archive.namelist() if not name.startswith(info)}
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
        assert f"{info}/licenses/LICENSE" in archive.namelist()
    source = tmp_path / "service"
    assert members == {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()}
    assert "lossd/py.typed" in members
    assert "lossd = lossd.__main__:main" in entry_points
