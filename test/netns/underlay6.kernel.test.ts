// Hosts whose underlay is IPv6, and VRFs with different tunnel ports: every way that frames take with VXLAN.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, packetsAt, run, until, type Json, type Workload } from "./lab/cluster.ts";
import { dial, Listener } from "./lab/tcp.ts";

const PORTS = { near: 4789, far: 8472 } as const;
/** Of each VRF, with the second octet that its addresses have. */
const networksOf = (vrf: string, octet: number) => ({
  [`${vrf}-switched`]: { ipam: "global", subnets: [{ cidr: `10.${octet}.0.0/16` }, { cidr: `fd0${octet}::/64` }] },
  [`${vrf}-many`]: { ipam: "global", peers: "multicast", subnets: [{ cidr: `10.${octet + 1}.0.0/16` }] },
  [`${vrf}-routed`]: {
    ipam: "local",
    subnets: [
      { cidr: `10.${octet + 2}.0.0/16`, hostPrefix: 24 },
      { cidr: `fd0${octet + 2}::/56`, hostPrefix: 64 },
    ],
  },
});
/** 1500 less 70: IPv6, UDP, VXLAN and Ethernet. */
const MTU = 1430;

describe("an IPv6 underlay, and several tunnel ports", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2, [], 6);
  const stations = new Map<string, Workload>();
  const of = (name: string) => stations.get(name) ?? assert.fail(name);
  const listeners: Listener[] = [];
  const listen = async (at: Workload, port: number, text: string) => {
    listeners.push(await Listener.in(at.netns, port, text));
  };
  const names = Object.keys(PORTS).flatMap((vrf, i) => Object.keys(networksOf(vrf, 1 + 4 * i)));

  before(async () => {
    await cluster.open();
    for (const [i, [vrf, tunnelPort]] of Object.entries(PORTS).entries()) {
      await cluster.api("PUT", `/v1/vrfs/${vrf}`, { spec: { tunnelPort } });
      for (const [name, spec] of Object.entries(networksOf(vrf, 1 + 4 * i))) {
        const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, { spec: { ...spec, vrf } });
        assert(status < 300, JSON.stringify(body));
      }
    }
    await cluster.converged();
    for (const host of cluster.hosts)
      for (const name of names) stations.set(`${name}-${host}`, await cluster.attach(host, name, `${name}-${host}`));
    await cluster.converged();
  });
  after(async () => {
    for (const listener of listeners) listener.close();
    await cluster.close();
  });

  test("packets of full size and TCP cross in every network, and larger ones do not", async () => {
    const judge = async (name: string) => {
      const [from, to] = [of(`${name}-h1`), of(`${name}-h2`)];
      const text = "x".repeat(50_000);
      await listen(to, 5000, text);
      for (const address of to.addresses) {
        await cluster.reaches(from, address);
        const ping = async (size: number) =>
          (await run("ip", "netns", "exec", from.netns, "ping", "-nqc1", "-W1", "-Mdo", `-s${size}`, address)).code;
        const most = MTU - (address.includes(":") ? 48 : 28);
        assert.equal(await ping(most), 0, `${name} ${address}`);
        assert.notEqual(await ping(most + 1), 0, `${name} ${address}`);
        assert((await dial(from.netns, address, 5000)).startsWith(text), `${name} ${address}`);
      }
    };
    await Promise.all(names.map(judge));
  });

  test("VRFs are apart, each on its own port", async () => {
    for (const [vrf, other] of [
      ["near", "far"],
      ["far", "near"],
    ] as const) {
      const reached = await Promise.all(
        ["switched", "many", "routed"].map((kind) =>
          cluster.pings(of(`${vrf}-switched-h1`), of(`${other}-${kind}-h2`).addresses[0] ?? ""),
        ),
      );
      assert.deepEqual(reached, [false, false, false]);
      const seen = await packetsAt(cluster.wire, "h1", "udp portrange 4000-9000", async () => {
        for (const kind of ["switched", "routed"])
          await cluster.reaches(of(`${vrf}-${kind}-h1`), of(`${vrf}-${kind}-h2`).addresses[0] ?? "");
      });
      assert(seen.includes(`fd77::12.${PORTS[vrf]}: `), seen);
    }
  });

  test("groups allow and refuse, whatever carries the packets", async () => {
    const rule = { direction: "in", action: "allow", protocol: "tcp", ports: [5001] };
    const { status, body } = await cluster.api("PUT", "/v1/securitygroups/web", { spec: { rules: [rule] } });
    assert(status < 300, JSON.stringify(body));
    for (const name of names) {
      const to = of(`${name}-h2`);
      const patched = await cluster.api("PATCH", `/v1/endpoints/${to.endpoint}`, { securityGroups: ["web"] });
      assert(patched.status < 300, JSON.stringify(patched.body));
    }
    await cluster.converged();
    const judge = async (name: string) => {
      const [from, to] = [of(`${name}-h1`), of(`${name}-h2`)];
      const [address = ""] = to.addresses;
      for (const port of [5001, 5002]) await listen(to, port, "here");
      assert.equal(await dial(from.netns, address, 5002), "", name);
      assert.match(await dial(from.netns, address, 5001), /^here /, name);
    };
    await Promise.all(names.map(judge));
  });

  test("paths are proven by both ports, and groups between the hosts", async () => {
    await until("paths and groups are proven", async () => {
      const { paths, groups = [] }: Json = (await cluster.api("GET", "/v1/status")).body;
      return paths?.proven === 1 && groups.length === 2 && groups.every((group: Json) => group.proven === 1);
    });
    const devices = await must("ip", "-n", cluster.vrfNetns("h1", "_paths"), "-o", "link", "show", "type", "vxlan");
    assert.deepEqual(devices.match(/path\d+/g)?.sort(), ["path4789", "path8472"]);
    const { spec } = (await cluster.api("GET", "/v1/networks/far-many")).body;
    assert.match(spec.group, /^ff05::/);
    const members = await must("ip", "-n", cluster.netnsOf("h1"), "maddr", "show", "dev", "eth0");
    assert(members.includes(`inet6 ${spec.group}\n`), members);
  });

  test("a preflight tells whether whole packets pass by a network's port, and which port a filter drops", async () => {
    const preflight = async (network: string): Promise<Json> => {
      const { stdout } = await cluster.weft("host", "preflight", "--network", network, "-o", "json");
      const { ways, problems }: Json = JSON.parse(stdout);
      return { ways: ways.map(({ from, to, state, size }: Json) => `${from}>${to} ${state} ${size}`), problems };
    };
    const h1 = cluster.netnsOf("h1");
    const filter = (rule: string) => {
      const chain = `chain in { type filter hook input priority 0; ${rule} drop; }`;
      return must("ip", "netns", "exec", h1, "nft", `table ip6 other { ${chain}; }`);
    };
    await filter(`udp dport ${PORTS.near}`);
    const closed = await preflight("near-switched");
    assert.deepEqual(closed.ways, ["h1>h2 one-way 0", "h2>h1 blocked 0"]);
    assert.match(closed.problems.join("\n"), /open UDP 4789 from fd77::12 to fd77::11 in firewalls/);
    assert.deepEqual((await preflight("far-switched")).ways, ["h1>h2 passes 1500", "h2>h1 passes 1500"]);
    await must("ip", "netns", "exec", h1, "nft", "delete table ip6 other");
  });
});
