// What a host does with orders about single endpoints, and what it answers: each order goes the way that a workload's
// own request would go, or is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { portName } from "../../../../src/datapath/state/names.ts";
import { FakeKernel } from "../../../../src/kernel/fake.ts";
import type { PortSeen } from "../../../../src/kernel/kernel.ts";
import type { Ask, InventoryAnswer, Order } from "../../../../src/model/check.ts";
import { Fault } from "../../../../src/model/fault.ts";
import { emptySnapshot, type Endpoint, type EndpointSpec, type Snapshot } from "../../../../src/model/resource.ts";
import { answerChecks, inventoryOf } from "../../../../src/agent/server/checkResponder.ts";
import { type Entry, memoryJournal } from "../../../../src/agent/journal/journal.ts";

const endpoint = (owner: string, more: Partial<EndpointSpec> = {}): Endpoint => ({
  kind: "endpoint",
  name: `${owner}.eth0`,
  uid: `uid-${owner}`,
  revision: 3,
  spec: {
    network: "blue",
    host: "h1",
    owner,
    ifname: "eth0",
    netns: `/run/netns/${owner}`,
    mac: "02:00:00:00:00:02",
    addresses: ["10.7.0.2", "fd07::2"],
    ...more,
  },
});

/** A host with these endpoints attached; `leases` are what the server has. */
function host(attached: readonly Endpoint[], leases: readonly Endpoint[] = [], change: Partial<Entry> = {}) {
  const kernel = new FakeKernel();
  const journal = memoryJournal();
  for (const one of attached) {
    kernel.addWorkload(one.spec.netns as `/${string}`);
    const netnsId = kernel.netnsId(one.spec.netns) ?? "";
    journal.put({ endpoint: one, netnsId, bootId: "fake", state: "attached", ...change });
  }
  const snapshot: Snapshot = { ...emptySnapshot("c"), revision: 12, endpoints: leases };
  const did: string[] = [];
  const logged: string[] = [];
  const answers: InventoryAnswer[] = [];
  const says = { detach: undefined as Error | undefined, claim: undefined as Error | undefined, round: true };
  let onAsk: (ask: Ask) => void = () => assert.fail("nobody listens");
  const view = { inFlight: new Set<string>() };
  const rounds = { now: async () => void did.push("round") };
  const registrar = { isAtRest: true, now: async () => void did.push("register") };
  const attacher = {
    detach: async (name: string) => {
      did.push(`detach ${name}`);
      if (says.detach !== undefined) throw says.detach;
      journal.remove(name, 1);
    },
  };
  answerChecks({
    host: "h1",
    bootId: "fake",
    view,
    rounds,
    registrar,
    attacher,
    kernel,
    journal,
    mirror: { onAsk: (listener) => void (onAsk = listener), snapshot: () => snapshot },
    transport: {
      attach: async (claim) => {
        did.push(`tell ${JSON.stringify(claim)}`);
        if (says.claim !== undefined) throw says.claim;
        return endpoint(claim.owner);
      },
      answer: async (told) => {
        did.push("answer");
        if (!says.round) throw new Fault("unavailable", { what: "away", fix: "wait" });
        answers.push(told);
      },
    },
    tryWays: () => assert.fail("nothing is to be tried"),
    log: (message) => void logged.push(message),
  });
  const ask = async (...orders: readonly Order[]) => {
    onAsk({ id: 5, orders });
    for (let turn = 0; turn < 50 && !did.includes("answer"); turn++)
      await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    return answers.at(-1);
  };
  return { kernel, journal, view, registrar, says, did, logged, ask };
}

const WEB = endpoint("web");
const DETACH = { do: "detach", endpoint: "web.eth0", addresses: WEB.spec.addresses } as const;
/** That it was done, or why not. */
const isRefused = (answer: InventoryAnswer | undefined, why: RegExp) => {
  assert.equal(answer?.done.length, 1);
  assert.match(answer.done[0] ?? "", why);
};

test("a question without orders is answered from what is there, and asks for no round", async () => {
  const { ask, did, logged, view, registrar } = host([WEB], [endpoint("db")]);
  view.inFlight.add("db.eth0");
  registrar.isAtRest = false;
  const answer = await ask();
  assert.deepEqual(did, ["answer"]);
  assert.deepEqual(logged, []);
  assert.deepEqual([answer?.ask, answer?.done], [5, []]);
  const { netns, mac, addresses, network } = WEB.spec;
  assert.deepEqual(answer?.inventory, {
    host: "h1",
    revision: 12,
    entries: [{ endpoint: "web.eth0", network, netns, mac, addresses, revision: 3, state: "attached", alive: true }],
    ports: [],
    busy: ["db.eth0"],
    telling: true,
  });
});

