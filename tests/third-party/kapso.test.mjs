// A client that others wrote for Meta's Cloud API talks to the sandbox: all it can send, files,
// templates, read marks, profile, and what it makes of the sandbox's webhooks.

import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";

import { GraphApiError, WhatsAppClient } from "@kapso/whatsapp-cloud-api";
import { normalizeWebhook, verifySignature } from "@kapso/whatsapp-cloud-api/server";

const { SANDBOX } = process.env;
const phoneNumberId = "106540352242922";
const businessAccountId = "102290129340398";
const appSecret = "sandbox-app-secret";
const customer = "6281234567890";
const to = `+${customer}`;
const link = "https://example.com/file";
const PNG = Buffer.from("89504e470d0a1a0a", "hex");

const client = new WhatsAppClient({
  accessToken: "sandbox-token",
  baseUrl: SANDBOX,
  graphVersion: "v25.0",
});

/** The sandbox's own API, for what no client of Meta can do. */
const control = async (method, path, body) => {
  const answer = await fetch(`${SANDBOX}/control/${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const told = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(told));
  return told;
};

const says = (content) => control("POST", "inbound", { from: customer, content });
const text = (body) => ({ type: "text", body });
const refusedWith = (code) => (error) => {
  assert.ok(error instanceof GraphApiError, `${error}`);
  assert.equal(error.code, code);
  return true;
};

const upload = (type, fileName, bytes = PNG) =>
  client.media.upload({ phoneNumberId, type, fileName, file: new Blob([bytes], { type }) });

const { wamid, user_id: recipient } = await says(text("hello"));
const image = await upload("image/png", "picture.png");

const order = {
  name: "order_confirmation",
  language: { code: "en_US" },
  components: [
    { type: "body", parameters: [{ type: "text", text: "Jessica" }, { type: "text", text: "42" }] },
  ],
};
const section = (title, ...ids) => ({ title, rows: ids.map((id) => ({ id, title: `Row ${id}` })) });
const cards = [0, 1].map((cardIndex) => ({
  cardIndex,
  header: { type: "image", image: { link } },
  bodyText: `Card ${cardIndex}`,
  action: { type: "cta_url", displayText: "View", url: `https://example.com/${cardIndex}` },
}));
const products = [{ title: "Soup", productItems: [{ productRetailerId: "S1" }] }];

/** Every kind of message: name, method, input, and `type` as the sandbox must have got it. */
const MESSAGES = [
  ["text", "sendText", { body: "Hello", previewUrl: true }, "text"],
  ["quoted reply", "sendText", { body: "Yes", contextMessageId: wamid }, "text"],
  ["image by id", "sendImage", { image: { id: image.id, caption: "Caption" } }, "image"],
  ["image by link", "sendImage", { image: { link } }, "image"],
  ["video", "sendVideo", { video: { link, caption: "Caption" } }, "video"],
  ["audio", "sendAudio", { audio: { link } }, "audio"],
  ["document", "sendDocument", { document: { link, filename: "bill.pdf" } }, "document"],
  ["sticker", "sendSticker", { sticker: { link } }, "sticker"],
  ["location", "sendLocation", { location: { latitude: -6.2, longitude: 106.8 } }, "location"],
  [
    "contacts",
    "sendContacts",
    {
      contacts: [
        {
          name: { formattedName: "Budi Santoso", firstName: "Budi" },
          phones: [{ phone: to, type: "WORK", waId: customer }],
        },
      ],
    },
    "contacts",
  ],
  ["reaction", "sendReaction", { reaction: { messageId: wamid, emoji: "👍" } }, "reaction"],
  ["template", "sendTemplate", { template: order }, "template"],
  [
    "buttons",
    "sendInteractiveButtons",
    {
      header: { type: "image", image: { id: image.id } },
      bodyText: "Sure?",
      footerText: "Footer",
      buttons: [{ id: "y", title: "Yes" }, { id: "n", title: "No" }],
    },
    "interactive",
  ],
  [
    "list",
    "sendInteractiveList",
    { bodyText: "Choose", buttonText: "Open", sections: [section("A", "1"), section("B", "2")] },
    "interactive",
  ],
  [
    "page button",
    "sendInteractiveCtaUrl",
    { bodyText: "Look", parameters: { displayText: "Open", url: link } },
    "interactive",
  ],
  ["carousel", "sendInteractiveCarousel", { bodyText: "Choose", cards }, "interactive"],
  [
    "product",
    "sendInteractiveProduct",
    { bodyText: "This?", catalogId: "C1", productRetailerId: "S1" },
    "interactive",
  ],
  [
    "product list",
    "sendInteractiveProductList",
    {
      header: { type: "text", text: "Menu" },
      bodyText: "Choose",
      catalogId: "C1",
      sections: products,
    },
    "interactive",
  ],
  [
    "catalog",
    "sendInteractiveCatalogMessage",
    { bodyText: "All", parameters: { thumbnailProductRetailerId: "S1" } },
    "interactive",
  ],
  [
    "flow",
    "sendInteractiveFlow",
    { bodyText: "Book", parameters: { flowId: "1", flowCta: "Book", flowToken: "t" } },
    "interactive",
  ],
  [
    "address",
    "sendInteractiveAddress",
    { bodyText: "Where to?", parameters: { country: "IN" } },
    "interactive",
  ],
  [
    "location request",
    "sendInteractiveLocationRequest",
    { bodyText: "Where?", parameters: { requestMessage: "Where?" } },
    "interactive",
  ],
  [
    "call permission",
    "sendInteractiveCallPermission",
    { bodyText: "May we call?", parameters: { phoneNumber: to } },
    "interactive",
  ],
  [
    "interactive as it is",
    "sendInteractiveRaw",
    {
      interactive: {
        type: "button",
        body: { text: "Sure?" },
        action: { buttons: [{ type: "reply", reply: { id: "y", title: "Yes" } }] },
      },
    },
    "interactive",
  ],
];

