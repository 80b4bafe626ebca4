// Rounds of one host with its server, in memory: what is looked at and when, what is repaired, what is told.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { settle } from "../../sim/lab/clock.ts";
import { onScene, type Scene } from "../../sim/lab/scene.ts";
import { portName } from "../../../src/datapath/state/names.ts";
import type { KernelObject } from "../../../src/datapath/kinds.ts";
import type { Op } from "../../../src/datapath/state/state.ts";
import type { Flow, OpResult } from "../../../src/kernel/kernel.ts";
import { Fault } from "../../../src/model/fault.ts";

const WEB = "web.eth0";
const ADDRESS = { kind: "address", ns: "/run/netns/first-routed", dev: "eth0", cidr: "10.1.0.2/26" } as const;

async function attached(scene: Scene, network: string, workload = "web", more = {}): Promise<void> {
  const one = scene.attach(network, workload, more);
  await scene.world.clock.advance(3_000);
  assert.equal(one.state, "done", String(one.reason));
}

/** How often the kernel was read whole, or in part, until now. */
function looksOf(scene: Scene) {
  const { kernel } = scene.host;
  const observe = kernel.observe.bind(kernel);
  const looks: number[] = [];
  kernel.observe = (workloads) => {
    looks.push(workloads.length);
    return observe(workloads);
  };
  return looks;
}

/** All that is done to these objects is refused while it lasts. */
function refusing(scene: Scene, isMeant: (object: KernelObject) => boolean) {
  const { kernel } = scene.host;
  const apply = kernel.apply.bind(kernel);
  kernel.apply = async (ops: readonly Op[], isStale) => {
    const results = await apply(
      ops.filter(({ object }) => !isMeant(object)),
      isStale,
    );
    const refusal = { class: "busy", message: "EBUSY: a fault of the test" } as const;
    return ops.map((op): OpResult => (isMeant(op.object) ? { op, refusal } : (results.shift() ?? assert.fail())));
  };
  return () => void (kernel.apply = apply);
}

describe("what is repaired", () => {
  test("what somebody changes is put right, beside a port at once, and counted, each operation once", () =>
    onScene(async (scene) => {
      const { agent } = scene.running;
      const { kernel } = scene.host;
      await scene.world.clock.advance(5_000);
      assert.equal(agent.report.driftRepaired, 0);
      const mark = [...(await kernel.observe([])).values()].find(
        ({ kind, ns }) => kind === "element" && ns === "vrf:routed",
      );
      assert(mark !== undefined);
      kernel.disturb(mark);
      await scene.world.clock.advance(200);
      assert.deepEqual([kernel.has(mark), agent.report.driftRepaired], [true, 1]);
      // In a workload's namespace it is seen when all is read.
      kernel.disturb(ADDRESS);
      await scene.world.clock.advance(31_000);
      assert.deepEqual((await scene.ports())["first-routed.eth0"], ["10.1.0.2"]);
      const { driftRepaired } = agent.report;
      assert(driftRepaired >= 2 && driftRepaired <= 4, String(driftRepaired));
      await scene.world.clock.advance(60_000);
      assert.equal(agent.report.driftRepaired, driftRepaired);
    }));

  test("what the kernel refuses is no repair, and is told with its words", () =>
    onScene(async (scene) => {
      const { agent } = scene.running;
      await scene.world.clock.advance(5_000);
      const before = agent.report;
      const restore = refusing(scene, ({ ns, kind }) => ns === "/run/netns/first-routed" && kind === "address");
      scene.host.kernel.disturb(ADDRESS);
      await scene.world.clock.advance(31_000);
      const refused = agent.report;
      assert.match(
        refused.errors.find((line) => line.includes("EBUSY")) ?? "",
        /10\.1\.0\.2\/26.*: EBUSY: a fault of the test/,
      );
      assert.equal(refused.revision, before.revision);
      await scene.write({ verb: "put", kind: "securitygroup", name: "g", spec: { rules: [] } });
      await scene.world.clock.advance(1_000);
      // It is of one workload: neither its network nor the revision wait for it.
      assert(agent.report.revision > before.revision);
      assert.deepEqual(
        [...agent.report.networks].toSorted((x, y) => (x < y ? -1 : 1)),
        ["routed", "segment"],
      );
      restore();
      await scene.world.clock.advance(40_000);
      assert.deepEqual(agent.report.errors, []);
      assert.deepEqual((await scene.ports())["first-routed.eth0"], ["10.1.0.2"]);
    }));

  test("of many refusals twenty are told; a network in whose VRF one is refused is not whole", () =>
    onScene(async (scene) => {
      for (let n = 0; n < 12; n++) scene.attach("routed", `w${n}`);
      await scene.world.clock.advance(5_000);
      const isElement = ({ ns, kind }: KernelObject) => ns === "vrf:routed" && kind === "element";
      const state = await scene.host.kernel.observe([]);
      const restore = refusing(scene, isElement);
      for (const object of state.values()) if (isElement(object)) scene.host.kernel.disturb(object);
      await scene.world.clock.advance(2_000);
      const before = scene.running.agent.report.revision;
      await scene.write({ verb: "put", kind: "securitygroup", name: "g", spec: { rules: [] } });
      await scene.world.clock.advance(1_000);
      const { report } = scene.running.agent;
      assert.equal(report.revision, before, "what is refused is not held");
      assert.equal(report.errors.length, 20);
      assert.deepEqual(report.networks, ["segment"]);
      assert.equal(report.policyFailed?.length, 13);
      restore();
      await scene.world.clock.advance(40_000);
      const whole = scene.running.agent.report;
      assert.deepEqual([whole.errors, whole.networks.length, whole.policyFailed], [[], 2, []]);
      assert.equal(whole.policyRevision, whole.revision);
      assert.equal(whole.objects, scene.running.agent.view.state.size);
    }));
});

