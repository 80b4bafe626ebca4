// What the agent makes of the server's word on its endpoints' limits, and of a kernel that cannot keep one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeKernel } from "../../../../src/kernel/fake.ts";
import type { Counters } from "../../../../src/kernel/kernel.ts";
import { compileShaping } from "../../../../src/datapath/network/shaping.ts";
import { portName, shaperName } from "../../../../src/datapath/state/names.ts";
import { Fault } from "../../../../src/model/fault.ts";
import type { Qos } from "../../../../src/model/qos.ts";
import {
  emptySnapshot,
  type Endpoint,
  type Host,
  type Network,
  type Snapshot,
  type Vrf,
} from "../../../../src/model/resource.ts";
import { type Entry, memoryJournal } from "../../../../src/agent/journal/journal.ts";
import { queuesOf } from "../../../../src/agent/endpoint/inspection.ts";
import { checkShaping, limitsIn } from "../../../../src/agent/endpoint/faults.ts";
import { recordSettings } from "../../../../src/agent/server/register.ts";
import { isSameElsewhere, withLocal } from "../../../../src/agent/reconcile/snapshotSource.ts";

const LIMIT = { average: 1_000_000 };
const envelope = { uid: "u", revision: 1 };

function endpoint(qos?: Qos, addresses = ["10.7.0.2"], host = "h1"): Endpoint {
  const where = { network: "blue", host, owner: "web", ifname: "eth0", netns: "/run/netns/web" };
  const spec = { ...where, mac: "02:00:0a:07:00:02", addresses, ...(qos === undefined ? {} : { qos }) };
  return { kind: "endpoint", name: "web.eth0", ...envelope, spec };
}

function journalOf(own: Endpoint) {
  const entry: Entry = { endpoint: own, netnsId: "n", bootId: "b", state: "attached" };
  return memoryJournal(new Map([[own.name, entry]]));
}

const snapshotWith = (...endpoints: readonly Endpoint[]): Snapshot => ({ ...emptySnapshot("c"), endpoints });
const network = (qos?: Qos): Network =>
  ({ kind: "network", name: "blue", ...envelope, spec: { vrf: "blue", ...(qos && { qos }) } }) as unknown as Network;

test("the server's word on limits counts, and is written down; that of an older lease of the name does not", () => {
  const cases: readonly (readonly [own: Endpoint, known: Endpoint, Qos | undefined])[] = [
    [endpoint(), endpoint({ inbound: LIMIT }), { inbound: LIMIT }],
    [endpoint({ inbound: LIMIT }), endpoint(), undefined],
    [endpoint({ inbound: LIMIT }), endpoint({ inbound: "none" }), { inbound: "none" }],
    [endpoint({ inbound: LIMIT }), endpoint(undefined, ["10.7.0.9"]), { inbound: LIMIT }],
  ];
  for (const [own, known, wanted] of cases) {
    const journal = journalOf(own);
    const local = withLocal(snapshotWith(known), "h1", journal.entries.values(), () => true);
    assert.deepEqual(local.endpoints[0]?.spec.qos, wanted);
    recordSettings(snapshotWith(known), journal);
    assert.deepEqual(journal.entries.get("web.eth0")?.endpoint.spec.qos, wanted);
    const { version } = journal;
    recordSettings(snapshotWith(known), journal);
    assert.equal(journal.version, version, "written once");
  }
});

test("a changed limit of one's own endpoint is news; nothing else of it is", () => {
  const plain = endpoint();
  assert(isSameElsewhere([plain], [endpoint()], "h1"));
  assert(isSameElsewhere([plain], [endpoint(undefined, ["10.7.0.3"])], "h1"));
  assert(!isSameElsewhere([plain], [endpoint({ inbound: LIMIT })], "h1"));
  assert(!isSameElsewhere([endpoint({ inbound: LIMIT })], [plain], "h1"));
  assert(isSameElsewhere([endpoint({ inbound: LIMIT })], [endpoint({ inbound: { ...LIMIT } })], "h1"));
});

test("an attach that would be limited is refused where the kernel cannot, and only in that direction", () => {
  const host = (shaping?: Host["spec"]["shaping"]) =>
    ({ kind: "host", name: "h1", ...envelope, spec: shaping && { shaping } }) as unknown as Host;
  const bare = { ...host(), spec: { underlay: "192.0.2.1", underlayMtu: 1500, order: 1 } };
  const request = { network: "blue", netns: "/run/netns/web" };
  checkShaping(bare, network(), request);
  const isRefused = { name: "Fault", reason: "qos-unsupported" };
  assert.throws(() => checkShaping(bare, network({ inbound: LIMIT }), request), {
    ...isRefused,
    message: /host "h1" cannot limit inbound traffic.*--inbound none/,
  });
  assert.throws(() => checkShaping(bare, network({ inbound: LIMIT }), request), isRefused);
  assert.throws(() => checkShaping(host(["inbound"]), network({ outbound: LIMIT }), request), isRefused);
  checkShaping(host(["inbound"]), network({ inbound: LIMIT }), request);
  checkShaping(bare, network({ inbound: LIMIT }), { ...request, qos: { inbound: "none" } });
  const bad = { ...request, qos: { inbound: { average: "fast" } } };
  assert.throws(
    () => checkShaping(bare, network(), bad),
    (error) => error instanceof Fault && error.reason === "qos-invalid",
  );
});

