// When a check looks again, what it asks whom, and what a repair reports: with hosts that answer as the test says.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Inventory, JournalEntry, KernelPort, Order } from "../../../../src/model/check.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { type Endpoint, type Resource, snapshotOf } from "../../../../src/model/resource.ts";
import { check } from "../../../../src/control/check/check.ts";
import { findingsOf } from "../../../../src/control/check/findings.ts";

const META = { uid: "u", revision: 1 } as const;
const host = (name: string): Resource => ({
  kind: "host",
  name,
  ...META,
  spec: { underlay: `192.0.2.${name.slice(1)}`, underlayMtu: 1500, order: 1 },
});
const network = (name: string, vrf: string, octet: number, ipam: "local" | "global" = "global"): Resource => {
  const subnet = { cidr: `10.${octet}.0.0/16`, ...(ipam === "local" ? { hostPrefix: 24 } : { gateway: "none" }) };
  return {
    kind: "network",
    name,
    ...META,
    spec: { driver: "vxlan", ipam, vrf, subnets: [subnet], masquerade: false, enabled: true },
  };
};
const block = (of: string, on: string, cidr: string): Resource => ({
  kind: "block",
  name: `${of}.${on}.4`,
  ...META,
  spec: { network: of, host: on, cidr },
});
const lease = (owner: string, of: string, on: string, address: string): Endpoint => {
  const spec = { network: of, host: on, owner, ifname: "eth0", netns: `/n/${owner}`, mac: "02:00:00:00:00:01" };
  return { kind: "endpoint", name: `${owner}.eth0`, uid: "u", revision: 5, spec: { ...spec, addresses: [address] } };
};
const entryOf = ({ name, revision, spec }: Endpoint, more: Partial<JournalEntry> = {}): JournalEntry => {
  const { network: of, netns, mac, addresses } = spec;
  return { endpoint: name, network: of, netns, mac, addresses, revision, state: "attached", alive: true, ...more };
};
const portOf = ({ name, spec }: Endpoint, vrf: string): KernelPort => {
  const { mac, addresses } = spec;
  return { endpoint: name, vrf, name: `wp-${name}`, far: { ifname: "eth0", mac, addresses } };
};
type Told = {
  readonly entries: readonly JournalEntry[];
  readonly ports: readonly KernelPort[];
  readonly telling?: boolean;
};
const inventory = (of: string, { entries, ports, telling = false }: Told): Inventory => ({
  host: of,
  revision: 9,
  telling,
  entries,
  ports,
  busy: [],
});

type World = {
  resources: Resource[];
  /** What each host answers, by question; the last one again and again. Absent: it does not follow the server. */
  readonly hosts: Map<string, readonly Told[]>;
  /** What a host says to each order. */
  done?: (host: string, orders: readonly Order[]) => readonly string[];
  release?: (endpoint: string, revision: number) => Promise<unknown>;
};
function lab(world: World) {
  const asked: string[] = [];
  const slept: number[] = [];
  const counts = new Map<string, number>();
  /** How often it had been waited when each question was asked. */
  const waits: number[] = [];
  const parts: Parameters<typeof check>[0] = {
    clock: { nowMs: () => 0, monotonicMs: () => 0, sleep: (ms) => setImmediate().then(() => void slept.push(ms)) },
    snapshot: async () => snapshotOf("c", 42, world.resources),
    release: (endpoint, revision) => (world.release ?? (async () => {}))(endpoint, revision),
    async ask(questions) {
      waits.push(slept.length);
      asked.push(
        [...questions].map(([name, { orders }]) => [name, ...orders.map(({ do: what }) => what)].join("+")).join(" "),
      );
      const answers = new Map<string, { ask: number; done: readonly string[]; inventory: Inventory }>();
      const unanswered = new Map<string, string>();
      for (const [name, { orders }] of questions) {
        const told = world.hosts.get(name);
        const n = counts.get(name) ?? 0;
        counts.set(name, n + 1);
        const now = told?.[Math.min(n, told.length - 1)];
        if (now === undefined) unanswered.set(name, "away");
        else
          answers.set(name, {
            ask: 1,
            done: world.done?.(name, orders) ?? orders.map(() => ""),
            inventory: inventory(name, now),
          });
      }
      return { answers, unanswered } as Awaited<ReturnType<typeof parts.ask>>;
    },
  };
  return { parts, asked, slept, waits };
}

