// A broadcast to typed numbers: prepared, looked at, sent, told by webhook, and counted.

import assert from "node:assert/strict";

import { good, until, writes, type Api, type Schemas } from "./asking.js";
import { Receiver, type Told } from "./receiver.js";

type Broadcast = Schemas["Broadcast"];
type Figures = Schemas["Figures"];

// Two ways to write the first number; the third recipient has no name, the last has no number.
const REGULARS = ["6281200000021", "6281200000022"];
const TYPED = [
  { phone: "+62 812-0000-0021", variables: { nama: "Budi" } },
  { phone: "0812 0000 0022", variables: { nama: "Citra" } },
  { phone: "+6281200000021", variables: { nama: "Budi" } },
  { phone: "+6281200000023" },
  { phone: "12", variables: { nama: "Dewi" } },
];
const STORY = ["broadcast.created", "broadcast.prepared", "broadcast.started", "broadcast.completed"];

const at = (id: string) => ({ params: { path: { id } } });

const draft = async (api: Api, deviceId: string): Promise<string> => {
  const body = {
    name: "Besok",
    senders: [{ device_id: deviceId }],
    content: { type: "text" as const, body: "Halo {nama}, besok kami buka." },
    recipients: TYPED,
  };
  const made = good(await api.POST("/broadcasts", { body }), 201);
  assert.equal(made.state, "draft");
  return made.id;
};

const reaches = async (api: Api, id: string, state: Broadcast["state"]): Promise<Broadcast> =>
  until(`the broadcast is ${state}`, async () => {
    const one = good(await api.GET("/broadcasts/{id}", at(id)));
    assert.notEqual(one.state, "failed", JSON.stringify(one));
    return one.state === state ? one : undefined;
  });

/** The preflight says who would get it, and why the others would not. */
const prepare = async (api: Api, id: string): Promise<void> => {
  good(await api.POST("/broadcasts/{id}/prepare", at(id)));
  await reaches(api, id, "ready");
  const seen = good(await api.GET("/broadcasts/{id}/preflight", at(id)));
  assert.ok(seen.prepared);
  assert.equal(seen.sendable, REGULARS.length, JSON.stringify(seen));
  assert.equal(seen.outside_window + seen.opted_out, 0, JSON.stringify(seen));
  assert.deepEqual(seen.devices.map((fit) => fit.problems), [[]]);
  const counts = seen.counts.map(({ state, reason, count }) => `${state} ${reason ?? "-"} ${count}`);
  assert.deepEqual(counts.sort(), [
    "duplicate - 1",
    "invalid invalid_number 1",
    "skipped missing_variables 1",
    "waiting - 2",
  ]);
};

/** It runs to its end, and both regulars read it. */
const start = async (api: Api, id: string): Promise<void> => {
  good(await api.POST("/broadcasts/{id}/start", at(id)));
  await reaches(api, id, "completed");
  const progress = await until("everybody read the broadcast", async () => {
    const one = good(await api.GET("/broadcasts/{id}", at(id)));
    return one.progress.read === REGULARS.length ? one.progress : undefined;
  });
  // Neither what is no number nor a repetition is a recipient.
  assert.deepEqual(progress, {
    total: TYPED.length - 2, read: REGULARS.length, skipped: 1,
    waiting: 0, queued: 0, sent: 0, delivered: 0, failed: 0, uncertain: 0, cancelled: 0,
  });
  const rows = good(await api.GET("/broadcasts/{id}/recipients", at(id))).items;
  const reached = rows.filter((row) => row.message_id !== null).map((row) => row.phone);
  assert.deepEqual(reached.sort(), REGULARS.map((number) => `+${number}`));
};

/** Makes an endpoint and has it tried; its signing secret. */
const endpoint = async (api: Api, receiver: Receiver): Promise<string> => {
  const body: Schemas["NewWebhook"] = {
    url: receiver.url,
    events: ["broadcast.completed", "message.status"],
  };
  const made = good(await api.POST("/webhooks", { body }), 201);
  assert.ok(made.secret);
  const test = good(await api.POST("/webhooks/{id}/test", at(made.webhook.id)), 202);
  assert.equal((await receiver.told("webhook.test", made.secret)).delivery, test.id);
  return made.secret;
};

/** What was received is a delivery that the server holds for delivered. */
const delivered = async (api: Api, told: Told): Promise<void> => {
  const delivery = await until("the delivery is settled", async () => {
    const { delivery } = good(await api.GET("/deliveries/{id}", at(told.delivery)));
    return delivery.state === "delivered" ? delivery : undefined;
  });
  assert.equal(delivery.kind, told.kind);
  assert.equal(delivery.last_status, 204);
};

/** The broadcast's row of the table. */
const counted = async (api: Api, id: string): Promise<Figures | undefined> => {
  const query = { by: "total", group: "broadcast" } as const;
  const table = good(await api.GET("/statistics/messages", { params: { query } }));
  assert.ok(typeof table !== "string");
  return table.rows.find((row) => row.group === id)?.figures;
};

/** The figures fit what was sent. */
const statistics = async (api: Api, id: string): Promise<void> => {
  const sent = REGULARS.length;
  const figures = await until("the statistics know that everybody read it", async () => {
    const row = await counted(api, id);
    return row?.read === sent ? row : undefined;
  });
  assert.deepEqual(figures, {
    outgoing: sent, sent, delivered: sent, read: sent, delivery_rate: 1, read_rate: 1,
    incoming: 0, waiting: 0, played: 0, failed: 0, uncertain: 0, cancelled: 0, expired: 0,
  });
};

/** The log tells the broadcast's story in its order. */
const events = async (api: Api, id: string): Promise<void> => {
  const query = { kind: ["broadcast.*"] };
  const page = good(await api.GET("/events", { params: { query } }));
  assert.ok(typeof page !== "string");
  const kinds = page.items
    .filter((one) => (one.data as { broadcast_id: string }).broadcast_id === id)
    .map((one) => one.kind);
  assert.deepEqual(kinds.filter((kind) => STORY.includes(kind)), STORY);
};

/** Two of five typed recipients get the broadcast, and everything that tells of it agrees. */
export const campaign = async (api: Api, deviceId: string, number: string): Promise<void> => {
  for (const regular of REGULARS) await writes(regular, number, "kapan buka?");
  const receiver = await Receiver.listening();
  const secret = await endpoint(api, receiver);
  const id = await draft(api, deviceId);
  await prepare(api, id);
  await start(api, id);
  const told = await receiver.told("broadcast.completed", secret);
  assert.equal(told.data["broadcast_id"], id);
  await delivered(api, told);
  await delivered(api, await receiver.told("message.status", secret));
  await statistics(api, id);
  await events(api, id);
  receiver.stop();
};
