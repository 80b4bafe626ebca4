// Security groups of a VRF on one host. Endpoints with the same groups share a profile: a pair of chains, found through
// the mark of the endpoint's port. So neither rules nor chains grow with endpoints.
//
// All of it is in the bridge family, because what a workload sends comes in through a port, and what it gets goes out
// through one, bridged or routed. The life of a packet from a filtered endpoint here to another one here:
//   bridge prerouting    the port's mark, and whether the packet may come from there at all (spoofing.ts); whether it
//                        belongs to a flow that was allowed (flows.ts), or may begin one (the sender's `out` rules)
//   bridge postrouting   the same for the port it leaves through: a known flow, or one that the receiver takes (`in`)
// Across a tunnel the two halves happen on two hosts.
import { createHash } from "node:crypto";
import type { Family } from "../../model/address.ts";
import { DEFAULT_GROUP, DEFAULT_GROUP_SPEC, type SecurityGroupSpec, groupsOf, peersIn } from "../../model/group.ts";
import { prefixesOf } from "../../model/carrying.ts";
import type { Endpoint, Network } from "../../model/resource.ts";
import { SIDES, type Side, flowChains, flowSets } from "./flows.ts";
import { type PeerAddresses, type PlacedRule, addressesIn, intervalOf, statementsOf } from "./rules.ts";
import { declared } from "../kinds/tables.ts";
import {
  FAMILIES,
  KNOWN,
  NOT_TO_PORT,
  NO_PROFILE,
  OF_GATEWAY,
  PROFILE_BITS,
  TAGS,
  chain,
  has,
  hex,
  lacks,
} from "./tableParts.ts";
import { type World, ownEndpoints } from "../world/world.ts";

/** What a set of groups says. */
export type Profile = {
  readonly id: number;
  readonly groups: readonly string[];
  readonly rules: readonly PlacedRule[];
  /** Whether flows that a change no longer allows go on. */
  readonly keepsFlows: boolean;
};

export type Policy = {
  /** By `profileKey`; empty when nothing in the VRF is filtered here. */
  readonly profiles: ReadonlyMap<string, Profile>;
  /** Groups whose members the rules ask for, in order. */
  readonly peers: readonly string[];
  /** The tables' part of it changes when a commit of a group says so. */
  readonly commits: string;
};

/** By an index of the world that its copies share. */
const policies = new WeakMap<World["networks"], Map<string, Policy>>();

/** The policy of a VRF on the world's host. */
export function policyOf(world: World, vrf: string): Policy {
  let known = policies.get(world.networks);
  if (known === undefined) policies.set(world.networks, (known = new Map()));
  let policy = known.get(vrf);
  if (policy === undefined) known.set(vrf, (policy = makePolicy(world, vrf)));
  return policy;
}

function makePolicy(world: World, vrf: string): Policy {
  const networks = world.networks.get(vrf) ?? [];
  const keys = new Map<string, readonly string[]>();
  const note = (groups: readonly string[]) => {
    if (groups.length > 0) keys.set(profileKey(groups), groups);
  };
  for (const network of networks) {
    for (const range of [undefined, ...(network.spec.ranges ?? []).map(({ name }) => name)])
      note(groupsOf(network.spec, range === undefined ? {} : { range }));
    for (const { spec } of ownEndpoints(world, network.name)) note(groupsOf(network.spec, spec));
  }
  const profiles = new Map<string, Profile>();
  const taken = new Set<number>([0, NO_PROFILE]);
  for (const key of [...keys.keys()].sort()) {
    const groups = keys.get(key) ?? [];
    let id = hash24(key);
    while (taken.has(id)) id = (id + 1) & PROFILE_BITS;
    taken.add(id);
    const specs = groups.map((name) => ({ name, spec: specOf(world, name) }));
    const rules = specs.flatMap(({ name, spec }) => placedRules(world, name, spec));
    profiles.set(key, { id, groups, rules, keepsFlows: specs.some(({ spec }) => spec.keepFlows === true) });
  }
  const used = new Set([...keys.values()].flat());
  const peers = [...new Set([...used].flatMap((name) => peersIn(specOf(world, name))))].sort();
  const commits = [...used].sort().flatMap((name) => {
    const { commits: counts = {} } = specOf(world, name);
    const count = (counts["*"] ?? 0) + (counts[world.self.name] ?? 0);
    return count === 0 ? [] : [`${name} ${count}`];
  });
  return { profiles, peers, commits: commits.join(", ") };
}

/** Equal for equal lists. Names have no commas. */
export function profileKey(groups: readonly string[]): string {
  return groups.join(",");
}

/** A group that is not there says nothing, so everything is dropped. */
function specOf(world: Pick<World, "groups">, name: string): SecurityGroupSpec {
  return world.groups.get(name)?.spec ?? (name === DEFAULT_GROUP ? DEFAULT_GROUP_SPEC : { rules: [] });
}

function placedRules(world: World, group: string, spec: SecurityGroupSpec): PlacedRule[] {
  return spec.rules.map((rule, index): PlacedRule => {
    const placed = { group, index, rule };
    if (rule.peer === undefined) return placed;
    if (rule.peer.group !== undefined) return { ...placed, members: setId(rule.peer.group) };
    if (rule.peer.network !== undefined) return { ...placed, peers: networkAddresses(world, rule.peer.network) };
    const addresses = addressesIn(rule.peer);
    return { ...placed, peers: addresses === undefined ? [] : [addresses] };
  });
}

