// The policy as a function: may this flow begin? The kernel's tables decide about packets; this function decides about
// existing flows after the rules have changed, and shows people which rules count.
import { ipOf } from "../../model/address.ts";
import { type Rule, groupsOf, protocolNumber } from "../../model/group.ts";
import type { Network } from "../../model/resource.ts";
import { type PlacedRule, portsOf, stepNumber } from "./rules.ts";
import { type Profile, policyOf, profileKey, setId } from "./groups.ts";
import { SIDES, type Side } from "./flows.ts";
import { addressesOf } from "./spoofing.ts";
import { type World, ownEndpoints } from "../world/world.ts";

/** Addresses are canonical; a flow is in the direction in which it began. */
export type FlowView = {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly destinationPort?: number;
  readonly icmpType?: number;
};

/**
 * Judges flows of a VRF on this host by the current rules of both ends, or of the end at one side. An endpoint whose
 * groups keep their flows allows them. Undefined if nothing is filtered.
 */
export function judgeOf(world: World, vrf: string): ((flow: FlowView, side?: Side) => boolean) | undefined {
  const policy = policyOf(world, vrf);
  if (policy.profiles.size === 0) return undefined;
  const networks = world.networks.get(vrf) ?? [];
  const owners = ownersOf(world, networks, policy.profiles);
  const members = membersOf(world, networks, policy.peers);
  // If several endpoints may have an address, all of them are asked, because it is not known here which has it now.
  const objects = (side: Side, flow: FlowView) =>
    owners
      .get(side === "out" ? flow.source : flow.destination)
      ?.some(({ rules, keepsFlows }) => !keepsFlows && !allows(rules, side, flow, members)) === true;
  return (flow, only) => SIDES.every((side) => (only !== undefined && only !== side) || !objects(side, flow));
}

function ownersOf(world: World, networks: readonly Network[], profiles: ReadonlyMap<string, Profile>) {
  const owners = new Map<string, Profile[]>();
  for (const network of networks) {
    for (const { spec } of ownEndpoints(world, network.name)) {
      const profile = profiles.get(profileKey(groupsOf(network.spec, spec)));
      if (profile === undefined) continue;
      for (const address of addressesOf(spec)) owners.set(address, [...(owners.get(address) ?? []), profile]);
    }
  }
  return owners;
}

type Members = ReadonlyMap<string, ReadonlySet<string>>;

/** Addresses of the members of each group that is a peer in some rule, by the name of its sets. */
function membersOf(world: World, networks: readonly Network[], peers: readonly string[]): Members {
  const members = new Map<string, Set<string>>(peers.map((group) => [setId(group), new Set<string>()]));
  for (const network of peers.length === 0 ? [] : networks) {
    for (const { spec } of world.endpoints.get(network.name) ?? []) {
      for (const group of groupsOf(network.spec, spec)) {
        const set = members.get(setId(group));
        for (const address of addressesOf(spec)) set?.add(address);
      }
    }
  }
  return members;
}

/** The decision of one end about the first packet of a flow: the first rule that matches; without a match, deny. */
function allows(rules: readonly PlacedRule[], side: Side, flow: FlowView, members: Members): boolean {
  const peer = side === "out" ? flow.destination : flow.source;
  const [first] = rules
    .filter(({ rule }) => rule.direction === side && isService(rule, flow, peer))
    .filter((placed) => isPeer(placed, peer, members))
    .sort((a, b) => stepNumber(a) - stepNumber(b));
  return first?.rule.action === "allow";
}

function isPeer({ peers, members: group }: PlacedRule, peer: string, members: Members): boolean {
  if (group !== undefined) return members.get(group)?.has(peer) === true;
  if (peers === undefined) return true;
  const ip = ipOf(peer);
  return (
    ip !== undefined &&
    peers.some(({ family, first, last }) => family === ip.family && first <= ip.value && ip.value <= last)
  );
}

function isService(rule: Rule, flow: FlowView, peer: string): boolean {
  const protocol = protocolNumber(rule.protocol);
  if (protocol === undefined) return true;
  if (protocol !== flow.protocol) return false;
  if (rule.icmpType !== undefined) return flow.icmpType === rule.icmpType && peer.includes(":") === (protocol === 58);
  if (rule.ports === undefined) return true;
  const port = flow.destinationPort === undefined ? undefined : BigInt(flow.destinationPort);
  return port !== undefined && portsOf(rule).some(({ first, last }) => first <= port && port <= last);
}
