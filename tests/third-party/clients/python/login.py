"""Somebody registers, proves the address, logs in, stays and leaves."""

from __future__ import annotations

import email
import email.policy
import os
import re
from pathlib import Path

from asking import done, good, problem, until, with_credential, without_credential
from kabar_client.api.auth import (
    get_me,
    list_sessions,
    log_in,
    log_out,
    refresh_session,
    register,
    verify_address,
)
from kabar_client.client import AuthenticatedClient
from kabar_client.models import (
    LoggedIn,
    Login,
    NewRegistration,
    PageSession,
    Profile,
    Refresh,
    User,
    Verification,
)

MAILS = Path(os.environ["MAILS"])
ADDRESS = "ayu@toko.example"
PASSWORD = "empat kuda biru"


def mailed_token(address: str) -> str:
    """The token in the newest mail to an address."""

    def find() -> str | None:
        for file in sorted(MAILS.glob("*.eml"), reverse=True):
            mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            if address not in str(mail["to"]):
                continue
            token = re.search(r"^Token: (\S+)", mail.get_content(), re.MULTILINE)
            return token[1] if token else None
        return None

    return until(find, f"a mail with a token to {address}")


def registered() -> User:
    """A customer who registered and proved the address."""
    nobody = without_credential()
    wish = NewRegistration(
        account_name="Toko Ayu", email=ADDRESS, name="Ayu", password=PASSWORD, country="ID"
    )
    done(register.sync_detailed(client=nobody, body=wish))
    credentials = Login(email=ADDRESS, password=PASSWORD)
    problem(log_in.sync_detailed(client=nobody, body=credentials), 401, "invalid_credentials")
    proof = Verification(token=mailed_token(ADDRESS), password=PASSWORD)
    user = good(verify_address.sync_detailed(client=nobody, body=proof), User)
    assert user.email == ADDRESS and user.active, user
    return user


def logged_in(user: User) -> LoggedIn:
    """A session that was renewed once: only its newest tokens work."""
    nobody = without_credential()
    wrong = Login(email=ADDRESS, password="lima kuda biru")
    problem(log_in.sync_detailed(client=nobody, body=wrong), 401, "invalid_credentials")
    right = Login(email=ADDRESS, password=PASSWORD)
    first = good(log_in.sync_detailed(client=nobody, body=right), LoggedIn)
    refresh = Refresh(refresh_token=first.refresh_token)
    session = good(refresh_session.sync_detailed(client=nobody, body=refresh), LoggedIn)
    assert session.session_id == first.session_id, (first.session_id, session.session_id)
    assert session.refresh_token != first.refresh_token
    api = with_credential(session.access_token)
    assert good(get_me.sync_detailed(client=api), Profile).user.id == user.id
    sessions = good(list_sessions.sync_detailed(client=api), PageSession)
    assert [one.id for one in sessions.items] == [session.session_id], sessions
    return session


def leaves(session: LoggedIn) -> None:
    """Nothing of a session works after it."""
    api: AuthenticatedClient = with_credential(session.access_token)
    done(log_out.sync_detailed(client=api))
    problem(get_me.sync_detailed(client=api), 401, "unauthorized")
    refresh = Refresh(refresh_token=session.refresh_token)
    late = refresh_session.sync_detailed(client=without_credential(), body=refresh)
    problem(late, 401, "invalid_token")
