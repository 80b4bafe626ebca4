// By what a host proves who it is: a certificate for the key that it made itself, or a join token until it has one.
// The key never leaves the host, and stays the same as long as the host exists; certificates last days.
import { X509Certificate } from "node:crypto";
import { certificatesIn, type JoinToken, pinOfPem } from "../tls/names.ts";
import { pinOfPrivate } from "../tls/key.ts";
import type { Shown, Trust } from "./tls.ts";

/** What a server gave: PEM texts. `ca` are the CAs to trust from then on, first the one that signed. */
export type HostCertificate = { readonly certificate: string; readonly ca: string };
type Start = {
  readonly key: string;
  readonly given?: HostCertificate;
  /** What there is to join with now. */
  readonly joinToken: () => JoinToken | undefined;
  /** The credential of an earlier build, to be replaced by the key. */
  readonly earlier?: string;
  /** Whom to trust before the host has joined; the join token names it, too. */
  readonly trust?: Trust;
};

/** The part of a certificate's life after which the host asks for the next one. */
const RENEW_AFTER = 2 / 3;

export class HostCredential {
  readonly #start: Start;
  #key: string;
  #earlier: string | undefined;
  #given: HostCertificate | undefined;
  #span: { readonly fromMs: number; readonly toMs: number } | undefined;
  /** The server does not take the certificate, or it has expired: the host joins with a token. */
  #isRefused = false;
  /** The CA that signs now, as the server says. */
  #signer: string | undefined;

  constructor(start: Start) {
    this.#start = start;
    this.#key = start.key;
    this.#earlier = start.earlier;
    if (start.given !== undefined) this.take(start.given);
  }

  get key(): string {
    return this.#key;
  }
  get given(): HostCertificate | undefined {
    return this.#given;
  }
  get #isJoining(): boolean {
    return this.#given === undefined || this.#isRefused;
  }

  /** What goes with a request beside the certificate. */
  get bearer(): string | undefined {
    if (!this.#isJoining) return undefined;
    return this.#earlier ?? this.#start.joinToken()?.secret;
  }

  tls(): { readonly trust: Trust; readonly shown?: Shown } {
    const given = this.#given;
    if (given !== undefined && !this.#isRefused)
      return { trust: { ca: given.ca }, shown: { key: this.#key, certificate: given.certificate } };
    const pin = this.#start.joinToken()?.pin;
    // A host that has been let in knows the CA. The token may name one that came later.
    if (pin !== undefined) return { trust: { pin } };
    return { trust: given === undefined ? (this.#start.trust ?? {}) : { ca: given.ca } };
  }

  /** Whether to ask for a certificate: there is none, its time is nearly over, or another CA signs now. */
  isDue(nowMs: number): boolean {
    const span = this.#span;
    if (span === undefined || this.#isRefused) return true;
    if (this.#signer !== undefined && this.#signer !== this.#issuer) return true;
    return nowMs >= span.fromMs + (span.toMs - span.fromMs) * RENEW_AFTER;
  }

  async request(host: string): Promise<string> {
    const { requestFor } = await import("../tls/certifier.ts");
    return requestFor(host, this.#key);
  }

  take(given: HostCertificate): void {
    const { validFromDate, validToDate } = new X509Certificate(given.certificate);
    this.#given = given;
    this.#span = { fromMs: validFromDate.getTime(), toMs: validToDate.getTime() };
    this.#isRefused = false;
    this.#earlier = undefined;
  }

  /** The server does not take the certificate. Whether there is something else to try. */
  refused(): boolean {
    if (this.#isRefused || this.#start.joinToken() === undefined) return false;
    this.#isRefused = true;
    return true;
  }

  heardSigner(pin: string | undefined): void {
    this.#signer = pin;
  }

  /** Continues as a host that has not joined yet. */
  begin(key: string): void {
    this.#key = key;
    this.#given = undefined;
    this.#span = undefined;
    this.#earlier = undefined;
    this.#isRefused = false;
  }

  get #issuer(): string | undefined {
    const [first] = certificatesIn(this.#given?.ca ?? "");
    return first === undefined ? undefined : pinOfPem(first);
  }
}

/** Whether the certificate is for this key: files of two times may lie beside each other. */
export function isFor(given: HostCertificate, key: string): boolean {
  return pinOfPem(given.certificate) === pinOfPrivate(key);
}
