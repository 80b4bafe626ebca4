// Networks: addresses on one segment, or in blocks of hosts that route to each other. What their parts mean beside
// everything else is checked by admission.
import Type from "typebox";
import { canonicalIps, formatCidr, formatIp, parseCidr, parseIp } from "../address.ts";
import { defined } from "../defined.ts";
import { DriverName, OVS_TUNNELS, PLACEMENTS } from "../driver.ts";
import { GroupNames, Spoofing } from "../group.ts";
import type { KindRecord } from "../kind.ts";
import { checkLabels, optionalLabels, someLabels } from "../labels.ts";
import { NETWORK_MTU, QUOTAS_MAX, RANGES_MAX, VNI_LAST } from "../limits.ts";
import { OFFLOADS } from "../offload.ts";
import { Qos, QosInput } from "../qos.ts";
import { AddressRange, RangeInput } from "../range.ts";
import {
  type Value,
  Description,
  Flag,
  HOSTS_MAX,
  Name,
  Text,
  Texts,
  oneOf,
  optional,
  strictObject,
} from "../schema.ts";
import { invalid } from "../shape.ts";
import { VLAN } from "../vlan.ts";

export const Subnet = strictObject({
  cidr: Text("The network's addresses, like 10.1.0.0/16."),
  hostPrefix: optional(Type.Integer({ description: "ipam local: length of the block each host gets, like 24." })),
  gateway: optional(
    Text(
      "ipam global: the gateway's address on every host; `none` for an isolated segment. Default: the first address.",
    ),
  ),
});

const Slice = strictObject({
  name: Text("What attaches ask for, like `mesos` or `docker`."),
  bridge: Text("Prefix of the bridge's name, like `m`: the bridge is `m-<network>`."),
});

const PoolLink = strictObject({
  name: Name,
  id: optional(
    Type.Integer({ minimum: 0, description: "Unique in the pool; it makes the subnets. None in a pool with spaces." }),
  ),
});

const HostAddress = strictObject({
  host: Text("Whose."),
  address: Text("With the length of the subnet's prefix, like 10.7.0.11/16."),
});

const RANGES = {
  maxItems: RANGES_MAX,
  description: "ipam global: only these addresses are given. Default: all of the subnets.",
};

/** How much of a network a tenant may have. */
const Quota = strictObject({
  tenant: Text("Whose."),
  leases: Type.Integer({
    minimum: 0,
    description: "Addresses reserved from the network for the tenant, and its endpoints in it, together.",
  }),
});

