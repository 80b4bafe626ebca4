// Checks passwords, as often as the limits on guessing let: keeps the levels of guesses.ts, also over restarts.
import type { Clock } from "../../model/clock.ts";
import { formatDuration } from "../../model/duration.ts";
import { Fault } from "../../model/fault.ts";
import type { Store } from "../../store/store.ts";
import type { Committer } from "../commit/committer.ts";
import { type Guess, isNotable, readGuesses, waitOf, withGuess, withoutGuess, writtenGuesses } from "./guesses.ts";
import { type LoginRecord, isOwnOrigin } from "./loginRecord.ts";
import { type Cost, HashQueue, decoyOf, digestOfPassword, isAtCost, isPassword } from "./password.ts";

type GuardParts = {
  readonly store: Store;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly cost: Cost;
};
type Attempt = {
  readonly user: string;
  readonly password: string;
  readonly from: string;
  /** Undefined: there is no such user. */
  readonly record: LoginRecord | undefined;
};

const KEY = "guesses";
/** A flood of guesses must not become one of writes. */
const KEEP_MS = 5_000;

export class Guard {
  readonly #parts: GuardParts;
  readonly #hashes = new HashQueue();
  readonly #decoy: string;
  #guesses;
  #keptAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: GuardParts) {
    this.#parts = parts;
    this.#decoy = decoyOf(parts.cost);
    this.#guesses = readGuesses(parts.store.secret(KEY), parts.clock.monotonicMs());
  }

  /** A Fault `password-wrong` unless it is the user's password, `too-many-guesses` if it cannot be tried now. */
  async check({ user, password, from, record }: Attempt): Promise<void> {
    const { clock } = this.#parts;
    const guess = { user, from, isOwn: isOwnOrigin(record, from, clock.nowMs()) };
    const wait = waitOf(this.#guesses, guess, clock.monotonicMs());
    if (wait > 0) throw tooMany(wait);
    this.#guesses = withGuess(this.#guesses, guess, clock.monotonicMs());
    const digest = record?.password ?? this.#decoy;
    const isRight = await this.#hashes
      .run(() => isPassword(password, digest))
      .catch((error: unknown) => {
        this.#guesses = withoutGuess(this.#guesses, guess, clock.monotonicMs());
        throw error;
      });
    if (isRight) this.#guesses = withoutGuess(this.#guesses, guess, clock.monotonicMs());
    else await this.#refuse(guess);
  }

  digest(password: string): Promise<string> {
    return this.#hashes.run(() => digestOfPassword(password, this.#parts.cost));
  }

  /** Whether the password is to be kept at another cost. */
  isOutdated(record: LoginRecord | undefined): boolean {
    return record?.password !== undefined && !isAtCost(record.password, this.#parts.cost);
  }

  async #refuse(guess: Guess): Promise<never> {
    const nowMs = this.#parts.clock.monotonicMs();
    if (isNotable(this.#guesses, guess, nowMs) && nowMs - this.#keptAtMs >= KEEP_MS) {
      this.#keptAtMs = nowMs;
      const value = writtenGuesses(this.#guesses, nowMs);
      // A disk that refuses it makes the password no better.
      await this.#parts.committer
        .submit({ about: undefined, secrets: () => [{ key: KEY, value }] })
        .catch(() => undefined);
    }
    const fix = "type it again; an administrator can set another: weft user passwd";
    throw new Fault("password-wrong", { what: "user and password do not belong together", fix });
  }
}

function tooMany(waitMs: number): Fault {
  return new Fault("too-many-guesses", {
    what: "too many wrong passwords for this user, or from this address",
    why: `the next one can be tried in ${formatDuration(Math.ceil(waitMs / 1000) * 1000)}`,
    fix: "wait; a token needs no password, and root on the server's machine neither",
    retryAfterSeconds: Math.ceil(waitMs / 1000),
  });
}
