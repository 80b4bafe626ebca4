// For tests: what ann asks of each route about a name: in the path, and inside of bodies that are valid otherwise. A
// route without a row here is asked nothing, which fails.
import { HIDDEN as X } from "./tenantWorlds.ts";

export type Row = {
  readonly name?: string;
  readonly query?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** The name itself is what is asked for: that it is in use is said, and nothing else. */
  readonly isNew?: true;
};

const subnets = [{ cidr: "10.50.0.0/24" }];
const rule = { direction: "in", action: "allow", protocol: "tcp", ports: [80] };
/** Names in paths: ben's own things, and what is in them, has a part of his name. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  networks: [X, `${X}-b`, `${X}-m`, `${X}-r`],
  endpoints: [`${X}.eth0`, `${X}-s.eth0`, `${X}-g.eth0`],
  memberships: [`${X}-b~${X}`],
  migrations: [],
  moves: [],
  holds: [`${X}:10.7.0.20`],
  freed: [],
  cursors: [`${X}~default`],
  blocks: [`${X}~h1~4`],
  vteps: [`${X}~h1`],
};
const named = (kind: string): readonly string[] => NAMES[kind] ?? [X];

/** A spec of each kind, as new and with what it may name. */
const SPECS: Readonly<Record<string, readonly object[]>> = {
  networks: [
    { subnets },
    { subnets, vrf: X },
    { subnets, vrf: "mixed" },
    { subnets: [{ cidr: "10.31.0.0/25" }], vrf: "mixed" },
    { subnets, securityGroups: [X] },
    { subnets, ranges: [{ name: "a", type: "ipv4", first: "10.50.0.10", size: 4, securityGroups: [X] }] },
    { pool: { name: X } },
    { pool: { name: "common", id: 3 } },
    { pool: { name: "common" } },
    { subnets, parent: X },
    { subnets, clusters: [X] },
    { subnets, clusters: ["none"] },
    { subnets, hosts: [X] },
    { subnets, reservedFrom: X },
    { subnets: [{ cidr: "10.99.0.0/16" }] },
    { subnets: [{ cidr: "192.168.0.0/24" }] },
    { subnets, vni: 4097 },
    { subnets, quotas: [{ tenant: X, leases: 1 }] },
  ],
  vrfs: [{}, { hostAccess: true }, { vni: 4097 }, { vtepSubnets: ["10.31.0.0/24"] }],
  pools: [{ globalSubnets: [{ cidr: "10.51.<id>.0/24" }] }, { spaces: [{ cidr: "10.31.0.0/16" }] }],
  physicalnetworks: [{}, { vlans: [{ first: 1, last: 10 }] }],
  securitygroups: [
    { rules: [] },
    { rules: [rule] },
    { rules: [{ ...rule, peer: { network: X } }] },
    { rules: [{ ...rule, peer: { group: X } }] },
  ],
  users: [{ group: X }, { group: "red" }, { group: "red", groups: [X] }],
  usergroups: [{}, { quota: { networks: 1, leasesIn: [{ network: X, leases: 1 }] } }],
  aclrules: [
    { subject: { user: X }, resource: { kinds: ["network"], name: "anns" }, rights: ["use"] },
    { subject: { user: "ann" }, resource: { kinds: ["network", "endpoint"], name: X }, rights: ["use"] },
    { subject: { usergroup: X }, resource: { kinds: ["network"], usergroup: X }, rights: ["use"] },
    { subject: { all: true }, resource: { kinds: ["network"], hostcluster: X }, rights: ["use", "create"] },
    { subject: { all: true }, resource: { kinds: ["host", "user"], name: X }, rights: ["use"] },
  ],
  templates: [
    { network: { subnets } },
    { network: { subnets, vrf: X } },
    { network: { pool: { name: X }, securityGroups: [X] } },
    { network: { subnets, clusters: [X] } },
    { network: { subnets, parent: X } },
  ],
  hostclusters: [{}, { hosts: [X] }, { selector: "rack in (r1)" }],
};
const single = (kind: string) => ({ networks: "network", vrfs: "vrf" })[kind] ?? kind.slice(0, -1);

const endpoint = { network: "shared", host: "h1", owner: "anns", ifname: "eth9", netns: "/run/netns/anns" };