export const NetworkSpec = strictObject({
  driver: DriverName,
  ipam: oneOf(
    ["local", "global"],
    "local: each host has a block and assigns from it, hosts route to each other. " +
      "global: the server assigns, one segment over all hosts.",
  ),
  vrf: Text("Routing domain; by default the network's own name."),
  placement: optional(
    oneOf(
      PLACEMENTS,
      "own: in a namespace that each host has for the VRF. host: in the hosts' own namespace, in the one VRF that is " +
        "placed there. Default: own.",
    ),
  ),
  hosts: optional(Texts("Hosts that have the network also without endpoints; `*` is all that can have it.", HOSTS_MAX)),
  clusters: optional(
    Texts(
      "Clusters of hosts: only their hosts can carry the network, and `*` in `hosts` is all of these. " +
        "Blocks of a local network go only to them. Default: every host can.",
      256,
    ),
  ),
  clusterHosts: optional(Texts("clusters: the hosts that are in them. The server fills it in.", HOSTS_MAX)),
  restricted: optional(
    Texts(
      "Fields that its owner does not change, from the template that it was made from; see there. Left out, they stay.",
      256,
    ),
  ),
  bridge: optional(
    Text(
      "placement host: the name of its bridge on each host, like `br-mgmt`. Default: wb- and the network's name. " +
        "driver bridge, without a parent: a bridge that hosts have already, which stays as it is. driver ovs: one of " +
        "Open vSwitch. Default there: Weft makes one.",
    ),
  ),
  isolated: optional(
    Flag(
      "driver bridge: the network is an island. It shares its parent, or bridge, with other islands, and takes only " +
        "frames from the MACs of its own endpoints. Default: false.",
    ),
  ),
  device: optional(
    Text(
      "placement host, drivers vxlan and vlan: the name of the device that leads out of its bridge on each host, " +
        "like `encap-mgmt`. Default: Weft names it.",
    ),
  ),
  takeOver: optional(
    Flag(
      "placement host, drivers vxlan, vlan and bridge: hosts take over its bridge and device, with the bridge's MAC " +
        "and addresses, where another program has made them, and keep them as their own. Default: false.",
    ),
  ),
  hostAddresses: optional(
    Type.Union([Type.Literal("auto"), Type.Array(HostAddress, { maxItems: HOSTS_MAX })], {
      description:
        "placement host, without a gateway: the hosts' own addresses on the bridge, as given; or auto: the server " +
        "allocates one per subnet to each host of `hosts`.",
    }),
  ),
  allocatedAddresses: optional(
    Type.Array(HostAddress, {
      maxItems: HOSTS_MAX,
      description: "hostAddresses auto: what the server allocated. It fills this in.",
    }),
  ),
  stp: optional(Flag("Whether its bridges run the spanning tree protocol. Default: false.")),
  forwardDelay: optional(
    Type.Integer({
      minimum: 0,
      maximum: 30,
      description:
        "Seconds that a port of its bridges listens, and then learns, before it forwards: with stp at least 2. " +
        "Without it, ports forward at once. Default: 15.",
    }),
  ),
  vni: optional(
    Type.Integer({
      minimum: 1,
      maximum: VNI_LAST,
      description: "ipam global: the segment's VNI. Routed networks use their VRF's, reservations their parent's.",
    }),
  ),
  peers: optional(
    oneOf(
      ["unicast", "multicast"],
      "vxlan, ipam global: how broadcasts and frames to unknown MACs get to other hosts. unicast (default): the host " +
        "sends each a packet. multicast: one packet to a group, which the underlay has to deliver.",
    ),
  ),
  group: optional(Text("peers multicast: the group, like 239.0.16.1. Default: follows from the VNI.")),
  ttl: optional(
    Type.Integer({
      minimum: 1,
      maximum: 255,
      description:
        "peers multicast: of all tunnel packets. More than 1 where the group crosses routers. " +
        "Default: 1 to the group, and as usual to one host.",
    }),
  ),
  underlayDevice: optional(
    Text(
      "peers multicast: the hosts' device that the tunnel crosses by. Default: the one with their underlay address.",
    ),
  ),
  outsiders: optional(
    Texts(
      "peers multicast: addresses and networks of machines that are in the group and are no hosts of the cluster. " +
        "None is wider than a /8 (IPv6: /32), and together they are not more than two such.",
      256,
    ),
  ),
  parent: optional(
    Text(
      "driver vlan, bridge, ovs: the physical network that its frames cross. peers multicast: the one whose device " +
        "leads to the group.",
    ),
  ),
  tunnel: optional(
    oneOf(
      OVS_TUNNELS,
      "driver ovs: what Open vSwitch carries frames in between hosts. Default: none with a parent or bridge, else " +
        "vxlan.",
    ),
  ),
  trunks: optional(Texts("driver ovs: further VLANs whose frames pass with their tag, like 100-199.", 256)),
  vlan: optional(
    Type.Integer({
      ...VLAN,
      description:
        "driver vlan, ovs: id of its VLAN (802.1Q). Default: the lowest free one of the physical network's range.",
    }),
  ),
  outerVlan: optional(
    Type.Integer({
      ...VLAN,
      description: "driver vlan: id of a second tag around it (802.1ad, Q-in-Q). Default: none.",
    }),
  ),
  subnets: Type.Array(Subnet, {
    maxItems: 2,
    description: "At most one per family; none only if all ranges are `ether` or SLAAC, or for a reservation.",
  }),
  pool: optional(PoolLink),
  reservedFrom: optional(
    Text(
      "A reservation: the network that its ranges are pieces of. It is on the same segment, with the same VNI, " +
        "gateway and MTU; its addresses are its own.",
    ),
  ),
  tenant: optional(Text("Who a reservation is for: a name for people and quotas.")),
  quotas: optional(
    Type.Array(Quota, {
      maxItems: QUOTAS_MAX,
      description: "ipam global: what tenants may have of it. A tenant that is not listed has no limit.",
    }),
  ),
  ranges: optional(Type.Array(AddressRange, RANGES)),
  strategy: optional(
    oneOf(
      ["lowest", "next", "random"],
      "ipam global: which free address comes next. next: after the last one given. Default: lowest.",
    ),
  ),
  sticky: optional(Flag("ipam global: an owner and interface that come back get the address they had, if it is free.")),
  quarantine: optional(
    Type.Integer({
      minimum: 0,
      maximum: 31_536_000,
      description: "Seconds in which a released address goes only to its former owner. Default: 60.",
    }),
  ),
  dns: optional(Texts("Name servers that endpoints are told.", 64)),
  mtu: optional(
    Type.Integer({
      ...NETWORK_MTU,
      description: "Default: the least underlay MTU of its hosts minus the tunnel's overhead.",
    }),
  ),
  offload: optional(
    oneOf(
      OFFLOADS,
      "driver vxlan, gre: who writes the checksums of packets that enter its tunnels. on: the device that carries " +
        "them. off: the kernel (tx-checksum-ip-generic of the tunnel's device). auto (default): the device, except " +
        "on hosts that find that they arrive wrong.",
    ),
  ),
  slices: optional(
    Type.Array(Slice, {
      maxItems: 64,
      description: "ipam local: each host's block is divided evenly between these, in this order (a power of two).",
    }),
  ),
  masquerade: Flag("Whether its endpoints reach the outside under the host's address."),
  qos: optional(Qos),
  enabled: Flag("A disabled network gets no new blocks and takes no new endpoints."),
  cni: optional(
    Type.Union([Type.Boolean(), Type.Literal("portmap")], {
      description:
        "Whether hosts that are told where (`cni-dir`) keep a CNI configuration of it for container runtimes; " +
        "`portmap`: with the plugin of that name behind Weft, which publishes ports (its VRF needs `hostAccess`).",
    }),
  ),
  securityGroups: GroupNames("Groups of all its endpoints. None, here or at an endpoint: nothing is filtered."),
  spoofing: optional(Spoofing),
  labels: optionalLabels,
  description: optional(Description),
});

