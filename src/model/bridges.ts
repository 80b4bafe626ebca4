// Bridges that networks of driver `bridge` share with others: one that hosts have already, or one of Weft's for all
// islands on a physical network. A network keeps a bridge of its own, with its ports and filters, and is plugged into
// the shared one by a pair of devices.
import { deviceName } from "./device.ts";
import { type DeviceFacts, factsOf } from "./physical.ts";
import type { HostSpec, NetworkSpec } from "./resource.ts";

type OnBridge = Pick<NetworkSpec, "driver" | "parent" | "bridge" | "isolated">;

/** The bridge of another program that a network is plugged into; Weft never makes, changes or removes it. */
export function bridgeOfOthers({ driver, parent, bridge }: OnBridge): string | undefined {
  return driver === "bridge" && parent === undefined ? bridge : undefined;
}

/** The bridge of Weft's that all islands on a physical network are plugged into. */
export function islandsBridge({ isolated, parent }: OnBridge): string | undefined {
  return isolated === true && parent !== undefined ? deviceName("wbi", parent) : undefined;
}

/** What a network is plugged into; undefined if its own bridge has the way out, or there is none. */
export function sharedBridge(spec: OnBridge): string | undefined {
  return bridgeOfOthers(spec) ?? islandsBridge(spec);
}

/** Why a device cannot be the bridge that a network names; undefined if it can. */
export function whyBridgeUnfit({ stp, forwardDelay }: NetworkSpec, facts: DeviceFacts): string | undefined {
  const { bridge, master } = facts;
  if (master !== undefined) return `is a port of ${master}`;
  if (bridge === undefined) return "is no bridge of Linux";
  if (bridge.vlanFiltering === true)
    return "has its ports in VLANs (vlan_filtering 1), and frames of the network have no tag";
  if (stp === true && bridge.stp !== true) return "does not run the spanning tree protocol, which the network asks for";
  if (forwardDelay !== undefined && forwardDelay !== bridge.forwardDelay)
    return `has a forward delay of ${bridge.forwardDelay} seconds, and the network asks for ${forwardDelay}`;
  return undefined;
}

/** The bridge of others on this host, where a network can be plugged into it now. */
export function bridgeOn(spec: NetworkSpec, host: Pick<HostSpec, "devices">): DeviceFacts | undefined {
  const name = bridgeOfOthers(spec);
  const facts = name === undefined ? undefined : factsOf(host, name);
  return facts === undefined || whyBridgeUnfit(spec, facts) !== undefined ? undefined : facts;
}
