// Ports that the kernel has and the journal does not: what each of them becomes, by what the server and the kernel say.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { portName } from "../../../../src/datapath/state/names.ts";
import type { KernelObject, ObjectOf } from "../../../../src/datapath/kinds.ts";
import type { Veth } from "../../../../src/datapath/kinds/links.ts";
import { keyOf } from "../../../../src/datapath/state/state.ts";
import type { FakeKernel } from "../../../../src/kernel/fake.ts";
import type { PortSeen } from "../../../../src/kernel/kernel.ts";
import { type Endpoint, type Snapshot, snapshotOf } from "../../../../src/model/resource.ts";
import { Fault } from "../../../../src/model/fault.ts";
import type { Adopter } from "../../../../src/agent/reconcile/adopt.ts";
import { endpoint, RESOURCES, host, STAYING, readdress, REMOVED, REVISION, ADOPTED, WEB } from "./strayHost.ts";

describe("strays", () => {
  test("are ports of endpoints that are neither in the journal nor on their way into it", async () => {
    const db = endpoint("near", ["10.2.1.3"], { owner: "db", netns: "/run/netns/db" });
    const { kernel, adopter, journal } = await host([WEB, db]);
    const actual = await kernel.observe([]);
    assert.equal([...actual.values()].filter(({ kind }) => kind === "veth").length, 3);
    const names = (inFlight: readonly string[]) =>
      adopter.strays(actual, new Set(inFlight)).map(({ alias }) => alias.split(":")[2] ?? "");
    assert.deepEqual(names([]).toSorted(), ["db.eth0", "web.eth0"]);
    assert.deepEqual(names(["db.eth0"]), ["web.eth0"]);
    journal.put({ endpoint: WEB, netnsId: "1", bootId: "this boot", state: "detaching" });
    assert.deepEqual(names([]), ["db.eth0"]);
    assert.deepEqual(names(["db.eth0"]), []);
  });
});

