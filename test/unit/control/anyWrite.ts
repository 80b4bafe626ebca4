// For property tests: writes that make sense often enough to meet each other, and collide often enough to be refused.
import fc from "fast-check";
import type { NetworkInput } from "../../../src/model/input.ts";
import { type Move, membershipName, moveName } from "../../../src/model/resource.ts";
import { anyQuotas, anyReserve } from "./anyReserve.ts";
import { ADMIN } from "./lab.ts";
import type { Write } from "../../../src/control/write.ts";

const NETWORKS = ["red", "green", "blue"];
const HOSTS = ["h1", "h2", "h3"];

const name = fc.constantFrom(...NETWORKS);
export const host = fc.constantFrom(...HOSTS);
const workload = fc.constantFrom("web", "db");
const orNot = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: some });
const endpoint = fc.constantFrom("a.eth0", "b.eth0", "c.eth0", "d.eth0");
type Ranges = NonNullable<NetworkInput["ranges"]>;
type Place = { readonly subnets: NonNullable<NetworkInput["subnets"]>; readonly ranges?: Ranges };
const small: Place = { subnets: [{ cidr: "10.0.0.0/29" }] };
const dual: Place = { subnets: [{ cidr: "10.0.1.0/28" }, { cidr: "fd00:1::/64" }] };
export const places = {
  small,
  fewer: { ...small, ranges: [{ name: "a", type: "ip4", first: "10.0.0.2", size: 2 }] },
  more: { ...small, ranges: [{ name: "a", type: "ip4", first: "10.0.0.2", size: 5 }] },
  mixed: {
    ...small,
    ranges: [
      { name: "a", type: "ip4", first: "10.0.0.2", size: 2 },
      { name: "e", type: "ether", size: 2 },
    ],
  },
  dual,
  dualRanges: {
    ...dual,
    ranges: [
      { name: "a", type: "ip4-6-static", first: "10.0.1.3", first6: "fd00:1::8", size: 2 },
      { name: "s", type: "ip6", prefix: "fd00:1::/64", ula: "fd00:2::/64", size: 2 },
    ],
  },
  large: { subnets: [{ cidr: "10.0.0.0/22" }] },
} as const satisfies Readonly<Record<string, Place>>;
const locals = fc.constantFrom<NonNullable<NetworkInput["subnets"]>>(
  [{ cidr: "9.0.0.0/23", hostPrefix: 24 }],
  [
    { cidr: "9.1.0.0/16", hostPrefix: 24 },
    { cidr: "fd00:9::/64", hostPrefix: 80 },
  ],
  [{ cidr: "9.0.0.0/8", hostPrefix: 26 }],
);
/** Also of groups that nobody has made. */
const groups = fc.subarray(["default", "web", "db"]);
const rule = fc.record(
  {
    direction: fc.constantFrom("in" as const, "out" as const),
    action: fc.constantFrom("allow" as const, "deny" as const),
    protocol: fc.constantFrom("all", "tcp", "icmp"),
    peer: fc.constantFrom({ group: "web" }, { group: "db" }, { network: "red" }, { cidr: "10.0.0.0/8" }),
  },
  { requiredKeys: ["direction", "action", "protocol"] },
);
const group = fc.record({ rules: fc.array(rule, { maxLength: 2 }) });
const any = {
  securityGroups: groups,
  vrf: fc.constantFrom("one", "two"),
  enabled: fc.boolean(),
  vni: fc.constantFrom(5000, 5001, 4096),
  quarantine: fc.constantFrom(0, 30, 60),
};
const strategy = fc.constantFrom("lowest" as const, "next" as const, "random" as const);
const local = fc.record({ ...any, subnets: locals }, { requiredKeys: ["subnets"] });
const global = fc
  .tuple(
    fc.constantFrom<Place>(...Object.values(places)),
    fc.record({ ...any, strategy, quotas: anyQuotas, sticky: fc.boolean() }, { requiredKeys: [] }),
  )
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
export const address = fc.constantFrom(
  "10.0.0.3",
  "10.0.1.4",
  "fd00:1::9",
  "9.0.0.5",
  "9.0.1.5",
  "9.1.0.7",
  "9.1.1.7",
  "9.0.0.70",
);

export const span = fc.constantFrom(
  { first: "10.0.0.3" },
  { first: "10.0.0.2", last: "10.0.0.4" },
  { first: "10.0.0.4", last: "10.0.0.5" },
  { first: "10.0.1.4" },
  { first: "fd00:1::8", last: "fd00:1::9" },
  { first: "02:00:0a:00:00:03" },
);

/** Something stands, and moves: what takes many writes that fit, which chance alone seldom makes. */
const beginning: readonly Write[] = [
  {
    verb: "join",
    claim: { host: "h1", underlay: "192.168.0.1", underlayMtu: 1500, hostPrefixes: [] },
    by: { role: "host", host: "h1" },
  },
  { verb: "put", kind: "network", name: "red", spec: { subnets: [{ cidr: "10.0.0.0/29" }] } },
  { verb: "put", kind: "network", name: "green", spec: { subnets: [{ cidr: "10.0.1.0/28" }] } },
  {
    verb: "attach",
    by: ADMIN,
    claim: { network: "red", host: "h1", owner: "a", ifname: "eth0", netns: "/n", workload: "web" },
  },
  { verb: "migrate", request: { from: "red", to: "green" } },
];

