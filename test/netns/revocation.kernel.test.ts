// A flow whose rule is gone ends, and stays ended, however many of its packets are on their way when that happens. One
// host without an agent: its kernel is brought from one compiled state to the next, as a round does it, in the middle
// of a flood from another process.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { flowCutter } from "../../src/agent/reconcile/cutFlows.ts";
import { compile } from "../../src/datapath/compile.ts";
import { diff } from "../../src/datapath/state/diff.ts";
import type { KernelState } from "../../src/datapath/state/state.ts";
import type { Flow, Kernel } from "../../src/kernel/kernel.ts";
import { linuxKernel } from "../../src/kernel/linux.ts";
import { type Resource, type Snapshot, snapshotOf } from "../../src/model/resource.ts";
import { whyNoKernelTests } from "../runner/machine.ts";
import { must, run, until } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";

const TIMES = 60;
/** A flood's flows: their first port, and how many. */
const FIRST = 20_000;
const FLOWS = 16;
/** The port that is open at times. */
const OPEN = 7000;
const ID = `wr${process.pid.toString(36)}`;
const NS = "vrf:blue";
const A = { netns: `${ID}-a`, mac: "02:00:0a:01:01:02", address: "10.1.1.2" };
const B = { netns: `${ID}-b`, mac: "02:00:0a:01:01:03", address: "10.1.1.3" };

const make = (kind: string, name: string, spec: object) => ({ kind, name, uid: name, revision: 1, spec }) as Resource;
const vrf = { index: 1, vni: 4096, tunnelPort: 4789, vtepSubnets: ["198.18.0.0/20"], vtepMacOui: "70:b3:d5" };
const subnets = [{ cidr: "10.1.0.0/16", hostPrefix: 24 }];
const endpoint = (name: string, { netns, mac, address }: typeof A, group: string) =>
  make("endpoint", `${name}.eth0`, {
    network: "blue",
    host: "h1",
    owner: name,
    ifname: "eth0",
    netns: `/run/netns/${netns}`,
    mac,
    addresses: [address],
    securityGroups: [group],
  });

/** A host with two workloads: `a` may begin everything, `b` takes what comes to this port. */
function world(port: number): Snapshot {
  const rule = { direction: "in", action: "allow", protocol: "udp", ports: [port] };
  return snapshotOf("c", 1, [
    make("host", "h1", { underlay: "192.0.2.1", underlayMtu: 1500, order: 1 }),
    make("vrf", "blue", { ...vrf, hostAccess: false }),
    make("network", "blue", { driver: "vxlan", ipam: "local", vrf: "blue", subnets, masquerade: false, enabled: true }),
    make("block", "blue.h1.4", { network: "blue", host: "h1", cidr: "10.1.1.0/24" }),
    make("securitygroup", "asks", { rules: [{ direction: "out", action: "allow", protocol: "all" }] }),
    make("securitygroup", "answers", { rules: [rule] }),
    endpoint("a", A, "asks"),
    endpoint("b", B, "answers"),
  ]);
}

describe("a flow that is cut stays cut", { skip: whyNoKernelTests() ?? false }, () => {
  const floods: ChildProcess[] = [];
  let kernel: Kernel;
  let held: KernelState = new Map();

  const to = async (snapshot: Snapshot) => {
    const desired = compile(snapshot, "h1");
    const ops = diff(held, desired);
    const refused = (await kernel.apply(ops)).filter(({ refusal }) => refusal !== undefined);
    assert.deepEqual(refused, []);
    held = desired;
    return ops;
  };
  const flowsToB = (): Flow[] => {
    const seen: Flow[] = [];
    kernel.cutFlows(NS, (flow) => (seen.push(flow), true));
    return seen.filter(({ side }) => side === "in");
  };

  before(async () => {
    for (const netns of [`${ID}-h`, A.netns, B.netns]) await must("ip", "netns", "add", netns);
    kernel = linuxKernel({ host: `/run/netns/${ID}-h`, prefix: `${ID}-` });
    await to(world(OPEN));
    const ends = { fromMac: A.mac, toMac: B.mac, from: A.address, to: B.address };
    for (const first of [FIRST, FIRST + FLOWS]) {
      const list = Array.from({ length: FLOWS }, (_, n) => frames.udp(ends, OPEN, "flood", first + n).toString("hex"));
      const argv = [process.execPath, join(import.meta.dirname, "lab/flood.ts"), A.netns, "eth0", ...list];
      floods.push(spawn("setpriv", ["--pdeathsig", "KILL", ...argv], { stdio: "ignore" }));
    }
  });
  after(async () => {
    for (const flood of floods) flood.kill("SIGKILL");
    kernel.close();
    for (const netns of [`${ID}-h`, `${ID}-blue`, A.netns, B.netns]) await run("ip", "netns", "delete", netns);
  });

  test(`${TIMES} times, in the middle of a flood`, async () => {
    const cut = flowCutter(kernel, "h1");
    await cut(world(OPEN), []);
    for (let n = 0; n < TIMES; n++) {
      await until("all flows are there", async () => flowsToB().length === 2 * FLOWS);
      const ops = await to(world(OPEN + 1));
      await cut(world(OPEN + 1), ops);
      // Whatever a packet does after it was told.
      await kernel.packetsPassed();
      assert.deepEqual(flowsToB(), [], `there is a flow after the change was told, time ${n}`);
      await to(world(OPEN));
    }
  });
});
