"""A broadcast from a template: prepared, looked at, sent, told by webhook, and counted."""

from __future__ import annotations

from asking import good, until, writes
from kabar_client.api.broadcasts import (
    create_broadcast,
    get_broadcast,
    list_broadcast_recipients,
    preflight_broadcast,
    prepare_broadcast,
    start_broadcast,
)
from kabar_client.api.events import list_events
from kabar_client.api.statistics import get_message_statistics
from kabar_client.api.templates import create_template
from kabar_client.api.webhooks import create_webhook, get_delivery, test_webhook
from kabar_client.client import AuthenticatedClient
from kabar_client.models import (
    Broadcast,
    BroadcastPreflight,
    BroadcastSender,
    BroadcastState,
    Delivery,
    DeliveryState,
    DeliveryWithPayload,
    Events,
    Figures,
    GetMessageStatisticsBy,
    GetMessageStatisticsGroup,
    MessageTemplate,
    NewBroadcast,
    NewBroadcastRecipient,
    NewMessageTemplate,
    NewWebhook,
    NewWebhookEventsItem,
    PageBroadcastRecipient,
    Statistics,
    Text,
    TextType,
    WebhookWithSecret,
)
from receiver import Receiver, Told

# Two ways to write the first number; the third recipient has no name, the last has no number.
REGULARS = ["6281200000011", "6281200000012"]
TYPED = ["+62 812-0000-0011", "0812 0000 0012", "+6281200000011", "+6281200000013", "12"]
NAMES = ["Budi", "Citra", "Budi", None, "Dewi"]
STORY = ["broadcast.created", "broadcast.prepared", "broadcast.started", "broadcast.completed"]


def template(api: AuthenticatedClient) -> str:
    text = Text(type_=TextType.TEXT, body="Halo {nama}, besok kami buka.")
    body = NewMessageTemplate(name="Buka", language="id", content=text)
    made = create_template.sync_detailed(client=api, body=body)
    return good(made, MessageTemplate, 201).id


def draft(api: AuthenticatedClient, device_id: str, template_id: str) -> str:
    recipients = [
        NewBroadcastRecipient.from_dict(
            {"phone": phone, "variables": {"nama": name} if name else {}}
        )
        for phone, name in zip(TYPED, NAMES, strict=True)
    ]
    body = NewBroadcast(
        name="Besok",
        senders=[BroadcastSender(device_id=device_id)],
        template_id=template_id,
        recipients=recipients,
    )
    made = good(create_broadcast.sync_detailed(client=api, body=body), Broadcast, 201)
    assert made.state == BroadcastState.DRAFT, made
    return made.id


def reaches(api: AuthenticatedClient, broadcast: str, state: BroadcastState) -> Broadcast:
    def look() -> Broadcast | None:
        one = good(get_broadcast.sync_detailed(broadcast, client=api), Broadcast)
        assert one.state != BroadcastState.FAILED, one
        return one if one.state == state else None

    return until(look, f"the broadcast is {state.value}")


def prepare(api: AuthenticatedClient, broadcast: str) -> None:
    """The preflight says who would get it, and why the others would not."""
    good(prepare_broadcast.sync_detailed(broadcast, client=api), Broadcast)
    reaches(api, broadcast, BroadcastState.READY)
    seen = good(preflight_broadcast.sync_detailed(broadcast, client=api), BroadcastPreflight)
    assert seen.prepared and seen.sendable == len(REGULARS), seen
    assert seen.outside_window == 0 and seen.opted_out == 0, seen
    assert [fit.problems for fit in seen.devices] == [[]], seen.devices
    left_out = {(one.state.value, one.reason): one.count for one in seen.counts}
    assert left_out == {
        ("waiting", None): 2,
        ("duplicate", None): 1,
        ("invalid", "invalid_number"): 1,
        ("skipped", "missing_variables"): 1,
    }, left_out