describe("when the kernel is looked at", () => {
  test("not for a revision that says nothing of this host's kernel, which is told as reached", () =>
    onScene(async (scene) => {
      await scene.world.clock.advance(20_000);
      const looks = looksOf(scene);
      const { agent } = scene.running;
      const before = agent.report.revision;
      await scene.write({ verb: "join-network", claim: { network: "routed", workload: "nobody" } });
      assert(agent.report.revision > before);
      assert.equal(agent.report.policyRevision, agent.report.revision);
      assert.deepEqual(looks, []);
      await scene.write({
        verb: "put",
        kind: "network",
        name: "new",
        spec: { subnets: [{ cidr: "10.9.0.0/24", hostPrefix: 26 }] },
      });
      assert(looks.length >= 1);
      assert(agent.report.networks.includes("new"));
    }));

  test("whole when somebody asks, and once a period", () =>
    onScene(async (scene) => {
      await scene.world.clock.advance(20_000);
      const looks = looksOf(scene);
      scene.running.agent.rounds.pokeFull();
      await scene.world.clock.advance(100);
      assert.deepEqual(looks, [2], "both workloads were read");
      await scene.round();
      assert.deepEqual(looks, [2, 2]);
      await scene.world.clock.advance(120_000);
      const whole = looks.filter((n) => n === 2).length - 2;
      assert(whole >= 3 && whole <= 8, `${whole} in two minutes`);
    }));

  test("a start without the server waits three seconds, then acts on what was saved", () =>
    onScene(async (scene) => {
      await scene.world.clock.advance(5_000);
      scene.world.killAgent(scene.host);
      scene.world.killServer();
      scene.host.kernel.disturb({ ...ADDRESS });
      scene.world.startAgent(scene.host);
      await scene.world.clock.advance(2_900);
      assert.deepEqual((await scene.ports())["first-routed.eth0"], []);
      assert.equal(scene.running.agent.snapshots.current(), undefined);
      assert.notEqual(scene.running.agent.snapshots.known(), undefined);
      await scene.world.clock.advance(300);
      assert.deepEqual((await scene.ports())["first-routed.eth0"], ["10.1.0.2"]);
      assert.equal(scene.running.agent.snapshots.isSynced, false);
      await scene.world.startServer();
      await scene.world.clock.advance(30_000);
      assert.equal(scene.running.agent.snapshots.isSynced, true);
    }));

  test("while the server is away nothing is removed, and what is missing is put back", () =>
    onScene(async (scene) => {
      await scene.world.clock.advance(5_000);
      scene.world.killServer();
      await scene.world.clock.advance(5_000);
      const stranger = { kind: "address", ns: "/run/netns/first-routed", dev: "eth0", cidr: "10.1.0.40/26" } as const;
      await scene.host.kernel.apply([{ op: "add", object: stranger }]);
      scene.host.kernel.disturb(ADDRESS);
      await scene.world.clock.advance(5_000);
      assert.deepEqual(new Set((await scene.ports())["first-routed.eth0"]), new Set(["10.1.0.40", "10.1.0.2"]));
      await scene.world.startServer();
      await scene.world.clock.advance(60_000);
      assert.deepEqual((await scene.ports())["first-routed.eth0"], ["10.1.0.2"]);
    }));
});

