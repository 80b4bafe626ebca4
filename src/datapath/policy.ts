// Security groups of a VRF on one host. Endpoints with the same groups share a profile: a pair of chains, found through
// the mark of the endpoint's port. So neither rules nor chains grow with endpoints.
//
// The life of a packet from a filtered endpoint here to another one here:
//   bridge prerouting   the port's mark, and whether the packet may come from there at all (spoofing.ts)
//   inet prerouting     what belongs to a known flow is marked so, and passes all that follows; of other packets, what
//                       the sender may begin (its `out` rules), by that mark
//   bridge forward      the mark becomes that of the port it leaves through; for what is routed, inet forward
//                       takes the mark of the destination's address instead, because there is no port yet
//   inet forward        what the receiver takes (its `in` rules)
// Across a tunnel the two halves happen on two hosts. Connection tracking lets answers through on both. Bridged packets
// reach the inet hooks because br_netfilter calls them (bridge-nf-call-iptables); conntrack in the bridge family would
// do without, but many kernels lack it (nf_conntrack_bridge), and one way everywhere is worth more.
import { DEFAULT_GROUP, DEFAULT_GROUP_SPEC, type SecurityGroupSpec, groupsOf, peersIn } from "../model/group.ts";
import { prefixesOf } from "../model/membership.ts";
import type { Endpoint, Network, Vrf } from "../model/resource.ts";
import { deviceName } from "./names.ts";
import { type PeerAddresses, type PlacedRule, addressesIn, intervalOf, statementsOf } from "./rules.ts";
import { declared } from "./sets.ts";
import type { World } from "./world.ts";

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

/** The bits of a mark that name a profile; 0 is unfiltered. */
export const PROFILE_BITS = 0x00ff_ffff;
/** A profile that no chain has: everything new is dropped. */
export const NO_PROFILE = 0x00ff_fffe;

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
    for (const { spec } of world.endpoints.get(network.name) ?? [])
      if (spec.host === world.self.name) note(groupsOf(network.spec, spec));
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

/** Nobody, if the network is gone. */
function networkAddresses(world: World, name: string): readonly PeerAddresses[] {
  const network = world.snapshot.networks.find((one) => one.name === name);
  return network === undefined ? [] : prefixesOf(network.spec).flatMap((cidr) => intervalOf(cidr) ?? []);
}

/** The sets of a group's members are named after it. */
export function setId(group: string): string {
  return hash24(group).toString(16).padStart(6, "0") + group.replaceAll(/[^a-zA-Z0-9]/g, "").slice(0, 12);
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
 * The part of `inet weft` that filters; empty when no endpoint of the VRF has a group. `forward` is what else is to be
 * judged where packets are forwarded: one chain is cheaper than two.
 */
export function compilePolicy(
  world: World,
  vrf: Vrf,
  networks: readonly Network[],
  forward: readonly string[],
): string {
  const policy = policyOf(world, vrf.name);
  if (policy.profiles.size === 0) return "";
  const sets = ["owners4", "owners6", ...policy.peers.flatMap(membersSets)].map(declared).join("");
  const profiles = [...policy.profiles.values()].sort((a, b) => a.id - b.id);
  const jumps = (direction: "in" | "out") => profiles.map(({ id }) => `${hex(id)} : goto ${direction}_${hex(id)}`);
  const chains = profiles.flatMap(({ id, groups, rules, keepsFlows }) =>
    (["out", "in"] as const).map((direction) =>
      chain(`${direction}_${hex(id)}`, [
        `comment "${groups.join(", ").slice(0, 100)}${keepsFlows ? ", flows kept" : ""}"`,
        ...statementsOf(rules.filter(({ rule }) => rule.direction === direction)),
        `goto denied_${direction}`,
      ]),
    ),
  );
  const closed = networks
    .filter(({ spec }) => spec.ipam === "local" && spec.spoofing?.ip !== true && spec.spoofing?.mac !== true)
    .flatMap((network) => bridgesOf(network))
    .sort();
  return (
    sets +
    DENIED +
    chains.join("") +
    // A packet that is routed takes the mark of its destination. On a routed network all addresses are of this host, so
    // one that nobody has is not let through.
    chain("routed", [
      `meta mark set 0`,
      `meta mark set ip daddr map @owners4`,
      `meta mark set ip6 daddr map @owners6`,
      ...(closed.length === 0
        ? []
        : [`meta mark 0 oifname { ${closed.map((name) => `"${name}"`).join(", ")} } goto denied_in`]),
    ]) +
    chain("policy_out", [
      "type filter hook prerouting priority mangle; policy accept;",
      `ct state established,related meta mark set ${hex(IN_FLOW)} accept`,
      `meta mark & ${hex(PROFILE_BITS)} == 0 accept`,
      "icmpv6 type { 130-133, 135, 136, 143 } accept",
      `meta mark & ${hex(PROFILE_BITS)} vmap { ${jumps("out").join(", ")} }`,
      "goto denied_out",
    ]) +
    chain("policy_in", [
      "type filter hook forward priority filter - 5; policy accept;",
      `meta mark & ${hex(IN_FLOW)} != 0 accept`,
      ...forward,
      `meta mark & ${hex(BRIDGED)} == 0 jump routed`,
      `meta mark & ${hex(PROFILE_BITS)} == 0 accept`,
      "icmpv6 type { 130-136, 143 } accept",
      `meta mark & ${hex(PROFILE_BITS)} vmap { ${jumps("in").join(", ")} }`,
      "goto denied_in",
    ]) +
    (policy.commits === "" ? "" : chain("commits", [`comment "${policy.commits.slice(0, 120)}"`]))
  );
}

/**
 * The packet belongs to a flow that was allowed, or tells of one. Set where connection tracking knows, before anything
 * is forwarded; no port's mark has it, and what comes from outside the VRF has no mark.
 */
export const IN_FLOW = 0x2000_0000;

/** Set by the bridge's forward chain: the mark is that of the port the packet leaves through. */
export const BRIDGED = 0x8000_0000;

/** Counted by address, so that an endpoint's drops can be told: 1 in, 2 out. What is over the size is dropped too. */
const DENIED = `set denied4 { type ipv4_addr . mark; size 65535; flags dynamic; counter; }
set denied6 { type ipv6_addr . mark; size 65535; flags dynamic; counter; }
chain denied_in {
  meta mark set 1
  update @denied4 { ip daddr . meta mark }
  update @denied6 { ip6 daddr . meta mark }
  drop
}
chain denied_out {
  meta mark set 2
  update @denied4 { ip saddr . meta mark }
  update @denied6 { ip6 saddr . meta mark }
  drop
}
`;

function membersSets(group: string): string[] {
  return [`members4_${setId(group)}`, `members6_${setId(group)}`];
}

function bridgesOf(network: Network): string[] {
  const slices = network.spec.slices ?? [];
  if (slices.length === 0) return [deviceName("wb", network.name)];
  return slices.map(({ bridge }) => deviceName(bridge, network.name));
}

export function chain(name: string, lines: readonly string[]): string {
  return `chain ${name} {\n${lines.map((line) => `  ${line}\n`).join("")}}\n`;
}

export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, "0")}`;
}
