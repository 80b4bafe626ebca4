// How the plugin refuses: a number of the CNI specification, a sentence, and what to do. Codes below 100 are the
// specification's; from 100 on they are Weft's. docs/cni.md lists all of them, and a test compares.
import { Fault, problemOf, type Reason } from "../../model/fault.ts";

export const CODES = {
  version: 1,
  unsupported: 2,
  "container-unknown": 3,
  environment: 4,
  io: 5,
  decode: 6,
  config: 7,
  "try-again": 11,
  "not-available": 50,
  "limited-connectivity": 51,
  exhausted: 100,
  "address-taken": 101,
  "name-taken": 102,
  "interface-taken": 103,
  "network-disabled": 104,
  "host-unknown": 105,
  "host-drained": 106,
  "host-outside": 107,
  "none-fits": 108,
  forbidden: 109,
  "not-as-it-should-be": 110,
  "kernel-refused": 111,
  internal: 199,
} as const;
export type Code = keyof typeof CODES;

/** The code for a Fault of the agent; a Fault that is not listed is a bug. */
const BY_REASON: Readonly<Partial<Record<Reason, Code>>> = {
  "request-invalid": "config",
  "address-invalid": "config",
  "cidr-invalid": "config",
  "name-invalid": "config",
  "address-outside": "config",
  "network-unknown": "config",
  "range-unknown": "config",
  "family-wrong": "config",
  "qos-invalid": "config",
  "qos-unsupported": "unsupported",
  "feature-missing": "unsupported",
  unsupported: "unsupported",
  "netns-missing": "container-unknown",
  "netns-reserved": "environment",
  "not-synced": "try-again",
  unavailable: "try-again",
  timeout: "try-again",
  "in-use": "try-again",
  "expression-invalid": "config",
  "label-invalid": "config",
  "none-fits": "none-fits",
  forbidden: "forbidden",
  "token-wrong": "forbidden",
  locked: "forbidden",
  "quota-exceeded": "exhausted",
  exhausted: "exhausted",
  "address-taken": "address-taken",
  "address-held": "address-taken",
  "address-quarantined": "address-taken",
  "name-taken": "name-taken",
  "interface-taken": "interface-taken",
  "network-disabled": "network-disabled",
  "host-unknown": "host-unknown",
  "host-deleted": "host-unknown",
  // It joins anew by itself.
  "host-reclaimed": "try-again",
  "host-drained": "host-drained",
  "host-outside": "host-outside",
  "kernel-refused": "kernel-refused",
};

export class CniRefusal extends Error {
  readonly code: Code;
  /** What to do about it, or more about the reason. */
  readonly details: string;
  constructor(code: Code, message: string, details = "") {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** Any error, in the specification's form. */
export function errorJson(error: unknown, cniVersion: string): string {
  const { code, message, details } = refusalOf(error);
  return JSON.stringify({ cniVersion, code: CODES[code], msg: message, ...(details === "" ? {} : { details }) });
}

export function refusalOf(error: unknown): CniRefusal {
  if (error instanceof CniRefusal) return error;
  if (error instanceof Fault) {
    const { what, why, where, fix, blockers } = error.detail;
    const more = [why, where === undefined ? undefined : `at ${where}`, ...(blockers ?? []), fix];
    return new CniRefusal(
      BY_REASON[error.reason] ?? "internal",
      what,
      more.filter((one) => one !== undefined).join("; "),
    );
  }
  // The journal could not be written: a full or broken disk.
  if (error instanceof Error && "syscall" in error) return new CniRefusal("io", error.message, "see the agent's disk");
  return new CniRefusal("internal", problemOf(error).detail, "this is a bug; see the agent's log");
}
