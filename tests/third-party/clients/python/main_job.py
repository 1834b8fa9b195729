"""The main job, by a client that openapi-python-client made from docs/openapi.json.

Run by ../../run.sh, which makes the client as the package `kabar_client` and starts everything.
"""

from __future__ import annotations

import json
import os
from io import BytesIO

from asking import done, good, problem, sandbox, until, with_credential, writes
from campaign import campaign
from kabar_client.api.accounts import get_account, get_own_account
from kabar_client.api.contacts import (
    create_contact,
    get_contact,
    list_contacts,
    remove_contact,
    update_contact,
)
from kabar_client.api.conversations import list_conversations, mark_conversation_read
from kabar_client.api.devices import check_device, list_devices, register_device
from kabar_client.api.events import list_events
from kabar_client.api.keys import create_key, revoke_key
from kabar_client.api.media import download_media, upload_media
from kabar_client.api.messages import get_message, list_messages, send_messages
from kabar_client.api.rules import create_rule, list_rules, remove_rule, update_rule
from kabar_client.client import AuthenticatedClient
from kabar_client.models import (
    Account,
    Buttons,
    ButtonsType,
    Contact,
    ContactPatch,
    Conversation,
    CreatedApiKey,
    CreatedDevice,
    Device,
    Events,
    ListMessagesDirection,
    LoggedIn,
    MarkRead,
    Matching,
    MatchingKind,
    Media,
    Message,
    MessageStatus,
    NewApiKey,
    NewApiKeyPermissionsItem,
    NewContact,
    NewDevice,
    NewMessage,
    NewRule,
    PageContact,
    PageConversation,
    PageDevice,
    PageMessage,
    PageRule,
    Recipient,
    ReplyButton,
    ReplyButtonType,
    Rule,
    RulePatch,
    RuleResponse,
    RuleResponseType,
    SendMessages,
    SentMessages,
    Text,
    TextType,
    UploadMediaBody,
    User,
)
from kabar_client.types import File
from login import leaves, logged_in, registered

CUSTOMER = "6281200000001"
PERMISSIONS = [
    "broadcasts:read",
    "broadcasts:write",
    "settings:read",
    "contacts:read",
    "contacts:write",
    "devices:read",
    "devices:write",
    "events:read",
    "messages:read",
    "messages:send",
    "rules:read",
    "rules:write",
    "statistics:read",
    "templates:write",
    "webhooks:read",
    "webhooks:write",
]


def account_key(session: LoggedIn, user: User) -> AuthenticatedClient:
    """A key that a customer made for a program, and whose account the provider sees."""
    names = [NewApiKeyPermissionsItem(word) for word in PERMISSIONS]
    wish = NewApiKey(name="main job", permissions=names)
    owner = with_credential(session.access_token)
    key = good(create_key.sync_detailed(client=owner, body=wish), CreatedApiKey, 201)
    assert key.secret is not None
    own = with_credential(key.secret)
    account = good(get_own_account.sync_detailed(client=own), Account)
    assert account.id == user.account_id, account
    provider = with_credential(os.environ["API_KEY"])
    assert good(get_account.sync_detailed(account.id, client=provider), Account) == account
    return own


def new_number() -> tuple[str, str]:
    """A number of the sandbox, and the business account that it belongs to."""
    account = sandbox("POST", "/accounts", token="python-token", numbers=[{}])
    numbers = account["numbers"]
    assert isinstance(numbers, list)
    return str(numbers[0]["id"]), str(account["waba_id"])


def device(api: AuthenticatedClient, number: str, business: str) -> str:
    """Registers a number, once."""
    body = NewDevice(
        name="Toko",
        channel="cloud_api",
        address=number,
        parent=business,
        credential="python-token",
    )
    refused = NewDevice.from_dict({**body.to_dict(), "credential": "wrong"})
    problem(register_device.sync_detailed(client=api, body=refused), 422, "refused_by_network")
    once = "register"
    first = register_device.sync_detailed(client=api, body=body, idempotency_key=once)
    again = register_device.sync_detailed(client=api, body=body, idempotency_key=once)
    made = good(first, CreatedDevice, 201).device
    assert good(again, CreatedDevice, 201).device.id == made.id
    assert again.headers["idempotency-replayed"] == "true"
    found = good(list_devices.sync_detailed(client=api), PageDevice)
    assert [one.id for one in found.items] == [made.id]
    good(check_device.sync_detailed(made.id, client=api), Device)
    return made.id


def receive(api: AuthenticatedClient, number: str) -> None:
    """What the customer writes is there, and so is the chat."""
    sandbox("PUT", f"/customers/{CUSTOMER}", name="Ayu")
    writes(CUSTOMER, number, "halo")

    def came() -> Message | None:
        page = list_messages.sync_detailed(client=api, direction=ListMessagesDirection.IN)
        return next(iter(good(page, PageMessage).items), None)

    message = until(came, "the message is received")
    assert message.content["body"] == "halo", message.content
    chats = good(list_conversations.sync_detailed(client=api), PageConversation)
    assert [chat.id for chat in chats.items] == [message.conversation_id]
    chat = message.conversation_id
    good(mark_conversation_read.sync_detailed(chat, client=api, body=MarkRead()), Conversation)


