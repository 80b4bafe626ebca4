// When a network will be full, if it grows as it did: the slope of a straight line through its use in the last hour.
// Samples are taken at each request, in memory; a server that has just started has no forecast.

type Use = { readonly network: string; readonly family: number; readonly used: number; readonly total: number };
export type Foreseen<U> = U & { readonly fullInSeconds?: number };
type Sample = { readonly atMs: number; readonly used: number };

const WINDOW_MS = 3_600_000;
/** Requests at the same time give one sample. */
const SPACING_MS = 10_000;
/** Below this, a burst looks like a trend. */
const LEAST_MS = 300_000;

export class Forecast {
  /** By network and family, oldest first. */
  #samples = new Map<string, readonly Sample[]>();

  /**
   * Takes a sample of each use, drops networks that are not among them, and says in how many seconds each is full. Of a
   * network that does not grow, or is not known for long enough, it says nothing.
   */
  of<U extends Use>(nowMs: number, uses: readonly U[]): Foreseen<U>[] {
    const samples = new Map<string, readonly Sample[]>();
    const foreseen = uses.map((use): Foreseen<U> => {
      const key = `${use.network} ${use.family}`;
      const known = (this.#samples.get(key) ?? []).filter(({ atMs }) => atMs > nowMs - WINDOW_MS);
      const isNew = nowMs - (known.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) >= SPACING_MS;
      const all = isNew ? [...known, { atMs: nowMs, used: use.used }] : known;
      samples.set(key, all);
      const fullInSeconds = secondsLeft(all, use.total - use.used);
      return fullInSeconds === undefined ? use : { ...use, fullInSeconds };
    });
    this.#samples = samples;
    return foreseen;
  }
}

/** Undefined if there is no growth, or not known for long enough. */
export function secondsLeft(samples: readonly Sample[], free: number): number | undefined {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || last.atMs - first.atMs < LEAST_MS) return undefined;
  const perSecond = slopeOf(samples.map(({ atMs, used }) => [(atMs - first.atMs) / 1000, used - first.used]));
  return perSecond > 0 ? Math.max(0, free) / perSecond : undefined;
}

/** Of the line with the least squares of distances. */
function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (i: 0 | 1) => points.reduce((sum, point) => sum + point[i], 0) / points.length;
  const [x0, y0] = [mean(0), mean(1)];
  const product = points.reduce((sum, [x, y]) => sum + (x - x0) * (y - y0), 0);
  const square = points.reduce((sum, [x]) => sum + (x - x0) ** 2, 0);
  return square === 0 ? 0 : product / square;
}
