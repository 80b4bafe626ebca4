// What a detach leaves when one of its steps is refused: the port carries nothing, or the caller gets an error; the
// address is not given to another endpoint before its link is gone and the server has released it; and in the end
// nothing is left.
import assert from "node:assert/strict";
import { test } from "node:test";
import { portName, shaperName } from "../../src/datapath/state/names.ts";
import type { Flow } from "../../src/kernel/kernel.ts";
import { Fault } from "../../src/model/fault.ts";
import { settle } from "./lab/clock.ts";
import { onScene, type Scene } from "./lab/scene.ts";

const WEB = "web.eth0";

async function attached(scene: Scene, network: string, workload = "web", more = {}): Promise<readonly string[]> {
  const one = scene.attach(network, workload, more);
  await scene.world.clock.advance(3_000);
  assert.equal(one.state, "done", String(one.reason));
  return one.value?.spec.addresses ?? [];
}

/** Whether the pair is there and up: its MTU says so. */
async function isUp(scene: Scene, name: string, workload = "web"): Promise<boolean | undefined> {
  const state = await scene.host.kernel.observe([`/run/netns/${workload}`]);
  const port = [...state.values()].find((object) => object.kind === "veth" && object.name === portName(name));
  return port?.kind === "veth" ? port.mtu > 0 : undefined;
}

