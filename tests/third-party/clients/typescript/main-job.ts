// The main job, by a client that openapi-typescript made from docs/openapi.json, with openapi-fetch.
// Run by ../../run.sh, which makes `kabar.ts`, checks the types strictly, and starts everything.

import assert from "node:assert/strict";

import { clientOf, done, good, problem, sandbox, until, writes, type Api, type Schemas } from "./asking.js";
import { campaign } from "./campaign.js";
import { invited, leaves, loggedIn, type Session } from "./login.js";

const CUSTOMER = "6281200000002";
const PERMISSIONS: Schemas["NewApiKey"]["permissions"] = [
  "settings:read", "broadcasts:read", "broadcasts:write", "contacts:read", "contacts:write",
  "devices:read", "devices:write", "events:read", "messages:read", "messages:send", "rules:read",
  "rules:write", "statistics:read", "webhooks:read", "webhooks:write",
];

/** A key that a customer made for a program. */
const accountKey = async (session: Session): Promise<Api> => {
  const owner = clientOf(session.access_token);
  const body = { name: "main job", permissions: PERMISSIONS };
  const { secret } = good(await owner.POST("/keys", { body }), 201);
  assert.ok(secret);
  const own = clientOf(secret);
  assert.equal(good(await own.GET("/account")).id, session.user.account_id);
  return own;
};

type Numbered = { waba_id: string; numbers: { id: string }[] };

/** A number of the sandbox, and the business account that it belongs to. */
const newNumber = async (): Promise<{ number: string; business: string }> => {
  const body = { token: "typescript-token", numbers: [{}] };
  const account = await sandbox<Numbered>("POST", "/accounts", body);
  const number = account.numbers[0]?.id;
  assert.ok(number);
  return { number, business: account.waba_id };
};

/** Registers a number, once. */
const device = async (api: Api, number: string, business: string): Promise<string> => {
  const body = {
    name: "Toko",
    channel: "cloud_api" as const,
    address: number,
    parent: business,
    credential: "typescript-token",
    settings: { uncertain: "hold" as const },
  };
  const header = { "Idempotency-Key": "register" };
  const first = good(await api.POST("/devices", { params: { header }, body }), 201);
  const again = await api.POST("/devices", { params: { header }, body });
  assert.equal(good(again, 201).device.id, first.device.id);
  assert.equal(again.response.headers.get("idempotency-replayed"), "true");
  const other = await api.POST("/devices", { params: { header }, body: { ...body, name: "Other" } });
  problem(other, 422, "idempotency_key_reused");
  return first.device.id;
};

/** What the customer writes is there, and so is the chat. */
const receive = async (api: Api, number: string): Promise<void> => {
  await sandbox("PUT", `/customers/${CUSTOMER}`, { name: "Budi" });
  await writes(CUSTOMER, number, "halo");
  const message = await until("the message is received", async () => {
    const page = await api.GET("/messages", { params: { query: { direction: "in" } } });
    return good(page).items[0];
  });
  assert.equal(message.type, "text");
  const chats = good(await api.GET("/conversations"));
  assert.deepEqual(chats.items.map((chat) => chat.id), [message.conversation_id]);
  const path = { id: message.conversation_id };
  good(await api.POST("/conversations/{id}/read", { params: { path }, body: {} }));
};

const send = async (api: Api, deviceId: string): Promise<void> => {
  const contents: Schemas["Content"][] = [
    { type: "text", body: "selamat datang" },
    { type: "buttons", body: "Mau yang mana?", buttons: [{ type: "reply", id: "a", title: "Nasi" }] },
  ];
  const messages = contents.map((content) => ({
    device_id: deviceId,
    to: { phone: `+${CUSTOMER}` },
    content,
  }));
  const sent = good(await api.POST("/messages", { body: { messages } }), 202);
  assert.equal(sent.messages.length, 2);
  const id = sent.messages[0]?.id;
  assert.ok(id);
  await until("the message is read", async () => {
    const message = good(await api.GET("/messages/{id}", { params: { path: { id } } }));
    return message.status === "read" ? message : undefined;
  });
  const refused = await api.POST("/messages", {
    body: { messages: [{ device_id: deviceId, to: {}, content: { type: "text", body: "x" } }] },
  });
  const told = problem(refused, 422, "invalid");
  assert.ok(told.errors[0]?.field.startsWith("messages[0].to"), JSON.stringify(told));
};

