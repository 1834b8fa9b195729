"""Lets schemathesis ask for what exists, too: made up ids and numbers are nobody's.

Half of the ids, cursors and words in a request are replaced: ids by such that an answer had, words
by those in `SENSIBLE`. Most requests name no account, or all would end there. Which ones depends on
the request alone, so that runs repeat.

The ids in SPARED are what the run itself lives on: nothing is done to them. Those in KNOWN exist
from the beginning, and stay. Read by schemathesis (SCHEMATHESIS_HOOKS).
"""

from __future__ import annotations

import os
import re
import zlib
from collections import defaultdict, deque
from typing import Any

import schemathesis

ID = re.compile(r"([a-z]{3})_[0-9a-f]{32}")
CURSOR = re.compile(r'"next":"([A-Za-z0-9_-]+)"')
SPARED = set(os.environ.get("SPARED", "").split())
KNOWN = set(os.environ.get("KNOWN", "").split())
NUMBERS = ["+6281200000031", "+6281200000032", "0812 0000 0033", "+14155550134"]
SENSIBLE = {
    "phone": NUMBERS,
    "fallback_number": NUMBERS,
    "url": ["https://example.com/hook", "http://127.0.0.1:9/hook"],
    "email": ["one@example.com", "two@example.com"],
    "time_zone": ["Asia/Jakarta", "America/New_York", "UTC"],
    "country": ["ID", "US"],
    "local_time": ["2030-01-01T09:00", "2030-03-10 02:30"],
    "from": ["2026-01-01"],
    "to": ["2026-12-31"],
    "after": [],
}

known: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=20))
for id in sorted(KNOWN - SPARED):
    known[id[:3]].append(id)


def number_of(value: str) -> int:
    return zlib.crc32(value.encode(errors="replace"))


def choice(among: deque[str] | list[str], value: str) -> str:
    """One of them, or the value itself: always the same for the same value."""
    number = number_of(value)
    return among[number // 2 % len(among)] if among and number % 2 else value


def existing(name: str, value: Any) -> Any:
    """A value with what exists in the place of what was made up."""
    if isinstance(value, dict):
        return {key: existing(key, one) for key, one in value.items()}
    if isinstance(value, list):
        return [existing(name, one) for one in value]
    if not isinstance(value, str):
        return value
    if found := ID.fullmatch(value):
        return choice(known[found[1]], value)
    return choice(known["next"] if name == "after" else SENSIBLE.get(name, []), value)


def forbidden(case: schemathesis.Case, id: str) -> bool:
    """Whether a request would end what others need."""
    ends = case.method == "DELETE" or case.operation.path.endswith(("/erase", "/merge"))
    return (id in SPARED and case.method != "GET") or (id in KNOWN and ends)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: Any) -> None:
    case.path_parameters = existing("", case.path_parameters)
    case.query = existing("", case.query)
    case.body = existing("", case.body)
    for name, value in case.path_parameters.items():
        if forbidden(case, value):
            case.path_parameters[name] = f"{value[:4]}{0:032x}"
    if number_of(str(case.query) + str(case.body)) % 10:
        case.headers.pop("Kabar-Account", None)


@schemathesis.hook
def after_call(
    context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response
) -> None:
    kinds = response.headers.get("content-type", [])
    if response.status_code >= 300 or "application/json" not in kinds:
        return
    text = response.content.decode()
    for id in ID.finditer(text):
        if id[0] not in SPARED and id[0] not in known[id[1]]:
            known[id[1]].append(id[0])
    if cursor := CURSOR.search(text):
        known["next"].append(cursor[1])