describe("an endpoint of a local network that the server never heard of", () => {
  const cases: Readonly<Record<string, Endpoint>> = {
    "one address": WEB,
    "one of each family": endpoint("both", ["10.3.1.2", "fd03:0:0:1::2"]),
    "on a slice of the block": endpoint("parts", ["10.4.1.130"], { slice: "b" }),
  };
  for (const [what, built] of Object.entries(cases))
    test(`is taken in as its port says it, whether the server is there or not: ${what}`, async () => {
      for (const isCurrent of [true, false]) {
        const { adopt, journal, kernel, logged, adopter } = await host([built]);
        assert.deepEqual(await adopt(isCurrent), ADOPTED);
        assert.deepEqual(
          [...journal.entries.values()],
          [
            {
              endpoint: {
                kind: "endpoint",
                name: "web.eth0",
                uid: `adopted-${portName("web.eth0")}`,
                revision: REVISION,
                spec: built.spec,
              },
              netnsId: kernel.netnsId("/run/netns/web"),
              bootId: "this boot",
              networkUid: `uid-${built.spec.network}`,
              state: "attached",
            },
          ],
        );
        assert.equal(logged.length, 1);
        assert.match(logged[0] ?? "", /^adopted .*web\.eth0/);
        assert.deepEqual(adopter.conditions, []);
      }
    });

  test("has the way out only if its interface has it", async () => {
    const first = endpoint("near", ["10.2.1.2"]);
    const second = endpoint("near", ["10.2.1.3"], { ifname: "eth1", mac: "02:00:0a:00:00:03", defaultRoute: false });
    const six = endpoint("both", ["10.3.1.2", "fd03:0:0:1::2"], { ifname: "eth2", mac: "02:00:0a:00:00:04" });
    const { adopt, journal } = await host([first, second, six]);
    await adopt(true);
    const told = [...journal.entries].map(([name, { endpoint: one }]) => [name, one.spec] as const);
    assert.deepEqual(Object.fromEntries(told), {
      "web.eth0": first.spec,
      "web.eth1": second.spec,
      "web.eth2": { ...six.spec, defaultRoute: false },
    });
  });

  test("a way out of either family is one", async () => {
    for (const [dst, via] of [
      ["0.0.0.0/0", "10.3.1.1"],
      ["::/0", "fd03:0:0:1::1"],
    ] as const) {
      const { adopt, journal, kernel } = await host([cases["one of each family"] ?? assert.fail()]);
      const state = await kernel.observe(["/run/netns/web"]);
      for (const object of state.values())
        if (
          object.kind === "route" &&
          object.ns === "/run/netns/web" &&
          object.via !== via &&
          object.dst.endsWith("/0")
        )
          kernel.disturb(object);
      await adopt(true);
      assert.equal(journal.entries.get("web.eth0")?.endpoint.spec.defaultRoute, undefined, dst);
    }
  });

  test("is not, if an address is not of this host's block, or another endpoint's, or missing", async () => {
    const other = endpoint("near", ["10.2.1.2"], { owner: "db", netns: "/run/netns/db", mac: "02:00:0a:00:00:09" });
    const taken = await host([WEB, other]);
    taken.journal.put({ endpoint: other, netnsId: "1", bootId: "this boot", state: "attached" });
    assert.deepEqual(await taken.adopt(false), { taken: ["db.eth0"], kept: STAYING.kept });
    assert.deepEqual(await taken.adopt(true), { taken: ["db.eth0"], kept: [] });
    const own = { near: ["10.2.1.2"], both: ["10.3.1.2", "fd03:0:0:1::2"] } as const;
    for (const [network, there] of [
      ["near", ["10.2.2.2/24"]],
      ["both", ["10.3.1.2/24"]],
      ["both", ["fd03:0:0:1::2/64"]],
    ] as const) {
      const { adopt, kernel } = await host([endpoint(network, own[network])]);
      await readdress(kernel, there);
      assert.deepEqual(await adopt(false), STAYING, there.join());
      assert.deepEqual(await adopt(true), REMOVED, there.join());
    }
  });

  test("another address beside its own is the workload's, wherever it stands", async () => {
    const { adopt, kernel, journal } = await host([WEB]);
    await readdress(kernel, ["10.9.9.9/32", "10.2.1.2/24", "10.9.9.8/32"]);
    assert.deepEqual(await adopt(true), ADOPTED);
    assert.deepEqual(journal.entries.get("web.eth0")?.endpoint.spec.addresses, ["10.2.1.2"]);
  });

  test("of two addresses of its block the first is its own", async () => {
    const { adopt, kernel, journal } = await host([WEB]);
    await readdress(kernel, ["10.2.1.7/24", "10.2.1.2/24"]);
    assert.deepEqual(await adopt(true), ADOPTED);
    assert.deepEqual(journal.entries.get("web.eth0")?.endpoint.spec.addresses, ["10.2.1.7"]);
  });

  test("is not, if its mark is not its own: a port has the name of its endpoint", async () => {
    for (const alias of ["weft:endpoint:web.eth1", "weft:endpoint:other.eth0"]) {
      const { adopt, kernel, port } = await host([WEB]);
      const from = await port();
      await kernel.apply([{ op: "set", from, object: { ...from, alias } }]);
      assert.deepEqual(await adopt(false), STAYING, alias);
      assert.deepEqual(await adopt(true), REMOVED, alias);
    }
  });

  test("is not, if it is on no bridge of a local network's block here, or in no VRF that is there", async () => {
    const wide = endpoint("wide", ["10.6.0.2"]);
    const global = await host([wide]);
    assert.deepEqual(await global.adopt(false), STAYING);
    assert.deepEqual(await global.adopt(true), REMOVED);
    for (const gone of ["v", "near", "h1", "near.h1.4"]) {
      const { adopt } = await host([WEB]);
      const kept = (list: Snapshot["networks"]) => list.filter(({ name, spec }) => name !== gone && spec.vrf !== gone);
      const without = RESOURCES.filter(({ name }) => name !== gone);
      const seen = snapshotOf("c", REVISION, without);
      assert.deepEqual(await adopt(false, { ...seen, networks: kept(seen.networks) }), STAYING, gone);
      assert.deepEqual(await adopt(true, { ...seen, networks: kept(seen.networks) }), REMOVED, gone);
    }
  });

  test("of several, each is taken in, and none twice", async () => {
    const db = endpoint("near", ["10.2.1.3"], { owner: "db", netns: "/run/netns/db", mac: "02:00:0a:00:00:03" });
    const { adopt, journal } = await host([WEB, db]);
    const told = await adopt(true);
    assert.deepEqual(told.taken.toSorted(), ["db.eth0", "web.eth0"]);
    const { version } = journal;
    await adopt(true);
    assert.equal(journal.version, version);
  });
});

