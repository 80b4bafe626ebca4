// Whatever is planted is found, and what is right is not: a clean cluster of random size, and one defect in it.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Finding,
  type Inventory,
  type JournalEntry,
  type KernelPort,
  RULES,
  type Rule,
} from "../../../../src/model/check.ts";
import { type Endpoint, type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import { findingsOf } from "../../../../src/control/check/findings.ts";

type Truths = {
  readonly resources: Resource[];
  readonly inventories: Map<string, { readonly entries: JournalEntry[]; readonly ports: KernelPort[]; busy: string[] }>;
};

const META = { uid: "u", revision: 1 } as const;
/** Two local networks in one VRF, a global one, and one with the same addresses in a VRF of its own. */
const NETWORKS = [
  { name: "near", vrf: "shared", ipam: "local", octet: 1 },
  { name: "next", vrf: "shared", ipam: "local", octet: 2 },
  { name: "wide", vrf: "wide", ipam: "global", octet: 3 },
  { name: "twin", vrf: "twin", ipam: "global", octet: 3 },
] as const;

function networkOf({ name, vrf, ipam, octet }: (typeof NETWORKS)[number]): Resource {
  const subnet = { cidr: `10.${octet}.0.0/16`, ...(ipam === "local" ? { hostPrefix: 24 } : { gateway: "none" }) };
  return {
    kind: "network",
    name,
    ...META,
    spec: { driver: "vxlan", ipam, vrf, subnets: [subnet], masquerade: false, enabled: true },
  };
}

function endpointOf(network: (typeof NETWORKS)[number], host: number, n: number): Endpoint {
  const third = network.ipam === "local" ? host : 200;
  const address = `10.${network.octet}.${third}.${network.ipam === "local" ? n + 2 : host * 50 + n + 2}`;
  const owner = `${network.name}-${host}-${n}`;
  const spec = {
    network: network.name,
    host: `h${host}`,
    owner,
    ifname: "eth0",
    netns: `/run/netns/${owner}`,
    mac: `02:00:0a:0${network.octet}:0${host}:0${n}`,
    addresses: [address],
  };
  return { kind: "endpoint", name: `${owner}.eth0`, uid: "u", revision: 10 * host + n, spec };
}

function entryOf({ name, revision, spec }: Endpoint): JournalEntry {
  const { network, netns, mac, addresses } = spec;
  return { endpoint: name, network, netns, mac, addresses, revision, state: "attached", alive: true };
}

function portOf({ name, spec }: Endpoint): KernelPort {
  const vrf = NETWORKS.find((network) => network.name === spec.network)?.vrf ?? "";
  return { endpoint: name, vrf, name: `wp-${name}`, far: { ifname: "eth0", mac: spec.mac, addresses: spec.addresses } };
}

/** `counts[host]` endpoints of each network on each host; everybody agrees. */
function cleanTruths(counts: readonly number[]): Truths {
  const truths: Truths = { resources: NETWORKS.map(networkOf), inventories: new Map() };
  for (const [h, count] of counts.entries()) {
    const name = `h${h}`;
    const spec = { underlay: `192.0.2.${h}`, underlayMtu: 1500, order: h };
    truths.resources.push({ kind: "host", name, ...META, spec });
    const endpoints = NETWORKS.flatMap((network) => Array.from({ length: count }, (_, n) => endpointOf(network, h, n)));
    for (const network of NETWORKS.filter(({ ipam }) => ipam === "local")) {
      const block = { network: network.name, host: name, cidr: `10.${network.octet}.${h}.0/24` };
      truths.resources.push({ kind: "block", name: `${network.name}.${name}.4`, ...META, spec: block });
    }
    truths.resources.push(...endpoints);
    truths.inventories.set(name, { entries: endpoints.map(entryOf), ports: endpoints.map(portOf), busy: [] });
  }
  return truths;
}

function found({ resources, inventories }: Truths, evict = false): Finding[] {
  const told = new Map<string, Inventory>();
  for (const [host, inventory] of inventories) told.set(host, { host, revision: 99, telling: false, ...inventory });
  return findingsOf(snapshotOf("c", 99, resources), told, { evict }).map(({ finding }) => finding);
}

function replace<T>(list: T[], old: T, ...by: T[]): void {
  list.splice(list.indexOf(old), 1, ...by);
}

/** What goes wrong with one endpoint, in which truths, and by which rule that is found. */
type Defect = {
  readonly rule: Rule;
  readonly when?: "local" | "global";
  readonly plant: (truths: Truths, victim: Victim) => void;
};
type Victim = { readonly lease: Endpoint; readonly entry: JournalEntry; readonly port: KernelPort };

const own = ({ inventories }: Truths, { lease }: Victim) => inventories.get(lease.spec.host) ?? assert.fail();
const withSpec = (lease: Endpoint, spec: Partial<Endpoint["spec"]>): Endpoint => ({
  ...lease,
  spec: { ...lease.spec, ...spec },
});

const DEFECTS: Readonly<Record<string, Defect>> = {
  "the workload ends": {
    rule: "workload-gone",
    plant(truths, victim) {
      const { entries, ports } = own(truths, victim);
      replace(entries, victim.entry, { ...victim.entry, alive: false });
      replace(ports, victim.port);
    },
  },
  "a detach stops halfway": {
    rule: "detach-unfinished",
    plant: (truths, victim) =>
      replace(own(truths, victim).entries, victim.entry, { ...victim.entry, state: "detaching" }),
  },
  "a port goes": { rule: "port-missing", plant: (truths, victim) => replace(own(truths, victim).ports, victim.port) },
  "a network goes": {
    rule: "network-gone",
    plant({ resources }, { entry, lease }) {
      replace<Resource>(resources, resources.find(({ name }) => name === entry.network) ?? assert.fail());
      replace<Resource>(resources, lease);
    },
  },
  "a host goes from the server": {
    rule: "host-gone",
    plant({ resources }, { lease }) {
      const host = resources.find(({ kind, name }) => kind === "host" && name === lease.spec.host);
      replace<Resource>(resources, host ?? assert.fail());
    },
  },
  "the journal loses an entry, the kernel the port": {
    rule: "unknown-to-host",
    plant(truths, victim) {
      replace(own(truths, victim).entries, victim.entry);
      replace(own(truths, victim).ports, victim.port);
    },
  },
  "the journal loses an entry": {
    rule: "unknown-to-host",
    plant: (truths, victim) => replace(own(truths, victim).entries, victim.entry),
  },
  "only the port is left": {
    rule: "port-unknown",
    plant(truths, victim) {
      replace(own(truths, victim).entries, victim.entry);
      replace<Resource>(truths.resources, victim.lease);
    },
  },
  "the server loses a lease": {
    rule: "unknown-to-server",
    plant: ({ resources }, { lease }) => replace<Resource>(resources, lease),
  },
  "the server has another MAC": {
    rule: "lease-differs",
    plant: ({ resources }, { lease }) =>
      replace<Resource>(resources, lease, withSpec(lease, { mac: "02:ff:ff:ff:ff:ff" })),
  },
  "the server has another address": {
    rule: "lease-differs",
    plant({ resources }, { lease }) {
      const addresses = lease.spec.addresses.map((address) => address.replace(/\.\d+$/, ".250"));
      replace<Resource>(resources, lease, withSpec(lease, { addresses }));
    },
  },
  "an address is taken off the interface": {
    rule: "kernel-differs",
    plant(truths, victim) {
      const far = { ...(victim.port.far ?? assert.fail()), addresses: [] };
      replace(own(truths, victim).ports, victim.port, { ...victim.port, far });
    },
  },
  "an address is put on the interface": {
    rule: "kernel-differs",
    plant(truths, victim) {
      const far = victim.port.far ?? assert.fail();
      const addresses = [...far.addresses, "10.9.9.9"];
      replace(own(truths, victim).ports, victim.port, { ...victim.port, far: { ...far, addresses } });
    },
  },
  "a port is in another VRF": {
    rule: "kernel-differs",
    plant: (truths, victim) => replace(own(truths, victim).ports, victim.port, { ...victim.port, vrf: "elsewhere" }),
  },
  "the server has it on another host": {
    rule: "wrong-host",
    plant({ resources }, { lease }) {
      const host = lease.spec.host === "h0" ? "h1" : "h0";
      replace<Resource>(resources, lease, withSpec(lease, { host }));
    },
  },
  "an address outside": {
    rule: "outside",
    plant(truths, victim) {
      const { lease, entry, port } = victim;
      const addresses = ["10.77.0.9"];
      replace<Resource>(truths.resources, lease, withSpec(lease, { addresses }));
      replace(own(truths, victim).entries, entry, { ...entry, addresses });
      replace(own(truths, victim).ports, port, { ...port, far: { ...(port.far ?? assert.fail()), addresses } });
    },
  },
  "a block upon another": {
    rule: "two-blocks",
    when: "local",
    plant({ resources }, { lease }) {
      const { network, host } = lease.spec;
      const blocks = resources.filter((one) => one.kind === "block" && one.spec.network === network);
      const [one, other] = [
        blocks.find(({ name }) => name.includes(host)),
        blocks.find(({ name }) => !name.includes(host)),
      ];
      assert(one?.kind === "block" && other?.kind === "block");
      replace<Resource>(resources, other, { ...other, spec: { ...other.spec, cidr: one.spec.cidr } });
    },
  },
};
const counts = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 4 });

