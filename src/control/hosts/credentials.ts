// Which role or host a token belongs to. The store has digests, never tokens. A token is 32 random bytes, so a plain
// SHA-256 is enough (nothing to guess, nothing to salt). Host tokens are found by their digest: what timing reveals
// about a digest reveals nothing about its token.
import { createHash, timingSafeEqual } from "node:crypto";
import { Fault } from "../../model/fault.ts";
import type { Secret, Store } from "../../store/store.ts";
import type { Departures } from "./departures.ts";
import type { JoinTokens } from "./joinTokens.ts";
import type { Identity } from "../write.ts";

/** `join`: of the token in the server's file; others are named (joinTokens.ts). */
export type Role = "admin" | "join";

const ADMIN = "token/admin";

export class Credentials {
  readonly #store: Store;
  readonly #departures: Departures;
  readonly #joinTokens: JoinTokens;
  readonly #hosts = new Map<string, string>();
  /** Digests that joins in progress are about to assign, and to which host. */
  readonly #taking = new Map<string, string>();

  constructor(store: Store, departures: Departures, joinTokens: JoinTokens, hosts: Iterable<string>) {
    this.#store = store;
    this.#departures = departures;
    this.#joinTokens = joinTokens;
    for (const host of hosts) this.admit(host);
  }

  /** Takes over what the store says about a host's token: a first one, another one, or none. */
  admit(host: string): void {
    for (const [digest, name] of this.#hosts) if (name === host) this.#hosts.delete(digest);
    const digest = this.#store.secret(hostKey(host));
    if (digest !== undefined) this.#hosts.set(digest, host);
  }

  has(role: Role): boolean {
    return role === "join" ? this.#joinTokens.hasFileToken : this.#store.secret(ADMIN) !== undefined;
  }

  /** The owner of the token; a Fault `token-wrong` if there is none. */
  identify(token: string | undefined): Identity {
    if (token === undefined || token === "") {
      throw new Fault("token-wrong", {
        what: "the request carries no token",
        fix: "send it as `Authorization: Bearer <token>`",
      });
    }
    const digest = digestOf(token);
    // Hosts first: they ask most, and are known without reading the store.
    const host = this.#hosts.get(digest);
    if (host !== undefined) return { role: "host", host };
    if (isEqual(digest, this.#store.secret(ADMIN))) return { role: "admin" };
    const joining = this.#joinTokens.find(token);
    if (joining !== undefined) return { role: "join", token: joining };
    this.refuseDeparted(token);
    throw new Fault("token-wrong", {
      what: "the server does not know this token",
      why: "it is mistyped, or from another server",
      fix: "use the token that the server wrote when it first started, or join the host again",
    });
  }

  /** Throws what became of the host that had this token, if it was removed. */
  refuseDeparted(token: string): void {
    const fault = this.#departures.faultOf(digestOf(token));
    if (fault !== undefined) throw fault;
  }

  /** Whether another host has the token, or is about to get it. */
  isAnothers(host: string, token: string): boolean {
    const digest = digestOf(token);
    const owner = this.#hosts.get(digest) ?? this.#taking.get(digest);
    const isRole = isEqual(digest, this.#store.secret(ADMIN)) || this.#joinTokens.isKnown(token);
    return (owner !== undefined && owner !== host) || isRole;
  }

  /** Reserves the token for the host until endReservation(). Throws `token-taken` if it is in use. */
  take(host: string, token: string): void {
    if (this.isAnothers(host, token)) throw tokenTaken();
    this.#taking.set(digestOf(token), host);
  }

  /** The host has the token now, or will not have it. */
  endReservation(token: string): void {
    this.#taking.delete(digestOf(token));
  }

  /** Throws `token-taken` for a token of a role that a host, or the other role, has. */
  checkRole(role: Role, token: string): void {
    const digest = digestOf(token);
    const other = role === "admin" ? "join" : "admin";
    const isOther = role === "admin" ? this.#joinTokens.isKnown(token) : isEqual(digest, this.#store.secret(ADMIN));
    if (!this.#hosts.has(digest) && !isOther) return;
    throw new Fault("token-taken", {
      what: `the ${role} token is already in use`,
      where: `${role}.token`,
      why: `it is the ${other} token, or a host's: its owner would have the rights of both`,
      fix: `put another into ${role}.token, or remove the file: the server makes a new one`,
    });
  }

  /** The store's record of the host's token. */
  digestOf(host: string): string | undefined {
    return this.#store.secret(hostKey(host));
  }

  isTokenOf(host: string, token: string): boolean {
    return isEqual(digestOf(token), this.#store.secret(hostKey(host)));
  }
}

/** What a host's key is known by. No bearer token has a blank, so none can be taken for a key. */
export function credentialOfKey(pin: string): string {
  return `key ${pin}`;
}

export function adminSecret(token: string): Secret {
  return { key: ADMIN, value: digestOf(token) };
}

/** Undefined revokes. */
export function hostSecret(host: string, token: string | undefined): Secret {
  return { key: hostKey(host), value: token === undefined ? undefined : digestOf(token) };
}

function tokenTaken(): Fault {
  return new Fault("token-taken", {
    what: "the credential that the host proposes is already in use",
    where: "token",
    why: "a credential says who asks, so no two may have the same: it is the join token, or that of another host",
    fix: "propose 32 random bytes of this host's own; if its state directory is a copy of another host's, remove it",
  });
}

function hostKey(host: string): string {
  return `token/host/${host}`;
}

function digestOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function isEqual(digest: string, stored: string | undefined): boolean {
  return stored?.length === digest.length && timingSafeEqual(Buffer.from(digest), Buffer.from(stored));
}
