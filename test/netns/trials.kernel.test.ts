// Trial packets of a preflight between two kernels that have no tunnel: both protocols, both families, and filters that
// drop one of them alone. Sending GRE needs no GRE in the kernel.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { tryWays } from "../../src/agent/server/preflight.ts";
import { linuxKernel } from "../../src/kernel/linux.ts";
import type { Clock } from "../../src/model/clock.ts";
import { whyNoKernelTests } from "../runner/machine.ts";
import { must, run } from "./lab/cluster.ts";

const TAG = `tr${process.pid.toString(36)}`;
const NAMES = ["a", "b"] as const;
const ENDS = { 4: ["192.0.2.1", "192.0.2.2"], 6: ["2001:db8::1", "2001:db8::2"] } as const;
const CLOCK: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms) => setTimeout(ms),
};
const netns = (name: string) => `${TAG}-${name}`;

describe("trial packets", { skip: whyNoKernelTests() ?? false }, () => {
  before(async () => {
    for (const name of NAMES) await must("ip", "netns", "add", netns(name));
    await must(
      "ip",
      "-n",
      netns("a"),
      "link",
      "add",
      "eth0",
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      netns("b"),
    );
    for (const [i, name] of NAMES.entries()) {
      await must("ip", "-n", netns(name), "link", "set", "eth0", "up");
      await must("ip", "-n", netns(name), "address", "add", `${ENDS[4][i]}/24`, "dev", "eth0");
      await must("ip", "-n", netns(name), "address", "add", `${ENDS[6][i]}/64`, "dev", "eth0", "nodad");
    }
  });
  after(async () => {
    for (const name of NAMES) await run("ip", "netns", "delete", netns(name));
  });

  /** What each sees of the other: a ping, and the largest packet of each channel, and whether the other's arrive. */
  const tried = async (family: 4 | 6): Promise<readonly string[]> => {
    const kernels = NAMES.map((name) => linuxKernel({ host: `/run/netns/${netns(name)}`, prefix: `${TAG}-` }));
    const channels = [
      { driver: "vxlan", port: 4789 },
      { driver: "gre", port: 0 },
    ] as const;
    try {
      const results = await Promise.all(
        kernels.map((kernel, i) => {
          const [own = "", peer = ""] = i === 0 ? ENDS[family] : ENDS[family].toReversed();
          const options = { kernel, clock: CLOCK, underlay: own, underlayMtu: 1500 };
          return tryWays(options, { peers: [{ host: "peer", underlay: peer }], channels });
        }),
      );
      return results.flatMap(({ peers, obstacle }) =>
        peers.map(({ ping, channels: seen }) =>
          [obstacle ?? "", ping, ...seen.map(({ passed, heard }) => `${passed} ${heard}`)].join(" "),
        ),
      );
    } finally {
      for (const kernel of kernels) kernel.close();
    }
  };

  for (const family of [4, 6] as const)
    test(`over IPv${family}: a filter on one protocol says nothing of the other, and sizes are exact`, async () => {
      const table = family === 4 ? "ip" : "ip6";
      const nft = (script: string) => must("ip", "netns", "exec", netns("b"), "nft", script);
      const chain = (rule: string) =>
        nft(`table ${table} x { chain c { type filter hook input priority 0; ${rule} drop; }; }`);
      const whole = " true 1500 true 1500 true";
      assert.deepEqual(await tried(family), [whole, whole]);
      await chain("meta l4proto gre");
      assert.deepEqual(await tried(family), [" true 1500 true 0 true", " true 1500 true 0 false"]);
      await nft(`delete table ${table} x`);
      await chain("meta l4proto gre meta length > 1300");
      // So many sizes in a row do not pass that the other side hears nothing for a second.
      assert.deepEqual(await tried(family), [" true 1500 true 1300 true", whole]);
      await nft(`delete table ${table} x`);
    });
});
