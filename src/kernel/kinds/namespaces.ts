// Namespaces of VRFs, and the sysctls of namespaces. /proc/sys/net shows each thread the namespace it is in, so these
// files are opened inside a namespace and never by a thread of the pool.
import { readFileSync, writeFileSync } from "node:fs";
import type { Ns } from "../../datapath/kinds/kind.ts";
import { type Netns, type Sysctl, isVrfNs } from "../../datapath/kinds/namespaces.ts";
import { refuse } from "../errno.ts";
import type { Namespaces, Space } from "../namespaces.ts";
import { aloneKind } from "./kind.ts";

/** Sysctls of a new namespace that are not 0. */
const FRESH_SYSCTLS: Readonly<Record<string, string>> = {
  "ipv6/conf/default/accept_dad": "1",
  "ipv6/conf/default/accept_ra": "1",
  "bridge/bridge-nf-call-iptables": "1",
  "bridge/bridge-nf-call-ip6tables": "1",
  "bridge/bridge-nf-call-arptables": "1",
};

const standing = ({ ns }: { readonly ns: Ns }): readonly Netns[] => (isVrfNs(ns) ? [{ kind: "netns", ns }] : []);

/**
 * The namespace of a VRF. It is ours by its file's prefix and by the alias of lo, `weft:netns:<prefix>:<VRF>`: the file
 * may be another's, and two agents of one machine share /run/netns.
 */
export const netns = aloneKind<Netns>({
  way: { put: "call", remove: "namespaces" },
  call: ({ object }, namespaces) => namespaces.create(object.ns.slice("vrf:".length)),
  standing,
  fake: {
    run(machine, { op, object: { ns } }) {
      if (op === "remove") {
        if (machine.space(ns).isOurs) machine.removeSpace(ns);
        return;
      }
      machine.addSpace(ns, true);
      const { sysctls } = machine.space(ns);
      for (const key of sysctlsOf(ns)) sysctls.set(key, FRESH_SYSCTLS[key] ?? "0");
    },
    plant: (machine, { ns }) => machine.addSpace(ns, false),
    disturb: (machine, { ns }) => machine.removeSpace(ns),
    has: (space) => space !== undefined,
    standing,
  },
});

/** In a VRF's namespace. A key that is missing here is never set: it would never be observed. */
const VRF_SYSCTLS = [
  "ipv4/ip_forward",
  "ipv6/conf/all/forwarding",
  "ipv4/conf/all/rp_filter",
  "ipv4/conf/default/rp_filter",
  "ipv4/ip_no_pmtu_disc",
  "ipv6/conf/all/disable_ipv6",
  "ipv6/conf/default/accept_dad",
  "ipv6/conf/default/accept_ra",
  "bridge/bridge-nf-call-iptables",
  "bridge/bridge-nf-call-ip6tables",
  "bridge/bridge-nf-call-arptables",
];
/** In the host's: only ever turned on, never back. */
const HOST_SYSCTLS = ["ipv4/ip_forward"];

/** The sysctls of a namespace that Weft looks at, and may set; of a workload's, enableIpv6() alone writes one. */
export function sysctlsOf(ns: Ns): readonly string[] {
  if (ns === "host") return HOST_SYSCTLS;
  return ns.startsWith("vrf:") ? VRF_SYSCTLS : [];
}

/** A sysctl is Weft's if its key is one of sysctlsOf(), whatever its value. */
export const sysctl = aloneKind<Sysctl>({
  way: { put: "call", remove: "call" },
  call({ op, object: { ns, key, value } }, namespaces) {
    // What Weft no longer needs stays as it is: others may rely on it by now.
    if (op !== "remove") namespaces.inside(ns, (space) => writeSysctl(namespaces, space, key, value));
  },
  standing: ({ ns, fd }, { namespaces }) =>
    namespaces.within(fd, () =>
      sysctlsOf(ns).flatMap((key): Sysctl[] => {
        const value = valueOf(key);
        return value === undefined ? [] : [{ kind: "sysctl", ns, key, value }];
      }),
    ),
  fake: {
    run(machine, { op, object: { ns, key, value } }) {
      if (op === "remove") return;
      const { sysctls } = machine.space(ns);
      if (!sysctlsOf(ns).includes(key)) refuse("unsupported", `Weft does not set net/${key} in ${ns}`);
      sysctls.set(key, value);
    },
    plant: (machine, { ns, key, value }) => void machine.space(ns).sysctls.set(key, value),
    disturb: (machine, { ns, key, value }) => void machine.space(ns).sysctls.set(key, value === "1" ? "0" : "1"),
    has: (space, { key, value }) => space?.sysctls.get(key) === value,
    standing: ({ ns, sysctls }) => [...sysctls].map(([key, value]) => ({ kind: "sysctl", ns, key, value })),
  },
});

function valueOf(key: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/net/${key}`, "utf8").trim();
  } catch {
    // Without br_netfilter no bridged frame is called anywhere; loaded later, it begins with 1 and reads as drift.
    return isBridgeKey(key) ? "0" : undefined;
  }
}

/** Whether hooks of IP see what bridges forward, in this namespace. Read, and in the host's never changed. */
export function seesFrames(namespaces: Namespaces, { fd }: Space): boolean {
  const keys = ["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"];
  return namespaces.within(fd, () => keys.some((key) => valueOf(key) === "1"));
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
function writeSysctl(namespaces: Namespaces, space: Space, key: string, value: string): void {
  if (!sysctlsOf(space.ns).includes(key)) {
    refuse("unsupported", `Weft does not set net/${key} in the namespace ${space.ns}`);
  }
  namespaces.within(space.fd, () => {
    if (isBridgeKey(key) && valueOf(key) === value) return;
    writeFileSync(`/proc/sys/net/${key}`, value);
  });
}