for (const network of ["routed", "segment"]) {
  test(`${network}: the answer comes with the port down and the intent written; then link, lease and entry go`, () =>
    onScene(async (scene) => {
      await attached(scene, network);
      scene.host.kernel.stuck.add(portName(WEB));
      const gone = scene.detach(WEB);
      await settle();
      assert.deepEqual([gone.state, await isUp(scene, WEB), scene.journal(WEB)], ["done", false, "detaching"]);
      scene.host.kernel.stuck.clear();
      await scene.world.clock.advance(10_000);
      assert.deepEqual(
        [await isUp(scene, WEB), scene.journal(WEB), await scene.lease(WEB)],
        [undefined, undefined, undefined],
      );
      const again = scene.detach(WEB);
      await settle();
      assert.equal(again.state, "done", "detaching what is not attached succeeds");
      assert.equal(scene.running.agent.report.driftRepaired, 0, "what was refused is nobody else's doing");
      await scene.assertClean("detached");
    }));

  test(`${network}: a port that the kernel does not take down is told, and rounds go on with it`, () =>
    onScene(async (scene) => {
      await attached(scene, network);
      scene.host.kernel.failNext(1);
      const gone = scene.detach(WEB);
      await settle();
      assert.deepEqual([gone.state, gone.reason, scene.journal(WEB)], ["refused", "kernel-refused", "detaching"]);
      await scene.world.clock.advance(5_000);
      assert.deepEqual(
        [await isUp(scene, WEB), scene.journal(WEB), await scene.lease(WEB)],
        [undefined, undefined, undefined],
      );
      await scene.assertClean("refused");
    }));

  test(`${network}: while its link is there, the name is not attached again and its address is nobody else's`, () =>
    onScene(async (scene) => {
      const addresses = await attached(scene, network);
      scene.host.kernel.stuck.add(portName(WEB));
      const gone = scene.detach(WEB);
      await scene.world.clock.advance(60_000);
      assert.deepEqual([gone.state, await isUp(scene, WEB), scene.journal(WEB)], ["done", false, "detaching"]);
      assert.deepEqual((await scene.lease(WEB))?.spec.addresses, addresses, "the server is not told before");
      const other = scene.attach(network, "other");
      const same = scene.attach(network, "web");
      const beside = scene.attach(network, "web", { owner: "beside" });
      await scene.world.clock.advance(5_000);
      assert.notDeepEqual(other.value?.spec.addresses, addresses);
      assert.deepEqual([other.state, same.state, same.reason], ["done", "refused", "unavailable"]);
      assert.equal(beside.state, "refused", "nor the interface under another name");
      assert.deepEqual(scene.running.agent.view.inFlight.size, 0);
      scene.host.kernel.stuck.clear();
      await scene.world.clock.advance(60_000);
      assert.deepEqual(
        [await scene.hasPort(WEB), scene.journal(WEB), await scene.lease(WEB)],
        [false, undefined, undefined],
      );
      await attached(scene, network);
      await scene.assertClean("attached again");
    }));

  test(`${network}: of two that leave together, one that is stuck does not keep the other`, () =>
    onScene(async (scene) => {
      await attached(scene, network, "a");
      await attached(scene, network, "b");
      await attached(scene, network, "c");
      for (const stuck of ["a.eth0", "c.eth0"]) scene.host.kernel.stuck.add(portName(stuck));
      for (const name of ["a.eth0", "b.eth0", "c.eth0"]) scene.detach(name);
      await scene.world.clock.advance(1_000);
      assert.deepEqual(
        ["a", "b", "c"].map((name) => scene.journal(`${name}.eth0`)),
        ["detaching", undefined, "detaching"],
      );
      // Nor does it keep the server from hearing of the others, and of who comes.
      const next = scene.attach(network, "next");
      await scene.world.clock.advance(40_000);
      assert.deepEqual([next.state, await scene.lease("b.eth0")], ["done", undefined]);
      for (const name of ["a.eth0", "c.eth0", "next.eth0"]) assert.notEqual(await scene.lease(name), undefined, name);
      scene.host.kernel.stuck.clear();
      await scene.assertClean("the others, too");
      for (const name of ["a.eth0", "b.eth0", "c.eth0"])
        assert.deepEqual([scene.journal(name), await scene.lease(name)], [undefined, undefined], name);
    }));

  test(`${network}: what shapes an endpoint goes with it, and is waited for like its port`, () =>
    onScene(async (scene) => {
      await attached(scene, network, "web", { qos: { outbound: { average: 8_000_000 } } });
      const shaper = async () =>
        [...(await scene.host.kernel.observe([])).values()].some(
          (object) => object.kind === "ifb" && object.name === shaperName(WEB),
        );
      assert.equal(await shaper(), true);
      scene.host.kernel.stuck.add(shaperName(WEB));
      scene.detach(WEB);
      await scene.world.clock.advance(10_000);
      assert.deepEqual([await shaper(), await scene.hasPort(WEB)], [true, false]);
      scene.host.kernel.stuck.clear();
      await scene.assertClean("shaped");
      assert.deepEqual([await shaper(), scene.journal(WEB), await scene.lease(WEB)], [false, undefined, undefined]);
    }));

  test(`${network}: a journal that refuses the intent: the caller is told, and the endpoint stays as it was`, () =>
    onScene(async (scene) => {
      const addresses = await attached(scene, network);
      Object.defineProperty(scene.host.entries, "set", {
        configurable: true,
        value: () => {
          throw new Fault("unavailable", { what: "the disk is full", fix: "make room" });
        },
      });
      const gone = scene.detach(WEB);
      await settle();
      Reflect.deleteProperty(scene.host.entries, "set");
      assert.deepEqual([gone.reason, scene.journal(WEB)], ["unavailable", "attached"]);
      await scene.world.clock.advance(40_000);
      assert.deepEqual([(await scene.ports())[WEB], await isUp(scene, WEB)], [addresses, true]);
      const again = scene.detach(WEB);
      await scene.world.clock.advance(5_000);
      assert.deepEqual([again.state, scene.journal(WEB), await scene.lease(WEB)], ["done", undefined, undefined]);
      await scene.assertClean("in the end");
    }));
}

test("without the server a local address is free at once; a global one, and its name, when the server has heard", () =>
  onScene(async (scene) => {
    await attached(scene, "routed", "near");
    await attached(scene, "segment", "wide");
    scene.host.isCut = true;
    await scene.world.clock.advance(1_000);
    const both = [scene.detach("near.eth0"), scene.detach("wide.eth0")];
    await scene.world.clock.advance(1_000);
    assert.deepEqual(
      both.map(({ state }) => state),
      ["done", "done"],
    );
    assert.deepEqual([scene.journal("near.eth0"), scene.journal("wide.eth0")], [undefined, "detaching"]);
    assert.deepEqual([await scene.hasPort("near.eth0"), await scene.hasPort("wide.eth0")], [false, false]);
    for (const network of ["segment", "routed"]) {
      const same = scene.attach(network, "wide");
      await scene.world.clock.advance(1_000);
      assert.deepEqual([same.reason, scene.journal("wide.eth0")], ["unavailable", "detaching"]);
    }
    scene.host.isCut = false;
    await scene.world.clock.advance(30_000);
    assert.deepEqual([scene.journal("wide.eth0"), await scene.lease("wide.eth0")], [undefined, undefined]);
    assert.equal(await scene.lease("near.eth0"), undefined);
    await scene.assertClean("told");
  }));

