// Speculative attach to a global network: it builds nothing that was not granted, no round judges what it builds, it
// answers only after the server's confirmation, and a refused, lost or stale attach leaves nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { portName } from "../../src/datapath/state/names.ts";
import type { ObjectOf } from "../../src/datapath/kinds.ts";
import type { Ns } from "../../src/datapath/kinds/kind.ts";
import { Fault } from "../../src/model/fault.ts";
import { settle } from "./lab/clock.ts";
import { onScene, type Scene } from "./lab/scene.ts";

const WEB = "web.eth0";
const ENDED = new Fault("host-reclaimed", { what: "this host was given up", fix: "join anew" });

/** All of the endpoint is in the kernel, and the server's disk has not taken it yet. */
async function granted(scene: Scene, more = {}) {
  const release = scene.holdDisk();
  const web = scene.attach("segment", "web", more);
  await scene.world.clock.advance(30);
  assert.deepEqual((await scene.ports())[WEB], ["10.2.0.3"]);
  assert.deepEqual([web.state, scene.journal(WEB)], ["pending", undefined], "nobody is told before it is kept");
  return { web, release };
}

test("while the server decides, the pair is there without an address, and no round takes it away", () =>
  onScene(async (scene) => {
    const web = scene.attach("segment", "web");
    await settle();
    assert.deepEqual((await scene.ports())[WEB], []);
    const round = scene.running.agent.rounds.now();
    await settle();
    await round;
    assert.deepEqual([await scene.hasPort(WEB), web.state, scene.journal(WEB)], [true, "pending", undefined]);
    await scene.world.clock.advance(100);
    assert.deepEqual([web.state, web.value?.interfaceAddresses], ["done", ["10.2.0.3/24"]]);
    assert.deepEqual([(await scene.ports())[WEB], scene.journal(WEB)], [["10.2.0.3"], "attached"]);
    await scene.assertClean("attached");
  }));

test("of what the server refuses nothing stays, and the next attach of the name goes well", () =>
  onScene(async (scene) => {
    for (let n = 0; n < 2; n++) {
      const web = scene.attach("segment", "web", { range: "nope" });
      await settle();
      assert.equal(await scene.hasPort(WEB), true);
      await scene.world.clock.advance(1_000);
      assert.deepEqual([web.reason, await scene.hasPort(WEB)], ["range-unknown", false]);
      assert.deepEqual([scene.running.agent.view.unreconciled.size, scene.running.agent.view.inFlight.size], [0, 0]);
    }
    await scene.assertClean("refused");
    const again = scene.attach("segment", "web");
    await scene.world.clock.advance(1_000);
    assert.equal(again.state, "done");
    await scene.assertClean("attached after all");
  }));

test("a pair that the kernel refuses ahead is made with the rest, and is judged by rounds like any other", () =>
  onScene(async (scene) => {
    scene.host.kernel.failNext(1);
    const web = scene.attach("segment", "web");
    await settle();
    assert.equal(await scene.hasPort(WEB), false);
    await scene.world.clock.advance(1_000);
    assert.deepEqual([web.state, (await scene.ports())[WEB]], ["done", ["10.2.0.3"]]);
    await scene.assertClean("made later");
    const address = { kind: "address", ns: "/run/netns/web", dev: "eth0", cidr: "10.2.0.3/24" } as const;
    scene.host.kernel.disturb(address);
    await scene.world.clock.advance(60_000);
    assert.deepEqual((await scene.ports())[WEB], ["10.2.0.3"], "a round mends it");
  }));

test("where the kernel refuses what follows the grant, rounds do it before anybody is told", () =>
  onScene(async (scene) => {
    for (const refused of [1, 2, 4]) {
      const name = `w${refused}`;
      const web = scene.attach("segment", name);
      await settle();
      scene.host.kernel.failNext(refused);
      for (let ms = 0; web.state === "pending" && ms < 10_000; ms++) await scene.world.clock.advance(1);
      assert.equal(web.state, "done");
      assert.deepEqual((await scene.ports())[`${name}.eth0`], web.value?.spec.addresses, `${refused} refused`);
      assert.equal((await scene.waysOut(name)).length, 1);
    }
    await scene.assertClean("refused in the middle");
  }));

