// The network namespace of a VRF: made and removed by Weft, with everything in it.
import { createHash } from "node:crypto";
import { type Ns, defineKind } from "./kind.ts";

export type Netns = { readonly kind: "netns"; readonly ns: `vrf:${string}` };

export const netns = defineKind<Netns>({
  role: "alone",
  layer: 0,
  key: ({ ns }) => `netns ${ns}`,
  print: {
    add: ({ ns }, shell) => [`ip netns add ${shell.name(ns)}`],
    set: () => [],
    remove: ({ ns }, shell) => [`ip netns delete ${shell.name(ns)}`],
  },
  examples: [{ needs: [], is: { kind: "netns", ns: "vrf:blue" } }],
});

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
