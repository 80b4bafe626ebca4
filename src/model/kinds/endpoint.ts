// Endpoints: interfaces of workloads in networks.
import Type from "typebox";
import { AllowedAddress, GroupNames } from "../group.ts";
import type { KindRecord } from "../kind.ts";
import { optionalLabels } from "../labels.ts";
import { Qos } from "../qos.ts";
import { ADDRESSES_MAX, Flag, Name, PATH_MAX, Text, Texts, optional, strictObject } from "../schema.ts";

/** One attachment of a workload: in a global network the server made it, in a local one the host's agent did. */
export const endpoint = {
  spec: strictObject({
    network: Name,
    host: Name,
    owner: Text("What the endpoint belongs to: a name the caller gives, a container id."),
    ifname: Text("Interface in the workload's namespace."),
    netns: Text("Path of the workload's network namespace on its host.", PATH_MAX),
    mac: Name,
    addresses: Texts("Without prefix length.", ADDRESSES_MAX),
    range: optional(Text("The address range that the lease is from.")),
    slice: optional(Name),
    workload: optional(
      Text("What the owner is an instance of: instances join and leave networks together (memberships)."),
    ),
    user: optional(Text("As its host sees it: the user who owns it, and so the workload's instance.")),
    joined: optional(Flag("Made by a membership of its workload, not by hand; it goes with the membership.")),
    defaultRoute: optional(
      Flag(
        "Whether its interface is the workload's way out; else it leads to the VRF's subnets only. Default: the " +
          "workload's first interface of Weft's, by name.",
      ),
    ),
    qos: optional(Qos),
    tenant: optional(Text("Whose quota in the network it counts for.")),
    securityGroups: GroupNames("Groups of its own, beside its network's."),
    allowedAddresses: optional(Type.Array(AllowedAddress, { maxItems: 16 })),
    labels: optionalLabels,
    detaching: optional(Flag("Its host has been asked to detach it.")),
  }),
  unknown: "endpoint-unknown",
  // Shared ones also by other hosts of the VRF: control/state/visibility.ts.
  owned: true,
  seenBy: { host: "host" },
} as const satisfies KindRecord;