test("counters are told by endpoint and direction", async () => {
  const kernel = new FakeKernel();
  const own = endpoint({ inbound: LIMIT, outbound: LIMIT });
  const ns = "vrf:blue" as const;
  const port = {
    kind: "bridge",
    ns,
    name: portName(own.name),
    mtu: 1450,
    mac: "fe:00:00:00:00:01",
    alias: "weft:x:y",
  } as const;
  const vrf = { kind: "vrf", name: "blue", spec: {} } as unknown as Vrf;
  const objects = [{ kind: "netns", ns } as const, port, ...compileShaping(vrf, network(), own, 1450)];
  for (const { refusal } of await kernel.apply(objects.map((object) => ({ op: "add", object }))))
    assert.equal(refusal, undefined);
  const nothing = { bytes: 0, packets: 0, drops: 0, backlog: 0 };
  const snapshot = { ...snapshotWith(), networks: [network()] };
  assert.deepEqual(queuesOf(kernel, journalOf(own), snapshot), [
    { endpoint: "web.eth0", direction: "inbound", ...nothing },
    { endpoint: "web.eth0", direction: "outbound", ...nothing },
  ]);
  assert.deepEqual(queuesOf(kernel, memoryJournal(), snapshot), []);
});

test("counters are of the namespace that an endpoint is in, each read once, and of what is limited alone", () => {
  const numbers = (bytes: number) => ({ bytes, packets: 1, drops: 2, backlog: 3 });
  const of = (owner: string, where: string): Endpoint => {
    const one = endpoint();
    return { ...one, name: `${owner}.eth0`, spec: { ...one.spec, owner, network: where } };
  };
  const own = [of("a", "blue"), of("b", "blue"), of("c", "red"), of("d", "gone")];
  const [a, , c] = own.map(({ name }) => name);
  assert(a !== undefined && c !== undefined);
  const queues: Readonly<Record<string, ReadonlyMap<string, Counters>>> = {
    "vrf:blue": new Map([
      [portName(a), numbers(1)],
      [shaperName(a), numbers(2)],
      [portName(c), numbers(3)],
    ]),
    "vrf:red": new Map([[shaperName(c), numbers(4)]]),
  };
  const asked: string[] = [];
  const kernel = Object.assign(Object.create(new FakeKernel()), {
    queues: (ns: string) => {
      asked.push(ns);
      return queues[ns] ?? new Map<string, Counters>();
    },
  }) as FakeKernel;
  const entries = own.map((one): Entry => ({ endpoint: one, netnsId: "n", bootId: "b", state: "attached" }));
  const journal = memoryJournal(new Map(entries.map((entry) => [entry.endpoint.name, entry])));
  const red = { ...network(), name: "red", spec: { ...network().spec, vrf: "red" } };
  const told = queuesOf(kernel, journal, { ...snapshotWith(), networks: [network(), red] });
  assert.deepEqual(told, [
    { endpoint: "a.eth0", direction: "inbound", ...numbers(1) },
    { endpoint: "a.eth0", direction: "outbound", ...numbers(2) },
    { endpoint: "c.eth0", direction: "outbound", ...numbers(4) },
  ]);
  assert.deepEqual(asked.filter((ns) => ns === "vrf:blue").length, 1);
  assert.deepEqual(queuesOf(kernel, journal, undefined), []);
});

test("what the server says of another host's endpoint of the name is not written down", () => {
  const own = endpoint();
  const journal = journalOf(own);
  const known = endpoint({ inbound: LIMIT });
  recordSettings(
    snapshotWith(endpoint({ inbound: LIMIT }, ["10.7.0.2"], "h2"), { ...known, name: "web.eth0@h1" }),
    journal,
  );
  assert.deepEqual(journal.entries.get("web.eth0")?.endpoint.spec.qos, { inbound: LIMIT });
  const other = journalOf(own);
  recordSettings(snapshotWith(endpoint({ inbound: LIMIT }, ["10.7.0.2"], "h2")), other);
  assert.deepEqual([other.entries.get("web.eth0")?.endpoint.spec.qos, other.version], [undefined, 0]);
});

test("of a global network the server judges what a host can, and a limit of no kind is none", () => {
  const bare = { kind: "host", name: "h1", ...envelope, spec: {} } as unknown as Host;
  const of = (ipam: string) => ({
    ...network({ inbound: LIMIT }),
    spec: { ...network({ inbound: LIMIT }).spec, ipam },
  });
  const request = { network: "blue", netns: "/run/netns/web" };
  checkShaping(bare, of("global") as Network, request);
  assert.throws(() => checkShaping(bare, of("local") as Network, request), { reason: "qos-unsupported" });
  assert.deepEqual([limitsIn({}), limitsIn({ qos: {} })], [{}, {}]);
  assert.deepEqual(limitsIn({ qos: { inbound: LIMIT } }), { qos: { inbound: LIMIT } });
});