test("an answer that cannot be sent is logged", async () => {
  const { ask, says, logged } = host([WEB]);
  says.round = false;
  assert.equal(await ask(), undefined);
  assert.deepEqual(logged, ["ask"]);
});

test("what was changed is in the kernel and at the server before it is looked at", async () => {
  const { ask, did, logged } = host([WEB]);
  const answer = await ask({ ...DETACH, alive: true });
  assert.deepEqual(did, ["detach web.eth0", "round", "register", "answer"]);
  assert.deepEqual([answer?.done, answer?.inventory.entries, logged], [[""], [], ["orders"]]);
});

test("an order to compare is a round, and a comparison with the server", async () => {
  const { ask, did, journal } = host([WEB], [WEB]);
  const { version } = journal;
  assert.deepEqual((await ask({ do: "settle" }))?.done, [""]);
  assert.deepEqual([did, journal.version], [["round", "register", "answer"], version]);
});

test("an endpoint is detached as it was seen: with the addresses it had then, and dead if it was dead", async () => {
  const cases: readonly (readonly [
    order: Extract<Order, { do: "detach" }>,
    lives: boolean,
    why: RegExp | undefined,
  ])[] = [
    [{ ...DETACH, alive: true }, true, undefined],
    [{ ...DETACH, alive: true }, false, undefined],
    [{ ...DETACH, alive: false }, false, undefined],
    [{ ...DETACH, alive: false }, true, /its workload is there/],
    [{ ...DETACH, addresses: ["10.7.0.2"], alive: true }, true, /it has other addresses now/],
    [{ ...DETACH, addresses: ["10.7.0.9", "fd07::2"], alive: false }, false, /it has other addresses now/],
    [{ ...DETACH, endpoint: "gone.eth0", alive: false }, true, undefined],
  ];
  for (const [order, lives, why] of cases) {
    const { ask, did, kernel } = host([WEB]);
    if (!lives) kernel.removeWorkload("/run/netns/web");
    const answer = await ask(order);
    const what = `${JSON.stringify(order)} ${lives}`;
    if (why === undefined) assert.deepEqual([answer?.done, did[0]], [[""], `detach ${order.endpoint}`], what);
    else {
      isRefused(answer, why);
      assert.equal(did[0], "round", what);
    }
  }
  const leaving = host([WEB], [], { state: "detaching" });
  assert.deepEqual((await leaving.ask({ ...DETACH, alive: false }))?.done, [""]);
  const refused = host([WEB]);
  refused.says.detach = new Fault("kernel-refused", { what: "the kernel says no", fix: "see" });
  isRefused(await refused.ask({ ...DETACH, alive: true }), /the kernel says no/);
  assert.deepEqual(refused.did, ["detach web.eth0", "round", "register", "answer"]);
});

test("the server is told what the journal has, as a workload's own claim", async () => {
  const joined = endpoint("web", { workload: "w", detaching: true });
  const { ask, did, journal } = host([joined]);
  const { version } = journal;
  assert.deepEqual((await ask({ do: "tell", endpoint: "web.eth0" }))?.done, [""]);
  const { detaching: _, ...claim } = joined.spec;
  assert.deepEqual(did, [`tell ${JSON.stringify(claim)}`, "round", "register", "answer"]);
  assert.equal(journal.version, version);
});

test("the journal takes what the server has, but for where the workload is, and tells it", async () => {
  const lease = {
    ...endpoint("web", { addresses: ["10.7.0.5"], netns: "/run/netns/old" }),
    name: "web.eth0@h1",
    uid: "u",
  };
  const others = endpoint("web", { host: "h2", addresses: ["10.7.0.6"] });
  const { ask, did, journal } = host([WEB], [others, endpoint("db"), lease]);
  const before = journal.entries.get("web.eth0");
  assert.deepEqual((await ask({ do: "take", endpoint: "web.eth0" }))?.done, [""]);
  const spec = { ...lease.spec, netns: "/run/netns/web" };
  assert.deepEqual(journal.entries.get("web.eth0"), { ...before, endpoint: { ...lease, name: "web.eth0", spec } });
  assert.deepEqual(did[0], `tell ${JSON.stringify(spec)}`);
  const none = host([WEB], [others]);
  const { version } = none.journal;
  isRefused(await none.ask({ do: "take", endpoint: "web.eth0" }), /the server has no "web\.eth0" on host h1/);
  assert.deepEqual([none.journal.version, none.did], [version, ["round", "register", "answer"]]);
});

