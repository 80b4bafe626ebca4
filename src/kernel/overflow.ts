// Whether the kernel had no room for a neighbour. One table per family has the neighbours of all namespaces. So any
// workload that is root in its own namespace can fill it: 1,024 entries that are younger than five seconds are enough
// by default (neigh_forced_gc). Permanent entries, as all of Weft's are, are neither counted nor refused.
import { readFileSync } from "node:fs";

const TABLES = [
  { family: "IPv4", statistics: "/proc/net/stat/arp_cache", limit: "net.ipv4.neigh.default.gc_thresh3" },
  { family: "IPv6", statistics: "/proc/net/stat/ndisc_cache", limit: "net.ipv6.neigh.default.gc_thresh3" },
] as const;

/** How long a full table is reported. */
const TOLD_MS = 60_000;

/**
 * Returns a function that reports, a line per family, which tables were full within the last minute: it compares
 * counters from one call to the next. Only the machine's first network namespace shows them; elsewhere the function
 * reports nothing. `spentMs` only grows.
 */
export function neighbourOverflows(
  spentMs: () => number,
  read = (path: string): string => readFileSync(path, "utf8"),
): () => readonly string[] {
  const tables = TABLES.map((table) => ({ ...table, seen: fullOf(read, table.statistics), since: -TOLD_MS, more: 0 }));
  return () => {
    const now = spentMs();
    for (const table of tables) {
      const gained = fullOf(read, table.statistics) - table.seen;
      if (gained > 0) Object.assign(table, { seen: table.seen + gained, since: now, more: gained });
    }
    return tables.filter(({ since }) => now - since < TOLD_MS).map(lineOf);
  };
}

function lineOf({ family, limit, more }: { family: string; limit: string; more: number }): string {
  const what = `the kernel's table of ${family} neighbours, which all namespaces share, was full (${more} times)`;
  return `${what}: raise ${limit}, and gc_thresh2 with it, and look for a workload that sweeps addresses`;
}

/** A line of names, then one of hexadecimal numbers per CPU. */
function fullOf(read: (path: string) => string, path: string): number {
  let lines: string[];
  try {
    lines = read(path).trim().split("\n");
  } catch {
    return 0;
  }
  const at = lines[0]?.trim().split(/\s+/).indexOf("table_fulls") ?? -1;
  if (at < 0) return 0;
  return lines.slice(1).reduce((sum, line) => sum + Number.parseInt(line.trim().split(/\s+/)[at] ?? "0", 16), 0);
}