def send(api: AuthenticatedClient, device_id: str) -> None:
    """Sends two messages, and follows one until it was read."""
    text = Text(type_=TextType.TEXT, body="selamat datang")
    buttons = Buttons(
        type_=ButtonsType.BUTTONS,
        body="Mau yang mana?",
        buttons=[ReplyButton(type_=ReplyButtonType.REPLY, id="a", title="Nasi")],
    )
    to = Recipient(phone=f"+{CUSTOMER}")
    bodies = [NewMessage(device_id=device_id, to=to, content=one) for one in (text, buttons)]
    sent = send_messages.sync_detailed(
        client=api, body=SendMessages(messages=bodies), idempotency_key="send"
    )
    messages = good(sent, SentMessages, 202).messages
    assert len(messages) == 2

    def read() -> Message | None:
        message = good(get_message.sync_detailed(messages[0].id, client=api), Message)
        return message if message.status == MessageStatus.READ else None

    until(read, "the message is read")
    wrong = NewMessage(device_id=device_id, to=Recipient(phone="12"), content=text)
    refused = send_messages.sync_detailed(client=api, body=SendMessages(messages=[wrong]))
    told = problem(refused, 422, "invalid")
    assert told.errors[0].field.startswith("messages[0].to"), told


def names_by_page(api: AuthenticatedClient) -> list[str | None]:
    """The names of all contacts, one a page."""
    page = good(list_contacts.sync_detailed(client=api, limit=1), PageContact)
    names = [one.name for one in page.items]
    while page.next_ is not None:
        further = list_contacts.sync_detailed(client=api, limit=1, after=page.next_)
        page = good(further, PageContact)
        names += [one.name for one in page.items]
    return names


def contacts(api: AuthenticatedClient) -> None:
    """Creates, changes, finds and removes a contact."""
    body = NewContact.from_dict({"phone": "+6281277770001", "variables": {"city": "Bandung"}})
    contact = good(create_contact.sync_detailed(client=api, body=body), Contact, 201).id
    patch = ContactPatch(name="Budi")
    changed = good(update_contact.sync_detailed(contact, client=api, body=patch), Contact)
    assert changed.name == "Budi"
    assert changed.variables.to_dict() == {"city": "Bandung"}
    names = names_by_page(api)
    assert "Budi" in names and len(names) == 2, names
    done(remove_contact.sync_detailed(contact, client=api))
    problem(get_contact.sync_detailed(contact, client=api), 404, "not_found")
    problem(create_contact.sync_detailed(client=api, body=NewContact(phone="x")), 422, "invalid")


def rules(api: AuthenticatedClient, device_id: str) -> None:
    """A rule is made, changed and removed."""
    body = NewRule(
        device_id=device_id,
        name="Prices",
        matching=Matching(kind=MatchingKind.CONTAINS, keywords=["harga <item>"]),
        response=RuleResponse(
            type_=RuleResponseType.MESSAGE, content=Text(type_=TextType.TEXT, body="{item}: 10")
        ),
    )
    made = good(create_rule.sync_detailed(client=api, body=body), Rule, 201)
    patch = RulePatch(active=False)
    changed = good(update_rule.sync_detailed(made.id, client=api, body=patch), Rule)
    assert changed.active is False and changed.name == "Prices"
    found = good(list_rules.sync_detailed(client=api, device=device_id), PageRule)
    assert len(found.items) == 1
    done(remove_rule.sync_detailed(made.id, client=api))


def files(api: AuthenticatedClient) -> None:
    """A file goes up and comes down."""
    body = UploadMediaBody(file=File(BytesIO(b"isi"), file_name="a.txt", mime_type="text/plain"))
    made = good(upload_media.sync_detailed(client=api, body=body), Media, 201)
    down = download_media.sync_detailed(made.id, client=api)
    assert down.status_code == 200 and down.content == b"isi", down.content


def events(api: AuthenticatedClient) -> None:
    """The log by pages, and as a stream from a position on."""
    page = good(list_events.sync_detailed(client=api, kind=["message.*"], limit=2), Events)
    assert page.items[0].kind == "message.received", page
    headers = {"accept": "text/event-stream", "last-event-id": page.items[0].position}
    http = api.get_httpx_client()
    with http.stream("GET", "/events", params={"kind": "message.*"}, headers=headers) as stream:
        names: list[str] = []
        for line in stream.iter_lines():
            if line.startswith("event: "):
                names.append(line.removeprefix("event: "))
            if line.startswith("data: ") and len(names) == 2:
                event = json.loads(line.removeprefix("data: "))
                assert event == page.items[1].to_dict() | {"at": event["at"]}, event
                break
    assert names[0] == "ready", names


def strangers(api: AuthenticatedClient) -> None:
    """Who has no key, and what a key may not."""
    stranger = with_credential("kbr_00000000000000000000000000000000_AAAA")
    problem(list_contacts.sync_detailed(client=stranger), 401, "unauthorized")
    denied = revoke_key.sync_detailed("key_000000000000000000000000000000ff", client=api)
    problem(denied, 403, "forbidden")


def main() -> None:
    user = registered()
    session = logged_in(user)
    api = account_key(session, user)
    number, business = new_number()
    device_id = device(api, number, business)
    receive(api, number)
    send(api, device_id)
    contacts(api)
    rules(api, device_id)
    files(api)
    events(api)
    campaign(api, device_id, number)
    strangers(api)
    leaves(session)
    print("the Python client did the main job")


main()
