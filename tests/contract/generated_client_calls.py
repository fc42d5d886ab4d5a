"""This file runs beside a client that openapi-python-client made: it calls every loss with its own example.

Arguments: the server's address, the contract's path. Prints one JSON object of what came back.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

from lossd_client import Client, models
from lossd_client.api.catalogue import describe_loss, list_losses
from lossd_client.api.regression import huber

url, contract = sys.argv[1:]
operations = [
    operation
    for path, methods in json.loads(Path(contract).read_text())["paths"].items()
    for method, operation in methods.items()
    if method == "post" and path.startswith("/v1/losses/")
]
counts = {}
with Client(base_url=url) as client:
    call = models.HuberRequest(input_=[1, 2, 5, 2], target=[1.5, 2, 2, 4], delta=1, gradient=True)
    answer = huber.sync(client=client, body=call)
    call.delta = -1.0
    problem = huber.sync(client=client, body=call)
    losses = list_losses.sync(client=client).losses
    entry = describe_loss.sync("huber", client=client)

    for operation in operations:
        body = operation["requestBody"]["content"]["application/json"]
        module = import_module(f"lossd_client.api.{operation['tags'][0]}.{operation['operationId']}")
        request = getattr(models, body["schema"]["$ref"].rpartition("/")[2]).from_dict(body["example"])
        counts[operation["operationId"]] = module.sync(client=client, body=request).count

found = {
    "loss": answer.loss["mean"],
    "gradient": answer.gradient["mean"]["input"],
    "problem": [type(problem).__name__, problem.status, [fault.at for fault in problem.errors]],
    "losses": [loss.name for loss in losses],
    "entry": entry.name,
    "counts": counts,
}
print(json.dumps(found))