const contacts = async (api: Api): Promise<void> => {
  const made = good(
    await api.POST("/contacts", { body: { phone: "+6281277770002", variables: { city: "Bandung" } } }),
    201,
  );
  const path = { id: made.id };
  const changed = await api.PATCH("/contacts/{id}", { params: { path }, body: { name: "Citra" } });
  assert.deepEqual(good(changed).variables, { city: "Bandung" });
  const names: (string | null | undefined)[] = [];
  let after: string | undefined;
  do {
    const query = after === undefined ? { limit: 1 } : { limit: 1, after };
    const page = good(await api.GET("/contacts", { params: { query } }));
    names.push(...page.items.map((contact) => contact.name));
    after = page.next ?? undefined;
  } while (after !== undefined);
  assert.ok(names.includes("Citra") && names.length === 2, names.join());
  done(await api.DELETE("/contacts/{id}", { params: { path } }));
  problem(await api.GET("/contacts/{id}", { params: { path } }), 404, "not_found");
};

const rules = async (api: Api, deviceId: string): Promise<void> => {
  const made = good(
    await api.POST("/rules", {
      body: {
        device_id: deviceId,
        name: "Prices",
        matching: { kind: "contains", keywords: ["harga <item>"] },
        response: { type: "message", content: { type: "text", body: "{item}: 10" } },
      },
    }),
    201,
  );
  const path = { id: made.id };
  const changed = await api.PATCH("/rules/{id}", { params: { path }, body: { active: false } });
  assert.equal(good(changed).active, false);
  done(await api.DELETE("/rules/{id}", { params: { path } }));
};

/** The log by pages, and as a stream from a position on. */
const events = async (api: Api): Promise<void> => {
  const query = { kind: ["message.*"], limit: 2 };
  const page = good(await api.GET("/events", { params: { query } }));
  assert.ok(typeof page !== "string");
  const [first, second] = page.items;
  assert.ok(first && second);
  const stop = new AbortController();
  const stream = await api.GET("/events", {
    params: { query: { kind: ["message.*"] }, header: { "Last-Event-ID": first.position } },
    headers: { accept: "text/event-stream" },
    parseAs: "stream",
    signal: stop.signal,
  });
  assert.equal(stream.response.headers.get("content-type"), "text/event-stream");
  let text = "";
  const decoder = new TextDecoder();
  const reader = (stream.data as ReadableStream<Uint8Array>).getReader();
  while (!text.includes(`id: ${second.position}\n`)) {
    const { value, done } = await reader.read();
    assert.ok(!done, text);
    text += decoder.decode(value, { stream: true });
  }
  assert.match(text, /^retry: \d+\n\nid: .*\nevent: ready\n/);
  stop.abort();
};

/** Who has no key, and what a key may not. */
const strangers = async (api: Api): Promise<void> => {
  problem(await clientOf("kbr_x").GET("/contacts"), 401, "unauthorized");
  problem(await api.GET("/users"), 403, "forbidden");
};

const session = await loggedIn(await invited());
const api = await accountKey(session);
const { number, business } = await newNumber();
const deviceId = await device(api, number, business);
await receive(api, number);
await send(api, deviceId);
await contacts(api);
await rules(api, deviceId);
await events(api);
await campaign(api, deviceId, number);
await strangers(api);
await leaves(session);
console.log("the TypeScript client did the main job");
