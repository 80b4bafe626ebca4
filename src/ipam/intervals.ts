// Which values of a space are used, as disjoint intervals. Adjacent intervals are merged, so a space that is filled
// lowest first is one interval however full it is, and the lowest free value is one lookup. Intervals are in short
// sorted chunks: in the worst case, 100,000 scattered values, an insertion still moves only some hundred numbers.
// Values are bigint, so that one index serves IPv4, IPv6, VNIs and every other counted space.
import { lastWhere } from "./sorted.ts";

export type Interval = { readonly first: bigint; readonly last: bigint };

/** What an allocation asks about used values; a host's journal can answer it as well as an index. */
export interface Used {
  has(value: bigint): boolean;
  /** The lowest value that is not used, `from` or above. */
  nextFree(from: bigint): bigint;
}
/** What a search for a run of free values asks besides. */
export interface UsedRuns extends Used {
  /** The lowest used value, `from` or above. */
  nextUsed(from: bigint): bigint | undefined;
}
export const NOTHING_USED: UsedRuns = { has: () => false, nextFree: (from) => from, nextUsed: () => undefined };

type Chunk = { readonly firsts: bigint[]; readonly lasts: bigint[] };
/** Interval `i` of chunk `c`; `i` is -1 for "before the first of all". */
type ChunkIndex = { readonly c: number; readonly i: number };

const CHUNK_MAX = 512;

export class Intervals implements UsedRuns {
  #chunks: Chunk[] = [{ firsts: [], lasts: [] }];
  #count = 0n;

  /** How many values are used. */
  get count(): bigint {
    return this.#count;
  }

  has(value: bigint): boolean {
    const interval = this.#at(this.#locate(value));
    return interval !== undefined && interval.last >= value;
  }

  nextFree(from: bigint): bigint {
    const interval = this.#at(this.#locate(from));
    return interval !== undefined && interval.last >= from ? interval.last + 1n : from;
  }

  nextUsed(from: bigint): bigint | undefined {
    const place = this.#locate(from);
    const interval = this.#at(place);
    return interval !== undefined && interval.last >= from ? from : this.#at(this.#after(place))?.first;
  }

  /** How many values from `first` to `last` are used; looks at each interval between them. */
  countIn(first: bigint, last: bigint): bigint {
    let sum = 0n;
    for (let place = this.#locate(first); ; place = this.#after(place)) {
      const interval = place.i < 0 ? undefined : this.#at(place);
      if (interval === undefined && place.i >= 0) return sum;
      if (interval === undefined || interval.last < first) continue;
      if (interval.first > last) return sum;
      sum += (interval.last < last ? interval.last : last) - (interval.first > first ? interval.first : first) + 1n;
    }
  }

  /** Marks `first` to `last` used; false, and nothing changed, if one of them is already. */
  take(first: bigint, last: bigint = first): boolean {
    const place = this.#locate(first);
    const left = this.#at(place);
    const rightPlace = this.#after(place);
    const right = this.#at(rightPlace);
    if ((left !== undefined && left.last >= first) || (right !== undefined && right.first <= last)) return false;
    const joinsLeft = left !== undefined && left.last + 1n === first;
    const joinsRight = right !== undefined && last + 1n === right.first;
    if (joinsLeft && joinsRight) {
      this.#setLast(place, right.last);
      this.#remove(rightPlace);
    } else if (joinsLeft) this.#setLast(place, last);
    else if (joinsRight) this.#setFirst(rightPlace, first);
    else this.#insertAfter(place, first, last);
    this.#count += last - first + 1n;
    return true;
  }

  /** Marks `first` to `last` free; false, and nothing changed, unless all of them are used. */
  release(first: bigint, last: bigint = first): boolean {
    const place = this.#locate(first);
    const interval = this.#at(place);
    if (interval === undefined || interval.last < last) return false;
    if (interval.first === first && interval.last === last) this.#remove(place);
    else if (interval.first === first) this.#setFirst(place, last + 1n);
    else {
      this.#setLast(place, first - 1n);
      if (interval.last > last) this.#insertAfter(place, last + 1n, interval.last);
    }
    this.#count -= last - first + 1n;
    return true;
  }

  /** Used intervals in ascending order; no two touch. */
  *[Symbol.iterator](): Generator<Interval> {
    for (let place = this.#after({ c: 0, i: -1 }); ; place = this.#after(place)) {
      const interval = this.#at(place);
      if (interval === undefined) return;
      yield interval;
    }
  }

  /** The interval with the greatest `first` that is not above `value`. */
  #locate(value: bigint): ChunkIndex {
    const isNotAbove = (first: bigint | undefined) => first !== undefined && first <= value;
    const c = Math.max(
      0,
      lastWhere(this.#chunks.length, (n) => isNotAbove(this.#chunks[n]?.firsts[0])),
    );
    const firsts = this.#chunks[c]?.firsts ?? [];
    return { c, i: lastWhere(firsts.length, (n) => isNotAbove(firsts[n])) };
  }

  #at({ c, i }: ChunkIndex): Interval | undefined {
    const first = this.#chunks[c]?.firsts[i];
    const last = this.#chunks[c]?.lasts[i];
    return first === undefined || last === undefined ? undefined : { first, last };
  }

  #after({ c, i }: ChunkIndex): ChunkIndex {
    return i + 1 < (this.#chunks[c]?.firsts.length ?? 0) ? { c, i: i + 1 } : { c: c + 1, i: 0 };
  }

  #setFirst({ c, i }: ChunkIndex, value: bigint): void {
    const chunk = this.#chunks[c];
    if (chunk !== undefined) chunk.firsts[i] = value;
  }

  #setLast({ c, i }: ChunkIndex, value: bigint): void {
    const chunk = this.#chunks[c];
    if (chunk !== undefined) chunk.lasts[i] = value;
  }

  #insertAfter({ c, i }: ChunkIndex, first: bigint, last: bigint): void {
    const chunk = this.#chunks[c];
    if (chunk === undefined) return;
    chunk.firsts.splice(i + 1, 0, first);
    chunk.lasts.splice(i + 1, 0, last);
    if (chunk.firsts.length <= CHUNK_MAX) return;
    const half = CHUNK_MAX / 2;
    this.#chunks.splice(c + 1, 0, { firsts: chunk.firsts.splice(half), lasts: chunk.lasts.splice(half) });
  }

  #remove({ c, i }: ChunkIndex): void {
    const chunk = this.#chunks[c];
    if (chunk === undefined) return;
    chunk.firsts.splice(i, 1);
    chunk.lasts.splice(i, 1);
    if (chunk.firsts.length === 0 && this.#chunks.length > 1) this.#chunks.splice(c, 1);
  }
}

/** An index of these values; a value given twice counts once. */
export function intervalsOf(values: Iterable<bigint>): Intervals {
  const used = new Intervals();
  for (const value of values) used.take(value);
  return used;
}
