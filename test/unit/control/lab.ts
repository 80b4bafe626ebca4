// For tests: a control plane over a store in memory, with a clock that stands still and names that count up; mirrors
// that follow it; and a view as plain data, so that two of them can be compared.
import assert from "node:assert/strict";
import { Fault, type Reason } from "../../../src/model/fault.ts";
import type { EndpointClaim, HostClaim, NetworkInput } from "../../../src/model/input.ts";
import type { Change, ChangeSet, Endpoint, Network, Resource, Snapshot } from "../../../src/model/resource.ts";
import { keyOfResource, resourcesIn } from "../../../src/model/resource.ts";
import type { HostReport } from "../../../src/model/status.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Store } from "../../../src/store/store.ts";
import { Shards } from "../../../src/ipam/shards.ts";
import { Control, type ControlOptions } from "../../../src/control/control.ts";
import type { View } from "../../../src/control/state/view.ts";
import type { Viewer } from "../../../src/control/write.ts";

export const ADMIN = { role: "admin" } as const;
export const ADMIN_TOKEN = "an-administrator-0123456789abcdef";
export const JOIN_TOKEN = "whoever-may-join-0123456789abcdef";

export type Lab = {
  readonly control: Control;
  readonly store: Store;
  /** Milliseconds, and what somebody has set the wall clock by; tests move both. */
  readonly time: { now: number; offset: number };
  put(name: string, spec: NetworkInput): Promise<Network>;
  /** Joins `h<n>` with underlay 192.168.0.<n>; gives its token. */
  join(n: number, more?: Partial<HostClaim>): Promise<string>;
  attach(network: string, host: string, owner: string, more?: Partial<EndpointClaim>): Promise<Endpoint>;
  detach(endpoint: string): Promise<unknown>;
  snapshot(viewer?: Viewer): Promise<Snapshot>;
};

/** A network of one IPv4 subnet. */
export const v4 = (cidr: string, hostPrefix?: number): NetworkInput => ({
  subnets: [hostPrefix === undefined ? { cidr } : { cidr, hostPrefix }],
});
/** Blocks of a network by host and family. */
export const blocksOf = async (lab: Lab, network = "dcos") =>
  Object.fromEntries(
    (await lab.snapshot()).blocks
      .filter((b) => b.spec.network === network)
      .map((b) => [`${b.spec.host} ${b.name.at(-1)}`, b.spec.cidr]),
  );
export const vrfNames = async (lab: Lab) => (await lab.snapshot()).vrfs.map((vrf) => vrf.name).sort();

export async function openLab(
  store: Store = openMemoryStore({ cluster: "lab" }),
  more: Pick<ControlOptions, "liveness"> = {},
  time: Lab["time"] = { now: 1_000_000, offset: 0 },
): Promise<Lab> {
  let count = 0;
  const clock = {
    nowMs: () => time.now + time.offset,
    monotonicMs: () => time.now,
    sleep: () => new Promise<void>(() => {}),
  };
  const entropy = { uid: () => `uid-${++count}`, token: () => `token-${++count}-0123456789abcdef0123456789abcdef` };
  const control = await Control.open(store, { clock, entropy, ...more });
  await control.setToken("admin", ADMIN_TOKEN);
  await control.setToken("join", JOIN_TOKEN);
  return {
    control,
    store,
    time,
    async put(name, spec) {
      const { resource } = await control.write({ verb: "put", kind: "network", name, spec });
      if (resource?.kind !== "network") throw new Error("no network");
      return resource;
    },
    async join(n, more = {}) {
      const claim = { host: `h${n}`, underlay: `192.168.0.${n}`, underlayMtu: 1500, hostPrefixes: [], ...more };
      return (await control.join(claim, JOIN_TOKEN)).token;
    },
    async attach(network, host, owner, more = {}) {
      const claim = { network, host, owner, ifname: "eth0", netns: `/var/run/netns/${owner}`, ...more };
      const { resource } = await control.write({ verb: "attach", claim, by: { role: "host", host } });
      if (resource?.kind !== "endpoint") throw new Error("no endpoint");
      return resource;
    },
    detach: (endpoint) => control.write({ verb: "detach", endpoint, by: ADMIN, force: true }),
    snapshot: (viewer = ADMIN) => control.snapshot(viewer),
  };
}