test("flows of an endpoint's addresses end with it, and those of others go on", () =>
  onScene(async (scene) => {
    const rules = [{ direction: "in", action: "allow", protocol: "tcp", ports: [80] }] as const;
    await scene.write({ verb: "put", kind: "securitygroup", name: "web", spec: { rules: [...rules] } });
    for (const network of ["routed", "segment"]) {
      const groups = { securityGroups: ["web"] };
      const [address = ""] = await attached(scene, network, "web", groups);
      const [other = ""] = await attached(scene, network, "other", groups);
      await scene.world.clock.advance(40_000);
      const flow = (source: string, destination: string): Flow => ({
        source,
        destination,
        protocol: 6,
        destinationPort: 80,
        side: "in",
      });
      const { kernel } = scene.host;
      const flows = kernel.flows(`vrf:${network}`);
      const kept = flow("192.0.2.9", other);
      flows.push(flow("192.0.2.9", address), kept, flow(address, other));
      scene.detach(WEB);
      await scene.world.clock.advance(1_000);
      assert.deepEqual([...kernel.flows(`vrf:${network}`)], [kept], network);
      const away = scene.detach("other.eth0");
      await scene.world.clock.advance(1_000);
      assert.deepEqual([away.state, [...kernel.flows(`vrf:${network}`)]], ["done", []]);
    }
    assert.equal(scene.running.agent.report.driftRepaired, 0);
    await scene.assertClean("flows");
  }));

test("a network that is gone: its endpoint is detached all the same", () =>
  onScene(async (scene) => {
    await attached(scene, "segment");
    const known = () => scene.running.agent.snapshots.known()?.networks.some(({ name }) => name === "segment") === true;
    const deleted = scene.world.control?.write({ verb: "delete", kind: "network", name: "segment", force: true });
    for (let ms = 0; known() && ms < 1_000; ms++) await scene.world.clock.advance(1);
    assert.equal(known(), false);
    const gone = scene.detach(WEB);
    await scene.world.clock.advance(5_000);
    await deleted;
    assert.deepEqual([gone.state, await scene.hasPort(WEB), scene.journal(WEB)], ["done", false, undefined]);
    await scene.assertClean("without its network");
  }));

test("a departure that outlives its entry: an attach of its name waits, and is not taken for it", () =>
  onScene(async (scene) => {
    await attached(scene, "segment");
    const release = scene.holdDisk();
    const gone = scene.detach(WEB);
    await scene.world.clock.advance(100);
    assert.deepEqual([gone.state, scene.journal(WEB)], ["done", "detaching"]);
    // As when the host ends meanwhile and lets go of all it had.
    scene.host.entries.delete(WEB);
    const next = scene.attach("routed", "web");
    await scene.world.clock.advance(100);
    assert.deepEqual([next.state, scene.journal(WEB)], ["pending", undefined]);
    release();
    await scene.world.clock.advance(5_000);
    assert.deepEqual([next.state, scene.journal(WEB)], ["done", "attached"]);
    assert.deepEqual((await scene.ports())[WEB], next.value?.spec.addresses);
    await scene.assertClean("another life");
  }));

