// For property tests: writes that make sense often enough to meet each other, and collide often enough to be refused.
import fc from "fast-check";
import type { NetworkInput } from "../model/input.ts";
import { ADMIN } from "./lab.ts";
import type { Write } from "./write.ts";

const NETWORKS = ["red", "green", "blue"];
const HOSTS = ["h1", "h2", "h3"];

const name = fc.constantFrom(...NETWORKS);
const host = fc.constantFrom(...HOSTS);
type Ranges = NonNullable<NetworkInput["ranges"]>;
const places: readonly { readonly subnets: NetworkInput["subnets"]; readonly ranges?: Ranges }[] = [
  { subnets: [{ cidr: "10.0.0.0/29" }] },
  { subnets: [{ cidr: "10.0.0.0/29" }], ranges: [{ name: "a", type: "ip4", first: "10.0.0.2", size: 2 }] },
  { subnets: [{ cidr: "10.0.0.0/29" }], ranges: [{ name: "a", type: "ip4", first: "10.0.0.2", size: 5 }] },
  {
    subnets: [{ cidr: "10.0.0.0/29" }],
    ranges: [
      { name: "a", type: "ip4", first: "10.0.0.2", size: 2 },
      { name: "e", type: "ether", size: 2 },
    ],
  },
  { subnets: [{ cidr: "10.0.1.0/28" }, { cidr: "fd00:1::/64" }] },
  {
    subnets: [{ cidr: "10.0.1.0/28" }, { cidr: "fd00:1::/64" }],
    ranges: [
      { name: "a", type: "ip4-6-static", first: "10.0.1.3", first6: "fd00:1::8", size: 2 },
      { name: "s", type: "ip6", prefix: "fd00:1::/64", ula: "fd00:2::/64", size: 2 },
    ],
  },
  { subnets: [{ cidr: "10.0.0.0/22" }] },
];
const locals = fc.constantFrom<NetworkInput["subnets"]>(
  [{ cidr: "9.0.0.0/23", hostPrefix: 24 }],
  [
    { cidr: "9.1.0.0/16", hostPrefix: 24 },
    { cidr: "fd00:9::/64", hostPrefix: 80 },
  ],
  [{ cidr: "9.0.0.0/8", hostPrefix: 26 }],
);
const any = {
  vrf: fc.constantFrom("one", "two"),
  enabled: fc.boolean(),
  vni: fc.constantFrom(5000, 5001, 4096),
  quarantine: fc.constantFrom(0, 30, 60),
};
const strategy = fc.constantFrom("lowest" as const, "next" as const, "random" as const);
const local = fc.record({ ...any, subnets: locals }, { requiredKeys: ["subnets"] });
const global = fc
  .tuple(fc.constantFrom(...places), fc.record({ ...any, strategy, sticky: fc.boolean() }, { requiredKeys: [] }))
  .map(([place, rest]) => ({ ...place, ...rest }));
const network: fc.Arbitrary<NetworkInput> = fc.oneof(local, global, global);
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
const address = fc.constantFrom(
  "10.0.0.3",
  "10.0.1.4",
  "fd00:1::9",
  "9.0.0.5",
  "9.0.1.5",
  "9.1.0.7",
  "9.1.1.7",
  "9.0.0.70",
);

const span = fc.constantFrom(
  { first: "10.0.0.3" },
  { first: "10.0.0.2", last: "10.0.0.4" },
  { first: "10.0.0.4", last: "10.0.0.5" },
  { first: "10.0.1.4" },
  { first: "fd00:1::8", last: "fd00:1::9" },
  { first: "02:00:0a:00:00:03" },
);

/** Joins come as their own host, so that they may also update. */
export const anyWrite: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ verb: fc.constant("put-network" as const), name, spec: network, force: fc.boolean() }),
  },
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
        mac: fc.constantFrom(undefined, undefined, undefined, "02:00:0a:00:00:03", "0e:00:00:00:00:01"),
      })
      .map(
        ({ addresses, mac, ...rest }): Write => ({
          verb: "attach",
          by: ADMIN,
          claim: {
            ...rest,
            ifname: "eth0",
            netns: "/n",
            ...(addresses === null ? {} : { addresses }),
            ...(mac === undefined ? {} : { mac }),
          },
        }),
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ network: name, host, owners: fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 }) })
      .map(({ owners, ...rest }): Write => {
        const claims = owners.map((owner) => ({ ...rest, owner, ifname: "eth0", netns: "/n" }));
        return { verb: "attach-all", by: ADMIN, claims };
      }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ network: name, span, expires: fc.constantFrom(undefined, 40) }).map(
      ({ network, span, expires }): Write => ({
        verb: "hold",
        request: {
          network,
          ...span,
          reason: "because",
          owner: "ops",
          ...(expires === undefined ? {} : { expiresInSeconds: expires }),
        },
      }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.record({ network: name, span }).map(
      ({ network, span }): Write => ({
        verb: "release",
        span: { network, ...span },
      }),
    ),
  },
  { weight: 2, arbitrary: fc.constant<Write>({ verb: "sweep" }) },
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
