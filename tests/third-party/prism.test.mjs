// Every call of kabar-cloud-api, and the sandbox's answer to it, against Meta's own OpenAPI file.
// Prism judges; `prism-allow.json` lists the known gaps of the file, each with its reason.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { AllowList, label } from "./prism/allow.mjs";
import { startPrism } from "./prism/start.mjs";
import { Witness } from "./prism/witness.mjs";

const { SANDBOX, DRIVER, META_OPENAPI } = process.env;
const CUSTOMER = "6281234567890";

let witness;
let prism;
let driven;

const customerWrites = async () => {
  const answer = await fetch(`${SANDBOX}/control/inbound`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ from: CUSTOMER, content: { type: "text", body: "hello" } }),
  });
  assert.equal(answer.status, 200);
  return answer.json();
};

before(async () => {
  witness = await Witness.between(SANDBOX);
  prism = await startPrism(META_OPENAPI, witness.back.address);
  const front = await witness.open(prism.address);
  const { wamid, user_id } = await customerWrites();
  driven = await promisify(execFile)(DRIVER, [front, wamid, user_id]).catch((error) => error);
}, { timeout: 120_000 });

after(() => {
  prism?.stop();
  witness?.close();
});

test("every call of the driver succeeds", (context) => {
  const lines = driven.stdout.trim().split("\n");
  context.diagnostic(lines.at(-1));
  assert.ok(lines.at(-1).endsWith(" 0 failed"), driven.stdout + driven.stderr);
  assert.ok(witness.exchanges.length >= lines.length - 1, "calls went past Prism");
});

test("requests and answers agree with Meta's file", async (context) => {
  const allow = new AllowList(JSON.parse(await readFile("prism-allow.json", "utf8")));
  const kinds = new Set();
  for (const exchange of witness.exchanges) {
    const faults = await allow.faults(witness, exchange);
    assert.deepEqual(faults, [], `${label(exchange)}\n${exchange.body.subarray(0, 2000)}`);
    kinds.add(label(exchange));
  }
  context.diagnostic(`${witness.exchanges.length} exchanges of ${kinds.size} kinds`);
  assert.deepEqual(allow.stale(), [], "entries of prism-allow.json that are no longer needed");
});

test("what Meta's file forbids is found", async () => {
  const text = witness.exchanges.find((exchange) => label(exchange) === "POST messages text");
  const { biz_opaque_callback_data: _, ...message } = JSON.parse(text.body);
  const wrong = [
    { ...message, to: undefined },
    { ...message, text: { body: 7 } },
    { ...message, text: { body: "hello", colour: "red" } },
    { ...message, type: "fax" },
  ];
  for (const body of [message, ...wrong]) {
    const found = await witness.violationsOf(text, { body: Buffer.from(JSON.stringify(body)) });
    assert.equal(found.length > 0, body !== message, JSON.stringify(body));
  }
});
