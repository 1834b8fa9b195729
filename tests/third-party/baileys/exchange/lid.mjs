// Both accounts move to linked ids, in the middle of their conversation: it stays the same one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { control, until } from '../sandbox.mjs';
import { GUEST, SHOP, arrived, heard, jid, say, town } from './town.mjs';

let shop;
let guest;

/** Moves an account and answers its linked id, as an address. */
async function move(number) {
  await control(town.sandbox, 'POST', `phones/${number}/act`, { do: 'migrate_to_lid' });
  return `${(await control(town.sandbox, 'GET', `phones/${number}`)).lid}@lid`;
}

test('texts under linked ids belong to the conversation that there was', async () => {
  const before = await say({ type: 'text', body: 'before' });
  [shop, guest] = [await move(SHOP), await move(GUEST)];
  const theirs = await heard(await town.guest.send(shop, { text: 'from my linked id' }));
  assert.equal(theirs.content.body, 'from my linked id');
  assert.deepEqual([theirs.conversation_id, theirs.contact_id], [before.conversation_id, before.contact_id]);

  // Our session learns with its next login that its account has moved.
  await control(town.sandbox, 'POST', 'connections/end', { number: SHOP, ending: { kind: 'close' } });
  const ours = await until('our device writing under its linked id', async () => {
    const sent = await say({ type: 'text', body: 'to your linked id' });
    return (await arrived(sent)).key.remoteJid === shop && sent;
  });
  assert.equal(ours.conversation_id, before.conversation_id);
});

test('answers, reactions and votes find what they are for', async () => {
  const poll = await say({ type: 'poll', question: 'Again?', options: ['yes', 'no'] });
  const asked = await arrived(poll);
  const vote = await heard(await town.guest.vote(asked, ['no']));
  assert.deepEqual([vote.content.options, vote.target_id], [['no'], poll.id]);
  const like = await heard(await town.guest.send(shop, { react: { text: '👍', key: asked.key } }));
  assert.deepEqual([like.content.emoji, like.target_id], ['👍', poll.id]);

  const why = await town.guest.send(shop, { text: 'why not?' }, { quoted: asked });
  const stored = await heard(why);
  assert.equal(stored.reply_to, poll.id);
  const { contextInfo } = (await arrived(await say({ type: 'text', body: 'fine' }, { replyTo: stored.id })))
    .message.extendedTextMessage;
  assert.equal(contextInfo.stanzaId, why.key.id);
  // Who owns both names knows that either is theirs.
  assert.ok([guest, jid(GUEST)].includes(contextInfo.participant), contextInfo.participant);
});
