// What attaches and detaches answer, and what stands then: in the kernel, the journal, and at the server. On one host
// with its server, in memory.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { onScene, type Scene } from "../../../sim/lab/scene.ts";
import { portName } from "../../../../src/datapath/state/names.ts";
import type { KernelObject } from "../../../../src/datapath/kinds.ts";
import type { Op } from "../../../../src/datapath/state/state.ts";
import type { OpResult, Refusal } from "../../../../src/kernel/kernel.ts";
import { Fault } from "../../../../src/model/fault.ts";
import type { Attachment, AttachRequest } from "../../../../src/model/status.ts";
import type { Attacher } from "../../../../src/agent/endpoint/attach.ts";
import type { Entry } from "../../../../src/agent/journal/journal.ts";

type By = Parameters<Attacher["attach"]>[1];
type Answer<T> = { readonly value: T } | { readonly reason: string; readonly message: string };
const NETWORKS = ["routed", "segment"] as const;

/** Lets time pass until there is an answer, a millisecond at a time. */
async function answered<T>(scene: Scene, promise: Promise<T>, forMs = 5_000): Promise<Answer<T>> {
  let answer: Answer<T> | undefined;
  promise.then(
    (value) => (answer = { value }),
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      answer = { reason: error instanceof Fault ? error.reason : "not a fault", message };
    },
  );
  for (let ms = 0; answer === undefined && ms < forMs; ms++) await scene.world.clock.advance(1);
  return answer ?? assert.fail("no answer");
}

function workload(scene: Scene, name: string): `/${string}` {
  const netns = `/run/netns/${name}` as const;
  if (!scene.host.workloads.has(netns)) scene.host.kernel.addWorkload(netns);
  scene.host.workloads.add(netns);
  return netns;
}

function attach(
  scene: Scene,
  network: string,
  name: string,
  { by, ...more }: Partial<AttachRequest> & { readonly by?: By } = {},
) {
  const netns = workload(scene, name);
  const request = { network, netns, ...more };
  const { attacher } = scene.running;
  return answered(scene, by === undefined ? attacher.attach(request) : attacher.attach(request, by));
}

const valueOf = <T>(answer: Answer<T>): T => ("value" in answer ? answer.value : assert.fail(JSON.stringify(answer)));
const reasonOf = (answer: Answer<unknown>): string => ("reason" in answer ? answer.reason : "it was granted");
const detach = (scene: Scene, name: string) => answered(scene, scene.running.attacher.detach(name));
const entryOf = (scene: Scene, name: string): Entry => scene.host.entries.get(name) ?? assert.fail(name);

/** Operations on these objects are refused, as often as it says. */
function refuse(scene: Scene, isMeant: (object: KernelObject) => boolean, refusal: Refusal, times = 1) {
  const { kernel } = scene.host;
  const apply = kernel.apply.bind(kernel);
  let left = times;
  kernel.apply = async (ops: readonly Op[], isStale) => {
    const refused = new Set(ops.filter((op) => op.op !== "remove" && isMeant(op.object) && left-- > 0));
    const results = await apply(
      ops.filter((op) => !refused.has(op)),
      isStale,
    );
    return ops.map((op): OpResult => (refused.has(op) ? { op, refusal } : (results.shift() ?? assert.fail())));
  };
  return () => void (kernel.apply = apply);
}

