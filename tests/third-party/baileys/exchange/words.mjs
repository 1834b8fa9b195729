// Words: texts, answers, reactions, what is changed and taken back, and how far they got.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../sandbox.mjs';
import { GUEST, SHOP, arrived, events, heard, jid, reached, say, town } from './town.mjs';

/** `WAMessageStatus.DELIVERY_ACK` */
const DELIVERED = 3;
/** `WAMessageStatus.READ` */
const READ = 4;

test('texts', async () => {
  const ours = await say({ type: 'text', body: 'Selamat pagi 👋' });
  const { message } = await arrived(ours);
  assert.equal(message.conversation ?? message.extendedTextMessage.text, 'Selamat pagi 👋');

  const theirs = await town.guest.send(jid(SHOP), { text: 'from Baileys' });
  const stored = await heard(theirs);
  assert.deepEqual([stored.status, stored.origin], ['delivered', 'contact']);
  assert.deepEqual(stored.content, { type: 'text', body: 'from Baileys' });
});

test('both ways are one conversation with one contact', async () => {
  const conversations = await town.kabar.all(`/conversations?device=${town.device}`);
  assert.equal(conversations.length, 1);
  assert.equal(conversations[0].unread, 1);
  const contact = await town.kabar.get(`/contacts/${conversations[0].contact_id}`);
  const known = contact.identities.map((it) => [it.kind, it.value]);
  assert.ok(known.some(([kind, value]) => kind === 'phone' && value === `+${GUEST}`), JSON.stringify(known));
  const messages = await town.kabar.all(`/messages?conversation=${conversations[0].id}`);
  assert.deepEqual(messages.map((it) => it.direction), ['in', 'out']);
});

test('a message of ours is delivered, and read when Baileys reads it', async () => {
  const ours = await say({ type: 'text', body: 'read me' });
  const message = await arrived(ours);
  const delivered = await reached(ours.id, 'delivered');
  assert.deepEqual([delivered.status, delivered.read_at], ['delivered', null]);
  await town.guest.socket.readMessages([message.key]);
  const read = await reached(ours.id, 'read');
  assert.ok(read.delivered_at <= read.read_at);
  const told = (await events('message.status')).filter((it) => it.data.message_id === ours.id);
  const road = told.map((it) => it.data.status).filter((it) => ['sent', 'delivered', 'read'].includes(it));
  assert.deepEqual(road, ['sent', 'delivered', 'read']);
});

test('a message of Baileys is delivered, and read when its conversation is; meanwhile we type', async () => {
  const theirs = await town.guest.send(jid(SHOP), { text: 'is it there?' });
  const { conversation_id } = await heard(theirs);
  await until('a delivery receipt', () => town.guest.status(theirs.key.id) >= DELIVERED);
  assert.equal(town.guest.status(theirs.key.id), DELIVERED);
  const read = await town.kabar.post(`/conversations/${conversation_id}/read`, { typing: true });
  assert.equal(read.unread, 0);
  await until('a read receipt', () => town.guest.status(theirs.key.id) >= READ);
  const composing = ({ presences }) => Object.values(presences).some((it) => it.lastKnownPresence === 'composing');
  await until('us typing', () => town.guest.presences.some(composing));
});

test('answers quote', async () => {
  const question = await say({ type: 'text', body: 'Tea or coffee?' });
  const answer = await town.guest.send(jid(SHOP), { text: 'Tea' }, { quoted: await arrived(question) });
  const stored = await heard(answer);
  assert.deepEqual([stored.content.body, stored.reply_to], ['Tea', question.id]);

  const ours = await say({ type: 'text', body: 'Coming up' }, { replyTo: stored.id });
  const { message } = await arrived(ours);
  assert.equal(message.extendedTextMessage.text, 'Coming up');
  const { stanzaId, participant } = message.extendedTextMessage.contextInfo;
  assert.deepEqual([stanzaId, participant], [answer.key.id, jid(GUEST)]);
});

test('reactions', async () => {
  const ours = await say({ type: 'text', body: 'like it?' });
  const liked = await arrived(ours);
  const like = await heard(await town.guest.send(jid(SHOP), { react: { text: '👍', key: liked.key } }));
  assert.deepEqual([like.type, like.content.emoji, like.target_id], ['reaction', '👍', ours.id]);
  const back = await heard(await town.guest.send(jid(SHOP), { react: { text: '', key: liked.key } }));
  assert.deepEqual([back.content.emoji ?? null, back.target_id], [null, ours.id]);

  const theirs = await town.guest.send(jid(SHOP), { text: 'I do' });
  const { id } = await heard(theirs);
  const { message } = await arrived(await say({ type: 'reaction', emoji: '❤️' }, { replyTo: id }));
  const { text, key } = message.reactionMessage;
  assert.deepEqual([text, key.id, key.fromMe], ['❤️', theirs.key.id, true]);
});

test('Baileys changes a text, and takes one back', async () => {
  const theirs = await town.guest.send(jid(SHOP), { text: 'tree soto' });
  const { id } = await heard(theirs);
  const edit = await heard(await town.guest.send(jid(SHOP), { text: 'three soto', edit: theirs.key }));
  assert.deepEqual([edit.type, edit.target_id], ['edit', id]);
  assert.deepEqual(edit.content.content, { type: 'text', body: 'three soto' });
  const revoke = await heard(await town.guest.send(jid(SHOP), { delete: theirs.key }));
  assert.deepEqual([revoke.type, revoke.target_id], ['revoke', id]);
});
