// What a server refuses of several things that it is told one after the other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type Reason } from "../../../../src/model/fault.ts";
import { refusalsOf, type Step } from "../../../../src/agent/server/session.ts";

const fault = (reason: Reason) => new Fault(reason, { what: `it is ${reason}`, fix: "wait" });

test("steps are done whatever becomes of the others, but a server that is away is asked once", async () => {
  const done: number[] = [];
  const step = (n: number, why?: Fault): Step => [
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
