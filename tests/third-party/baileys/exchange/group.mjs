// A group with both of them and a virtual phone in it: sender keys, and whose message is whose.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jidNormalizedUser } from 'baileys';
import { control, until } from '../sandbox.mjs';
import { BOB, GUEST, SHOP, arrived, group, heard, jid, reached, say, town } from './town.mjs';

const toAll = () => ({ to: { group_id: group() } });

/** What Baileys is called in the group. */
const ownLid = () => jidNormalizedUser(town.guest.socket.user.lid);

/** Waits until the third member's phone has read a text once. */
async function read(text, sender) {
  const texts = async () => control(town.sandbox, 'GET', `phones/${BOB}/messages`);
  const message = await until(`${text} at the third phone`, async () => (await texts()).find((it) => it.text === text));
  assert.deepEqual([message.chat, message.sender, message.arrivals], [group(), sender, 1]);
}

test('Baileys makes a group, and its texts come with their author', async () => {
  ({ id: town.club } = await town.guest.socket.groupCreate('Club', [jid(SHOP), jid(BOB)]));
  const stored = await heard(await town.guest.send(group(), { text: 'to all, from Baileys' }));
  assert.deepEqual(stored.content, { type: 'text', body: 'to all, from Baileys' });
  const { phone, lid } = stored.author;
  assert.deepEqual([phone, `${lid}@lid`], [`+${GUEST}`, ownLid()]);
  const contact = await town.kabar.get(`/contacts/${stored.contact_id}`);
  assert.equal(contact.kind, 'group');
  assert.ok(contact.identities.some((it) => it.value === group()));
  await read('to all, from Baileys', GUEST);
});

test('our texts reach everybody in the group', async () => {
  const theirs = await heard(await town.guest.send(group(), { text: 'who is here?' }));
  const ours = await say({ type: 'text', body: 'to all, from us' }, toAll());
  const { key, message } = await arrived(ours);
  assert.equal(message.conversation ?? message.extendedTextMessage.text, 'to all, from us');
  assert.equal(key.remoteJid, group());
  assert.equal(ours.conversation_id, theirs.conversation_id);
  await read('to all, from us', SHOP);
  // Under keys that everybody has by now.
  const again = await say({ type: 'text', body: 'to all, once more' }, toAll());
  await arrived(again);
  await read('to all, once more', SHOP);
  await reached(again.id, 'delivered');
});

test('answers and reactions in the group name whose message it was', async () => {
  const lid = ownLid();
  const theirs = await town.guest.send(group(), { text: 'soto for six?' });
  const { id } = await heard(theirs);

  const answer = (await arrived(await say({ type: 'text', body: 'of course' }, { ...toAll(), replyTo: id }))).message;
  const { stanzaId, participant } = answer.extendedTextMessage.contextInfo;
  assert.deepEqual([stanzaId, participant], [theirs.key.id, lid]);

  const { message } = await arrived(await say({ type: 'reaction', emoji: '👍' }, { ...toAll(), replyTo: id }));
  const { text, key } = message.reactionMessage;
  assert.deepEqual([text, key.id, key.participant, key.fromMe], ['👍', theirs.key.id, lid, true]);
});

test('Baileys answers and reacts to what we wrote in the group', async () => {
  const ours = await say({ type: 'text', body: 'tables are free' }, toAll());
  const message = await arrived(ours);
  const answer = await heard(await town.guest.send(group(), { text: 'good' }, { quoted: message }));
  assert.deepEqual([answer.content.body, answer.reply_to], ['good', ours.id]);
  const like = await heard(await town.guest.send(group(), { react: { text: '🎉', key: message.key } }));
  assert.deepEqual([like.content.emoji, like.target_id], ['🎉', ours.id]);
});

test('what Baileys wrote in the group is read when its conversation is', async () => {
  const theirs = await town.guest.send(group(), { text: 'anybody?' });
  const { conversation_id } = await heard(theirs);
  await town.kabar.post(`/conversations/${conversation_id}/read`, {});
  const isIt = ({ key, receipt }) => key.id === theirs.key.id && receipt.readTimestamp && receipt.userJid === shop;
  const shop = `${(await control(town.sandbox, 'GET', `phones/${SHOP}`)).lid}@lid`;
  await until('our read receipt', () => town.guest.receipts.some(isIt));
});

test('our device knows that it is in the group', async () => {
  const { items } = await town.kabar.get(`/devices/${town.device}/groups`);
  const { id, name, members, admin } = items[0];
  assert.deepEqual([items.length, id, name, members, admin], [1, group(), 'Club', 3, false]);
});

test('Baileys votes in a poll that we ask the group', async () => {
  const poll = await say({ type: 'poll', question: 'Friday?', options: ['yes', 'no'] }, toAll());
  const vote = await heard(await town.guest.vote(await arrived(poll), ['yes']));
  assert.deepEqual([vote.type, vote.content.options, vote.target_id], ['poll_vote', ['yes'], poll.id]);
});
