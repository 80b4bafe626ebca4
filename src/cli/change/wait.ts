// Waiting until a change is real: every ready host reports that its kernel holds the revision. Says nothing for a
// second, because most changes are there by then; after that it says who is missing.
import { parseDuration } from "../../model/duration.ts";
import { Fault } from "../../model/fault.ts";
import type { ClusterStatus, HostCondition } from "../../model/status.ts";
import { count, type Io } from "../io.ts";
import { misuse } from "../output/error.ts";
import { pairText } from "../host/paths.ts";
import type { ServerClient } from "../input/connect.ts";

/** What --wait says without a number. */
const SECONDS = "60";
const QUIET_MS = 1_000;
const POLL_MS = [20, 50, 100, 250] as const;

export function hasReached(host: HostCondition, revision: number): boolean {
  return (host.status?.revision ?? 0) >= revision;
}

/** Hosts that count: those that report. One that is away catches up when it is back; a wait does not include that. */
export function readyHosts(status: ClusterStatus): readonly HostCondition[] {
  // One with another history is heard, and reports nothing.
  return status.hosts.filter((host) => host.state === "ready" && host.status !== undefined);
}

/** What a wait still lacks: a line for people, and one for each thing that is missing. */
type Pending = { readonly text: string; readonly missing: readonly string[] };

/** With --wait: until all ready hosts reached the revision; a Fault `timeout` names those that did not. */
export async function waitFor(io: Io, wait: string | undefined, revision: number, server: ServerClient): Promise<void> {
  await waitUntil(io, wait, async () => pendingAt(await server.status(), revision, wait));
}

/**
 * Undefined once every ready host has reached the revision, and with --wait=paths packets pass between them. Where
 * hosts have joined, one at least has to report.
 */
export function pendingAt(status: ClusterStatus, revision: number, wait?: string): Pending | undefined {
  const hosts = readyHosts(status);
  const silent = status.hosts.filter(({ state }) => state !== "reclaimed" && state !== "expected");
  // If no host reports, the change is in no kernel: that is not a success.
  if (hosts.length === 0 && silent.length > 0) {
    const text = `waiting for a host that reports, of ${count(silent.length, "host")}`;
    return {
      text,
      missing: silent.map(({ host, state }) =>
        state === "ready" ? `${host} does not follow this server` : `${host} is ${state}`,
      ),
    };
  }
  const missing = hosts.filter((host) => !hasReached(host, revision));
  const isForPaths = wait !== undefined && parseWait(wait, true).paths;
  if (missing.length === 0) return isForPaths ? unprovenAmong(status, hosts) : undefined;
  return {
    text: `waiting for revision ${revision} on ${count(missing.length, "host")} of ${hosts.length}`,
    missing: missing.map((host) => `${host.host} is at ${host.status?.revision ?? "none"}${firstError(host)}`),
  };
}

/** A host that is away is waited for neither here. */
function unprovenAmong({ paths }: ClusterStatus, ready: readonly HostCondition[]): Pending | undefined {
  const names = new Set(ready.map(({ host }) => host));
  const missing = (paths?.unproven ?? []).filter(({ hosts }) => hosts.every((host) => names.has(host)));
  if (missing.length === 0) return undefined;
  return { text: `waiting for packets to pass on ${count(missing.length, "path")}`, missing: missing.map(pairText) };
}

/**
 * What --wait asks for: `30` is seconds, `5m` a span; with `mayBePaths` also `paths`, and `paths,30`. A Fault
 * `request-invalid` for anything else.
 */
export function parseWait(wait: string, mayBePaths = false): { readonly ms: number; readonly paths: boolean } {
  const rest = mayBePaths ? /^paths(?:,(.+))?$/.exec(wait) : null;
  const time = rest === null ? wait : (rest[1] ?? SECONDS);
  const isSpan = /^[1-9]\d*(?:ms|s|m|h|d)$/.test(time);
  const ms = /^(?:0|[1-9]\d{0,6})$/.test(time) ? Number(time) * 1000 : undefined;
  if (ms === undefined && !isSpan && mayBePaths)
    throw misuse(
      "--wait",
      `"${wait.slice(0, 40)}" is not a value of --wait`,
      "write it like --wait, --wait=30, --wait=5m, --wait=paths or --wait=paths,30",
    );
  return { ms: ms ?? parseDuration(time, "--wait"), paths: rest !== null };
}

/** With --wait: looks again and again until nothing is pending; without, does not look at all. */
export async function waitUntil(
  io: Io,
  wait: string | undefined,
  look: () => Promise<Pending | undefined>,
): Promise<void> {
  if (wait === undefined) return;
  const { ms } = parseWait(wait, true);
  const startedMs = io.clock.monotonicMs();
  let said = "";
  for (let round = 0; ; round++) {
    const pending = await look();
    if (pending === undefined) return;
    const waitedMs = io.clock.monotonicMs() - startedMs;
    if (waitedMs >= ms) throw late(ms / 1000, pending);
    const line = `${pending.text}: ${pending.missing.join(", ")}\n`;
    if (waitedMs >= QUIET_MS && line !== said) io.err((said = line));
    await io.clock.sleep(POLL_MS[Math.min(round, POLL_MS.length - 1)] ?? QUIET_MS, io.signal);
    io.signal.throwIfAborted();
  }
}

function late(seconds: number, { text, missing }: Pending): Fault {
  return new Fault("timeout", {
    what: `gave up after ${seconds} s ${text}`,
    blockers: missing,
    fix: "the change is made and hosts continue to apply it; see weft status",
  });
}

function firstError(host: HostCondition): string {
  const error = host.status?.errors[0];
  return error === undefined ? "" : ` (${error})`;
}
