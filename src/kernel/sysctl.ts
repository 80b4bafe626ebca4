// How sysctls are read and written. /proc/sys/net shows each thread the namespace it is in,
// so these files are opened inside a namespace and never by a thread of the pool.
import { readFileSync, writeFileSync } from "node:fs";
import { Refused } from "./errno.ts";
import type { Namespaces, Space } from "./namespaces.ts";
import { sysctlsOf } from "./ownership.ts";

/** Key and value of each sysctl of this namespace that Weft cares about. */
export function readSysctls(namespaces: Namespaces, space: Space): readonly (readonly [string, string])[] {
  return namespaces.within(space.fd, () =>
    sysctlsOf(space.ns)
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

/**
 * Lets a workload's interface have IPv6 addresses if its namespace gives new interfaces none (Docker's default without
 * IPv6). Returns whether that was the case.
 */
export function enableIpv6(namespaces: Namespaces, space: Space, dev: string): boolean {
  const file = `/proc/sys/net/ipv6/conf/${dev}/disable_ipv6`;
  return namespaces.within(space.fd, () => {
    try {
      if (readFileSync(file, "utf8").trim() !== "1") return false;
      writeFileSync(file, "0");
      return true;
    } catch {
      // Without IPv6 in the kernel there is no such file.
      return false;
    }
  });
}

/** Refused `unsupported` for a key that could not be observed afterwards. */
export function writeSysctl(namespaces: Namespaces, space: Space, key: string, value: string): void {
  if (!sysctlsOf(space.ns).includes(key)) {
    throw new Refused({ class: "unsupported", message: `Weft does not set net/${key} in the namespace ${space.ns}` });
  }
  namespaces.within(space.fd, () => {
    if (isBridgeKey(key) && valueOf(key) === value) return;
    writeFileSync(`/proc/sys/net/${key}`, value);
  });
}
