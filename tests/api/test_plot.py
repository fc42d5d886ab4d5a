"""``lossd plot`` draws the curves of the pages to a file, and says what it cannot draw."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossd.__main__ import main
from lossd.commands import plot
from lossd.losses import LOSSES

pytest.importorskip("matplotlib", reason="needs matplotlib")


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_drawn(name: str, tmp_path: Path) -> None:
    file = tmp_path / "curve.svg"
    assert main(["plot", name, "-o", str(file)]) == 0
    assert file.read_text().startswith("<?xml")


def test_several_are_drawn_over_each_other(tmp_path: Path) -> None:
    file = tmp_path / "curves.png"
    words = ["plot", "mse", "l1", "huber:delta=0.1", "HuberLoss:delta=10", "--low", "-2", "-o", str(file)]
    assert main(words) == 0
    assert file.read_bytes().startswith(b"\x89PNG")


def test_it_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.png"
    assert main(["plot", "mse", "-o", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["huber:delta"], "SETTING=VALUE of delta"),
        (["huber:beta=1"], "got 'beta=1'"),
        (["mse:x=1"], "of target, got"),
        (["mse", "--low", "5"], "--low below --high"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", *words, "-o", str(tmp_path / "x.png")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["huber", "bce"], ["bce cannot be drawn from -4 to 4", "bce goes with no other", "mse, l1, huber"]),
        (["bce", "huber"], ["bce cannot be drawn from -4 to 4", "from 0 to 1", "--low and --high"]),
        (["mse", "dice"], ["dice cannot be drawn", "dice, sinkhorn go together"]),
    ],
)
def test_losses_without_an_axis_in_common_are_named(
    words: list[str], said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.png"
    assert main(["plot", *words, "-o", str(file)]) == 2
    told = capsys.readouterr().err
    assert [part for part in said if part not in told] == []
    assert main(["plot", *words, "--low", "0.1", "--high", "0.9", "-o", str(file)]) == 0


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "mse", "-o", str(tmp_path / "absent" / "x.png")]) == 2
    assert main(["plot", "mse", "-o", str(tmp_path / "x.strange")]) == 2
    assert "strange" in capsys.readouterr().err


def test_an_unknown_loss_and_a_wrong_setting_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", "hubber", "-o", str(tmp_path / "x.png")]) == 1
    assert "did you mean huber" in capsys.readouterr().err
    assert main(["plot", "huber:delta=-1", "-o", str(tmp_path / "x.png")]) == 1
    assert "delta" in capsys.readouterr().err


def test_without_matplotlib_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    assert main(["plot", "mse", "-o", "x.png"]) == 2
    assert ".[plot]" in capsys.readouterr().err
