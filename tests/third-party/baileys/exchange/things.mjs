// Files, places, cards and polls.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { downloadMediaMessage } from 'baileys';
import { SHOP, arrived, heard, jid, say, town } from './town.mjs';

const VCARD = ['BEGIN:VCARD', 'VERSION:3.0', 'FN:Budi', 'TEL;type=CELL;waid=628123456789:+62 812-3456-789', 'END:VCARD'].join('\n');

/** What came in, once its file is stored here too. */
const withFile = (sent) => heard(sent, (it) => it.media_id);

test('pictures', async () => {
  const picture = randomBytes(50_000);
  const id = await town.kabar.upload(picture, 'soto.png', 'image/png');
  const ours = await say({ type: 'image', media_id: id, caption: 'Soto' });
  const message = await arrived(ours);
  assert.equal(message.message.imageMessage.caption, 'Soto');
  assert.equal(message.message.imageMessage.mimetype, 'image/png');
  assert.ok((await downloadMediaMessage(message, 'buffer', {})).equals(picture));

  const theirs = randomBytes(70_000);
  const sent = await town.guest.send(jid(SHOP), { image: theirs, caption: 'My soto', jpegThumbnail: '' });
  const stored = await withFile(sent);
  assert.deepEqual([stored.type, stored.content.caption, stored.content.mime], ['image', 'My soto', 'image/jpeg']);
  assert.ok((await town.kabar.download(stored.media_id)).equals(theirs));
});

test('documents', async () => {
  const invoice = randomBytes(120_000);
  const id = await town.kabar.upload(invoice, 'invoice.pdf', 'application/pdf');
  const ours = await say({ type: 'document', media_id: id, filename: 'invoice 7.pdf' });
  const message = await arrived(ours);
  const { fileName, mimetype } = message.message.documentMessage;
  assert.deepEqual([fileName, mimetype], ['invoice 7.pdf', 'application/pdf']);
  assert.ok((await downloadMediaMessage(message, 'buffer', {})).equals(invoice));

  const theirs = randomBytes(90_000);
  const content = { document: theirs, mimetype: 'text/csv', fileName: 'orders.csv', caption: 'All of them' };
  const stored = await withFile(await town.guest.send(jid(SHOP), content));
  const { type, filename, mime, caption } = stored.content;
  assert.deepEqual([type, filename, mime, caption], ['document', 'orders.csv', 'text/csv', 'All of them']);
  assert.ok((await town.kabar.download(stored.media_id)).equals(theirs));
});

test('places', async () => {
  const ours = await say({ type: 'location', latitude: -6.2, longitude: 106.8, name: 'Warung' });
  const { locationMessage } = (await arrived(ours)).message;
  const { degreesLatitude, degreesLongitude, name } = locationMessage;
  assert.deepEqual([degreesLatitude, degreesLongitude, name], [-6.2, 106.8, 'Warung']);

  const place = { degreesLatitude: 1.5, degreesLongitude: 103.25, name: 'Home', address: 'Jalan 7' };
  const stored = await heard(await town.guest.send(jid(SHOP), { location: place }));
  const wanted = { type: 'location', latitude: 1.5, longitude: 103.25, name: 'Home', address: 'Jalan 7' };
  assert.deepEqual(stored.content, wanted);
});

test('contact cards', async () => {
  const ours = await say({ type: 'contacts', cards: [{ name: 'Ani', phones: ['+628111222333'] }] });
  const { contactMessage } = (await arrived(ours)).message;
  assert.equal(contactMessage.displayName, 'Ani');
  assert.match(contactMessage.vcard, /FN:Ani[\s\S]*TEL[^\n]*628111222333/);

  const contacts = { displayName: 'Budi', contacts: [{ displayName: 'Budi', vcard: VCARD }] };
  const stored = await heard(await town.guest.send(jid(SHOP), { contacts }));
  assert.equal(stored.type, 'contacts');
  assert.equal(stored.content.cards.length, 1);
  assert.equal(stored.content.cards[0].name, 'Budi');
  assert.deepEqual(stored.content.cards[0].phones, ['+62 812-3456-789']);
});

test('Baileys votes in our poll, thinks again, and takes the vote back', async () => {
  const poll = await say({ type: 'poll', question: 'Drink?', options: ['tea', 'coffee'], selectable: 1 });
  const asked = await arrived(poll);
  assert.equal(asked.message.pollCreationMessageV3.name, 'Drink?');
  for (const options of [['coffee'], ['tea'], []]) {
    const vote = await heard(await town.guest.vote(asked, options));
    assert.deepEqual([vote.type, vote.content.options, vote.target_id], ['poll_vote', options, poll.id]);
  }
});

test('Baileys votes for several options where that is allowed', async () => {
  const poll = await say({ type: 'poll', question: 'With?', options: ['rice', 'egg', 'lime'], selectable: 3 });
  const vote = await heard(await town.guest.vote(await arrived(poll), ['lime', 'rice']));
  assert.deepEqual([vote.content.options, vote.target_id], [['rice', 'lime'], poll.id]);
});

test('a poll of Baileys is kept as it was asked', async () => {
  const poll = { name: 'When?', values: ['noon', 'six'], selectableCount: 1 };
  const stored = await heard(await town.guest.send(jid(SHOP), { poll }));
  const raw = { question: 'When?', options: ['noon', 'six'], selectable: 1 };
  assert.deepEqual(stored.content, { type: 'unknown', kind: 'poll', raw });
});
