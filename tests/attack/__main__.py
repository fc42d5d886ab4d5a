"""Attacks a server of its own for a while: ``python -m tests.attack --requests 100000``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.api.serving import serve
from tests.attack.run import MOST_GROWTH, Attacker
from tests.soak import MIB, SMALL


def main() -> int:
    """Send as many requests as the command line says; fail if a check does, or if memory grows too much."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder), **SMALL) as server:
        report = Attacker(server, chosen.seed).run(chosen.requests)
        assert server.stop() == 0
        assert {"error", "warning"}.isdisjoint(line["level"] for line in server.log())
    print(f"{time.monotonic() - start:.0f} s\n{report}")
    print(f"grown by {report.growth() / MIB:.0f} MiB, at most {MOST_GROWTH / MIB:.0f}")
    return int(report.growth() > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
