// The table of the kinds of kernel objects, which are values in the kernel's own words and units. A kind is one record
// in a file of kinds/; its other half is in kernel/kinds.ts.
import { ENTRY_KINDS } from "./kinds/entries.ts";
import { GRE_KINDS } from "./kinds/gre.ts";
import type { Kind, LeadsTo } from "./kinds/kind.ts";
import { LINK_KINDS } from "./kinds/links.ts";
import { NAMESPACE_KINDS } from "./kinds/namespaces.ts";
import { OVS_KINDS } from "./kinds/openVswitch.ts";
import { TABLE_KINDS } from "./kinds/tables.ts";
import { VLAN_KINDS } from "./kinds/vlan.ts";

const { bridge, ...OTHER_LINKS } = LINK_KINDS;
/** In the order of their layers; of one layer, in the order in which a state is printed. */
const KINDS = {
  ...NAMESPACE_KINDS,
  ...TABLE_KINDS,
  bridge,
  ...OVS_KINDS,
  ...GRE_KINDS,
  ...VLAN_KINDS,
  ...OTHER_LINKS,
  ...ENTRY_KINDS,
};

export type ObjectKind = keyof typeof KINDS;
export type ObjectOf<K extends ObjectKind> = Parameters<(typeof KINDS)[K]["key"]>[0];
export type KernelObject = { [K in ObjectKind]: ObjectOf<K> }[ObjectKind];

export const OBJECT_KINDS = Object.keys(KINDS) as readonly ObjectKind[];

/** Of a link, by the kernel's name for its kind. */
export const leadsTo = (kind: string): LeadsTo => (KINDS as Table)[kind]?.leadsTo ?? "nowhere";
/** Whether it carries packets to and from other hosts. */
export const isTunnel = (kind: string): boolean => ["hosts", "peer"].includes(leadsTo(kind));
type Table = Readonly<Record<string, Pick<Kind<never>, "leadsTo"> | undefined>>;

/** The record of an object's kind. */
export function kindOf<T extends KernelObject>(object: T): Kind<T> {
  return KINDS[object.kind] as unknown as Kind<T>;
}
