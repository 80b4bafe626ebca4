// Pings all the time, while a test changes something beneath them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { until } from "./cluster.ts";

/** Stops it, and gives how many answers are missing among those that came. */
export type Stop = () => Promise<number>;

const running = new Set<() => void>();

/**
 * Pings from a namespace. What is on its way when it is stopped does not count: it is stopped when a ping was answered
 * that was sent after the stop was asked for.
 */
export function pinging(netns: string, to: string, everyMs = 2): Stop {
  // -O tells what was sent without an answer so far: which was the latest.
  const argv = ["netns", "exec", netns, "ping", "-n", "-O", "-i", String(everyMs / 1_000), to];
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "ip", ...argv], { stdio: ["ignore", "pipe", "ignore"] });
  const kill = () => void child.kill("SIGKILL");
  running.add(kill);
  const answered = new Set<number>();
  let latest = 0;
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const seq = Number(/icmp_seq=(\d+)/.exec(line)?.[1] ?? 0);
      latest = Math.max(latest, seq);
      if (line.includes("bytes from")) answered.add(seq);
    }
  });
  return async () => {
    try {
      const asked = latest + 1;
      const last = await until(`${to} answers in the end`, async () => [...answered].find((seq) => seq > asked));
      assert.ok(answered.size > 10, `${answered.size} answers say nothing`);
      let missing = 0;
      for (let seq = 1; seq < last; seq++) if (!answered.has(seq)) missing += 1;
      return missing;
    } finally {
      running.delete(kill);
      kill();
    }
  };
}

/** Ends what a test that failed has left. */
export function stopPinging(): void {
  for (const kill of running) kill();
  running.clear();
}
