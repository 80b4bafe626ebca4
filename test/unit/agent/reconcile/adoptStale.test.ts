// Strays beside a journal that has other entries: an old copy of it, or one in which an attach has written meanwhile.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { portName } from "../../../../src/datapath/state/names.ts";
import { stateOf } from "../../../../src/datapath/state/state.ts";
import type { Endpoint, EndpointSpec } from "../../../../src/model/resource.ts";
import type { Entry } from "../../../../src/agent/journal/journal.ts";
import { endpoint, host, STAYING, REMOVED, ADOPTED, WEB } from "./strayHost.ts";

const ELSEWHERE = { owner: "old", netns: "/run/netns/old", ifname: "eth7" };

/** An attached entry of an endpoint `old`, which has no port. */
function old(spec: Partial<EndpointSpec>, more: Partial<Entry> = {}, network = "near"): Entry {
  const one = endpoint(network, ["10.2.1.77"], { ...ELSEWHERE, ...spec });
  return { endpoint: one, netnsId: "of old", bootId: "this boot", networkUid: "u", state: "attached", ...more };
}

/** What becomes of an entry and of a stray `web.eth0`, whose namespace is `far`. */
async function meets(stale: (far: string) => Entry, built = WEB, server: readonly Endpoint[] = []) {
  const { journal, kernel, adopt, logged } = await host([built], server);
  const entry = stale(kernel.netnsId("/run/netns/web") ?? assert.fail());
  journal.put(entry);
  const { taken } = await adopt(true);
  const now = journal.entries.get(entry.endpoint.name);
  assert.deepEqual({ ...now, state: "" }, { ...entry, state: "" });
  return { isTaken: taken.includes("web.eth0"), state: now?.state, logged };
}

describe("an entry of an old journal that has no port, beside a port that no entry has", () => {
  const both = ["10.2.1.9", "10.2.1.2"];
  const cases: Readonly<Record<string, readonly [(far: string) => Entry, state: string, isTaken: boolean]>> = {
    "has its address": [() => old({ addresses: ["10.2.1.2"] }), "detaching", true],
    "has its address beside another one": [() => old({ addresses: both }), "detaching", true],
    "has its link": [(far) => old({ ifname: "eth0" }, { netnsId: far }), "detaching", true],
    "is another link of its namespace": [(far) => old({}, { netnsId: far }), "attached", true],
    "is a link of that name elsewhere": [() => old({ ifname: "eth0" }), "attached", true],
    "has its address in another network": [() => old({ addresses: ["10.2.1.2"] }, {}, "both"), "attached", true],
    "has nothing in common": [() => old({}), "attached", true],
    // Its detach is at work: until that is done, the address is its own.
    "is leaving with its address": [() => old({ addresses: both }, { state: "detaching" }), "detaching", false],
  };
  for (const [what, [stale, state, isTaken]] of Object.entries(cases))
    test(what, async () => {
      const found = await meets(stale);
      assert.deepEqual([found.state, found.isTaken], [state, isTaken]);
      const told = found.logged.map((line) => line.split(" ")[0]);
      assert.deepEqual(told, state === "detaching" && isTaken ? ["disproved", "adopted"] : isTaken ? ["adopted"] : []);
      if (told.includes("disproved")) assert.match(found.logged[0] ?? "", /"old\.eth7"|"old\.eth0"/);
    });

  test("the same beside an endpoint of a global network that the server knows", async () => {
    const wide = endpoint("wide", ["10.6.0.2"]);
    const at = (address: string) => meets(() => old({ addresses: [address] }, {}, "wide"), wide, [wide]);
    assert.deepEqual([(await at("10.6.0.2")).state, (await at("10.6.0.3")).state], ["detaching", "attached"]);
  });

  test("of two addresses one in common is enough", async () => {
    const built = endpoint("both", ["10.3.1.2", "fd03:0:0:1::2"]);
    for (const address of built.spec.addresses) {
      const { state, isTaken } = await meets(() => old({ addresses: [address] }, {}, "both"), built);
      assert.deepEqual([state, isTaken], ["detaching", true], address);
    }
  });

  test("all of several that are disproved leave, and none that is being attached or has its port", async () => {
    const db = endpoint("near", ["10.2.1.3"], { owner: "db", netns: "/run/netns/db", mac: "02:00:0a:00:00:03" });
    const { journal, kernel, adopter, snapshot } = await host([WEB, db]);
    const far = kernel.netnsId("/run/netns/web") ?? assert.fail();
    const entries = [
      old({ addresses: ["10.2.1.2"], owner: "a" }),
      old({ ifname: "eth0", owner: "b" }, { netnsId: far }),
      old({ ifname: "eth0", owner: "c" }, { netnsId: far }),
      { ...old({}), endpoint: db, netnsId: far },
    ];
    for (const one of entries) journal.put({ ...one, endpoint: { ...one.endpoint, name: nameOf(one) } });
    const actual = await kernel.observe([]);
    const strays = adopter.strays(actual, new Set(["c.eth0"]));
    assert.deepEqual(
      strays.map(({ name }) => name),
      [portName("web.eth0")],
    );
    await adopter.adopt(actual, strays, snapshot, true);
    assert.deepEqual(Object.fromEntries([...journal.entries].map(([name, { state }]) => [name, state])), {
      "a.eth7": "detaching",
      "b.eth0": "detaching",
      "c.eth0": "attached",
      "db.eth0": "attached",
      "web.eth0": "attached",
    });
  });
});

