// What has to be remembered between the begin and the end of a login, sealed and given to whoever began it: the server
// keeps nothing for people who never come back. Only this process can open it, for ten minutes.
import { createHash, randomBytes } from "node:crypto";
import { EncryptJWT, jwtDecrypt } from "jose";
import type { Clock } from "../model/clock.ts";
import { Fault } from "../model/fault.ts";

const VALID_MS = 600_000;
const METHOD = { alg: "dir", enc: "A256GCM" } as const;

export class Sealer {
  readonly #key = randomBytes(32);
  readonly #clock: Clock;
  /** Digests of what was opened for good, with the end of each; the first ends first. */
  readonly #used = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  seal(purpose: string, content: Readonly<Record<string, string>>): Promise<string> {
    const until = new Date(this.#clock.nowMs() + VALID_MS);
    const jwt = new EncryptJWT({ content }).setProtectedHeader(METHOD).setSubject(purpose).setExpirationTime(until);
    return jwt.encrypt(this.#key);
  }

  /** A Fault `token-wrong` for what is not from here, has expired, is for something else, or was used. */
  async open(purpose: string, handle: string): Promise<Readonly<Record<string, string>>> {
    const currentDate = new Date(this.#clock.nowMs());
    const options = { subject: purpose, currentDate, requiredClaims: ["exp"] };
    const opened = await jwtDecrypt(handle, this.#key, {
      ...options,
      keyManagementAlgorithms: [METHOD.alg],
      contentEncryptionAlgorithms: [METHOD.enc],
    }).catch(() => undefined);
    if (opened === undefined || this.#used.has(digestOf(handle))) {
      const why = "it has expired, was used, or the server was started again since";
      throw new Fault("token-wrong", { what: "this login cannot be finished", why, fix: "begin again" });
    }
    // Only seal() makes what this opens.
    return opened.payload["content"] as Readonly<Record<string, string>>;
  }

  /** It opens nothing any more. */
  use(handle: string): void {
    const nowMs = this.#clock.nowMs();
    for (const [each, untilMs] of this.#used) {
      if (untilMs >= nowMs) break;
      this.#used.delete(each);
    }
    this.#used.set(digestOf(handle), nowMs + VALID_MS);
  }
}

/** Of the bytes: base64 drops the last bits of its last letter, so several texts open as the same handle. */
function digestOf(handle: string): string {
  const digest = createHash("sha256");
  for (const part of handle.split(".")) digest.update(Buffer.from(part, "base64url")).update(".");
  return digest.digest("base64url");
}
