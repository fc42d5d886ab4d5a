"""Measure everything, or one part: `python -m benchmarks engine --help`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from types import ModuleType

from benchmarks import engine, memory

PARTS: Mapping[str, ModuleType] = {"engine": engine, "memory": memory}


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parts = parser.add_subparsers(dest="part", metavar="PART", help="what to measure; everything if absent")
    for name, module in PARTS.items():
        part = parts.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(part)
    arguments = parser.parse_args(words)
    for name in [arguments.part] if arguments.part else PARTS:
        chosen = arguments if arguments.part else parser.parse_args([name, "--write"])
        print(f"{name}: {PARTS[name].HELP}", flush=True)
        PARTS[name].run(chosen)


if __name__ == "__main__":
    main()
