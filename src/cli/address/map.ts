// A map of a network's addresses in a terminal: rows of cells, a cell for one address or for 2^k of them. A row begins
// at a round address, so that one finds an address by eye. Pure: a map in, text out. Of a local network the blocks are
// drawn, because the space around them is mostly empty.
import { cidrOf, formatIp, ipOf, lastOf } from "../../model/address.ts";
import type { BlockUse, SpaceInterval, SpaceMap } from "../../model/map.ts";
import { count, paint, type Io, type Tone } from "../io.ts";

type Screen = Pick<Io, "color" | "columns">;
type Span = { readonly first: bigint; readonly last: bigint; readonly state: string };
type Subnet = SpaceMap["subnets"][number];

/** Rows of one subnet, or of all blocks of one; more would not be looked at. */
const ROWS_MAX = 16;
const CELLS_MAX = 64;
/** Addresses of IPv6 that begin a row, and gaps; those of IPv4 are as long as the last one of all. */
const LABEL_V6 = 28;
const GAPS = 5;

/** States by what catches the eye first: of a cell with several, the first one is shown. */
const GLYPHS: readonly {
  readonly state: string;
  readonly glyph: string;
  readonly tone: Tone;
  readonly says: string;
}[] = [
  { state: "used", glyph: "█", tone: "good", says: "used" },
  { state: "held", glyph: "H", tone: "warn", says: "held" },
  { state: "reserved", glyph: "R", tone: "warn", says: "reserved" },
  { state: "quarantined", glyph: "Q", tone: "warn", says: "quarantined" },
  { state: "gateway", glyph: "G", tone: "bold", says: "gateway" },
  { state: "free", glyph: "·", tone: "dim", says: "free" },
  { state: "uncarved", glyph: "-", tone: "dim", says: "in no block" },
  { state: "excluded", glyph: "x", tone: "dim", says: "not to be given out" },
];
const OTHER = { state: "other", glyph: "?", tone: "warn", says: "other" } as const;
/** How much of a cell of several addresses is used: a little is more than nothing. */
const SHADES = ["░", "▒", "▓", "█"] as const;

export function mapText(io: Screen, map: SpaceMap): string {
  return map.subnets.map((subnet) => subnetText(io, map, subnet)).join("\n");
}

function subnetText(io: Screen, { network, ipam }: SpaceMap, subnet: Subnet): string {
  const spans = subnet.intervals.map(spanOf);
  const isLocal = ipam === "local";
  const pieces = isLocal ? subnet.blocks : [{ host: "", cidr: subnet.cidr }];
  const head = `${paint(io, "bold", network)} ${subnet.cidr}: ${usageText(subnet, spans, isLocal)}\n`;
  if (pieces.length === 0) return `${head}  no host has a block\n`;
  const rows = Math.max(1, Math.floor(ROWS_MAX / pieces.length));
  const label = labelOf(pieces.map(({ cidr }) => cidr));
  const drawn = pieces.map(({ cidr }) => draw(io, cidr, spans, { rows, label }));
  const shown = new Set(drawn.flatMap(({ cells }) => cells.map(({ state }) => state)));
  const perCell = drawn.at(-1)?.perCell ?? 1n;
  const isShort = rows === 1 && isLocal;
  const body = isShort
    ? `\n${shortRows(subnet.blocks, drawn)}`
    : drawn.map(({ text }, i) => `\n${blockTitle(subnet.blocks[i])}${text}`).join("");
  return `${head}${body}\n${legend(io, shown, perCell)}`;
}

/** A line per block. Not a table: cells may be coloured, and a table shows control characters of others. */
function shortRows(blocks: readonly BlockUse[], drawn: readonly Drawn[]): string {
  const widest = (of: (block: BlockUse) => string) => Math.max(...blocks.map((block) => of(block).length));
  const [hosts, cidrs] = [widest(({ host }) => host), widest(({ cidr }) => cidr)];
  return blocks
    .map((block, i) => {
      const name = `${block.host.padEnd(hosts)}   ${block.cidr.padEnd(cidrs)}`;
      return `  ${name}   ${drawn[i]?.glyphs ?? ""}   ${usedOf(block)}\n`;
    })
    .join("");
}

/** Columns before the cells, alike for all blocks. */
function labelOf(cidrs: readonly string[]): number {
  const lasts = cidrs.flatMap((text) => cidrOf(text) ?? []).map((cidr) => lastOf(cidr));
  if (lasts.some(({ family }) => family === 6)) return LABEL_V6;
  return Math.max(...lasts.map((ip) => formatIp(ip).length)) + GAPS;
}

function blockTitle(block: BlockUse | undefined): string {
  return block === undefined ? "" : `${block.host} ${block.cidr}: ${usedOf(block)}\n`;
}

function usedOf({ used, total }: BlockUse): string {
  return `${used} of ${amount(BigInt(total))} used`;
}

function spanOf({ first, last, state }: SpaceInterval): Span {
  return { first: ipOf(first)?.value ?? 0n, last: ipOf(last)?.value ?? 0n, state };
}

