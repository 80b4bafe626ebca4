// Rounds that fail pause, also when they are poked, and catch up when they can; each step of a move between networks is
// reported when it is true.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../src/model/fault.ts";
import { onScene, type Scene } from "./lab/scene.ts";

const WEB = "web.eth0";
const ADMIN = { role: "admin" } as const;

function toldOf({ running }: Scene) {
  return running.agent.report;
}

/** Whether the server has heard that this host's kernel is as it should be. */
async function isConverged({ world }: Scene): Promise<boolean> {
  const status = await world.control?.status();
  return (status?.hosts[0]?.status?.revision ?? 0) >= (status?.revision ?? Infinity);
}

/** A minute in which somebody changes something ten times a second. */
async function restlessMinute(scene: Scene): Promise<void> {
  for (let tenth = 0; tenth < 600; tenth++) {
    scene.running.agent.rounds.pokeFull();
    scene.running.agent.registrar.poke();
    await scene.world.clock.advance(100);
  }
}

test("a kernel that cannot be read is not asked all the time, and is believed again when it can be", () =>
  onScene(async (scene) => {
    const { kernel } = scene.host;
    const observe = kernel.observe.bind(kernel);
    let looks = 0;
    kernel.observe = async () => {
      looks++;
      throw new Error("EINTR: the dump was interrupted");
    };
    await restlessMinute(scene);
    assert(looks >= 5 && looks <= 60, `${looks} looks in a minute`);
    assert.match(toldOf(scene).errors.join(), /the dump was interrupted/);
    assert.equal(await isConverged(scene), false);
    // What changed meanwhile is found, although nobody says so any more.
    kernel.observe = observe;
    kernel.disturb({ kind: "address", ns: "/run/netns/first-routed", dev: "eth0", cidr: "10.1.0.2/26" });
    await scene.assertClean("readable again");
    assert.deepEqual((await scene.ports())["first-routed.eth0"], ["10.1.0.2"]);
  }));

test("a kernel that refuses is asked again after a pause, and the server is told what is refused until it is not", () =>
  onScene(async (scene) => {
    const { kernel } = scene.host;
    const apply = kernel.apply.bind(kernel);
    let tries = 0;
    kernel.apply = async (ops) => {
      if (ops.length > 0) tries++;
      return ops.map((op) => ({ op, refusal: { class: "busy", message: "EBUSY: a fault of the test" } }));
    };
    kernel.disturb({ kind: "address", ns: "/run/netns/first-routed", dev: "eth0", cidr: "10.1.0.2/26" });
    await restlessMinute(scene);
    assert(tries >= 5 && tries <= 60, `${tries} tries in a minute`);
    assert.match(toldOf(scene).errors.join(), /EBUSY: a fault of the test/);
    assert.equal(await isConverged(scene), true, "in the workload's own namespace");
    kernel.disturb({ kind: "netns", ns: "vrf:routed" });
    await scene.world.clock.advance(40_000);
    assert.equal(await isConverged(scene), false, "in a VRF's");
    kernel.apply = apply;
    await scene.world.clock.advance(40_000);
    assert.deepEqual(scene.running.agent.report.errors, []);
    await scene.assertClean("taken again");
  }));

test("an endpoint that an administrator detaches goes at once", () =>
  onScene(async (scene) => {
    const name = "first-routed.eth0";
    await scene.write({ verb: "detach", endpoint: name, by: ADMIN });
    await scene.world.clock.advance(1_000);
    assert.equal(await scene.hasPort(name), false);
    assert.deepEqual([scene.journal(name), await scene.lease(name)], [undefined, undefined]);
    await scene.assertClean("detached");
  }));