test("a kernel that goes on refusing: the attach is refused, and neither port, journal nor lease stay", () =>
  onScene(async (scene) => {
    const web = scene.attach("segment", "web");
    await settle();
    scene.host.kernel.failNext(500, { class: "invalid", message: "EINVAL: a fault of the test" });
    await scene.world.clock.advance(20_000);
    assert.deepEqual([web.state, web.reason], ["refused", "kernel-refused"]);
    scene.host.kernel.close();
    await scene.world.clock.advance(60_000);
    assert.deepEqual(
      [await scene.hasPort(WEB), scene.journal(WEB), await scene.lease(WEB)],
      [false, undefined, undefined],
    );
    await scene.assertClean("refused for good");
  }));

test("an answer that is lost after the grant: nothing stays here, and in the end not at the server either", () =>
  onScene(async (scene) => {
    const { web, release } = await granted(scene);
    await scene.round();
    assert.deepEqual((await scene.ports())[WEB], ["10.2.0.3"], "no round judges it");
    scene.host.isCut = true;
    release();
    await scene.world.clock.advance(100);
    assert.deepEqual([web.reason, await scene.hasPort(WEB), scene.journal(WEB)], ["unavailable", false, undefined]);
    const again = scene.attach("segment", "web");
    await scene.world.clock.advance(100);
    assert.deepEqual([again.reason, await scene.hasPort(WEB)], ["unavailable", false]);
    assert.notEqual(await scene.lease(WEB), undefined);
    scene.host.isCut = false;
    await scene.world.clock.advance(60_000);
    assert.equal(await scene.lease(WEB), undefined);
    await scene.assertClean("lost");
  }));

test("what a round in between did not look at is looked at before the answer", () =>
  onScene(async (scene) => {
    const { web, release } = await granted(scene);
    // Somebody takes away what hangs on the port, and a round leaves it alone: it is nobody's yet.
    const routes = [...(await scene.host.kernel.observe(["/run/netns/web"])).values()];
    const route = routes.find((one): one is ObjectOf<"route"> => one.kind === "route" && one.ns === "/run/netns/web");
    scene.host.kernel.disturb(route ?? assert.fail("no route"));
    await scene.round();
    assert.deepEqual(await scene.waysOut("web"), []);
    release();
    for (let ms = 0; web.state === "pending" && ms < 5_000; ms++) await scene.world.clock.advance(1);
    assert.deepEqual([web.state, await scene.waysOut("web")], ["done", ["eth0"]]);
    await scene.assertClean("looked at");
  }));

test("a host that ends before the server answers, or before it keeps, has attached nothing", () =>
  onScene(async (scene) => {
    for (const [moment, ms] of [
      ["before the answer", 0],
      ["before it is kept", 30],
    ] as const) {
      const release = scene.holdDisk();
      const name = `w${ms}`;
      const web = scene.attach("segment", name);
      if (ms > 0) await scene.world.clock.advance(ms);
      else await settle();
      assert.equal(await scene.hasPort(`${name}.eth0`), true, moment);
      scene.running.blockLease.end(ENDED);
      release();
      await scene.world.clock.advance(100);
      assert.deepEqual([web.reason, scene.journal(`${name}.eth0`)], ["host-reclaimed", undefined], moment);
      assert.equal(await scene.hasPort(`${name}.eth0`), false, moment);
      assert.deepEqual(
        [scene.running.agent.view.unreconciled.size, scene.running.agent.view.inFlight.size],
        [0, 0],
        moment,
      );
      const next = scene.attach("routed", "late");
      await settle();
      assert.deepEqual([next.reason, await scene.hasPort("late.eth0")], ["host-reclaimed", false], moment);
      scene.running.blockLease.begin();
      await scene.world.clock.advance(60_000);
    }
    await scene.assertClean("after its end");
  }));

test("a host that ends while rounds make an endpoint does not say that it is attached", () =>
  onScene(async (scene) => {
    await scene.write({
      verb: "put",
      kind: "network",
      name: "new",
      spec: { subnets: [{ cidr: "10.3.0.0/24", hostPrefix: 26 }] },
    });
    const web = scene.attach("new", "web");
    scene.running.blockLease.end(ENDED);
    await scene.world.clock.advance(1_000);
    assert.equal(web.state, "refused");
    assert.equal(await scene.hasPort(WEB), false);
  }));