for (const [name, method, input, type] of MESSAGES) {
  test(`send: ${name}`, async () => {
    const sent = await client.messages[method]({
      phoneNumberId,
      to,
      bizOpaqueCallbackData: `ref ${name}`,
      ...input,
    });
    assert.equal(sent.messagingProduct, "whatsapp");
    assert.equal(sent.contacts[0].waId, customer);
    assert.match(sent.messages[0].id, /^wamid\./);
    const { data } = await control("GET", `messages?reference=${encodeURIComponent(`ref ${name}`)}`);
    assert.equal(data.length, 1);
    assert.equal(data[0].wamid, sent.messages[0].id);
    assert.equal(data[0].body.type, type);
  });
}

test("send: nothing that the client offers is left out", () => {
  const proto = Object.getPrototypeOf(client.messages);
  const offered = Object.getOwnPropertyNames(proto).filter((name) => name.startsWith("send"));
  const used = new Set([...MESSAGES.map(([, method]) => method), "sendRaw"]);
  assert.deepEqual(offered.filter((name) => !used.has(name)), []);
});

test("send: a body of one's own, and to a business-scoped user id", async () => {
  const payload = { messaging_product: "whatsapp", to, type: "text", text: { body: "raw" } };
  const raw = await client.messages.sendRaw({ phoneNumberId, payload });
  assert.match(raw.messages[0].id, /^wamid\./);
  const sent = await client.messages.sendText({ phoneNumberId, recipient, body: "by user id" });
  assert.equal(sent.contacts[0].userId ?? sent.contacts[0].user_id, recipient);
});

test("read marks and typing", async () => {
  const read = await client.messages.markRead({ phoneNumberId, messageId: wamid });
  assert.equal(read.success, true);
  const typingIndicator = { type: "text" };
  await client.messages.markRead({ phoneNumberId, messageId: wamid, typingIndicator });
  const marks = await control("GET", "reads");
  const own = marks.filter((mark) => mark.wamid === wamid).map((mark) => mark.typing);
  assert.deepEqual(own, [false, true]);
});

test("media: upload, look-up, download, delete", async () => {
  const { id: mediaId } = await upload("image/png", "other.png");
  const found = await client.media.get({ mediaId, phoneNumberId });
  assert.equal(found.mimeType, "image/png");
  assert.equal(Number(found.fileSize), PNG.length);
  const bytes = await client.media.download({ mediaId, phoneNumberId, auth: "always" });
  assert.deepEqual(Buffer.from(bytes), PNG);
  assert.equal((await client.media.delete({ mediaId, phoneNumberId })).success, true);
  await assert.rejects(client.media.get({ mediaId, phoneNumberId }), refusedWith(100));
});

