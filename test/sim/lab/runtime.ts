// A container runtime on one simulated host: sends what the CNI shim sends to a real agent, over a kernel
// in memory and a real control plane, and looks at what is in that kernel and on the disk of the host.
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { memoryJournal } from "../../../src/agent/journal/journal.ts";
import { compile } from "../../../src/datapath/compile.ts";
import type { KernelObject } from "../../../src/datapath/kinds.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { cniRoute } from "../../../src/doors/cni/cni.ts";
import { CODES, type Code } from "../../../src/doors/cni/refusal.ts";
import { FakeKernel } from "../../../src/kernel/fake.ts";
import { randomFrom } from "./clock.ts";
import type { Host } from "./host.ts";
import { World } from "./world.ts";

/** What an agent answered, looked into without types. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Json = any;
export type Container = { readonly id: string; readonly netns: string };
type Told = { readonly status: number; readonly body: string; readonly json: Json };
export type More = { readonly env?: Readonly<Record<string, string>>; readonly config?: object };
export const HOSTS_OWN = "/run/netns/host";
export const VRFS_OWN = "/run/netns/weft-local";

/** Whose namespaces these two are it knows from memory. */
class HostKernel extends FakeKernel {
  override ownNetns(id: string): Ns | undefined {
    if (id === this.netnsId(HOSTS_OWN)) return "host";
    return id === this.netnsId(VRFS_OWN) ? "vrf:local" : super.ownNetns(id);
  }
}

export class Runtime {
  readonly world = new World(randomFrom(1));
  readonly host: Host;
  readonly logged: string[] = [];
  #count = 0;

  constructor(t: TestContext) {
    this.host = this.world.addHost("h1");
    const addresses = new Map([[this.host.underlay, 1500]]);
    this.host.kernel = new HostKernel({ addresses, facts: { prefixes: [], bootId: "boot-1" } });
    for (const netns of [HOSTS_OWN, VRFS_OWN] as const) this.host.kernel.addWorkload(netns);
    t.after(async () => {
      this.world.killAgent(this.host);
      this.world.killServer();
      await this.world.clock.advance(60_000);
    });
  }

  async open(): Promise<void> {
    await this.world.startServer();
    this.world.startAgent(this.host);
    await this.world.clock.advance(2_000);
    await this.put("local", { ipam: "local", subnets: [{ cidr: "10.93.0.0/16", hostPrefix: 24 }] });
    await this.put("global", { ipam: "global", subnets: [{ cidr: "10.94.0.0/16" }] });
  }

  async put(name: string, spec: object): Promise<void> {
    const write = { verb: "put", kind: "network", name, spec } as const;
    await this.within(this.world.control?.write(write) ?? assert.fail());
    await this.world.clock.advance(2_000);
  }

  /** The outcome, while time goes on. */
  async within<T>(promise: Promise<T>): Promise<T> {
    let isOver = false;
    const over = () => void (isOver = true);
    promise.then(over, over);
    for (let turn = 0; !isOver && turn < 2_000; turn++) await this.world.clock.advance(10);
    assert(isOver, "nothing came of it in 20 s");
    return promise;
  }

  container(): Container & { readonly netns: `/run/netns/${string}` } {
    const id = `c${++this.#count}`;
    const netns = `/run/netns/${id}` as const;
    this.host.kernel.addWorkload(netns);
    this.host.workloads.add(netns);
    return { id, netns };
  }

  /** The bytes go in as the shim sends them. */
  async send(env: Readonly<Record<string, string>>, input: string): Promise<Told> {
    const { host } = this;
    const { agent, attacher } = host.running ?? assert.fail();
    const { inspection, snapshots, rounds } = agent;
    const journal = memoryJournal(host.entries, host.freed);
    const log = (message: string, fields = {}) => void this.logged.push(`${message} ${JSON.stringify(fields)}`);
    const own = { host: "h1", journal, kernel: host.kernel, clock: this.world.clock, log };
    const report = () => agent.report;
    const route = cniRoute({ attacher, inspection, snapshots, rounds, report, ...own });
    assert.deepEqual([route.method, route.path], ["POST", "/v1/cni"]);
    const pairs = Object.entries(env).map(([key, value]) => `${key}=${value}\0`);
    const { status, body } = await this.within(
      Promise.resolve(route.answer(Buffer.from(`${pairs.join("")}\0${input}`))),
    );
    return { status, body, json: body === "" ? undefined : JSON.parse(body) };
  }

  ask(command: string, { id, netns }: Container, more: More = {}) {
    const env = { CNI_COMMAND: command, CNI_CONTAINERID: id, CNI_NETNS: netns, CNI_IFNAME: "eth0", ...more.env };
    const config = { cniVersion: "1.1.0", name: "lan", type: "weft", network: "local", ...more.config };
    return this.send(env, JSON.stringify(config));
  }

  async done(command: string, place: Container, more: More = {}): Promise<Json> {
    const told = await this.ask(command, place, more);
    assert.equal(told.status, 200, `${command}: ${told.body}`);
    if (command !== "ADD") assert.equal(told.body, "");
    return told.json;
  }

  async refused(code: Code, command: string, place: Container, more: More = {}): Promise<string> {
    const told = await this.ask(command, place, more);
    assert.equal(told.status, 500, `${command}: ${told.body}`);
    assert.equal(told.json.code, CODES[code], told.body);
    return `${told.json.msg}; ${told.json.details ?? ""}`;
  }

  /** Attached endpoints, as the host's disk has them. */
  async attached(): Promise<string[]> {
    await this.world.clock.advance(1_000);
    return [...this.host.entries.keys()].sort();
  }

  /** The objects of this host that should be in its kernel now. */
  async objects(): Promise<KernelObject[]> {
    const snapshot = await (this.world.control ?? assert.fail()).snapshot({ role: "admin" });
    return [...compile(snapshot, "h1").values()];
  }
}
