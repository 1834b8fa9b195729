// A Baileys client for a test in another language: it tells on its output, one line of JSON each, the
// QR code to scan, that it is connected, and every message that it could read.
//
//   ROOT_KEY=… WS_URL=ws://… [FOLDER=…] node receiver.mjs
//
// FOLDER is where it keeps its session.
import { Client, trust } from './client.mjs';

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

class Receiver extends Client {
  async start() {
    await super.start();
    this.socket.ev.on('messages.upsert', ({ messages }) => messages.forEach(show));
    return this;
  }

  async connection(update) {
    if (update.qr) tell({ qr: update.qr });
    await super.connection(update);
    if (update.connection === 'open') tell({ open: true });
  }
}

function show({ key, message }) {
  const text = message?.conversation ?? message?.extendedTextMessage?.text;
  if (text !== undefined) tell({ id: key.id, text });
}

const sandbox = { root_key: process.env.ROOT_KEY, ws_url: process.env.WS_URL };
trust(sandbox);
await new Receiver(sandbox, { folder: process.env.FOLDER }).start();