describe("what is asked", () => {
  test("an endpoint is named after its namespace and eth0, unless it is said", () =>
    onScene(async (scene) => {
      for (const network of NETWORKS) {
        assert.equal(valueOf(await attach(scene, network, `a-${network}`)).endpoint, `a-${network}.eth0`);
        const named = await attach(scene, network, `b-${network}`, { owner: `own-${network}`, ifname: "net7" });
        assert.equal(valueOf(named).endpoint, `own-${network}.net7`);
        assert.deepEqual(scene.host.kernel.linkNames(`/run/netns/b-${network}`), ["lo", "net7"]);
      }
      await scene.assertClean("named");
    }));

  test("all that was wished is in the journal and at the server, and what was not is not", () =>
    onScene(async (scene) => {
      await scene.write({ verb: "put", kind: "securitygroup", name: "g", spec: { rules: [] } });
      const wish = {
        workload: "w",
        tenant: "t",
        securityGroups: ["g"],
        qos: { inbound: { average: 8_000_000 } },
        mac: "02:00:00:00:00:aa",
        defaultRoute: true,
      } as const;
      for (const network of NETWORKS) {
        const address = network === "routed" ? "10.1.0.20" : "10.2.0.20";
        const asked = { ...wish, addresses: [address] };
        const { spec } = valueOf(await attach(scene, network, network, { by: { joined: true }, ...asked }));
        const expected = {
          ...asked,
          network,
          host: "h1",
          owner: network,
          ifname: "eth0",
          netns: `/run/netns/${network}`,
        };
        const { slice: _, ...rest } = spec;
        assert.deepEqual(rest, { ...expected, joined: true });
        const entry = entryOf(scene, `${network}.eth0`);
        assert.deepEqual([entry.endpoint.spec, entry.state], [spec, "attached"]);
        assert.equal(entry.netnsId, scene.host.kernel.netnsId(`/run/netns/${network}`));
        assert.equal(entry.bootId, scene.host.bootId);
        assert.equal(
          entry.networkUid,
          scene.running.agent.snapshots.known()?.networks.find(({ name }) => name === network)?.uid,
        );
        await scene.world.clock.advance(1_000);
        assert.deepEqual((await scene.lease(`${network}.eth0`))?.spec, spec, "the server knows within a second");
        const plain = valueOf(await attach(scene, network, `plain-${network}`)).spec;
        for (const key of Object.keys(wish)) if (key !== "mac") assert(!(key in plain), key);
      }
    }));

  test("refusals leave nothing: namespaces, groups, networks, hosts and addresses that cannot be", () =>
    onScene(async (scene) => {
      await scene.write({
        verb: "put",
        kind: "network",
        name: "shut",
        spec: { subnets: [{ cidr: "10.9.0.0/24", hostPrefix: 26 }], enabled: false },
      });
      const { kernel } = scene.host;
      const own = kernel.netnsId.bind(kernel);
      kernel.netnsId = (path) => (path === "/proc/1/ns/net" ? "fake:1" : own(path));
      const cases: readonly (readonly [string, Partial<AttachRequest>])[] = [
        ["netns-missing", { netns: "/run/netns/nowhere" }],
        ["netns-missing", { netns: "relative", owner: "web" }],
        ["netns-reserved", { netns: "/proc/1/ns/net" }],
        ["group-unknown", { securityGroups: ["nope"] }],
        ["network-unknown", { network: "nope" }],
        ["network-disabled", { network: "shut" }],
        ["address-taken", { addresses: ["10.1.0.1"] }],
        ["address-outside", { addresses: ["10.77.0.1"] }],
        ["qos-invalid", { qos: { inbound: { average: "fast" } } as unknown as AttachRequest["qos"] & object }],
      ];
      const before = [...scene.host.entries.keys()];
      for (const [reason, more] of cases) {
        assert.equal(reasonOf(await attach(scene, "routed", "web", more)), reason, JSON.stringify(more));
        assert.deepEqual([...scene.host.entries.keys()], before);
        assert.equal(scene.running.agent.view.inFlight.size, 0);
      }
      assert.throws(() => scene.running.attacher.attach({ network: "routed", netns: "/run/netns/web", owner: "a b" }), {
        reason: "name-invalid",
      });
      assert.throws(() => scene.running.attacher.attach({ network: "routed", netns: "/run/netns/web", ifname: "a/b" }));
      valueOf(await attach(scene, "routed", "web"));
      await scene.assertClean("refused");
    }));

  test("a host that is drained takes no endpoint until it is resumed; one that has ended takes none", () =>
    onScene(async (scene) => {
      await scene.write({ verb: "drain", host: "h1", drained: true });
      for (const network of NETWORKS) assert.equal(reasonOf(await attach(scene, network, "late")), "host-drained");
      await scene.write({ verb: "drain", host: "h1", drained: false });
      valueOf(await attach(scene, "routed", "late"));
      scene.running.blockLease.end(new Fault("host-deleted", { what: "deleted", fix: "join" }));
      for (const network of NETWORKS) assert.equal(reasonOf(await attach(scene, network, "web")), "host-deleted");
      assert.deepEqual(scene.running.agent.view.inFlight.size, 0);
    }));
});