const GROUND = [
  host("h1"),
  host("h2"),
  network("wide", "v", 3),
  network("other", "o", 4),
  network("near", "v", 5, "local"),
];
const web = lease("web", "wide", "h1", "10.3.0.2");
const well: Told = { entries: [entryOf(web)], ports: [portOf(web, "v")] };
const empty: Told = { entries: [], ports: [] };
const hosts = (h1: readonly Told[], h2: readonly Told[] = [empty]) =>
  new Map([
    ["h1", h1],
    ["h2", h2],
  ] as const);

test("where nothing is found, hosts are asked once", async () => {
  const { parts, asked, slept } = lab({ resources: [...GROUND, web], hosts: hosts([well]) });
  assert.deepEqual(await check(parts, {}), {
    revision: 42,
    endpoints: 1,
    checked: ["h1", "h2"],
    unchecked: [],
    passing: 0,
    findings: [],
  });
  assert.deepEqual([asked, slept], [["h1 h2"], []]);
});

test("what is suspicious is looked at twice, at its host alone; what has passed is only counted", async () => {
  const bad: Told = { ...well, ports: [] };
  const passing = lab({ resources: [...GROUND, web], hosts: hosts([bad, well]) });
  const first = await check(passing.parts, {});
  assert.deepEqual(
    [first.passing, first.findings.length, passing.asked, passing.slept],
    [1, 0, ["h1 h2", "h1"], [500]],
  );
  const staying = lab({ resources: [...GROUND, web], hosts: hosts([bad]) });
  const second = await check(staying.parts, {});
  assert.deepEqual([second.passing, second.findings.map(({ rule }) => rule)], [0, ["port-missing"]]);
  assert.deepEqual(staying.asked, ["h1 h2", "h1"]);
  // Something else the second time is none of what was seen first.
  const changing = lab({ resources: [...GROUND, web], hosts: hosts([bad, { ...well, entries: [] }]) });
  const third = await check(changing.parts, {});
  assert.deepEqual([third.passing, third.findings], [1, []]);
});

test("while an agent is about to tell the server, it is asked again, five times at most", async () => {
  const bad: Told = { ...well, ports: [], telling: true };
  const always = lab({ resources: [...GROUND, web], hosts: hosts([bad]) });
  const report = await check(always.parts, {});
  assert.deepEqual([always.asked.length, always.slept.length, report.findings.length], [5, 4, 1]);
  assert.deepEqual(always.waits, [0, 1, 2, 3, 4], "each look half a second after the one before");
  const told = lab({ resources: [...GROUND, web], hosts: hosts([bad, bad, { ...bad, telling: false }]) });
  assert.equal((await check(told.parts, {})).findings.length, 1);
  assert.equal(told.asked.length, 3);
  const passed = lab({ resources: [...GROUND, web], hosts: hosts([bad, bad, bad, well]) });
  assert.deepEqual([(await check(passed.parts, {})).passing, passed.asked.length], [1, 4]);
});

test("a host that is away is named, and what it said before it went away is not over", async () => {
  const bad: Told = { ...well, ports: [] };
  const world = { resources: [...GROUND, web], hosts: new Map([["h1", [bad]]]) };
  const { parts } = lab(world);
  const report = await check(parts, {});
  assert.deepEqual([report.checked, report.unchecked], [["h1"], [{ host: "h2", why: "away" }]]);
  const gone = lab({ resources: [...GROUND, web], hosts: hosts([bad]) });
  let n = 0;
  const { ask } = gone.parts;
  const parts2 = {
    ...gone.parts,
    ask: (questions: Parameters<typeof ask>[0]) =>
      n++ === 0 ? ask(questions) : Promise.resolve({ answers: new Map(), unanswered: new Map([["h1", "late"]]) }),
  };
  const second = await check(parts2, {});
  assert.deepEqual([second.passing, second.findings, second.checked], [0, [], ["h2"]]);
  assert.deepEqual(second.unchecked, [{ host: "h1", why: "late" }]);
});