const nameOf = ({ endpoint: { spec } }: Entry) => `${spec.owner}.${spec.ifname}`;

describe("a stray whose place changed since it was seen", () => {
  test("is not taken in twice, where its attach is through meanwhile", async () => {
    const { adopter, journal, kernel, snapshot } = await host([WEB], [WEB]);
    const actual = await kernel.observe([]);
    const strays = adopter.strays(actual, new Set());
    const own: Entry = { endpoint: WEB, netnsId: "own", bootId: "b", state: "attached" };
    journal.put(own);
    const { version } = journal;
    await adopter.adopt(actual, strays, snapshot, true);
    assert.deepEqual([journal.version, [...journal.entries.values()]], [version, [own]]);
  });

  test("stays as it is without its namespace or its network, for a later round", async () => {
    const gone = await host([WEB], [WEB]);
    gone.says.netnsId = () => undefined;
    assert.deepEqual(await gone.adopt(true), STAYING);
    gone.says.netnsId = (path) => gone.kernel.netnsId(path);
    const { networks } = gone.snapshot;
    const without = { ...gone.snapshot, networks: networks.filter(({ name }) => name !== "near") };
    assert.deepEqual(await gone.adopt(true, without), STAYING);
    assert.deepEqual([gone.logged, gone.adopter.conditions], [[], []]);
    assert.deepEqual(await gone.adopt(true), ADOPTED);
  });

  test("is judged by all of its addresses: the server's record of some of them is an old one", async () => {
    const built = endpoint("both", ["10.3.1.2", "fd03:0:0:1::2"]);
    for (const addresses of [
      ["10.3.1.2", "fd03:0:0:1::9"],
      ["10.3.1.9", "fd03:0:0:1::2"],
    ]) {
      const record = endpoint("both", addresses, { workload: "w" });
      const { adopt, journal } = await host([built], [record]);
      assert.deepEqual(await adopt(false), ADOPTED);
      assert.deepEqual(journal.entries.get("web.eth0")?.endpoint.spec, built.spec);
    }
  });

  test("is not taken in under a name that its interface no longer has", async () => {
    // Whether the server knows it under that name or not.
    for (const server of [[], [WEB]]) {
      const { adopt, says, kernel } = await host([WEB], server);
      says.observe = async (paths) => {
        const seen = [...(await kernel.observe(paths)).values()];
        return stateOf(
          seen.map((one) => {
            if (one.kind === "veth" && one.name === portName("web.eth0"))
              return { ...one, peer: { ...one.peer, name: "eth9" } };
            return "dev" in one && one.ns === WEB.spec.netns ? { ...one, dev: "eth9" } : one;
          }),
        );
      };
      assert.deepEqual(await adopt(false), STAYING);
      assert.deepEqual(await adopt(true), REMOVED);
    }
  });
});
