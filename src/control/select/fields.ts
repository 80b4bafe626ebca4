// The fields of a network that expressions may name, in capitals as OpenNebula's; and its labels, by their keys. What
// is worked out is worked out only if an expression asks for it.
import type { Field, Resolve } from "../../model/expression/evaluate.ts";
import { labelField } from "../../model/expression/parse.ts";
import { labelsOf } from "../../model/labels.ts";
import type { Network, NetworkSpec } from "../../model/resource.ts";
import type { Leases } from "../state/networkIndex.ts";
import type { View } from "../state/view.ts";
import { leasesIn } from "./room.ts";

/** One network on one host, or on any. */
export type Candidate = { readonly network: Network; readonly leases: Leases };
type Read = (candidate: Candidate, view: View) => Field;

const yesNo = (flag: boolean | undefined) => (flag === true ? "yes" : "no");
const spec =
  <K extends keyof NetworkSpec>(field: K) =>
  ({ network }: Candidate): Field =>
    // Only fields of text and numbers are named below.
    network.spec[field] as Field;

const clusters = ({ network }: Candidate) => network.spec.clusters ?? [];
const vlan = spec("vlan");
const outerVlan = spec("outerVlan");
const parent = spec("parent");

const FIELDS: Readonly<Record<string, Read>> = {
  NAME: ({ network }) => network.name,
  DESCRIPTION: spec("description"),
  DRIVER: spec("driver"),
  VN_MAD: spec("driver"),
  IPAM: spec("ipam"),
  VRF: spec("vrf"),
  PLACEMENT: ({ network }) => network.spec.placement ?? "own",
  BRIDGE: spec("bridge"),
  CLUSTER: clusters,
  CLUSTERS: clusters,
  PARENT: parent,
  PHYDEV: parent,
  VLAN: vlan,
  VLAN_ID: vlan,
  OUTER_VLAN: outerVlan,
  OUTER_VLAN_ID: outerVlan,
  VNI: spec("vni"),
  MTU: spec("mtu"),
  POOL: ({ network }) => network.spec.pool?.name,
  TENANT: spec("tenant"),
  RESERVED_FROM: spec("reservedFrom"),
  SUBNET: ({ network }) => network.spec.subnets.map(({ cidr }) => cidr),
  GATEWAY: ({ network }) =>
    network.spec.subnets.flatMap(({ gateway = "none" }) => (gateway === "none" ? [] : [gateway])),
  FAMILY: ({ network }) => network.spec.subnets.map(({ cidr }) => (cidr.includes(":") ? "6" : "4")),
  RANGE: ({ network }) => (network.spec.ranges ?? []).map(({ name }) => name),
  DNS: ({ network }) => network.spec.dns ?? [],
  SECURITY_GROUPS: ({ network }) => network.spec.securityGroups ?? [],
  MASQUERADE: ({ network }) => yesNo(network.spec.masquerade),
  ISOLATED: ({ network }) => yesNo(network.spec.isolated),
  FREE_LEASES: ({ leases }) => leases.free,
  USED_LEASES: ({ network }, view) => view.networks.get(network.name)?.endpoints.size ?? 0,
  TOTAL_LEASES: ({ network }) => leasesIn(network),
};

/** What people may name, for documents and their test. */
export const FIELD_NAMES = Object.keys(FIELDS);

/** How a field or label of that name is read. */
export function fieldsIn(view: View): Resolve<Candidate> {
  return (name) => {
    const read = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
    return read === undefined ? ({ network }) => labelOf(network, name) : (candidate) => read(candidate, view);
  };
}

/** Undefined also where a key is the name of something that all objects have. */
export function labelOf(network: Network, name: string): string | undefined {
  const labels = labelsOf(network);
  if (Object.hasOwn(labels, name)) return labels[name];
  const key = name.slice(labelField("").length - 2, -2);
  return labelField(key) === name && Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** The label that policy `fixed` goes by. */
export const PRIORITY = "priority";
