// What a host does about memberships and moves: which attaches and detaches, in which order, what it tells. The
// attacher here is a journal; what attaches and detaches do is in attach.test.ts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../sim/lab/clock.ts";
import type { MoveReport } from "../../../../src/model/input.ts";
import { Fault, type Reason } from "../../../../src/model/fault.ts";
import { type Move, type Resource, type Snapshot, snapshotOf } from "../../../../src/model/resource.ts";
import type { Attachment, AttachRequest } from "../../../../src/model/status.ts";
import { type Entry, memoryJournal } from "../../../../src/agent/journal/journal.ts";
import { Members } from "../../../../src/agent/workload/members.ts";
import { entryNamed as entry, localNetwork as network, membership, move } from "../samples.ts";

const NETWORKS = ["a", "b", "c"].map((name) => network(name));
const WEB = { workload: "web" };
const JOINED = { workload: "web", joined: true };

function host(entries: readonly Entry[], resources: readonly Resource[]) {
  const clock = new VirtualClock();
  const journal = memoryJournal(new Map(entries.map((one) => [one.endpoint.name, one])));
  const did: string[] = [];
  const asked: AttachRequest[] = [];
  const told: MoveReport[] = [];
  const unjoined: (readonly string[])[] = [];
  const logged: string[] = [];
  const says = {
    snapshot: snapshotOf("c", 1, [...NETWORKS, ...resources]) as Snapshot | undefined,
    dead: new Set<string>(),
    refuses: new Map<string, Reason>(),
    links: [] as readonly string[],
  };
  const refused = (what: string) => {
    const reason = says.refuses.get(what);
    if (reason !== undefined) throw new Fault(reason, { what: `${what} is ${reason}`, fix: "wait" });
  };
  const mirror = {
    isSynced: true,
    current: () => says.snapshot,
    isAlive: (one: Entry) => !says.dead.has(one.endpoint.name),
  };
  const attacher = {
    attach: async (request: AttachRequest, { joined }: { readonly joined?: boolean } = {}) => {
      asked.push(request);
      const name = `${request.owner}.${request.ifname}`;
      did.push(`${joined === true ? "join" : "attach"} ${name} ${request.network}`);
      refused(`${request.owner} ${request.network}`);
      const more = joined === true ? { joined } : {};
      const { workload } = request;
      journal.put(entry(name, request.network, { ...(workload === undefined ? {} : { workload }), ...more }));
      return { endpoint: name } as Attachment;
    },
    detach: async (name: string) => {
      did.push(`detach ${name}`);
      refused(name);
      journal.remove(name, 1);
    },
  };
  const transport = {
    moved: async (name: string, report: MoveReport) => {
      did.push(`tell ${name} ${report.state}`);
      told.push(report);
      refused("tell");
    },
  };
  const members = new Members({
    attacher,
    host: "h1",
    journal,
    snapshots: mirror,
    kernel: { linkNames: () => says.links },
    transport,
    clock,
    random: () => 0.5,
    log: (message) => void logged.push(message),
    endedWorkloads: () => [...says.dead],
    onRefused: (lines) => void unjoined.push(lines),
  });
  const stop = new AbortController();
  let ended: Promise<void> | undefined;
  const end = async () => {
    stop.abort();
    await clock.advance(10);
    await ended;
  };
  const set = (...now: readonly Resource[]) => (says.snapshot = snapshotOf("c", 2, [...NETWORKS, ...now]));
  /** What is done within a moment, and since the last time. */
  const done = async (ms = 20) => {
    ended ??= members.run(stop.signal);
    await clock.advance(ms);
    return did.splice(0);
  };
  return { clock, journal, did, asked, told, unjoined, logged, says, mirror, members, end, set, done };
}

