// Two endpoints of a host never share a port.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PortNames } from "./portNames.ts";

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