export const CLAIMS: readonly Row[] = [
  { body: { ...endpoint, network: X } },
  { body: { ...endpoint, network: `${X}-r` } },
  { body: { ...endpoint, network: X, addresses: ["10.7.0.9"], range: "a" } },
  { body: { ...endpoint, addresses: ["10.20.0.10"] } },
  { body: { ...endpoint, addresses: ["10.20.0.11"] } },
  { body: { ...endpoint, addresses: ["10.20.0.20"] } },
  { body: { ...endpoint, addresses: ["10.20.0.33"] } },
  { body: { ...endpoint, mac: "02:00:00:00:00:10" } },
  { body: { ...endpoint, host: X } },
  { body: { ...endpoint, securityGroups: [X] } },
  { body: { ...endpoint, tenant: X } },
  { body: { ...endpoint, workload: X, joined: true } },
  { body: { ...endpoint, owner: `${X}-s`, ifname: "eth0" }, isNew: true },
  { body: { ...endpoint, network: X, owner: X, ifname: "eth0" }, isNew: true },
  { body: { ...endpoint, network: "auto", passOver: [X] } },
  { body: { ...endpoint, network: "auto", requires: `NAME = ${X}` } },
  { body: { ...endpoint, network: "auto", requires: "ENDPOINTS > 100" } },
];
const instantiated = SPECS["networks"]?.map((network) => ({ network, replaceAddresses: true })) ?? [];

