"""A bounded part of the attacks that `make soak` runs for longer: 5,000 requests, and as many bodies for decoders."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest

from lossd.errors import LossdError
from tests.api.serving import serve
from tests.attack.decoders import DECODERS, Decoder, attack
from tests.attack.mutation import MUTATIONS, mutate
from tests.attack.run import HEALTHY_EVERY, MOST_GROWTH, Attacker
from tests.soak import SMALL


@pytest.mark.slow
def test_malformed_requests_harm_no_healthy_one(tmp_path: Path) -> None:
    with serve(tmp_path, **SMALL) as server:
        report = Attacker(server, seed=0).run(5_000)
        assert server.stop() == 0
        assert {"error", "warning"}.isdisjoint(line["level"] for line in server.log()), server.log_text()
    assert report.sent == 5_000
    assert report.healthy == 5_000 // HEALTHY_EVERY + 1
    assert report.growth() < MOST_GROWTH
    # Some reach every step: parsers refuse with a 400, the engine with a 422, and a few calls are still right.
    assert {("body", 200), ("body", 400), ("body", 413), ("body", 422), ("raw", 400)} <= report.answers.keys()


def reads(decoder: Decoder, seed: bytes) -> bool:
    with contextlib.suppress(LossdError):
        decoder.decode(seed)
        return True
    return False


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_reads_some_seeds_and_refuses_some_of_the_mutated(name: str) -> None:
    decoder, rng = DECODERS[name], random.Random(0)
    assert any(reads(decoder, seed) for seed in decoder.seeds)
    assert any([attack(rng, name) for _ in range(300)])


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_a_mutation_changes_bytes(mutation) -> None:
    rng, seed = random.Random(0), b'{"input": [1, 2], "target": [3, 4]}'
    changed = [bytearray(seed) for _ in range(20)]
    for body in changed:
        mutation(rng, body, [b"another body"])
    assert len({bytes(body) for body in changed} - {seed}) > 5


def test_the_same_seed_is_the_same_attack() -> None:
    first, second = ([mutate(random.Random(7), [b"abc", b"def"]) for _ in range(9)] for _ in range(2))
    assert first == second


def test_a_decoder_that_raises_what_is_not_ours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DECODERS, "broken", Decoder(lambda body: {}["a name"], [b"a body"]))
    with pytest.raises(AssertionError, match="broken raised KeyError"):
        attack(random.Random(0), "broken")
