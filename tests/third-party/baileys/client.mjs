// A Baileys client that comes back after restarts, as its documentation asks for.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  generateWAMessageFromContent, isLidUser, jidNormalizedUser, makeWASocket, useMultiFileAuthState,
} from 'baileys';
import { pino } from 'pino';
import { WA_CERT_DETAILS } from './node_modules/baileys/lib/Defaults/index.js';
import { until } from './sandbox.mjs';
import { voteFor } from './vote.mjs';

const RESTART = 515;

/** Trusts the sandbox's root instead of WhatsApp's. */
export function trust(sandbox) {
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(sandbox.root_key, 'hex');
}

export class Client {
  constructor(sandbox, { folder, pairCode } = {}) {
    this.sandbox = sandbox;
    this.folder = folder ?? mkdtempSync(join(tmpdir(), 'kabar-baileys-'));
    this.pairCode = pairCode;
    this.messages = [];
    this.updates = [];
    this.receipts = [];
    this.presences = [];
    this.sent = new Map();
    this.sending = new Set();
    this.closed = undefined;
    this.open = false;
  }

  async start() {
    const { state, saveCreds } = await useMultiFileAuthState(this.folder);
    this.socket = makeWASocket({
      auth: state,
      waWebSocketUrl: this.sandbox.ws_url,
      logger: pino({ level: process.env.BAILEYS_LOG ?? 'silent' }),
      shouldSyncHistoryMessage: () => false,
      syncFullHistory: false,
      getMessage: (key) => this.written(key.id),
    });
    const { ev } = this.socket;
    ev.on('creds.update', saveCreds);
    ev.on('connection.update', (update) => this.connection(update));
    ev.on('messages.upsert', ({ messages }) => this.messages.push(...messages));
    ev.on('messages.update', (updates) => this.updates.push(...updates));
    ev.on('message-receipt.update', (updates) => this.receipts.push(...updates));
    ev.on('presence.update', (update) => this.presences.push(update));
    return this;
  }

  async connection({ qr, connection, lastDisconnect }) {
    if (qr && this.pairCode && !this.code) {
      this.code = 'asked for';
      this.code = await this.socket.requestPairingCode(this.pairCode);
    }
    if (qr) this.qr = qr;
    if (connection === 'open') this.open = true;
    if (connection === 'close') {
      this.open = false;
      this.closed = lastDisconnect?.error?.output?.statusCode;
      if (this.closed === RESTART) await this.start();
    }
  }

  online() {
    return until('the connection', () => this.open);
  }

  message(what, suits) {
    return until(what, () => this.messages.find((it) => it.message && !it.key.fromMe && suits(it.message, it)));
  }

  /** How far an own message is known to have come; Baileys tells with the message or afterwards. */
  status(id) {
    const known = [
      ...this.updates.filter((it) => it.key.id === id).map((it) => it.update.status ?? 0),
      ...this.messages.filter((it) => it.key.id === id).map((it) => it.status ?? 0),
    ];
    return Math.max(0, ...known);
  }

  text(body) {
    return this.message(body, (it) => (it.conversation ?? it.extendedTextMessage?.text) === body);
  }

  async send(to, content, options) {
    const sending = this.socket.sendMessage(to, content, options).then((sent) => {
      this.sent.set(sent.key.id, sent.message);
      return sent;
    });
    this.sending.add(sending);
    try {
      return await sending;
    } finally {
      this.sending.delete(sending);
    }
  }

  /** A message of its own, for who could not read it; they may ask before sending it has ended here. */
  async written(id) {
    await Promise.allSettled([...this.sending]);
    return this.sent.get(id);
  }

  /** Votes in a poll that was received. */
  async vote(poll, options) {
    const { remoteJid, participant } = poll.key;
    const { id, lid } = this.socket.user;
    const voter = jidNormalizedUser(isLidUser(participant || remoteJid) ? lid : id);
    const sent = generateWAMessageFromContent(remoteJid, voteFor(poll, voter, options), { userJid: voter });
    this.sent.set(sent.key.id, sent.message);
    await this.socket.relayMessage(remoteJid, sent.message, { messageId: sent.key.id });
    return sent;
  }

  /** Drops the connection; the credentials stay in the folder. */
  async stop() {
    this.socket.ev.removeAllListeners('connection.update');
    this.socket.end(undefined);
  }
}
