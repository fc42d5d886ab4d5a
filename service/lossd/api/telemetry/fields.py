"""What the fields of the log line of a request mean, and the steps of a call that it times."""

from __future__ import annotations

STEPS = {
    "receive": "Check the head and wait for the body.",
    "decode": "Read arrays and options from the body.",
    "prepare": "Validate the call, find or make its plan, estimate its cost.",
    "wait": "Wait for a thread of the pool: before it is decoded if the body is large, else before it computes.",
    "compute": "Compute the loss and its derivatives.",
    "encode": "Write the body of the answer.",
}

LOG_FIELDS = {
    "timestamp": "When the request ended, in UTC.",
    "level": "`info`; `error` if lossd is at fault, with the traceback in `exception`.",
    "event": "`request`; other lines are about the server.",
    "request_id": "The caller's `X-Request-ID`, or a new one; the answer has the same.",
    "trace_id": "The trace that the request belongs to, if the caller named one or traces are on.",
    "span_id": "The span of the request in that trace; without traces of our own, the caller's.",
    "caller": "Name of the caller's key.",
    "method": "Method of the request.",
    "path": "Its path.",
    "status": "Status of the answer; 499 if the caller left, 0 if no answer began.",
    "bytes_in": "Bytes of the request's body that came.",
    "bytes_out": "Bytes of the answer's body.",
    "duration_ms": "Time from the request's head to the end of the answer.",
    "loss": "Name of the loss that was called, whatever alias the path has.",
    "format": "Format of the body: `json`, `safetensors`, `msgpack`, `npz`, `binary` (tensors of `/v2`) or `other`.",
    "calls": "Calls in a batch.",
    "failed": "How many of these have a problem in place of an answer.",
    "elements": "Numbers in the arrays of the call, or of all calls of a batch.",
    "work": "Elementary operations of these, by the estimate that limits hold it to.",
    "problem": "Why it was refused or failed.",
    "exception": "The traceback of a bug.",
    **{f"{step}_ms": f"{text} Only of calls in the pool." for step, text in STEPS.items()},
}
"""Field to its meaning; a field that does not apply is left out."""
