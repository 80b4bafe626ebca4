// Faults of the kernel: class, name and text of each errno.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { refusalOf, refusalOfError, Refused, SystemError } from "../../../src/kernel/errno.ts";

test("each class is told from its errno, with the name and the kernel's own words", () => {
  const cases = [
    [2, "missing", "ENOENT"],
    [19, "missing", "ENODEV"],
    [17, "exists", "EEXIST"],
    [98, "exists", "EADDRINUSE"],
    [16, "busy", "EBUSY"],
    [105, "busy", "ENOBUFS"],
    [1, "denied", "EPERM"],
    [13, "denied", "EACCES"],
    [95, "unsupported", "ENOTSUP"],
    [97, "unsupported", "EAFNOSUPPORT"],
    [22, "invalid", "EINVAL"],
    [101, "invalid", "ENETUNREACH"],
    [113, "invalid", "EHOSTUNREACH"],
  ] as const;
  for (const [errno, kind, name] of cases) {
    const refusal = refusalOf(errno, "Nexthop has invalid gateway");
    assert.equal(refusal.class, kind, name);
    assert.match(refusal.message, new RegExp(`^${name}: .*: Nexthop has invalid gateway$`));
  }
  assert.match(refusalOf(54).message, /^EXFULL: the bridge has as many ports/);
  assert.deepEqual(refusalOf(4000), { class: "invalid", message: "errno 4000: unknown error" });
});

test("refusals and failed system calls are refusals, a bug stays a bug", () => {
  assert.equal(refusalOfError(new Refused({ class: "missing", message: "m" })).message, "m");
  assert.deepEqual(refusalOfError(new SystemError("setns", 1)), {
    class: "denied",
    message: "setns: EPERM: operation not permitted",
  });
  assert.equal(refusalOfError(Object.assign(new Error("ENOENT"), { errno: -2 })).class, "missing");
  assert.throws(() => refusalOfError(new TypeError("bug")), TypeError);
});