export const NetworkInput = strictObject({
  ...Type.Partial(NetworkSpec).properties,
  qos: optional(QosInput),
  ranges: optional(Type.Array(RangeInput, RANGES)),
  pool: optional(
    strictObject(
      {
        name: Name,
        id: optional(Type.Integer({ minimum: 0, description: "Default: the lowest whose subnets meet nothing." })),
        prefix: optional(
          Type.Integer({
            minimum: 1,
            maximum: 126,
            description: "Of a pool with spaces: length of the IPv4 subnet, or of the only one. Default: the space's.",
          }),
        ),
        prefix6: optional(Type.Integer({ minimum: 1, maximum: 126, description: "Length of the IPv6 subnet." })),
      },
      "Instead of subnets: the pool gives them. With subnets, of a pool with spaces: these of it.",
    ),
  ),
});
export type NetworkInput = Value<typeof NetworkInput>;

export const network = {
  spec: NetworkSpec,
  unknown: "network-unknown",
  owned: true,
  seenBy: "all",
  hasReservedNames: true,
  refersTo: { clusters: "hostcluster" },
  put: {
    input: NetworkInput,
    own: true,
    order: 4,
    canonical: canonicalNetwork,
    summary: "Makes or changes a network; what is left out gets its default.",
    force:
      "true: also if leases lose their range, or are on hosts outside of its clusters; these are asked to detach them.",
  },
  remove: "own",
} as const satisfies KindRecord;

function canonicalNetwork(spec: NetworkInput, where: string): NetworkInput {
  if (spec.subnets === undefined && spec.pool === undefined)
    throw invalid(`${where}.subnets`, "a value", undefined, "give it one, or a pool to take it from");
  return canonicalPart(spec, where);
}

/** Of a spec in part, as templates have it. */
export function canonicalPart(spec: NetworkInput, where: string): NetworkInput {
  const subnets = spec.subnets?.map((subnet, i) => {
    const at = `${where}.subnets[${i}]`;
    const cidr = formatCidr(parseCidr(subnet.cidr, `${at}.cidr`));
    if (subnet.gateway === undefined || subnet.gateway === "none") return { ...subnet, cidr };
    return { ...subnet, cidr, gateway: formatIp(parseIp(subnet.gateway, `${at}.gateway`)) };
  });
  const dns = spec.dns && canonicalIps(spec.dns, `${where}.dns`);
  const ranges = spec.ranges?.map(({ labels, ...range }, i) => {
    const checked = someLabels(checkLabels(labels, `${where}.ranges[${i}].labels`));
    return checked === undefined ? range : { ...range, labels: checked };
  });
  return { ...spec, ...defined({ subnets, dns, ranges, labels: checkLabels(spec.labels, `${where}.labels`) }) };
}
