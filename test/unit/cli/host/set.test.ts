// `weft host set`: what is said of devices that are no one's, Weft's, or not there.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
const { control } = line;
const QUIET = {
  errors: [],
  networks: [],
  conditions: [],
  hostPrefixes: [],
  driftRepaired: 0,
  objects: 5,
  version: "1",
};
const CLAIM = { underlay: "192.0.2.1", underlayMtu: 1500, hostPrefixes: [] };
const report = (revision: number) => control.report({ ...QUIET, host: "h1", bootId: "b", revision });

before(async () => {
  await line.open();
  await control.write({ verb: "put", kind: "physicalnetwork", name: "lan", spec: {} });
  await control.join(
    { host: "h1", ...CLAIM, devices: [{ name: "eth1", mtu: 1500 }], physical: [{ name: "lan", device: "eth1" }] },
    "j".repeat(40),
  );
});
after(() => line.close());

test("lo and names of Weft's own are refused before the server is asked", async () => {
  for (const device of ["lo", "wb-office"]) {
    const { code, stderr } = await line.weft(["host", "set", "h1", "--physical", `lan=${device}`]);
    assert.equal(code, 4, stderr);
    assert.match(stderr, new RegExp(`device ${device} cannot lead to a physical network`));
  }
});

test("a device that a host does not have is said once the host reports, and no other", async () => {
  const set = (device: string) => line.weft(["host", "set", "h1", "--physical", `lan=${device}`]);
  const silent = await set("eth1");
  assert.equal(silent.code, 0, silent.stderr);
  assert.doesNotMatch(silent.stderr, /note/);
  assert.doesNotMatch((await set("eth8")).stderr, /note/, "a host that does not report says nothing");
  await report(control.revision + 1);
  const { code, stderr } = await set("nonsense");
  assert.equal(code, 0, stderr);
  assert.match(stderr, /note: h1 has no device nonsense now: until it has, nothing of lan leaves it/);
  await report(control.revision + 1);
  assert.doesNotMatch((await set("eth1")).stderr, /note/);
  assert.doesNotMatch((await set("none")).stderr, /note/);
});