/** Empty if the network is gone. */
function networkAddresses(world: World, name: string): readonly PeerAddresses[] {
  const network = world.snapshot.networks.find((one) => one.name === name);
  return network === undefined ? [] : prefixesOf(network.spec).flatMap((cidr) => intervalOf(cidr) ?? []);
}

/** Of a set's name, whole; nft takes 255 characters. */
const SET_GROUP_MAX = 200;

/**
 * The sets of a group's members are named after it: by its name, which nft takes as it is, because a name that is cut
 * and hashed can be met by another on purpose. Only a very long one is, and no name has a slash.
 */
export function setId(group: string): string {
  if (group.length <= SET_GROUP_MAX) return group;
  return `${group.slice(0, SET_GROUP_MAX - 65)}/${createHash("sha256").update(group).digest("hex")}`;
}

/** The set of the addresses of a group's members. */
export function membersSet(group: string, family: Family): string {
  return `members${family}_${setId(group)}`;
}

/** 24 bits (FNV-1a, folded). */
function hash24(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return ((hash >>> 24) ^ hash) & PROFILE_BITS;
}

/** What one endpoint's port is marked with: its profile, 0 without groups. */
export function profileOf(policy: Policy, network: Network, spec: Endpoint["spec"]): number {
  const groups = groupsOf(network.spec, spec);
  if (groups.length === 0) return 0;
  // An endpoint whose profile the tables do not have yet is not let through until they do.
  return policy.profiles.get(profileKey(groups))?.id ?? NO_PROFILE;
}

/**
 * The part of `bridge weft` that filters: chains `out4` and `out6`, to which what a port sends is handed on, and the
 * hook for what leaves through a port. Empty when no endpoint of the VRF has a group. `sent`: what is done with a
 * packet that its sender's rules allow.
 */
export function compilePolicy(policy: Policy, sent: string, place: "host" | "own"): string {
  if (policy.profiles.size === 0) return "";
  const sets = policy.peers.flatMap((group) => FAMILIES.map((family) => declared(membersSet(group, family)))).join("");
  const profiles = [...policy.profiles.values()].sort((a, b) => a.id - b.id);
  const jumps = (side: Side) => profiles.map(({ id }) => `${hex(id)} : goto ${side}_${hex(id)}`).join(", ");
  const judged = (side: Side) => [`meta mark & ${hex(PROFILE_BITS)} vmap { ${jumps(side)} }`, `goto denied_${side}`];
  const chains = profiles.flatMap(({ id, groups, rules, keepsFlows }) =>
    SIDES.map((side) =>
      chain(`${side}_${hex(id)}`, [
        `comment "${groups.join(", ").slice(0, 100)}${keepsFlows ? ", flows kept" : ""}"`,
        ...statementsOf(rules.filter(({ rule }) => rule.direction === side)),
        `goto denied_${side}`,
      ]),
    ),
  );
  const port = ["meta mark set 0", "meta mark set oifname map @ports"];
  return (
    sets +
    flowSets() +
    REFUSALS +
    flowChains({ out: sent, in: "accept" }) +
    chains.join("") +
    chain("begin_out", judged("out")) +
    chain("begin_in", [
      // Errors and answers of the gateway, which is not an endpoint.
      // In the host's own namespace the other bits are the host's.
      place === "host" ? `${has(OF_GATEWAY)} accept` : `meta mark ${hex(OF_GATEWAY)} accept`,
      ...port,
      `${lacks(KNOWN)} goto refused_1`,
      `${lacks(PROFILE_BITS)} accept`,
      ...judged("in"),
    ]) +
    chain("postrouting", [
      "type filter hook postrouting priority 0; policy accept;",
      `${NOT_TO_PORT} accept`,
      "ether type ip goto in4",
      "ether type ip6 goto in6",
      "ether type arp accept",
      ...port,
      `${lacks(PROFILE_BITS)} accept`,
      `${has(TAGS)} meta protocol vmap { ip : goto in4, ip6 : goto in6, arp : accept }`,
      "goto refused_9",
    ]) +
    (policy.commits === "" ? "" : chain("commits", [`comment "${policy.commits.slice(0, 120)}"`]))
  );
}

/** A chain of the VRF's `inet weft`, for groups: what its namespace itself sends is told by its mark. */
export const GATEWAY_OUTPUT = chain("output", [
  "type filter hook output priority filter; policy accept;",
  `meta mark set ${hex(OF_GATEWAY)}`,
]);

/** Where chains of flows.ts and of rules send what does not pass, counted with its reason by the port it is about. */
const REFUSALS =
  chain("tally_in", ["update @drops { oifname . meta mark }", "drop"]) +
  [1, 9, 11, 12, 13]
    .map((reason) => chain(`refused_${reason}`, [`meta mark set ${reason}`, "goto tally_in"]))
    .join("") +
  chain("denied_out", ["goto drop_10"]) +
  chain("denied_in", ["goto refused_11"]) +
  chain("full_out", ["goto drop_12"]) +
  chain("full_in", ["goto refused_12"]) +
  chain("options_out", ["goto drop_13"]) +
  chain("options_in", ["goto refused_13"]);