test("one request sent twice is one endpoint; other wishes under its name are refused", () =>
  onScene(async (scene) => {
    const release = scene.holdDisk();
    const twice = [scene.attach("segment", "web"), scene.attach("segment", "web")];
    await scene.world.clock.advance(30);
    assert.deepEqual(
      twice.map(({ state }) => state),
      ["pending", "pending"],
    );
    release();
    await scene.world.clock.advance(1_000);
    const [one, other] = twice.map(({ value }) => value);
    assert.notEqual(one, undefined);
    assert.deepEqual(one, other);
    const same = [{}, { addresses: ["10.2.0.3"] }, { mac: one?.spec.mac.toUpperCase() ?? "" }];
    for (const more of same) {
      const again = scene.attach("segment", "web", more);
      await scene.world.clock.advance(100);
      assert.deepEqual(again.value, one, JSON.stringify(more));
    }
    for (const more of [{ addresses: ["10.2.0.9"] }, { mac: "02:00:00:00:00:09" }, { workload: "w" }]) {
      const refused = scene.attach("segment", "web", more);
      await scene.world.clock.advance(100);
      assert.equal(refused.reason, "name-taken", JSON.stringify(more));
    }
    const elsewhere = [scene.attach("routed", "web"), scene.attach("segment", "other", { owner: "web" })];
    await scene.world.clock.advance(100);
    assert.deepEqual(
      elsewhere.map(({ reason }) => reason),
      ["name-taken", "name-taken"],
    );
    await scene.assertClean("one endpoint");
  }));

test("an interface that its workload took away is made again when the attach is repeated", () =>
  onScene(async (scene) => {
    const web = scene.attach("segment", "web");
    await scene.world.clock.advance(1_000);
    const [port] = [...(await scene.host.kernel.observe(["/run/netns/web"] as Ns[])).values()].filter(
      (one) => one.kind === "veth" && one.name === portName(WEB),
    );
    scene.host.kernel.disturb(port ?? assert.fail());
    const again = scene.attach("segment", "web");
    for (let ms = 0; again.state === "pending" && ms < 40; ms++) await scene.world.clock.advance(1);
    assert.deepEqual([again.value, (await scene.ports())[WEB]], [web.value, ["10.2.0.3"]]);
  }));

test("two interfaces of one workload at once: both are attached, in any order, and one of them is the way out", () =>
  onScene(async (scene) => {
    let n = 0;
    for (const networks of [
      ["segment", "segment"],
      ["routed", "segment"],
      ["segment", "routed"],
      ["routed", "routed"],
    ])
      for (const names of [
        ["eth0", "eth1"],
        ["eth1", "eth0"],
      ]) {
        const workload = `two${++n}`;
        const both = names.map((ifname, i) => scene.attach(networks[i] ?? "", workload, { ifname }));
        await scene.world.clock.advance(2_000);
        const label = `${networks.join()} ${names.join()}`;
        assert.deepEqual([both[0]?.reason, both[1]?.reason], [undefined, undefined], label);
        assert.equal((await scene.waysOut(workload)).length, 1, label);
        await scene.assertClean(label);
        assert.equal((await scene.waysOut(workload)).length, 1, label);
      }
  }));

test("a journal that refuses what was granted: the attach is refused, and kernel and server have nothing of it", () =>
  onScene(async (scene) => {
    const full = new Fault("unavailable", { what: "the disk is full", fix: "make room" });
    const { entries } = scene.host;
    const restore = () => Reflect.deleteProperty(entries, "set");
    const refuse = () =>
      Object.defineProperty(entries, "set", {
        configurable: true,
        value: () => {
          throw full;
        },
      });
    const { web, release } = await granted(scene);
    refuse();
    release();
    await scene.world.clock.advance(500);
    restore();
    assert.deepEqual([web.reason, await scene.hasPort(WEB), scene.journal(WEB)], ["unavailable", false, undefined]);
    assert.equal(await scene.lease(WEB), undefined);
    // The server cannot be told either: it is told when journal and server are compared.
    const second = await granted(scene);
    refuse();
    second.release();
    for (let ms = 0; scene.running.agent.view.unreconciled.size > 0 && ms < 100; ms++) {
      if ((await scene.lease(WEB)) !== undefined) scene.host.isCut = second.web.state === "refused";
      await scene.world.clock.advance(1);
    }
    restore();
    scene.host.isCut = false;
    await scene.world.clock.advance(60_000);
    assert.deepEqual([await scene.hasPort(WEB), await scene.lease(WEB)], [false, undefined]);
    // A local one has nothing but its entry.
    refuse();
    const local = scene.attach("routed", "web");
    await scene.world.clock.advance(500);
    restore();
    assert.deepEqual([local.reason, await scene.hasPort(WEB), scene.journal(WEB)], ["unavailable", false, undefined]);
    await scene.assertClean("not written down");
  }));
