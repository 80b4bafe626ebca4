// VXLAN devices of others on the port of Weft's tunnels: told of while both are there, and looked for now and then.
import assert from "node:assert/strict";
import { test } from "node:test";
import { OtherTunnels } from "../../../../src/agent/reconcile/otherTunnels.ts";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import { stateOf } from "../../../../src/datapath/state/state.ts";
import type { Clock } from "../../../../src/model/clock.ts";
import { type Snapshot, emptySnapshot } from "../../../../src/model/resource.ts";

const snapshot = {
  ...emptySnapshot("c"),
  vrfs: [
    { name: "lab", spec: { tunnelPort: 8472 } },
    { name: "red", spec: { tunnelPort: 4789 } },
  ],
} as unknown as Snapshot;
const desired = (...ports: number[]) => {
  return stateOf(ports.map((port) => ({ kind: "vxlan", ns: "host", name: `wx${port}`, port }) as KernelObject));
};

test("a device on a port that is used is a condition, which ends with either", () => {
  const others = [
    { name: "encap", port: 8472 },
    { name: "far", port: 4790 },
  ];
  const time = { now: 0, asked: 0 };
  const clock = { monotonicMs: () => time.now } as unknown as Clock;
  const otherVxlans = () => {
    time.asked++;
    return [...others];
  };
  const tunnels = new OtherTunnels({ clock, kernel: { otherVxlans } });
  const look = (...ports: number[]) => {
    tunnels.look(desired(...ports), snapshot);
    return tunnels.conditions;
  };
  assert.deepEqual([look(), time.asked], [[], 0], "without tunnels no port is used");
  assert.deepEqual(look(4789), []);
  const [line = "", ...more] = look(4789, 8472);
  assert.match(
    line,
    /VXLAN device encap, which is not Weft's, uses UDP port 8472.*weft vrf edit lab --tunnel-port PORT/,
  );
  assert.deepEqual(more, []);
  assert.deepEqual(look(4789), [], "after a conversion");
  look(8472);
  others.shift();
  const { asked } = time;
  assert.equal(look(8472).length, 1);
  assert.equal(time.asked, asked, "many rounds in a second ask once");
  time.now += 10_000;
  assert.deepEqual(look(8472), []);
});
