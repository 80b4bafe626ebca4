// Operations as the `ip`, `bridge`, `tc` and `nft` lines that would do the same by hand: what a plan shows, and how a
// user learns what Weft did. Weft never executes them; a shell can.
import { kindOf } from "../kinds.ts";
import type { Ns, Shell } from "../kinds/kind.ts";
import { NETNS_PREFIX, isVrfNs, netnsFile } from "../kinds/namespaces.ts";
import type { Op } from "./state.ts";

/** The lines of operations in their order. `prefix` is the `netns-prefix` of the agent on whose host they are run. */
export function printOps(ops: readonly Op[], prefix = NETNS_PREFIX): string[] {
  return ops.flatMap((op) => printOp(op, prefix));
}

/** The lines of one operation. */
export function printOp(op: Op, prefix = NETNS_PREFIX): readonly string[] {
  const { print } = kindOf(op.object);
  const shell = shellOf(prefix, op.object.ns);
  if (op.op === "set") return print.set(op.from, op.object, shell);
  return print[op.op](op.object, shell);
}

const RUN_DIR = "/run/netns/";

function shellOf(prefix: string, ns: Ns): Shell {
  const path = ns.startsWith(RUN_DIR) ? ns.slice(RUN_DIR.length) : ns;
  const name = isVrfNs(ns) ? netnsFile(prefix, ns.slice("vrf:".length)) : path;
  const [option, inside] = ns === "host" ? ["", ""] : [` -n ${name}`, `ip netns exec ${name} `];
  const at = (other: Ns) => shellOf(prefix, other);
  return { ip: `ip${option}`, bridge: `bridge${option}`, tc: `tc${option}`, inside, name, at };
}
