// Values in order: the oldest released lease, the next one to expire, the span at or below an address, the names of a
// page. They are in short sorted chunks, so that a change moves only some hundred of them, however many there are.

const CHUNK_MAX = 512;

export class Sorted<T> {
  readonly #compare: (a: T, b: T) => number;
  #chunks: T[][] = [[]];
  #size = 0;

  /** `compare` gives 0 only for the same value. */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#chunks[0]?.[0];
  }

  /** Inserts the value, or replaces the one that compares as the same. */
  add(value: T): void {
    const { c, i } = this.#locate(value);
    const chunk = this.#chunks[c];
    if (chunk === undefined) return;
    const there = chunk[i];
    if (there !== undefined && this.#compare(there, value) === 0) {
      chunk[i] = value;
      return;
    }
    chunk.splice(i + 1, 0, value);
    this.#size++;
    if (chunk.length > CHUNK_MAX) this.#chunks.splice(c + 1, 0, chunk.splice(CHUNK_MAX / 2));
  }

  delete(value: T): void {
    const { c, i } = this.#locate(value);
    const chunk = this.#chunks[c];
    const there = chunk?.[i];
    if (chunk === undefined || there === undefined || this.#compare(there, value) !== 0) return;
    chunk.splice(i, 1);
    this.#size--;
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(c, 1);
  }

  /** The greatest value that is not above this one. */
  atOrBelow(value: T): T | undefined {
    const { c, i } = this.#locate(value);
    return this.#chunks[c]?.[i];
  }

  /** In ascending order. */
  *[Symbol.iterator](): Generator<T> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  /** What is above this value, in ascending order. */
  *after(value: T): Generator<T> {
    const { c, i } = this.#locate(value);
    yield* this.#chunks[c]?.slice(i + 1) ?? [];
    for (let next = c + 1; next < this.#chunks.length; next++) yield* this.#chunks[next] ?? [];
  }

  /** Where the greatest value is that is not above this one; `i` is -1 for "before the first of all". */
  #locate(value: T): { readonly c: number; readonly i: number } {
    const isNotAbove = (there: T | undefined) => there !== undefined && this.#compare(there, value) <= 0;
    const c = Math.max(
      0,
      lastWhere(this.#chunks.length, (n) => isNotAbove(this.#chunks[n]?.[0])),
    );
    const chunk = this.#chunks[c] ?? [];
    return { c, i: lastWhere(chunk.length, (n) => isNotAbove(chunk[n])) };
  }
}

/** By bisection: the greatest n below `length` for which it is so, as it is for all before it; -1 if there is none. */
export function lastWhere(length: number, isSo: (n: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isSo(middle)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** All of several ascending streams, in ascending order, each text once. */
export function* merged(streams: readonly Iterable<string>[]): Generator<string> {
  const [first, second] = streams;
  if (first === undefined) return;
  if (second === undefined) yield* first;
  else if (streams.length === 2) yield* mergedTwo(first, second);
  else {
    const half = streams.length >>> 1;
    yield* mergedTwo(merged(streams.slice(0, half)), merged(streams.slice(half)));
  }
}

function* mergedTwo(one: Iterable<string>, other: Iterable<string>): Generator<string> {
  const [left, right] = [one[Symbol.iterator](), other[Symbol.iterator]()];
  let [a, b] = [left.next(), right.next()];
  while (a.done !== true || b.done !== true) {
    if (b.done === true || (a.done !== true && a.value < b.value)) {
      yield a.value;
      a = left.next();
    } else {
      if (a.done !== true && a.value === b.value) a = left.next();
      yield b.value;
      b = right.next();
    }
  }
}
