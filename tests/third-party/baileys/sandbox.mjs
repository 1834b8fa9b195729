// The multi-device sandbox: started as a program, driven over its control API.
import { spawn } from 'node:child_process';
import http from 'node:http';
import https from 'node:https';
import { syncBuiltinESMExports } from 'node:module';
import { createInterface } from 'node:readline';

/** Starts the program and reads where it serves. */
export async function startSandbox(binary) {
  const program = spawn(binary, [], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: program.stdout });
  const about = await new Promise((resolve, reject) => {
    lines.once('line', (line) => resolve(JSON.parse(line)));
    program.once('exit', (code) => reject(new Error(`sandbox ended with ${code}`)));
  });
  return { ...about, stop: () => program.kill('SIGINT') };
}

/** Calls the control API; throws what it refuses. */
export async function control(sandbox, method, path, body) {
  const response = await fetch(`${sandbox.http_url}/control/${path}`, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${answer.error}`);
  return answer;
}

/** Repeats `look` until it finds something. */
export async function until(what, look, seconds = 30) {
  const end = Date.now() + seconds * 1000;
  while (Date.now() < end) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never saw ${what}`);
}

/**
 * Baileys always speaks https to media hosts; the sandbox serves plain http. Downloads go through
 * fetch, uploads through the https module.
 */
export function mediaOverHttp(sandbox) {
  const { host, port } = new URL(sandbox.http_url);
  const plainFetch = globalThis.fetch;
  globalThis.fetch = (url, options) => {
    const address = String(url);
    const rewritten = address.startsWith(`https://${host}/`) ? address.replace('https:', 'http:') : url;
    return plainFetch(rewritten, options);
  };
  const plainRequest = https.request;
  https.request = (options, ...rest) =>
    String(options.port) === port
      ? http.request({ ...options, agent: undefined, protocol: 'http:' }, ...rest)
      : plainRequest(options, ...rest);
  syncBuiltinESMExports();
}
