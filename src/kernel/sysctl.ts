// The sysctls that Weft ever sets, and how they are read and written. /proc/sys/net shows each thread the namespace it is in,
// so these files are opened inside a namespace and never by a thread of the pool.
import { readFileSync, writeFileSync } from "node:fs";
import { Refused } from "./errno.ts";
import type { Namespaces, Space } from "./namespaces.ts";

/** In a VRF's namespace. A key that is missing here cannot be set: it would never be observed. */
const VRF_KEYS = [
  "ipv4/ip_forward",
  "ipv6/conf/all/forwarding",
  "ipv4/conf/all/rp_filter",
  "ipv4/conf/default/rp_filter",
  "ipv6/conf/all/disable_ipv6",
  "ipv6/conf/default/accept_dad",
  "ipv6/conf/default/accept_ra",
  "bridge/bridge-nf-call-iptables",
  "bridge/bridge-nf-call-ip6tables",
  "bridge/bridge-nf-call-arptables",
] as const;
/** In the host's: whatever they are, they are only ever turned on, never back. */
const HOST_KEYS = ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] as const;

function keysOf(space: Space): readonly string[] {
  if (space.ns === "host") return HOST_KEYS;
  return space.ns.startsWith("vrf:") ? VRF_KEYS : [];
}

/** Key and value of each sysctl of this namespace that Weft cares about. */
export function readSysctls(namespaces: Namespaces, space: Space): readonly (readonly [string, string])[] {
  return namespaces.within(space.fd, () =>
    keysOf(space)
      .map((key) => [key, valueOf(key)] as const)
      .filter((pair): pair is readonly [string, string] => pair[1] !== undefined),
  );
}

function valueOf(key: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/net/${key}`, "utf8").trim();
  } catch {
    // Without br_netfilter no bridged frame is called anywhere; loaded later, it begins with 1 and reads as drift.
    return isBridgeKey(key) ? "0" : undefined;
  }
}

function isBridgeKey(key: string): boolean {
  return key.startsWith("bridge/");
}

/** Refused `unsupported` for a key that could not be observed afterwards. */
export function writeSysctl(namespaces: Namespaces, space: Space, key: string, value: string): void {
  if (!keysOf(space).includes(key)) {
    throw new Refused({ class: "unsupported", message: `Weft does not set net/${key} in the namespace ${space.ns}` });
  }
  namespaces.within(space.fd, () => {
    if (isBridgeKey(key) && valueOf(key) === value) return;
    writeFileSync(`/proc/sys/net/${key}`, value);
  });
}
