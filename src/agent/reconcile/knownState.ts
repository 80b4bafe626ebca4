// What the kernel is known to hold, between two looks at it: the last look, and what was done since.
import type { KernelObject } from "../../datapath/kinds.ts";
import type { Veth } from "../../datapath/kinds/veth.ts";
import { type KernelState, deviceOf, keyOf, type Op } from "../../datapath/state/state.ts";
import { portName } from "../../datapath/state/names.ts";
import type { OpResult } from "../../kernel/kernel.ts";
import type { Endpoint } from "../../model/resource.ts";
import type { Entry } from "../journal/journal.ts";

/** Notes in `state` what these operations did, as far as they were accepted. */
export function record(state: Map<string, KernelObject>, results: readonly OpResult[]): Map<string, KernelObject> {
  for (const { op, refusal } of results) {
    if (refusal !== undefined) continue;
    if (op.op === "remove") forget(state, op.object);
    else state.set(keyOf(op.object), op.object);
  }
  return state;
}

/**
 * What the kernel holds: a look, and what was done since it began. Of a pair made meanwhile a look may know the near
 * end and not whose it is (nobody named it the workload's namespace): such a pair is taken from what was done. Those in
 * `apart` are left out: they are not in the journal yet, or no longer, so nobody may judge them.
 */
export function merged(
  look: KernelState,
  since: readonly OpResult[],
  apart: ReadonlySet<KernelObject>,
): Map<string, KernelObject> {
  const pairs = pairsIn(since, apart);
  const state = new Map(look);
  for (const object of pairs.size === 0 ? [] : look.values())
    if (object.kind === "veth" && pairs.has(nearOf(object))) forget(state, object);
  record(state, since);
  for (const object of apart) forget(state, object);
  return state;
}

/** Near ends of the pairs that were changed, and of those apart. */
export function pairsIn(since: readonly OpResult[], apart: ReadonlySet<KernelObject>): Set<string> {
  const pairs = new Set<string>();
  for (const object of apart) if (object.kind === "veth") pairs.add(nearOf(object));
  for (const { op } of since) if (op.object.kind === "veth") pairs.add(nearOf(op.object));
  return pairs;
}

/** The link that an object is, or is on; what is on no link is its own place. */
export function linkOf(object: KernelObject): string {
  if (object.kind === "element") return keyOf(object);
  return `${object.ns} ${"name" in object ? object.name : (deviceOf(object) ?? object.kind)}`;
}

/** Names of the near ends of all pairs. */
export function portsIn(state: KernelState): ReadonlySet<string> {
  return new Set([...state.values()].flatMap((object) => (object.kind === "veth" ? [object.name] : [])));
}

/** Where a pair's end on our side is. */
export function nearOf({ ns, name }: Veth): string {
  return `${ns} ${name}`;
}

/** A namespace goes with all that is in it, a link with all that hangs on it, a pair at both ends. */
function forget(state: Map<string, KernelObject>, gone: KernelObject): void {
  state.delete(keyOf(gone));
  if (gone.kind === "netns") {
    for (const object of [...state.values()].filter(({ ns }) => ns === gone.ns)) forget(state, object);
    return;
  }
  if (!("name" in gone)) return;
  const ends = new Set([`${gone.ns} ${gone.name}`]);
  if (gone.kind === "veth") ends.add(`${gone.peer.ns} ${gone.peer.name}`);
  for (const [key, object] of state) {
    const dev = deviceOf(object);
    if (dev !== undefined && ends.has(`${object.ns} ${dev}`)) state.delete(key);
  }
}

/** What makes of a refused operation, noted as done, one that was not. */
export function inverse(op: Op): Op {
  return { op: op.op === "remove" ? "add" : "remove", object: op.object };
}

/**
 * What is desired while the snapshot is not complete and current: nothing is removed, except ports that the journal
 * says are leaving. One of which it says nothing may be one that it lost.
 */
export function withoutRemovals(actual: KernelState, desired: KernelState, entries: Iterable<Entry>): KernelState {
  const leaving = new Set([...entries].filter((e) => e.state === "detaching").map((e) => portName(e.endpoint.name)));
  const kept = [...actual].filter(
    ([key, object]) => desired.has(key) || object.kind !== "veth" || !leaving.has(object.name),
  );
  return new Map([...kept, ...desired]);
}

/**
 * The state without addresses that are the workload's to put on its interface and to take away: all, if Weft gave the
 * endpoint none (frames only), and those that it is allowed beside its own.
 */
export function withoutWorkloadAddresses(
  state: Map<string, KernelObject>,
  endpoints: readonly Endpoint[],
  host: string,
): Map<string, KernelObject> {
  const theirs = new Map<string, (ip: string) => boolean>();
  for (const { spec } of endpoints) {
    const { addresses, allowedAddresses = [] } = spec;
    if (spec.host !== host) continue;
    const isTheirs = (ip: string) => allowedAddresses.some(({ address }) => address === ip) && !addresses.includes(ip);
    if (addresses.length === 0) theirs.set(`${spec.netns} ${spec.ifname}`, () => true);
    else if (allowedAddresses.length > 0) theirs.set(`${spec.netns} ${spec.ifname}`, isTheirs);
  }
  if (theirs.size === 0) return state;
  for (const [key, object] of state)
    if (object.kind === "address" && theirs.get(`${object.ns} ${object.dev}`)?.(ipIn(object.cidr)) === true)
      state.delete(key);
  return state;
}

/** An address without its length. */
function ipIn(cidr: string): string {
  return cidr.slice(0, cidr.indexOf("/"));
}