describe("an attach that is repeated", () => {
  test("is answered the same, if it asks for nothing else", () =>
    onScene(async (scene) => {
      for (const network of NETWORKS) {
        const first = valueOf(await attach(scene, network, network, { workload: "w" }));
        const entry = scene.host.entries.get(`${network}.eth0`);
        const same: readonly Partial<AttachRequest>[] = [
          {},
          { workload: "w" },
          { addresses: first.spec.addresses },
          { addresses: [] },
          { mac: first.spec.mac.toUpperCase() },
          { owner: network, ifname: "eth0" },
        ];
        for (const more of same)
          assert.deepEqual(valueOf(await attach(scene, network, network, more)), first, JSON.stringify(more));
        assert.equal(scene.host.entries.get(`${network}.eth0`), entry, "nothing was written");
        const other: readonly Partial<AttachRequest>[] = [
          { workload: "x" },
          { addresses: ["10.1.0.30"] },
          { addresses: [...first.spec.addresses, "10.1.0.30"] },
          { mac: "02:00:00:00:00:99" },
          { network: network === "routed" ? "segment" : "routed" },
          { netns: workload(scene, `elsewhere-${network}`), owner: network },
        ];
        for (const more of other)
          assert.equal(reasonOf(await attach(scene, network, network, more)), "name-taken", JSON.stringify(more));
        assert.equal(reasonOf(await attach(scene, network, network, { mac: "x" })), "address-invalid");
      }
      await scene.assertClean("again");
    }));

  test("is a CNI configuration's from the first that says so, and no other's", () =>
    onScene(async (scene) => {
      valueOf(await attach(scene, "routed", "web"));
      assert.equal(entryOf(scene, "web.eth0").cni, undefined);
      valueOf(await attach(scene, "routed", "web", { by: { cni: "one" } }));
      assert.equal(entryOf(scene, "web.eth0").cni, "one");
      valueOf(await attach(scene, "routed", "web", { by: { cni: "one" } }));
      valueOf(await attach(scene, "routed", "web"));
      assert.equal(reasonOf(await attach(scene, "routed", "web", { by: { cni: "two" } })), "name-taken");
      assert.equal(entryOf(scene, "web.eth0").cni, "one");
      valueOf(await attach(scene, "segment", "db", { by: { cni: "two" } }));
      assert.equal(entryOf(scene, "db.eth0").cni, "two");
      assert.equal(entryOf(scene, "db.eth0").endpoint.spec.joined, undefined);
      await scene.assertClean("cni");
    }));

  test("brings back an interface that somebody took away, and touches none that is there", () =>
    onScene(async (scene) => {
      for (const network of NETWORKS) {
        const first = valueOf(await attach(scene, network, network));
        const name = portName(`${network}.eth0`);
        const port = async () =>
          [...(await scene.host.kernel.observe([`/run/netns/${network}`])).values()].find(
            (one) => one.kind === "veth" && one.name === name,
          );
        const before = await port();
        valueOf(await attach(scene, network, network));
        assert.deepEqual(await port(), before);
        scene.host.kernel.disturb(before ?? assert.fail());
        assert.deepEqual(valueOf(await attach(scene, network, network)), first);
        assert.deepEqual(await port(), before);
      }
      await scene.assertClean("brought back");
    }));

  test("waits for what a round is putting back: an answer means that all of the endpoint is there", () =>
    onScene(async (scene) => {
      const { kernel } = scene.host;
      for (const network of NETWORKS) {
        // An agent that is killed when its journal has the endpoint and the kernel has no more than the pair.
        const first = valueOf(await attach(scene, network, network));
        scene.world.killAgent(scene.host);
        const isHalf = (object: KernelObject) => object.kind === "address" && object.ns === `/run/netns/${network}`;
        for (const one of (await kernel.observe([`/run/netns/${network}`])).values())
          if (isHalf(one)) kernel.disturb(one);
        const apply = kernel.apply.bind(kernel);
        const gate = Promise.withResolvers<void>();
        let isApplying = false;
        kernel.apply = async (ops, isStale) => {
          isApplying ||= ops.some(({ object }) => isHalf(object));
          if (isApplying) await gate.promise;
          return apply(ops, isStale);
        };
        scene.world.startAgent(scene.host);
        for (let ms = 0; !isApplying && ms < 60_000; ms += 10) await scene.world.clock.advance(10);
        assert(isApplying, "a round puts it back");
        const again = scene.running.attacher.attach({ network, netns: `/run/netns/${network}` });
        const isAnswered = await Promise.race([
          again.then(() => true),
          scene.world.clock.advance(50).then(() => false),
        ]);
        assert.equal(isAnswered, false, network);
        kernel.apply = apply;
        gate.resolve();
        assert.deepEqual(valueOf(await answered(scene, again)), first);
        assert.deepEqual((await scene.ports())[`${network}.eth0`], first.spec.addresses, network);
      }
      await scene.assertClean("waited");
    }));
});

