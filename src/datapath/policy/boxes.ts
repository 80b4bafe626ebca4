// Geometry for interval sets: the kernel refuses elements that overlap, and rules of people often overlap. A box is an
// interval of addresses times an interval of ports (or types, or protocols), ends included.

export type Interval = { readonly first: bigint; readonly last: bigint };
export type Box = { readonly x: Interval; readonly y: Interval };

/** The same points as disjoint intervals that do not touch, in order. */
export function union(intervals: readonly Interval[]): Interval[] {
  const sorted = intervals.toSorted((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const out: { first: bigint; last: bigint }[] = [];
  for (const { first, last } of sorted) {
    const end = out.at(-1);
    if (end !== undefined && first <= end.last + 1n) end.last = last > end.last ? last : end.last;
    else out.push({ first, last });
  }
  return out;
}

/** The same points as disjoint boxes, whatever the order they came in: cut at every edge in x, merged in y. */
export function disjoint(boxes: readonly Box[]): Box[] {
  const edges = [...new Set(boxes.flatMap(({ x }) => [x.first, x.last + 1n]))].sort((a, b) => (a < b ? -1 : 1));
  const starting = Map.groupBy(boxes, ({ x }) => x.first);
  let open: readonly Box[] = [];
  const out: { x: { first: bigint; last: bigint }; ys: readonly Interval[] }[] = [];
  for (const [i, edge] of edges.entries()) {
    const next = edges[i + 1];
    open = [...open.filter(({ x }) => x.last >= edge), ...(starting.get(edge) ?? [])];
    if (next === undefined || open.length === 0) continue;
    const ys = union(open.map(({ y }) => y));
    const before = out.at(-1);
    // Neighbours with the same ports are one box.
    if (before !== undefined && before.x.last + 1n === edge && isSame(before.ys, ys)) before.x.last = next - 1n;
    else out.push({ x: { first: edge, last: next - 1n }, ys });
  }
  return out.flatMap(({ x, ys }) => ys.map((y) => ({ x, y })));
}

function isSame(a: readonly Interval[], b: readonly Interval[]): boolean {
  return a.length === b.length && a.every(({ first, last }, i) => b[i]?.first === first && b[i]?.last === last);
}