def start(api: AuthenticatedClient, broadcast: str) -> None:
    """It runs to its end, and both regulars read it."""
    good(start_broadcast.sync_detailed(broadcast, client=api), Broadcast)
    reaches(api, broadcast, BroadcastState.COMPLETED)

    def read_by_all() -> Broadcast | None:
        one = good(get_broadcast.sync_detailed(broadcast, client=api), Broadcast)
        return one if one.progress.read == len(REGULARS) else None

    progress = until(read_by_all, "everybody read the broadcast").progress
    # Neither what is no number nor a repetition is a recipient.
    assert (progress.total, progress.skipped) == (len(TYPED) - 2, 1), progress
    assert progress.waiting == progress.queued == progress.failed == 0, progress
    page = list_broadcast_recipients.sync_detailed(broadcast, client=api)
    rows = good(page, PageBroadcastRecipient).items
    reached = sorted(row.phone or "" for row in rows if row.message_id)
    assert reached == [f"+{number}" for number in REGULARS], rows


def endpoint(api: AuthenticatedClient, receiver: Receiver) -> str:
    """Makes an endpoint and has it tried; its signing secret."""
    kinds = ["broadcast.completed", "message.status"]
    body = NewWebhook(url=receiver.url, events=[NewWebhookEventsItem(kind) for kind in kinds])
    made = good(create_webhook.sync_detailed(client=api, body=body), WebhookWithSecret, 201)
    assert made.secret
    test = good(test_webhook.sync_detailed(made.webhook.id, client=api), Delivery, 202)
    assert receiver.told("webhook.test", made.secret).delivery == test.id
    return made.secret


def delivered(api: AuthenticatedClient, told: Told) -> None:
    """What was received is a delivery that the server holds for delivered."""

    def look() -> Delivery | None:
        found = good(get_delivery.sync_detailed(told.delivery, client=api), DeliveryWithPayload)
        arrived = found.delivery.state == DeliveryState.DELIVERED
        return found.delivery if arrived else None

    delivery = until(look, "the delivery is settled")
    assert (delivery.kind, delivery.last_status) == (told.kind, 204), delivery


def counted(api: AuthenticatedClient, group: GetMessageStatisticsGroup) -> dict[str, Figures]:
    table = get_message_statistics.sync_detailed(
        client=api, by=GetMessageStatisticsBy.TOTAL, group=group
    )
    rows = good(table, Statistics).rows
    return {row.group or "": row.figures for row in rows}


def statistics(api: AuthenticatedClient, broadcast: str) -> None:
    """The broadcast's row of the table fits what was sent."""
    wanted = len(REGULARS)

    def all_read() -> Figures | None:
        row = counted(api, GetMessageStatisticsGroup.BROADCAST).get(broadcast)
        return row if row is not None and row.read == wanted else None

    row = until(all_read, "the statistics know that everybody read the broadcast")
    assert row.outgoing == row.sent == row.delivered == wanted, row
    assert row.incoming == row.waiting == row.failed == row.uncertain == 0, row
    assert row.delivery_rate == row.read_rate == 1, row


def events(api: AuthenticatedClient, broadcast: str) -> None:
    """The log tells the broadcast's story in its order."""
    page = good(list_events.sync_detailed(client=api, kind=["broadcast.*"]), Events)
    kinds = [one.kind for one in page.items if one.data["broadcast_id"] == broadcast]
    assert [kind for kind in kinds if kind in STORY] == STORY, kinds


def campaign(api: AuthenticatedClient, device_id: str, number: str) -> None:
    """Two of five typed recipients get the broadcast, and everything that tells of it agrees."""
    for regular in REGULARS:
        writes(regular, number, "kapan buka?")
    receiver = Receiver()
    secret = endpoint(api, receiver)
    broadcast = draft(api, device_id, template(api))
    prepare(api, broadcast)
    start(api, broadcast)
    told = receiver.told("broadcast.completed", secret)
    assert told.data["broadcast_id"] == broadcast, told
    delivered(api, told)
    delivered(api, receiver.told("message.status", secret))
    statistics(api, broadcast)
    events(api, broadcast)
