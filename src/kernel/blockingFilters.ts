// Which nftables chains of other programs may block tunnel packets. Pure: listings in, sentences out. A hint for
// people, not a simulation: it quotes a rule that drops the port or protocol, and a chain that drops what none of
// its rules accepts, if none of them names it.

type Chain = { readonly table: string; readonly name: string; readonly hook: string; readonly drops: boolean };

/** Of a listing by `list chains`: base chains of hooks that packets to or from this host pass. */
export function chainsIn(listing: string): readonly Chain[] {
  return baseChains(listing, /^(ingress|prerouting|input|output|postrouting|egress)$/);
}

/** Those that drop packets of IP which this host forwards and no rule accepts. */
export function droppingForward(listing: string): readonly Chain[] {
  return baseChains(listing, /^forward$/).filter(({ table, drops }) => drops && /^(ip|ip6|inet) /.test(table));
}

/** See Kernel.forwardFilters. `list` gives what nft says to a script; nothing if it refuses. */
export function forwardDrops(list: (script: string) => string, bridges: readonly string[]): readonly string[] {
  return droppingForward(list("list chains\n"))
    .filter(({ table }) => table !== "inet weft" && !namesAll(list(`list table ${table}\n`), bridges))
    .map(({ table, name }) => `chain ${name} of table ${table}`);
}

/** Whether a table has rules about each of these links, by its name or by the beginning of it. */
export function namesAll(listing: string, links: readonly string[]): boolean {
  const named = [...listing.matchAll(/[io]ifname (?:!= )?(?:\{ )?((?:"[^"]+"(?:, )?)+)/g)].flatMap(([, names = ""]) =>
    [...names.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name),
  );
  const isMeant = (link: string) => (name: string) =>
    name.endsWith("*") ? link.startsWith(name.slice(0, -1)) : name === link;
  return links.every((link) => named.some(isMeant(link)));
}

function baseChains(listing: string, wanted: RegExp): readonly Chain[] {
  const chains: Chain[] = [];
  let table = "";
  let name = "";
  for (const line of listing.split("\n")) {
    table = /^table (\S+ \S+) \{/.exec(line)?.[1] ?? table;
    name = /^\tchain (\S+) \{/.exec(line)?.[1] ?? name;
    const hook = /^\t\ttype filter hook (\S+) /.exec(line)?.[1];
    if (hook !== undefined && wanted.test(hook))
      chains.push({ table, name, hook, drops: line.includes("policy drop") });
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
