// Any link plan that a host could have, for properties.
import fc from "fast-check";
import { formatIp, formatMac } from "../../../src/model/address.ts";
import { defined } from "../../../src/model/defined.ts";
import type { LinkPlan, PlanLink } from "../../../src/formats/plan.ts";

const at = { file: "plan", line: 1 };
const maybe = <T>(arb: fc.Arbitrary<T>) => fc.option(arb, { nil: undefined });
const ip4 = fc.integer({ min: 0x0a00_0001, max: 0x0aff_fffe }).map((n) => formatIp({ family: 4, value: BigInt(n) }));
const ip6 = fc.bigInt({ min: 1n, max: 0xffff_ffffn }).map((n) => formatIp({ family: 6, value: (0xfd00n << 112n) | n }));
const group = fc.integer({ min: 1, max: 0xffff }).map((n) => formatIp({ family: 4, value: 0xef00_0000n | BigInt(n) }));
const group6 = fc.integer({ min: 1, max: 0xffff }).map((n) => `ff05::${n.toString(16)}`);
const mac = fc.bigInt({ min: 1n, max: 0xffff_ffffffn }).map((n) => formatMac(0x0200_0000_0000n | n));
const spread = fc.oneof(
  fc.tuple(ip4, fc.integer({ min: 8, max: 32 })).map(([ip, length]) => `${ip}/${length}`),
  fc.tuple(ip6, fc.integer({ min: 32, max: 128 })).map(([ip, length]) => `${ip}/${length}`),
);
const route = fc
  .tuple(fc.integer({ min: 0, max: 255 }), ip4, fc.boolean(), maybe(ip4), maybe(fc.nat(9999)))
  .map(([n, via, onlink, source, metric]) => ({
    to: n === 0 ? "0.0.0.0/0" : `10.${n}.0.0/16`,
    ...defined({ via, source, metric, onlink: onlink ? (true as const) : undefined }),
  }));

const common = fc.record({
  mtu: maybe(fc.integer({ min: 1280, max: 9000 })),
  mac: maybe(mac),
  addresses: fc.uniqueArray(spread, { maxLength: 3 }),
  routes: fc.array(route, { maxLength: 2 }),
  neighbours: fc.array(fc.record({ ip: fc.oneof(ip4, ip6), mac }), { maxLength: 1 }),
});
const NICS = ["eth0", "eth1", "bond0", "enp3s0"];
const BRIDGES = ["br-mgmt", "br-storage"];
const nicName = fc.constantFrom(...NICS);
const ttl = maybe(fc.integer({ min: 1, max: 255 }));

const targets = fc.oneof(
  fc.tuple(fc.oneof(group, group6), nicName).map(([address, dev]) => ({ group: address, dev, remotes: [], fdb: [] })),
  fc
    .tuple(fc.uniqueArray(ip4, { maxLength: 3 }), fc.array(fc.record({ mac, dst: ip4 }), { maxLength: 1 }), maybe(ip4))
    .map(([remotes, fdb, local]) => ({ remotes, fdb, ...defined({ local }) })),
);
const vxlan = fc
  .tuple(targets, fc.integer({ min: 1, max: 16_777_214 }), fc.integer({ min: 1, max: 65_535 }), fc.boolean(), ttl)
  .map(([to, vni, port, learning, hops]) => ({
    kind: "vxlan" as const,
    vni,
    port,
    learning,
    ...to,
    ...defined({ ttl: hops }),
  }));
const ends = fc.oneof(fc.record({ local: ip4, remote: ip4 }), fc.record({ local: ip6, remote: ip6 }));
const gretap = fc
  .tuple(ends, maybe(fc.nat(0xffff_ffff)), ttl, maybe(nicName))
  .map(([to, key, hops, dev]) => ({ kind: "gretap" as const, ...to, ...defined({ key, ttl: hops, dev }) }));
const vlan = fc
  .record({ parent: nicName, id: fc.integer({ min: 1, max: 4094 }), outer: fc.boolean() })
  .map((said) => ({ kind: "vlan" as const, ...said }));
const bridge = fc
  .record({ stp: fc.boolean(), forwardDelay: fc.integer({ min: 0, max: 30 }) })
  .map((said) => ({ kind: "bridge" as const, ...said }));
const nic = fc.constant({ kind: "nic" as const });

const port = fc
  .tuple(fc.oneof(vxlan, gretap, vlan), common, maybe(fc.constantFrom(...BRIDGES)))
  .chain(([own, rest, master]) =>
    fc.tuple(maybe(fc.constant(true as const)), maybe(fc.constant(false as const))).map(([isolated, offload]) => ({
      ...own,
      ...rest,
      master,
      isolated: master === undefined ? undefined : isolated,
      offload: own.kind === "vlan" ? undefined : offload,
    })),
  );
const hostNic = fc
  .tuple(
    nic,
    fc.oneof(common, fc.constant({ addresses: [], routes: [], neighbours: [] })),
    maybe(fc.constant("br-mgmt")),
  )
  .map(([own, rest, master]) => ({ ...own, ...rest, master }));

/** Devices of the host, two bridges, and links on and in them. */
export const anyPlan: fc.Arbitrary<LinkPlan> = fc
  .tuple(
    fc.array(hostNic, { minLength: NICS.length, maxLength: NICS.length }),
    fc.array(fc.tuple(bridge, common), { minLength: BRIDGES.length, maxLength: BRIDGES.length }),
    fc.array(port, { maxLength: 5 }),
  )
  .map(([nics, bridges, ports]) => ({
    links: [
      ...nics.map((link, i) => named(NICS[i] ?? "", link)),
      ...bridges.map(([own, rest], i) => named(BRIDGES[i] ?? "", { ...own, ...rest })),
      ...ports.map((link, i) => named(`p${i}`, link)),
    ],
  }));

function named(name: string, link: object): PlanLink {
  // Made of the parts of a link; fields that are not there are left out.
  return defined({ name, at, ...link }) as unknown as PlanLink;
}