/** A life of a store, from nothing. */
export function anyLife(size: { readonly minLength: number; readonly maxLength: number }): fc.Arbitrary<Write[]> {
  return fc
    .tuple(fc.boolean(), fc.array(anyWrite, { ...size, size: "max" }))
    .map(([isBegun, writes]) => [...(isBegun ? beginning : []), ...writes]);
}

/** The write; a word about some move becomes one about a move that is there, by its host or another. */
export function aimed(write: Write, moves: readonly Move[]): Write {
  if (write.verb !== "move") return write;
  const move = moves[Number(/\d+/.exec(write.move)?.[0]) % Math.max(1, moves.length)];
  if (move === undefined) return write;
  const by =
    write.by.role === "host" && write.by.host === "h1" ? write.by : { role: "host" as const, host: move.spec.host };
  return { ...write, move: move.name, by };
}

/** Joins come as their own host, so that they may also update. */
export const anyWrite: fc.Arbitrary<Write> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      verb: fc.constant("put" as const),
      kind: fc.constant("network" as const),
      name,
      spec: network,
      force: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constant("put" as const),
      kind: fc.constant("vrf" as const),
      name: fc.constantFrom("one", "two"),
      spec: vrf,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constant("put" as const),
      kind: fc.constant("securitygroup" as const),
      name: fc.constantFrom("web", "db"),
      spec: group,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constant("patch-endpoint" as const),
      name: fc.constantFrom("a.eth0", "b.eth0", "c.eth0", "d.eth0"),
      patch: fc.record({ securityGroups: groups }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constant("delete" as const),
      kind: fc.constantFrom("network" as const, "vrf" as const, "host" as const, "securitygroup" as const),
      name: fc.constantFrom(...NETWORKS, ...HOSTS, "one", "two", "web", "db"),
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
        workload: fc.option(workload),
        joined: fc.boolean(),
        mac: fc.constantFrom(undefined, undefined, undefined, "02:00:0a:00:00:03", "0e:00:00:00:00:01"),
      })
      .map(
        ({ addresses, mac, workload: of, joined, ...rest }): Write => ({
          verb: "attach",
          by: ADMIN,
          claim: {
            ...rest,
            ifname: "eth0",
            netns: "/n",
            ...(addresses === null ? {} : { addresses }),
            ...(mac === undefined ? {} : { mac }),
            ...(of === null ? {} : { workload: of, joined }),
          },
        }),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constant("put" as const),
      kind: fc.constant("pool" as const),
      name: fc.constantFrom("small", "large"),
      spec: fc.record(
        {
          ids: fc.constantFrom({ first: 1, last: 2 }, { first: 1, last: 255 }),
          globalSubnets: fc.constant([{ cidr: "10.0.<id>.0/28" }]),
          localSubnets: fc.constant([{ cidr: "9.<id>.0.0/16", hostPrefix: 24 }]),
          ipam: fc.constantFrom("local" as const, "global" as const),
          reserved: fc.constantFrom(["10.0.1.0/24"], ["9.1.0.0/16"]),
          overflow: fc.constant({ cidr: "10.9.0.0/20", prefix: 28, hostPrefix: 30 }),
        },
        { requiredKeys: ["globalSubnets"] },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      verb: fc.constant("put" as const),
      kind: fc.constant("network" as const),
      name,
      spec: fc.record(
        {
          pool: fc.record(
            { name: fc.constantFrom("small", "large"), id: fc.constantFrom(1, 2, 3) },
            { requiredKeys: ["name"] },
          ),
          ipam: fc.constantFrom("local" as const, "global" as const),
          vrf: fc.constantFrom("one", "two"),
        },
        { requiredKeys: ["pool"] },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ network: name, workload }).map((claim): Write => ({ verb: "join-network", claim })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ from: name, to: name, workload: orNot(workload), endpoint: orNot(endpoint) }).map(
      ({ from, to, workload: only, endpoint: one }): Write => ({
        verb: "migrate",
        request: {
          from,
          to,
          ...(only === null ? {} : { workload: only }),
          ...(one === null ? {} : { endpoint: one }),
        },
      }),
    ),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({
        migration: fc.integer({ min: 1, max: 40 }),
        endpoint,
        state: fc.constantFrom("joined" as const, "left" as const, "failed" as const, "gone" as const),
        host,
      })
      .map(
        ({ migration, endpoint: one, state, host: by }): Write => ({
          verb: "move",
          move: moveName(`m${migration}`, one),
          report: { state },
          by: { role: "host", host: by },
        }),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      verb: fc.constant("delete" as const),
      kind: fc.constantFrom("pool" as const, "membership" as const, "migration" as const),
      name: fc.constantFrom(
        "small",
        "large",
        ...NETWORKS.map((each) => membershipName({ network: each, workload: "web" })),
        "m9",
        "m20",
      ),
      force: fc.boolean(),
    }),
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
  { weight: 2, arbitrary: fc.constant<Write>({ verb: "expire" }) },
  { weight: 3, arbitrary: anyReserve },
  {
    weight: 3,
    arbitrary: fc.record({
      verb: fc.constant("detach" as const),
      endpoint,
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
