// The kernel's nouns as values, in the kernel's own words and units: the table of the kinds of kernel objects. A kind
// is one record (kinds/<kind>.ts), and the other half of it is in kernel/kinds.ts.
import { address } from "./kinds/address.ts";
import { bridge } from "./kinds/bridge.ts";
import { bridgeFdb } from "./kinds/bridgeFdb.ts";
import { element } from "./kinds/element.ts";
import { fdb } from "./kinds/fdb.ts";
import { hop } from "./kinds/hop.ts";
import { ifb } from "./kinds/ifb.ts";
import type { AnyObject, Example, Kind } from "./kinds/kind.ts";
import { neighbour } from "./kinds/neighbour.ts";
import { netns } from "./kinds/netns.ts";
import { nft } from "./kinds/nft.ts";
import { redirect } from "./kinds/redirect.ts";
import { route } from "./kinds/route.ts";
import { sysctl } from "./kinds/sysctl.ts";
import { tbf } from "./kinds/tbf.ts";
import { veth } from "./kinds/veth.ts";
import { vxlan } from "./kinds/vxlan.ts";

/** In the order of their layers; of one layer, in the order in which a state is printed. */
const KINDS = {
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

export type ObjectKind = keyof typeof KINDS;
export type ObjectOf<K extends ObjectKind> = (typeof KINDS)[K]["examples"][number]["is"];
export type KernelObject = { [K in ObjectKind]: ObjectOf<K> }[ObjectKind];

export const OBJECT_KINDS = Object.keys(KINDS) as readonly ObjectKind[];

/** The record of an object's kind. */
export function kindOf<T extends KernelObject>(object: T): Kind<T> {
  return KINDS[object.kind] as unknown as Kind<T>;
}

/** Every example of every kind, with what it needs. */
export const EXAMPLES = Object.values(KINDS).flatMap(
  ({ examples }) => examples as readonly Example<AnyObject>[],
) as readonly Needed[];
type Needed = Example<KernelObject> & { readonly needs: readonly KernelObject[] };
