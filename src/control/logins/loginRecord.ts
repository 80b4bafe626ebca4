// What the store keeps about the ways in which one user, or the administrator, proves who it is: the digest of the
// password, logins and tokens by their digests, and where the user logged in from lately. One secret of the store for
// each owner; it names the uid of its user, so that a user made again under the name has nothing of it. All functions
// are pure: record in, record out.
import { createHash } from "node:crypto";
import { Fault } from "../../model/fault.ts";
import { type Narrowing, isNarrowed } from "../../model/narrowing.ts";
import { originOf } from "./guesses.ts";

/** `login`: what `weft login` gets; `token`: what somebody has made by name, for a program. */
export type CredentialKind = "login" | "token";

export type Credential = {
  readonly kind: CredentialKind;
  /** Unique among those of its owner. */
  readonly name: string;
  /** SHA-256 of the value: it is 32 random bytes, so there is nothing to guess and nothing to salt. */
  readonly digest: string;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly narrowing?: Narrowing;
};

/** An address that the user has logged in from. */
type Origin = { readonly origin: string; readonly atMs: number };

export type LoginRecord = {
  /** Of the user resource; absent: of the administrator. */
  readonly uid?: string;
  /** Of the password. */
  readonly password?: string;
  /** Whom a provider has vouched for as this user: `<issuer> <subject>`. Nobody else can be this user by a provider. */
  readonly vouched?: string;
  readonly credentials: readonly Credential[];
  readonly origins: readonly Origin[];
};

/** Of a user who has never had a password, a login or a token. */
export function emptyRecord(uid: string | undefined): LoginRecord {
  return { ...(uid === undefined ? {} : { uid }), credentials: [], origins: [] };
}

const MOST: Readonly<Record<CredentialKind, number>> = { login: 32, token: 100 };
const ORIGINS = 8;
const ORIGIN_MS = 30 * 86_400_000;

/** The key of the owner's record in the store. Undefined: the administrator's. */
export function recordKey(user: string | undefined): string {
  return user === undefined ? "logins/admin" : `logins/user/${user}`;
}

/** The record in the text; undefined if there is none for this uid. */
export function readRecord(text: string | undefined, uid: string | undefined): LoginRecord | undefined {
  if (text === undefined) return undefined;
  // Written by writtenRecord.
  const record = JSON.parse(text) as LoginRecord;
  return record.uid === uid ? record : undefined;
}

/** As text for the store, without what has expired. */
export function writtenRecord(record: LoginRecord, nowMs: number): string {
  const credentials = record.credentials.filter((each) => each.expiresMs > nowMs);
  const origins = record.origins.filter(({ atMs }) => nowMs - atMs < ORIGIN_MS);
  return JSON.stringify({ ...record, credentials, origins });
}

export function digestOf(value: string): string {
  return createHash("sha256").update(value).digest("hex");
}

/** The text of a credential, from one that cannot be guessed; scanners for secrets recognise its beginning. */
export function valueOf(kind: CredentialKind, random: string): string {
  return `weft_${kind}_${random}`;
}

/** With one more. Of too many logins the oldest end; of too many tokens the new one is refused. */
export function withCredential(record: LoginRecord, made: Credential, nowMs: number): LoginRecord {
  const alive = record.credentials.filter((each) => each.expiresMs > nowMs);
  if (alive.some(({ name }) => name === made.name)) {
    const fix = "choose another name, or delete that one first: weft token delete";
    throw new Fault("name-taken", { what: `there is a token "${made.name}" already`, where: "name", fix });
  }
  const same = alive.filter(({ kind }) => kind === made.kind);
  const most = MOST[made.kind];
  if (same.length < most) return { ...record, credentials: [...alive, made] };
  if (made.kind === "token") {
    const fix = "delete one that is not in use: weft token list, weft token delete";
    throw new Fault("quota-exceeded", { what: `${most} tokens are the most that one may have`, where: "name", fix });
  }
  const oldest = same.toSorted((a, b) => a.createdMs - b.createdMs).slice(0, same.length - most + 1);
  return { ...record, credentials: [...alive.filter((each) => !oldest.includes(each)), made] };
}

/** Without the one of this name; undefined if there is none. */
export function withoutCredential(record: LoginRecord, name: string): LoginRecord | undefined {
  const credentials = record.credentials.filter((each) => each.name !== name);
  return credentials.length === record.credentials.length ? undefined : { ...record, credentials };
}

/** With another password: whoever logged in with the former one is logged out, wherever it was. */
export function withPassword(record: LoginRecord, password: string): LoginRecord {
  return { ...record, password, credentials: record.credentials.filter(({ kind }) => kind !== "login"), origins: [] };
}

type Vouching = { readonly vouched: string; readonly user: string; readonly nowMs: number };

/** Bound to the person whom a provider has vouched for; a Fault `forbidden` for a user that is somebody else's. */
export function withVouched(record: LoginRecord, { vouched, user, nowMs }: Vouching): LoginRecord {
  if (record.vouched === vouched) return record;
  const why = whyTaken(record, nowMs);
  if (why === undefined) return { ...record, vouched };
  throw new Fault("forbidden", {
    what: `user "${user}" is not yours by this provider`,
    why,
    fix: "ask an administrator: a user that is deleted and made again belongs to whoever logs in first",
  });
}

/** Why a user is somebody's already: a person's, or a program's that has only tokens. */
function whyTaken({ vouched, password, credentials }: LoginRecord, nowMs: number): string | undefined {
  if (vouched !== undefined) return "the provider has said another person to be it";
  if (password !== undefined) return "it has a password here";
  return credentials.some(({ expiresMs }) => expiresMs > nowMs) ? "it has tokens here" : undefined;
}

/** The user has logged in from there. */
export function withOrigin(record: LoginRecord, from: string, nowMs: number): LoginRecord {
  const origin = originOf(from);
  const others = record.origins.filter((each) => each.origin !== origin);
  return { ...record, origins: [{ origin, atMs: nowMs }, ...others].slice(0, ORIGINS) };
}

/** Whether the user has logged in from there lately. */
export function isOwnOrigin(record: LoginRecord | undefined, from: string, nowMs: number): boolean {
  const origin = originOf(from);
  return record?.origins.some((each) => each.origin === origin && nowMs - each.atMs < ORIGIN_MS) ?? false;
}

/** What a user is told of a credential: never its value. */
export function shownCredential({ digest: _, narrowing, ...rest }: Credential) {
  return { ...rest, ...(isNarrowed(narrowing) ? { narrowing } : {}) };
}
