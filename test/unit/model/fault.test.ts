// Faults as people read them and as they go over the wire.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  drainedFault,
  Fault,
  faultOf,
  isEnd,
  type Problem,
  problemOf,
  REASONS,
  type Reason,
} from "../../../src/model/fault.ts";

const all = Object.keys(REASONS) as Reason[];

test("one sentence says what, why, what blocks, where, and what to do", () => {
  const said = (more: object) => new Fault("in-use", { what: "it stays", fix: "wait", ...more }).message;
  assert.equal(said({}), "it stays; wait");
  assert.equal(said({ why: "it is old", where: "vrf/a" }), "it stays: it is old (at vrf/a); wait");
  const names = (count: number) => Array.from({ length: count }, (_, n) => `e${n}`);
  assert.equal(said({ blockers: [] }), "it stays; wait");
  assert.equal(said({ blockers: names(2) }), "it stays [e0, e1]; wait");
  assert.match(said({ blockers: names(10) }), /e9\];/);
  assert.match(said({ blockers: names(12) }), /e8, e9, and 2 more\];/);
});

test("over the wire and back, whatever is in it", () => {
  const details = [{}, { where: "spec.mtu" }, { why: "too small" }, { blockers: ["a", "b"] }];
  for (const reason of all)
    for (const more of details) {
      const fault = new Fault(reason, { what: "no", fix: "wait", ...more });
      const problem = problemOf(fault);
      assert.deepEqual([problem.status, problem.detail], [REASONS[reason].status, fault.message]);
      assert.equal(problem.type, `urn:weft:problem:${reason}`);
      const back = faultOf(JSON.parse(JSON.stringify(problem)) as Problem);
      assert.deepEqual([back.reason, back.detail, back.message], [reason, fault.detail, fault.message]);
    }
});

test("what another program, or a newer server, says of itself is a Fault, too", () => {
  for (const reason of ["", "of-a-newer-version", "toString", "constructor", "__proto__"]) {
    const fault = faultOf({ reason: reason as Reason, detail: "said", title: "title" });
    assert.deepEqual([fault.reason, fault.detail.what], ["internal", "said"]);
    assert.equal(problemOf(fault).status, 500);
  }
  assert.match(faultOf({}).message, /the request failed; see the server's log/);
});

test("a bug says nothing of its inside on the wire", () => {
  for (const bug of [new TypeError("secret of the inside"), "secret", undefined]) {
    const problem = problemOf(bug);
    assert.deepEqual([problem.reason, problem.status], ["internal", 500]);
    assert.doesNotMatch(JSON.stringify(problem), /secret/);
  }
});

test("two reasons end a host, and nothing else does", () => {
  const fault = (reason: Reason) => new Fault(reason, { what: "no", fix: "wait" });
  assert.deepEqual(
    all.filter((reason) => isEnd(fault(reason))),
    ["host-deleted", "host-reclaimed"],
  );
  assert.equal(isEnd(Object.assign(new Error("no"), { reason: "host-deleted" })), false);
  assert.deepEqual([drainedFault("h1").reason, drainedFault("h1").detail.where], ["host-drained", "host/h1"]);
});
