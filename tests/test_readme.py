"""The README is generated or true: its tables are the declarations', its commands are run, its loss is declared."""

import asyncio
import re
import shlex
from types import ModuleType

import httpx
import numpy as np
import pytest

from lossd.app import create_app
from lossd.engine import evaluate
from lossd.message import Call
from lossd.settings import Settings
from tests.tables import README, filled


def test_tables_are_those_of_the_declarations() -> None:
    assert filled(README.read_text()) == README.read_text(), "make readme writes them"


def curls() -> list[tuple[str, str, str]]:
    """Return each curl in the README: path, body, and the answer printed below it."""
    blocks = re.findall(r"^\$ (curl (?:.*\\\n)*.*)\n(\{.*\})$", README.read_text(), flags=re.MULTILINE)
    found = []
    for command, answer in blocks:
        words = shlex.split(command.replace("\\\n", " "))
        url = next(word for word in words if word.startswith("http"))
        found.append((httpx.URL(url).path, words[words.index("-d") + 1], answer))
    return found


def test_there_are_commands_to_check() -> None:
    assert len(curls()) >= 2


@pytest.mark.parametrize(("path", "body", "answer"), curls(), ids=[path for path, _, _ in curls()])
def test_a_command_answers_as_printed(path: str, body: str, answer: str) -> None:
    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=create_app(Settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://lossd") as client:
            return await client.post(path, content=body, headers={"Content-Type": "application/json"})

    assert asyncio.run(post()).text == answer


def test_the_loss_to_add_is_a_loss() -> None:
    (block,) = re.findall(r"```python\n(@loss.*?)```", README.read_text(), flags=re.DOTALL)
    module = ModuleType("lossd.losses.regression_of_the_readme")
    source = (
        "import numpy as np\n"
        "from lossd.losses.alias import objective\n"
        "from lossd.losses.roles import Positive, Real\n"
        "from lossd.losses.spec import Example, Terms, loss\n" + block
    )
    exec(compile(source, str(README), "exec"), vars(module))
    residual = np.array([-3.0, 0.0, 1e-9, 300.0])
    options = {"reduction": "none", "gradient": True, "hessian": True, "delta": 2.0}
    answer = evaluate(module.pseudo_huber, Call({"input": residual, "target": np.zeros(4)}, options))
    root = np.sqrt(1 + (residual / 2) ** 2)
    # To rounding of the plain formula, which loses the digits of 1e-9: there the loss is half the square.
    np.testing.assert_allclose(answer.loss["none"], 4 * (root - 1), rtol=1e-14, atol=1e-15)
    assert answer.loss["none"][2] == pytest.approx(0.5e-18, rel=1e-15)
    np.testing.assert_allclose(answer.gradient["none"]["input"], residual / root, rtol=1e-15)
    np.testing.assert_allclose(answer.hessian["none"]["input"], root**-3, rtol=1e-15)
