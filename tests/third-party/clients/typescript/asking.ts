// Asking the server and the sandbox, and what their answers must be.

import assert from "node:assert/strict";

import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./kabar.js";

export type Api = Client<paths>;
export type Schemas = components["schemas"];
type Problem = Schemas["Problem"];

const PATIENCE_MS = 40_000;

export const need = (name: string): string => {
  const value = process.env[name];
  assert.ok(value, `${name} is missing`);
  return value;
};

const SANDBOX = need("SANDBOX");
const BASE = `${need("API_URL")}/api/v1`;

/** Asks with an API key or the access token of a session, or with nothing. */
export const clientOf = (credential?: string): Api =>
  createClient<paths>({
    baseUrl: BASE,
    headers: credential === undefined ? {} : { authorization: `Bearer ${credential}` },
  });

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** The answer of a call that has to succeed. */
export const good = <T>({ data, error, response }: Answer<T>, status = 200): T => {
  assert.equal(response.status, status, JSON.stringify(error));
  assert.ok(data !== undefined);
  return data;
};

/** A call that has to succeed and has nothing to say. */
export const done = ({ error, response }: { error?: unknown; response: Response }): void => {
  assert.equal(response.status, 204, JSON.stringify(error));
};

/** The problem of a call that has to fail. */
export const problem = (
  { error, response }: { error?: Problem; response: Response },
  status: number,
  code: string,
): Problem => {
  assert.equal(response.status, status, JSON.stringify(error));
  assert.ok(error);
  assert.equal(error.code, code);
  assert.equal(error.status, status);
  return error;
};

/** Asks until there is an answer. */
export const until = async <T>(
  what: string,
  find: () => T | undefined | Promise<T | undefined>,
): Promise<T> => {
  const end = Date.now() + PATIENCE_MS;
  while (Date.now() < end) {
    const found = await find();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never: ${what}`);
};

/** What only the network itself can do. */
export const sandbox = async <T>(method: string, path: string, body: unknown): Promise<T> => {
  const answer = await fetch(`${SANDBOX}/control${path}`, {
    method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as T;
};

/** A customer writes to one of our numbers. */
export const writes = async (customer: string, number: string, text: string): Promise<void> => {
  const content = { type: "text", body: text };
  await sandbox("POST", "/inbound", { from: customer, phone_number_id: number, content });
};
