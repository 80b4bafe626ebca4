// For property tests: writes that make sense often enough to meet each other, and collide often enough to be refused.
import fc from "fast-check";
import type { NetworkInput } from "../model/input.ts";
import { ADMIN } from "./lab.ts";
import type { Write } from "./write.ts";

const NETWORKS = ["red", "green", "blue"];
const HOSTS = ["h1", "h2", "h3"];

const name = fc.constantFrom(...NETWORKS);
const host = fc.constantFrom(...HOSTS);
const subnets: fc.Arbitrary<NetworkInput["subnets"]> = fc.constantFrom(
  [{ cidr: "10.0.0.0/29" }],
  [{ cidr: "10.0.1.0/28" }, { cidr: "fd00:1::/64" }],
  [{ cidr: "10.0.0.0/22" }],
  [{ cidr: "9.0.0.0/23", hostPrefix: 24 }],
  [
    { cidr: "9.1.0.0/16", hostPrefix: 24 },
    { cidr: "fd00:9::/64", hostPrefix: 80 },
  ],
  [{ cidr: "9.0.0.0/8", hostPrefix: 26 }],
);
const network = fc.record(
  { vrf: fc.constantFrom("one", "two"), enabled: fc.boolean(), vni: fc.constantFrom(5000, 5001, 4096), subnets },
  { requiredKeys: ["subnets"] },
);
const vrf = fc.record(
  {
    vni: fc.constantFrom(5000, 6000),
    hostAccess: fc.boolean(),
    kept: fc.boolean(),
    vtepSubnets: fc.constantFrom(["44.0.0.0/24"], ["44.0.0.0/30"], ["44.0.0.0/24", "fd00:44::/64"]),
  },
  { requiredKeys: [] },
);
/** What stands in the way of others. */
const rarely = fc.nat(3).map((n) => n === 0);
const address = fc.constantFrom("10.0.0.3", "10.0.1.4", "9.0.0.5", "9.0.1.5", "9.1.0.7", "9.1.1.7", "9.0.0.70");

/** Joins come as their own host, so that they may also update. */
export const anyWrite: fc.Arbitrary<Write> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ verb: fc.constant("put-network" as const), name, spec: network }) },
  {
    weight: 1,
    arbitrary: fc.record({ verb: fc.constant("put-vrf" as const), name: fc.constantFrom("one", "two"), spec: vrf }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constant("delete" as const),
      kind: fc.constantFrom("network" as const, "vrf" as const, "host" as const),
      name: fc.constantFrom(...NETWORKS, ...HOSTS, "one", "two"),
      force: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom(1, 2, 3), fc.constantFrom(1, 2, 3)).map(
      ([n, address]): Write => ({
        verb: "join",
        claim: { host: `h${n}`, underlay: `192.168.0.${address}`, underlayMtu: 1500, hostPrefixes: [] },
        by: { role: "host", host: `h${n}` },
      }),
    ),
  },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant("drain" as const), host, drained: rarely }) },
  {
    weight: 9,
    arbitrary: fc
      .record({
        network: name,
        host,
        owner: fc.constantFrom("a", "b", "c", "d"),
        addresses: fc.option(fc.array(address, { maxLength: 1 })),
      })
      .map(
        ({ addresses, ...rest }): Write => ({
          verb: "attach",
          by: ADMIN,
          claim: { ...rest, ifname: "eth0", netns: "/n", ...(addresses === null ? {} : { addresses }) },
        }),
      ),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      verb: fc.constant("detach" as const),
      endpoint: fc.constantFrom("a.eth0", "b.eth0", "c.eth0", "d.eth0"),
      by: fc.oneof(
        fc.constant(ADMIN),
        host.map((each) => ({ role: "host" as const, host: each })),
      ),
      force: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({
        items: fc.uniqueArray(fc.record({ kind: fc.constant("network" as const), name, spec: network }), {
          selector: (item) => item.name,
        }),
        pruneVrf: fc.constantFrom(undefined, "one", "two"),
      })
      .map(({ items, pruneVrf }): Write => ({ verb: "apply", items, ...(pruneVrf === undefined ? {} : { pruneVrf }) })),
  },
);
