// What a host's connection tracking holds belongs to the host and to all its VRFs: one workload takes its share of it
// and no more, and others go on.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, must, OUTSIDE, until, type Workload } from "./cluster.ts";
import * as frames from "./frames.ts";
import { Interface } from "./interface.ts";

/** What one address of a workload may have: 48 for each last byte of a port. */
const SHARE = 48 * 256;
const SENT = 20_000;

describe("connections that are tracked", { skip: whyNoKernelTests() ?? false, timeout: 60_000 }, () => {
  const cluster = new Cluster(1);
  const workloads = new Map<string, Workload>();
  const of = (name: string) => workloads.get(name) ?? assert.fail(`${name} is not attached`);
  const tracked = async (netns: string) =>
    Number(await must("ip", "netns", "exec", netns, "sysctl", "-n", "net.netfilter.nf_conntrack_count"));

  before(async () => {
    await cluster.open();
    const { status } = await cluster.api("PUT", "/v1/networks/routed", { spec: BOTH_DATAPATHS.routed });
    assert(status < 300);
    await cluster.converged();
    for (const name of ["a", "b"]) workloads.set(name, await cluster.attach("h1", "routed", name));
    await cluster.converged();
  });
  after(() => cluster.close());

  test(`packets of one workload to outside take ${SHARE} entries, and another still gets out`, async () => {
    const [a, b] = [of("a"), of("b")];
    await until("a gets out", () => cluster.pings(a, OUTSIDE));
    const neighbours = await must("ip", "-n", a.netns, "-4", "neigh", "show", "dev", "eth0");
    const toMac = /lladdr (\S+)/.exec(neighbours)?.[1] ?? assert.fail(neighbours);
    const ends = { fromMac: a.mac, toMac, from: a.addresses[0] ?? "", to: OUTSIDE };
    const wire = await Interface.in(a.netns, "eth0");
    try {
      for (let n = 0; n < SENT; n++) {
        const frame = frames.udp(ends, 9, "", 1024 + n);
        while (!wire.send(frame));
      }
    } finally {
      wire.close();
    }
    const [host, vrf] = [await tracked(cluster.netnsOf("h1")), await tracked(cluster.vrfNetns("h1", "routed"))];
    // Beside them, what the agent, the server and the pings have.
    assert(vrf > SHARE / 2 && vrf < SHARE + 200, `${vrf} in the VRF's namespace`);
    assert(host < SHARE + 200, `${host} in the host's`);
    await until("b gets out", () => cluster.pings(b, OUTSIDE));
  });
});
