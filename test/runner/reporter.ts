// The reporter inside each test process: turns node:test's events into one JSON line per fact, for the runner outside.
// Lines are written as soon as a test completes, so that a file that has to be killed still says how far it came.
import { inspect } from "node:util";
import type { TestEvent } from "node:test/reporters";

export type TestRecord =
  | { readonly record: "start"; readonly name: string }
  | { readonly record: "passed"; readonly name: string }
  | { readonly record: "failed"; readonly name: string; readonly at: string; readonly error: string }
  | { readonly record: "skipped"; readonly name: string; readonly reason: string }
  /** What a test said with `t.diagnostic`: seeds of simulations. */
  | { readonly record: "note"; readonly text: string };

/** Node's own totals, which the runner counts by itself. */
const TOTALS = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

// Node imports a reporter by its default export.
// oxlint-disable-next-line import/no-default-export
export default async function* reporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    const record = recordOf(event);
    if (record !== undefined) yield `${JSON.stringify(record)}\n`;
  }
}

function recordOf(event: TestEvent): TestRecord | undefined {
  if (event.type === "test:dequeue") return { record: "start", name: event.data.name };
  if (event.type === "test:diagnostic") {
    return TOTALS.test(event.data.message) ? undefined : { record: "note", text: event.data.message };
  }
  if (event.type !== "test:complete") return undefined;
  const { name, details, skip, todo, file, line } = event.data;
  if (skip !== undefined && skip !== false) return { record: "skipped", name, reason: reasonOf(skip) };
  if (todo !== undefined && todo !== false) return { record: "skipped", name, reason: `to do: ${reasonOf(todo)}` };
  if (details.passed) return details.type === "suite" ? undefined : { record: "passed", name };
  // A parent fails with its children; they have been counted.
  const failure = details.error;
  if (failure !== undefined && "failureType" in failure && failure.failureType === "subtestsFailed") return undefined;
  return {
    record: "failed",
    name,
    at: `${file ?? "?"}:${line ?? 0}`,
    error: inspect(failure?.cause ?? failure, { depth: 6 }),
  };
}

function reasonOf(flag: string | true): string {
  return flag === true ? "" : flag;
}
