// Kernel states as values. Desired state (from compile) and actual state (from observe) are both a KernelState, so that
// everything between them is plain arithmetic. Every object names its network namespace, because the data plane of a
// VRF lives in one of its own. Which kinds of objects there are is in ../kinds.ts.
import { type KernelObject, kindOf } from "../kinds.ts";

export type KernelState = ReadonlyMap<string, KernelObject>;

/**
 * `set` changes in place what `from` already is, or puts the object where `from` was (Kind.slot); anything that cannot
 * be is a remove and an add.
 */
export type OpOn<T> =
  | { readonly op: "add"; readonly object: T }
  | { readonly op: "set"; readonly from: T; readonly object: T }
  | { readonly op: "remove"; readonly object: T };
export type Op = OpOn<KernelObject>;

/** What makes two objects "the same one"; everything else is a value that can be changed in place. */
export function keyOf(object: KernelObject): string {
  return kindOf(object).key(object);
}

export function stateOf(objects: Iterable<KernelObject>): KernelState {
  const state = new Map<string, KernelObject>();
  for (const object of objects) state.set(keyOf(object), object);
  return state;
}

/** An object that is on a link, and goes with it. */
export type EntryObject = Extract<KernelObject, { readonly dev: string }>;
/** An object that is in a namespace by a name of its own, and takes along what is on it. */
export type LinkObject = Extract<KernelObject, { readonly alias: string }>;

export function isLink(object: KernelObject): object is LinkObject {
  return kindOf(object).role === "link";
}

/** The link whose disappearance takes this object along; undefined for what stands alone. */
export function deviceOf(object: KernelObject): string | undefined {
  return kindOf(object).role === "entry" ? (object as EntryObject).dev : undefined;
}