test("of one host, or of one network and what nobody knows the network of in its VRF", async () => {
  const db = lease("db", "other", "h2", "10.4.0.2");
  const stray = (vrf: string) => ({
    ...portOf(lease(`x-${vrf}`, "gone", "h2", "10.9.0.2"), vrf),
    far: undefined as never,
  });
  const { far: _, ...blind } = stray("v");
  const { far: __, ...blindToo } = stray("o");
  const resources = [...GROUND, web, db];
  const world = () =>
    lab({ resources, hosts: hosts([{ ...well, ports: [] }], [{ entries: [], ports: [blind, blindToo] }]) });
  const rules = async (request: Parameters<typeof check>[1]) => {
    const { parts, asked } = world();
    const { findings } = await check(parts, request);
    return [asked[0], ...findings.map(({ rule, vrf }) => `${rule} ${vrf}`)];
  };
  assert.deepEqual(await rules({}), [
    "h1 h2",
    "unknown-to-host o",
    "port-missing v",
    "port-unknown o",
    "port-unknown v",
  ]);
  assert.deepEqual(await rules({ host: "h1" }), ["h1", "port-missing v"]);
  assert.deepEqual(await rules({ network: "wide" }), ["h1 h2", "port-missing v", "port-unknown v"]);
  assert.deepEqual(await rules({ network: "other" }), ["h1 h2", "unknown-to-host o", "port-unknown o"]);
  const { parts } = world();
  const refused = async (request: Parameters<typeof check>[1]) => {
    const error = await check(parts, request).then(
      () => undefined,
      (e: unknown) => e,
    );
    return error instanceof Fault ? `${error.reason} ${error.detail.where}` : "taken";
  };
  assert.equal(await refused({ evict: true }), "request-invalid evict");
  assert.equal(await refused({ evict: true, repair: false }), "request-invalid evict");
  assert.equal(await refused({ network: "none" }), "network-unknown network");
  assert.equal(await refused({ host: "h9" }), "host-unknown host");
  assert.equal(await refused({ evict: false }), "taken");
});

test("a repair gives each host its orders, each once, lets go of leases, and reports what is left", async () => {
  const gone = { ...lease("gone", "wide", "h1", "10.3.0.9"), revision: 7 };
  const world: World = {
    resources: [...GROUND, web, gone],
    // Two ports and a missing one: all of it is "settle".
    hosts: hosts([
      {
        entries: [entryOf(web)],
        ports: [portOf(lease("a", "x", "h1", "10.8.0.1"), "v"), portOf(lease("b", "x", "h1", "10.8.0.2"), "v")],
      },
    ]),
  };
  const released: string[] = [];
  world.release = async (endpoint, revision) => {
    released.push(`${endpoint} ${revision}`);
    world.resources = world.resources.filter(({ name }) => name !== endpoint);
  };
  const orders: string[] = [];
  world.done = (name, all) => {
    orders.push(...all.map(({ do: what }) => `${name} ${what}`));
    if (all.length > 0) world.hosts.set("h1", [well]);
    return all.map(() => "");
  };
  const { parts } = lab(world);
  const report = await check(parts, { repair: true });
  assert.deepEqual([released, orders], [["gone.eth0 7"], ["h1 settle"]]);
  assert.equal(report.left, 0);
  const done = report.findings.map(
    ({ rule, endpoint, repair }) => `${rule} ${endpoint} ${repair?.done} ${repair?.says}`,
  );
  assert.deepEqual(done, [
    "unknown-to-host gone.eth0 true the server lets go of the lease",
    "port-missing web.eth0 true the agent makes the port again",
    "port-unknown a.eth0 true the agent removes the port",
    "port-unknown b.eth0 true the agent removes the port",
  ]);
});