/** One endpoint of a random cluster. */
function victimOf(truths: Truths, n: number, ipam?: "local" | "global"): Victim {
  const names = new Set<string>(
    NETWORKS.filter((one) => ipam === undefined || one.ipam === ipam).map(({ name }) => name),
  );
  const leases = truths.resources.filter((one) => one.kind === "endpoint" && names.has(one.spec.network));
  const lease = leases[n % leases.length];
  assert(lease?.kind === "endpoint");
  const { entries, ports } = truths.inventories.get(lease.spec.host) ?? assert.fail();
  const entry = entries.find(({ endpoint }) => endpoint === lease.name) ?? assert.fail();
  return { lease, entry, port: ports.find(({ endpoint }) => endpoint === lease.name) ?? assert.fail() };
}

test("where everybody agrees, nothing is found, whoever was asked", () => {
  fc.assert(
    fc.property(counts, fc.nat(), (sizes, n) => {
      const truths = cleanTruths(sizes);
      assert.deepEqual(found(truths), []);
      truths.inventories.delete(`h${n % sizes.length}`);
      assert.deepEqual(found(truths), []);
    }),
  );
});

for (const [what, { rule, when, plant }] of Object.entries(DEFECTS)) {
  test(`${what}: ${rule}`, () => {
    fc.assert(
      fc.property(counts, fc.nat(), (sizes, n) => {
        const truths = cleanTruths(sizes);
        const victim = victimOf(truths, n, when);
        plant(truths, victim);
        const about = found(truths).filter((finding) => finding.rule === rule);
        assert(about.length > 0, JSON.stringify(found(truths)));
        for (const { kind, evidence, remedy } of about) {
          assert.equal(kind, RULES[rule]);
          assert(evidence.length > 0 && remedy !== "");
        }
        if (rule === "two-blocks" || rule === "host-gone" || rule === "network-gone") return;
        assert.deepEqual([...new Set(about.map(({ endpoint }) => endpoint))], [victim.lease.name]);
      }),
    );
  });
}

