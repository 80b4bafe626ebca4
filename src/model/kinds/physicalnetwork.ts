// Physical networks: what is outside of Weft's hosts and that devices of theirs lead to; which VLANs Weft may take of
// it.
import Type from "typebox";
import { Fault } from "../fault.ts";
import type { KindRecord } from "../kind.ts";
import { NETWORK_MTU } from "../limits.ts";
import { type Value, Description, Texts, optional, strictObject } from "../schema.ts";
import { type VlanRange, parseVlans, vlansText } from "../vlan.ts";

const PhysicalNetworkSpec = strictObject({
  vlans: optional(
    Texts(
      "VLAN ids to choose from for networks that do not say which, like 100-199 or 300. Default: none is chosen. " +
        "A network may have any other id, too.",
    ),
  ),
  mtu: optional(
    Type.Integer({
      ...NETWORK_MTU,
      description: "What its switches carry. Default: what the hosts' devices do.",
    }),
  ),
  description: optional(Description),
});
type PhysicalNetworkSpec = Value<typeof PhysicalNetworkSpec>;

export const physicalnetwork = {
  spec: PhysicalNetworkSpec,
  list: "physicalNetworks",
  called: "physical network",
  see: "physical list",
  unknown: "physical-unknown",
  owned: true,
  seenBy: "all",
  put: {
    input: PhysicalNetworkSpec,
    // Before the networks on it.
    order: 0,
    canonical: canonicalPhysical,
    summary: "Makes or changes a physical network; networks that are on it keep their VLANs.",
  },
  remove: "own",
} as const satisfies KindRecord;

/** Ranges in order, those that meet joined. */
function canonicalPhysical(spec: PhysicalNetworkSpec, where: string): PhysicalNetworkSpec {
  if (spec.vlans === undefined) return spec;
  const vlans = spec.vlans.flatMap((text, i) => parseVlans(text, `${where}.vlans[${i}]`));
  if (vlans.length === 0)
    throw new Fault("request-invalid", {
      what: `${where}.vlans is empty`,
      where: `${where}.vlans`,
      fix: "leave it out if networks are always given their VLAN",
    });
  return { ...spec, vlans: vlansText(vlans satisfies readonly VlanRange[]) };
}
