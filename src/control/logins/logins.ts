// Logins and tokens of people: who has which, how one gets them, and when they end. What the store has of them is in a
// record for each owner (loginRecord.ts). A login or token counts only while its user is there, is the one that it was
// made for, and is enabled: that is looked up at each request, so nothing has to be told when a user changes.
import { defined } from "../../model/defined.ts";
import { Fault } from "../../model/fault.ts";
import type { LoggedIn, LoginRequest, PasswordRequest, TokenMade, TokenRequest, WhoAmI } from "../../model/login.ts";
import type { Vouched } from "../../model/oidc.ts";
import { checkName } from "../../model/parse.ts";
import { unknownFault } from "../../model/kinds.ts";
import { type Narrowing, isNarrowed, isWithin, narrowingText } from "../../model/narrowing.ts";
import type { Clock } from "../../model/clock.ts";
import type { Store } from "../../store/store.ts";
import type { Committer, Job } from "../commit/committer.ts";
import { get } from "../state/view.ts";
import type { Caller, Identity, Write } from "../write.ts";
import { Guard } from "./guard.ts";
import {
  type Credential,
  type CredentialKind,
  type LoginRecord,
  digestOf,
  emptyRecord,
  readRecord,
  recordKey,
  shownCredential,
  valueOf,
  withCredential,
  withOrigin,
  withPassword,
  withVouched,
  withoutCredential,
  writtenRecord,
} from "./loginRecord.ts";
import { putVouched } from "./vouched.ts";
import { COST, type Cost, checkPassword, digestOfPassword } from "./password.ts";

/** Whose a credential is: a user's, or the administrator's. */
type Owner = string | undefined;
/** What a value proves. `owner` is a user who was there when it was made. */
type Known = { readonly owner: Owner; readonly uid: string | undefined; readonly credential: Credential };
/** Who asks, and by which of its credentials, if by one of these. */
export type Asker = Caller & { readonly proof?: Credential | undefined };

export type LoginOptions = { readonly cost?: Cost; readonly loginMs?: number };
type LoginParts = LoginOptions & {
  readonly store: Store;
  readonly committer: Committer;
  readonly clock: Clock;
  readonly random: () => string;
};

/** How long a login lasts: a working day. */
const LOGIN_MS = 12 * 3_600_000;
const TOKEN_SECONDS = 90 * 86_400;

export class Logins {
  readonly #parts: LoginParts;
  readonly #cost: Cost;
  readonly #guard: Guard;
  readonly #known = new Map<string, Known>();
  /** Changes of records are made one after the other: each begins with what the store has. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: LoginParts) {
    this.#parts = parts;
    this.#cost = parts.cost ?? COST;
    this.#guard = new Guard({ ...parts, cost: this.#cost });
    this.#index(undefined, undefined);
    for (const { name, uid } of parts.committer.view.user.values()) this.#index(name, uid);
  }

  /** What the value proves; undefined for one that is not known, a Fault for one that has ended. */
  find(
    value: string,
  ): { readonly identity: Identity; readonly uid?: string; readonly credential: Credential } | undefined {
    const known = this.#known.get(digestOf(value));
    if (known === undefined) return undefined;
    const { owner, credential } = known;
    const { kind, name, expiresMs, narrowing } = credential;
    const why = expiresMs <= this.#parts.clock.nowMs() ? "it has expired" : this.#whyEnded(known);
    if (why !== undefined) {
      const fix = kind === "login" ? "log in again: weft login" : "use another, or have one made: weft token create";
      throw new Fault("token-wrong", { what: `the ${kind} "${name}" is not valid`, why, fix });
    }
    if (owner === undefined) return { identity: { role: "admin" }, credential };
    const identity = { role: "user", user: owner, ...(isNarrowed(narrowing) ? { narrowing } : {}) } as const;
    return { identity, ...defined({ uid: known.uid }), credential };
  }

