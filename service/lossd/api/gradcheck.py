"""``POST /v1/losses/{name}/gradcheck``: the gradient of a call against differences of its loss.

It takes what the loss itself takes, in every format, and answers in JSON.
"""

from __future__ import annotations

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict
from starlette.types import Receive, Scope, Send

from lossd.api.compute import in_pool
from lossd.api.evaluation import PREFIX, EvaluationEndpoint, EvaluationJob
from lossd.api.exchange import SCOPE_KEY, Exchange
from lossd.api.queued_call import QueuedCall
from lossd.api.sending import send_answer
from lossd.engine import OPERATIONS_PER_SECOND, Checkpoint, check_gradient
from lossd.losses import find
from lossd.message import GradientCheck

SUFFIX = "/gradcheck"


class DeviationEntry(BaseModel):
    """One number's derivative by the service and by differences."""

    model_config = ConfigDict(use_attribute_docstrings=True, ser_json_inf_nan="strings")

    at: str
    """The number, for example `input[3]`."""
    analytic: float
    """The gradient that the service returns."""
    numerical: float
    """That of central differences over falling steps, extrapolated to a step of 0, in float64."""
    deviation: float
    """The difference of the two, over the largest number of that gradient; where the gradient is all zeros, over the
    loss divided by the largest number of the argument."""


class GradientCheckEntry(BaseModel):
    """What a check of a gradient came to."""

    model_config = ConfigDict(use_attribute_docstrings=True, ser_json_inf_nan="strings")

    reduction: str
    """The reduction whose gradient was checked."""
    elements: int
    """How many numbers were moved."""
    evaluations: int
    """How often the loss was evaluated."""
    largest: DeviationEntry | None
    """The largest deviation; none if nothing could be compared."""
    by_argument: dict[str, DeviationEntry]
    """Argument or setting to its largest deviation."""
    kinks: list[str]
    """Places at which the loss has a kink, the first twenty: no gradient is compared there."""
    kink_count: int
    """How many there are."""
    unmoved: int
    """How many numbers could not be moved to both sides, as the loss takes no other or is not finite there."""
    undecided: int
    """How many numbers' differences are less exact than their deviation, as a kink or a border is too near."""


class GradcheckEndpoint:
    """Checks the gradient of the loss that the path names on the arrays of the body."""

    def __init__(self, evaluation: EvaluationEndpoint) -> None:
        self.evaluation = evaluation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one check."""
        exchange: Exchange = scope[SCOPE_KEY]
        loss = find(scope["path"][len(PREFIX) : -len(SUFFIX)])
        job = await self.evaluation.read_job(scope, receive, loss)
        dispatcher = self.evaluation.dispatcher
        queued = dispatcher.admit(job)
        check = await in_pool(
            dispatcher.queue,
            lambda checkpoint: self._check(job, queued, checkpoint),
            exchange=exchange,
            receive=receive,
            queued=queued,
        )
        body = entry(check).model_dump_json().encode()
        await send_answer(send, exchange, "application/json", [body])

    def _check(self, job: EvaluationJob, queued: QueuedCall, checkpoint: Checkpoint) -> GradientCheck:
        limits = self.evaluation.dispatcher.cost_limits
        job.exchange.elements = job.decode(checkpoint)
        checkpoint()

        def charge(work: int) -> None:
            job.exchange.work = work
            job.exchange.charge(work)
            queued.set_seconds(work / OPERATIONS_PER_SECOND)

        holding = job.exchange.holding
        reserve = None if holding is None else holding.take_estimate
        return check_gradient(
            job.loss, job.call, limits=limits, checkpoint=checkpoint, charge=charge, reserve=reserve
        )


def entry(check: GradientCheck) -> GradientCheckEntry:
    """Return a check as it is answered."""
    return GradientCheckEntry.model_validate(asdict(check))