describe("an endpoint that the server knows", () => {
  const LEASE = endpoint("near", ["10.2.1.2"], { securityGroups: ["g"], workload: "w" });

  test("is what the server says, with groups and workload", async () => {
    for (const isCurrent of [true, false])
      for (const one of [LEASE, endpoint("wide", ["10.6.0.2"], { securityGroups: ["g"] })]) {
        const { adopt, journal } = await host([one], [one]);
        assert.deepEqual(await adopt(isCurrent), ADOPTED);
        assert.deepEqual(journal.entries.get("web.eth0")?.endpoint, { ...one, name: "web.eth0" });
      }
  });

  test("has its plain name here, also where another host's endpoint has it at the server", async () => {
    const known = { ...LEASE, name: "web.eth0@h1" };
    const others = { ...LEASE, spec: { ...LEASE.spec, host: "h2" } };
    const { adopt, journal } = await host([LEASE], [others, known]);
    assert.deepEqual(await adopt(true), ADOPTED);
    assert.deepEqual(journal.entries.get("web.eth0")?.endpoint, { ...known, name: "web.eth0" });
  });

  test("is not taken in again when the server asks for it to go, if that word is current", async () => {
    const leaving = { ...LEASE, spec: { ...LEASE.spec, detaching: true as const } };
    const { adopt } = await host([LEASE], [leaving]);
    assert.deepEqual(await adopt(true), REMOVED);
    assert.deepEqual(await adopt(false), ADOPTED);
  });

  test("elsewhere, or with other addresses, is an old record: the kernel counts for a local network", async () => {
    const others = { a: { netns: "/run/netns/other" }, b: { addresses: ["10.2.1.9"] }, c: { ifname: "eth9" } };
    for (const [key, other] of Object.entries(others)) {
      const record = { ...endpoint("near", ["10.2.1.2"]), name: "web.eth0" };
      const { adopt, journal } = await host([WEB], [{ ...record, spec: { ...record.spec, ...other } }]);
      assert.deepEqual(await adopt(true), ADOPTED, key);
      assert.equal(journal.entries.get("web.eth0")?.endpoint.uid, `adopted-${portName("web.eth0")}`, key);
      assert.deepEqual(journal.entries.get("web.eth0")?.endpoint.spec, WEB.spec, key);
    }
  });

  test("of a global network the server's current word counts, and what is elsewhere is not it", async () => {
    const wide = endpoint("wide", ["10.6.0.2"]);
    const moved = { ...wide, spec: { ...wide.spec, netns: "/run/netns/other" } };
    const elsewhere = await host([wide], [moved]);
    assert.deepEqual(await elsewhere.adopt(false), STAYING);
    assert.deepEqual(await elsewhere.adopt(true), REMOVED);
    // The agent died before the address was in the kernel.
    const granted = { ...wide, spec: { ...wide.spec, addresses: ["10.6.0.9"] } };
    const early = await host([wide], [granted]);
    assert.deepEqual(await early.adopt(false), STAYING);
    assert.deepEqual(await early.adopt(true), ADOPTED);
    assert.deepEqual(early.journal.entries.get("web.eth0")?.endpoint, granted);
  });

  test("a record of a global network says nothing of a local one's port", async () => {
    const record = endpoint("wide", ["10.6.0.2"]);
    const other = { ...record, spec: { ...record.spec, netns: "/run/netns/other" } };
    const { adopt } = await host([WEB], [other]);
    assert.deepEqual(await adopt(false), STAYING);
    assert.deepEqual(await adopt(true), REMOVED);
  });
});

