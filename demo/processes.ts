// The processes of the demonstration: started here, recorded at once, and stopped by id only if the id still means the
// same process. The record of a process survives the program that started it, so script/down works after any crash.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../src/model/clock.ts";
import { Fault } from "../src/model/fault.ts";
import { RUN_DIR } from "./layout.ts";
import { isRunning, start, textOf, type Started } from "./run.ts";

const NOTES = join(RUN_DIR, "pids");
const LOG_LINES = 8;
const TERM_GRACE_MS = 5_000;
const POLL_MS = 20;

export type Noted = Started & { readonly name: string };

function logOf(name: string): string {
  return join(RUN_DIR, `${name}.log`);
}

/** Starts a process of the demonstration and records it. */
export async function startNoted(name: string, argv: readonly string[]): Promise<Noted> {
  mkdirSync(NOTES, { recursive: true, mode: 0o700 });
  const started = await start(argv, logOf(name));
  writeFileSync(join(NOTES, name), `${started.pid} ${started.startTime}\n`);
  return { name, ...started };
}

export function notedProcesses(): Noted[] {
  return (existsSync(NOTES) ? readdirSync(NOTES) : []).flatMap((name) => {
    const [pid = "", startTime = ""] = readFileSync(join(NOTES, name), "utf8").trim().split(" ");
    return Number(pid) > 1 ? [{ name, pid: Number(pid), startTime }] : [];
  });
}

/** Moves the logs away before the directory is removed. */
export function keepLogs(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of existsSync(RUN_DIR) ? readdirSync(RUN_DIR) : []) {
    if (name.endsWith(".log")) renameSync(join(RUN_DIR, name), join(folder, name));
  }
}

/**
 * Waits until `whyNotYet` gives no reason any more. Throws a Fault with the last reason and the end of the log if the
 * process dies first or the time is over.
 */
export async function untilReady(
  started: Noted,
  whyNotYet: () => Promise<string | undefined>,
  clock: Clock,
  timeoutMs: number,
): Promise<void> {
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const reason = await whyNotYet();
    if (reason === undefined) return;
    const isDead = !isRunning(started);
    if (isDead || clock.monotonicMs() > deadlineMs) {
      const log = textOf(logOf(started.name))
        .split("\n")
        .filter((line) => line !== "");
      throw new Fault(isDead ? "internal" : "timeout", {
        what: isDead ? `${started.name} ended` : `${started.name} was not ready after ${timeoutMs / 1000} s`,
        why: [...log.slice(-LOG_LINES), ...(isDead ? [] : [reason])].join("\n"),
        fix: `above is the end of its log${isDead ? "" : "; on a machine that is busy with other things, try again"}`,
      });
    }
    await clock.sleep(POLL_MS);
  }
}

/** Asks all to stop, then kills them. Returns the names of those that were still running. */
export async function stopAll(processes: readonly Noted[], clock: Clock): Promise<string[]> {
  const running = processes.filter(isRunning);
  for (const { pid } of running) signal(pid, "SIGTERM");
  const deadlineMs = clock.monotonicMs() + TERM_GRACE_MS;
  while (running.some(isRunning) && clock.monotonicMs() < deadlineMs) await clock.sleep(POLL_MS);
  for (const process of running.filter(isRunning)) signal(process.pid, "SIGKILL");
  while (running.some(isRunning)) await clock.sleep(POLL_MS);
  for (const { name } of processes) rmSync(join(NOTES, name), { force: true });
  return running.map(({ name }) => name);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended between the check and the signal.
  }
}
