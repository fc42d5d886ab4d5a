"""The service that a user would write by hand: FastAPI, pydantic and PyTorch, and no more.

Where a choice is free it is the faster one: the routes are coroutines, so that no call waits for a thread,
and the answer is a model, which FastAPI writes faster than a dict.
"""

from __future__ import annotations

import torch
from fastapi import FastAPI
from pydantic import BaseModel
from torch.nn import functional


class Regression(BaseModel):
    """Numbers and what they should have been."""

    input: list[list[float]]
    target: list[list[float]]
    gradient: bool = False


class Classification(BaseModel):
    """Logits by class and the true classes."""

    input: list[list[float]]
    target: list[int]
    gradient: bool = False


class Answer(BaseModel):
    """The mean loss, and its gradient with respect to the input if that was asked for."""

    loss: float
    gradient: list[list[float]] | None = None


app = FastAPI()


@app.post("/mse")
async def mse(call: Regression) -> Answer:
    input = torch.tensor(call.input, requires_grad=call.gradient)
    return answer(functional.mse_loss(input, torch.tensor(call.target)), input)


@app.post("/cross_entropy")
async def cross_entropy(call: Classification) -> Answer:
    input = torch.tensor(call.input, requires_grad=call.gradient)
    return answer(functional.cross_entropy(input, torch.tensor(call.target)), input)


def answer(loss: torch.Tensor, input: torch.Tensor) -> Answer:
    if not input.requires_grad:
        return Answer(loss=loss.item())
    torch.autograd.backward(loss)
    assert input.grad is not None
    return Answer(loss=loss.item(), gradient=input.grad.tolist())
