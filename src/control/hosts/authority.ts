// The cluster's own CA: made with the store and kept there, it signs the certificates of servers and hosts. It can be
// rotated without losing an agent: meanwhile both CAs are trusted, and the old one has signed the new one, so that who
// knows only the old one trusts what the new one signs.
import { X509Certificate } from "node:crypto";
import type { Clock } from "../../model/clock.ts";
import { Fault } from "../../model/fault.ts";
import type { CaState } from "../../model/ca.ts";
import type { Secret, Store } from "../../store/store.ts";
import type { Certifier, CertificateRequest, Issuer } from "../../tls/certifier.ts";
import { pinOfPem } from "../../tls/names.ts";
import type { Asked } from "../audit/entry.ts";
import type { Committer } from "../commit/committer.ts";
import type { Condition } from "../report/conditions.ts";
import type { Caller } from "../write.ts";

/** What a host is given: PEM texts. `ca` are all that it should trust from now on. */
export type Issued = { readonly certificate: string; readonly ca: string };
export type CertificateLife = { readonly hostMs: number };
const CERTIFICATE_LIFE: CertificateLife = { hostMs: 7 * 86_400_000 };

type Kept = {
  /** Counts the CAs of this cluster. */
  readonly number: number;
  readonly active: Issuer;
  readonly sinceMs: number;
  /** While the CA is rotated: the one before, and the certificate by which it trusts the active one. */
  readonly previous?: { readonly certificate: string; readonly cross: string };
};

/** What is to be kept, and what is so then. */
type Replacing = { readonly secret: Secret; readonly done: () => void };

const KEY = "ca";
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Clocks of two machines differ: what is valid now is valid on the other one, too. */
const BACKDATED_MS = HOUR_MS;
const CA_LIFE_MS = 3650 * DAY_MS;
const SERVER_LIFE_MS = 30 * DAY_MS;

export class Authority {
  readonly #store: Store;
  readonly #certifier: Certifier;
  readonly #clock: Pick<Clock, "nowMs">;
  readonly #life: CertificateLife;
  readonly #listeners = new Set<() => void>();
  /** By which CA the certificate is that a host has shown. */
  readonly #heard = new Map<string, string>();
  #committer: Pick<Committer, "submit" | "view"> | undefined;
  #kept: Kept;
  #pins: { readonly active: string; readonly previous?: string };
  #trusted: readonly X509Certificate[] = [];

  /** Makes the CA with the store's first start. */
  static async open(
    store: Store,
    options: { readonly certifier: Certifier; readonly clock: Pick<Clock, "nowMs">; readonly life?: CertificateLife },
  ): Promise<Authority> {
    const text = store.secret(KEY);
    if (text !== undefined) return new Authority(store, keptIn(text), options);
    const { certifier, clock } = options;
    const kept = await newCaOf(store.cluster, 1, certifier, clock.nowMs());
    await store.commit([], [{ key: KEY, value: JSON.stringify(kept) }]);
    return new Authority(store, kept, options);
  }

  private constructor(
    store: Store,
    kept: Kept,
    { certifier, clock, life = CERTIFICATE_LIFE }: Parameters<typeof Authority.open>[1],
  ) {
    this.#store = store;
    this.#certifier = certifier;
    this.#clock = clock;
    this.#life = life;
    this.#kept = kept;
    this.#pins = pinsOf(kept);
    this.#trusted = trustedIn(kept);
  }

  /** From now on it can be shown, rotated and dropped. */
  serve(committer: Pick<Committer, "submit" | "view">): void {
    this.#committer = committer;
  }

