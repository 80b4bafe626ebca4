// What a writer of configuration files gives: files, and what the format cannot say. Headers are comments at the top of
// each file.
import type { LinkPlan } from "./plan.ts";

export type WrittenFile = {
  /** Below the folder of the format. */
  readonly path: string;
  readonly text: string;
  /** Permissions: of a program that it is executed, of netplan that others do not read it. */
  readonly mode: number;
};

export type Written = {
  /** Where files of this format lie on a host. */
  readonly folder: string;
  readonly files: readonly WrittenFile[];
  /** What of the plan is not in them, a sentence each. */
  readonly lacks: readonly string[];
};

/** Permissions of a file that anybody may read. */
export const PLAIN = 0o644;

export type Order = {
  readonly plan: LinkPlan;
  /** What files are named after: letters, digits, dashes. */
  readonly name: string;
  readonly header: readonly string[];
};

export function comments(header: readonly string[]): string {
  return header.map((line) => `# ${line}\n`).join("");
}

/** What a file may be called: other letters are dashes. */
export function fileName(name: string): string {
  return `weft-${name.replaceAll(/[^a-zA-Z0-9-]/g, "-")}`;
}