describe("what is told", () => {
  test("a workload that has ended without a detach, until it is detached", () =>
    onScene(async (scene) => {
      await attached(scene, "routed");
      scene.host.kernel.removeWorkload("/run/netns/web");
      scene.host.workloads.delete("/run/netns/web");
      await scene.world.clock.advance(2_000);
      const line = "endpoint web.eth0: /run/netns/web is gone; detach it to free 10.1.0.3";
      assert.deepEqual(
        [scene.running.agent.reporter.endedWorkloads, scene.running.agent.report.conditions],
        [[line], [line]],
      );
      const gone = scene.detach(WEB);
      await scene.world.clock.advance(2_000);
      assert.deepEqual(
        [gone.state, scene.running.agent.reporter.endedWorkloads, scene.running.agent.report.conditions],
        ["done", [], []],
      );
      await scene.assertClean("detached");
    }));

  test("what members could not get, until they can", () =>
    onScene(async (scene) => {
      const { agent } = scene.running;
      agent.reporter.unjoined(["web joins b: full"]);
      assert.deepEqual(agent.report.conditions, ["web joins b: full"]);
      scene.host.kernel.disturb(ADDRESS);
      await scene.world.clock.advance(1_000);
      assert.deepEqual(agent.report.conditions, ["web joins b: full"], "rounds leave it");
      agent.reporter.unjoined([]);
      assert.deepEqual(agent.report.conditions, []);
    }));

  test("a server of another past is asked for nothing", () =>
    onScene(async (scene) => {
      const { mirror, agent } = scene.running;
      agent.snapshots.checkHistory();
      for (const reason of ["unavailable", "another-history"] as const) {
        const problem = new Fault(reason, { what: "another past", fix: "see" });
        Object.defineProperty(mirror, "problem", { configurable: true, get: () => problem });
        if (reason === "unavailable") agent.snapshots.checkHistory();
        else assert.throws(() => agent.snapshots.checkHistory(), { reason });
      }
      const web = scene.attach("segment", "web");
      const near = scene.attach("routed", "near");
      await scene.world.clock.advance(1_000);
      assert.deepEqual([web.reason, near.state], ["another-history", "done"]);
      assert.equal(await scene.hasPort(WEB), false);
    }));
});

describe("journal and server", () => {
  test("what an administrator detaches at the server is detached here", () =>
    onScene(async (scene) => {
      for (const network of ["routed", "segment"]) {
        await attached(scene, network);
        await scene.write({ verb: "detach", endpoint: WEB, by: { role: "admin" } });
        await scene.world.clock.advance(40_000);
        assert.deepEqual(
          [await scene.hasPort(WEB), scene.journal(WEB), await scene.lease(WEB)],
          [false, undefined, undefined],
        );
      }
      assert.equal(scene.running.agent.report.driftRepaired, 0);
      await scene.assertClean("detached by an administrator");
    }));

  test("what the server forgot of a local network is told again, of a global one is given up", () =>
    onScene(async (scene) => {
      await attached(scene, "routed", "near");
      await attached(scene, "segment", "wide");
      for (const endpoint of ["near.eth0", "wide.eth0"])
        await scene.write({ verb: "detach", endpoint, by: { role: "admin" }, force: true });
      await scene.world.clock.advance(40_000);
      assert.deepEqual(
        [await scene.hasPort("near.eth0"), (await scene.lease("near.eth0")) === undefined],
        [true, false],
      );
      assert.deepEqual([await scene.hasPort("wide.eth0"), scene.journal("wide.eth0")], [false, undefined]);
      await scene.assertClean("told again");
    }));

  test("whether the server is being told is known, and waited for", () =>
    onScene(async (scene) => {
      await scene.world.clock.advance(5_000);
      const { agent } = scene.running;
      assert.equal(agent.registrar.isAtRest, true);
      agent.registrar.poke();
      assert.equal(agent.registrar.isAtRest, false);
      await scene.world.clock.advance(1_000);
      assert.equal(agent.registrar.isAtRest, true);
      let isDone = false;
      void agent.registrar.now().then(() => (isDone = true));
      await settle();
      assert.equal(!agent.registrar.isAtRest || isDone, true);
      await scene.world.clock.advance(1_000);
      assert.equal(isDone, true);
    }));
});