test("what a repair cannot mend says why: a refusal, what is still so, what is left to a person", async () => {
  const gone = lease("gone", "wide", "h1", "10.3.0.9");
  const outside = lease("far", "wide", "h2", "10.9.0.2");
  const world: World = {
    resources: [...GROUND, web, gone, outside],
    hosts: hosts([{ ...well, ports: [] }], [{ entries: [entryOf(outside)], ports: [portOf(outside, "v")] }]),
    release: () => Promise.reject(new Fault("revision-stale", { what: "it has changed", fix: "look again" })),
    done: (_, orders) => orders.map(() => "the kernel refuses"),
  };
  const says = async () => {
    const { parts, asked } = lab(world);
    const { findings, left } = await check(parts, { repair: true });
    const told = findings.map(({ rule, repair }) => `${rule}: ${repair?.done} ${repair?.says}`);
    return { told, left, orders: asked.filter((line) => line.includes("+")).length };
  };
  assert.deepEqual(await says(), {
    told: [
      "outside: false left to you",
      "unknown-to-host: false it has changed; look again",
      "port-missing: false the kernel refuses",
    ],
    left: 3,
    // It is tried twice: what the first lays open the second mends.
    orders: 2,
  });
  world.done = (_, orders) => orders.map(() => "");
  assert.ok((await says()).told.includes("port-missing: false it is still so afterwards"));
});

test("what each finding would do, and whose word counts", () => {
  const near = lease("db", "near", "h1", "10.5.1.2");
  const both = [...GROUND, block("near", "h1", "10.5.1.0/24"), block("near", "h2", "10.5.2.0/24")];
  const act = (resources: readonly Resource[], told: Told, evict = false) =>
    findingsOf(snapshotOf("c", 9, [...both, ...resources]), new Map([["h1", inventory("h1", told)]]), { evict }).map(
      ({ finding, act: does }) => {
        const order = does?.do === "order" ? does.order : undefined;
        const what =
          does === undefined
            ? "nothing"
            : does.do === "release"
              ? `release ${does.revision}`
              : `${does.host} ${order?.do}`;
        const alive = order?.do === "detach" ? ` ${order.alive} ${order.addresses.join()}` : "";
        assert.equal(finding.mendable, does !== undefined);
        return `${finding.rule} ${finding.network} ${finding.vrf} ${finding.addresses.join()}: ${what}${alive}`;
      },
    );
  const entry = (of: Endpoint, more: Partial<JournalEntry> = {}, ports = [portOf(of, "v")]): Told => ({
    entries: [entryOf(of, more)],
    ports,
  });
  const { far: _, ...blind } = portOf(web, "v");
  const cases: readonly (readonly [readonly Resource[], Told, readonly string[]])[] = [
    [[web], entry(web), []],
    [[web], entry(web, {}, [blind]), []],
    [[web], entry(web, { state: "detaching" }), ["detach-unfinished wide v 10.3.0.2: h1 detach false 10.3.0.2"]],
    [[web], entry(web, { alive: false }), ["workload-gone wide v 10.3.0.2: h1 detach false 10.3.0.2"]],
    [
      [],
      entry({ ...web, spec: { ...web.spec, network: "gone" } }),
      ["network-gone gone v 10.3.0.2: h1 detach true 10.3.0.2"],
    ],
    [[web], entry(web, {}, []), ["port-missing wide v 10.3.0.2: h1 settle"]],
    [[web], { entries: [], ports: [] }, ["unknown-to-host wide v 10.3.0.2: release 5"]],
    [[web], { entries: [], ports: [portOf(web, "v")] }, ["unknown-to-host wide v 10.3.0.2: h1 settle"]],
    [[], { entries: [], ports: [portOf(web, "v")] }, ["port-unknown  v 10.3.0.2: h1 settle"]],
    [[], { entries: [], ports: [blind] }, ["port-unknown  v : h1 settle"]],
    [[], entry(web), ["unknown-to-server wide v 10.3.0.2: h1 settle"]],
    [[], entry(near), ["unknown-to-server near v 10.5.1.2: h1 tell"]],
    [
      [near],
      entry(near, { mac: "02:00:00:00:00:09" }, [portOf(near, "v")]),
      ["lease-differs near v 10.5.1.2: h1 tell", "kernel-differs near v 10.5.1.2: h1 settle"],
    ],
    [[web], entry(web, { netns: "/other" }), ["lease-differs wide v 10.3.0.2: h1 take"]],
    [[web], entry(web, {}, [portOf(web, "o")]), ["kernel-differs wide v 10.3.0.2: h1 settle"]],
    [[{ ...web, spec: { ...web.spec, host: "h9" } }], empty, ["host-gone wide v 10.3.0.2: release 5"]],
    [
      [lease("web", "wide", "h2", "10.3.0.2")],
      entry(web),
      ["wrong-host wide v 10.3.0.2: nothing", "two-holders wide v 10.3.0.2: nothing"],
    ],
    // In a local network a name may be another host's as well; with the same address it is the same.
    [[lease("db", "near", "h2", "10.5.2.2")], entry(near), ["unknown-to-server near v 10.5.1.2: h1 tell"]],
    [
      [lease("db", "near", "h2", "10.5.1.2")],
      entry(near),
      [
        "outside near v 10.5.1.2: nothing",
        "wrong-host near v 10.5.1.2: nothing",
        "two-holders near v 10.5.1.2: nothing",
      ],
    ],
    [
      [lease("db", "near", "h1", "10.5.2.2")],
      entry(lease("db", "near", "h1", "10.5.2.2")),
      ["outside near v 10.5.2.2: nothing"],
    ],
    [[lease("db", "near", "h2", "10.5.1.2")], empty, ["outside near v 10.5.1.2: nothing"]],
  ];
  for (const [resources, told, expected] of cases) assert.deepEqual(act(resources, told), expected);
});

