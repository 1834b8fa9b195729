// What the network does to messages on their way: each is asked for again where it has to be, and there once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { control } from '../sandbox.mjs';
import { GUEST, SHOP, arrived, group, heard, jid, received, say, town } from './town.mjs';

/** The next message that is handed to this account's companion meets this. */
const next = (account, effect) => control(town.sandbox, 'POST', 'faults', { on: 'deliver', account, effect });
const damaged = (account) => next(account, { kind: 'corrupt' });

/** It did meet it. */
const struck = async () => assert.deepEqual(await control(town.sandbox, 'GET', 'faults'), []);

/** Stored once, with these words. */
async function heardOnce(sent, body) {
  assert.equal((await heard(sent)).content.body, body);
  await struck();
  const others = await town.guest.send(jid(SHOP), { text: `after ${body}` });
  await heard(others);
  assert.equal((await received()).filter((it) => it.wire_id === sent.key.id).length, 1);
}

/** Decrypted once, with these words. */
async function arrivedOnce(ours, body) {
  const { message } = await arrived(ours);
  assert.equal(message.conversation ?? message.extendedTextMessage.text, body);
  await struck();
  await arrived(await say({ type: 'text', body: `after ${body}` }));
  const copies = town.guest.messages.filter((it) => it.key.id === ours.wire_id && it.message);
  assert.equal(copies.length, 1);
}

test('our device asks for what it could not read', async () => {
  await damaged(SHOP);
  await heardOnce(await town.guest.send(jid(SHOP), { text: 'damaged' }), 'damaged');
  await damaged(SHOP);
  await heardOnce(await town.guest.send(group(), { text: 'damaged, to all' }), 'damaged, to all');
});

test('our device sends again what Baileys could not read', async () => {
  await damaged(GUEST);
  await arrivedOnce(await say({ type: 'text', body: 'ours, damaged' }), 'ours, damaged');
  await damaged(GUEST);
  const to = { group_id: group() };
  await arrivedOnce(await say({ type: 'text', body: 'ours, damaged, to all' }, { to }), 'ours, damaged, to all');
});

test('what comes twice is stored once', async () => {
  await next(SHOP, { kind: 'duplicate', copies: 3 });
  await heardOnce(await town.guest.send(jid(SHOP), { text: 'thrice' }), 'thrice');
});
