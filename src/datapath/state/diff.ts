// The smallest ordered list of operations that turns one kernel state into another. Touches nothing that is already
// right.
//
// Order: stale links go first, because a new one may need the name; then what is new, from the ground up (namespace,
// policy, bridge, tunnel, port, address, entry, route), so that policy is there before a port; stale entries go last,
// when what replaces them is there, but for routes that move to another link. What a removed link or namespace takes
// along needs no operation of its own.
import {
  type KernelObject,
  type KernelState,
  type ObjectKind,
  type ObjectOf,
  type Op,
  WEFT_ROUTE_METRIC,
  deviceOf,
  isLink,
} from "./state.ts";

export function diff(actual: KernelState, desired: KernelState): Op[] {
  const gone = goneWith(actual, desired);
  const ops: Op[] = [];
  for (const [key, object] of actual) {
    // The kernel has no absent sysctl; what Weft no longer needs it leaves as it is.
    if (!desired.has(key) && object.kind !== "sysctl" && !gone.takes(object)) ops.push({ op: "remove", object });
  }
  for (const [key, object] of desired) {
    const from = actual.get(key);
    if (from === undefined || gone.takes(from)) ops.push({ op: "add", object });
    else if (!isSame(from, object)) ops.push({ op: "set", from, object });
  }
  const moved = movedRoutes(ops);
  return ops.sort((a, b) => rankOf(a, moved) - rankOf(b, moved));
}

/**
 * Destinations of new routes: a stale one of the same metric goes before, because the kernel has one per destination
 * and metric. One of another metric goes after, so that there is a route at every moment.
 */
function movedRoutes(ops: readonly Op[]): ReadonlySet<string> {
  return new Set(ops.flatMap(({ op, object }) => (op === "add" && object.kind === "route" ? placeOf(object) : [])));
}

function placeOf({ ns, dst, metric = WEFT_ROUTE_METRIC }: ObjectOf<"route">): string {
  return `${ns} ${dst} ${metric}`;
}

/**
 * What disappears by itself when the removals of this diff are done: everything on a removed link, at both ends of a
 * pair.
 */
function goneWith(actual: KernelState, desired: KernelState): { takes(object: KernelObject): boolean } {
  const namespaces = new Set<string>();
  const devices = new Set<string>();
  for (const [key, object] of actual) {
    if (desired.has(key)) continue;
    if (object.kind === "netns") namespaces.add(object.ns);
    if (object.kind !== "veth" && isLink(object)) devices.add(`${object.ns} ${object.name}`);
    if (object.kind === "veth") devices.add(`${object.ns} ${object.name}`).add(`${object.peer.ns} ${object.peer.name}`);
  }
  return {
    takes(object) {
      if (object.kind === "netns") return false;
      if (namespaces.has(object.ns)) return true;
      const device = deviceOf(object);
      return device !== undefined && devices.has(`${object.ns} ${device}`);
    },
  };
}

const LAYER: Readonly<Record<ObjectKind, number>> = {
  netns: 0,
  sysctl: 1,
  nft: 2,
  // With the tables, in the same transaction where both change.
  element: 2.5,
  bridge: 3,
  vxlan: 4,
  veth: 5,
  // Limits before addresses, and a shaper's queue before anything is sent to it.
  ifb: 5.2,
  tbf: 5.4,
  redirect: 5.6,
  address: 6,
  neighbour: 7,
  hop: 7,
  fdb: 7,
  "bridge-fdb": 7,
  route: 8,
};

function rankOf(op: Op, moved: ReadonlySet<string>): number {
  const layer = LAYER[op.object.kind];
  if (isSealed(op)) return LAYER.nft - 0.5;
  if (op.op !== "remove") return layer;
  // Before the shaper goes that it leads to: frames redirected to nowhere are lost.
  if (op.object.kind === "redirect") return -20;
  if (op.object.kind === "route" && moved.has(placeOf(op.object))) return layer - 0.5;
  return isLink(op.object) ? -layer : 20 - layer;
}

/** An uplink writes checksums before the host's table lets more out of it, if nothing else of it changes. */
function isSealed(op: Op): boolean {
  if (op.op !== "set" || op.object.kind !== "veth" || op.from.kind !== "veth") return false;
  return op.object.makesChecksums === true && isEqual({ ...op.from, makesChecksums: true }, op.object);
}

/** Equal as values; tables by their digest alone, because the kernel cannot give a body back. */
export function isSame(a: KernelObject, b: KernelObject): boolean {
  return a.kind === "nft" && b.kind === "nft" ? a.digest === b.digest : isEqual(a, b);
}

/** Flat records, and a record inside a record: the peer of a pair. */
function isEqual(a: object, b: object): boolean {
  if (a === b) return true;
  const left = a as Readonly<Record<string, unknown>>;
  const right = b as Readonly<Record<string, unknown>>;
  let count = 0;
  for (const field in left) {
    count++;
    const [value, other] = [left[field], right[field]];
    if (value === other) continue;
    if (typeof value !== "object" || value === null || typeof other !== "object" || other === null) return false;
    if (!isEqual(value, other)) return false;
  }
  for (const _ in right) count--;
  return count === 0;
}
