"""The catalogue in the client is that of the server, also of a newer one."""

from __future__ import annotations

import asyncio
import dataclasses

import httpx
import pytest
from pydantic import BaseModel

from lossd.api import catalogue as served
from lossd.client import AsyncLossClient, LossClient, ServiceError, catalogue
from lossd.client.catalogue import read_entry, read_summaries
from lossd.errors import MalformedBody
from lossd.loss_page import loss_page
from lossd.losses import LOSSES
from tests.api.serving import Served


def test_the_losses_are_those_of_the_server(server: Served, client: LossClient) -> None:
    listed = client.losses()
    document = httpx.get(f"{server.url}/v1/losses").json()["losses"]
    assert [each.name for each in listed] == list(LOSSES)
    for summary, listing in zip(listed, document, strict=True):
        assert (summary.family, summary.summary) == (listing["family"], listing["summary"])
        assert list(summary.aliases) == listing["aliases"]
        assert "\n" not in repr(summary)


@pytest.mark.parametrize("name", LOSSES)
def test_an_entry_prints_as_a_page(server: Served, client: LossClient, name: str) -> None:
    told, loss = client.describe(name), LOSSES[name]
    document = httpx.get(f"{server.url}/v1/losses/{name}").json()
    assert (told.settings, told.options, told.example) == tuple(
        document[part] for part in ("settings", "options", "example")
    )
    assert [argument.name for argument in told.arguments] == [each.name for each in loss.arguments]
    page = repr(told)
    assert page == str(told)
    assert len(page) < 8000
    for alias in loss.aliases:
        assert alias.difference.replace("`", "") in page
    assert page.startswith(f"{name} - {loss.summary.replace('`', '')}\n")
    assert loss_page(document) == page
    for shown in (
        *(a.name for a in loss.arguments),
        *loss.settings,
        *(alias.name for alias in loss.aliases),
        loss.formula,
        loss.source,
        loss.boosting.library,
        *told.options,
    ):
        assert shown in page


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (catalogue.LossSummary, served.LossSummary),
        (catalogue.LossEntry, served.LossEntry),
        (catalogue.ArgumentEntry, served.ArgumentEntry),
    ],
)
def test_the_client_keeps_every_field_that_the_server_sends(ours: type, theirs: type[BaseModel]) -> None:
    assert {field.name for field in dataclasses.fields(ours)} == set(theirs.model_fields)


def test_an_alias_is_described_and_a_wrong_name_refused(client: LossClient) -> None:
    assert client.describe("HuberLoss").name == "huber"
    with pytest.raises(ServiceError, match=r"404 unknown loss: .*did you mean huber"):
        client.describe("hubber")
    with pytest.raises(ServiceError, match=r'no loss is named "nothing"; client\.losses\(\) lists them'):
        client.describe("nothing")


def test_the_asynchronous_client_reads_it_too(server: Served) -> None:
    async def read() -> tuple[int, str]:
        async with AsyncLossClient(server.url) as client:
            return len(await client.losses()), (await client.describe("L1Loss")).name

    assert asyncio.run(read()) == (len(LOSSES), "l1")


def test_a_server_of_another_version_is_read_as_far_as_it_is_known() -> None:
    newer = {"name": "new", "family": "f", "summary": "s", "aliases": [], "colour": "red"}
    assert [each.name for each in read_summaries({"losses": [newer], "next": None})] == ["new"]
    told = read_entry({**newer, "arguments": [{"name": "input", "unit": "m"}]})
    assert (told.name, told.arguments[0].name) == ("new", "input")
    assert read_entry({"name": "old"}).summary == ""


@pytest.mark.parametrize("document", [[], {}, {"losses": {}}, {"losses": [3]}, {"name": 3}, "text", None])
def test_another_document_is_no_catalogue(document: object) -> None:
    with pytest.raises(MalformedBody, match=r"expected (the catalogue|an entry)"):
        read_summaries(document)
    with pytest.raises(MalformedBody, match="expected an entry of the catalogue"):
        read_entry(document)


def test_a_server_that_is_no_lossd_is_said_to_be_none() -> None:
    page = httpx.MockTransport(lambda request: httpx.Response(200, html="<html>hello</html>"))
    with (
        LossClient("http://lossd", transport=page, check_request_id=False) as client,
        pytest.raises(
            MalformedBody, match="expected the answer of a lossd server as application/json, got text/html"
        ),
    ):
        client.losses()