function usageText({ blocks }: Subnet, spans: readonly Span[], isLocal: boolean): string {
  const used = sum(spans, "used");
  // What is reserved is another network's to give.
  const others = ["free", "held", "quarantined"].reduce((all, state) => all + sum(spans, state), 0n);
  if (!isLocal) return `${amount(used)} of ${amount(used + others)} addresses used`;
  const total = blocks.reduce((all, block) => all + BigInt(block.total), 0n);
  return `${count(blocks.length, "block")}, ${amount(used)} of their ${amount(total)} addresses used`;
}

function sum(spans: readonly Span[], state: string): bigint {
  return spans.reduce((all, span) => all + (span.state === state ? span.last - span.first + 1n : 0n), 0n);
}

/** Beyond a million, the nearest power of two says more. */
function amount(n: bigint): string {
  return n < 1_000_000n ? String(n) : `2^${Math.round(Math.log2(Number(n)))}`;
}

/** What a cell shows: the state that catches the eye first, and how much of what could be used is. */
type Cell = { readonly state: string; readonly fill: number };
type Drawn = {
  /** Rows with their addresses. */
  readonly text: string;
  /** The first row without. */
  readonly glyphs: string;
  readonly cells: readonly Cell[];
  readonly perCell: bigint;
};

/** The cells of one network; `label` columns of each row say where it begins. */
function draw(
  io: Screen,
  text: string,
  spans: readonly Span[],
  { rows, label }: { readonly rows: number; readonly label: number },
): Drawn {
  const cidr = cidrOf(text);
  if (cidr === undefined) return { text: "", glyphs: "", cells: [], perCell: 1n };
  const { family, base } = cidr;
  const perRow = cellsPerRow(io.columns - label);
  const whole = { first: base, last: lastOf(cidr).value };
  let perCell = 1n;
  while (whole.last - whole.first + 1n > perCell * BigInt(perRow * rows)) perCell *= 2n;
  const cells = cellsOf(whole, perCell, spans);
  const lines: string[] = [];
  for (let from = 0; from < cells.length; from += perRow) {
    const address = formatIp({ family, value: base + BigInt(from) * perCell }).padEnd(label - 2);
    const row = cells.slice(from, from + perRow).map((cell) => glyphOf(io, cell, perCell));
    lines.push(`  ${address}${row.join("")}`);
  }
  const glyphs = lines[0]?.slice(label) ?? "";
  return { text: folded(lines, label), glyphs, cells, perCell };
}

/** Rows that look like the one above, but the last of them, become one line, as in a hex dump. */
function folded(lines: readonly string[], label: number): string {
  const isLike = (a: string | undefined, b: string | undefined) => a?.slice(label) === b?.slice(label);
  const shown = lines.flatMap((line, i) => {
    if (i === 0 || i === lines.length - 1 || !isLike(line, lines[i - 1]) || !isLike(line, lines[i + 1])) return [line];
    return isLike(lines[i - 1], lines[i - 2]) && i > 1 ? [] : ["  *"];
  });
  return shown.map((line) => `${line}\n`).join("");
}

/** A power of two that fits, so that rows begin at round addresses. */
function cellsPerRow(columns: number): number {
  let cells = CELLS_MAX;
  while (cells > 8 && cells > columns) cells /= 2;
  return cells;
}

function cellsOf(whole: Pick<Span, "first" | "last">, perCell: bigint, spans: readonly Span[]): Cell[] {
  const cells: Cell[] = [];
  let at = spans.findIndex((span) => span.last >= whole.first);
  for (let from = whole.first; from <= whole.last; from += perCell) {
    const end = from + perCell - 1n;
    const inside = new Map<string, bigint>();
    for (let span = spans[at]; span !== undefined && span.first <= end; span = spans[++at]) {
      const size = (span.last < end ? span.last : end) - (span.first > from ? span.first : from) + 1n;
      inside.set(span.state, (inside.get(span.state) ?? 0n) + size);
      // The rest of it is in the next cell.
      if (span.last > end) break;
    }
    cells.push(cellOf(inside));
  }
  return cells;
}

function cellOf(inside: ReadonlyMap<string, bigint>): Cell {
  const { state } = GLYPHS.find((one) => inside.has(one.state)) ?? OTHER;
  const used = inside.get("used") ?? 0n;
  const usable = used + (inside.get("free") ?? 0n);
  return { state, fill: usable === 0n ? 0 : Number((used * 1000n) / usable) / 1000 };
}

function glyphOf(io: Pick<Io, "color">, { state, fill }: Cell, perCell: bigint): string {
  const { glyph, tone } = GLYPHS.find((one) => one.state === state) ?? OTHER;
  const isShaded = state === "used" && perCell > 1n;
  return paint(io, tone, isShaded ? (SHADES[Math.floor(fill * (SHADES.length - 1))] ?? glyph) : glyph);
}

/** What the glyphs that were drawn mean. */
function legend(io: Pick<Io, "color">, shown: ReadonlySet<string>, perCell: bigint): string {
  const words = [...GLYPHS, OTHER]
    .filter(({ state }) => shown.has(state))
    .map(({ state, glyph, tone, says }) => {
      const isShaded = state === "used" && perCell > 1n;
      return `${paint(io, tone, isShaded ? SHADES.join("") : glyph)} ${says}${isShaded ? ", a little to all" : ""}`;
    });
  const cell = perCell === 1n ? "a cell is one address" : `a cell is ${amount(perCell)} addresses`;
  return `  ${words.join("   ")}   (${cell})\n`;
}
