// One host and its server without randomness: what an attach or a detach leaves when one of its steps fails. Results
// are checked in the kernel's ports, the journal and the server's leases.
import assert from "node:assert/strict";
import type { Write } from "../../../src/control/write.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import type { Endpoint } from "../../../src/model/resource.ts";
import type { AttachRequest, Attachment } from "../../../src/model/status.ts";
import type { Host } from "./host.ts";
import { World } from "./world.ts";

const ADMIN = { role: "admin" } as const;

/** A promise that a test lets time pass for. `state` says what became of it until now. */
export type Asked<T> = {
  state: "pending" | "done" | "refused";
  value: T | undefined;
  reason: Reason | undefined;
};

export class Scene {
  readonly world: World;
  readonly host: Host;

  private constructor(world: World, host: Host) {
    this.world = world;
    this.host = host;
  }

  /**
   * With the networks `routed` (local) and `segment` (global), each with an endpoint, so that their bridges are there.
   */
  static async open(): Promise<Scene> {
    const world = new World(() => 0);
    await world.startServer();
    const host = world.addHost("h1");
    world.startAgent(host);
    await world.clock.advance(2_000);
    const scene = new Scene(world, host);
    await scene.write({
      verb: "put",
      kind: "network",
      name: "routed",
      spec: { subnets: [{ cidr: "10.1.0.0/24", hostPrefix: 26 }] },
    });
    await scene.write({ verb: "put", kind: "network", name: "segment", spec: { subnets: [{ cidr: "10.2.0.0/24" }] } });
    for (const network of ["routed", "segment"]) {
      const asked = scene.attach(network, `first-${network}`);
      await world.clock.advance(5_000);
      assert.equal(asked.state, "done", String(asked.reason));
    }
    return scene;
  }

  async close(): Promise<void> {
    this.world.killAgent(this.host);
    this.world.killServer();
    await this.world.clock.advance(60_000);
  }

  get running(): NonNullable<Host["running"]> {
    return this.host.running ?? assert.fail("no agent runs");
  }

  async write(write: Exclude<Write, { readonly verb: "join" }>): Promise<void> {
    const done = this.world.control?.write(write);
    await this.world.clock.advance(1_000);
    await done;
  }

  /** Asks, and does not wait. The workload is made if it is not there. */
  attach(network: string, workload: string, more: Partial<AttachRequest> = {}): Asked<Attachment> {
    const netns = `/run/netns/${workload}` as const;
    if (!this.host.workloads.has(netns)) this.host.kernel.addWorkload(netns);
    this.host.workloads.add(netns);
    return asked(this.running.attacher.attach({ network, netns, ...more }));
  }

  detach(name: string): Asked<void> {
    return asked(this.running.attacher.detach(name));
  }

  /** Endpoints whose port is in the kernel, with the addresses at the workload's end. */
  async ports(): Promise<Record<string, readonly string[]>> {
    const ports = await this.host.kernel.ports();
    return Object.fromEntries(ports.map(({ endpoint, far }) => [endpoint, far?.addresses ?? []]));
  }

  async hasPort(name: string): Promise<boolean> {
    return name in (await this.ports());
  }

  journal(name: string): "attached" | "detaching" | undefined {
    return this.host.entries.get(name)?.state;
  }

  async lease(name: string): Promise<Endpoint | undefined> {
    return this.world.control?.find("endpoint", name, ADMIN);
  }

  /** Ways out in a workload's namespace: gateways of its default routes. */
  async waysOut(workload: string): Promise<readonly string[]> {
    const state = await this.host.kernel.observe([`/run/netns/${workload}`]);
    return [...state.values()].flatMap((object) =>
      object.kind === "route" && object.ns === `/run/netns/${workload}` && object.dst === "0.0.0.0/0"
        ? [object.dev]
        : [],
    );
  }

  /** The disk of the server takes nothing until the returned function is called. */
  holdDisk(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.world.disk = promise;
    return () => {
      this.world.disk = Promise.resolve();
      resolve();
    };
  }

  /** A look at the kernel and all that follows, as often as it takes; no time passes for anybody else. */
  async round(): Promise<void> {
    const round = asked(this.running.agent.rounds.now());
    for (let ms = 0; round.state === "pending" && ms < 1_000; ms++) await this.world.clock.advance(1);
    assert.equal(round.state, "done");
  }

  /** Nothing is left over, neither in the kernel nor in anybody's memory, and a later agent finds nothing to do. */
  async assertClean(label: string): Promise<void> {
    await this.world.clock.advance(150_000);
    const { agent } = this.running;
    assert.deepEqual(
      [agent.view.unreconciled.size, agent.view.inFlight.size],
      [0, 0],
      `${label}: in the agent's memory`,
    );
    await this.world.assertConverged(label);
    const seen = await this.host.kernel.observe([...this.host.workloads] as Ns[]);
    assert.deepEqual([...agent.view.state.keys()].sort(), [...seen.keys()].sort(), `${label}: held and there`);
    this.world.killAgent(this.host);
    this.world.startAgent(this.host);
    await this.world.clock.advance(10_000);
    assert.equal(this.running.agent.report.driftRepaired, 0, label);
    await this.world.assertConverged(`${label}, after a restart`);
  }
}

function asked<T>(promise: Promise<T>): Asked<T> {
  const result: Asked<T> = { state: "pending", value: undefined, reason: undefined };
  promise.then(
    (value) => Object.assign(result, { state: "done", value }),
    (error: unknown) =>
      Object.assign(result, { state: "refused", reason: error instanceof Fault ? error.reason : String(error) }),
  );
  return result;
}

/** Runs `play` on a new scene, and ends it whatever happens. */
export async function onScene(play: (scene: Scene) => Promise<void>): Promise<void> {
  const scene = await Scene.open();
  try {
    await play(scene);
  } finally {
    await scene.close();
  }
}
