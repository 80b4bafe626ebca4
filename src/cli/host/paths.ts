// Whether packets pass between hosts, in words: for `weft status`, `weft host show`, and waits.
import { formatDuration } from "../../model/duration.ts";
import type { PairSeen, PathSeen, PathState } from "../../model/paths.ts";
import type { ClusterStatus, HostCondition } from "../../model/status.ts";
import { count, paint, type Io } from "../io.ts";
import { table } from "../output/table.ts";

const WORDS: Readonly<Record<PathState, string>> = {
  proven: "proven",
  failed: "no packets pass",
  small: "only small packets pass",
  unknown: "not proven yet",
};
const LINES_MAX = 20;

/** `h1 – h2: no packets pass (h1: no answer …)` */
export function pairText({ hosts, state, obstacles }: PairSeen): string {
  const why = obstacles.length === 0 ? "" : ` (${obstacles.join("; ")})`;
  return `${hosts.join(" – ")}: ${WORDS[state]}${why}`;
}

/** What `weft status` says of pairs that are not proven. */
export function unprovenLines(io: Pick<Io, "color">, { paths }: ClusterStatus): string[] {
  const unproven = paths?.unproven ?? [];
  const lines = unproven
    .slice(0, LINES_MAX)
    .map((pair) => `${paint(io, pair.state === "unknown" ? "warn" : "bad", "path")} ${pairText(pair)}\n`);
  const more = unproven.length - lines.length;
  return more > 0 ? [...lines, `and ${count(more, "more path")}: weft status -o json\n`] : lines;
}

/** The same of the groups of networks with multicast peers. */
export function undeliveredLines(io: Pick<Io, "color">, { groups = [] }: ClusterStatus): string[] {
  return groups.flatMap(({ network, unproven }) => {
    const tell = (pair: PairSeen) => `${paint(io, pair.state === "unknown" ? "warn" : "bad", "group")} of ${network}, `;
    const lines = unproven.slice(0, LINES_MAX).map((pair) => `${tell(pair)}${deliveryText(pair)}\n`);
    const more = unproven.length - lines.length;
    return more > 0 ? [...lines, `and ${count(more, "more pair")} of ${network}: weft status -o json\n`] : lines;
  });
}

const GROUP_WORDS: Readonly<Record<PathState, string>> = {
  proven: "delivered",
  failed: "not delivered",
  small: "only small packets are delivered",
  unknown: "not known yet",
};

/** `h1 – h2: not delivered (h1: …)` */
export function deliveryText({ hosts, state, obstacles }: PairSeen): string {
  const why = obstacles.length === 0 ? "" : ` (${obstacles.join("; ")})`;
  return `${hosts.join(" – ")}: ${GROUP_WORDS[state]}${why}`;
}

/** `, 2 of 3 paths proven`; nothing where no two hosts share a VRF. */
export function provenText({ paths }: ClusterStatus): string {
  return paths === undefined ? "" : `, ${paths.proven} of ${count(paths.pairs, "path")} proven`;
}

/** The peers of one host, by its own report. */
export function pathsTable(io: Io, { status }: Pick<HostCondition, "status">): string {
  const { peers = 0, named = [] } = status?.paths ?? {};
  if (peers === 0) return "";
  const rows = named.map(({ host, state, sinceMs, obstacle }: PathSeen) => [
    host,
    { text: WORDS[state], tone: TONES[state] },
    formatDuration(io.clock.nowMs() - sinceMs),
    obstacle ?? "",
  ]);
  const more = peers - named.length;
  return `\n${table(io, ["PEER", "PATH", "SINCE", "WHY"], rows)}${more > 0 ? `and ${count(more, "more peer")}\n` : ""}`;
}

const TONES = { proven: "good", failed: "bad", small: "bad", unknown: "warn" } as const;