describe("a departure", () => {
  for (const network of ["routed", "segment"])
    test(`${network}: while its link is being removed, no comparison with the server frees its address`, () =>
      onScene(async (scene) => {
        await attached(scene, network);
        const { kernel } = scene.host;
        const apply = kernel.apply.bind(kernel);
        kernel.apply = async (ops, isStale) => {
          if (ops.some(({ op, object }) => op === "remove" && object.kind === "veth" && object.name === portName(WEB)))
            await scene.world.clock.sleep(2_000);
          return apply(ops, isStale);
        };
        const gone = scene.detach(WEB);
        await scene.world.clock.advance(100);
        assert.equal(gone.state, "done");
        void scene.running.agent.registrar.now();
        await scene.world.clock.advance(1_000);
        assert.deepEqual([await scene.hasPort(WEB), scene.journal(WEB)], [true, "detaching"]);
        assert.notEqual(await scene.lease(WEB), undefined, "the server has it still");
        kernel.apply = apply;
        await scene.world.clock.advance(5_000);
        assert.deepEqual(
          [await scene.hasPort(WEB), scene.journal(WEB), await scene.lease(WEB)],
          [false, undefined, undefined],
        );
        await scene.assertClean(network);
      }));

  for (const network of ["routed", "segment"])
    test(`${network}: a journal that cannot forget is asked again soon, and nothing of it is drift`, () =>
      onScene(async (scene) => {
        await attached(scene, network);
        const { entries } = scene.host;
        Object.defineProperty(entries, "delete", {
          configurable: true,
          value: () => {
            throw new Fault("unavailable", { what: "the disk is full", fix: "make room" });
          },
        });
        scene.detach(WEB);
        await scene.world.clock.advance(500);
        assert.deepEqual([await scene.hasPort(WEB), scene.journal(WEB)], [false, "detaching"]);
        Reflect.deleteProperty(entries, "delete");
        await scene.world.clock.advance(4_000);
        assert.equal(scene.journal(WEB), undefined);
        assert.equal(scene.running.agent.report.driftRepaired, 0);
        await scene.assertClean(network);
      }));

  test("a port that is not taken down is tried again at once, and nothing of it is drift", () =>
    onScene(async (scene) => {
      for (const network of ["routed", "segment"]) {
        await attached(scene, network);
        await scene.world.clock.advance(20_000);
        scene.host.kernel.failNext(1);
        const gone = scene.detach(WEB);
        await scene.world.clock.advance(900);
        assert.deepEqual([gone.reason, await scene.hasPort(WEB)], ["kernel-refused", false], network);
        assert.equal(scene.running.agent.view.inFlight.size, 0);
        await scene.world.clock.advance(5_000);
        assert.deepEqual([scene.journal(WEB), await scene.lease(WEB)], [undefined, undefined]);
      }
      assert.equal(scene.running.agent.report.driftRepaired, 0);
      await scene.assertClean("tried again");
    }));

  const RULES = [{ direction: "in", action: "allow", protocol: "tcp", ports: [80], peer: { group: "g" } }] as const;

  test("flows that cannot be ended keep an address; those of all that leave together are ended by one look", () =>
    onScene(async (scene) => {
      await scene.write({ verb: "put", kind: "securitygroup", name: "g", spec: { rules: [...RULES] } });
      const names = ["a", "b", "c"];
      for (const name of names) await attached(scene, "routed", name, { securityGroups: ["g"] });
      await scene.world.clock.advance(40_000);
      const { kernel } = scene.host;
      const cutFlows = kernel.cutFlows.bind(kernel);
      kernel.cutFlows = () => {
        throw new Error("EINTR");
      };
      for (const name of ["a", "b"]) scene.detach(`${name}.eth0`);
      await scene.world.clock.advance(1_000);
      assert.deepEqual(
        names.map((name) => scene.journal(`${name}.eth0`)),
        ["detaching", "detaching", "attached"],
      );
      const late = scene.attach("routed", "late");
      await scene.world.clock.advance(1_000);
      assert.deepEqual(late.value?.spec.addresses, ["10.1.0.6"], "theirs are not free");
      kernel.cutFlows = cutFlows;
      await scene.world.clock.advance(60_000);
      assert.deepEqual(
        names.map((name) => scene.journal(`${name}.eth0`)),
        [undefined, undefined, "attached"],
      );
      await scene.assertClean("ended");
    }));

  test("flows of an address end before it is free, also where a round removed the port", () =>
    onScene(async (scene) => {
      await scene.write({ verb: "put", kind: "securitygroup", name: "g", spec: { rules: [...RULES] } });
      for (const network of ["routed", "segment"]) {
        for (const name of ["web", "other"]) await attached(scene, network, name, { securityGroups: ["g"] });
        await scene.world.clock.advance(40_000);
        const flows = scene.host.kernel.flows(`vrf:${network}`);
        const to = (name: string): Flow => ({
          source: "192.0.2.9",
          destination: scene.host.entries.get(name)?.endpoint.spec.addresses[0] ?? assert.fail(name),
          protocol: 6,
          destinationPort: 80,
          side: "in",
        });
        const kept = to("other.eth0");
        // Members may begin flows to members: what others' rules allow goes on.
        flows.push({ ...kept, source: to(WEB).destination }, to(WEB));
        await scene.write({ verb: "detach", endpoint: WEB, by: { role: "admin" } });
        await scene.world.clock.advance(60_000);
        assert.deepEqual([scene.journal(WEB), await scene.lease(WEB), flows], [undefined, undefined, []], network);
        // An agent that is killed right after it cut off the port.
        await attached(scene, network, "web", { securityGroups: ["g"] });
        flows.push(to(WEB));
        scene.host.kernel.stuck.add(portName(WEB));
        scene.detach(WEB);
        await scene.world.clock.advance(0);
        assert.equal(scene.journal(WEB), "detaching");
        scene.world.killAgent(scene.host);
        flows.push(to(WEB));
        scene.host.kernel.stuck.clear();
        scene.world.startAgent(scene.host);
        await scene.world.clock.advance(60_000);
        assert.deepEqual([scene.journal(WEB), flows], [undefined, []], network);
        scene.detach("other.eth0");
        await scene.world.clock.advance(5_000);
      }
      await scene.assertClean("no flows");
    }));

  test("an address that others may have, too, stays theirs; its own elements go before its link", () =>
    onScene(async (scene) => {
      await scene.write({ verb: "put", kind: "securitygroup", name: "g", spec: { rules: [...RULES] } });
      const allowed = { securityGroups: ["g"], allowedAddresses: [{ address: "10.1.0.50" }] };
      for (const name of ["a", "b"]) await attached(scene, "routed", name, allowed);
      await scene.world.clock.advance(40_000);
      const { kernel } = scene.host;
      const members = async () =>
        [...(await kernel.observe([])).values()].flatMap((one) =>
          one.kind === "element" && one.set.startsWith("members4") ? [one.key] : [],
        );
      const marks = async () =>
        [...(await kernel.observe([])).values()].filter(
          (one) => one.kind === "element" && one.key.startsWith(portName("a.eth0")),
        ).length;
      assert.deepEqual(new Set(await members()), new Set(["10.1.0.3", "10.1.0.4", "10.1.0.50"]));
      assert((await marks()) >= 4, String(await marks()));
      kernel.stuck.add(portName("a.eth0"));
      scene.detach("a.eth0");
      await scene.world.clock.advance(10);
      assert.deepEqual(new Set(await members()), new Set(["10.1.0.4", "10.1.0.50"]));
      kernel.stuck.clear();
      await scene.world.clock.advance(40_000);
      assert.deepEqual([await marks(), scene.journal("a.eth0")], [0, undefined]);
      assert.deepEqual(new Set(await members()), new Set(["10.1.0.4", "10.1.0.50"]));
      assert.equal(scene.running.agent.report.driftRepaired, 0);
      await scene.assertClean("shared");
    }));
});

describe("members of a network", () => {
  test("join as soon as their workload is attached, and again as soon as they have left", () =>
    onScene(async (scene) => {
      await scene.write({ verb: "join-network", claim: { network: "segment", workload: "w" } });
      await scene.write({ verb: "join-network", claim: { network: "routed", workload: "v" } });
      for (const [network, workload, owner] of [
        ["routed", "w", "web"],
        ["segment", "v", "db"],
      ] as const) {
        const state = () => scene.journal(`${owner}.eth1`);
        const within = async (ms: number, isSo: () => boolean) => {
          for (let n = 0; n < ms && !isSo(); n++) await scene.world.clock.advance(1);
          assert(isSo(), `${network}: not within ${ms} ms`);
        };
        const first = scene.attach(network, owner, { workload });
        await within(500, () => first.state === "done");
        await within(40, () => state() === "attached");
        await scene.world.clock.advance(20_000);
        scene.detach(`${owner}.eth1`);
        await within(500, () => state() === undefined);
        await within(40, () => state() === "attached");
      }
      await scene.assertClean("joined again");
    }));
});
