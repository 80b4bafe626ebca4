// The table of the kinds of kernel objects, as this folder knows them; what everything else knows of them is in
// datapath/kinds.ts.
import type { KernelObject, ObjectKind, ObjectOf } from "../datapath/kinds.ts";
import type { Refusal } from "./kernel.ts";
import { address } from "./kinds/address.ts";
import { bridge } from "./kinds/bridge.ts";
import { bridgeFdb } from "./kinds/bridgeFdb.ts";
import { element } from "./kinds/element.ts";
import { fdb } from "./kinds/fdb.ts";
import { hop } from "./kinds/hop.ts";
import { ifb } from "./kinds/ifb.ts";
import type { KernelKind } from "./kinds/kind.ts";
import { neighbour } from "./kinds/neighbour.ts";
import { netns } from "./kinds/netns.ts";
import { nft } from "./kinds/nft.ts";
import { redirect } from "./kinds/redirect.ts";
import { route } from "./kinds/route.ts";
import { sysctl } from "./kinds/sysctl.ts";
import { tbf } from "./kinds/tbf.ts";
import { veth } from "./kinds/veth.ts";
import { vxlan } from "./kinds/vxlan.ts";

/** A namespace is read in this order; what a workload's root may make any number of, routes, comes last. */
const KERNEL_KINDS: { readonly [K in ObjectKind]: KernelKind<ObjectOf<K>> } = {
  netns,
  sysctl,
  nft,
  element,
  bridge,
  vxlan,
  veth,
  ifb,
  tbf,
  redirect,
  address,
  neighbour,
  hop,
  fdb,
  "bridge-fdb": bridgeFdb,
  route,
};

/** A kind, whatever its objects are. */
export type AnyKind = KernelKind<KernelObject>;

export const ALL_KINDS = Object.values(KERNEL_KINDS) as unknown as readonly AnyKind[];

/** The record of an object's kind. */
export function kernelKindOf(object: KernelObject): AnyKind {
  return KERNEL_KINDS[object.kind] as unknown as AnyKind;
}

/** The kind of a link of ours, by the kernel's name for it; undefined for links of kinds that Weft never makes. */
export function linkKindOf(name: string): AnyKind | undefined {
  const kind = (KERNEL_KINDS as Readonly<Record<string, unknown>>)[name] as AnyKind | undefined;
  return kind?.observe.link === undefined ? undefined : kind;
}

/** Why an object is refused that could be applied, but never observed, because it is in a workload's namespace. */
export function misplaced(object: KernelObject): Refusal | undefined {
  if (!object.ns.startsWith("/") || kernelKindOf(object).isInWorkloads) return undefined;
  return { class: "unsupported", message: `Weft keeps no ${object.kind} in a workload's namespace` };
}
