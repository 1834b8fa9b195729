// Prism as a child process on a port that the system chose.

import { spawn } from "node:child_process";

const PATIENCE_MS = 60_000;
const LISTENING = /Prism is listening on (http:\/\/127\.0\.0\.1:\d+)/;

/** Starts `prism proxy`, and returns its address once it listens. */
export const startPrism = (document, upstream) =>
  new Promise((resolve, reject) => {
    const script = new URL("../node_modules/.bin/prism", import.meta.url).pathname;
    const options = ["proxy", "-h", "127.0.0.1", "-p", "0", document, upstream];
    const child = spawn(script, options, { stdio: ["ignore", "pipe", "pipe"] });
    const stop = () => child.kill("SIGTERM");
    let said = "";
    const fail = (why) => {
      clearTimeout(timer);
      stop();
      reject(new Error(`prism ${why}:\n${said.slice(-2000)}`));
    };
    const timer = setTimeout(() => fail("does not start"), PATIENCE_MS);
    const hear = (chunk) => {
      if (timer.heard) return;
      said += chunk;
      const address = LISTENING.exec(said)?.[1];
      if (address === undefined) return;
      timer.heard = true;
      clearTimeout(timer);
      resolve({ address, stop });
    };
    child.stdout.setEncoding("utf8").on("data", hear);
    child.stderr.setEncoding("utf8").on("data", hear);
    child.on("error", (error) => fail(error.message));
    child.on("exit", (code) => fail(`ended with ${code}`));
  });
