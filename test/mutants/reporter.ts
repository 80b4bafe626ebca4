// Inside the test process of a trial: the first failure is enough. Prints its name, and ends the process.
import type { TestEvent } from "node:test/reporters";

// Node imports a reporter by its default export.
// oxlint-disable-next-line import/no-default-export
export default async function* reporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of events) {
    if (event.type !== "test:fail") continue;
    const { todo, skip, name } = event.data;
    if (todo !== undefined || skip !== undefined) continue;
    yield `${name}\n`;
    // What is printed gets out first; kernel tests have to clean up, so they go on.
    if (process.env["WEFT_MUTANT_STOPS"] === "1") setTimeout(() => process.exit(1), 20);
  }
}
