// The smallest ordered list of operations that turns one kernel state into another. Touches nothing that is already
// right.
//
// Order: stale links go first, because a new one may need the name; then what is new, by the layers of the kinds
// (namespace, policy, bridge, tunnel, port, address, entry, route), so that policy is there before a port; stale
// entries go last, when their replacements are there, but for routes that move to another link. What a removed link or
// namespace takes along needs no operation of its own.
import { type KernelObject, kindOf } from "../kinds.ts";
import { type KernelState, type Op, deviceOf } from "./state.ts";

export function diff(actual: KernelState, desired: KernelState): Op[] {
  const gone = goneWith(actual, desired);
  const ops: Op[] = [];
  for (const [key, object] of actual) {
    if (!desired.has(key) && kindOf(object).isRemovable && !gone.takes(object)) ops.push({ op: "remove", object });
  }
  for (const [key, object] of desired) {
    const from = actual.get(key);
    if (from === undefined || gone.takes(from)) ops.push({ op: "add", object });
    else if (!isSame(from, object)) ops.push({ op: "set", from, object });
  }
  const taken = takenSlots(ops);
  return ops.sort((a, b) => layerOf(a, taken) - layerOf(b, taken));
}

/** Slots that new objects need: a stale object in one goes before its successor comes. */
function takenSlots(ops: readonly Op[]): ReadonlySet<string | undefined> {
  const slots = new Set<string | undefined>();
  for (const { op, object } of ops) if (op === "add") slots.add(kindOf(object).slot(object));
  slots.delete(undefined);
  return slots;
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
    for (const { ns, name } of kindOf(object).devices(object)) devices.add(`${ns} ${name}`);
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

function layerOf(op: Op, taken: ReadonlySet<string | undefined>): number {
  const { object } = op;
  const kind = kindOf(object);
  if (op.op === "add") return kind.layer;
  if (op.op === "set") return kind.changeLayer(op.from, object);
  return taken.size > 0 && taken.has(kind.slot(object)) ? kind.layer - 0.5 : kind.removal;
}

/** Equal as values; tables by their digest alone. */
export function isSame(a: KernelObject, b: KernelObject): boolean {
  return a.kind === b.kind && kindOf(a).isSame(a, b);
}