describe("memberships", () => {
  test("an instance joins under its next interface name, as a member", async () => {
    const { asked, done, says, end, unjoined } = host(
      [entry("w1.eth0", "a", WEB), entry("w1.eth3", "c", WEB), entry("w2.net0", "a", WEB), entry("x.eth7", "a")],
      [membership("b", "web")],
    );
    says.links = ["eth4", "lo"];
    assert.deepEqual(await done(), ["join w1.eth5 b", "join w2.net1 b"]);
    assert.deepEqual(asked[0], { network: "b", workload: "web", owner: "w1", netns: "/n/w1", ifname: "eth5" });
    assert.deepEqual([unjoined.flat(), await done(60_000)], [[], []]);
    await end();
  });

  test("a name that the journal has is taken, also of another namespace's", async () => {
    const { done, end } = host(
      [entry("w1.eth0", "a", WEB), entry("w1.eth1", "c", { netns: "/n/older" }, "detaching")],
      [membership("b", "web")],
    );
    assert.deepEqual(await done(), ["join w1.eth2 b"]);
    await end();
  });

  test("first what leaves, then what joins, then what moves", async () => {
    const { done, end } = host(
      [entry("w1.eth0", "a", WEB), entry("w1.eth1", "c", JOINED), entry("db.eth0", "a")],
      [move("db.eth0"), membership("b", "web")],
    );
    assert.deepEqual(await done(), [
      "detach w1.eth1",
      "join w1.eth1 b",
      "attach db.eth1 b",
      "tell m~db.eth0 joined",
      "detach db.eth0",
      "tell m~db.eth0 left",
    ]);
    await end();
  });

  test("what is refused keeps nobody else from joining, is told with its reason, and is tried again", async () => {
    const entries = ["w1", "w2", "w3"].map((owner) => entry(`${owner}.eth0`, "a", WEB));
    const { done, says, unjoined, logged, end } = host(entries, [membership("b", "web")]);
    says.refuses.set("w1 b", "exhausted").set("w2 b", "in-use");
    assert.deepEqual(await done(), ["join w1.eth1 b", "join w2.eth1 b", "join w3.eth1 b"]);
    assert.deepEqual(unjoined.at(-1)?.length, 1, "what passes by itself is nobody's failure");
    assert.match(unjoined.at(-1)?.[0] ?? "", /^w1 joins b: w1 b is exhausted/);
    assert.deepEqual(logged, ["members", "members"]);
    assert.deepEqual(await done(300), ["join w1.eth1 b", "join w2.eth1 b"]);
    says.refuses.clear();
    assert.deepEqual(await done(1_000), ["join w1.eth1 b", "join w2.eth1 b"]);
    assert.deepEqual([unjoined.at(-1), await done(10_000)], [[], []]);
    await end();
  });

  test("a server that is away is asked once a round", async () => {
    for (const reason of ["unavailable", "timeout"] as const) {
      const entries = ["w1", "w2"].map((owner) => entry(`${owner}.eth0`, "a", WEB));
      const { done, says, unjoined, end } = host(entries, [membership("b", "web")]);
      says.refuses.set("w1 b", reason);
      assert.deepEqual(await done(), ["join w1.eth1 b"]);
      assert.deepEqual(unjoined, [[]]);
      assert.deepEqual(await done(300), ["join w1.eth1 b"]);
      await end();
    }
  });

  test("nothing is done without a snapshot, and all when there is one", async () => {
    const { done, says, members, end } = host([entry("w1.eth0", "a", WEB)], [membership("b", "web")]);
    const { snapshot } = says;
    says.snapshot = undefined;
    assert.deepEqual(await done(), []);
    members.poke();
    assert.deepEqual(await done(), []);
    says.snapshot = snapshot;
    members.poke();
    assert.deepEqual(await done(), ["join w1.eth1 b"]);
    await end();
  });
});

describe("news", () => {
  test("each change that may ask for something is followed by a round", async () => {
    const { done, journal, set, members, mirror, says, end, unjoined } = host(
      [entry("w1.eth0", "a", WEB), entry("w1.eth1", "b", JOINED)],
      [membership("b", "web")],
    );
    assert.deepEqual(await done(), []);
    const rounds = () => unjoined.length;
    const before = rounds();
    members.poke();
    await done(1_000);
    assert.equal(rounds(), before, "nothing is news");
    says.snapshot = { ...(says.snapshot ?? assert.fail()), revision: 5, endpoints: [], hosts: [] };
    members.poke();
    await done(1_000);
    assert.equal(rounds(), before, "that concerns others");
    journal.put(entry("w2.eth0", "a", WEB));
    members.poke();
    assert.deepEqual(await done(), ["join w2.eth1 b"]);
    members.poke();
    await done();
    set(membership("b", "web"), membership("c", "web"));
    members.poke();
    assert.deepEqual(await done(), ["join w1.eth2 c", "join w2.eth2 c"]);
    set(membership("b", "web"), membership("c", "web"), move("w1.eth0", { to: "b" }));
    members.poke();
    assert.deepEqual(await done(), ["tell m~w1.eth0 joined", "detach w1.eth0", "tell m~w1.eth0 left"]);
    members.poke();
    await done();
    mirror.isSynced = false;
    set();
    members.poke();
    assert.deepEqual(await done(), [], "what is missing is no answer");
    mirror.isSynced = true;
    members.poke();
    assert.deepEqual(
      (await done()).toSorted((a, b) => (a < b ? -1 : 1)),
      ["detach w1.eth1", "detach w1.eth2", "detach w2.eth1", "detach w2.eth2"],
    );
    await end();
  });

  test("a workload that has ended is news, and a network that comes", async () => {
    const { done, members, says, end } = host([entry("w1.eth1", "b", JOINED)], [membership("b", "web")]);
    await done();
    says.dead.add("w1.eth1");
    members.poke();
    assert.deepEqual(await done(), ["detach w1.eth1"]);
    await end();
    const other = host([entry("w1.eth0", "a", WEB)], [membership("d", "web")]);
    assert.deepEqual(await other.done(), []);
    const before = other.says.snapshot ?? assert.fail();
    other.says.snapshot = { ...before, networks: other.set(network("d")).networks };
    other.members.poke();
    assert.deepEqual(await other.done(), ["join w1.eth1 d"]);
    await other.end();
  });

  test("a cluster without members costs no round; one membership, one move, or one that joined does", async () => {
    const idle = host([entry("w1.eth0", "a", WEB)], []);
    await idle.done();
    const before = idle.unjoined.length;
    for (let n = 0; n < 5; n++) {
      idle.journal.put(entry(`x${n}.eth0`, "a", WEB));
      idle.members.poke();
      await idle.done(100);
    }
    assert.equal(idle.unjoined.length, before);
    idle.set(membership("b", "web"));
    idle.members.poke();
    assert.equal((await idle.done()).length, 6);
    await idle.end();
    const moving = host([entry("w1.eth0", "a", WEB)], []);
    await moving.done();
    moving.set(move("w1.eth0"));
    moving.members.poke();
    assert.equal((await moving.done()).length, 4);
    await moving.end();
    const joined = host([entry("w1.eth0", "a", WEB), entry("w1.eth1", "b", JOINED)], []);
    joined.mirror.isSynced = false;
    assert.deepEqual(await joined.done(), []);
    joined.mirror.isSynced = true;
    joined.members.poke();
    assert.deepEqual(await joined.done(), ["detach w1.eth1"]);
    await joined.end();
  });
});

