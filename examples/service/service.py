"""A web service that answers with a lead score: FastAPI in front of `leadlight.runtime`, nothing of the training stack.

Start: LEADLIGHT_MODEL=models/mine uvicorn service:app --workers 2
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from leadlight.errors import BundleError, LeadlightError
from leadlight.runtime import Scorer, load

MODEL, DIGEST = "LEADLIGHT_MODEL", "LEADLIGHT_DIGEST"
MOST_EVENTS = 100_000


class Event(BaseModel):
    """One row of the log; what is not known is left out, and is then missing, not zero."""

    model_config = ConfigDict(extra="forbid")

    occurred_at: datetime
    action: str
    known_at: datetime | None = None
    event_id: str | int | None = None
    member_id: str | int | None = None
    tags: list[str] | None = None
    group_id: str | int | None = None
    other_member_id: str | int | None = None
    other_role: str | None = None
    other_job_function: str | None = None
    other_domain: str | None = None
    duration_s: float | None = None
    field: str | None = None
    value: str | None = None


class Member(BaseModel):
    """What is known of the member beside the events."""

    model_config = ConfigDict(extra="forbid")

    member_id: str | int | None = None
    email_domain: str | None = None
    joined_at: datetime | None = None


class Question(BaseModel):
    """Whom to score; no events are a member without history, who needs `at`."""

    model_config = ConfigDict(extra="forbid")

    events: Annotated[list[Event], Field(max_length=MOST_EVENTS)]
    member: Member | None = None
    peers: dict[str, float] | None = None
    at: datetime | None = None
    reasons: Annotated[int, Field(ge=0, le=20)] = 3


class Why(BaseModel):
    """One reason; escape the text before it enters HTML."""

    behaviour: str
    contribution: float
    text: str


class Answer(BaseModel):
    """A score for a person who decides; it is no decision by itself."""

    model_config = ConfigDict(protected_namespaces=())

    probability: float
    low: float | None
    high: float | None
    percentile: float | None
    grade: str
    qualified: bool
    cold_start: bool
    reasons: list[Why]
    missing: list[str]
    model_version: str


def open_scorer() -> Scorer:
    """Load the bundle that the environment names, and no other where LEADLIGHT_DIGEST says which it must be."""
    path = os.environ.get(MODEL)
    if not path:
        raise SystemExit(f"Set {MODEL} to the folder or .zip of a model.")
    return load(path, digest=os.environ.get(DIGEST))


@asynccontextmanager
async def lifespan(app: FastAPI) -> Any:
    """Load before the first request: a broken bundle stops the start, not a request."""
    app.state.scorer = open_scorer()
    yield


app = FastAPI(title="leadlight", lifespan=lifespan)


@app.exception_handler(LeadlightError)
async def unusable(_: Request, error: LeadlightError) -> JSONResponse:
    """Answer what is wrong with the facts, as 422."""
    return JSONResponse({"detail": str(error)}, status_code=422)


# Plain functions: FastAPI runs them in threads, which share the scorer without locks.
@app.post("/predict")
def predict(question: Question, request: Request) -> Answer:
    """Score one member."""
    scorer: Scorer = request.app.state.scorer
    # What was not sent is missing; what was sent as null is known to be none.
    events = [event.model_dump(exclude_unset=True) for event in question.events]
    member = question.member.model_dump(exclude_unset=True) if question.member else None
    found = scorer.predict(events, member, question.peers, question.at, question.reasons)
    return Answer.model_validate(found.to_dict())


@app.get("/health")
def health(request: Request) -> dict[str, Any]:
    """Say which model answers."""
    scorer: Scorer = request.app.state.scorer
    return {
        "status": "ok",
        "model_version": scorer.version,
        "digest": scorer.digest,
        "estimand": scorer.estimand,
    }


@app.post("/reload")
def reload(request: Request) -> dict[str, Any]:
    """Load the bundle again. A broken one is refused, and the old model goes on answering.

    Only this worker reloads: with several, restart them one by one instead, as process managers do on SIGHUP.
    """
    try:
        scorer = open_scorer()
    except BundleError as error:
        raise HTTPException(409, f"The old model stays: {error}") from error
    # One assignment: a request sees the old model or the new one, never half of each.
    request.app.state.scorer = scorer
    return health(request)