test("templates: create, list, get, delete", async () => {
  const name = "third_party_check";
  const created = await client.templates.create({
    businessAccountId,
    name,
    language: "en_US",
    category: "UTILITY",
    components: [
      { type: "BODY", text: "Hello {{1}}, all is well.", example: { bodyText: [["Budi"]] } },
    ],
  });
  assert.equal(created.status, "APPROVED");
  const listed = await client.templates.list({ businessAccountId, name });
  assert.deepEqual(listed.data.map((template) => template.id), [created.id]);
  const one = await client.request("GET", created.id, { responseType: "json" });
  assert.equal(one.name, name);
  // The client's own look-up uses a path of its maker's proxy, which Graph does not have.
  const look = client.templates.get({ businessAccountId, templateId: created.id });
  await assert.rejects(look, refusedWith(2500));
  assert.equal((await client.templates.delete({ businessAccountId, name })).success, true);
  const after = await client.templates.list({ businessAccountId, name });
  assert.deepEqual(after.data, []);
});

test("templates: the list pages by cursor", async () => {
  const names = new Set();
  let after;
  do {
    const page = await client.templates.list({ businessAccountId, limit: 2, after });
    page.data.forEach((template) => names.add(template.name));
    after = page.paging.next && page.paging.cursors.after;
  } while (after);
  assert.ok(names.has("hello_world") && names.size >= 4, [...names].join());
});

test("business profile: write and read", async () => {
  const about = "Open until ten";
  await client.phoneNumbers.businessProfile.update({ phoneNumberId, about });
  const read = await client.phoneNumbers.businessProfile.get({ phoneNumberId });
  assert.equal(read.data[0].about, about);
});

test("errors: the client recognises Meta's codes", async () => {
  const stranger = new WhatsAppClient({ accessToken: "wrong", baseUrl: SANDBOX });
  await assert.rejects(
    stranger.messages.sendText({ phoneNumberId, to, body: "x" }),
    refusedWith(190),
  );
  const unknown = { name: "no_such_template", language: { code: "en_US" } };
  await assert.rejects(
    client.messages.sendTemplate({ phoneNumberId, to, template: unknown }),
    refusedWith(132001),
  );
  const effect = { kind: "error", code: 130429 };
  await control("POST", "faults", { on: "send", effect });
  await assert.rejects(
    client.messages.sendText({ phoneNumberId, to, body: "too fast" }),
    refusedWith(130429),
  );
});

test("webhooks: signed, and read as messages and statuses", async (context) => {
  const posts = [];
  const receiver = http.createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    if (request.method === "GET") return response.end(url.searchParams.get("hub.challenge"));
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    posts.push({ body: Buffer.concat(chunks), signature: request.headers["x-hub-signature-256"] });
    return response.end();
  });
  await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  context.after(() => receiver.close());
  const callback_url = `http://127.0.0.1:${receiver.address().port}/webhooks`;
  await control("PUT", "webhook", { callback_url });

  const incoming = await says(text("a question"));
  const sent = await client.messages.sendText({ phoneNumberId, to, body: "an answer" });
  await control("POST", "quiesce?timeout_ms=20000");

  for (const { body, signature } of posts) {
    const signed = (rawBody) => verifySignature({ appSecret, rawBody, signatureHeader: signature });
    assert.equal(signed(body), true);
    assert.equal(signed(Buffer.concat([body, Buffer.from(" ")])), false);
  }
  const read = posts.map(({ body }) => normalizeWebhook(JSON.parse(body)));
  const messages = read.flatMap((events) => events.messages);
  const question = messages.find((message) => message.id === incoming.wamid);
  assert.equal(question.text.body, "a question");
  assert.equal(question.from, customer);
  const statuses = read
    .flatMap((events) => events.statuses)
    .filter((status) => status.id === sent.messages[0].id)
    .map((status) => status.status);
  assert.deepEqual(statuses, ["sent", "delivered", "read"]);
});
