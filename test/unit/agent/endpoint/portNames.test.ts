// Two endpoints of a host never share a port.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { PortNames } from "../../../../src/agent/endpoint/portNames.ts";

/** A hash that is easy to meet. */
const portOf = (name: string) => `wp${name.slice(0, 2)}`;

test("of two names with one port the second is refused, while the first is there or on its way", () => {
  const [a, b] = ["aa-one.eth0", "aa-two.eth0"];
  const refused = (names: PortNames, there: readonly string[], coming: readonly string[]) => {
    const entries = new Map(there.map((name) => [name, {}]));
    try {
      names.take(b, entries, (name) => coming.includes(name));
      return false;
    } catch {
      return true;
    }
  };
  const names = new PortNames(portOf);
  const take = (name: string, there: readonly string[] = []) =>
    names.take(name, new Map(there.map((one) => [one, {}])), () => false);
  take(a);
  take(a, [a]);
  assert.equal(refused(names, [], []), false, "it was refused, or is gone");
  assert.equal(refused(new PortNames(portOf), [a], []), true, "it was there when the agent started");
  const fresh = new PortNames(portOf);
  fresh.take(a, new Map(), () => false);
  assert.equal(refused(fresh, [], [a]), true, "the server has not answered yet");
  assert.equal(refused(fresh, [a], []), true);
  // What is gone is forgotten in time, what is there is not.
  for (let i = 0; i < 3000; i++) fresh.take(`w${i}.eth0`, new Map([[a, {}]]), () => false);
  assert.equal(refused(fresh, [a], []), true);
});

test("what is refused says whose the port is, and leaves it to that one; what is gone gives it up", () => {
  const names = new PortNames(portOf);
  const [a, b] = ["aa-one.eth0", "aa-two.eth0"];
  const there = new Map([[a, {}]]);
  names.take(a, new Map(), () => false);
  for (let n = 0; n < 2; n++)
    assert.throws(
      () => names.take(b, there, () => false),
      (error: unknown) =>
        error instanceof Fault && error.reason === "name-taken" && /"aa-two\.eth0".* wpaa.*"aa-one/.test(error.message),
    );
  names.take(b, new Map(), () => false);
  assert.throws(() => names.take(a, new Map([[b, {}]]), () => false), { reason: "name-taken" });
  // By itself, ports are named as the kernel's are.
  const real = new PortNames();
  real.take(a, new Map(), () => false);
  real.take(b, there, () => false);
});

test("what is remembered of those that are gone stays small", () => {
  let hashed = 0;
  const names = new PortNames((name) => {
    hashed++;
    return name;
  });
  const there = new Map(Array.from({ length: 100 }, (_, i) => [`there${i}`, {}]));
  names.take("first", there, () => false);
  assert.equal(hashed, 101, "all that are there were read once");
  hashed = 0;
  for (let i = 0; i < 1_099; i++) names.take(`gone${i}`, there, () => false);
  assert.equal(hashed, 1_099, "they are not read for each attach");
  names.take("one", there, () => false);
  names.take("more", there, () => false);
  assert(hashed > 1_150, "they are read anew when those that are gone are many");
});