describe("groups that nobody knows", () => {
  const isTold = (adopter: Adopter) =>
    assert.match(adopter.conditions.join("\n"), /^endpoint web\.eth0 \(10\.[25]\.1\.2\) /);

  test("a port with a profile of its own groups is removed at once, and told until the next judgement", async () => {
    const grouped = endpoint("near", ["10.2.1.2"], { securityGroups: ["g"] });
    for (const isCurrent of [false, true]) {
      const { adopt, adopter } = await host([grouped]);
      assert.deepEqual(await adopt(isCurrent), REMOVED);
      isTold(adopter);
      assert.equal(adopter.conditions.length, 1);
    }
    const { adopt, adopter, kernel } = await host([grouped]);
    await adopt(true);
    kernel.removeWorkload("/run/netns/web");
    await adopt(true);
    assert.deepEqual(adopter.conditions, []);
  });

  test("a port with the profile of its network is taken in; with another one, or none, it is not", async () => {
    const network = endpoint("closed", ["10.5.1.2"]);
    const plain = await host([network]);
    assert.deepEqual(await plain.adopt(false), ADOPTED);
    const own = await host([endpoint("closed", ["10.5.1.2"], { securityGroups: ["h"] })]);
    assert.deepEqual(await own.adopt(false), REMOVED);
    isTold(own.adopter);
    for (const one of [WEB, network]) {
      const bare = await host([one]);
      const marks = [...(await bare.kernel.observe([])).values()].filter(
        (object): object is ObjectOf<"element"> => object.kind === "element" && object.set === "ports",
      );
      assert.equal(marks.length, 1);
      await bare.kernel.apply(marks.map((object) => ({ op: "remove", object })));
      assert.deepEqual(await bare.adopt(false), REMOVED);
      isTold(bare.adopter);
    }
  });
});

describe("a far end", () => {
  test("that is gone explains nothing; one that no mark names is found by the server's path", async () => {
    const unnamed = (kernel: FakeKernel) => async () =>
      (await kernel.ports()).map(({ netns: _, ...port }): PortSeen => port);
    const lone = await host([WEB]);
    lone.says.ports = unnamed(lone.kernel);
    assert.deepEqual(await lone.adopt(false), STAYING);
    assert.deepEqual(await lone.adopt(true), REMOVED);
    const known = await host([WEB], [WEB]);
    known.says.ports = unnamed(known.kernel);
    assert.deepEqual(await known.adopt(true), ADOPTED);
    const elsewhere = await host([WEB], [WEB]);
    elsewhere.says.ports = async () =>
      (await elsewhere.kernel.ports()).map((port): PortSeen => ({ ...port, netns: "no path" }));
    assert.deepEqual(await elsewhere.adopt(true), ADOPTED);
  });

  test("of a kernel that cannot be read nothing is concluded: nothing is taken in, and nothing removed", async () => {
    const { says, adopt, adopter, kernel, journal } = await host([WEB]);
    says.ports = () => Promise.reject(new Error("no dump"));
    await assert.rejects(adopt(true), /no dump/);
    const actual = await kernel.observe([]);
    const strays = adopter.strays(actual, new Set());
    assert.equal(adopter.withoutUnexplained(actual), actual);
    assert.deepEqual(
      [...adopter.withStrays(new Map(), actual, strays).values()].filter(({ kind }) => kind === "veth"),
      strays,
    );
    assert.equal(journal.entries.size, 0);
  });

  test("of which the journal cannot be told stays as it is, is told, and taken in with a later round", async () => {
    const { adopt, adopter, journal, kernel } = await host([WEB]);
    const put = journal.put.bind(journal);
    assert.equal(adopter.isDone, true);
    journal.put = () => {
      throw new Fault("unavailable", { what: "the disk is full", fix: "make room" });
    };
    for (const isCurrent of [true, false]) {
      assert.deepEqual(await adopt(isCurrent), STAYING);
      assert.equal(adopter.isDone, false);
      assert.match(
        adopter.conditions.join("\n"),
        /^endpoint web\.eth0 .* cannot be put into the journal: the disk is full/,
      );
    }
    journal.put = () => {
      throw new TypeError("a bug");
    };
    await assert.rejects(adopt(true), /a bug/);
    journal.put = put;
    assert.deepEqual(await adopt(true), ADOPTED);
    assert.deepEqual([adopter.isDone, adopter.conditions], [true, []]);
    assert.equal(kernel.linkNames("/run/netns/web").length, 2);
  });

  test("an earlier judgement does not outlive one that failed", async () => {
    const wide = endpoint("wide", ["10.6.0.2"]);
    const { says, adopt, adopter, kernel } = await host([wide]);
    assert.deepEqual(await adopt(true), REMOVED);
    says.ports = () => Promise.reject(new Error("no dump"));
    await assert.rejects(adopt(true));
    const actual = await kernel.observe([]);
    assert.equal(adopter.withoutUnexplained(actual), actual);
  });
});

