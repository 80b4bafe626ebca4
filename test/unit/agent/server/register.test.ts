// How the server is told what the journal has: what it refuses, and what the journal takes over from it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type Reason } from "../../../../src/model/fault.ts";
import { memoryJournal } from "../../../../src/agent/journal/journal.ts";
import { refusalsOf, rewind, type ServerRequest } from "../../../../src/agent/server/register.ts";
import { endpoint, entriesOf, entry } from "../samples.ts";

const fault = (reason: Reason) => new Fault(reason, { what: `it is ${reason}`, fix: "wait" });

test("steps are done whatever becomes of the others, but a server that is away is asked once", async () => {
  const done: number[] = [];
  const step = (n: number, why?: Fault): ServerRequest => [
    `${n} is not done`,
    async () => {
      done.push(n);
      if (why !== undefined) throw why;
    },
  ];
  const refused = await refusalsOf([step(1), step(2, fault("overlap")), step(3), step(4, fault("in-use"))]);
  assert.deepEqual(
    [done, refused],
    [
      [1, 2, 3, 4],
      [`2 is not done: ${fault("overlap").message}`, `4 is not done: ${fault("in-use").message}`],
    ],
  );
  for (const reason of ["unavailable", "timeout"] as const) {
    done.length = 0;
    assert.deepEqual(await refusalsOf([step(1), step(2, fault(reason)), step(3)]), [
      `2 is not done: ${fault(reason).message}`,
    ]);
    assert.deepEqual(done, [1, 2]);
  }
});

test("what the journal knows from higher revisions is older than a server that went back", () => {
  const all = [endpoint("a", {}, 4), endpoint("b", {}, 5), endpoint("c", {}, 6)];
  const journal = memoryJournal(entriesOf(...all.map((one) => entry(one))));
  rewind(journal, 5);
  assert.deepEqual(
    [...journal.entries.values()],
    [...all.slice(0, 2).map((one) => entry(one)), entry(endpoint("c", {}, 5))],
  );
  assert.equal(journal.version, 1);
});
