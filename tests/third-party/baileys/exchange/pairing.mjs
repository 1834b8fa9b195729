// Both sides come in: ours with a session that the sandbox minted, Baileys by a code.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../client.mjs';
import { control, until } from '../sandbox.mjs';
import { GUEST, SHOP, town } from './town.mjs';

const connections = () => control(town.sandbox, 'GET', 'connections');

test('our device is connected, with its number and the risk', async () => {
  const device = await town.kabar.get(`/devices/${town.device}`);
  assert.deepEqual([device.channel, device.phone], ['qr_session', `+${SHOP}`]);
  assert.ok(device.ban_risk && device.risk_accepted_at);
  // IK: the server's certificates came with the session, and were checked when it was minted.
  assert.deepEqual(await connections(), [{ number: SHOP, device: 1, pattern: 'ik' }]);
});

test('Baileys pairs by QR code', async () => {
  const qr = await until('a QR code', () => town.guest.qr);
  await control(town.sandbox, 'POST', `phones/${GUEST}/scan`, { qr });
  await town.guest.online();
});

test('Baileys logs in again', async () => {
  await town.guest.stop();
  await until('the end of the connection', async () => (await connections()).every((it) => it.number !== GUEST));
  town.guest = await new Client(town.sandbox, { folder: town.guest.folder }).start();
  await town.guest.online();
});