test("an endpoint that is being attached or detached is nobody's error", () => {
  fc.assert(
    fc.property(counts, fc.nat(), fc.constantFrom(...Object.keys(DEFECTS)), (sizes, n, name) => {
      const defect = DEFECTS[name] ?? assert.fail();
      if (["two-blocks", "host-gone", "network-gone", "wrong-host"].includes(defect.rule)) return;
      const truths = cleanTruths(sizes);
      const victim = victimOf(truths, n, defect.when);
      defect.plant(truths, victim);
      own(truths, victim).busy.push(victim.lease.name);
      assert.deepEqual(found(truths), []);
    }),
  );
});

/** Every pair of endpoints that hold one address of a VRF, by comparing each with each. */
function naivePairs({ resources, inventories }: Truths): Set<string> {
  const vrfOf = (network: string) => NETWORKS.find(({ name }) => name === network)?.vrf ?? "";
  const held: { readonly who: string; readonly what: string }[] = [];
  for (const resource of resources) {
    if (resource.kind !== "endpoint") continue;
    for (const address of resource.spec.addresses)
      held.push({ who: `${resource.spec.host} ${resource.name}`, what: `${vrfOf(resource.spec.network)} ${address}` });
  }
  for (const [host, { entries, ports }] of inventories) {
    for (const { endpoint, network, addresses } of entries)
      for (const address of addresses) held.push({ who: `${host} ${endpoint}`, what: `${vrfOf(network)} ${address}` });
    for (const { endpoint, vrf, far } of ports)
      for (const address of far?.addresses ?? []) held.push({ who: `${host} ${endpoint}`, what: `${vrf} ${address}` });
  }
  return new Set(held.flatMap((a) => (held.some((b) => a.what === b.what && a.who !== b.who) ? [a.what] : [])));
}

