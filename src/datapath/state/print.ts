// Kernel state and operations as the `ip`, `bridge`, `tc` and `nft` lines that would do the same by hand: what a plan
// shows, what goldens hold, and how a user learns what Weft did. Weft never executes them; a shell can.
import { OBJECT_KINDS, kindOf } from "../kinds.ts";
import type { Ns, Shell } from "../kinds/kind.ts";
import { NETNS_PREFIX, isVrfNs, netnsFile } from "../kinds/netns.ts";
import { diff } from "./diff.ts";
import type { KernelState, Op } from "./state.ts";

/** A whole state, as what would build it from nothing: in the order of kinds, then by text. */
export function printState(state: KernelState, prefix = NETNS_PREFIX): string[] {
  const shell = shellOf(prefix);
  const printed = diff(new Map(), state).map((op) => {
    const lines = printWith(op, shell);
    const order = String(OBJECT_KINDS.indexOf(op.object.kind)).padStart(2, "0");
    return { text: `${order} ${lines.join(" ")}`, lines };
  });
  return printed.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0)).flatMap(({ lines }) => lines);
}

/** The lines of operations in their order. `prefix` is the `netns-prefix` of the agent on whose host they are run. */
export function printOps(ops: readonly Op[], prefix = NETNS_PREFIX): string[] {
  const shell = shellOf(prefix);
  return ops.flatMap((op) => printWith(op, shell));
}

/** The lines of one operation. */
export function printOp(op: Op, prefix = NETNS_PREFIX): string[] {
  return printOps([op], prefix);
}

function printWith(op: Op, shell: Shell): readonly string[] {
  const { print } = kindOf(op.object);
  if (op.op === "set") return print.set(op.from, op.object, shell);
  return op.op === "add" ? print.add(op.object, shell) : print.remove(op.object, shell);
}

function shellOf(prefix: string): Shell {
  const name = (ns: Ns) => {
    if (isVrfNs(ns)) return netnsFile(prefix, ns.slice("vrf:".length));
    return ns.startsWith(RUN_DIR) ? ns.slice(RUN_DIR.length) : ns;
  };
  const at = (command: string) => (ns: Ns) => (ns === "host" ? command : `${command} -n ${name(ns)}`);
  const inside = (ns: Ns) => (ns === "host" ? "" : `ip netns exec ${name(ns)} `);
  return { ip: at("ip"), bridge: at("bridge"), tc: at("tc"), inside, name };
}

const RUN_DIR = "/run/netns/";