describe("interfaces of one workload", () => {
  test("the first by name is the way out, unless it comes when another is", () =>
    onScene(async (scene) => {
      const said = async (network: string, ifname: string, more: Partial<AttachRequest> = {}) =>
        valueOf(await attach(scene, network, "web", { ifname, ...more })).spec.defaultRoute;
      assert.equal(await said("routed", "eth1"), undefined);
      assert.deepEqual(await scene.waysOut("web"), ["eth1"]);
      assert.equal(await said("segment", "eth0"), false, "eth1 stays the way out");
      assert.deepEqual(await scene.waysOut("web"), ["eth1"]);
      assert.equal(await said("segment", "eth2"), undefined, "it comes after");
      assert.deepEqual(await scene.waysOut("web"), ["eth1"]);
      await detach(scene, "web.eth1");
      assert.deepEqual(await scene.waysOut("web"), ["eth2"]);
      assert.equal(await said("routed", "eth1"), false);
      assert.equal(await said("routed", "dev0", { defaultRoute: true }), true, "it is said");
      const other = valueOf(await attach(scene, "routed", "other", { ifname: "a0" }));
      assert.equal(other.spec.defaultRoute, undefined, "another workload's matters not");
      await scene.assertClean("ways out");
    }));

  test("one that was not to be the way out leaves it to the next", () =>
    onScene(async (scene) => {
      const said = async (ifname: string, more: Partial<AttachRequest> = {}) =>
        valueOf(await attach(scene, "routed", "web", { ifname, ...more })).spec.defaultRoute;
      assert.equal(await said("eth1", { defaultRoute: false }), false);
      assert.equal(await said("eth0"), undefined);
      assert.deepEqual(await scene.waysOut("web"), ["eth0"]);
      assert.equal(await said("eth2"), undefined);
      assert.deepEqual(await scene.waysOut("web"), ["eth0"]);
      await detach(scene, "web.eth0");
      assert.deepEqual(await scene.waysOut("web"), ["eth2"]);
      await scene.assertClean("left to the next");
    }));

  test("what is answered is what a round finds, also of a second interface", () =>
    onScene(async (scene) => {
      valueOf(await attach(scene, "routed", "web", { ifname: "eth0" }));
      for (const [ifname, network] of [
        ["eth1", "segment"],
        ["eth2", "routed"],
      ] as const) {
        const told = valueOf(await attach(scene, network, "web", { ifname }));
        const { attachment, objects } = scene.running.agent.inspection.shown(entryOf(scene, `web.${ifname}`).endpoint);
        assert.deepEqual(attachment, told);
        for (const object of objects) assert(scene.host.kernel.has(object), JSON.stringify(object));
        assert(objects.length > 5);
      }
      assert.deepEqual(
        scene.running.agent.inspection
          .list()
          .filter(({ spec }) => spec.owner === "web")
          .map(({ endpoint }) => endpoint),
        ["web.eth0", "web.eth1", "web.eth2"],
      );
    }));
});

