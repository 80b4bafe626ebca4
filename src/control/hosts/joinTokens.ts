// Join tokens: what lets new hosts in. All are in one secret of the store, by their digests. A token ends by its time,
// its uses or a person; a use is a new key for the name of a host. Whether one may be used is judged in the commit that
// uses it, so that two joins at once never use one use twice.
import { createHash } from "node:crypto";
import type { Clock } from "../../model/clock.ts";
import { Fault } from "../../model/fault.ts";
import { FILE_TOKEN, type JoinToken, type JoinTokenMade, type JoinTokenRequest } from "../../model/joinToken.ts";
import type { Secret, Store } from "../../store/store.ts";
import { joinTokenText } from "../../tls/names.ts";
import type { Committer } from "../commit/committer.ts";
import type { Caller } from "../write.ts";
import type { Authority } from "./authority.ts";

type JoinTokenRecord = Pick<JoinToken, "name" | "createdMs" | "expiresMs" | "uses" | "used" | "hosts"> & {
  /** SHA-256 of the secret part: it is 32 random bytes, so there is nothing to guess and nothing to salt. */
  readonly digest: string;
  /** The CA that it names. Absent for the file's, which is written anew when that is another. */
  readonly pin?: string;
};
/** A token that a person has ended, so that who still has it can be told. */
type Ended = { readonly name: string; readonly digest: string; readonly atMs: number };
type JoinTokenList = { readonly tokens: readonly JoinTokenRecord[]; readonly ended: readonly Ended[] };

const KEY = "join-tokens";
const NO_TOKENS: JoinTokenList = { tokens: [], ended: [] };
const MOST = 100;
const HOSTS = 20;
const EXPIRED_MS = 7 * 86_400_000;
const LIFE_SECONDS = 86_400;

export type JoinTokenParts = {
  readonly store: Pick<Store, "secret">;
  readonly committer: Pick<Committer, "submit">;
  readonly clock: Pick<Clock, "nowMs">;
  readonly random: () => string;
  readonly authority?: Pick<Authority, "pin" | "show"> | undefined;
};
/** What goes with a job that changes the list. `over`: it is durable, or never will be. */
type Changing = { readonly holds: () => void; readonly secrets: () => Secret[]; readonly over: () => void };

export class JoinTokens {
  readonly #parts: JoinTokenParts;
  readonly #listeners = new Set<() => void>();
  /** The list with what is decided and not durable yet. */
  #decided = NO_TOKENS;
  #inFlight = 0;
  #read: { readonly text: string | undefined; readonly list: JoinTokenList } = { text: undefined, list: NO_TOKENS };

  constructor(parts: JoinTokenParts) {
    this.#parts = parts;
  }

  /** The name of the token; undefined if none of this value was ever made. A Fault `token-wrong` if it has ended. */
  find(secret: string): string | undefined {
    const digest = digestOf(secret);
    const found = this.#list.tokens.find((one) => one.digest === digest);
    const ended = this.#list.ended.find((one) => one.digest === digest);
    if (found === undefined) return ended === undefined ? undefined : refuse(ended.name, whenEnded(ended));
    return this.#hasExpired(found) ? refuse(found.name, whenExpired(found)) : found.name;
  }