test("when the way out leaves, the next interface by name is the way out before the caller is told", () =>
  onScene(async (scene) => {
    await attached(scene, "routed", "web", { ifname: "eth0" });
    await attached(scene, "routed", "web", { ifname: "eth1" });
    await attached(scene, "segment", "web", { ifname: "eth2", defaultRoute: false });
    assert.deepEqual(await scene.waysOut("web"), ["eth0"]);
    const gone = scene.detach("web.eth0");
    for (let ms = 0; gone.state === "pending" && ms < 2_000; ms++) await scene.world.clock.advance(1);
    assert.deepEqual([gone.state, await scene.waysOut("web")], ["done", ["eth1"]]);
    const last = scene.detach("web.eth1");
    for (let ms = 0; last.state === "pending" && ms < 2_000; ms++) await scene.world.clock.advance(1);
    assert.deepEqual([last.state, await scene.waysOut("web")], ["done", []], "eth2 was not to be one");
    await scene.assertClean("in turn");
  }));

test("an attach of a name that is being detached waits for it, also with its workload replaced", () =>
  onScene(async (scene) => {
    for (const network of ["routed", "segment"]) {
      await attached(scene, network);
      scene.detach(WEB);
      const next = scene.attach("routed", "web");
      await scene.world.clock.advance(3_000);
      assert.deepEqual([next.state, scene.journal(WEB)], ["done", "attached"], network);
      assert.deepEqual((await scene.ports())[WEB], next.value?.spec.addresses);
      // The workload ends without a detach, and another takes its name.
      scene.host.kernel.removeWorkload("/run/netns/web");
      scene.host.kernel.addWorkload("/run/netns/web");
      const replaced = scene.attach("routed", "web");
      await scene.world.clock.advance(3_000);
      assert.deepEqual([replaced.state, (await scene.ports())[WEB]], ["done", replaced.value?.spec.addresses]);
      await scene.assertClean(network);
      const gone = scene.detach(WEB);
      await scene.world.clock.advance(3_000);
      assert.equal(gone.state, "done");
    }
  }));

test("a link that is going keeps its routes: whoever comes into its namespace waits until it is gone", () =>
  onScene(async (scene) => {
    const { kernel } = scene.host;
    const apply = kernel.apply.bind(kernel);
    for (const network of ["routed", "segment"]) {
      await attached(scene, network, network);
      kernel.apply = async (ops, isStale) => {
        if (ops.some(({ op, object }) => op === "remove" && object.kind === "veth")) await scene.world.clock.sleep(20);
        return apply(ops, isStale);
      };
      scene.detach(`${network}.eth0`);
      const next = scene.attach(network, network, { ifname: "eth1" });
      for (let ms = 0; next.state === "pending" && ms < 1_000; ms++) await scene.world.clock.advance(1);
      assert.deepEqual([next.state, await scene.hasPort(`${network}.eth0`)], ["done", false]);
      assert.deepEqual(await scene.waysOut(network), ["eth1"]);
      kernel.apply = apply;
      await scene.world.clock.advance(5_000);
    }
    assert.deepEqual(
      scene.host.log.filter((line) => line.startsWith("round") && !line.includes('"refused":0')),
      [],
    );
    await scene.assertClean("one after the other");
  }));

test("what somebody takes away right after an attach or a detach is repaired, and counted as theirs", () =>
  onScene(async (scene) => {
    for (const network of ["routed", "segment"]) {
      await attached(scene, network, `other-${network}`);
      const element = async () => {
        const state = await scene.host.kernel.observe([]);
        const its = [...state.values()].find(
          (one) => one.kind === "element" && one.key.includes(portName(`other-${network}.eth0`)),
        );
        return its ?? assert.fail("no element");
      };
      const before = scene.running.agent.report.driftRepaired;
      const web = scene.attach(network, "web");
      for (let ms = 0; web.state === "pending" && ms < 1_000; ms++) await scene.world.clock.advance(1);
      scene.host.kernel.disturb(await element());
      await scene.world.clock.advance(5_000);
      assert.equal(scene.running.agent.report.driftRepaired, before + 1, `${network}: after an attach`);
      const gone = scene.detach(WEB);
      await scene.world.clock.advance(30);
      assert.equal(gone.state, "done");
      scene.host.kernel.disturb(await element());
      await scene.world.clock.advance(5_000);
      assert.equal(scene.running.agent.report.driftRepaired, before + 2, `${network}: after a detach`);
    }
  }));
