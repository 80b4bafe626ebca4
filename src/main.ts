// The composition root: the only file that reads the environment, makes the clock, handles signals and puts the
// daemons together. Everything else gets what it needs as arguments. Modules of the daemons are loaded only when one
// is started, because a CLI verb has to feel instant.
import { createInterface } from "node:readline/promises";
import { text } from "node:stream/consumers";
import { runCli } from "./cli/cli.ts";
import type { Io } from "./cli/io.ts";
import type { Clock } from "./model/clock.ts";

const clock: Clock = {
  nowMs: () => Date.now(),
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
  // The second signal means it: whoever sends it does not want to wait for an orderly end.
  process
    .once(name, () => stopping.abort(new Error(`stopped by ${name}`)))
    .once(name, () => process.once(name, () => process.exit(130)));
}
// `weft network list | head -1` is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

const io: Io = {
  out: (data) => void process.stdout.write(data),
  err: (prose) => void process.stderr.write(prose),
  color:
    process.stdout.isTTY &&
    process.stderr.isTTY &&
    (process.env["NO_COLOR"] ?? "") === "" &&
    process.env["TERM"] !== "dumb",
  live: process.stderr.isTTY && process.env["TERM"] !== "dumb",
  stdin: () => text(process.stdin),
  ask: process.stdin.isTTY && process.stderr.isTTY ? ask : undefined,
  env: process.env,
  clock,
  signal: stopping.signal,
};

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question(question, { signal: stopping.signal });
  } finally {
    lines.close();
  }
}

process.exitCode = await runCli(process.argv.slice(2), io, {
  server: async (flags) => Promise.reject(new Error(String(flags))),
  agent: async (flags) => Promise.reject(new Error(String(flags))),
  demoUp: async (...args) => (await import("./demo/up.ts")).up(...args),
  demoDown: async (...args) => (await import("./demo/down.ts")).down(...args),
});