  /** A login for the password. Unknown users get the same answer as a wrong password, as late. */
  async login({ user, password }: LoginRequest, from: string): Promise<LoggedIn> {
    const uid = this.#uidOf(user);
    const record = uid === undefined ? undefined : this.#recordOf(user, uid);
    await this.#guard.check({ user, password, from, record });
    this.#checkEnabled(user);
    const again = this.#guard.isOutdated(record) ? await digestOfPassword(password, this.#cost) : undefined;
    const caller = { identity: { role: "user", user }, credential: "password", from } as const;
    return this.#loggedIn(caller, (now, nowMs) => {
      const seen = from === "unix" ? now : withOrigin(now, from, nowMs);
      return again === undefined || now.password !== record?.password ? seen : { ...seen, password: again };
    });
  }

  /** A login for a user whom a provider has vouched for; it is made, and put into its groups, as the provider says. */
  async loginVouched(vouched: Vouched, from: string): Promise<LoggedIn> {
    const { issuer, subject } = vouched;
    const user = checkName("user", vouched.user, "user");
    const by = { vouched: `${issuer} ${subject}`, user };
    const bind = (record: LoginRecord, nowMs = this.#parts.clock.nowMs()) => withVouched(record, { ...by, nowMs });
    const uid = this.#uidOf(user);
    // Before anything is changed for somebody whose user it is not.
    if (uid !== undefined) bind(this.#recordOf(user, uid));
    await putVouched(this.#parts.committer, { ...vouched, user });
    this.#checkEnabled(user);
    const caller = { identity: { role: "user", user }, credential: `provider ${issuer}`, from } as const;
    return this.#loggedIn(caller, bind);
  }

  /** Ends a login or token. A Fault `not-found` if the owner has none of the name. */
  async end(caller: Caller, owner: Owner, name: string): Promise<void> {
    await this.#change({ caller, owner, verb: "end-token", name }, (record) => {
      const rest = withoutCredential(record, name);
      if (rest !== undefined) return rest;
      const whose = owner === undefined ? "the administrator" : `user "${owner}"`;
      const fix = "see weft token list";
      throw new Fault("not-found", { what: `${whose} has no token or login "${name}"`, where: name, fix });
    });
  }

  list(owner: Owner): readonly (ReturnType<typeof shownCredential> & { readonly user?: string })[] {
    const nowMs = this.#parts.clock.nowMs();
    const record = this.#recordOf(owner, owner === undefined ? undefined : this.#present(owner));
    return record.credentials
      .filter(({ expiresMs }) => expiresMs > nowMs)
      .map((each) => ({ ...shownCredential(each), ...(owner === undefined ? {} : { user: owner }) }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** A token that can do at most what its maker can by the credential that it shows. */
  async createToken(asker: Asker, request: TokenRequest): Promise<TokenMade> {
    const owner = ownerFor(asker, request.user);
    const narrowing = narrowingFor(asker, owner, request);
    const nowMs = this.#parts.clock.nowMs();
    const wanted = nowMs + (request.expiresInSeconds ?? TOKEN_SECONDS) * 1000;
    // A token must not outlive the one that made it: who had found that one would keep this.
    const until = asker.proof?.kind === "token" ? asker.proof.expiresMs : wanted;
    const { made, value } = this.#made("token", request.name, Math.min(wanted, until));
    const credential = { ...made, ...(isNarrowed(narrowing) ? { narrowing } : {}) };
    const how = { caller: asker, owner, verb: "make-token", name: request.name };
    await this.#change(how, (record) => withCredential(record, credential, nowMs));
    return { ...shownCredential(credential), ...(owner === undefined ? {} : { user: owner }), token: value };
  }

  /** Sets a password, and ends all logins. `current` is asked of a user who changes its own. */
  async setPassword(asker: Asker, user: string, asked: PasswordRequest): Promise<void> {
    if (asker.identity.role === "admin") this.#present(user);
    else {
      const isOwn = asker.identity.role === "user" && asker.identity.user === user;
      if (!isOwn || isNarrowed(asker.proof?.narrowing)) throw notOwn(`change the password of user "${user}"`);
      const uid = this.#present(user);
      const record = this.#recordOf(user, uid);
      await this.#guard.check({ user, password: asked.current ?? "", from: asker.from, record });
    }
    checkPassword(asked.password, user);
    const digest = await this.#guard.digest(asked.password);
    const how = { caller: asker, owner: user, verb: "set-password" };
    await this.#change(how, (record) => withPassword(record, digest));
  }

  whoIs({ identity, proof }: Asker): Pick<WhoAmI, "group" | "groups" | "expiresMs" | "narrowing"> {
    const spec = identity.role === "user" ? get(this.#parts.committer.view, "user", identity.user)?.spec : undefined;
    return {
      ...(spec === undefined ? {} : { group: spec.group, groups: [spec.group, ...(spec.groups ?? [])] }),
      ...(proof === undefined ? {} : { expiresMs: proof.expiresMs }),
      ...(isNarrowed(proof?.narrowing) ? { narrowing: proof.narrowing } : {}),
    };
  }

  async #loggedIn(caller: UserCaller, change: (record: LoginRecord, nowMs: number) => LoginRecord): Promise<LoggedIn> {
    const { user } = caller.identity;
    const nowMs = this.#parts.clock.nowMs();
    const id = digestOf(this.#parts.random()).slice(0, 8);
    const { made, value } = this.#made("login", `login-${id}`, nowMs + (this.#parts.loginMs ?? LOGIN_MS));
    const how = {
      caller: { ...caller, ...defined({ uid: this.#uidOf(user) }) },
      owner: user,
      verb: "login",
      name: made.name,
    };
    await this.#change(how, (record) => withCredential(change(record, nowMs), made, nowMs));
    return { token: value, user, name: made.name, expiresMs: made.expiresMs };
  }

  #made(kind: CredentialKind, name: string, expiresMs: number) {
    const value = valueOf(kind, this.#parts.random());
    const createdMs = this.#parts.clock.nowMs();
    return { value, made: { kind, name, digest: digestOf(value), createdMs, expiresMs } satisfies Credential };
  }

  /** Durably; what the user was at the time of the decision counts. */
  #change({ caller, owner, verb, name }: How, change: (record: LoginRecord) => LoginRecord): Promise<void> {
    const work = async () => {
      const { committer, clock } = this.#parts;
      const uid = owner === undefined ? undefined : this.#present(owner);
      const value = writtenRecord(change(this.#recordOf(owner, uid)), clock.nowMs());
      const whose = owner === undefined ? "administrator" : `user/${owner}`;
      await committer.submit({
        caller,
        about: { verb, object: name === undefined ? whose : `${whose}/${name}` },
        holds: () => void (owner !== undefined && this.#present(owner, uid)),
        secrets: () => [{ key: recordKey(owner), value }],
        committed: () => this.#index(owner, uid),
      });
    };
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Takes over what the store has of the owner. */
  #index(owner: Owner, uid: string | undefined): void {
    for (const [digest, known] of this.#known) if (known.owner === owner) this.#known.delete(digest);
    for (const credential of this.#recordOf(owner, uid).credentials)
      this.#known.set(credential.digest, { owner, uid, credential });
  }

  #recordOf(owner: Owner, uid: string | undefined): LoginRecord {
    return readRecord(this.#parts.store.secret(recordKey(owner)), uid) ?? emptyRecord(uid);
  }

  #uidOf(user: string): string | undefined {
    return get(this.#parts.committer.view, "user", user)?.uid;
  }

  #whyEnded({ owner, uid }: Known): string | undefined {
    if (owner === undefined) return undefined;
    const user = get(this.#parts.committer.view, "user", owner);
    if (user?.uid !== uid) return "its user was deleted";
    return user?.spec.enabled === true ? undefined : "its user is disabled";
  }

  #checkEnabled(name: string): void {
    const user = get(this.#parts.committer.view, "user", name);
    if (user?.spec.enabled === true) return;
    const what = user === undefined ? `there is no user "${name}"` : `user "${name}" is disabled`;
    throw new Fault("forbidden", { what, fix: "ask an administrator" });
  }

  /** The uid; a Fault `not-found` if the user is not there, or not the same any more. */
  #present(name: string, uid?: string): string {
    const found = this.#uidOf(name);
    if (found !== undefined && (uid === undefined || uid === found)) return found;
    throw unknownFault("user", name, "user");
  }
}

/** A user's password, logins and tokens go with it. */
export function secretsWith(write: Write): Pick<Job, "secrets"> {
  if (write.verb !== "delete" || write.kind !== "user") return {};
  return { secrets: () => [{ key: recordKey(write.name), value: undefined }] };
}

type UserCaller = Caller & { readonly identity: { readonly role: "user"; readonly user: string } };
/** A change of the owner's record, as the audit log says it. */
type How = { readonly caller: Caller; readonly owner: Owner; readonly verb: string; readonly name?: string };

/** Whose token it will be. */
function ownerFor({ identity }: Asker, user: string | undefined): Owner {
  if (identity.role === "admin") return user;
  if (identity.role !== "user") throw notOwn("make a token");
  if (user !== undefined && user !== identity.user) throw notOwn(`make a token for user "${user}"`);
  return identity.user;
}

/** What is not said is as the maker's; what is said must be within it. */
function narrowingFor({ proof }: Asker, owner: Owner, { rights, networks }: TokenRequest): Narrowing | undefined {
  const outer = proof?.narrowing;
  const said = { rights: rights ?? outer?.rights, networks: networks ?? outer?.networks };
  const inner: Narrowing = {
    ...(said.rights === undefined ? {} : { rights: said.rights }),
    ...(said.networks === undefined ? {} : { networks: said.networks }),
  };
  if (!isWithin(inner, outer))
    throw new Fault("forbidden", {
      what: "a token makes none that can do more than itself",
      why: `it can do ${narrowingText(outer)}, and asks for ${narrowingText(inner)}`,
      fix: "ask for less, or use a login: weft login",
    });
  if (owner === undefined && isNarrowed(inner))
    throw new Fault("unsupported", {
      what: "the administrator's rights cannot be narrowed",
      where: "user",
      fix: "make a user with these rights, and a token for it: weft token create NAME --user USER",
    });
  return inner;
}

function notOwn(what: string): Fault {
  return new Fault("forbidden", { what: `you may not ${what}`, fix: "ask an administrator" });
}