describe("moves", () => {
  const OLD = entry("web.eth0", "a", WEB);
  const NEW = entry("web.eth1", "b", WEB);
  const ARRIVED = { newEndpoint: "web.eth1", newAddresses: ["address of web.eth1"] };

  test("the new end is made like the old one, told, and then the old one is let go", async () => {
    const wish = { securityGroups: ["g"], qos: { inbound: { average: 1_000 } }, workload: "web" } as const;
    for (const more of [wish, { ...wish, joined: true }, {}]) {
      const { asked, told, done, end, says } = host(
        [entry("web.eth0", "a", { ...more, tenant: "t" })],
        [move("web.eth0")],
      );
      says.links = ["eth1"];
      const isJoined = "joined" in more;
      assert.deepEqual(await done(), [
        `${isJoined ? "join" : "attach"} web.eth2 b`,
        "tell m~web.eth0 joined",
        "detach web.eth0",
        "tell m~web.eth0 left",
      ]);
      const { joined: _, ...own } = { joined: undefined, ...more };
      assert.deepEqual(asked, [{ network: "b", owner: "web", netns: "/n/web", ifname: "eth2", ...own }]);
      const arrived = { newEndpoint: "web.eth2", newAddresses: ["address of web.eth2"] };
      assert.deepEqual(told, [
        { state: "joined", ...arrived },
        { state: "left", ...arrived },
      ]);
      await end();
    }
  });

  test("it goes on where it was, by what journal and server say", async () => {
    const left = { state: "left", ...ARRIVED };
    const cases: readonly (readonly [
      what: string,
      entries: readonly Entry[],
      state: Partial<Move["spec"]>,
      told: readonly unknown[],
      detached: boolean,
    ])[] = [
      ["both there", [OLD, NEW], {}, [{ state: "joined", ...ARRIVED }, left], true],
      ["both there, and that is told", [OLD, NEW], { state: "joined" }, [left], true],
      ["the old one is leaving", [{ ...OLD, state: "detaching" }, NEW], { state: "joined" }, [left], true],
      ["the old one is gone", [NEW], { state: "joined" }, [left], false],
      ["neither is there", [], { state: "joined" }, [{ state: "gone" }], false],
      ["the old one was taken away before", [{ ...OLD, state: "detaching" }], {}, [{ state: "gone" }], false],
      ["the old one is in another network", [entry("web.eth0", "c", WEB)], {}, [{ state: "gone" }], false],
      ["the new one is leaving, too", [{ ...NEW, state: "detaching" }], {}, [{ state: "gone" }], false],
      ["the new one is another's", [entry("db.eth1", "b")], {}, [{ state: "gone" }], false],
      ["one of the owner in another network", [entry("web.eth1", "c")], {}, [{ state: "gone" }], false],
    ];
    for (const [what, entries, state, expected, detached] of cases) {
      const { told, done, asked, end } = host(entries, [move("web.eth0", state)]);
      const did = await done();
      assert.deepEqual(told, expected, what);
      assert.deepEqual([did.includes("detach web.eth0"), asked.length], [detached, 0], what);
      await end();
    }
  });

  test("a new end in another namespace is another instance's", async () => {
    const { done, end } = host([OLD, entry("web.eth5", "b", { netns: "/n/other" })], [move("web.eth0")]);
    assert.equal((await done())[0], "attach web.eth1 b");
    await end();
  });

  test("a workload that has ended has not moved, even if its new end is there", async () => {
    const { told, done, says, end } = host([OLD, NEW], [move("web.eth0")]);
    says.dead.add("web.eth0");
    await done();
    assert.deepEqual(told, [{ state: "gone" }]);
    await end();
  });

  test("nothing is concluded from what is missing while the server is away, or while the server has it", async () => {
    const away = host([NEW], [move("web.eth0")]);
    away.mirror.isSynced = false;
    assert.deepEqual(await away.done(1_000), []);
    away.mirror.isSynced = true;
    assert.deepEqual(await away.done(4_000), ["tell m~web.eth0 left"]);
    await away.end();
    const lost = host([NEW], [OLD.endpoint, move("web.eth0")]);
    assert.deepEqual(await lost.done(1_000), []);
    lost.set(move("web.eth0"));
    assert.deepEqual(await lost.done(4_000), ["tell m~web.eth0 left"]);
    await lost.end();
    const others = host([NEW], [{ ...OLD.endpoint, name: "web.eth7" }, move("web.eth0")]);
    assert.deepEqual(await others.done(), ["tell m~web.eth0 left"]);
    await others.end();
  });

  test("the server's name for an endpoint may have its host's at the end", async () => {
    const { done, end } = host([OLD], [move("web.eth0@h1", { owner: "web" })]);
    assert.deepEqual(await done(), [
      "attach web.eth1 b",
      "tell m~web.eth0@h1 joined",
      "detach web.eth0",
      "tell m~web.eth0@h1 left",
    ]);
    await end();
  });

  test("one that cannot be made is told once for each reason, and tried again; the old end stays", async () => {
    const { told, done, says, set, unjoined, journal, end } = host([OLD], [move("web.eth0")]);
    says.refuses.set("web b", "exhausted");
    assert.deepEqual(await done(), ["attach web.eth1 b", "tell m~web.eth0 failed"]);
    const [failed] = told;
    assert.match(failed?.state === "failed" ? (failed.reason ?? "") : "", /^web b is exhausted/);
    assert.deepEqual(unjoined.at(-1), []);
    set(move("web.eth0", { state: "failed", ...(failed?.state === "failed" ? { reason: failed.reason ?? "" } : {}) }));
    assert.deepEqual(await done(300), ["attach web.eth1 b"]);
    says.refuses.set("web b", "network-disabled");
    assert.deepEqual(await done(500), ["attach web.eth1 b", "tell m~web.eth0 failed"]);
    assert.deepEqual([...journal.entries.keys()], ["web.eth0"]);
    says.refuses.clear();
    assert.equal((await done(2_000)).at(-1), "tell m~web.eth0 left");
    await end();
  });

  test("that one cannot be made is told again, if the server did not hear it", async () => {
    const { done, says, logged, end } = host([OLD], [move("web.eth0")]);
    says.refuses.set("web b", "exhausted").set("tell", "unavailable");
    assert.deepEqual(await done(), ["attach web.eth1 b", "tell m~web.eth0 failed"]);
    assert.deepEqual(logged, ["members"]);
    assert.deepEqual(await done(300), ["attach web.eth1 b", "tell m~web.eth0 failed"]);
    await end();
  });

  test("one that only waits is not told as failed", async () => {
    for (const reason of ["unavailable", "in-use", "not-synced", "timeout", "internal"] as const) {
      const { told, done, says, unjoined, end } = host([OLD], [move("web.eth0")]);
      says.refuses.set("web b", reason);
      assert.deepEqual(await done(), ["attach web.eth1 b"], reason);
      assert.deepEqual([told, unjoined.at(-1)], [[], []]);
      await end();
    }
  });

  test("an old end that does not go is told to people, and the server hears of no end", async () => {
    const { told, done, says, unjoined, end } = host([OLD], [move("web.eth0")]);
    says.refuses.set("web.eth0", "kernel-refused");
    assert.deepEqual(await done(), ["attach web.eth1 b", "tell m~web.eth0 joined", "detach web.eth0"]);
    assert.deepEqual(
      told.map(({ state }) => state),
      ["joined"],
    );
    assert.match(unjoined.at(-1)?.join() ?? "", /^web\.eth0 moves: web\.eth0 is kernel-refused/);
    await end();
  });
});
