// What must be so after everything.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { control } from '../sandbox.mjs';
import { BOB, GUEST, SHOP, received, town } from './town.mjs';

test('no phone met anything unreadable, the sandbox nothing unknown', async () => {
  for (const number of [SHOP, GUEST, BOB]) {
    assert.equal((await control(town.sandbox, 'GET', `phones/${number}`)).failures, 0);
  }
  assert.deepEqual((await control(town.sandbox, 'GET', 'state')).unhandled, {});
});

test('nothing was stored twice, and nothing failed', async () => {
  const stored = await received();
  assert.equal(new Set(stored.map((it) => it.wire_id)).size, stored.length);
  const sent = await town.kabar.all(`/messages?device=${town.device}&direction=out`);
  const states = new Set(sent.map((it) => it.status));
  for (const state of states) assert.ok(['sent', 'delivered', 'read'].includes(state), state);
});