test("every address that two hold is found, in whatever truths: as comparing each with each does", () => {
  const theft = fc.record({ thief: fc.nat(), owner: fc.nat(), where: fc.constantFrom("server", "journal", "kernel") });
  fc.assert(
    fc.property(counts, fc.array(theft, { maxLength: 4 }), (sizes, thefts) => {
      const truths = cleanTruths(sizes);
      for (const { thief, owner, where } of thefts) {
        const { addresses } = victimOf(truths, owner).lease.spec;
        const victim = victimOf(truths, thief);
        if (where === "server")
          replace<Resource>(truths.resources, victim.lease, withSpec(victim.lease, { addresses }));
        if (where === "journal") replace(own(truths, victim).entries, victim.entry, { ...victim.entry, addresses });
        const far = { ...(victim.port.far ?? assert.fail()), addresses };
        if (where === "kernel") replace(own(truths, victim).ports, victim.port, { ...victim.port, far });
      }
      const doubled = found(truths).filter(({ rule }) => rule === "two-holders");
      assert.deepEqual(new Set(doubled.map(({ vrf, addresses }) => `${vrf} ${addresses.join()}`)), naivePairs(truths));
      for (const { mendable } of doubled) assert.equal(mendable, false, "nobody is evicted unasked");
    }),
  );
});

test("of two that hold one address, the later one is to go, and only when that was asked for", () => {
  const truths = cleanTruths([1, 1]);
  const [first, second] = [victimOf(truths, 2), victimOf(truths, 6)];
  assert.deepEqual([first.lease.name, second.lease.name], ["wide-0-0.eth0", "wide-1-0.eth0"]);
  const { addresses } = first.lease.spec;
  replace<Resource>(truths.resources, second.lease, withSpec(second.lease, { addresses }));
  replace(own(truths, second).entries, second.entry, { ...second.entry, addresses });
  const kept = found(truths).find(({ rule }) => rule === "two-holders");
  assert.deepEqual([kept?.endpoint, kept?.host, kept?.mendable], ["wide-1-0.eth0", "h1", false]);
  assert.match(kept?.remedy ?? "", /wide-0-0\.eth0 on h0 had it before; --repair --evict/);
  const evicted = found(truths, true).find(({ rule }) => rule === "two-holders");
  assert.deepEqual([evicted?.endpoint, evicted?.mendable], ["wide-1-0.eth0", true]);
});
