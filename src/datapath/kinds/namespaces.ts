// The network namespace of a VRF, made and removed by Weft with everything in it, and settings of a namespace.
import { createHash } from "node:crypto";
import { type Ns, defineKind } from "./kind.ts";

export type Netns = { readonly kind: "netns"; readonly ns: `vrf:${string}` };

export type Sysctl = {
  readonly kind: "sysctl";
  readonly ns: Ns;
  /** Below /proc/sys/net, like `ipv4/ip_forward`. */
  readonly key: string;
  readonly value: string;
};

/** A key as sysctl(8) takes it. */
const dotted = (key: string) => `net.${key.replaceAll("/", ".")}`;

export const NAMESPACE_KINDS = {
  netns: defineKind<Netns>({
    role: "alone",
    layer: 0,
    key: ({ ns }) => `netns ${ns}`,
    add: (_, { name }) => [`ip netns add ${name}`],
    remove: (_, { name }) => [`ip netns delete ${name}`],
  }),
  sysctl: defineKind<Sysctl>({
    role: "alone",
    layer: 1,
    // The kernel has no absent sysctl. Others may rely on the value by now, so it stays as it is.
    isRemovable: false,
    key: ({ ns, key }) => `sysctl ${ns} ${key}`,
    add: ({ key, value }, { inside }) => [`${inside}sysctl -w ${dotted(key)}=${value}`],
    remove: ({ key }, { inside }) => [`# ${inside}sysctl ${dotted(key)} stays as it is`],
  }),
};

/** What the names of VRF namespaces begin with unless an agent is told otherwise (`netns-prefix`). */
export const NETNS_PREFIX = "weft-";
/** Names of namespaces stay short enough to read; the hash keeps them apart. */
const NAME_MAX = 63;

/** The file of a VRF's namespace below /run/netns; `prefix` is the agent's. The same name in, the same file out. */
export function netnsFile(prefix: string, vrf: string): string {
  const whole = prefix + vrf;
  if (whole.length <= NAME_MAX && /^[a-zA-Z0-9._-]+$/.test(whole)) return whole;
  const hash = createHash("sha256").update(whole).digest("hex").slice(0, 10);
  return `${whole.replaceAll(/[^a-zA-Z0-9._-]/g, "").slice(0, NAME_MAX - hash.length - 1)}-${hash}`;
}

/** Whether a namespace is one of a VRF, made by Weft. */
export function isVrfNs(ns: Ns): ns is `vrf:${string}` {
  return ns.startsWith("vrf:");
}