/** What a host says that has nothing to say, at revision 1. */
export function reportOf(host: string, more: Partial<HostReport> = {}): HostReport {
  return {
    host,
    revision: 1,
    bootId: "b",
    version: "0",
    driftRepaired: 0,
    errors: [],
    networks: [],
    conditions: [],
    hostPrefixes: [],
    objects: 0,
    ...more,
  };
}

/** The write is refused for this reason, says where and what to do, and has changed nothing. */
export async function refuses(
  lab: Lab,
  expected: Reason | readonly [reason: Reason, where: string | undefined],
  text: RegExp,
  attempt: () => Promise<unknown>,
): Promise<Fault> {
  const [reason, where] = typeof expected === "string" ? [expected] : expected;
  const before = sorted(await lab.snapshot());
  const error = await attempt().then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.ok(error instanceof Fault, `expected ${reason}, got ${String(error)}`);
  assert.equal(error.reason, reason, error.message);
  assert.match(error.message, text);
  assert.ok(error.detail.fix.length > 0);
  if (where !== undefined) assert.equal(error.detail.where, where);
  assert.deepEqual(sorted(await lab.snapshot()), before, "a refusal changes nothing");
  return error;
}

/** Lists in no particular order become maps; the rest is compared as it is. */
export function sorted(snapshot: Snapshot): object {
  const { cluster, revision } = snapshot;
  return { cluster, revision, all: new Map(resourcesIn(snapshot).map((each) => [keyOfResource(each), each])) };
}

/** A mirror as a client keeps it: a snapshot, and whatever the watch says after it. */
export class Reader {
  readonly #cluster: string;
  readonly #all = new Map<string, Resource>();
  readonly #sets: AsyncIterator<ChangeSet>;
  readonly #stop = new AbortController();
  revision: number;

  private constructor(control: Control, viewer: Viewer, snapshot: Snapshot) {
    this.#cluster = snapshot.cluster;
    this.revision = snapshot.revision;
    for (const each of resourcesIn(snapshot)) this.#all.set(keyOfResource(each), each);
    this.#sets = control.watch(snapshot.revision, viewer, this.#stop.signal)[Symbol.asyncIterator]();
  }

  static async open(control: Control, viewer: Viewer): Promise<Reader> {
    return new Reader(control, viewer, await control.snapshot(viewer));
  }

  /** Reads up to a revision; says where the numbering has a gap. */
  async readTo(revision: number): Promise<void> {
    while (this.revision < revision) await this.readOne();
  }

  /** The next set that says something. */
  async readOne(): Promise<void> {
    const { value, done } = await this.#sets.next();
    if (done === true) throw new Error(`the watch ended at ${this.revision}`);
    const set: ChangeSet = value;
    if (set.revision === this.revision && set.changes.length === 0) return this.readOne();
    if (set.revision !== this.revision + 1) throw new Error(`${set.revision} came after ${this.revision}`);
    this.revision = set.revision;
    for (const change of set.changes) this.#take(change);
  }

  #take(change: Change): void {
    if ("put" in change) this.#all.set(keyOfResource(change.put), change.put);
    else this.#all.delete(change.remove);
  }

  /** In the form of `sorted`. */
  get state(): object {
    return { cluster: this.#cluster, revision: this.revision, all: new Map(this.#all) };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#sets.return?.();
  }
}

/** Everything a view holds, indexes too, as values whose equality means something. */
export function dump(view: View): object {
  const plain = (value: unknown): unknown => {
    if (value instanceof Map || value instanceof Shards)
      return new Map([...value].map(([key, each]) => [key, plain(each)]));
    if (value instanceof Set) return new Set(value);
    if (typeof value !== "object" || value === null) return value;
    if (Symbol.iterator in value && !Array.isArray(value)) return [...(value as Iterable<unknown>)];
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
  };
  const { lists: _, names: __, leases: ___, audiences: ____, ...rest } = view;
  return Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, plain(value)]));
}
