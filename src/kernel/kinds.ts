// The table of the kinds of kernel objects, as far as only this folder needs it: how they reach the kernel and are read
// back. The other half is datapath/kinds.ts.
import type { KernelObject, ObjectKind, ObjectOf } from "../datapath/kinds.ts";
import type { Refusal } from "./kernel.ts";
import { address } from "./kinds/address.ts";
import { checksums } from "./kinds/checksums.ts";
import { gretap, ip6gretap } from "./kinds/gre.ts";
import type { KernelKind } from "./kinds/kind.ts";
import { bridge, ifb, vxlan } from "./kinds/links.ts";
import { netns, sysctl } from "./kinds/namespaces.ts";
import { bridgeFdb, fdb, hop, neighbour } from "./kinds/neighbours.ts";
import { redirect, tbf } from "./kinds/queues.ts";
import { plug } from "./kinds/plug.ts";
import { port } from "./kinds/port.ts";
import { route } from "./kinds/route.ts";
import { element, nft } from "./kinds/tables.ts";
import { openvswitch, ovsBridge, ovsPort } from "./kinds/openVswitch.ts";
import { veth } from "./kinds/veth.ts";
import { vlan } from "./kinds/vlan.ts";

/** A namespace is read in this order; what a workload's root may make any number of, routes, comes last. */
const KERNEL_KINDS: { readonly [K in ObjectKind]: KernelKind<ObjectOf<K>> } = {
  netns,
  sysctl,
  nft,
  element,
  bridge,
  vxlan,
  gretap,
  ip6gretap,
  vlan,
  veth,
  ifb,
  "ovs-bridge": ovsBridge,
  "ovs-port": ovsPort,
  openvswitch,
  checksums,
  tbf,
  redirect,
  port,
  plug,
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
  // What ovs-vswitchd makes where the kernel has no datapath for it.
  const own = name === "tun" ? "openvswitch" : name;
  const kind = (KERNEL_KINDS as Readonly<Record<string, unknown>>)[own] as AnyKind | undefined;
  return kind?.observe.link === undefined ? undefined : kind;
}

/** Why an object is refused that could be applied, but never observed, because it is in a workload's namespace. */
export function misplaced(object: KernelObject): Refusal | undefined {
  if (!object.ns.startsWith("/") || kernelKindOf(object).isInWorkloads) return undefined;
  return { class: "unsupported", message: `Weft keeps no ${object.kind} in a workload's namespace` };
}
