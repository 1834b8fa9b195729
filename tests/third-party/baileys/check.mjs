// Baileys, unmodified but for the root it trusts, against the multi-device sandbox.
//
//   SANDBOX_BIN=…/examples/serve_multi_device node --test check.mjs
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { downloadMediaMessage } from 'baileys';
import { Client, trust } from './client.mjs';
import { control, mediaOverHttp, startSandbox, until } from './sandbox.mjs';

const ALICE = '6281200000001';
const BOB = '6281200000002';
const DANA = '6281200000004';
/** `WAMessageStatus.READ` */
const READ = 4;
const jid = (number) => `${number}@s.whatsapp.net`;

let sandbox;
let alice;

before(async () => {
  sandbox = await startSandbox(process.env.SANDBOX_BIN);
  trust(sandbox);
  mediaOverHttp(sandbox);
  for (const number of [ALICE, BOB, DANA]) await control(sandbox, 'PUT', `phones/${number}`, {});
});

after(async () => {
  await alice?.stop();
  sandbox?.stop();
});

const say = (from, to, content) => control(sandbox, 'POST', `phones/${from}/messages`, { to, content });

/** Waits for a message that a phone could read. */
const got = (number, what, suits) =>
  until(what, async () => (await control(sandbox, 'GET', `phones/${number}/messages`)).find(suits));

test('pairs by QR code', async () => {
  alice = await new Client(sandbox).start();
  const qr = await until('a QR code', () => alice.qr);
  const { device } = await control(sandbox, 'POST', `phones/${ALICE}/scan`, { qr });
  assert.equal(device, 1);
  await alice.online();
});

test('logs in again', async () => {
  await alice.stop();
  await until('the end of the connection', async () => (await control(sandbox, 'GET', 'connections')).length === 0);
  alice = await new Client(sandbox, { folder: alice.folder }).start();
  await alice.online();
});

test('writes and reads', async () => {
  const sent = await alice.send(jid(BOB), { text: 'from Baileys' });
  const message = await got(BOB, 'the text', (it) => it.text === 'from Baileys');
  assert.deepEqual([message.id, message.sender, message.arrivals], [sent.key.id, ALICE, 1]);
  await until('a read receipt', () => alice.status(sent.key.id) >= READ);
  await say(BOB, ALICE, { type: 'text', body: 'to Baileys' });
  await alice.text('to Baileys');
});

test('exchanges pictures', async () => {
  const picture = Buffer.alloc(50_000, 7);
  await alice.send(jid(BOB), { image: picture, caption: 'from Baileys', jpegThumbnail: '' });
  await got(BOB, 'a picture', (it) => it.message.image_message?.caption === 'from Baileys');
  await say(BOB, ALICE, { type: 'image', data: picture.toString('base64'), mime_type: 'image/png' });
  const message = await alice.message('a picture', (it) => it.imageMessage);
  const file = await downloadMediaMessage(message, 'buffer', {});
  assert.ok(file.equals(picture));
});

test('exchanges places, reactions and polls', async () => {
  await alice.send(jid(BOB), { location: { degreesLatitude: -6.2, degreesLongitude: 106.8 } });
  await got(BOB, 'a place', (it) => it.message.location_message);
  await say(BOB, ALICE, { type: 'location', latitude: 1, longitude: 2 });
  await alice.message('a place', (it) => it.locationMessage);

  const { id } = await say(BOB, ALICE, { type: 'text', body: 'react to me' });
  const target = await alice.text('react to me');
  await alice.send(jid(BOB), { react: { text: '👍', key: target.key } });
  await got(BOB, 'a reaction', (it) => it.message.reaction_message?.key?.id === id);

  const poll = await alice.send(jid(BOB), { poll: { name: 'Drink?', values: ['tea', 'coffee'], selectableCount: 1 } });
  await got(BOB, 'a poll', (it) => it.id === poll.key.id);
  await say(BOB, ALICE, { type: 'poll_vote', poll: poll.key.id, options: ['tea'] });
  await alice.message('a vote', (it) => it.pollUpdateMessage);
});

test('writes in groups', async () => {
  const created = await alice.socket.groupCreate('Club', [jid(BOB), jid(DANA)]);
  await alice.send(created.id, { text: 'from Baileys, to all' });
  for (const number of [BOB, DANA]) {
    const message = await got(number, 'the text', (it) => it.text === 'from Baileys, to all');
    assert.deepEqual([message.chat, message.sender, message.arrivals], [created.id, ALICE, 1]);
  }
  await say(BOB, created.id, { type: 'text', body: 'from Bob, to all' });
  await alice.text('from Bob, to all');
});

test('asks for what it could not read', async () => {
  await control(sandbox, 'POST', 'faults', { on: 'deliver', account: ALICE, effect: { kind: 'corrupt' } });
  await say(BOB, ALICE, { type: 'text', body: 'damaged' });
  await alice.text('damaged');
});

test('nothing was unreadable to a phone, nothing unknown to the server', async () => {
  for (const number of [ALICE, BOB, DANA]) {
    assert.equal((await control(sandbox, 'GET', `phones/${number}`)).failures, 0);
  }
  assert.deepEqual((await control(sandbox, 'GET', 'state')).unhandled, {});
});

test('pairs by code', async () => {
  const dana = await new Client(sandbox, { pairCode: DANA }).start();
  const code = await until('a code', () => dana.code?.length === 8 && dana.code);
  await control(sandbox, 'POST', `phones/${DANA}/code`, { code });
  await dana.online();
  await say(BOB, DANA, { type: 'text', body: 'welcome' });
  await dana.text('welcome');
  await control(sandbox, 'DELETE', `phones/${DANA}/companions/1`);
  await until('the logout', () => dana.closed === 401);
});
