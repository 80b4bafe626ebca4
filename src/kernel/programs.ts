// Programs of other services, which are told something by them.
import { execFile } from "node:child_process";

const MOST_MS = 10_000;

/** Runs it to its end; undefined if it succeeds, else what went wrong. */
export function runProgram([program = "", ...args]: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, args, { timeout: MOST_MS }, (error, _, said) => {
      resolve(error === null ? undefined : `${[program, ...args].join(" ")}: ${said.trim() || error.message}`);
    });
  });
}