  /** Whether a token has or had this value. */
  isKnown(secret: string): boolean {
    const digest = digestOf(secret);
    return [...this.#list.tokens, ...this.#list.ended].some((one) => one.digest === digest);
  }

  hasEnded(secret: string): boolean {
    const digest = digestOf(secret);
    return this.#list.ended.some((one) => one.digest === digest);
  }

  /** Whether the file's token is there. */
  get hasFileToken(): boolean {
    return this.#list.tokens.some(({ name }) => name === FILE_TOKEN);
  }

  /** The host gets a new key by this token, with the job that this goes with. */
  using(secret: string, host: string): Changing {
    return this.#changing((list) => withUse(list, digestOf(secret), { host, atMs: this.#nowMs }));
  }

  /** Makes a token; its value is in this answer only. */
  async create(caller: Caller, { name, uses, expiresInSeconds = LIFE_SECONDS }: JoinTokenRequest) {
    const { authority, random } = this.#parts;
    const secret = joinSecret(random());
    const createdMs = this.#nowMs;
    const record: JoinTokenRecord = {
      name,
      digest: digestOf(secret),
      createdMs,
      expiresMs: createdMs + expiresInSeconds * 1000,
      ...(uses === undefined ? {} : { uses }),
      used: 0,
      hosts: [],
      ...(authority === undefined ? {} : { pin: authority.pin }),
    };
    await this.#submit({ verb: "make-join-token", object: `jointoken/${name}` }, caller, (list) =>
      withToken(list, record, createdMs),
    );
    const token = authority === undefined ? secret : joinTokenText(secret, authority.pin);
    return { ...this.#shown(record), token } satisfies JoinTokenMade;
  }

  /** Ends a token at once. The file's gets another value: see `onEnded`. */
  async end(caller: Caller, name: string): Promise<void> {
    await this.#submit({ verb: "end-join-token", object: `jointoken/${name}` }, caller, (list) =>
      withoutToken(list, name, this.#nowMs),
    );
    for (const listener of this.#listeners) listener();
  }

  /** The file's token has this value from now on; the one before is worth nothing. */
  async setFileToken(secret: string): Promise<void> {
    const digest = digestOf(secret);
    await this.#submit({ verb: "set-token", object: "join" }, undefined, (list) =>
      withFileToken(list, digest, this.#nowMs),
    );
  }

  list(): readonly JoinToken[] {
    return this.#list.tokens.map((one) => this.#shown(one)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Calls after a person has ended a token. */
  onEnded(listener: () => void): void {
    this.#listeners.add(listener);
  }

  get #nowMs(): number {
    return this.#parts.clock.nowMs();
  }

  get #list(): JoinTokenList {
    if (this.#inFlight > 0) return this.#decided;
    const text = this.#parts.store.secret(KEY);
    // Written below.
    if (text !== this.#read.text)
      this.#read = { text, list: text === undefined ? NO_TOKENS : (JSON.parse(text) as JoinTokenList) };
    return this.#read.list;
  }

  #hasExpired({ expiresMs }: JoinTokenRecord): boolean {
    return expiresMs !== undefined && expiresMs <= this.#nowMs;
  }

  #changing(change: (list: JoinTokenList) => JoinTokenList): Changing {
    let isInFlight = false;
    return {
      holds: () => void change(this.#list),
      secrets: () => {
        this.#decided = change(this.#list);
        this.#inFlight += 1;
        isInFlight = true;
        return [{ key: KEY, value: JSON.stringify(this.#decided) }];
      },
      over: () => {
        if (isInFlight) this.#inFlight -= 1;
        isInFlight = false;
      },
    };
  }

  async #submit(
    about: { readonly verb: string; readonly object: string },
    caller: Caller | undefined,
    change: (list: JoinTokenList) => JoinTokenList,
  ): Promise<void> {
    const { holds, secrets, over } = this.#changing(change);
    const by = caller === undefined ? {} : { caller };
    try {
      await this.#parts.committer.submit({ about, ...by, holds, secrets, committed: over });
    } finally {
      over();
    }
  }

  #shown(record: JoinTokenRecord): JoinToken {
    const { digest: _, pin, ...rest } = record;
    const state = this.#hasExpired(record) ? "expired" : isUsedUp(record) ? "used up" : "valid";
    return { ...rest, state, ...this.#caOf(pin) };
  }

  #caOf(pin: string | undefined): Pick<JoinToken, "ca"> {
    const { authority } = this.#parts;
    if (authority === undefined) return {};
    if (pin === undefined || pin === authority.pin) return { ca: "current" };
    return { ca: authority.show().previous?.pin === pin ? "previous" : "dropped" };
  }
}

/** Without what has expired long ago. A Fault `name-taken` if there is one of the name. */
function withToken(list: JoinTokenList, made: JoinTokenRecord, nowMs: number): JoinTokenList {
  const { name } = made;
  const tokens = list.tokens.filter(({ expiresMs }) => expiresMs === undefined || nowMs - expiresMs < EXPIRED_MS);
  if (tokens.some((one) => one.name === name)) {
    const fix = `choose another name, or end that one first: weft host token delete ${name}`;
    throw new Fault("name-taken", { what: `there is a join token "${name}"`, where: "name", fix });
  }
  if (tokens.length >= MOST) {
    const fix = "end those that nobody needs: weft host token list, weft host token delete";
    throw new Fault("exhausted", { what: `there are ${MOST} join tokens, and no more are kept`, where: "name", fix });
  }
  return { ...list, tokens: [...tokens, made] };
}

function withoutToken({ tokens, ended }: JoinTokenList, name: string, atMs: number): JoinTokenList {
  const found = tokens.find((one) => one.name === name);
  if (found === undefined) {
    const fix = "see weft host token list";
    throw new Fault("not-found", { what: `there is no join token "${name}"`, where: name, fix });
  }
  return {
    tokens: tokens.filter((one) => one !== found),
    ended: [...ended, { name, digest: found.digest, atMs }].slice(-MOST),
  };
}

/** The file's token keeps what it has let in if its value is the same. */
function withFileToken(list: JoinTokenList, digest: string, nowMs: number): JoinTokenList {
  const old = list.tokens.find(({ name }) => name === FILE_TOKEN);
  if (old?.digest === digest) return list;
  const { tokens, ended } = old === undefined ? list : withoutToken(list, FILE_TOKEN, nowMs);
  const made = { name: FILE_TOKEN, digest, createdMs: nowMs, used: 0, hosts: [] };
  return { tokens: [...tokens, made], ended: ended.filter((one) => one.digest !== digest) };
}

/** One more use. A Fault `token-wrong` if it has ended since, or has none left. */
function withUse(list: JoinTokenList, digest: string, use: JoinToken["hosts"][number]): JoinTokenList {
  const found = list.tokens.find((one) => one.digest === digest);
  const ended = list.ended.find((one) => one.digest === digest);
  if (found === undefined) return refuse(ended?.name ?? "", ended === undefined ? "it was ended" : whenEnded(ended));
  if (found.expiresMs !== undefined && found.expiresMs <= use.atMs) return refuse(found.name, whenExpired(found));
  if (isUsedUp(found))
    return refuse(found.name, `it has been used ${found.uses === 1 ? "once" : `${found.uses} times`}`);
  const used = { ...found, used: found.used + 1, hosts: [...found.hosts, use].slice(-HOSTS) };
  return { ...list, tokens: list.tokens.map((one) => (one === found ? used : one)) };
}

/** The secret part of a join token, from what cannot be guessed; scanners for secrets recognise its beginning. */
export function joinSecret(random: string): string {
  return `weft_join_${random}`;
}

function isUsedUp({ uses, used }: JoinTokenRecord): boolean {
  return uses !== undefined && used >= uses;
}

function whenEnded({ atMs }: Ended): string {
  return `it was ended at ${new Date(atMs).toISOString()}`;
}

function whenExpired({ expiresMs = 0 }: JoinTokenRecord): string {
  return `it has expired at ${new Date(expiresMs).toISOString()}`;
}

/** Said only to who has the token itself. */
function refuse(name: string, why: string): never {
  const fix = "get another from an administrator (weft host token create NAME), and put it into --join-token-file";
  throw new Fault("token-wrong", { what: `the join token "${name}" lets nobody in`, why, fix });
}

function digestOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
