// By what a host proves who it is: a certificate for the key that it made itself, or a join token until it has one.
// The key never leaves the host, and stays the same as long as the host exists; certificates last days.
//
//     token  -- it gets a certificate -->  certificate
//     token  <-- the server refuses the certificate, or shows a CA that the host does not trust --  certificate
//     token  -- the server refuses the token, or shows a CA that the token does not name -->  certificate
//
// A refusal leads to the other one only if the host has it, and no refusal is for good: clocks and CAs are set right,
// and a person brings another token. Whoever joins waits longer after each refusal.
import { attemptOf } from "../files/files.ts";
import type { Reason } from "../model/fault.ts";
import type { Certifier } from "../tls/certifier.ts";
import { pinOfPrivate } from "../tls/key.ts";
import { look } from "../tls/look.ts";
import { certificatesIn, type JoinToken, pinOfPem } from "../tls/names.ts";
import type { Shown, Trust } from "./tls.ts";

/** What a server gave: PEM texts. `ca` are the CAs to trust from then on, first the one that signed. */
export type HostCertificate = { readonly certificate: string; readonly ca: string };
export type Proof = "certificate" | "token";
type Start = {
  readonly key: string;
  readonly given?: HostCertificate;
  /** What there is to join with now; throws a Fault `token-wrong` if there is nothing. */
  readonly joinToken: () => JoinToken;
  /** Whom to trust before the host has joined; the join token names it, too. */
  readonly trust?: Trust;
  /** What reads certificates, and makes requests for them. Default: the real one. */
  readonly certifier?: Pick<Certifier, "look" | "requestFor">;
};

/** The part of a certificate's life after which the host asks for the next one. */
const RENEW_AFTER = 2 / 3;
/** The part by which the clock may be set back since without anything to do. */
const BACK = 1 / 10;

/** Loaded when a certificate is due: agents start without it. */
const CERTIFIER: Pick<Certifier, "look" | "requestFor"> = {
  look,
  requestFor: async (...of) => (await import("../tls/certifier.ts")).requestFor(...of),
};

/** Whether the server does not believe the host, or the host not the server. Other refusals are about what is asked. */
export function isDisbelief(reason: Reason): boolean {
  return reason === "ca-untrusted" || reason === "certificate-refused" || reason === "token-wrong";
}

/** By what to join after a refusal. */
export function proofAfter(proof: Proof, reason: Reason, has: Readonly<Record<Proof, boolean>>): Proof {
  const other = proof === "token" ? "certificate" : "token";
  return isDisbelief(reason) && has[other] ? other : proof;
}

export class HostCredential {
  readonly #start: Start;
  #key: string;
  #given: HostCertificate | undefined;
  readonly #certifier: Pick<Certifier, "look" | "requestFor">;
  /** When it need not be renewed, by this host's clock, which may be wrong. */
  #span: { readonly fromMs: number; readonly toMs: number } | undefined;
  #proof: Proof = "token";
  /** The server or the host has refused the other since the last certificate: the host joins before its time. */
  #isDoubted = false;
  /** The CA that signs now, as the server says. */
  #signer: string | undefined;

  constructor(start: Start) {
    this.#start = start;
    this.#key = start.key;
    this.#certifier = start.certifier ?? CERTIFIER;
    if (start.given === undefined) return;
    const { fromMs, toMs } = this.#certifier.look(start.given.certificate);
    this.#have(start.given, { fromMs, toMs: fromMs + (toMs - fromMs) * RENEW_AFTER });
  }

  get key(): string {
    return this.#key;
  }
  get given(): HostCertificate | undefined {
    return this.#given;
  }
  /** By what to join now. Everything else is asked by the certificate. */
  get proof(): Proof {
    return this.#proof;
  }

  /** What goes with a request beside TLS. Throws a Fault `token-wrong` if there is no token to join with. */
  bearer(proof: Proof): string | undefined {
    return proof === "certificate" ? undefined : this.#start.joinToken().secret;
  }

  tls(proof: Proof): { readonly trust: Trust; readonly shown?: Shown } {
    const given = this.#given;
    if (proof === "certificate" && given !== undefined)
      return { trust: { ca: given.ca }, shown: { key: this.#key, certificate: given.certificate } };
    // The token may name a CA that came after those of the certificate.
    const pin = attemptOf(() => this.#start.joinToken().pin);
    if (pin !== undefined) return { trust: { pin } };
    return { trust: given === undefined ? (this.#start.trust ?? {}) : { ca: given.ca } };
  }

  /** Whether to ask for a certificate: there is none, its time is nearly over, or another CA signs now. */
  isDue(nowMs: number): boolean {
    const span = this.#span;
    if (span === undefined || this.#isDoubted) return true;
    if (this.#signer !== undefined && this.#signer !== this.#issuer) return true;
    return nowMs < span.fromMs || nowMs >= span.toMs;
  }

  async request(host: string): Promise<string> {
    return this.#certifier.requestFor(host, this.#key);
  }

  /** Counted from now: what the server's clock said when it made the certificate may be another time. */
  take(given: HostCertificate, nowMs: number): void {
    const { fromMs, toMs } = this.#certifier.look(given.certificate);
    const lifeMs = toMs - fromMs;
    this.#have(given, { fromMs: nowMs - lifeMs * BACK, toMs: nowMs + lifeMs * RENEW_AFTER });
  }

  #have(given: HostCertificate, span: { readonly fromMs: number; readonly toMs: number }): void {
    this.#given = given;
    this.#span = span;
    this.#proof = "certificate";
    this.#isDoubted = false;
  }

  /** A request by `proof` was refused. A late answer to what is no longer tried says nothing. */
  refused(proof: Proof, reason: Reason): void {
    if (proof !== this.#proof || !isDisbelief(reason)) return;
    this.#isDoubted = true;
    const token = attemptOf(() => this.#start.joinToken()) !== undefined;
    this.#proof = proofAfter(proof, reason, { certificate: this.#given !== undefined, token });
  }

  heardSigner(pin: string | undefined): void {
    this.#signer = pin;
  }

  /** Continues as a host that has not joined yet. */
  begin(key: string): void {
    this.#key = key;
    this.#given = undefined;
    this.#span = undefined;
    this.#proof = "token";
    this.#isDoubted = false;
  }

  get #issuer(): string | undefined {
    const [first] = certificatesIn(this.#given?.ca ?? "");
    return first === undefined ? undefined : this.#certifier.look(first).pin;
  }
}

/** Whether the certificate is for this key: files of two times may lie beside each other. */
export function isFor(given: HostCertificate, key: string): boolean {
  return pinOfPem(given.certificate) === pinOfPrivate(key);
}