test("of those that hold one address the living stay, then those that have a lease, then the earliest", () => {
  const a = lease("a", "wide", "h1", "10.3.0.2");
  const b = { ...lease("b", "wide", "h2", "10.3.0.2"), revision: 9 };
  type Side = { readonly lease?: boolean; readonly entry?: Partial<JournalEntry> | undefined };
  const goes = (one: Side, two: Side, evict = true) => {
    const sides = [
      [a, one],
      [b, two],
    ] as const;
    const resources = sides.flatMap(([of, { lease: has = true }]) => (has ? [of] : []));
    const told = sides.map(([of, { entry }]): [string, Inventory] => {
      const entries = entry === undefined ? [] : [entryOf(of, entry)];
      return [of.spec.host, inventory(of.spec.host, { entries, ports: [portOf(of, "v")] })];
    });
    const found = findingsOf(snapshotOf("c", 9, [...GROUND, ...resources]), new Map(told), { evict });
    return found
      .filter(({ finding }) => finding.rule === "two-holders")
      .map(({ finding, act }) => `${finding.endpoint} ${act?.do === "order" ? act.order.do : "nothing"}`);
  };
  const fine: Side = { entry: {} };
  assert.deepEqual(goes(fine, fine), ["b.eth0 detach"]);
  assert.deepEqual(goes(fine, fine, false), ["b.eth0 nothing"]);
  assert.deepEqual(goes({ entry: { alive: false } }, fine), ["a.eth0 detach"]);
  assert.deepEqual(goes({ entry: { state: "detaching" } }, fine), ["a.eth0 detach"]);
  assert.deepEqual(goes({ entry: { alive: false } }, { entry: { state: "detaching" } }), ["b.eth0 detach"]);
  assert.deepEqual(goes({ lease: false, entry: {} }, fine), ["a.eth0 detach"]);
  assert.deepEqual(goes({ lease: false, entry: { revision: 3 } }, { lease: false, entry: {} }), ["b.eth0 detach"]);
  assert.deepEqual(goes({ lease: false, entry: {} }, { entry: { alive: false } }), ["b.eth0 detach"]);
  assert.deepEqual(goes({ lease: false }, { entry: { alive: false } }), ["a.eth0 settle"]);
  assert.deepEqual(goes({}, { entry: {} }), ["b.eth0 detach"]);
  assert.deepEqual(goes(fine, {}), ["b.eth0 nothing"], "a host that does not know of it has nothing to detach");
  const [found] = findingsOf(snapshotOf("c", 9, [...GROUND, a, b]), new Map(), { evict: true });
  assert.match(found?.finding.remedy ?? "", /a\.eth0 on h1 had it before; see to b\.eth0 on h2 first/);
  assert.deepEqual(
    found?.finding.evidence.map(({ source, host: on, says }) => `${source} ${on} ${says.split(",")[0]}`),
    ["server h1 a.eth0: 10.3.0.2", "server h2 b.eth0: 10.3.0.2"],
  );
});
