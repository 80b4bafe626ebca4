// Devices of a host that its claim has to say something of.
import { bridgeOfOthers } from "./bridges.ts";
import { devicesNamed } from "./multicast.ts";
import { NO_DEVICE } from "./physical.ts";
import type { Snapshot } from "./resource.ts";

/**
 * Devices that this host is to say something of: those that networks name, and those that the server was told of it.
 */
export function devicesToTell(
  snapshot: Pick<Snapshot, "networks" | "hosts"> | undefined,
  host: string,
): readonly string[] {
  const set = snapshot?.hosts.find(({ name }) => name === host)?.spec.physicalSet ?? [];
  const devices = set.map(({ device }) => device).filter((device) => device !== NO_DEVICE);
  const bridges = snapshot?.networks.flatMap(({ spec }) => bridgeOfOthers(spec) ?? []) ?? [];
  return [...new Set([...devicesNamed(snapshot), ...bridges, ...devices])].sort();
}
