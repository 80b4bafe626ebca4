// What one endpoint is in the kernel: the same objects that a round compiles for it. Pure.
import { compileEndpoint } from "../../datapath/network/endpoint.ts";
import { compileShaping } from "../../datapath/network/shaping.ts";
import { policyOf } from "../../datapath/policy/groups.ts";
import { endpointElements, lacksProfile, membershipOf } from "../../datapath/policy/spoofing.ts";
import type { KernelObject } from "../../datapath/kinds.ts";
import { type EndpointLayout, layoutOf } from "../../datapath/world/layout.ts";
import { ofSegmentOwner } from "../../datapath/world/reservations.ts";
import type { Endpoint, EndpointSpec } from "../../model/resource.ts";
import type { Journal } from "../journal/journal.ts";
import type { NetworkContext } from "./networkContext.ts";

/** `layout` is undefined and there are no objects if no segment of this host has the endpoint's addresses. */
export type Compiled = { readonly layout: EndpointLayout | undefined; readonly objects: readonly KernelObject[] };

/** `netnsId`: the namespace that the journal has for it, or will have. Other interfaces there decide who has routes. */
export function compiled(
  context: NetworkContext,
  endpoint: Endpoint,
  journal: Pick<Journal, "entries" | "inNetns">,
  netnsId = journal.entries.get(endpoint.name)?.netnsId,
): Compiled {
  const { vrf, segmentOwner, mtu, segments } = context;
  const beside: EndpointSpec[] = [];
  for (const entry of netnsId === undefined ? [] : journal.inNetns(netnsId)) {
    if (entry.endpoint.spec.netns === endpoint.spec.netns && entry.state === "attached")
      beside.push(ofSegmentOwner(entry.endpoint, context.world.segmentOwners).spec);
  }
  const world = { ...context.world, interfaces: new Map([[endpoint.spec.netns, beside]]) };
  const atOwner = ofSegmentOwner(endpoint, world.segmentOwners);
  const layout = layoutOf(segments, atOwner.spec);
  const [port, ...rest] = compileEndpoint(world, { vrf, layout, mtu }, atOwner);
  if (port === undefined) return { layout, objects: [] };
  const limits = compileShaping(vrf, segmentOwner, atOwner, mtu);
  return { layout, objects: [...elementsOf(context, atOwner), port, ...limits, ...rest] };
}

/**
 * The endpoint's elements in the sets of its VRF: without them its port passes nothing. `endpoint` is one
 * of the segment owner.
 */
export function elementsOf({ world, vrf, segmentOwner }: NetworkContext, endpoint: Endpoint): KernelObject[] {
  return [
    ...endpointElements(world, vrf, segmentOwner, endpoint),
    ...membershipOf(vrf, segmentOwner, endpoint, policyOf(world, vrf.name).peers),
  ];
}

/** Whether an attach may apply the objects itself: the tables have its rules, and no other may have its addresses. */
export function canFastPath(objects: readonly KernelObject[], { spec }: Endpoint): boolean {
  return spec.allowedAddresses === undefined && !objects.some(lacksProfile);
}