  show(): CaState {
    return this.state(this.#hosts);
  }

  async rotate(caller: Caller): Promise<CaState> {
    await this.#keep(await this.rotated(), { verb: "rotate-ca", object: "ca" }, caller);
    return this.show();
  }

  /** `force`: although hosts have no certificate of the new CA. */
  async drop(caller: Caller, force: boolean): Promise<CaState> {
    await this.#keep(this.dropped(this.#hosts, force), { verb: "drop-ca", object: "ca" }, caller);
    return this.show();
  }

  get #hosts(): readonly string[] {
    return [...(this.#committer?.view.host.keys() ?? [])];
  }

  async #keep({ secret, done }: Replacing, about: Asked, caller: Caller): Promise<void> {
    await this.#committer?.submit({ about, caller, secrets: () => [secret], committed: done });
  }

  /** Of the CA that signs. */
  get pin(): string {
    return this.#pins.active;
  }

  /** Every CA that is trusted, in PEM. */
  get bundle(): string {
    return this.#trusted.map(String).join("");
  }

  /** Calls when the server needs another certificate, or trusts another CA. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** What a server shows: its certificate, and what leads from it to each CA that is trusted. */
  async serverCertificate(key: string, names: readonly string[]): Promise<{ chain: string; untilMs: number }> {
    const nowMs = this.#clock.nowMs();
    const untilMs = nowMs + SERVER_LIFE_MS;
    const { active, previous } = this.#kept;
    const span = { fromMs: nowMs - BACKDATED_MS, toMs: untilMs };
    const own = await this.#certifier.serverCertificate(key, names, active, span);
    const rest = previous === undefined ? [active.certificate] : [previous.cross, previous.certificate];
    return { chain: [own, ...rest].join(""), untilMs };
  }

  /** What a host asks for; a Fault if it is not a request, or one for another host's name. */
  async read(csr: string, host: string): Promise<CertificateRequest> {
    const request = await this.#certifier.readRequest(csr);
    if (request.host === host) return request;
    throw new Fault("forbidden", {
      what: `host "${host}" asks for a certificate of host "${request.host.slice(0, 100)}"`,
      where: "csr",
      why: "a certificate says which host asks, so each host gets one of its own name only",
      fix: `make the request with the subject CN=${host}`,
    });
  }

  async issue(request: CertificateRequest): Promise<Issued> {
    const nowMs = this.#clock.nowMs();
    const span = { fromMs: nowMs - BACKDATED_MS, toMs: nowMs + this.#life.hostMs };
    const certificate = await this.#certifier.hostCertificate(request, this.#kept.active, span);
    return { certificate, ca: this.bundle };
  }

  /** The pin of the trusted CA that has signed it; undefined if none has. Whether it is signed, TLS has found out. */
  issuerOf(certificate: X509Certificate): string | undefined {
    const issuer = this.#trusted.find((ca) => certificate.checkIssued(ca));
    if (issuer === undefined) return undefined;
    return issuer === this.#trusted[0] ? this.#pins.active : this.#pins.previous;
  }

  /** A host has shown a certificate of this CA; gives what is to be kept of that, if it is news. */
  heard(host: string, pin: string): readonly Secret[] {
    if (this.#issuerFor(host) === pin) return [];
    this.#heard.set(host, pin);
    return [issuerSecret(host, pin)];
  }

  /** Hosts that have not shown a certificate of the active CA; none unless it is rotated. */
  missing(hosts: Iterable<string>): readonly string[] {
    if (this.#kept.previous === undefined) return [];
    return [...hosts].filter((host) => this.#issuerFor(host) !== this.#pins.active);
  }

  state(hosts: Iterable<string>): CaState {
    const { active, previous, sinceMs } = this.#kept;
    const shown = (certificate: string) => ({
      pin: pinOfPem(certificate),
      certificate,
      untilMs: new X509Certificate(certificate).validToDate.getTime(),
    });
    return {
      ...shown(active.certificate),
      sinceMs,
      ...(previous === undefined ? {} : { previous: shown(previous.certificate), missing: this.missing(hosts) }),
    };
  }

  /** From now on another CA signs; both are trusted until the one before is dropped. */
  async rotated(): Promise<Replacing> {
    if (this.#kept.previous !== undefined) {
      throw new Fault("in-use", {
        what: "the CA is already being rotated",
        where: "ca",
        fix: "see `weft ca show` for hosts that are missing, then `weft ca drop` the one before",
      });
    }
    const { number, active } = this.#kept;
    const next = await newCaOf(this.#store.cluster, number + 1, this.#certifier, this.#clock.nowMs());
    const cross = await this.#certifier.crossSigned(next.active, active);
    return this.#replacing({ ...next, previous: { certificate: active.certificate, cross } });
  }

  /** The CA before is trusted no more. Refused while hosts have only that, unless forced. */
  dropped(hosts: Iterable<string>, force: boolean): Replacing {
    const { previous, ...rest } = this.#kept;
    if (previous === undefined) {
      const fix = "begin with `weft ca rotate`";
      throw new Fault("not-found", { what: "the CA is not being rotated: there is none to drop", where: "ca", fix });
    }
    const missing = this.missing(hosts);
    if (missing.length === 0 || force) return this.#replacing(rest);
    throw new Fault("in-use", {
      what: "some hosts have no certificate of the new CA yet",
      where: "ca",
      why: "they would not be let in, and would not trust the server",
      blockers: missing.map((host) => `host ${host}`),
      fix: "wait until they are back, delete them, or use --force: each then needs a new join token",
    });
  }

  conditions(hosts: Iterable<string>): Condition[] {
    if (this.#kept.previous === undefined) return [];
    const all = [...hosts];
    return [{ reason: "ca-rotating", object: "cluster", message: rotatingText(this.missing(all), all.length) }];
  }

  #issuerFor(host: string): string | undefined {
    return this.#heard.get(host) ?? this.#store.secret(issuerKey(host));
  }

  #replacing(kept: Kept) {
    const done = () => {
      this.#kept = kept;
      this.#pins = pinsOf(kept);
      this.#trusted = trustedIn(kept);
      for (const listener of this.#listeners) listener();
    };
    return { secret: { key: KEY, value: JSON.stringify(kept) }, done };
  }
}

/** Of a host that is removed: undefined. */
export function issuerSecret(host: string, pin: string | undefined): Secret {
  return { key: issuerKey(host), value: pin };
}

function issuerKey(host: string): string {
  return `ca/host/${host}`;
}

async function newCaOf(cluster: string, number: number, certifier: Certifier, nowMs: number): Promise<Kept> {
  const span = { fromMs: nowMs - DAY_MS, toMs: nowMs + CA_LIFE_MS };
  const active = await certifier.newCa(`Weft CA ${number} of ${cluster.slice(0, 40)}`, span);
  return { number, active, sinceMs: nowMs };
}

function keptIn(text: string): Kept {
  // Written by this file.
  return JSON.parse(text) as Kept;
}

function pinsOf({ active, previous }: Kept): { readonly active: string; readonly previous?: string } {
  const pin = pinOfPem(active.certificate);
  return previous === undefined ? { active: pin } : { active: pin, previous: pinOfPem(previous.certificate) };
}

function trustedIn({ active, previous }: Kept): readonly X509Certificate[] {
  const all = previous === undefined ? [active] : [active, previous];
  return all.map(({ certificate }) => new X509Certificate(certificate));
}

function rotatingText(missing: readonly string[], count: number): string {
  if (missing.length === 0)
    return `the CA is being rotated, and all ${count} hosts have a certificate of the new one: run \`weft ca drop\``;
  const waits = `${missing.length} of ${count} hosts have no certificate of the new one yet`;
  return `the CA is being rotated: ${waits}: ${listed(missing)}`;
}

const LISTED_MAX = 20;

function listed(names: readonly string[]): string {
  const more = names.length - LISTED_MAX;
  return names.slice(0, LISTED_MAX).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
