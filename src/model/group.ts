// Security groups: who may talk to whom. A group is a list of rules; an endpoint's effective rules are the union of the
// groups of its network and its own. Without any group nothing is filtered; with one, what no rule allows is dropped.
// Answers to what was allowed always pass. Here are the words, the built-in group `default`, and which groups count.
import Type from "typebox";
import {
  type Value,
  Description,
  Flag,
  HOSTS_MAX,
  NAME_MAX,
  Name,
  Text,
  oneOf,
  optional,
  strictObject,
} from "./schema.ts";

/** Security groups of one endpoint, range or network. */
export const GROUPS_MAX = 32;
/** Names of groups, as networks, ranges and endpoints have them. */
export const GroupNames = (description: string) => optional(Type.Array(Name, { maxItems: GROUPS_MAX, description }));

const Port = Type.Union([
  Type.Integer({ minimum: 0, maximum: 65_535 }),
  Text("A range like 80-90 or 80:90, first to last; also several, like 22,80:90."),
]);

/** Exactly one of its forms; admission says which are missing or too many. */
const Peer = strictObject({
  cidr: optional(Text("A network like 10.0.0.0/8, or one address.")),
  first: optional(Text("First of `size` consecutive addresses.")),
  size: optional(Type.Integer({ minimum: 1, description: "How many addresses from `first` on." })),
  network: optional(Text("All addresses of a network, whatever it has at the moment.")),
  group: optional(Text("The endpoints that a group is assigned to, wherever they are.")),
});

const Rule = strictObject({
  direction: oneOf(["in", "out"], "Seen from the endpoint: in is what others begin, out what it begins."),
  action: oneOf(["allow", "deny"]),
  priority: optional(
    Type.Integer({
      minimum: 0,
      maximum: 1000,
      description: "Smaller is asked first; of equals deny wins. Default 500.",
    }),
  ),
  protocol: Type.Union([Name, Type.Integer({ minimum: 0, maximum: 255 })], {
    description: "all, tcp, udp, icmp, icmpv6, ipsec (ESP), in any case, or the number of an IP protocol.",
  }),
  ports: optional(
    Type.Array(Port, {
      minItems: 1,
      maxItems: 256,
      description: "tcp and udp: destination ports and ranges. Default: all.",
    }),
  ),
  icmpType: optional(Type.Integer({ minimum: 0, maximum: 255, description: "icmp and icmpv6: only this type." })),
  peer: optional(Peer),
  log: optional(Flag("What it decides is logged by the kernel, at most ten a second.")),
  description: optional(Text(undefined, NAME_MAX)),
});

export const SecurityGroupSpec = strictObject({
  rules: Type.Array(Rule, { maxItems: 5000 }),
  keepFlows: optional(Flag("Flows that a change no longer allows go on until they end. Default: they are cut.")),
  commits: optional(
    Type.Record(Name, Type.Integer({ minimum: 1 }), {
      maxProperties: HOSTS_MAX + 1,
      description: "How often hosts were told to load it again, by host; * is all. The server counts.",
    }),
  ),
  description: optional(Description),
});

/** What a network's endpoints may send; all is refused unless it is said here. */
export const Spoofing = strictObject({
  mac: optional(Flag("Any source MAC, and so any address.")),
  ip: optional(Flag("Any source address, in IP, ARP and neighbour discovery.")),
  dhcpServer: optional(Flag("Answers of a DHCP server.")),
  routerAdvertisements: optional(Flag("IPv6 router advertisements and redirects.")),
  broadcasts: optional(Flag("More than 2,000 broadcasts and multicasts a second.")),
  tags: optional(Flag("Frames with one tag of a VLAN, which are filtered by what is behind it.")),
});

/** A further address of an endpoint: a virtual IP it may have at the moment. */
export const AllowedAddress = strictObject({
  address: Text("One address, without prefix length."),
  mac: optional(Text("With this source MAC; default: the endpoint's own.")),
});

export type SecurityGroupSpec = Value<typeof SecurityGroupSpec>;
export type Rule = SecurityGroupSpec["rules"][number];
export type Peer = NonNullable<Rule["peer"]>;
export type Spoofing = Value<typeof Spoofing>;
export type AllowedAddress = Value<typeof AllowedAddress>;

/** The group that is always there. */
export const DEFAULT_GROUP = "default";
/** Its rules until they are changed. */
export const DEFAULT_GROUP_SPEC: SecurityGroupSpec = {
  rules: [
    { direction: "in", action: "allow", protocol: "all" },
    { direction: "out", action: "allow", protocol: "all" },
  ],
  description: "Allows everything.",
};

export const PRIORITY_DEFAULT = 500;
/** IP protocol numbers (IANA) of the names that a rule may have. */
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["tcp", 6],
  ["udp", 17],
  ["ipsec", 50],
  ["icmpv6", 58],
]);
export const PROTOCOL_NAMES: readonly string[] = ["all", ...PROTOCOLS.keys()];

/** Undefined for `all`; NaN for a name that is none. */
export function protocolNumber(protocol: Rule["protocol"]): number | undefined {
  if (typeof protocol === "number") return protocol;
  return protocol === "all" ? undefined : (PROTOCOLS.get(protocol) ?? Number.NaN);
}

type Assigned = { readonly securityGroups?: readonly string[] };
type AssignedNetwork = Assigned & { readonly ranges?: readonly (Assigned & { readonly name: string })[] };

/** Names of the groups that count for an endpoint: its network's, range's and own, each once, in order of name. */
export function groupsOf(
  network: AssignedNetwork | undefined,
  endpoint: Assigned & { readonly range?: string },
): readonly string[] {
  const own = endpoint.securityGroups;
  const shared = network?.securityGroups;
  const ranged =
    endpoint.range === undefined
      ? undefined
      : network?.ranges?.find(({ name }) => name === endpoint.range)?.securityGroups;
  if ((own?.length ?? 0) + (ranged?.length ?? 0) === 0 && (shared?.length ?? 0) <= 1) return shared ?? [];
  return [...new Set([...(shared ?? []), ...(ranged ?? []), ...(own ?? [])])].sort();
}

/** Groups that some rule of these names as its peer. */
export function peersIn(spec: SecurityGroupSpec): readonly string[] {
  return spec.rules.flatMap((rule) => rule.peer?.group ?? []);
}
