// What a writer of configuration files gives: files, and what the format cannot say. Headers are comments at the top of
// each file.
import type { LinkPlan } from "./plan.ts";

export type WrittenFile = {
  /** Below the folder of the format. */
  readonly path: string;
  readonly text: string;
  /** A program: written with permission to execute it. */
  readonly isProgram?: true;
};

export type Written = {
  /** Where files of this format lie on a host. */
  readonly folder: string;
  readonly files: readonly WrittenFile[];
  /** What of the plan is not in them, a sentence each. */
  readonly lacks: readonly string[];
};

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
