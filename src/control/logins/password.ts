// Passwords: what the store has of one, and whether a text is the one. Only scrypt's output is kept, with its salt and
// its cost, so that the cost can rise later. Hashing runs beside the event loop, and few at once: each takes 32 MiB.
import { type ScryptOptions, randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { Fault } from "../../model/fault.ts";

/** What a hash costs: memory is 128 × r × 2^log2 bytes. */
export type Cost = { readonly log2: number; readonly r: number; readonly p: number };
/** What OWASP's cheat sheet for passwords asks of scrypt; 0.2 s on the machines at hand. */
export const COST: Cost = { log2: 15, r: 8, p: 3 };

const SHORTEST = 10;
const LONGEST = 256;
const SALT = 16;
const LENGTH = 32;

/** A Fault `password-unfit` for a password that is not taken. Its text is in no Fault. */
export function checkPassword(password: string, user: string): void {
  const length = Array.from(password).length;
  const why =
    length < SHORTEST
      ? `it has ${length} characters, and ${SHORTEST} are the least`
      : length > LONGEST
        ? `it has more than ${LONGEST} characters`
        : /\p{Cc}/u.test(password)
          ? "it contains control characters, such as an end of line"
          : new Set(password).size < 4
            ? "it repeats few characters"
            : password.toLowerCase().includes(user.toLowerCase()) && length < user.length + SHORTEST
              ? "it is hardly more than the user's name"
              : undefined;
  if (why === undefined) return;
  throw new Fault("password-unfit", {
    what: "this password is not taken",
    where: "password",
    why,
    fix: `choose one of ${SHORTEST} to ${LONGEST} characters, such as several words`,
  });
}

/** What the store keeps of a password: `scrypt$15$8$3$<salt>$<hash>`. */
export async function digestOfPassword(password: string, cost: Cost, salt = randomBytes(SALT)): Promise<string> {
  const hash = await hashOf(password, cost, salt);
  return textOf(cost, salt, hash);
}

/** What no password fits, at the cost of one: so that an unknown user's takes as long to refuse. */
export function decoyOf(cost: Cost): string {
  return textOf(cost, Buffer.alloc(SALT), Buffer.alloc(LENGTH));
}

/** Whether the digest was made of this password. */
export async function isPassword(password: string, digest: string): Promise<boolean> {
  const { cost, salt, hash } = partsOf(digest);
  return timingSafeEqual(await hashOf(password, cost, salt), hash);
}

/** Whether the digest was made at this cost; if not, it is made again when its password is known. */
export function isAtCost(digest: string, cost: Cost): boolean {
  const { log2, r, p } = partsOf(digest).cost;
  return log2 === cost.log2 && r === cost.r && p === cost.p;
}

function hashOf(password: string, { log2, r, p }: Cost, salt: Buffer): Promise<Buffer> {
  const options: ScryptOptions = { N: 2 ** log2, r, p, maxmem: 256 * r * 2 ** log2 };
  // As RFC 8265 has it for passwords: the same signs from another keyboard are the same password.
  const text = password.normalize("NFC");
  return new Promise((resolve, reject) =>
    scrypt(text, salt, LENGTH, options, (error, hash) => (error === null ? resolve(hash) : reject(error))),
  );
}

function textOf({ log2, r, p }: Cost, salt: Buffer, hash: Buffer): string {
  return ["scrypt", log2, r, p, salt.toString("base64url"), hash.toString("base64url")].join("$");
}

/** Only this file makes digests, so their form is known. */
function partsOf(digest: string): { readonly cost: Cost; readonly salt: Buffer; readonly hash: Buffer } {
  const [, log2, r, p, salt = "", hash = ""] = digest.split("$");
  const cost = { log2: Number(log2), r: Number(r), p: Number(p) };
  return { cost, salt: Buffer.from(salt, "base64url"), hash: Buffer.from(hash, "base64url") };
}

const AT_ONCE = 2;
const WAITING = 32;

/** Hashes few at once, in order; refuses what would wait for long. */
export class HashQueue {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting.length >= WAITING) {
      const why = "more people, or programs, log in than the server can serve";
      throw new Fault("unavailable", { what: "the server checks too many passwords", why, fix: "try again later" });
    }
    if (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }
}
