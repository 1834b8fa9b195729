"""Asking the server and the sandbox, and what their answers must be."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

import httpx
from kabar_client.client import AuthenticatedClient, Client
from kabar_client.models import Problem
from kabar_client.types import Response

URL = os.environ["API_URL"] + "/api/v1"
SANDBOX = os.environ["SANDBOX"]
PATIENCE_SECONDS = 40

T = TypeVar("T")


def with_credential(credential: str) -> AuthenticatedClient:
    """Asks with an API key or the access token of a session."""
    return AuthenticatedClient(base_url=URL, token=credential, timeout=httpx.Timeout(20))


def without_credential() -> Client:
    return Client(base_url=URL, timeout=httpx.Timeout(20))


def good(response: Response[T | Problem], kind: type[T], status: int = 200) -> T:
    """The answer of a call that has to succeed."""
    assert response.status_code == status, (response.status_code, response.content)
    assert isinstance(response.parsed, kind), response.content
    return response.parsed


def done(response: Response[T]) -> None:
    """A call that has to succeed and has nothing to say."""
    assert response.status_code == 204, (response.status_code, response.content)


def problem(response: Response[T], status: int, code: str) -> Problem:
    """The problem of a call that has to fail."""
    assert response.status_code == status, (response.status_code, response.content)
    assert isinstance(response.parsed, Problem), response.content
    assert response.parsed.code == code and response.parsed.status == status, response.parsed
    return response.parsed


def until(found: Callable[[], T | None], what: str) -> T:
    """Asks until there is an answer."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        answer = found()
        if answer is not None:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def sandbox(method: str, path: str, **body: object) -> dict[str, object]:
    """What only the network itself can do."""
    answer = httpx.request(method, f"{SANDBOX}/control{path}", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def writes(customer: str, number: str, text: str) -> None:
    """A customer writes to one of our numbers."""
    content = {"type": "text", "body": text}
    sandbox("POST", "/inbound", phone_number_id=number, **{"from": customer, "content": content})
