// Workloads with several interfaces in networks of one VRF, on the real kernel: each of their addresses answers its
// network's workloads on another host, whichever interface came first, also after one of them has gone.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { call, Cluster, must, until, type Workload } from "./lab/cluster.ts";

const SPECS = {
  one: {
    ipam: "local",
    subnets: [
      { cidr: "9.0.0.0/8", hostPrefix: 24 },
      { cidr: "fd09::/48", hostPrefix: 64 },
    ],
  },
  two: {
    ipam: "local",
    subnets: [
      { cidr: "192.168.0.0/16", hostPrefix: 24 },
      { cidr: "fd08::/48", hostPrefix: 64 },
    ],
  },
  three: {
    ipam: "local",
    subnets: [
      { cidr: "10.9.0.0/16", hostPrefix: 24 },
      { cidr: "fd0a::/48", hostPrefix: 64 },
    ],
  },
  flat: { ipam: "global", subnets: [{ cidr: "10.7.0.0/16" }, { cidr: "fd07::/64" }] },
};
type Name = keyof typeof SPECS;

describe("several interfaces in one VRF", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);
  /** On the other host: in one network each. */
  const peers = new Map<string, Workload>();
  let counter = 0;

  const attach = async (netns: string, owner: string, ifname: string, network: string) => {
    const request = { network, netns: `/run/netns/${netns}`, owner, ifname };
    const { status, body } = await call(cluster.agentSocket("h1"), "POST", "/v1/attachments", request);
    assert.equal(status, 201, `${owner}.${ifname} in ${network}: ${JSON.stringify(body)}`);
    return body.spec.addresses as string[];
  };
  const detach = async (name: string) =>
    assert.equal((await call(cluster.agentSocket("h1"), "DELETE", `/v1/attachments/${name}`)).status, 204, name);
  const answers = async (what: string, network: string, addresses: readonly string[]) => {
    const peer = peers.get(network) ?? assert.fail();
    for (const ip of addresses) await until(`${what}: ${ip} answers ${network}`, () => cluster.pings(peer, ip), 5_000);
  };
  const noDrift = async () => {
    await cluster.converged();
    const { hosts } = await cluster.status();
    assert.deepEqual(
      hosts.map(({ status }) => [status?.errors, status?.driftRepaired]),
      hosts.map(() => [[], 0]),
    );
  };

  before(async () => {
    await cluster.open();
    for (const [name, spec] of Object.entries(SPECS)) {
      const { status, body } = await cluster.api("PUT", `/v1/networks/${name}`, { spec: { ...spec, vrf: "v" } });
      assert.equal(status, 201, JSON.stringify(body));
    }
    await cluster.converged();
    for (const name of Object.keys(SPECS)) peers.set(name, await cluster.attach("h2", name, `peer-${name}`));
  });
  after(() => cluster.close());

  const LINES: readonly (readonly Name[])[] = [
    ["one", "two"],
    ["two", "one"],
    ["one", "flat"],
    ["flat", "one"],
    ["one", "two", "three"],
    ["flat", "two", "one"],
  ];
  for (const line of LINES)
    for (const isReversed of [false, true]) {
      const title = `${line.join(", ")}${isReversed ? ", the last first" : ""}`;
      test(`${title}: each address answers, also after one is gone`, async () => {
        const owner = `w${counter++}`;
        const netns = await cluster.addWorkloadNetns(owner);
        const names = line.map((network, i) => ({ network, ifname: `eth${i}`, addresses: [] as string[] }));
        for (const each of isReversed ? names.toReversed() : names)
          each.addresses = await attach(netns, owner, each.ifname, each.network);
        for (const each of names) await answers(line.join(), each.network, each.addresses);
        const gone = names[isReversed ? names.length - 1 : 0] ?? assert.fail();
        await detach(`${owner}.${gone.ifname}`);
        for (const each of names)
          if (each !== gone) await answers(`without ${gone.ifname}`, each.network, each.addresses);
        for (const each of names) if (each !== gone) await detach(`${owner}.${each.ifname}`);
        await noDrift();
      });
    }

  test("twice in one local network: the first address goes on answering, the second does when alone", async () => {
    const netns = await cluster.addWorkloadNetns("twice");
    const first = await attach(netns, "twice", "eth0", "one");
    const second = await attach(netns, "twice", "eth1", "one");
    await answers("both", "one", first);
    await detach("twice.eth0");
    await answers("alone", "one", second);
    await noDrift();
  });

  test("a member that joins a second local network keeps its first address", async () => {
    const one = await cluster.attach("h1", "one", "member", { workload: "member" });
    assert.equal((await cluster.weft("network", "join", "two", "member", "--wait")).code, 0);
    await until("it has joined", async () => (await must("ip", "-n", one.netns, "-br", "link")).includes("eth1"));
    await answers("after the join", "one", one.addresses);
    const { body } = await cluster.api("GET", "/v1/endpoints/member.eth1");
    await answers("after the join", "two", body.spec.addresses);
    assert.equal((await cluster.weft("network", "leave", "two", "member", "--wait")).code, 0);
    await answers("after it left", "one", one.addresses);
    await noDrift();
  });
});
