// VRFs: routing domains.
import Type from "typebox";
import { canonicalCidrs } from "../address.ts";
import type { KindRecord } from "../kind.ts";
import { TUNNEL_PORT, VNI_LAST } from "../limits.ts";
import { type Value, Flag, HOSTS_MAX, Text, Texts, oneOf, optional, strictObject } from "../schema.ts";

/** A routing domain: its networks may route to each other and must not overlap; two VRFs may use the same addresses. */
export const VrfSpec = strictObject({
  index: Type.Integer({ description: "Small number the server gives; each host's uplink addresses derive from it." }),
  vni: Type.Integer({
    minimum: 1,
    maximum: VNI_LAST,
    description: "VNI that carries the VRF's routed networks between hosts.",
  }),
  tunnelPort: Type.Integer({
    minimum: 1,
    maximum: 65_535,
    description: `UDP port of the tunnel (${TUNNEL_PORT} by default).`,
  }),
  vtepSubnets: Texts("Where each host's tunnel endpoint address comes from, at most one per family.", 16),
  vtepMacOui: Text(
    "First three octets of every tunnel endpoint's MAC; the last three are the low 24 bits of its IPv4 address.",
  ),
  vtepName: optional(
    Text(
      "Name of the tunnel device for routed networks, when it must be a given one (DC/OS: vtep1024). Drivers with a " +
        "device for each peer do not use it.",
    ),
  ),
  alternate: optional(
    Flag(
      "Whether its tunnel devices have their second names: each change of the tunnel port under traffic, which " +
        "needs two devices of one VNI for a while, exchanges their names. The server says it.",
    ),
  ),
  hostAccess: Flag(
    "Whether a host and the VRF reach each other: processes of the host the VRF's addresses, and workloads the " +
      "host's own sockets, other hosts and the server. Default: false.",
  ),
  placement: optional(
    oneOf(
      ["host"],
      "host: its networks are in the hosts' own namespace, with the hosts' addresses and routes; at most one VRF is. " +
        "Default: each host has a namespace of its own for the VRF.",
    ),
  ),
  kept: optional(
    Flag("Whether it stays when its last network goes: true for one that was put, not for one made with a network."),
  ),
  dcos: optional(
    strictObject({
      vtepMacOui: Text("vtep_mac_oui as it was written in config.yaml; shown again by the state endpoint."),
      vtepMtu: optional(Type.Integer()),
      masters: Texts("Addresses of hosts that are members without bridges.", HOSTS_MAX),
      agents: Texts("Addresses of the hosts that config.yaml lists as agents.", HOSTS_MAX),
    }),
  ),
});

const VrfInput = strictObject(Type.Partial(VrfSpec).properties);
type VrfInput = Value<typeof VrfInput>;

export const vrf = {
  spec: VrfSpec,
  called: "VRF",
  unknown: "vrf-unknown",
  owned: true,
  seenBy: "all",
  hasReservedNames: true,
  put: {
    input: VrfInput,
    own: true,
    order: 1,
    canonical: canonicalVrf,
    summary: "Makes or changes a routing domain; what is left out gets its default.",
  },
  remove: "own",
} as const satisfies KindRecord;

function canonicalVrf(spec: VrfInput, where: string): VrfInput {
  if (spec.vtepSubnets === undefined) return spec;
  return { ...spec, vtepSubnets: canonicalCidrs(spec.vtepSubnets, `${where}.vtepSubnets`) };
}
