"""A keys file holds digests, its mistakes are named by their place, and a changed one is read again."""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lossd.access import watched_file
from lossd.access.caller import bearer_token
from lossd.access.keys import Keys, new_key, read_keys, write_entry
from lossd.errors import Unauthorized

KEY, OTHER = "lossd_" + "a" * 43, "lossd_" + "b" * 43
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()
ENTRY = write_entry("trainer", KEY, ["evaluate", "catalogue"])


def header(key: str) -> bytes:
    """Return the ``Authorization`` header with a key."""
    return f"Bearer {key}".encode()


@pytest.fixture
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the file whenever it is asked for, in place of once a second."""
    monkeypatch.setattr(watched_file, "LOOK_SECONDS", 0.0)


def test_a_change_that_cannot_be_read_yet_is_tried_again(
    tmp_path: Path, no_wait: None, caplog: pytest.LogCaptureFixture
) -> None:
    """As where no descriptor is left, or permissions come after the file: the file itself does not change again."""
    path = tmp_path / "keys.toml"
    path.write_text("1")
    reads = iter([1, OSError("too many open files"), OSError("too many open files"), 2, 3])

    def read(content: bytes) -> int:
        found = next(reads)
        if isinstance(found, OSError):
            raise found
        return found

    caplog.set_level(logging.INFO, "lossd.access")
    watched = watched_file.WatchedFile(path, read)
    path.write_text("22")
    assert [watched.value() for _ in range(5)] == [1, 1, 2, 2, 2]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_the_digest_of_a_key_is_that_of_another_program() -> None:
    # printf lossd_test | sha256sum
    expected = "6737199b484b1fa25a1071cd109d85ebabd0e9c3ee1c7beeb9396492f1a889e2"
    assert f'sha256 = "{expected}"' in write_entry("x", "lossd_test", ["evaluate"])


def test_a_key_is_recognised_by_its_digest_and_nothing_else() -> None:
    (entry,) = read_keys(ENTRY.encode()).items()
    assert KEY not in ENTRY
    assert entry[0].hex() == DIGEST
    assert entry[1][1].name == "trainer"
    assert entry[1][1].scopes == {"evaluate", "catalogue"}


def test_new_keys_differ_and_hold_256_bits() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("lossd_") and len(key) == len("lossd_") + 43 for key in keys)


def test_every_member_is_read() -> None:
    text = f"""
        [[keys]]
        name = "trainer"
        sha256 = "{DIGEST}"
        scopes = ["metrics"]
        expires = 2027-01-31
        calls_per_second = 50
        calls_burst = 200
        work_per_second = 1e9
        """
    ((_, caller),) = read_keys(text.encode()).values()
    assert caller.expires == datetime(2027, 1, 31, tzinfo=UTC).timestamp()
    assert caller.calls is not None
    assert (caller.calls.per_second, caller.calls.burst, caller.calls.window) == (50, 200, 4)
    assert caller.work is not None
    assert (caller.work.per_second, caller.work.burst) == (1e9, 1e9)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "tables"),
        ("keys = 1", "tables"),
        ("other = 1\nkeys = []", "nothing else"),
        ("keys = [1]", r"keys\[0\]"),
        (ENTRY.replace("scopes", "scope"), r"got scope - at `keys\[0\]`"),
        (ENTRY.replace("trainer", "a b"), r"got a b - at `keys\[0\].name`"),
        (ENTRY.replace(DIGEST, DIGEST.upper()), r"keys\[0\].sha256"),
        (ENTRY.replace('"catalogue"', '"everything"'), r"evaluate, catalogue, metrics, got .*scopes"),
        (ENTRY.replace('["evaluate", "catalogue"]', "[]"), "scopes"),
        (ENTRY + "expires = 2027-01-31T12:00:00", r"got 2027-01-31 12:00:00 - at `keys\[0\].expires`"),
        (ENTRY + 'expires = "soon"', "expires"),
        (ENTRY + "calls_per_second = 0", "calls_per_second"),
        (ENTRY + "calls_per_second = inf", "calls_per_second"),
        (ENTRY + "calls_burst = 5", "calls_per_second"),
        (ENTRY + "work_per_second = true", "work_per_second"),
        (ENTRY + ENTRY, r"got one of trainer again - at `keys\[1\].sha256`"),
        ("[[keys", "array declaration"),
    ],
)
def test_a_mistake_is_named_by_its_place(text: str, place: str) -> None:
    with pytest.raises(ValueError, match=place):
        read_keys(text.encode())


def test_a_key_in_place_of_its_digest_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="sha256") as raised:
        read_keys(ENTRY.replace(DIGEST, KEY).encode())
    assert KEY not in str(raised.value)


def test_a_file_may_let_no_one_in() -> None:
    assert read_keys(b"keys = []") == {}


def test_a_key_ends_when_it_says(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(
        write_entry("old", KEY, ["evaluate"], "2020-01-01")
        + write_entry("new", OTHER, ["evaluate"], "2999-01-01")
    )
    keys = Keys(path)
    assert keys(header(OTHER)).name == "new"
    with pytest.raises(Unauthorized, match="one of old that has expired"):
        keys(header(KEY))


@pytest.mark.usefixtures("no_wait")
def test_a_name_has_two_keys_while_one_replaces_the_other(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(ENTRY)
    keys = Keys(path)
    with pytest.raises(Unauthorized):
        keys(header(OTHER))
    path.write_text(ENTRY + write_entry("trainer", OTHER, ["evaluate"]))
    assert keys(header(KEY)).name == keys(header(OTHER)).name == "trainer"
    path.write_text(write_entry("trainer", OTHER, ["evaluate"]))
    assert keys(header(OTHER)).name == "trainer"
    with pytest.raises(Unauthorized):
        keys(header(KEY))


@pytest.mark.usefixtures("no_wait")
@pytest.mark.parametrize("broken", ["[[keys", ENTRY.replace("scopes", "scope"), ""])
def test_a_file_that_turns_unreadable_leaves_the_last_keys_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(ENTRY)
    keys = Keys(path)
    path.write_text(broken)
    with caplog.at_level(logging.INFO, "lossd.access"):
        for _ in range(3):
            assert keys(header(KEY)).name == "trainer"
    (line,) = caplog.messages  # once for each change, not for each call
    assert "what it said before stays in force" in line
    path.write_text(write_entry("other", KEY, ["evaluate"]))
    assert keys(header(KEY)).name == "other"


@pytest.mark.usefixtures("no_wait")
def test_a_file_that_goes_away_leaves_the_last_keys_in_force(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(ENTRY)
    keys = Keys(path)
    path.unlink()
    assert keys(header(KEY)).name == "trainer"
    path.write_text("keys = []")
    with pytest.raises(Unauthorized):
        keys(header(KEY))


def test_a_file_is_looked_at_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(ENTRY)
    keys = Keys(path)
    looks: list[Path] = []
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **how: looks.append(self) or stat(self, **how))
    now = watched_file.time.perf_counter()
    for seconds in (0.0, 0.5, 1.1, 1.2, 2.0, 2.2):
        monkeypatch.setattr(watched_file.time, "perf_counter", lambda seconds=seconds: now + seconds)
        keys(header(KEY))
    assert len(looks) == 2


def test_a_file_that_cannot_be_read_at_first_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Keys(tmp_path / "none")


def test_headers_are_remembered_in_a_bounded_number_and_length(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(ENTRY)
    keys = Keys(path)
    for spaces in range(1, 8000):
        assert keys(b"Bearer" + b" " * spaces + KEY.encode()).name == "trainer"
    for first in range(5000):
        with pytest.raises(Unauthorized):
            keys(b"Bearer %d" % first)
    assert sum(map(len, keys._recognised)) < 50_000


@pytest.mark.parametrize("header", [b"Bearer abc", b"bearer abc", b"BEARER  abc "])
def test_the_scheme_is_bearer_in_any_case(header: bytes) -> None:
    assert bearer_token(header) == b"abc"


@pytest.mark.parametrize(
    ("header", "given"),
    [(None, False), (b"Basic abc", False), (b"abc", False), (b"Bearer " + b"a" * 9000, True)],
)
def test_a_header_without_a_token_says_what_belongs_there(header: bytes | None, given: bool) -> None:
    with pytest.raises(Unauthorized, match="expected a key") as raised:
        bearer_token(header)
    assert raised.value.given is given