describe("a kernel that says no", () => {
  const isPort = (name: string) => (object: KernelObject) => object.kind === "veth" && object.name === portName(name);
  const hangsOn = (object: KernelObject) => object.kind === "route" && object.ns.startsWith("/");

  test("to the port for good: the attach is refused in its words, and nothing stays", () =>
    onScene(async (scene) => {
      for (const network of NETWORKS) {
        const restore = refuse(scene, isPort("web.eth0"), { class: "invalid", message: "EINVAL: nonsense" }, 99);
        const answer = await attach(scene, network, "web");
        assert.equal(reasonOf(answer), "kernel-refused");
        assert.match("message" in answer ? answer.message : "", /EINVAL: nonsense/);
        restore();
        await scene.world.clock.advance(2_000);
        assert.deepEqual([scene.journal("web.eth0"), await scene.hasPort("web.eth0")], [undefined, false], network);
        assert.equal(await scene.lease("web.eth0"), undefined);
        assert.equal(scene.running.agent.view.inFlight.size, 0);
      }
      await scene.assertClean("refused for good");
    }));

  test("once, because its view was old: rounds make the endpoint, and it is attached", () =>
    onScene(async (scene) => {
      for (const network of NETWORKS)
        for (const kind of ["missing", "exists", "busy"] as const) {
          const name = `${network}-${kind}`;
          const isMeant = network === "routed" ? isPort(`${name}.eth0`) : hangsOn;
          const restore = refuse(scene, isMeant, { class: kind, message: `E: ${kind}` });
          const answer = await attach(scene, network, name);
          restore();
          if (kind === "busy" && network === "routed") assert.equal(reasonOf(answer), "kernel-refused", name);
          else if (kind !== "busy") {
            assert.deepEqual((await scene.ports())[`${name}.eth0`], valueOf(answer).spec.addresses, name);
            assert.deepEqual(await scene.waysOut(name), ["eth0"], name);
          }
        }
      await scene.assertClean("once");
    }));

  test("because the name is taken in the workload: that is what is told", () =>
    onScene(async (scene) => {
      for (const network of NETWORKS) {
        const netns = workload(scene, network);
        scene.host.kernel.plant({
          kind: "ifb",
          ns: netns,
          name: "eth0",
          mtu: 1500,
          mac: "02:00:00:00:00:77",
          alias: "",
        });
        assert.equal(reasonOf(await attach(scene, network, network)), "interface-taken");
        await scene.world.clock.advance(2_000);
        assert.deepEqual(
          [scene.journal(`${network}.eth0`), await scene.lease(`${network}.eth0`)],
          [undefined, undefined],
        );
        assert.deepEqual(scene.host.kernel.linkNames(netns), ["lo", "eth0"], "it is somebody else's");
        assert.equal(valueOf(await attach(scene, network, network, { ifname: "eth1" })).endpoint, `${network}.eth1`);
      }
    }));

  test("because the workload went away meanwhile: that is what is told", () =>
    onScene(async (scene) => {
      const { kernel } = scene.host;
      const apply = kernel.apply.bind(kernel);
      kernel.apply = (ops, isStale) => {
        if (ops.some(({ op, object }) => op === "add" && isPort("web.eth0")(object)))
          kernel.removeWorkload("/run/netns/web");
        return apply(ops, isStale);
      };
      assert.equal(reasonOf(await attach(scene, "routed", "web")), "netns-missing");
      kernel.apply = apply;
      scene.host.workloads.delete("/run/netns/web");
      await scene.world.clock.advance(2_000);
      assert.equal(scene.journal("web.eth0"), undefined);
      await scene.assertClean("went away");
    }));
});

