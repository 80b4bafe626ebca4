// What leaves a host's part of a network, and whether it has a packet mark: it would mean something else elsewhere, and
// a tunnel looks up its way anew for each packet that has one.
import assert from "node:assert/strict";
import { type Json, must } from "./cluster.ts";

/**
 * Of what the namespace itself sends, like a gateway that asks for a neighbour (docs/datapath.md): it keeps its mark
 * up to the tunnel, which takes it off on its way into the host's namespace.
 */
const OF_NAMESPACE = "0x20000000";

export type Leaving = { readonly frames: number; readonly marked: number };

const TABLE = "seen_leaving";

/** Counts frames at every device of a namespace but workloads' ports, bridges and uplinks, while `during` runs. */
export async function leaving(ns: string, during: () => Promise<unknown>): Promise<Leaving> {
  const inside = (...argv: readonly string[]) => must("ip", "netns", "exec", ns, ...argv);
  const links = JSON.parse(await inside("ip", "-d", "-j", "link")) as Json[];
  const ways = links.filter(({ ifname, ifalias = "", linkinfo }) => {
    const isInside = ["lo", "uplink"].includes(ifname) || linkinfo?.info_kind === "bridge";
    return !isInside && !ifalias.startsWith("weft:endpoint:") && !ifname.startsWith("wu-");
  });
  assert(ways.length > 0, `nothing leads out of ${ns}`);
  const chains = ways.map(
    ({ ifname }, i) =>
      `chain way${i} { type filter hook egress device "${ifname}" priority 0; ` +
      `counter; meta mark != { 0, ${OF_NAMESPACE} } counter; }\n`,
  );
  await inside("nft", `table netdev ${TABLE} { ${chains.join("")} }`);
  try {
    await during();
    const { nftables } = JSON.parse(await inside("nft", "-j", "list", "table", "netdev", TABLE)) as Json;
    const counts: [boolean, number][] = nftables.flatMap(({ rule }: Json) =>
      rule === undefined ? [] : [[rule.expr.length > 1, rule.expr.at(-1).counter.packets]],
    );
    const sum = (marked: boolean) => counts.reduce((all, [is, packets]) => all + (is === marked ? packets : 0), 0);
    return { frames: sum(false), marked: sum(true) };
  } finally {
    await inside("nft", "delete", "table", "netdev", TABLE);
  }
}