test("a server that refuses what the journal has is asked again after a pause, and people are told why", () =>
  onScene(async (scene) => {
    const { control } = scene.world;
    assert(control !== undefined);
    const write = control.write.bind(control);
    let asked = 0;
    control.write = ((...args: Parameters<typeof write>) => {
      if (args[0].verb !== "attach") return write(...args);
      asked++;
      return Promise.reject(new Fault("quota-exceeded", { what: "there are enough", fix: "remove some" }));
    }) as typeof write;
    const web = scene.attach("routed", "web");
    await restlessMinute(scene);
    assert.deepEqual([web.state, await scene.lease(WEB)], ["done", undefined], "local attaches need no server");
    assert(asked >= 5 && asked <= 60, `asked ${asked} times in a minute`);
    assert.match(scene.running.agent.report.conditions.join(), /there are enough/);
    control.write = write;
    await scene.world.clock.advance(40_000);
    assert.deepEqual(scene.running.agent.report.conditions, []);
    assert.deepEqual((await scene.lease(WEB))?.spec.addresses, web.value?.spec.addresses);
    await scene.assertClean("registered");
  }));

test("a move is told joined when both ends are there, and left when the old one is not; by one agent or by two", () =>
  onScene(async (scene) => {
    for (const isKilled of [false, true]) {
      const name = isKilled ? "second" : "first";
      const web = scene.attach("segment", name);
      await scene.world.clock.advance(5_000);
      assert.equal(web.state, "done");
      const request = { from: "segment", to: "routed", endpoint: `${name}.eth0` };
      const made = scene.world.control?.write({ verb: "migrate", request });
      const told: string[] = [];
      for (let ms = 0; ms < 60_000 && !told.some((line) => line.startsWith("left")); ms++) {
        await scene.world.clock.advance(1);
        const { moves } = (await scene.world.control?.snapshot(ADMIN)) ?? assert.fail();
        const move = moves.find(({ spec }) => spec.owner === name);
        const ports = await scene.ports();
        const there = [`${name}.eth0`, `${name}.eth1`].map((one) => (ports[one]?.length === 1 ? one.slice(-4) : "-"));
        const journal = [scene.journal(`${name}.eth0`), scene.journal(`${name}.eth1`)];
        const line = `${move?.spec.state} ${there.join(" ")} ${journal.join(" ")}`;
        if (told.at(-1) !== line && move !== undefined) told.push(line);
        if (isKilled && move?.spec.state === "joined" && told.at(-1) === line) {
          // Its successor goes on where it was.
          scene.world.killAgent(scene.host);
          scene.world.startAgent(scene.host);
          await scene.world.clock.advance(5_000);
        }
      }
      await made;
      const joined = told.findIndex((line) => line.startsWith("joined"));
      const [before, after] = [told.slice(0, joined), told.slice(joined)];
      assert.equal(before.at(-1), "pending eth0 eth1 attached attached", told.join("; "));
      for (const line of before) assert.match(line, /^pending eth0 .* attached /, told.join("; "));
      for (const line of after) assert.match(line, / eth1 .*attached$/, told.join("; "));
      assert.match(told.at(-1) ?? "", /^left - /, told.join("; "));
      assert.deepEqual((await scene.ports())[`${name}.eth1`]?.length, 1);
      await scene.world.clock.advance(20_000);
      assert.equal(await scene.lease(`${name}.eth0`), undefined);
    }
    await scene.assertClean("moved");
  }));

test("a move that cannot be made is told once, and is made when it can be", () =>
  onScene(async (scene) => {
    const web = scene.attach("segment", "web");
    await scene.world.clock.advance(5_000);
    assert.equal(web.state, "done");
    const spec = { subnets: [{ cidr: "10.9.0.0/24", hostPrefix: 26 }] };
    await scene.write({ verb: "put", kind: "network", name: "closed", spec });
    scene.world.killAgent(scene.host);
    await scene.write({ verb: "migrate", request: { from: "segment", to: "closed", endpoint: WEB } });
    await scene.write({ verb: "put", kind: "network", name: "closed", spec: { ...spec, enabled: false } });
    scene.world.startAgent(scene.host);
    await scene.world.clock.advance(10_000);
    const move = async () =>
      (await scene.world.control?.snapshot(ADMIN))?.moves.find((one) => one.spec.owner === "web");
    const failed = await move();
    assert.deepEqual([failed?.spec.state, await scene.hasPort(WEB)], ["failed", true]);
    assert.match(failed?.spec.reason ?? "", /disabled/);
    await restlessMinute(scene);
    assert.equal((await move())?.revision, failed?.revision, "it is not told again");
    await scene.write({ verb: "put", kind: "network", name: "closed", spec });
    await scene.world.clock.advance(60_000);
    assert.deepEqual([(await move())?.spec.state, await scene.hasPort(WEB)], ["left", false]);
    await scene.assertClean("made after all");
  }));