/** Of one route: `METHOD path`, with {kind} where each kind has it. */
export const ROWS: Readonly<Record<string, (kind: string) => readonly Row[]>> = {
  "GET /livez": () => [{}],
  "GET /readyz": () => [{}],
  "GET /metrics": () => [{}],
  "GET /openapi.json": () => [{}],
  "GET /v1/version": () => [{}],
  "GET /v1/{kind}": () => [
    {},
    { query: "?limit=1" },
    { query: `?cursor=${X.slice(0, -1)}` },
    { query: "?labels=!a" },
    { query: "?limit=2&cursor=b" },
  ],
  "GET /v1/{kind}/{name}": (kind) => named(kind).map((name) => ({ name })),
  "PUT /v1/{kind}/{name}": (kind) => [
    ...(SPECS[kind] ?? []).flatMap((spec): Row[] => [
      { body: { spec }, isNew: true },
      { name: "anns", body: { spec } },
      { name: "brandnew", body: { spec }, isNew: true },
      { name: `${X}-${kind}`, body: { spec }, isNew: true },
      { body: { spec }, headers: { "if-match": "*" }, isNew: true },
      { body: { spec }, headers: { "if-none-match": "*" }, isNew: true },
      { body: { spec }, headers: { "if-match": '"12"' }, isNew: true },
    ]),
    ...(kind === "networks" || kind === "hostclusters"
      ? (SPECS[kind] ?? []).map((spec): Row => ({ query: "?force=true", body: { spec }, isNew: true }))
      : []),
  ],
  "DELETE /v1/{kind}/{name}": (kind) =>
    [...named(kind), ...(kind === "securitygroups" ? ["anns"] : []), ...(kind === "vrfs" ? ["mixed"] : [])].flatMap(
      (name): Row[] => [
        { name },
        { name, query: "?force=true" },
        { name, headers: { "if-match": "*" } },
        { name, headers: { "if-match": '"12"' } },
      ],
    ),
  "POST /v1/{kind}/{name}/chown": (kind) => [
    ...named(kind).flatMap((name): Row[] => [
      { name, body: { owner: "ann" } },
      { name, body: { owner: X } },
      { name, body: { group: "red" }, headers: { "if-match": "*" } },
    ]),
    { name: kind === "endpoints" ? "annweb.eth0" : "anns", body: { owner: X } },
    { name: kind === "endpoints" ? "annweb.eth0" : "anns", body: { group: X } },
  ],
  "POST /v1/{kind}/{name}/chmod": (kind) =>
    named(kind).flatMap((name): Row[] => [
      { name, body: { mode: "umaumauma" } },
      { name, body: { mode: "000" } },
    ]),
  "POST /v1/{kind}/{name}/lock": (kind) =>
    named(kind).flatMap((name): Row[] => [
      { name, body: { level: "all" } },
      { name, body: { level: "use" } },
    ]),
  "POST /v1/{kind}/{name}/unlock": (kind) => named(kind).map((name) => ({ name })),
  "POST /v1/apply": () => [
    { body: { resources: [], pruneVrf: "mixed", dryRun: true } },
    ...Object.entries(SPECS).flatMap(([kind, specs]) =>
      specs.flatMap((spec): Row[] => [
        { body: { resources: [{ kind: single(kind), name: X, spec }] }, isNew: true },
        { body: { resources: [{ kind: single(kind), name: X, spec }], dryRun: true }, isNew: true },
        { body: { resources: [{ kind: single(kind), name: "anns", spec }], pruneVrf: X, dryRun: true }, isNew: true },
      ]),
    ),
  ],
  "GET /v1/audit": () =>
    ["", `?user=${X}`, `?name=${X}`, "?kind=network", "?verb=put&full=true", "?result=refused", "?order=oldest"].map(
      (query) => ({ query }),
    ),
  "GET /v1/audit/{name}": () => Array.from({ length: 60 }, (_, i) => ({ name: String(i * 2 + 1) })),
  "GET /v1/audit/verify": () => [{}],
  "GET /v1/ca": () => [{}],
  "POST /v1/ca/drop": () => [{}, { query: "?force=true" }],
  "POST /v1/ca/rotate": () => [{}],
  // Lines, which are asked in another way.
  "POST /v1/claims": () => [],
  "GET /v1/watch": () => [{ query: "" }, { query: "?from=999999" }],
  "POST /v1/endpoints": () => CLAIMS,
  "POST /v1/endpoint-sets": () => CLAIMS.map(({ body, ...rest }) => ({ ...rest, body: { endpoints: [body] } })),
  "PATCH /v1/endpoints/{name}": () => [
    ...named("endpoints").flatMap((name): Row[] => [
      { name, body: { labels: { a: "b" } } },
      { name, body: { securityGroups: ["anns"] } },
      { name, body: { allowedAddresses: [{ address: "10.7.0.99" }] }, headers: { "if-match": "*" } },
      { name, body: { qos: { inbound: { average: "1mbit" } } } },
    ]),
    { name: "annweb.eth0", body: { securityGroups: [X] } },
    { name: "annapp.eth0", body: { securityGroups: ["anns", X] } },
  ],
  "POST /v1/holds": () => [
    ...[X, `${X}-r`, "shared"].map((network) => ({
      body: { network, first: "10.7.0.40", reason: "a reason", owner: X },
    })),
    { body: { network: "shared", first: "10.20.0.10", last: "10.20.0.60", reason: "a reason", owner: "ann" } },
  ],
  "DELETE /v1/holds": () =>
    [X, `${X}-r`, "shared"].flatMap((network) => [
      { query: `?network=${network}&first=10.7.0.20` },
      { query: `?network=${network}&first=10.20.0.20&last=10.20.0.21` },
    ]),
  "POST /v1/hosts/{name}/accept-history": () => [{ name: X }],
  "POST /v1/hosts/{name}/drain": () => [{ name: X }, { name: X, headers: { "if-match": "*" } }],
  "POST /v1/hosts/{name}/resume": () => [{ name: X }],
  "POST /v1/hosts/{name}/inventory": () => [
    {
      name: X,
      body: {
        ask: 1,
        done: [],
        inventory: { host: X, revision: 1, entries: [], ports: [], busy: [], telling: false },
      },
    },
  ],
  "POST /v1/hosts/{name}/join": () => [
    { name: X, body: { underlay: "192.168.0.9", underlayMtu: 1500, hostPrefixes: [] } },
  ],
  "POST /v1/hosts/{name}/reclaim": () => [{ name: X }, { name: X, query: "?force=true&dryRun=true" }],
  "PUT /v1/hosts/{name}/report": () => [{ name: X, body: {} }],
  "GET /v1/jointokens": () => [{}],
  "POST /v1/jointokens": () => [{ body: { name: X } }, { body: { name: "anew", hosts: [X] } }],
  "DELETE /v1/jointokens/{name}": () => [{ name: X }, { name: "default" }],
  "POST /v1/hosts/preflight": () => [{ body: { hosts: [X] } }],
  "POST /v1/hosts/{name}/set": () => [
    { name: X, body: { labels: { a: "b" } } },
    { name: X, query: "?force=true", body: { labels: {}, physical: [{ network: X, device: "eth1" }] } },
  ],
  "POST /v1/ipam/check": () => [{ body: { network: X } }, { body: { host: X } }],
  "GET /v1/leases/history": () =>
    ["10.7.0.2", "10.20.0.10", "10.20.0.11", "02:00:00:00:00:10", "10.20.0.99"].flatMap((address) => [
      { query: `?address=${address}` },
      { query: `?address=${address}&network=${X}` },
      { query: `?address=${address}&network=shared` },
      { query: `?address=${address}&network=${X}&at=1000000` },
    ]),
  "POST /v1/memberships": () => [
    { body: { network: "anns", workload: "annw", user: X } },
    { body: { network: X, workload: "annw" } },
    { body: { network: "anns", workload: X } },
    { body: { network: `${X}-b`, workload: X } },
  ],
  "POST /v1/migrations": () => [
    { body: { from: X, to: "anns" } },
    { body: { from: "anns", to: X } },
    { body: { from: "anns", to: X, dryRun: true } },
    { body: { from: X, to: `${X}-b`, workload: X } },
    { body: { from: "anns", to: "mixed", endpoint: `${X}.eth0` } },
    { body: { from: "anns", to: "mixed", workload: X, dryRun: true } },
  ],
  "PUT /v1/moves/{name}": () => [{ name: `${X}~${X}.eth0`, body: { state: "left" } }],
  "GET /v1/networks/{name}/map": () => [...named("networks"), "shared"].map((name) => ({ name })),
  "GET /v1/networks/{name}/progress": () => [...named("networks"), "shared", "anns"].map((name) => ({ name })),
  "POST /v1/networks/{name}/retry": () =>
    named("networks").flatMap((name): Row[] => [{ name }, { name, headers: { "if-match": "*" } }]),
  "GET /v1/quotas": () => [{}],
  "POST /v1/networks/select": () => [
    { body: {} },
    { body: { host: X } },
    { body: { host: "h1" } },
    { body: { requires: `NAME = ${X}` } },
    { body: { requires: "ENDPOINTS > 0", policy: "packing" } },
  ],
  "POST /v1/networks/{name}/reservations": () => [
    ...[X, `${X}-r`].map((name) => ({ name, body: { name: "anew", size: 1 } })),
    { name: "shared", body: { name: X, size: 1 }, isNew: true },
    { name: "shared", body: { name: `${X}-r`, size: 1 }, isNew: true },
    { name: "shared", body: { name: "anew", size: 4, first: "10.20.0.8" } },
    { name: "shared", body: { name: "anew", size: 4, first: "10.20.0.18" } },
    { name: "shared", body: { name: "anew", size: 4, first: "10.20.0.32" } },
    { name: "shared", body: { name: "anew", size: 4, first: "10.20.0.11" } },
    { name: "shared", body: { name: "anew", size: 240 } },
    { name: "shared", body: { name: "anew", size: 1, tenant: X } },
    { name: "shared", body: { name: "anew", size: 1, range: X } },
  ],
  "POST /v1/securitygroups/{name}/commit": () => [
    { name: X, body: {} },
    { name: X, body: { hosts: ["h1"] } },
    { name: "anns", body: { hosts: [X] } },
  ],
  "GET /v1/snapshot": () => [{}],
  "GET /v1/status": () => [{}],
  "POST /v1/login": () => [{ body: { user: "ann", password: "wrong password" } }],
  "DELETE /v1/login": () => [{}],
  "POST /v1/login/oidc": () => [{}],
  "POST /v1/login/oidc/finish": () => [{ body: { handle: "h", address: "http://127.0.0.1/?code=1" } }],
  "POST /v1/login/device": () => [{}],
  "POST /v1/login/device/finish": () => [{ body: { handle: "h" } }],
  "GET /v1/whoami": () => [{}],
  "GET /v1/tokens": () => [{}, { query: `?user=${X}` }],
  "POST /v1/tokens": () => [{ body: { name: "for-ben", user: X } }, { body: { name: "narrow", networks: [X] } }],
  "DELETE /v1/tokens/{name}": () => [{ name: "secret" }, { name: "secret", query: `?user=${X}` }],
  "PUT /v1/users/{name}/password": () => [
    { name: X, body: { password: "a new password, long" } },
    { name: X, body: { password: "a new password, long", current: "none" } },
  ],
  "POST /v1/templates/{name}/clone": () => [
    { name: X, body: { name: "copied" } },
    { name: "anns", body: { name: X }, isNew: true },
  ],
  "POST /v1/templates/{name}/instantiate": () => [
    { name: X, body: { name: "fromit" } },
    { name: X, body: { name: X, dryRun: true } },
    { name: "private-ipv4", body: { name: X }, isNew: true },
    { name: "anns", body: { name: X, dryRun: true }, isNew: true },
    ...instantiated.map(
      (more): Row => ({ name: "anns", body: { name: "fromit", dryRun: true, ...more }, isNew: true }),
    ),
    { name: "private-ipv4", body: { name: "fromit", network: { securityGroups: [X] } } },
  ],
  "POST /v1/templates/{name}/rename": () => [
    { name: X, body: { name: "renamed" } },
    { name: "anns", body: { name: X }, isNew: true },
  ],
};
