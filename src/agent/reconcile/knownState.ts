// Functions on kernel states: what is known after an observation and the changes since, and what a round may not judge.
import { type KernelObject, kindOf } from "../../datapath/kinds.ts";
import type { Veth } from "../../datapath/kinds/links.ts";
import { portName } from "../../datapath/state/names.ts";
import { deviceOf, isLink, type KernelState, keyOf, type Op } from "../../datapath/state/state.ts";
import type { OpResult } from "../../kernel/kernel.ts";
import type { Endpoint } from "../../model/resource.ts";
import type { Entry } from "../journal/journal.ts";

/** Records in `state` what these operations did, except those that were refused. */
export function record(state: Map<string, KernelObject>, results: readonly OpResult[]): Map<string, KernelObject> {
  for (const { op, refusal } of results) {
    if (refusal !== undefined) continue;
    if (op.op === "remove") {
      forget(state, op.object);
      continue;
    }
    const key = keyOf(op.object);
    // What was in its slot had another key.
    if (op.op === "set" && keyOf(op.from) !== key) state.delete(keyOf(op.from));
    state.set(key, op.object);
  }
  return state;
}

/**
 * The actual state: an observation, and the changes since it began. If a pair was made meanwhile, the observation may
 * have its near end and not know in which namespace its far end is, so the pair is taken from the changes. Objects that
 * are `unreconciled` are left out: they are not in the journal yet, or no longer.
 */
export function merged(
  observed: KernelState,
  since: readonly OpResult[],
  unreconciled: ReadonlySet<KernelObject>,
): Map<string, KernelObject> {
  const pairs = pairsIn(since, unreconciled);
  const state = new Map(observed);
  for (const object of pairs.size === 0 ? [] : observed.values())
    if (object.kind === "veth" && pairs.has(nearOf(object))) forget(state, object);
  record(state, since);
  for (const object of unreconciled) forget(state, object);
  return state;
}

/** Near ends of the pairs that were changed or are unreconciled. */
export function pairsIn(since: readonly OpResult[], unreconciled: ReadonlySet<KernelObject>): Set<string> {
  const pairs = new Set<string>();
  for (const object of unreconciled) if (object.kind === "veth") pairs.add(nearOf(object));
  for (const { op } of since) if (op.object.kind === "veth") pairs.add(nearOf(op.object));
  return pairs;
}

/** The link that an object is, or is on; an element, and an object without a link, stands for itself. */
export function linkOf(object: KernelObject): string {
  if (object.kind === "element") return keyOf(object);
  return `${object.ns} ${"name" in object ? object.name : (deviceOf(object) ?? object.kind)}`;
}

/** Names of the near ends of all pairs. */
export function portsIn(state: KernelState): ReadonlySet<string> {
  return new Set([...state.values()].flatMap((object) => (object.kind === "veth" ? [object.name] : [])));
}

/** Namespace and name of a pair's near end. */
export function nearOf({ ns, name }: Veth): string {
  return `${ns} ${name}`;
}

/** Removes an object and what goes with it: all of a namespace, all that is on a link, both ends of a pair. */
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

/** The operation that takes a refused one, recorded as done, back. */
export function inverse(op: Op): Op {
  return { op: op.op === "remove" ? "add" : "remove", object: op.object };
}

/**
 * The desired state of a snapshot that may lack something: what it lacks stays. Only these go: ports that the journal
 * says are being detached; what something else takes the place of; and what a conversion has of a tunnel that nothing
 * is sent by. Of a conversion a snapshot is never too old: a phase is on this host's disk before the host says that it
 * is there, and the server waits for that. To keep a part of one phase beside the next one would lose broadcasts, or
 * double them.
 */
export function withoutRemovals(actual: KernelState, desired: KernelState, entries: Iterable<Entry>): KernelState {
  const detaching = new Set([...entries].filter((e) => e.state === "detaching").map((e) => portName(e.endpoint.name)));
  const taken = new Set([...desired.values()].flatMap((object) => slotText(object) ?? []));
  const isOver = ofConversionOver(actual, desired);
  const mayGo = (object: KernelObject) =>
    (object.kind === "veth" && detaching.has(object.name)) || taken.has(slotText(object) ?? "") || isOver(object);
  const staying = [...actual].filter(([key, object]) => desired.has(key) || !mayGo(object));
  return new Map([...staying, ...desired]);
}

/** Where the kernel has one place for an object and others like it. */
function slotText(object: KernelObject): string | undefined {
  const slot = kindOf(object).slot(object);
  return slot === undefined ? undefined : `${object.kind} ${slot}`;
}

/**
 * A tunnel that was closed, and is not desired although its bridge is; and the elements that close tunnels, of these
 * and of those that are desired open.
 */
function ofConversionOver(actual: KernelState, desired: KernelState): (object: KernelObject) => boolean {
  const closed = new Set<string>();
  for (const object of actual.values())
    if (object.kind === "element" && object.set === "closed") closed.add(`${object.ns} ${object.key}`);
  if (closed.size === 0) return () => false;
  const links = new Set(
    [...desired.values()].flatMap((object) => (isLink(object) ? [`${object.ns} ${object.name}`] : [])),
  );
  const ending = new Set<string>();
  for (const object of actual.values()) {
    if (!isLink(object) || !("master" in object)) continue;
    const name = `${object.ns} ${object.name}`;
    if (closed.has(name) && !links.has(name) && links.has(`${object.ns} ${object.master}`)) ending.add(name);
  }
  return (object) => {
    if (isLink(object)) return ending.has(`${object.ns} ${object.name}`);
    if (object.kind !== "element" || object.set !== "closed") return false;
    const tunnel = `${object.ns} ${object.key}`;
    return links.has(tunnel) || ending.has(tunnel);
  };
}

/**
 * The state without addresses that the workload itself may add to its interface and remove: all of them, if the
 * endpoint has no address of Weft's (frames only), else the allowed addresses beside its own.
 */
export function withoutWorkloadAddresses(
  state: Map<string, KernelObject>,
  endpoints: readonly Endpoint[],
  host: string,
): Map<string, KernelObject> {
  const ofWorkload = new Map<string, (ip: string) => boolean>();
  for (const { spec } of endpoints) {
    const { addresses, allowedAddresses = [] } = spec;
    if (spec.host !== host) continue;
    const isAllowed = (ip: string) => allowedAddresses.some(({ address }) => address === ip) && !addresses.includes(ip);
    if (addresses.length === 0) ofWorkload.set(`${spec.netns} ${spec.ifname}`, () => true);
    else if (allowedAddresses.length > 0) ofWorkload.set(`${spec.netns} ${spec.ifname}`, isAllowed);
  }
  if (ofWorkload.size === 0) return state;
  for (const [key, object] of state)
    if (
      object.kind === "address" &&
      ofWorkload.get(`${object.ns} ${object.dev}`)?.(object.cidr.split("/")[0] ?? "") === true
    )
      state.delete(key);
  return state;
}
