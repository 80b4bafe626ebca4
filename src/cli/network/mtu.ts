// The MTU of a network in words: the number that was chosen, or the one that the underlay of its hosts leaves.
import { tunnelMtu } from "../../model/driver.ts";
import type { Network, Snapshot } from "../../model/resource.ts";

export function mtuText({ spec }: Network, snapshot: Snapshot): string {
  if (spec.mtu !== undefined) return String(spec.mtu);
  const carry = new Set(snapshot.vteps.filter((vtep) => vtep.spec.vrf === spec.vrf).map((vtep) => vtep.spec.host));
  const left = snapshot.hosts.filter(({ name }) => carry.has(name)).map((host) => tunnelMtu(spec.driver, host.spec));
  return left.length === 0 ? "auto: what the underlay leaves" : `auto: the underlay leaves ${Math.min(...left)}`;
}
