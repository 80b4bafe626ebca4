// What a reader of a test run needs: failures in full as they happen, then one line per group, why each test was
// skipped, and the totals as the last line.
import type { CheckResult } from "./checks.ts";
import type { FileResult } from "./file.ts";

export type GroupResult = {
  readonly name: string;
  readonly ms: number;
  readonly results: readonly FileResult[];
  /** Why the machine cannot run this group at all. */
  readonly obstacle: string | undefined;
};

export function printFailures({ failures, output }: FileResult): void {
  for (const { name, at, error } of failures) console.log(`FAILED ${name} (${at})\n${indent(error)}`);
  if (failures.length > 0 && output.trim() !== "") console.log(`  it printed:\n${indent(output.trimEnd())}`);
}

/** Prints the summary; the exit code: 0 only if nothing failed and nothing that could have run was left out. */
export function printSummary(checks: readonly CheckResult[], groups: readonly GroupResult[]): number {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  console.log("");
  for (const { name, ok, ms } of checks) {
    totals[ok ? "passed" : "failed"]++;
    console.log(row(name, ms, ok ? "passed" : "FAILED"));
  }
  for (const group of groups) {
    const counts = countOf(group);
    totals.passed += counts.passed;
    totals.failed += counts.failed;
    totals.skipped += counts.skipped;
    console.log(row(group.name, group.ms, `${countsText(counts)} in ${group.results.length} files`));
    if (isLeftOut(group)) {
      totals.failed++;
      console.log(`  FAILED: this machine can run ${group.name} tests, and none ran`);
    }
  }
  printSkips(groups);
  printNotes(groups);
  printSlowest(groups);
  console.log(countsText(totals));
  return totals.failed === 0 ? 0 : 1;
}

type Counts = { readonly passed: number; readonly failed: number; readonly skipped: number };

function countOf({ results }: GroupResult): Counts {
  const sum = (pick: (result: FileResult) => number) => results.reduce((total, result) => total + pick(result), 0);
  return {
    passed: sum((result) => result.passed),
    failed: sum((result) => result.failures.length),
    skipped: sum((result) => result.skipped.length),
  };
}

/** A group without an obstacle in which nothing ran: it must not look like a success. */
function isLeftOut(group: GroupResult): boolean {
  const { passed, failed } = countOf(group);
  return group.obstacle === undefined && passed + failed === 0;
}

/** Where time can be won. */
function printSlowest(groups: readonly GroupResult[]): void {
  const slowest = groups.flatMap(({ results }) => results).toSorted((a, b) => b.ms - a.ms);
  const told = slowest.slice(0, 8).map(({ file, ms }) => `  ${(ms / 1000).toFixed(0).padStart(4)} s  ${file}\n`);
  if (told.length > 0) console.log(`\nslowest files:\n${told.join("")}`);
}

function printSkips(groups: readonly GroupResult[]): void {
  const skips = groups.flatMap(({ results }) => results.flatMap(({ skipped }) => skipped));
  if (skips.length === 0) return;
  console.log("\nskipped:");
  for (const [reason, tests] of Map.groupBy(skips, ({ reason }) => reason)) {
    console.log(
      `  ${tests.length} × ${reason}: ${tests
        .slice(0, 3)
        .map(({ name }) => name)
        .join(", ")}${tests.length > 3 ? ", …" : ""}`,
    );
  }
}

function printNotes(groups: readonly GroupResult[]): void {
  const notes = groups.flatMap(({ results }) =>
    results.flatMap(({ file, notes }) => notes.map((note) => `  ${file}: ${note}`)),
  );
  if (notes.length > 0) console.log(`\nsaid by tests:\n${notes.join("\n")}`);
  console.log("");
}

function countsText({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function row(name: string, ms: number, text: string): string {
  return `${name.padEnd(12)}${(ms / 1000).toFixed(1).padStart(7)} s  ${text}`;
}

function indent(text: string): string {
  return text
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n");
}
