"""This file runs beside a client that openapi-python-client made: it calls every loss with its own example.

Arguments: the server's address, the contract's path. Prints one JSON object of what came back.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

from lossd_client import Client, models
from lossd_client.api.batches import batch
from lossd_client.api.catalogue import describe_loss, list_losses
from lossd_client.api.checks import gradcheck
from lossd_client.api.parts import combine
from lossd_client.api.regression import huber

url, contract = sys.argv[1:]
operations = [
    operation
    for path, methods in json.loads(Path(contract).read_text())["paths"].items()
    for method, operation in methods.items()
    if method == "post" and path.startswith("/v1/losses/") and "{" not in path
]
counts = {}


def rows_of(numbers, **partial):
    call = models.HuberRequest(input_=numbers, target=[0.0] * len(numbers))
    if partial:
        call.partial = models.Partial(**partial)
    return call


with Client(base_url=url) as client:
    call = models.HuberRequest(input_=[1, 2, 5, 2], target=[1.5, 2, 2, 4], delta=1, gradient=True)
    answer = huber.sync(client=client, body=call)
    call.delta = -1.0
    problem = huber.sync(client=client, body=call)
    losses = list_losses.sync(client=client).losses
    entry = describe_loss.sync("huber", client=client)

    asked = models.AnyCall.from_dict({"input": [1.0, 5.0], "target": [1.5, 2.0]})
    check = gradcheck.sync("huber", client=client, body=asked)

    one = huber.sync(client=client, body=rows_of([1.0], first=0)).part
    numbers = [float(number % 7) for number in range(one.rows_per_block + 200)]
    whole = huber.sync(client=client, body=rows_of(numbers))
    parts = [
        huber.sync(client=client, body=rows_of(numbers[rows], first=rows.start, of=len(numbers))).part
        for rows in (slice(0, one.rows_per_block), slice(one.rows_per_block, len(numbers)))
    ]
    together = combine.sync("huber", client=client, body=models.Combination(parts=parts[::-1]))
    lost = combine.sync("huber", client=client, body=models.Combination(parts=parts[:1]))

    calls = [
        {"loss": "mse", "input": [1.0], "target": [3.0]},
        {"loss": "huber", "delta": -1, **asked.to_dict()},
    ]
    batched = models.BatchRequest(calls=[models.BatchCall.from_dict(each) for each in calls])
    good, bad = batch.sync(client=client, body=batched).results

    for operation in operations:
        body = operation["requestBody"]["content"]["application/json"]
        module = import_module(f"lossd_client.api.{operation['tags'][0]}.{operation['operationId']}")
        request = getattr(models, body["schema"]["$ref"].rpartition("/")[2]).from_dict(body["example"])
        counts[operation["operationId"]] = module.sync(client=client, body=request).count

found = {
    "loss": answer.loss["mean"],
    "gradient": answer.gradient["mean"]["input"],
    "problem": [type(problem).__name__, problem.status, [detail.at for detail in problem.errors]],
    "losses": [loss.name for loss in losses],
    "entry": entry.name,
    "counts": counts,
    "checked": check.elements,
    "whole": [whole.loss["mean"], whole.count],
    "together": [together.loss["mean"], together.count],
    "lost": [lost.status, lost.errors[0].at],
    "batch": [good.status, good.answer.loss["mean"], bad.status, bad.problem.errors[0].at],
}
print(json.dumps(found))
