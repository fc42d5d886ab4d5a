"""A forked process shares no connection with its parent, and no answer is taken for that to another request."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from lossd.client import AsyncLossClient, LossClient, MismatchedAnswer
from tests.api.serving import Served

# CPython 3.12 and later warn of any fork of a process that has threads, as that of NumPy's BLAS.
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
CHILDREN = 4
CALLS = 60


def check_answers(client: LossClient, seed: int) -> None:
    """Make calls whose answers nobody else's calls have."""
    for n in range(CALLS):
        residual = float(seed * 1000 + n)
        assert client.mse([residual], [0.0]).value == residual**2


async def check_answers_together(client: AsyncLossClient, seed: int) -> None:
    residuals = [float(seed * 1000 + n) for n in range(CALLS)]
    results = await asyncio.gather(*(client.mse([each], [0.0]) for each in residuals))
    assert [float(each.value) for each in results] == [each**2 for each in residuals]


@contextmanager
def forked(number: int, work: Callable[[int], None]) -> Iterator[None]:
    """Run ``work`` in forked children, beside the block; every child must succeed."""
    children = []
    for seed in range(1, number + 1):
        if (child := os.fork()) == 0:
            try:
                work(seed)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    try:
        yield
    finally:
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * number


def test_parent_and_forked_children_get_their_own_answers(server: Served) -> None:
    with LossClient(server.url) as client:
        check_answers(client, 100)
        with forked(CHILDREN, lambda seed: check_answers(client, seed)):
            check_answers(client, 200)


def test_a_fork_while_threads_are_calling_leaves_no_lock_behind(server: Served) -> None:
    stop = threading.Event()

    def call_until_stopped(client: LossClient, seed: int) -> int:
        calls = 0
        while not stop.is_set():
            assert client.mse([float(seed + calls)], [0.0]).value == (seed + calls) ** 2
            calls += 1
        return calls

    def in_child(seed: int) -> None:
        signal.alarm(60)  # a child that waits for a lock of its parent would never end
        check_answers(client, seed)
        client.close()

    with LossClient(server.url) as client, ThreadPoolExecutor(3) as threads:
        calling = [threads.submit(call_until_stopped, client, 10_000 * n) for n in range(1, 4)]
        try:
            for _ in range(3):
                with forked(CHILDREN, in_child):
                    pass
        finally:
            stop.set()
        assert all(each.result() > 0 for each in calling)


def test_a_loss_in_pytorch_may_be_forked_as_a_data_loader_does(server: Served) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from lossd.client.torch import RemoteLoss

    with LossClient(server.url) as client:
        criterion = RemoteLoss("mse", client=client)

        def check(seed: int) -> None:
            for n in range(CALLS):
                residual = torch.tensor([float(seed * 1000 + n)], dtype=torch.float64, requires_grad=True)
                loss = criterion(residual, torch.zeros(1, dtype=torch.float64))
                loss.backward()
                assert loss.item() == residual.item() ** 2
                assert residual.grad.item() == 2 * residual.item()

        check(100)
        with forked(CHILDREN, check):
            check(200)


def test_an_asynchronous_client_is_its_own_in_each_process(server: Served) -> None:
    client = AsyncLossClient(server.url)

    async def parent() -> None:
        await check_answers_together(client, 100)
        # The children's event loops are new ones; the parent's goes on with its connections.
        with forked(CHILDREN, in_child):
            await check_answers_together(client, 200)
        await check_answers_together(client, 300)
        await client.close()

    def in_child(seed: int) -> None:
        asyncio.run(check_answers_together(client, seed))

    asyncio.run(parent())


def test_a_child_that_closes_or_drops_the_client_leaves_the_parents_connections_open(server: Served) -> None:
    client = LossClient(server.url)
    client.mse([1.0], [0.0])
    before = connection_of(client)

    def close(seed: int) -> None:
        nonlocal client
        if seed % 2:
            client.close()
        del client
        gc.collect()

    with forked(2, close):
        pass
    assert client.mse([3.0], [0.0]).value == 9
    assert connection_of(client) == before, "expected the parent to go on with its connection"
    client.close()


def test_a_parent_that_closes_the_client_leaves_the_child_its_own(server: Served) -> None:
    client = LossClient(server.url)
    client.mse([1.0], [0.0])
    read, write = os.pipe()

    def after_the_parent(seed: int) -> None:
        os.close(write)
        os.read(read, 1)  # ends when the parent has closed its end
        check_answers(client, seed)

    with forked(1, after_the_parent):
        os.close(read)
        client.close()
        os.close(write)


def connection_of(client: LossClient) -> tuple[str, int]:
    """Return the local address of the one connection that a client has open."""
    (connection,) = client._http._transport._pool.connections
    address: tuple[str, int] = connection._connection._network_stream.get_extra_info("client_addr")
    return address


def test_an_asynchronous_client_goes_on_in_the_next_event_loop(server: Served) -> None:
    client = AsyncLossClient(server.url)

    async def ask() -> float:
        async with client:
            return float((await client.mse([1.0], [3.0])).value)

    assert [asyncio.run(ask()), asyncio.run(ask())] == [4, 4]


ANSWER = {"loss": {"mean": 4.0}, "count": 1, "denominator": 1.0}


@pytest.mark.parametrize("status", [200, 422])
@pytest.mark.parametrize("kind", [LossClient, AsyncLossClient])
def test_an_answer_to_another_request_is_refused(kind: type, status: int) -> None:
    other = httpx.MockTransport(
        lambda request: httpx.Response(status, json=ANSWER, headers={"X-Request-ID": "other"})
    )
    with pytest.raises(MismatchedAnswer, match=r"expected the answer to request [0-9a-f]{32}, got .* other"):
        ask(kind("http://lossd", transport=other))


@pytest.mark.parametrize("kind", [LossClient, AsyncLossClient])
def test_an_answer_that_names_no_request_is_refused(kind: type) -> None:
    silent = httpx.MockTransport(lambda request: httpx.Response(200, json=ANSWER))
    with pytest.raises(MismatchedAnswer, match=r"got one without X-Request-ID"):
        ask(kind("http://lossd", transport=silent))


def test_behind_a_proxy_that_renames_requests_the_check_can_be_left_out() -> None:
    renamed = httpx.MockTransport(
        lambda request: httpx.Response(200, json=ANSWER, headers={"X-Request-ID": "renamed"})
    )
    client = LossClient(
        "http://lossd", transport=renamed, check_request_id=False, media_type="application/json"
    )
    assert ask(client).request_id == "renamed"


def test_a_request_id_that_the_server_would_replace_is_refused_before_it_is_sent(server: Served) -> None:
    with (
        LossClient(server.url, headers={"X-Request-ID": "step 17"}) as client,
        pytest.raises(ValueError, match=r"expected 1 to 128 .*, got 'step 17' - at `X-Request-ID`"),
    ):
        client.mse([1.0], [2.0])


def test_a_request_id_may_be_given_in_any_case(server: Served) -> None:
    with LossClient(server.url, headers={"x-request-id": "step-17"}) as client:
        assert client.mse([1.0], [2.0]).request_id == "step-17"


def ask(client):
    """Evaluate one call with either client, and close it."""
    if isinstance(client, LossClient):
        with client:
            return client.mse([1.0], [3.0])

    async def evaluate():
        async with client:
            return await client.mse([1.0], [3.0])

    return asyncio.run(evaluate())