describe("a port that is kept", () => {
  test("stays with all that is on it and all that lets it through, and nothing else does", async () => {
    const limit = { average: 1_000_000 };
    const wide = endpoint("wide", ["10.6.0.2"], { qos: { inbound: limit } });
    const other = endpoint("wide", ["10.6.0.3"], { owner: "db", netns: "/run/netns/db", mac: "02:00:0a:00:00:03" });
    const { kernel, adopter, snapshot } = await host([wide, other]);
    const actual = await kernel.observe([]);
    const strays = adopter.strays(actual, new Set(["db.eth0"]));
    await adopter.adopt(actual, strays, snapshot, false);
    const name = portName("web.eth0");
    const desired: KernelObject = { kind: "netns", ns: "vrf:v" };
    const kept = adopter.withStrays(new Map([[keyOf(desired), desired]]), actual, strays);
    const kinds = [...kept.values()].map((one) => one.kind);
    assert.deepEqual([...new Set(kinds)].toSorted(), ["bridge-fdb", "element", "netns", "tbf", "veth"].toSorted());
    for (const one of kept.values()) assert(one === desired || JSON.stringify(one).includes(name), JSON.stringify(one));
    const isOfPort = (one: KernelObject) =>
      one.ns === "vrf:v" && JSON.stringify({ ...one, alias: "" }).includes(`"${name}`);
    assert.equal(kept.size, 1 + [...actual.values()].filter(isOfPort).length);
    // What is desired of it wins, and without strays it is what was desired.
    const wanted: Veth = { ...(strays[0] ?? assert.fail()), mtu: 1 };
    assert.deepEqual(adopter.withStrays(new Map([[keyOf(wanted), wanted]]), actual, strays).get(keyOf(wanted)), wanted);
    const none = new Map([[keyOf(desired), desired]]);
    assert.equal(adopter.withStrays(none, actual, []), none);
  });

  test("what nothing explains is not there for a round that may remove nothing else", async () => {
    const { adopt, adopter, kernel } = await host([
      endpoint("wide", ["10.6.0.2"], { owner: "db", netns: "/run/netns/db" }),
      WEB,
    ]);
    assert.deepEqual(await adopt(true), ADOPTED);
    const actual = await kernel.observe([]);
    const left = adopter.withoutUnexplained(actual);
    assert.deepEqual(
      [...actual.values()]
        .filter((object) => !left.has(keyOf(object)))
        .map((object) => "name" in object && object.name),
      [portName("db.eth0")],
    );
  });
});
