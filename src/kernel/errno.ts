// The kernel's refusals, classified once. Callers decide by the class; people read the message.
import { getSystemErrorMap } from "node:util";
import type { Refusal } from "./kernel.ts";

const NAMES = getSystemErrorMap();

/** Linux' errno.h (asm-generic), as far as the code depends on it. */
const ENOENT = 2;
const ENXIO = 6;
export const EACCES = 13;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;
const ESRCH = 3;
const EADDRNOTAVAIL = 99;

/** A system call that failed. */
export class SystemError extends Error {
  readonly errno: number;
  constructor(call: string, errno: number) {
    super(`${call}: ${errnoText(errno)}`);
    this.name = "SystemError";
    this.errno = errno;
  }
}

/** Names that Node's table lacks. BR_MAX_PORTS is 1 << 10 (6.18). */
const MORE_NAMES: ReadonlyMap<number, readonly [string, string]> = new Map([
  [54, ["EXFULL", "the bridge has as many ports as it can have (1,023)"]],
]);

/** `EEXIST: file already exists`. */
function errnoText(errno: number): string {
  const [name, text] = NAMES.get(-errno) ?? MORE_NAMES.get(errno) ?? [`errno ${errno}`, "unknown error"];
  return `${name}: ${text}`;
}

/** Errors that a removal may meet when there is nothing to remove: no link, no entry, no route, no address. */
export const GONE: ReadonlySet<number> = new Set([ENOENT, ENODEV, ESRCH, ENXIO, EADDRNOTAVAIL]);

const CLASSES: Readonly<Record<string, Refusal["class"]>> = {
  ENOENT: "missing",
  ENODEV: "missing",
  ESRCH: "missing",
  ENXIO: "missing",
  ENOTDIR: "missing",
  EADDRNOTAVAIL: "missing",
  EEXIST: "exists",
  EADDRINUSE: "exists",
  EBUSY: "busy",
  EAGAIN: "busy",
  EINTR: "busy",
  ENOBUFS: "busy",
  ENOMEM: "busy",
  ETIMEDOUT: "busy",
  EMFILE: "busy",
  ENFILE: "busy",
  ENETDOWN: "busy",
  EPERM: "denied",
  EACCES: "denied",
  EROFS: "denied",
  // ENOTSUP and EOPNOTSUPP are one number on Linux.
  ENOTSUP: "unsupported",
  EOPNOTSUPP: "unsupported",
  EAFNOSUPPORT: "unsupported",
  EPROTONOSUPPORT: "unsupported",
  ENOSYS: "unsupported",
  ENOPROTOOPT: "unsupported",
};

/** `said` is the kernel's own text (extended acknowledgement), or what is in the way. */
export function refusalOf(errno: number, said = ""): Refusal {
  const name = NAMES.get(-errno)?.[0] ?? "";
  return {
    class: CLASSES[name] ?? "invalid",
    message: said === "" ? errnoText(errno) : `${errnoText(errno)}: ${said}`,
  };
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
