// The smallest ordered list of operations that turns one kernel state into another. Touches nothing that is already
// right.
//
// Order: stale links go first, because a new one may need the name; then what is new, by the layers of the kinds
// (namespace, policy, bridge, tunnel, port, address, entry, route), so that policy is there before a port; stale
// entries go last, when their replacements are there. Where the kernel has one place for old and new, the new one
// replaces the old one in one step. What a removed link or namespace takes along needs no operation of its own.
import { type KernelObject, kindOf } from "../kinds.ts";
import { type KernelState, type Op, deviceOf } from "./state.ts";

export function diff(actual: KernelState, desired: KernelState): Op[] {
  const gone = goneWith(actual, desired);
  const ops: Op[] = [];
  const stale = new Map<string, KernelObject>();
  for (const [key, object] of actual) {
    if (desired.has(key) || !kindOf(object).isRemovable || gone.takes(object)) continue;
    const slot = kindOf(object).slot(object);
    if (slot === undefined) ops.push({ op: "remove", object });
    else stale.set(slot, object);
  }
  for (const [key, object] of desired) {
    const from = actual.get(key);
    if (from === undefined || gone.takes(from)) ops.push(puttingOf(object, stale));
    else if (!isSame(from, object)) ops.push({ op: "set", from, object });
  }
  for (const object of stale.values()) ops.push({ op: "remove", object });
  return ops.sort((a, b) => layerOf(a) - layerOf(b));
}

/** A new object takes the place of a stale one. */
function puttingOf(object: KernelObject, stale: Map<string, KernelObject>): Op {
  const slot = stale.size === 0 ? undefined : kindOf(object).slot(object);
  const from = slot === undefined ? undefined : stale.get(slot);
  if (slot === undefined || from === undefined) return { op: "add", object };
  stale.delete(slot);
  return { op: "set", from, object };
}

/**
 * What disappears by itself when the removals of this diff are done: everything on a removed link, at both ends of a
 * pair, and links above it.
 */
function goneWith(actual: KernelState, desired: KernelState): { takes(object: KernelObject): boolean } {
  const namespaces = new Set<string>();
  const devices = new Set<string>();
  for (const [key, object] of actual) {
    if (desired.has(key)) continue;
    if (object.kind === "netns") namespaces.add(object.ns);
    for (const { ns, name } of kindOf(object).devices(object)) devices.add(`${ns} ${name}`);
  }
  return {
    takes(object) {
      if (object.kind === "netns") return false;
      if (namespaces.has(object.ns)) return true;
      const below = kindOf(object).below(object);
      if (below !== undefined && devices.has(`${below.ns} ${below.name}`)) return true;
      const device = deviceOf(object);
      return device !== undefined && devices.has(`${object.ns} ${device}`);
    },
  };
}

function layerOf(op: Op): number {
  const { object } = op;
  const kind = kindOf(object);
  if (op.op === "add") return kind.layer;
  return op.op === "set" ? kind.changeLayer(op.from, object) : kind.removal(object);
}

/** Equal as values; tables by their digest alone. */
export function isSame(a: KernelObject, b: KernelObject): boolean {
  return a.kind === b.kind && kindOf(a).isSame(a, b);
}