describe("what leaves", () => {
  test("is detached if it is what is meant, and nothing else of the name", () =>
    onScene(async (scene) => {
      valueOf(await attach(scene, "routed", "web", { by: { cni: "one" } }));
      const { attacher } = scene.running;
      const isOf = (cni: string) => (entry: Entry) => entry.cni === cni;
      valueOf(await answered(scene, attacher.detach("web.eth0", isOf("two"))));
      assert.equal(scene.journal("web.eth0"), "attached");
      valueOf(await answered(scene, attacher.detach("web.eth0", isOf("one"))));
      assert.notEqual(scene.journal("web.eth0"), "attached");
      valueOf(
        await answered(
          scene,
          attacher.detach("nobody.eth0", () => assert.fail("there is nothing to judge")),
        ),
      );
      await scene.assertClean("meant");
    }));

  test("in turn with attaches of its name, whatever becomes of the one before", () =>
    onScene(async (scene) => {
      const netns = workload(scene, "web");
      const { attacher } = scene.running;
      const request = { network: "routed", netns };
      const all = [
        attacher.attach({ ...request, network: "nope" }),
        attacher.attach(request),
        attacher.detach("web.eth0"),
        attacher.attach(request),
        attacher.detach("web.eth0"),
      ] as const;
      const told = await Promise.all(all.map((one) => answered<Attachment | void>(scene, one)));
      assert.deepEqual(
        told.map((one) => ("reason" in one ? one.reason : "done")),
        ["network-unknown", "done", "done", "done", "done"],
      );
      await scene.world.clock.advance(5_000);
      assert.deepEqual([scene.journal("web.eth0"), await scene.lease("web.eth0")], [undefined, undefined]);
      await scene.assertClean("in turn");
    }));

  test("and comes again at once has the address that it had", () =>
    onScene(async (scene) => {
      const first = valueOf(await attach(scene, "routed", "web"));
      await detach(scene, "web.eth0");
      await scene.world.clock.advance(1_000);
      const other = valueOf(await attach(scene, "routed", "other"));
      assert.notDeepEqual(other.spec.addresses, first.spec.addresses, "it rests");
      assert.deepEqual(valueOf(await attach(scene, "routed", "web")).spec.addresses, first.spec.addresses);
      await scene.assertClean("again");
    }));
});

describe("what is told of what is attached", () => {
  test("also of a network that is not known any more, and not of what is leaving", () =>
    onScene(async (scene) => {
      const web = valueOf(await attach(scene, "routed", "web"));
      const { inspection } = scene.running.agent;
      const names = () => inspection.list().map(({ endpoint }) => endpoint);
      assert.deepEqual(names(), ["first-routed.eth0", "first-segment.eth0", "web.eth0"]);
      assert.deepEqual(inspection.list().at(-1), web);
      const entry = entryOf(scene, "web.eth0");
      scene.host.entries.set("web.eth0", { ...entry, state: "detaching" });
      assert.deepEqual(names(), ["first-routed.eth0", "first-segment.eth0"]);
      const spec = { ...entry.endpoint.spec, network: "gone" };
      scene.host.entries.set("web.eth0", { ...entry, endpoint: { ...entry.endpoint, spec } });
      const unknown = inspection.list().at(-1);
      assert.deepEqual(unknown, {
        endpoint: "web.eth0",
        spec,
        mtu: 0,
        routes: [],
        interfaceAddresses: [],
        gateways: [],
        dns: [],
      });
      scene.host.entries.set("web.eth0", entry);
    }));

  test("counters of every endpoint, queues of those that are limited", () =>
    onScene(async (scene) => {
      valueOf(await attach(scene, "routed", "web", { qos: { inbound: { average: 8_000_000 } } }));
      const { inspection } = scene.running.agent;
      const none = { sentPackets: 0, sentBytes: 0, receivedPackets: 0, receivedBytes: 0, drops: {} };
      assert.deepEqual(
        new Set(inspection.counters().map(({ endpoint, ...rest }) => [endpoint, JSON.stringify(rest)].join())),
        new Set(
          ["first-routed.eth0", "first-segment.eth0", "web.eth0"].map((name) => `${name},${JSON.stringify(none)}`),
        ),
      );
      assert.deepEqual(
        inspection.queues().map(({ endpoint, direction }) => `${endpoint} ${direction}`),
        ["web.eth0 inbound"],
      );
    }));
});
