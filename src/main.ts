// The composition root: the only file that reads the environment, makes the clock and handles signals. Everything else
// gets what it needs as arguments. The daemons are built in main/; they are loaded only when one is started, so that
// CLI commands start quickly.
import { existsSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { runCli } from "./cli/cli.ts";
import type { Io } from "./cli/io.ts";
import { logOn } from "./main/log.ts";
import type { Surroundings } from "./main/surroundings.ts";
import type { Clock } from "./model/clock.ts";
import { Fault } from "./model/fault.ts";

const clock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.timeOrigin + performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done);
    }),
};

const stopping = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) {
  // A second signal ends the process at once.
  process.once(name, () => {
    process.once(name, () => process.exit(130));
    stopping.abort(new Error(`stopped by ${name}`));
  });
}
// `weft network list | head -1` is not an error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

const io: Io = {
  out: (data) => void process.stdout.write(data),
  err: (prose) => void process.stderr.write(prose),
  columns: process.stdout.columns || 80,
  fit: process.stdout.isTTY ? process.stdout.columns || Number(process.env["COLUMNS"]) || undefined : undefined,
  color: process.stdout.isTTY && process.stderr.isTTY && (process.env["NO_COLOR"] ?? "") === "" && !isDumb(),
  live: process.stderr.isTTY && !isDumb(),
  stdin: () => text(process.stdin),
  ask: process.stdin.isTTY && process.stderr.isTTY ? ask : undefined,
  askSecret: process.stdin.isTTY && process.stderr.isTTY ? askSecret : undefined,
  env: process.env,
  clock,
  signal: stopping.signal,
};

function isDumb(): boolean {
  return process.env["TERM"] === "dumb";
}

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(question, { signal: stopping.signal });
  } finally {
    lines.close();
  }
}

/** The terminal shows nothing of the answer. */
async function askSecret(question: string): Promise<string> {
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
  process.stderr.write(question);
  try {
    return await lines.question("", { signal: stopping.signal });
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}

const surroundings: Surroundings = {
  env: process.env,
  clock,
  signal: stopping.signal,
  random: Math.random,
  log: logOn(process.stderr, clock),
};

/** The demonstration is part of the source tree, but a server does not install it. */
async function demonstration<T>(load: () => Promise<T>): Promise<T> {
  if (existsSync(new URL("../demo", import.meta.url))) return await load();
  throw new Fault("unsupported", {
    what: "the demonstration cluster is not installed here",
    why: "it is part of Weft's source tree only",
    fix: "run script/up in a checkout of Weft",
  });
}

let isDaemon = false;
const exit = await runCli(process.argv.slice(2), io, {
  server: async (flags) => {
    isDaemon = true;
    return (await import("./main/server.ts")).runServer(flags, surroundings);
  },
  agent: async (flags) => {
    isDaemon = true;
    return (await import("./main/agent.ts")).runAgent(flags, surroundings);
  },
  purge: async (...args) => (await import("./main/purge.ts")).purge(...args),
  demoUp: async (...args) => (await demonstration(() => import("../demo/up.ts"))).up(...args),
  demoDown: async (...args) => (await demonstration(() => import("../demo/down.ts"))).down(...args),
});
// What is still open after an interruption, or when a daemon has given up (a request, a thread of the kernel's), would
// keep the process alive, although no socket listens any more by which it could be reached.
if (stopping.signal.aborted || isDaemon) process.exit(exit);
process.exitCode = exit;
