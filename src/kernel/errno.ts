// The kernel's refusals, classified once. Callers decide by the class; people read the message.
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import type { Refusal } from "./kernel.ts";

const NAMES = getSystemErrorMap();

export const { EACCES, EAGAIN, EBUSY, EEXIST, EINVAL, ENODEV } = constants.errno;

/** A system call that failed. */
export class SystemError extends Error {
  readonly errno: number;
  constructor(call: string, errno: number) {
    super(`${call}: ${errnoText(errno)}`);
    this.name = "SystemError";
    this.errno = errno;
  }
}

/** Node's table lacks it. BR_MAX_PORTS is 1 << 10 (6.18). */
const EXFULL = 54;

/** `EEXIST: file already exists`. */
function errnoText(errno: number): string {
  if (errno === EXFULL) return "EXFULL: the bridge has as many ports as it can have (1,023)";
  const [name, text] = NAMES.get(-errno) ?? [`errno ${errno}`, "unknown error"];
  return `${name}: ${text}`;
}

/** The errors of each class; all others are `invalid`. ENOTSUP and EOPNOTSUPP are one number on Linux. */
const NAMES_OF: Readonly<Partial<Record<Refusal["class"], readonly string[]>>> = {
  missing: ["ENOENT", "ENODEV", "ESRCH", "ENXIO", "ENOTDIR", "EADDRNOTAVAIL"],
  exists: ["EEXIST", "EADDRINUSE"],
  busy: ["EBUSY", "EAGAIN", "EINTR", "ENOBUFS", "ENOMEM", "ETIMEDOUT", "EMFILE", "ENFILE", "ENETDOWN"],
  denied: ["EPERM", "EACCES", "EROFS"],
  unsupported: ["ENOTSUP", "EOPNOTSUPP", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ENOSYS", "ENOPROTOOPT"],
};
const CLASSES: ReadonlyMap<string, Refusal["class"]> = new Map(
  Object.entries(NAMES_OF).flatMap(([kind, names]) => names.map((name) => [name, kind as Refusal["class"]])),
);

function classOf(errno: number): Refusal["class"] {
  return CLASSES.get(NAMES.get(-errno)?.[0] ?? "") ?? "invalid";
}

/** Whether a removal that meets this error had nothing to remove: no link, no entry, no route, no address. */
export function isGone(errno: number): boolean {
  return classOf(errno) === "missing";
}

/** `said` is the kernel's own text (extended acknowledgement), or what is in the way. */
export function refusalOf(errno: number, said = ""): Refusal {
  return { class: classOf(errno), message: said === "" ? errnoText(errno) : `${errnoText(errno)}: ${said}` };
}

/** A refusal as an exception, inside this folder: the encoder of an operation may find that it cannot be encoded. */
export class Refused extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.message);
    this.name = "Refused";
    this.refusal = refusal;
  }
}

export function refuse(kind: Refusal["class"], message: string): never {
  throw new Refused({ class: kind, message });
}

/** What `run` is refused with; undefined if it is not. */
export function refusalBy(run: () => void): Refusal | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return refusalOfError(error);
  }
}

/** The refusal behind an exception of a system call; any other exception is a bug and is thrown again. */
export function refusalOfError(error: unknown): Refusal {
  if (error instanceof Refused) return error.refusal;
  if (error instanceof SystemError) return { ...refusalOf(error.errno), message: error.message };
  // Errors of node:fs carry a negative errno.
  if (error instanceof Error && "errno" in error && typeof error.errno === "number") {
    return { ...refusalOf(-error.errno), message: error.message };
  }
  throw error;
}
