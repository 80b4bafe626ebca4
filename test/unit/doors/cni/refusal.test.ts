// Which number a runtime is told. Those below 100 are the specification's, and runtimes act on some of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, type Reason, REASONS } from "../../../../src/model/fault.ts";
import { CniRefusal, errorJson } from "../../../../src/doors/cni/refusal.ts";

/** Everything else is a bug of Weft's: 199. */
const NUMBERS: Readonly<Partial<Record<Reason, number>>> = {
  "request-invalid": 7,
  "address-invalid": 7,
  "cidr-invalid": 7,
  "name-invalid": 7,
  "address-outside": 7,
  "network-unknown": 7,
  "range-unknown": 7,
  "family-wrong": 7,
  "qos-invalid": 7,
  "qos-unsupported": 2,
  "feature-missing": 2,
  unsupported: 2,
  "netns-missing": 3,
  "netns-reserved": 4,
  "not-synced": 11,
  unavailable: 11,
  timeout: 11,
  "in-use": 11,
  "expression-invalid": 7,
  "none-fits": 108,
  forbidden: 109,
  "token-wrong": 109,
  locked: 109,
  "quota-exceeded": 100,
  exhausted: 100,
  "address-taken": 101,
  "address-held": 101,
  "address-quarantined": 101,
  "name-taken": 102,
  "interface-taken": 103,
  "network-disabled": 104,
  "label-invalid": 7,
  "host-unknown": 105,
  "host-deleted": 105,
  "host-reclaimed": 11,
  "host-drained": 106,
  "host-outside": 107,
  "kernel-refused": 111,
};

const told = (error: unknown) => JSON.parse(errorJson(error, "1.0.0"));

test("each reason of the agent's has its number", () => {
  for (const reason of Object.keys(REASONS) as Reason[])
    assert.equal(told(new Fault(reason, { what: "no", fix: "wait" })).code, NUMBERS[reason] ?? 199, reason);
});

test("the door's own refusals have theirs", () => {
  const own = {
    version: 1,
    unsupported: 2,
    "container-unknown": 3,
    environment: 4,
    io: 5,
    decode: 6,
    config: 7,
    "try-again": 11,
    "not-available": 50,
    "limited-connectivity": 51,
    "not-as-it-should-be": 110,
  } as const;
  for (const [code, number] of Object.entries(own))
    assert.deepEqual(told(new CniRefusal(code as keyof typeof own, "no")), {
      cniVersion: "1.0.0",
      code: number,
      msg: "no",
    });
});

test("what stands in a Fault is all said: why, where, what blocks, and what to do", () => {
  const detail = { what: "it is in use", why: "two use it", where: "spec.cidr", blockers: ["a", "b"], fix: "detach" };
  const { msg, details } = told(new Fault("in-use", detail));
  assert.deepEqual([msg, details], ["it is in use", "two use it; at spec.cidr; a; b; detach"]);
});

test("an error that no Fault names is the disk's if it is a system call's, and else a bug", () => {
  assert.equal(told(Object.assign(new Error("ENOSPC: full"), { syscall: "write" })).code, 5);
  for (const error of [new TypeError("no"), "text", undefined]) assert.equal(told(error).code, 199);
});
