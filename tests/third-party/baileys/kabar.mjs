// The server: started as a program on SQLite, driven over its API as any customer's program would.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from './sandbox.mjs';

const LISTENS = /^kabar listens on (http.*)$/;
const FIRST_KEY = /shown this once: (.*)$/;

export class Kabar {
  /** A server that is not started yet; its data stays in a folder from one start to the next. */
  constructor(binary, sandbox) {
    this.binary = binary;
    this.data = mkdtempSync(join(tmpdir(), 'kabar-server-'));
    this.settings = {
      KABAR_DATA: this.data,
      KABAR_LISTEN: '127.0.0.1:0',
      KABAR_LOG__LEVEL: process.env.KABAR_LOG ?? 'warn',
      KABAR_POLL_MS: '50',
      KABAR_PAIRED__URL: sandbox.ws_url,
      KABAR_PAIRED__MEDIA_URL: sandbox.http_url,
      KABAR_PAIRED__SANDBOX: 'true',
      // Any will do for the sandbox; looking the newest up would need the internet.
      KABAR_PAIRED__VERSION: '2.3000.1030000000',
    };
  }

  async start() {
    const env = { ...process.env, ...this.settings };
    this.program = spawn(this.binary, ['serve'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    this.ended = once(this.program, 'exit');
    const lines = createInterface({ input: this.program.stdout });
    this.url = await new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        this.key = FIRST_KEY.exec(line)?.[1] ?? this.key;
        const listens = LISTENS.exec(line);
        if (listens) resolve(listens[1]);
      });
      this.program.once('error', reject);
      this.program.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    });
  }

  /** Ends the program: politely, or with SIGKILL as a power cut would. */
  async stop(signal = 'SIGTERM') {
    this.program.kill(signal);
    await this.ended;
  }

  /** Ends it for good. */
  async remove() {
    if (this.program) await this.stop();
    rmSync(this.data, { recursive: true, force: true });
  }

  get = (path) => this.call('GET', path);
  post = (path, body) => this.call('POST', path, body);
  put = (path, body) => this.call('PUT', path, body);

  async call(method, path, body) {
    const answer = await this.request(method, path, JSON.stringify(body), 'application/json');
    const text = await answer.text();
    return text ? JSON.parse(text) : undefined;
  }

  /** Stores a file to be sent; answers its id. */
  async upload(bytes, name, type) {
    const form = new FormData();
    form.set('file', new Blob([bytes], { type }), name);
    return (await (await this.request('POST', '/media', form)).json()).id;
  }

  async download(id) {
    return Buffer.from(await (await this.request('GET', `/media/${id}/content`)).arrayBuffer());
  }

  /** Every item of a list, page by page. */
  async all(path) {
    const items = [];
    const join = path.includes('?') ? '&' : '?';
    let page = await this.get(`${path}${join}limit=200`);
    while (page.items.length > 0) {
      items.push(...page.items);
      if (!page.next) break;
      page = await this.get(`${path}${join}limit=200&after=${encodeURIComponent(page.next)}`);
    }
    return items;
  }

  /** A call within the account, if there is one already; throws what the server refuses. */
  async request(method, path, body, type) {
    const headers = { authorization: `Bearer ${this.key}` };
    if (type && body !== undefined) headers['content-type'] = type;
    if (this.account) headers['kabar-account'] = this.account;
    const answer = await fetch(`${this.url}/api/v1${path}`, { method, headers, body });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }
}

/** A device of ours with a session of the sandbox, connected. */
export async function pairedDevice(kabar, session) {
  const { account } = await kabar.post('/accounts', { name: 'Shop', country: 'ID' });
  kabar.account = account.id;
  const { device } = await kabar.post('/devices', { name: 'Phone', channel: 'qr_session', accept_risk: true });
  await kabar.put(`/devices/${device.id}/session`, session);
  await kabar.post(`/devices/${device.id}/connect`);
  await connected(kabar, device.id);
  return device.id;
}

/** Waits until the device says that it is connected. */
export const connected = (kabar, device) =>
  until('our device connected', async () => (await kabar.get(`/devices/${device}`)).state === 'connected');
