// The MTU of a network in words: the number that was chosen, or the one that the underlay of its hosts leaves.
import type { Network, Snapshot } from "../../model/resource.ts";

export async function mtuText({ spec }: Network, snapshot: Snapshot): Promise<string> {
  if (spec.mtu !== undefined) return String(spec.mtu);
  const { vxlanMtu } = await import("../../datapath/world/mtu.ts");
  const carry = new Set(snapshot.vteps.filter((vtep) => vtep.spec.vrf === spec.vrf).map((vtep) => vtep.spec.host));
  const left = snapshot.hosts
    .filter(({ name }) => carry.has(name))
    .map((host) => vxlanMtu(host.spec.underlayMtu, host.spec.underlay.includes(":") ? 6 : 4));
  return left.length === 0 ? "auto: what the underlay leaves" : `auto: the underlay leaves ${Math.min(...left)}`;
}
