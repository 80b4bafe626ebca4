// How often somebody may guess passwords: for each user from addresses that are not known as the user's, for each of
// the user's own addresses, and for each address. Each has a level that every wrong password raises by one and time
// lowers; at the limit nothing is checked. Users that do not exist have levels, too, or the refusal would tell them
// apart. One's own addresses have levels of their own, so that others cannot lock a user out of where the user works.
// A value: what is asked, and the time, are arguments. Knows nothing of passwords.

/** The level at a time of the clock that only grows. */
type Level = readonly [level: number, atMs: number];
export type Guesses = ReadonlyMap<string, Level>;

/** At most so many wrong ones at once, and then one in so long. */
type Limit = { readonly most: number; readonly perMs: number };
const LIMITS = {
  user: { most: 10, perMs: 120_000 },
  own: { most: 10, perMs: 20_000 },
  address: { most: 30, perMs: 10_000 },
} as const satisfies Record<string, Limit>;
type About = keyof typeof LIMITS;

/** So many levels are remembered: of more, the lowest go. */
const REMEMBERED = 10_000;
/** So many are written down: the highest. */
const WRITTEN = 500;

export type Guess = {
  readonly user: string;
  /** `unix` for the server's own machine: nobody but root asks from there, so it has no limit. */
  readonly from: string;
  /** Whether the user has logged in from there lately. */
  readonly isOwn: boolean;
};

/** How long to wait before a password may be tried; 0: now. */
export function waitOf(guesses: Guesses, guess: Guess, nowMs: number): number {
  const waits = keysOf(guess).map((key) => {
    const { most, perMs } = limitOf(key);
    return Math.ceil((levelOf(guesses, key, nowMs) + 1 - most) * perMs);
  });
  return Math.max(0, ...waits);
}

/** With one more guess: counted before it is checked, because many may be checked at the same time. */
export function withGuess(guesses: Guesses, guess: Guess, nowMs: number): Guesses {
  return changed(guesses, guess, nowMs, 1);
}

/** Without a guess that was counted: it was no guess, but right. */
export function withoutGuess(guesses: Guesses, guess: Guess, nowMs: number): Guesses {
  return changed(guesses, guess, nowMs, -1);
}

/** Whether something is so near its limit that a restart must not forget it. */
export function isNotable(guesses: Guesses, guess: Guess, nowMs: number): boolean {
  return keysOf(guess).some((key) => levelOf(guesses, key, nowMs) >= limitOf(key).most / 2);
}

/** The highest levels as text, for the store. */
export function writtenGuesses(guesses: Guesses, nowMs: number): string {
  const rows = highest(guesses, nowMs, WRITTEN).map(([key]) => [key, levelOf(guesses, key, nowMs)]);
  return JSON.stringify({ atMs: nowMs, rows });
}

/** What was written; nothing if it cannot be read. A clock that was set back in between makes no wait longer. */
export function readGuesses(text: string | undefined, nowMs: number): Guesses {
  if (text === undefined) return new Map();
  try {
    // Written by writtenGuesses.
    const { atMs, rows } = JSON.parse(text) as { readonly atMs: number; readonly rows: readonly [string, number][] };
    return new Map(rows.map(([key, level]) => [key, [level, Math.min(atMs, nowMs)]]));
  } catch {
    return new Map();
  }
}

function changed(guesses: Guesses, guess: Guess, nowMs: number, by: number): Guesses {
  const next = new Map(guesses);
  for (const key of keysOf(guess)) {
    const level = Math.max(0, levelOf(guesses, key, nowMs) + by);
    if (level === 0) next.delete(key);
    else next.set(key, [level, nowMs]);
  }
  return next.size <= REMEMBERED ? next : new Map(highest(next, nowMs, Math.ceil(REMEMBERED * 0.9)));
}

function levelOf(guesses: Guesses, key: string, nowMs: number): number {
  const [level, atMs] = guesses.get(key) ?? [0, nowMs];
  return Math.max(0, level - Math.max(0, nowMs - atMs) / limitOf(key).perMs);
}

function highest(guesses: Guesses, nowMs: number, most: number): readonly (readonly [string, Level])[] {
  const share = ([key]: readonly [string, Level]) => levelOf(guesses, key, nowMs) / limitOf(key).most;
  return [...guesses]
    .filter((entry) => share(entry) > 0)
    .toSorted((a, b) => share(b) - share(a))
    .slice(0, most);
}

function limitOf(key: string): Limit {
  // The keys of keysOf begin so.
  return LIMITS[key.slice(0, key.indexOf(" ")) as About];
}

function keysOf({ user, from, isOwn }: Guess): readonly string[] {
  if (from === "unix") return [];
  const origin = originOf(from);
  return [isOwn ? `own ${user} ${origin}` : `user ${user}`, `address ${origin}`];
}

/** Who has one IPv6 address mostly has 2^64 of them, so these count as one. */
export function originOf(from: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(from)?.[1];
  if (mapped !== undefined) return mapped;
  if (!from.includes(":")) return from;
  const [head = "", tail] = (from.split("%")[0] ?? "").split("::");
  const words = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - words.length - rest.length);
  const all = [...words, ...Array.from({ length: zeros }, () => "0"), ...rest];
  return `${all.slice(0, 4).join(":")}::/64`;
}
