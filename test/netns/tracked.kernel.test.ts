// What a host's connection tracking holds belongs to the host and to all its VRFs: one workload takes its share of it
// and no more, and others go on.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { BOTH_DATAPATHS, Cluster, must, OUTSIDE, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";

/** What one address of a workload may have: 48 for each last byte of a port. */
const SHARE = 48 * 256;
/** What a VRF may have for each last byte of a port: 65,536 are many to send, so the test takes some of the bytes. */
const OF_VRF = 256;
const PORTS = 16;
const SENT = 20_000;
/** A number that no protocol has. */
const UNASSIGNED = 253;

describe("connections that are tracked", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(1);
  const workloads = new Map<string, Workload>();
  const of = (name: string) => workloads.get(name) ?? assert.fail(`${name} is not attached`);
  const tracked = async (netns: string) =>
    Number(await must("ip", "netns", "exec", netns, "sysctl", "-n", "net.netfilter.nf_conntrack_count"));

  before(async () => {
    await cluster.open();
    const { status } = await cluster.api("PUT", "/v1/networks/routed", { spec: BOTH_DATAPATHS.routed });
    assert(status < 300);
    const subnets = [{ cidr: "10.9.0.0/16", hostPrefix: 24 }];
    const loose = { ipam: "local", vrf: "loose", subnets, spoofing: { ip: true } };
    assert((await cluster.api("PUT", "/v1/networks/loose", { spec: loose })).status < 300);
    await cluster.converged();
    for (const name of ["a", "b", "c", "d"]) workloads.set(name, await cluster.attach("h1", "routed", name));
    workloads.set("any", await cluster.attach("h1", "loose", "any"));
    await cluster.converged();
  });
  after(() => cluster.close());

  const toOutside = async (from: Workload): Promise<frames.Ends> => {
    await until("it gets out", () => cluster.pings(from, OUTSIDE));
    const neighbours = await must("ip", "-n", from.netns, "-4", "neigh", "show", "dev", "eth0");
    const toMac = /lladdr (\S+)/.exec(neighbours)?.[1] ?? assert.fail(neighbours);
    return { fromMac: from.mac, toMac, from: from.addresses[0] ?? "", to: OUTSIDE };
  };

  test(`packets of one workload to outside take ${SHARE} entries, and another still gets out`, async () => {
    const [a, b] = [of("a"), of("b")];
    const ends = await toOutside(a);
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

  test("so do packets that have no ports, and nothing behind their headers", async () => {
    const a = of("c");
    const ends = await toOutside(a);
    const before = await tracked(cluster.netnsOf("h1"));
    const wire = await Interface.in(a.netns, "eth0");
    try {
      for (let n = 0; n < SENT; n++) {
        const frame = frames.empty({ ...ends, to: `203.0.${n >> 8}.${n & 255}` }, UNASSIGNED);
        while (!wire.send(frame));
      }
    } finally {
      wire.close();
    }
    const more = (await tracked(cluster.netnsOf("h1"))) - before;
    assert(more > SHARE / 2 && more < SHARE + 200, `${more} in the host's`);
  });

  test("what goes to other hosts of the VRF itself is counted as well", async () => {
    const a = of("d");
    const { toMac, fromMac, from } = await toOutside(a);
    const netns = cluster.vrfNetns("h1", "routed");
    const line = await must("ip", "-n", netns, "-4", "-o", "addr", "show", "scope", "global");
    const [, base = ""] = /wx\d+ +inet ([\d.]+)\./.exec(line) ?? assert.fail(line);
    const before = await tracked(netns);
    const wire = await Interface.in(a.netns, "eth0");
    try {
      for (let n = 0; n < SENT; n++) {
        const frame = frames.udp({ fromMac, toMac, from, to: `${base}.77` }, 9, "", 1024 + n);
        while (!wire.send(frame));
      }
    } finally {
      wire.close();
    }
    const more = (await tracked(netns)) - before;
    assert(more < SHARE + 200, `${more} in the VRF's`);
  });

  test(`a workload that may have any address takes its VRF's share, ${OF_VRF} for each last byte`, async () => {
    const any = of("any");
    const ends = { ...(await toOutside(any)), from: "10.9.0.0" };
    const before = await tracked(cluster.netnsOf("h1"));
    const frame = frames.udp(ends, 9, "");
    // No checksum of UDP (RFC 768).
    frame.writeUInt16BE(0, 40);
    const wire = await Interface.in(any.netns, "eth0");
    try {
      for (let n = 0; n < 2 * OF_VRF * PORTS; n++) {
        // Each address once from each port, to a port of its own.
        const address = Math.floor(n / PORTS);
        frame.writeUInt16BE(address, 28);
        frame.writeUInt16BE(0x1000 + (n % PORTS), 34);
        frame.writeUInt16BE(0x2000 + address, 36);
        frames.fixSum(frame);
        while (!wire.send(frame));
      }
    } finally {
      wire.close();
    }
    const taken = (await tracked(cluster.netnsOf("h1"))) - before;
    const share = OF_VRF * PORTS;
    assert(taken > share / 2 && taken < share + 200, `${taken} in the host's, of ${2 * share}`);
    await until("another VRF gets out", () => cluster.pings(of("b"), OUTSIDE));
  });
});
