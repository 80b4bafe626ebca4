// What both daemons need at their start: what the composition root gives them (clock, log, environment and signal, so
// that no other file reads them), an address to listen on, and code that is optimised soon.
import { setFlagsFromString } from "node:v8";
import type { Clock } from "../model/clock.ts";
import { Fault } from "../model/fault.ts";
import type { Log } from "./log.ts";

export type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborts when the daemon is to stop. */
  readonly signal: AbortSignal;
  readonly random: () => number;
  readonly log: Log;
};

/** `127.0.0.1:7474`, `[::1]:7474`, or `:7474` for every address; a Fault `request-invalid` for anything else. */
export function listenAddress(given: string, where: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^[\]:]*)):(\d{1,5})$/.exec(given);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    const fix = "write it like 127.0.0.1:7474 or [::1]:7474";
    throw new Fault("request-invalid", { what: `"${given}" is not an address to listen on`, where, fix });
  }
  const host = match[1] ?? match[2] ?? "";
  return { host: host === "" ? "::" : host, port };
}

const WHY_NOT: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there",
  EADDRNOTAVAIL: "this machine does not have the address",
  EACCES: "this user may not listen there",
};

/** For `catch` after a listen: the error as a Fault `in-use` that says why. */
export function cannotListen(where: string): (cause: unknown) => never {
  return (cause) => {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    const why = WHY_NOT[code] ?? String(cause);
    throw new Fault("in-use", { what: "cannot listen", where, why, fix: "choose another address" }, { cause });
  };
}

/**
 * V8 reads it whenever a function has used up a budget, so it may be set at any time; a V8 without the option ignores
 * it. By default, code that runs once per attach is optimised after 3,000 attaches, which takes months on most hosts;
 * after 300 an attach takes 6 to 9 % less time (docs/decisions/0018).
 */
export const EARLY = "--invocation-count-for-turbofan=300";

export function optimizeEarly(): void {
  setFlagsFromString(EARLY);
}
