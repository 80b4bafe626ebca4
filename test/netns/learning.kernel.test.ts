// Networks that allow any MAC (`mac`, and `broadcasts`): bridges learn from frames and flood what they have not
// learned. One port takes no more than its share of what a bridge learns. Frames to unknown MACs are limited, on their
// own host and on others; frames to known MACs are not.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, call, must, until, type Workload } from "./lab/cluster.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";

type Station = Workload & { readonly wire: Interface };

/** Of each port (policy.md). */
const LEARNED = 250;
const PER_SECOND = 2_000;
const BURST = 2_000;
const ANY = { mac: true, broadcasts: true };
const NETWORKS = {
  some: ANY,
  // Nothing else looks at its frames.
  all: { ...ANY, ip: true, dhcpServer: true, routerAdvertisements: true, tags: true },
} as const;

describe("bridges that learn", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  const stations = new Map<string, Station>();
  const of = (name: string) => stations.get(name) ?? assert.fail(`${name} is not attached`);
  let tags = 0;
  const newTag = () => `<tag${String(++tags).padStart(6, "0")}>`;

  const ends = (from: Station, toMac: string, fromMac = from.mac): frames.Ends => {
    const own = from.addresses[0] ?? "";
    return { fromMac, toMac, from: own, to: own };
  };
  const send = ({ wire }: Station, frame: Buffer) => {
    while (!wire.send(frame));
  };
  /** Sends as fast as it can; how many of them each of the others got. */
  const flood = async (from: Station, toMac: string, count: number, others: readonly Station[]) => {
    for (const { wire } of others) wire.forget();
    const tag = newTag();
    const frame = frames.udp(ends(from, toMac), 53, tag);
    const since = performance.now();
    const allowed = () => BURST + (PER_SECOND * (performance.now() - since)) / 1000 + 100;
    let sent = 0;
    // A slow machine sends more: fewer frames than may pass would say nothing.
    for (; sent < count || sent * 0.8 < allowed(); sent++) {
      send(from, frame);
      // Nothing waits for long where it arrives.
      if (sent % 500 === 0) for (const { wire } of others) wire.has("");
    }
    const most = allowed();
    const fence = newTag();
    for (const to of others)
      await until("what comes behind arrives", async () => {
        send(from, frames.udp(ends(from, to.mac), 53, fence));
        return to.wire.has(fence);
      });
    return { got: others.map(({ wire }) => wire.count(tag)), most, sent };
  };
  /** A MAC that is no endpoint's says something from there, to all. */
  const speaks = async (at: Station, guest: string, hearers: readonly Station[]) => {
    const tag = newTag();
    for (const to of hearers)
      await until("the guest is heard", async () => {
        send(at, frames.udp(ends(at, frames.BROADCAST, guest), 53, tag));
        return to.wire.has(tag);
      });
  };
  const learned = async (host: string, network: string) => {
    const lines = await must("bridge", "-n", cluster.vrfNetns(host, network), "fdb", "show", "br", `wb-${network}`);
    return lines.split("\n").filter((line) => line.startsWith("06:")).length;
  };

  before(async () => {
    await cluster.open();
    for (const [network, spoofing] of Object.entries(NETWORKS)) {
      const spec = { ipam: "global", subnets: [{ cidr: "10.7.0.0/16" }], spoofing };
      assert((await cluster.api("PUT", `/v1/networks/${network}`, { spec })).status < 300);
    }
    await cluster.converged();
    for (const network of Object.keys(NETWORKS))
      for (const [name, host] of [
        ["a", "h1"],
        ["b", "h1"],
        ["c", "h2"],
        ["d", "h2"],
      ] as const) {
        const workload = await cluster.attach(host, network, `${network}-${name}`);
        stations.set(`${network}-${name}`, { ...workload, wire: await Interface.in(workload.netns, "eth0") });
      }
    await cluster.converged();
  });
  after(async () => {
    for (const { wire } of stations.values()) wire.close();
    await cluster.close();
  });

  for (const network of Object.keys(NETWORKS)) {
    const all = () =>
      ["a", "b", "c", "d"].map((name) => of(`${network}-${name}`)) as [Station, Station, Station, Station];

    test(`${network}: what nobody has goes to all, ${PER_SECOND} a second, here and on the other host`, async () => {
      const [a, b, c, d] = all();
      const { got, most, sent } = await flood(a, "02:99:99:99:99:99", 12_000, [b, c, d]);
      for (const count of got) assert(count > 0 && count < most, `${got.join(", ")} of ${sent}, at most ${most}`);
    });

    test(`${network}: what somebody has goes there alone, as fast as it is sent`, async () => {
      const [a, b, c, d] = all();
      const [near, far] = ["02:99:00:00:00:01", "02:99:00:00:00:02"];
      await speaks(b, near, [a, c]);
      await speaks(c, far, [a, b]);
      for (const [mac, to] of [
        [b.mac, b],
        [near, b],
        [c.mac, c],
        [far, c],
        // Who has not said a word.
        [d.mac, d],
      ] as const) {
        const { got } = await flood(a, mac, 8_000, [b, c, d]);
        const wanted = [b, c, d].map((one) => (one === to ? 8_000 : 0));
        assert.deepEqual(got, wanted, `to ${mac} at ${to.endpoint}`);
      }
    });

    test(`${network}: of 50,000 sources one port teaches ${LEARNED}, and others teach theirs meanwhile`, async () => {
      const [a, b, c, d] = all();
      const guests = Array.from({ length: 20 }, (_, n) => `02:99:00:00:01:${n.toString(16).padStart(2, "0")}`);
      const list = [b, c].map((to) => frames.udp(ends(a, to.mac, "06:00:00:00:00:00"), 53, "x"));
      for (let n = 0; n < 50_000; n++) {
        send(a, frames.patched(list[n % 2] ?? assert.fail(), 10, n >> 8, n & 255));
        if (n % 5_000 === 4_999) await speaks(b, guests.pop() ?? assert.fail(), [c, d]);
        if (n % 5_000 === 4_999) await speaks(c, guests.pop() ?? assert.fail(), [b, d]);
        if (n % 500 === 0) for (const { wire } of [b, c]) wire.forget();
      }
      for (const host of cluster.hosts) {
        const count = await learned(host, network);
        assert(count > 10 && count <= LEARNED, `${count} on ${host}`);
      }
      const late = "02:99:00:00:02:01";
      await speaks(b, late, [c, d]);
      const { got } = await flood(c, late, 8_000, [a, b, d]);
      assert.deepEqual(got, [0, 8_000, 0]);
      const metrics = (await call(cluster.agentSocket("h1"), "GET", "/metrics")).body;
      assert.match(
        String(metrics),
        new RegExp(`drops_total\\{endpoint="${a.endpoint}",reason="too-many-macs"\\} \\d{5}`),
      );
    });

    test(`${network}: a MAC of a port that was down is nobody's`, async () => {
      const [a, b, c, d] = all();
      const guest = "02:99:00:00:00:03";
      await speaks(c, guest, [a, b, d]);
      for (const state of ["down", "up"]) await must("ip", "-n", c.netns, "link", "set", "eth0", state);
      await until("it is forgotten", async () => {
        const seen = await must("bridge", "-n", cluster.vrfNetns("h2", network), "fdb", "show", "br", `wb-${network}`);
        return !seen.includes(guest);
      });
      const { got, most, sent } = await flood(a, guest, 12_000, [d]);
      assert((got[0] ?? 0) < most, `${got.join()} of ${sent} came to another port, at most ${most}`);
    });
  }
});
