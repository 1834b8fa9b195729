// A customer whom the provider invites sets a password, logs in, stays and leaves.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { clientOf, done, good, need, problem, until, type Schemas } from "./asking.js";

export type Session = Schemas["LoggedIn"];
type User = Schemas["User"];

const MAILS = need("MAILS");
const EMAIL = "budi@toko.example";
const PASSWORD = "lima kuda biru";

/** Quoted-printable: long lines are broken with `=`. */
const unbroken = (mail: string): string => mail.replaceAll("=\r\n", "");

/** The token in the newest mail to an address. */
const mailedToken = async (address: string): Promise<string> =>
  until(`a mail with a token to ${address}`, async () => {
    const files = await readdir(MAILS).catch((): string[] => []);
    for (const file of files.filter((name) => name.endsWith(".eml")).sort().reverse()) {
      const mail = unbroken(await readFile(join(MAILS, file), "utf8"));
      if (mail.includes(`To: ${address}\r\n`)) return /^Token: (\S+)/m.exec(mail)?.[1];
    }
    return undefined;
  });

/** The owner of a new account, as the provider makes both. */
export const invited = async (): Promise<User> => {
  const provider = clientOf(need("API_KEY"));
  const made = good(await provider.POST("/accounts", { body: { name: "TypeScript", country: "ID" } }), 201);
  const user = good(
    await provider.POST("/users", {
      params: { header: { "Kabar-Account": made.account.id } },
      body: { email: EMAIL, name: "Budi", role: "customer" },
    }),
    201,
  );
  assert.equal(user.account_id, made.account.id);
  const body = { token: await mailedToken(EMAIL), password: PASSWORD };
  const nobody = clientOf();
  done(await nobody.POST("/auth/password/reset", { body }));
  problem(await nobody.POST("/auth/password/reset", { body }), 401, "invalid_token");
  return user;
};

/** A session that was renewed once: only its newest tokens work. */
export const loggedIn = async (user: User): Promise<Session> => {
  const nobody = clientOf();
  const wrong = { email: EMAIL, password: "enam kuda biru" };
  problem(await nobody.POST("/auth/login", { body: wrong }), 401, "invalid_credentials");
  const right = { email: EMAIL, password: PASSWORD };
  const first = good(await nobody.POST("/auth/login", { body: right }));
  const body = { refresh_token: first.refresh_token };
  const session = good(await nobody.POST("/auth/refresh", { body }));
  assert.equal(session.session_id, first.session_id);
  assert.notEqual(session.refresh_token, first.refresh_token);
  const api = clientOf(session.access_token);
  assert.equal(good(await api.GET("/auth/me")).user.id, user.id);
  const sessions = good(await api.GET("/auth/sessions")).items.map((one) => one.id);
  assert.deepEqual(sessions, [session.session_id]);
  return session;
};

/** Nothing of a session works after it. */
export const leaves = async (session: Session): Promise<void> => {
  const api = clientOf(session.access_token);
  done(await api.POST("/auth/logout"));
  problem(await api.GET("/auth/me"), 401, "unauthorized");
  const body = { refresh_token: session.refresh_token };
  problem(await clientOf().POST("/auth/refresh", { body }), 401, "invalid_token");
};
