// A sandbox with a server and Baileys on it, each with an account of its own, and what the checks say and
// hear on either side.
import { after, before } from 'node:test';
import { Client, trust } from '../client.mjs';
import { Kabar, pairedDevice } from '../kabar.mjs';
import { control, mediaOverHttp, startSandbox, until } from '../sandbox.mjs';

/** The number of our device. */
export const SHOP = '6281200000011';
/** The number of Baileys. */
export const GUEST = '6281200000012';
/** A virtual phone in their group, which reads what they write there. */
export const BOB = '6281200000013';

/** How far a message of ours got, in this order. */
const ROAD = ['sent', 'delivered', 'read'];
const LOST = ['failed', 'uncertain', 'expired', 'cancelled'];

export const jid = (number) => `${number}@s.whatsapp.net`;

/** `sandbox`, `kabar`, the `device` of ours on it, `guest`: Baileys; and their `club`, once there is one. */
export const town = {};

/** The address of the group that both are in. */
export const group = () => town.club;

before(async () => {
  town.sandbox = await startSandbox(process.env.SANDBOX_BIN);
  trust(town.sandbox);
  mediaOverHttp(town.sandbox);
  for (const number of [SHOP, GUEST, BOB]) await control(town.sandbox, 'PUT', `phones/${number}`, {});
  // What is said about messages is to come from the companions alone, not from the phones beside them.
  const silent = { delivered: false, read: false, played: false };
  for (const number of [SHOP, GUEST]) await control(town.sandbox, 'PUT', `phones/${number}/habits`, silent);
  const session = await control(town.sandbox, 'POST', `phones/${SHOP}/sessions`, {});
  town.kabar = new Kabar(process.env.SERVER_BIN, town.sandbox);
  await town.kabar.start();
  town.device = await pairedDevice(town.kabar, session);
  town.guest = await new Client(town.sandbox).start();
});

after(async () => {
  await town.guest?.stop();
  await town.kabar?.remove();
  town.sandbox?.stop();
});

/** Hands a message to our server; answers it as stored. */
export async function queue(content, { to = { phone: `+${GUEST}` }, replyTo } = {}) {
  const message = { device_id: town.device, to, content, reply_to: replyTo };
  return (await town.kabar.post('/messages', { messages: [message] })).messages[0];
}

/** Sends from our device; answers the message as stored once WhatsApp took it. */
export const say = async (content, options) => reached((await queue(content, options)).id, 'sent');

/** Waits until a message of ours got that far. */
export function reached(id, status) {
  return until(`${id} being ${status}`, async () => {
    const message = await town.kabar.get(`/messages/${id}`);
    if (LOST.includes(message.status)) throw new Error(`${id} ${message.status}: ${message.reason?.text}`);
    return ROAD.indexOf(message.status) >= ROAD.indexOf(status) && message;
  });
}

/** Everything that our device received, newest first. */
export const received = () => town.kabar.all(`/messages?device=${town.device}&direction=in`);

/** Waits for a message of Baileys to be stored, and to be `ready`. */
export const heard = ({ key }, ready = () => true) =>
  until(`${key.id} at the server`, async () => (await received()).find((it) => it.wire_id === key.id && ready(it)));

/** Waits for a message of ours at Baileys, decrypted. */
export const arrived = ({ wire_id }) => town.guest.message(wire_id, (_, it) => it.key.id === wire_id);

/** Events of our account of these kinds. */
export async function events(kind) {
  const found = [];
  let page;
  do {
    page = await town.kabar.get(`/events?limit=200&kind=${kind}${page ? `&after=${page.next}` : ''}`);
    found.push(...page.items);
  } while (page.items.length > 0);
  return found;
}