test("nothing is taken or told of what is not attached, or what somebody is busy with", async () => {
  for (const verb of ["take", "tell"] as const) {
    const order = { do: verb, endpoint: "web.eth0" } as const;
    isRefused(await host([], [WEB]).ask(order), /"web\.eth0" is not attached here/);
    isRefused(await host([WEB], [WEB], { state: "detaching" }).ask(order), /is being attached or detached/);
    const busy = host([WEB], [WEB]);
    busy.view.inFlight.add("web.eth0");
    isRefused(await busy.ask(order), /is being attached or detached/);
    assert.deepEqual(busy.did, ["round", "register", "answer"]);
    const away = host([WEB], [WEB]);
    away.says.claim = new Fault("unavailable", { what: "the server is away", fix: "wait" });
    isRefused(await away.ask(order), /the server is away/);
  }
});

test("orders are answered each in its place", async () => {
  const { ask } = host([WEB, endpoint("db")]);
  const answer = await ask(
    { do: "tell", endpoint: "gone.eth0" },
    { do: "tell", endpoint: "db.eth0" },
    { ...DETACH, addresses: [], alive: true },
  );
  assert.deepEqual(
    answer?.done.map((why) => /^"?(\S*?)"? ?is /.exec(why)?.[1] ?? why),
    ["gone.eth0", "", "web.eth0"],
  );
});

test("an inventory names what changed while the kernel was read, and ports by whom they are of", async () => {
  const journal = memoryJournal();
  const put = (owner: string, state: Entry["state"] = "attached") =>
    journal.put({ endpoint: endpoint(owner), netnsId: "1", bootId: "b", state });
  for (const owner of ["stays", "goes", "changes"]) put(owner);
  const inFlight = new Set(["early.eth0"]);
  const far = { ifname: "eth0", mac: "m", addresses: ["10.7.0.2"] };
  const seen = (owner: string, mark: string, more: Partial<PortSeen> = {}): PortSeen => ({
    ns: "vrf:v",
    name: portName(`${owner}.eth0`),
    endpoint: mark,
    netns: "/n",
    ...more,
  });
  const kernel = {
    netnsId: () => "1",
    ports: async () => {
      journal.remove("goes.eth0", 1);
      put("changes", "detaching");
      put("comes");
      inFlight.delete("early.eth0");
      inFlight.add("late.eth0");
      return [seen("stays", "sta"), seen("leased", "lea", { far }), seen("other", "a mark"), seen("elsewhere", "els")];
    },
  };
  const snapshot = {
    ...emptySnapshot("c"),
    revision: 4,
    endpoints: [endpoint("leased"), endpoint("elsewhere", { host: "h2" })],
  };
  const registrar = { isAtRest: true, now: async () => undefined };
  const mirrorOf = (known?: Snapshot) => ({ onAsk: () => undefined, snapshot: () => known });
  const parts = { host: "h1", bootId: "b", kernel, journal, view: { inFlight }, registrar };
  const told = await inventoryOf({ ...parts, mirror: mirrorOf(snapshot) });
  assert.deepEqual(new Set(told.busy), new Set(["early.eth0", "late.eth0", "goes.eth0", "changes.eth0", "comes.eth0"]));
  assert.equal(told.busy.length, 5);
  assert.deepEqual(told.ports, [
    { vrf: "v", name: portName("stays.eth0"), endpoint: "stays.eth0" },
    { vrf: "v", name: portName("leased.eth0"), endpoint: "leased.eth0", far },
    { vrf: "v", name: portName("other.eth0"), endpoint: "a mark" },
    { vrf: "v", name: portName("elsewhere.eth0"), endpoint: "els" },
  ]);
  assert.deepEqual([told.revision, told.telling], [4, false]);
  assert.equal((await inventoryOf({ ...parts, mirror: mirrorOf() })).revision, 0);
  const dead = { ...parts, bootId: "another", mirror: mirrorOf(snapshot) };
  assert.deepEqual([...new Set((await inventoryOf(dead)).entries.map(({ alive }) => alive))], [false]);
});
