// The known gaps of Meta's file, each closed by a change of the request before it is checked.

/** A request in words: method, edge, and what kind of message it carries. */
export const label = ({ method, url, headers, body }) => {
  const edge = new URL(url, "http://localhost").pathname.split("/").slice(3).join("/");
  const words = [method, edge || "object"];
  if (edge === "messages" && method === "POST") {
    const message = JSON.parse(body);
    words.push(message.status ?? message.type, message.interactive?.type);
  }
  if (headers["content-type"]?.startsWith("multipart/")) words.push("multipart");
  return words.filter(Boolean).join(" ");
};

const concerns = (entry, exchange) => `${label(exchange)} `.startsWith(`${entry.on} `);

const at = (object, path) => {
  const keys = path.split(".");
  const last = keys.pop();
  return [keys.reduce((inner, key) => inner?.[key], object), last];
};

const CHANGES = {
  /** Takes a property away. */
  remove(body, path) {
    const [holder, key] = at(body, path);
    if (holder === undefined || !(key in holder)) return false;
    delete holder[key];
    return true;
  },
  /** Writes a number as text. */
  text(body, path) {
    const [holder, key] = at(body, path);
    if (typeof holder?.[key] !== "number") return false;
    holder[key] = `${holder[key]}`;
    return true;
  },
  /** Adds a property that is absent: `path=value`. */
  add(body, assignment) {
    const [path, value] = assignment.split("=");
    const [holder, key] = at(body, path);
    if (holder === undefined || key in holder) return false;
    holder[key] = value;
    return true;
  },
  /** Gives a property another name: `old=new`. */
  rename(body, names) {
    const [old, name] = names.split("=");
    if (!(old in body)) return false;
    body[name] = body[old];
    delete body[old];
    return true;
  },
};

/** Applies one entry to a body; says whether anything changed. */
const apply = (entry, body) => {
  const changes = Object.entries(CHANGES).flatMap(([verb, change]) =>
    (entry[verb] ?? []).map((what) => change(body, what)),
  );
  return changes.some(Boolean);
};

export class AllowList {
  constructor({ requests, answers, unknown }) {
    this.entries = { requests, answers, unknown };
    this.needed = new Set();
  }

  /** What an exchange does wrong, beyond the known gaps. */
  async faults(witness, exchange) {
    if (exchange.unheard !== undefined) return [`not passed on: ${exchange.unheard}`];
    const unknown = this.entries.unknown.find((entry) => concerns(entry, exchange));
    const violations =
      unknown === undefined
        ? await this.#closed(witness, exchange)
        : await this.#replaced(witness, exchange, unknown);
    return violations
      .filter((violation) => !this.#allowed(exchange, violation))
      .map(({ location, message }) => `${location.join(".")}: ${message}`);
  }

  /** The violations that are left when all gaps are closed; each gap must count for something. */
  async #closed(witness, exchange) {
    const pass = async (entries) => {
      const body = JSON.parse(exchange.body);
      const applied = entries.filter((entry) => apply(entry, body));
      const changed = { body: Buffer.from(JSON.stringify(body)) };
      const violations = await witness.violationsOf(exchange, changed);
      return { applied, violations };
    };
    const entries = this.entries.requests.filter((entry) => concerns(entry, exchange));
    if (entries.length === 0) return exchange.violations;
    const { applied, violations } = await pass(entries);
    for (const entry of applied) {
      const others = entries.filter((other) => other !== entry);
      const without = await pass(others);
      if (without.violations.length > violations.length) this.needed.add(entry);
    }
    return violations;
  }

  /** A request that Meta's file does not know: only its answer can be checked. */
  async #replaced(witness, exchange, entry) {
    if (requests(exchange.violations).length > 0) this.needed.add(entry);
    if (entry.instead === undefined) return [];
    const body = Buffer.from(JSON.stringify(entry.instead));
    return witness.violationsOf(exchange, { body });
  }

  #allowed(exchange, { location, code }) {
    const place = location.map((part) => (/^\d+$/.test(part) ? "*" : part)).join(".");
    const entry = this.entries.answers.find(
      (known) => concerns(known, exchange) && known.at === place && known.code === code,
    );
    if (entry !== undefined) this.needed.add(entry);
    return entry !== undefined;
  }

  /** Entries that no exchange needed. */
  stale() {
    const all = Object.values(this.entries).flat();
    return all.filter((entry) => !this.needed.has(entry)).map((entry) => JSON.stringify(entry));
  }
}

const requests = (violations) => violations.filter(({ location }) => location[0] === "request");
