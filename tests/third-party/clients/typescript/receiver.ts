// A program of the customer's that webhooks are sent to.

import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server } from "node:http";

import { Webhook, WebhookVerificationError } from "standardwebhooks";

import { until } from "./asking.js";

type Headers = Record<string, string>;
type Event = { type: string; data: Record<string, unknown> };
type Arrived = { headers: Headers; body: string };

/** A webhook whose signature is good. */
export type Told = { delivery: string; kind: string; data: Event["data"] };

/** Reads a webhook after its signature was checked, and a changed one is refused. */
const verified = ({ headers, body }: Arrived, secret: string): Told => {
  const webhook = new Webhook(secret);
  const event = webhook.verify(body, headers) as Event;
  assert.throws(() => webhook.verify(`${body} `, headers), WebhookVerificationError);
  const delivery = headers["webhook-id"];
  assert.ok(delivery);
  return { delivery, kind: event.type, data: event.data };
};

const read = async (request: IncomingMessage): Promise<Arrived> => {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
  return { headers: Object.fromEntries(headers) as Headers, body: Buffer.concat(parts).toString() };
};

/** Listens on a port of this machine and keeps what comes. */
export class Receiver {
  private constructor(
    private readonly server: Server,
    private readonly arrived: Arrived[],
  ) {}

  static async listening(): Promise<Receiver> {
    const arrived: Arrived[] = [];
    const server = createServer((request, response) => {
      void read(request).then((one) => {
        arrived.push(one);
        response.writeHead(204).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Receiver(server, arrived);
  }

  get url(): string {
    const address = this.server.address();
    assert.ok(address !== null && typeof address === "object");
    return `http://127.0.0.1:${address.port}/hook`;
  }

  /** The first webhook of a kind, verified as its receiver should. */
  async told(kind: string, secret: string): Promise<Told> {
    return until(`a webhook ${kind}`, () =>
      this.arrived.map((one) => verified(one, secret)).find((told) => told.kind === kind),
    );
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}
