"""The commands, as a shell runs them: output, complaints and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lossd import __version__
from lossd.__main__ import COMMANDS, main
from lossd.api.catalogue import describe
from lossd.app import openapi_document
from lossd.client.catalogue import read_entry
from lossd.commands import healthcheck
from lossd.losses import LOSSES
from lossd.settings import Settings
from tests.api.serving import GOOD, GOOD_LOSS, environment, lossd

HUBER = {"input": [1, 2, 3], "target": [1, 2, 5], "delta": 2, "gradient": True}


def test_version() -> None:
    result = lossd("--version")
    assert (result.returncode, result.stdout) == (0, f"lossd {__version__}\n".encode())


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_explains_and_shows_examples(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    assert "examples:\n  " in capsys.readouterr().out


def test_no_words_at_all_print_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "examples:\n  lossd serve" in capsys.readouterr().err


def test_an_unknown_option_shows_the_usage_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--prot", "1"])
    assert "usage: lossd serve" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["nothing"], ["eval", "--threads", "0"], ["losses", "--nothing"], ["healthcheck", "--port", "x"]],
)
def test_wrong_usage_is_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "usage: lossd" in capsys.readouterr().err


def test_losses_lists_every_loss(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_describes_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", name]) == 0
    page = capsys.readouterr().out
    loss = LOSSES[name]
    assert "`" not in page
    parts = [loss.summary.replace("`", ""), loss.formula, loss.source, *loss.settings]
    parts += [
        part
        for alias in loss.aliases
        for part in (alias.name, alias.framework, alias.difference.replace("`", ""))
    ]
    assert all(part in page for part in [*parts, *(argument.name for argument in loss.arguments)])


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.ragged])
def test_the_option_of_losses_over_lists_is_listed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", name]) == 0
    assert "\n  group " in capsys.readouterr().out


def test_losses_says_the_same_as_the_client(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", "ctc"]) == 0
    page = capsys.readouterr().out
    assert repr(read_entry(describe(LOSSES["ctc"]).model_dump(mode="json"))) == page.removesuffix("\n")


def test_losses_speaks_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", "HuberLoss", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "huber"
    assert main(["losses", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["losses"]) == len(LOSSES)


def test_an_unknown_loss_is_exit_code_1_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["losses", "hubert"]) == 1
    assert "did you mean huber?" in capsys.readouterr().err
    assert main(["losses", "nothing"]) == 1
    assert (
        capsys.readouterr().err == "lossd losses: no loss is named \"nothing\"; 'lossd losses' lists them\n"
    )


def test_openapi_prints_the_document() -> None:
    result = lossd("openapi")
    assert (result.returncode, result.stdout) == (0, openapi_document())


def test_eval_reads_a_request_from_standard_input() -> None:
    result = lossd("eval", stdin=json.dumps({"loss": "mse", **GOOD}).encode())
    assert result.returncode == 0
    assert json.loads(result.stdout)["loss"] == GOOD_LOSS
    assert result.stderr == b""


def test_eval_reads_a_file_and_an_alias(tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps(GOOD))
    result = lossd("eval", str(request), "--loss", "MSELoss")
    assert json.loads(result.stdout)["loss"] == GOOD_LOSS


def test_eval_gives_the_same_answer_from_json_from_files_and_from_words(tmp_path: Path) -> None:
    for name in ("input", "target"):
        np.save(tmp_path / f"{name}.npy", np.array(HUBER[name], dtype=np.float64))
    files = [word for name in ("input", "target") for word in (f"--{name}", str(tmp_path / f"{name}.npy"))]
    words = ["--input", "[1, 2, 3]", "--target=[1, 2, 5]"]
    options = ["--delta", "2", "--gradient"]
    from_json = lossd("eval", "--loss", "huber", stdin=json.dumps(HUBER).encode())
    from_files = lossd("eval", "--loss", "huber", *files, *options)
    from_words = lossd("eval", "--loss", "huber", *words, *options, "--threads", "2")
    assert from_json.stdout == from_files.stdout == from_words.stdout
    assert json.loads(from_json.stdout)["loss"] == {"mean": 2 / 3}


def test_eval_takes_several_reductions_and_negative_numbers() -> None:
    words = ["--input", "-1", "--target", "2", "--reduction", "mean", "none"]
    result = lossd("eval", "--loss", "mse", *words)
    assert json.loads(result.stdout)["loss"] == {"mean": 9.0, "none": 9.0}


def test_eval_reads_numbers_with_commas_between_them() -> None:
    apart = lossd("eval", "--loss", "mse", "--input", "1", "2", "4", "--target", "[1, 2, 3]")
    together = lossd("eval", "--loss", "mse", "--input", "1,2,4", "--target", "1, 2, 3")
    assert apart.stdout == together.stdout
    assert json.loads(together.stdout)["loss"] == {"mean": 1 / 3}
    rows = lossd("eval", "--loss", "mse", "--input", "1,2", "3,4", "--target", "[[1, 2], [3, 4]]")
    assert json.loads(rows.stdout)["count"] == 4


@pytest.mark.parametrize(
    ("words", "stdin", "code", "complaint"),
    [
        (["--loss", "mse"], b'{"input": [1], "target": [1, 2]}', 1, "at `target`"),
        (["--loss", "mse"], b"{", 1, "JSON"),
        (["--loss", "hubert"], b"{}", 1, "huber"),
        (["--loss", "mse", "--input", "x", "--target", "1"], b"", 2, "at `input`"),
        (["--loss", "mse", "--input", "1,,2", "--target", "1"], b"", 2, "numbers as in 1,2,3"),
        (["--loss", "mse", "--input", "1", "--target", "1", "--delta", "1"], b"", 1, "delta"),
        ([], b"{}", 2, "--loss NAME"),
        ([], b"[]", 1, "standard input: expected a JSON object, got a list"),
        ([], b'{"loss": "mse", }', 1, "standard input: expected JSON, got "),
        ([], b"", 1, "standard input: expected a JSON object, got an empty body"),
        ([], b'{"loss": ["mse"]}', 2, "--loss NAME"),
        (["--loss", "mse", "--input", "1", "--input", "2"], b"", 2, "got --input twice"),
        (["--loss", "mse", "--loss", "l1", "--input", "1", "--target", "2"], b"", 2, "got --loss twice"),
        (["--loss", "mse", "--sample-weight=1", "--sample_weight=2"], b"", 2, "got --sample_weight twice"),
        (["--loss", "mse", "--input", "--target", "1"], b"", 2, "expected a value after --input, got none"),
        (["--loss", "mse", "--input=", "--target", "1"], b"", 2, "expected a value after --input, got none"),
        (["huber", "--input", "1", "--target", "1"], b"", 2, "did you mean --loss huber?"),
        (["--loss", "mse", "a.npz"], b"", 2, "as in --input a.npz"),
        (["--loss", "mse"], b"{", 1, "standard input: "),
        (["--input", "1", "--target", "1"], b"", 2, "--loss NAME"),
        (["--loss", "mse", "missing.json"], b"", 2, "missing.json"),
        (["--loss", "mse", "a.json", "b.json"], b"", 2, "one FILE"),
        (["--loss", "mse", "--input", "missing.npy", "--target", "1"], b"", 2, "missing.npy"),
    ],
)
def test_eval_complains_with_the_right_exit_code(
    words: list[str], stdin: bytes, code: int, complaint: str
) -> None:
    result = lossd("eval", *words, stdin=stdin)
    assert result.returncode == code
    assert complaint in result.stderr.decode()
    assert result.stdout == b""
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("spelt", ["nan", "NAN", "inf", "+Infinity", "-inf"])
def test_another_spelling_of_a_number_without_digits_is_told_its_own(spelt: str) -> None:
    own = {"n": "NaN", "+": "Infinity", "i": "Infinity", "-": "-Infinity"}[spelt[0].casefold()]
    done = lossd("eval", "--loss", "mse", stdin=json.dumps({"input": [spelt], "target": [0]}).encode())
    assert f'did you mean "{own}"?'.encode() in done.stderr


@pytest.mark.parametrize("command", ["eval", "gradcheck"])
def test_the_usage_names_the_file(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert "[FILE]" in capsys.readouterr().out.partition("\n\n")[0]


def test_eval_never_unpickles(tmp_path: Path) -> None:
    pickled = tmp_path / "pickled.npy"
    np.save(pickled, np.array([object()], dtype=object), allow_pickle=True)
    result = lossd("eval", "--loss", "mse", "--input", str(pickled), "--target", "1")
    assert result.returncode == 2
    assert b"pickled.npy" in result.stderr


def test_a_reader_who_has_seen_enough_is_no_failure() -> None:
    command = [sys.executable, "-m", "lossd", "openapi"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 0


def test_eval_is_silent_when_its_reader_has_seen_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(100_000))
    command = [
        sys.executable,
        "-m",
        "lossd",
        "eval",
        "--loss",
        "mse",
        "--input",
        "x.npy",
        "--target",
        "x.npy",
    ]
    process = subprocess.Popen(
        [*command, "--gradient"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=tmp_path,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 0


@pytest.mark.parametrize("moment", ["tomorrow", "2020-01-31", "2999-01-31T12:00:00"])
def test_keys_refuses_a_moment_that_is_none_or_past(moment: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["keys", "new", "trainer", "--expires", moment])
    assert stopped.value.code == 2
    assert "--expires: expected" in capsys.readouterr().err


def test_serve_refuses_an_unknown_variable_and_a_wrong_value() -> None:
    unknown = lossd("serve", LOSSD_PROT="1")
    assert (unknown.returncode, b"LOSSD_PORT" in unknown.stderr) == (2, True)
    wrong = lossd("serve", "--workers", "none")
    assert wrong.returncode == 2
    assert b"LOSSD_WORKERS" in wrong.stderr
    assert b"Traceback" not in unknown.stderr + wrong.stderr


@pytest.mark.parametrize(
    ("value", "expected"), [("abc", "expected a whole number"), ("99999", "expected a number <= 65535")]
)
def test_serve_says_what_a_setting_must_be(value: str, expected: str) -> None:
    done = lossd("serve", "--port", value)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"lossd serve: --port or LOSSD_PORT: {expected}, got {value!r}\n"


def test_healthcheck_of_nothing_is_exit_code_1(tmp_path: Path) -> None:
    result = lossd("healthcheck", "--uds", str(tmp_path / "none"))
    assert result.returncode == 1
    assert b"no answer" in result.stderr


def test_healthcheck_imports_little_and_knows_the_defaults() -> None:
    code = (
        "import sys; from lossd.__main__ import main; main(['healthcheck', '--port', '1']); "
        "print(*sorted({'numpy', 'pydantic', 'fastapi', 'orjson', 'uvicorn'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=True)
    assert result.stdout.strip() == b""
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert defaults["host"] == healthcheck.DEFAULT_HOST
    assert defaults["port"] == healthcheck.DEFAULT_PORT
