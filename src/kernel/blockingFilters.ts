// Which nftables chains of other programs may block tunnel packets. Pure: listings in, sentences out. A hint for
// people, not a simulation: it quotes a rule that drops the port or protocol, and a chain that drops what none of
// its rules accepts, if none of them names it.

type Chain = { readonly table: string; readonly name: string; readonly hook: string; readonly drops: boolean };

/** Of a listing by `list chains`: base chains of hooks that packets to or from this host pass. */
export function chainsIn(listing: string): readonly Chain[] {
  const chains: Chain[] = [];
  let table = "";
  let name = "";
  for (const line of listing.split("\n")) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    name = /^\tchain (\S+) \{/.exec(line)?.[1] ?? name;
    const hook = /^\t\ttype filter hook (ingress|prerouting|input|output|postrouting|egress) /.exec(line)?.[1];
    if (hook !== undefined) chains.push({ table, name, hook, drops: line.includes("policy drop") });
  }
  return chains;
}

/** What may block packets in one chain, listed by `list chain`; `words` name the packets: ports, or a protocol. */
export function blockingRules(
  { table, name, hook, drops }: Chain,
  listing: string,
  words: readonly string[],
): string[] {
  const place = `chain ${name} of table ${table} (hook ${hook})`;
  const rules = listing.split("\n").map((line) => line.trim());
  return words.flatMap((word) => {
    const named = rules.filter((rule) => new RegExp(`\\b${word}\\b`).test(rule));
    const dropping = named.filter((rule) => /\b(drop|reject)\b/.test(rule)).map((rule) => `${place}: ${rule}`);
    const isClosed = drops && (hook === "input" || hook === "output") && named.length === 0;
    return isClosed ? [`${place} drops what no rule accepts, and none names ${word}`] : dropping;
  });
}