test("what leaves by its own while it is to move is nowhere then, and the server knows", () =>
  onScene(async (scene) => {
    for (const isEnded of [false, true]) {
      const name = isEnded ? "ended" : "taken";
      const web = scene.attach("segment", name);
      await scene.world.clock.advance(5_000);
      assert.equal(web.state, "done");
      scene.world.killAgent(scene.host);
      await scene.write({ verb: "migrate", request: { from: "segment", to: "routed", endpoint: `${name}.eth0` } });
      scene.world.startAgent(scene.host);
      if (isEnded) {
        scene.host.kernel.removeWorkload(`/run/netns/${name}`);
        scene.host.workloads.delete(`/run/netns/${name}`);
      } else {
        const entry = scene.host.entries.get(`${name}.eth0`) ?? assert.fail();
        scene.host.entries.set(`${name}.eth0`, { ...entry, state: "detaching" });
      }
      await scene.world.clock.advance(90_000);
      const moves = (await scene.world.control?.snapshot(ADMIN))?.moves ?? [];
      assert.equal(moves.find(({ spec }) => spec.owner === name)?.spec.state, "gone", name);
      assert.deepEqual([scene.journal(`${name}.eth1`), await scene.hasPort(`${name}.eth1`)], [undefined, false]);
    }
  }));

test("whether an attach would be taken is said before it is tried, as an attach would say it", () =>
  onScene(async (scene) => {
    const { inspection } = scene.running.agent;
    const refusal = (network: string, slice?: string) => {
      try {
        return inspection.networkFor(network, slice).name;
      } catch (error) {
        return error instanceof Fault ? error.reason : String(error);
      }
    };
    assert.deepEqual(
      ["routed", "segment", "nope"].map((one) => refusal(one)),
      ["routed", "segment", "network-unknown"],
    );
    assert.equal(refusal("routed", "nope"), "request-invalid");
    scene.world.killServer();
    await scene.world.clock.advance(1_000);
    assert.deepEqual([refusal("routed"), refusal("segment")], ["routed", "unavailable"]);
    await scene.world.startServer();
    await scene.world.clock.advance(20_000);
    for (let n = 0; refusal("routed") === "routed" && n < 70; n++) {
      scene.attach("routed", `w${n}`);
      await scene.world.clock.advance(10);
    }
    assert.deepEqual([refusal("routed"), refusal("segment")], ["exhausted", "segment"]);
    scene.running.blockLease.end(new Fault("host-deleted", { what: "it was deleted", fix: "join" }));
    assert.deepEqual([refusal("routed"), refusal("segment")], ["host-deleted", "host-deleted"]);
  }));

test("what stayed because the server was away when it went, goes when the server is back", () =>
  onScene(async (scene) => {
    const { world, host } = scene;
    const hasBridge = async () =>
      [...(await host.kernel.observe([])).values()].some(
        ({ kind, ...o }) => kind === "bridge" && "name" in o && o.name === "wb-third",
      );
    const spec = { subnets: [{ cidr: "10.3.0.0/24" }], vrf: "segment" };
    await scene.write({ verb: "put", kind: "network", name: "third", spec });
    assert.equal(await hasBridge(), true);
    // The server dies when it has said so, before the round that this causes.
    const stop = scene.running.mirror.onChange(() => world.killServer());
    void world.control?.write({ verb: "delete", kind: "network", name: "third" }).catch(() => undefined);
    await world.clock.advance(1_000);
    stop();
    assert.equal(
      scene.running.mirror.snapshot()?.networks.some(({ name }) => name === "third"),
      false,
    );
    assert.equal(await hasBridge(), true, "the snapshot may lack it");
    await world.startServer();
    await world.clock.advance(5_000);
    assert.equal(await hasBridge(), false);
  }));
