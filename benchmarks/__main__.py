"""Measure everything and write it into the README, or one part: `python -m benchmarks engine --help`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import ModuleType

from benchmarks import batch, beside, copies, engine, http, memory, overload, proxies, scaling, wire
from benchmarks.report import publish

PARTS: Mapping[str, ModuleType] = {
    "engine": engine,
    "memory": memory,
    "http": http,
    "batch": batch,
    "beside": beside,
    "copies": copies,
    "wire": wire,
    "overload": overload,
    "proxies": proxies,
    "scaling": scaling,
}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parts = parser.add_subparsers(dest="part", metavar="PART", help="what to measure; everything if absent")
    for name, module in PARTS.items():
        part = parts.add_parser(name, help=module.HELP, description=module.__doc__)
        module.add_arguments(part)
        part.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    given = parser.parse_args(words)
    for name in [given.part] if given.part else PARTS:
        print(f"{name}: {PARTS[name].HELP}", flush=True)
        arguments = given if given.part else parser.parse_args([name, "--write"])
        PARTS[name].run(arguments)
        if arguments.write:
            publish(name)


if __name__ == "__main__":
    main()
