// How an error is told to a person: what, where, why, what to do about it, and what stands in the way, on stderr; and
// the exit code that tells a program the same. Codes come from model/fault.ts, with two of the CLI's own.
import { Fault, REASONS, type FaultDetail } from "../../model/fault.ts";
import { paint, type Io } from "../io.ts";

export const EXIT_OK = 0;
/** `weft plan`: it worked, and there is something to do. */
export const EXIT_CHANGES = 10;
/** `weft ipam check`: something is wrong; nothing is, as far as could be asked. */
export const EXIT_FINDINGS = 11;
export const EXIT_UNCHECKED = 12;
/** Ended by Ctrl-C: 128 + SIGINT, as shells count. */
const EXIT_INTERRUPTED = 130;

const BLOCKERS_SHOWN = 20;

/** The Fault for a command line that cannot be meant. */
export function misuse(where: string, what: string, fix: string, why?: string): Fault {
  return new Fault("request-invalid", { what, where, ...(why === undefined ? {} : { why }), fix });
}

/** Prints the error and gives the exit code. A bug is printed with its stack. */
export function printError(io: Io, error: unknown): number {
  if (!(error instanceof Fault)) {
    if (io.signal.aborted) return EXIT_INTERRUPTED;
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    io.err(`${paint(io, "bad", "weft:")} this is a bug: ${trace}\n`);
    return REASONS.internal.exit;
  }
  io.err(faultText(io, error.reason, error.detail));
  return REASONS[error.reason].exit;
}

function faultText(io: Io, reason: string, detail: FaultDetail): string {
  const line = (name: string, text: string | undefined) =>
    text === undefined ? "" : `  ${paint(io, "dim", name.padEnd(5))}  ${text.replaceAll("\n", `\n${" ".repeat(9)}`)}\n`;
  const blockers = detail.blockers ?? [];
  const more = blockers.length > BLOCKERS_SHOWN ? `    and ${blockers.length - BLOCKERS_SHOWN} more\n` : "";
  return [
    `${paint(io, "bad", "weft:")} ${detail.what} ${paint(io, "dim", `[${reason}]`)}\n`,
    line("where", detail.where),
    line("why", detail.why),
    blockers.length === 0
      ? ""
      : `  ${paint(io, "dim", detail.isLoss === true ? "would be removed:" : "in the way")}\n${blockers
          .slice(0, BLOCKERS_SHOWN)
          .map((blocker) => `    ${blocker}\n`)
          .join("")}${more}`,
    line("do", detail.fix),
  ].join("");
}
