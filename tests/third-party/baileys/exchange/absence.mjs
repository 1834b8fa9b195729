// One side is away while the other writes: everything arrives afterwards, exactly once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../client.mjs';
import { control, until } from '../sandbox.mjs';
import { GUEST, SHOP, arrived, events, group, heard, jid, queue, reached, received, say, town } from './town.mjs';

/** The companion of a number, as the sandbox sees it. */
const companion = async (number) => (await control(town.sandbox, 'GET', `phones/${number}`)).companions[0];

/** While our server is away, Baileys writes, also to the group; then it comes back. */
async function writtenMeanwhile(signal, texts) {
  await town.kabar.stop(signal);
  await until('our device gone', async () => !(await companion(SHOP)).online);
  const sent = [];
  for (const text of texts) {
    sent.push(await town.guest.send(jid(SHOP), { text }));
    sent.push(await town.guest.send(group(), { text: `${text}, all of you` }));
  }
  await until('it waiting', async () => (await companion(SHOP)).waiting >= sent.length);
  await town.kabar.start();
  await until('our device back', async () => (await companion(SHOP)).online);
  return sent;
}

/** How often Baileys got a message of ours that it could read. */
const copies = ({ wire_id }) => town.guest.messages.filter((it) => it.key.id === wire_id && it.message).length;

/** What was sent is stored once, and told once. What comes after it has come: nothing is on its way. */
async function once(sent) {
  for (const message of sent) await heard(message);
  await heard(await town.guest.send(jid(SHOP), { text: 'and now?' }));
  await until('nothing waiting', async () => (await companion(SHOP)).waiting === 0);
  const ids = new Set(sent.map((it) => it.key.id));
  const stored = (await received()).filter((it) => ids.has(it.wire_id));
  assert.equal(stored.length, sent.length);
  const told = (await events('message.received')).map((it) => it.data.message_id);
  for (const { id } of stored) assert.equal(told.filter((it) => it === id).length, 1);
}

test('what Baileys writes while our server is stopped arrives once', async () => {
  await once(await writtenMeanwhile('SIGTERM', ['while you were out', 'and another']));
});

test('what Baileys writes while our server is dead arrives once', async () => {
  await once(await writtenMeanwhile('SIGKILL', ['are you dead?', 'hello?']));
});

test('after that our server writes on where it was, to Baileys and to the group', async () => {
  const ours = [
    await say({ type: 'text', body: 'back again' }),
    await say({ type: 'text', body: 'back again, all of you' }, { to: { group_id: group() } }),
  ];
  for (const message of ours) {
    await arrived(message);
    assert.equal(copies(message), 1);
  }
});

test('what we write while our device is disconnected waits, and arrives once', async () => {
  await town.kabar.post(`/devices/${town.device}/disconnect`);
  await until('our device gone', async () => !(await companion(SHOP)).online);
  const { id } = await queue({ type: 'text', body: 'as soon as we can' });
  await town.kabar.post(`/devices/${town.device}/connect`);
  const ours = await reached(id, 'sent');
  await arrived(ours);
  await arrived(await say({ type: 'text', body: 'there we are' }));
  assert.equal(copies(ours), 1);
});

test('what we write while Baileys is away arrives once', async () => {
  await town.guest.stop();
  await until('Baileys gone', async () => !(await companion(GUEST)).online);
  const ours = [await say({ type: 'text', body: 'we are open' }), await say({ type: 'text', body: 'until six' })];
  assert.deepEqual(ours.map((it) => it.status), ['sent', 'sent']);
  town.guest = await new Client(town.sandbox, { folder: town.guest.folder }).start();
  await town.guest.online();
  for (const message of ours) await arrived(message);
  await arrived(await say({ type: 'text', body: 'see you' }));
  await until('nothing waiting', async () => (await companion(GUEST)).waiting === 0);
  assert.deepEqual(ours.map(copies), [1, 1]);
});
