// Stands on both sides of Prism: the program under test talks to the front, Prism forwards to the
// back, and the back alone talks to the sandbox. So a request can pass Prism several times, as it
// came and with known gaps of Meta's file closed, while the sandbox sees it exactly once.

import http from "node:http";

const TICKET = "x-witness";
// Prism reads nothing compressed, and the lengths are set anew.
const HOP = ["host", "connection", "content-length", "accept-encoding", "transfer-encoding"];

const read = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const call = (base, { method, url, headers, body }) =>
  new Promise((resolve, reject) => {
    const passed = Object.fromEntries(
      Object.entries(headers).filter(([name]) => !HOP.includes(name)),
    );
    if (body.length > 0) passed["content-length"] = body.length;
    // Prism tells its violations in one header, which grows with the alternatives of a schema.
    const options = { method, headers: passed, maxHeaderSize: 1024 * 1024 };
    const request = http.request(new URL(url, base), options, (answer) =>
      read(answer).then(
        (bytes) => resolve({ status: answer.statusCode, headers: answer.headers, body: bytes }),
        reject,
      ),
    );
    request.on("error", reject);
    request.setTimeout(30_000, () => request.destroy(new Error("no answer within 30 s")));
    request.end(body);
  });

// Above a few hundred violations Prism tells in words that there are too many.
const violations = (header = "[]") =>
  header.startsWith("[")
    ? JSON.parse(header)
    : [{ location: ["request"], code: "many", message: header }];

const reply = (response, { status, headers, body }) => {
  const passed = Object.entries(headers).filter(
    ([name]) => !HOP.includes(name) && name !== "sl-violations",
  );
  response.writeHead(status, Object.fromEntries(passed));
  response.end(body);
};

const listen = async (handle) => {
  const server = http.createServer((request, response) => {
    handle(request, response).catch((error) => {
      response.writeHead(502, { "content-type": "text/plain" });
      response.end(`${error.stack}`);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, address: `http://127.0.0.1:${server.address().port}` };
};

export class Witness {
  /** What passed: `{ method, url, headers, body, answer, violations }`. */
  exchanges = [];

  static async between(sandbox) {
    const witness = new Witness();
    witness.back = await listen((request, response) => witness.#forward(sandbox, request, response));
    return witness;
  }

  /** Opens the front, once Prism is up between the two. */
  async open(prism) {
    this.prism = prism;
    this.front = await listen((request, response) => this.#take(request, response));
    return this.front.address;
  }

  close() {
    for (const side of [this.front, this.back]) {
      side?.server.closeAllConnections();
      side?.server.close();
    }
  }

  /** Lets an exchange pass Prism again, changed; the sandbox is not asked again. */
  async violationsOf(exchange, changes) {
    const ticket = this.exchanges.indexOf(exchange);
    const answer = await this.#pass({ ...exchange, ...changes }, ticket);
    return answer.violations;
  }

  async #take(request, response) {
    const { method, url, headers } = request;
    const exchange = { method, url, headers, body: await read(request), answer: undefined };
    const ticket = this.exchanges.push(exchange) - 1;
    const answer = await this.#pass(exchange, ticket);
    exchange.violations = answer.violations;
    if (exchange.answer === undefined) {
      exchange.unheard = `${answer.status} ${answer.body}`;
    }
    reply(response, answer);
  }

  async #pass(exchange, ticket) {
    const headers = { ...exchange.headers, [TICKET]: `${ticket}` };
    const answer = await call(this.prism, { ...exchange, headers });
    answer.violations = violations(answer.headers["sl-violations"]);
    return answer;
  }

  async #forward(sandbox, request, response) {
    await read(request);
    const exchange = this.exchanges[Number(request.headers[TICKET])];
    exchange.answer ??= await call(sandbox, exchange);
    reply(response, exchange.answer);
  }
}
