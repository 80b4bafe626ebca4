// What a purge gives back first: what the agent wrote down in any state, and what no file tells of.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TakeOver } from "../../../src/agent/reconcile/takeOver.ts";
import type { KernelObject } from "../../../src/datapath/kinds.ts";
import { stateOf } from "../../../src/datapath/state/state.ts";
import type { GivenBack, HostUse } from "../../../src/kernel/takeOver/types.ts";
import { giveBackDevices } from "../../../src/main/giveBack.ts";

const bridge = { kind: "bridge", ns: "host", name: "wb-office", mtu: 1500, mac: "", alias: "" } as KernelObject;
const port = { kind: "port", ns: "host", dev: "eth0", master: "wb-office", macs: "flooded" } as const;
const NOTHING = { device: "eth0", addresses: [], routes: [] } as unknown as HostUse;
const FULL = {
  ...NOTHING,
  addresses: [{ cidr: "192.0.2.2/24" }],
  routes: [{ dst: "0.0.0.0/0" }],
} as unknown as HostUse;
const RECORD: TakeOver = { parent: "lan", bridge: "wb-office", use: FULL, bootId: "now", isConfirmed: true };

/** A kernel with these objects; `given` is what went back, and how sure. */
function kernelWith(objects: readonly KernelObject[], on: Record<string, HostUse>) {
  const given: GivenBack[] = [];
  const kernel = {
    observe: async () => stateOf(objects),
    hostUse: (device: string) => on[device],
    async giveBack(one: GivenBack) {
      given.push(one);
      if (on[one.use.device] === undefined) return { class: "missing" as const, message: "there is no device" };
      on[one.use.device] = FULL;
      return undefined;
    },
  };
  return { kernel, given };
}

test("what was written down goes back, whether or not the device is a port now", async () => {
  const all = { eth0: NOTHING, "wb-office": FULL };
  const empty = { eth0: NOTHING, "wb-office": NOTHING };
  for (const [objects, on, isSure] of [
    [[bridge, port], all, true],
    [[bridge], all, true],
    [[bridge], empty, false],
    [[], { eth0: NOTHING }, false],
    // The bridge has lost its mark.
    [[], all, false],
  ] as const) {
    const { kernel, given } = kernelWith(objects, { ...on });
    assert.deepEqual(await giveBackDevices(kernel, [RECORD]), ["gave back eth0: 192.0.2.2/24, default route"]);
    assert.deepEqual(given, [{ use: FULL, bridge: "wb-office", isSure }]);
  }
});

test("what no file tells of goes back as well, and a port of a bridge without addresses is none", async () => {
  const { kernel, given } = kernelWith([bridge, port], { eth0: NOTHING, "wb-office": FULL });
  assert.equal((await giveBackDevices(kernel, [])).length, 1);
  assert.equal(given[0]?.use.device, "eth0");
  const plain = kernelWith([bridge, port], { eth0: NOTHING, "wb-office": NOTHING });
  assert.deepEqual(await giveBackDevices(plain.kernel, []), []);
});

test("nothing is purged while a bridge has the host's addresses and the device is gone", async () => {
  const lost = kernelWith([bridge], { "wb-office": FULL });
  await assert.rejects(giveBackDevices(lost.kernel, [RECORD]), /wb-office cannot be given back to eth0/);
  const gone = kernelWith([bridge], { "wb-office": NOTHING });
  assert.match((await giveBackDevices(gone.kernel, [RECORD])).join(), /eth0 is not there any more/);
});
