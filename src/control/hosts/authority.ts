// The cluster's own CA: made with the store and kept there, it signs the certificates of servers and hosts. It can be
// rotated without losing an agent: meanwhile both CAs are trusted, and the old one has signed the new one, so that who
// knows only the old one trusts what the new one signs.
import type { Clock } from "../../model/clock.ts";
import { Fault } from "../../model/fault.ts";
import type { CaState } from "../../model/ca.ts";
import type { Secret, Store } from "../../store/store.ts";
import type { Certifier, CertificateRequest, Issuer } from "../../tls/certifier.ts";
import type { Look } from "../../tls/look.ts";
import type { Asked } from "../audit/entry.ts";
import type { Committer } from "../commit/committer.ts";
import type { Condition } from "../report/conditions.ts";
import type { Caller } from "../write.ts";

/** What a host is given: PEM texts. `ca` are all that it should trust from now on. */
export type Issued = { readonly certificate: string; readonly ca: string };
export type CertificateLife = { readonly hostMs: number };
const CERTIFICATE_LIFE: CertificateLife = { hostMs: 7 * 86_400_000 };

/** A CA that is trusted: its certificate, and the pin of its key. */
type Trusted = { readonly pin: string; readonly certificate: string };
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
/** A CA ends when it is dropped. Clocks are wrong: made in 1970, it would have ended before the first host joins. */
const CA_SPAN = { fromMs: 0, toMs: Date.UTC(9999, 11, 31) };
const SERVER_LIFE_MS = 30 * 24 * HOUR_MS;

export class Authority {
  readonly #store: Store;
  readonly #certifier: Certifier;
  readonly #clock: Pick<Clock, "nowMs">;
  readonly #life: CertificateLife;
  readonly #listeners = new Set<() => void>();
  #committer: Pick<Committer, "submit" | "view"> | undefined;
  #kept: Kept;
  /** First the one that signs. */
  #trusted: readonly [Trusted, ...Trusted[]];
  #bundle: string;
  /** Changes are made one after the other: each begins with what the one before has made durable. */
  #last: Promise<unknown> = Promise.resolve();

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
    this.#trusted = trustedIn(kept, certifier);
    this.#bundle = bundleOf(this.#trusted);
  }

  /** From now on it can be shown, rotated and dropped. */
  serve(committer: Pick<Committer, "submit" | "view">): void {
    this.#committer = committer;
  }

  show(): CaState {
    return this.state(this.#hosts);
  }

  async rotate(caller: Caller): Promise<CaState> {
    return this.#change(() => this.rotated(), { verb: "rotate-ca", object: "ca" }, caller);
  }

  /** `force`: although hosts have no certificate of the new CA. */
  async drop(caller: Caller, force: boolean): Promise<CaState> {
    return this.#change(() => this.dropped(this.#hosts, force), { verb: "drop-ca", object: "ca" }, caller);
  }

  get #hosts(): readonly string[] {
    return [...(this.#committer?.view.host.keys() ?? [])];
  }

  #change(next: () => Replacing | Promise<Replacing>, about: Asked, caller: Caller): Promise<CaState> {
    const work = async () => {
      const { secret, done } = await next();
      await this.#committer?.submit({ about, caller, secrets: () => [secret], committed: done });
      return this.show();
    };
    const changed = this.#last.then(work);
    this.#last = changed.catch(() => undefined);
    return changed;
  }

  /** Of the CA that signs. */
  get pin(): string {
    return this.#trusted[0].pin;
  }

  /** Every CA that is trusted, in PEM: first the one that signs. */
  get bundle(): string {
    return this.#bundle;
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
    // A host whose clock is behind, like one without a battery, trusts it, too.
    const span = { fromMs: CA_SPAN.fromMs, toMs: untilMs };
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
    const { hostMs } = this.#life;
    // Little of its life: hosts count from the begin when they renew.
    const span = { fromMs: nowMs - Math.min(HOUR_MS, hostMs / 10), toMs: nowMs + hostMs };
    const ca = this.#bundle;
    const certificate = await this.#certifier.hostCertificate(request, this.#kept.active, span);
    return { certificate, ca };
  }

  /** What a certificate says, whoever has signed it. */
  look(certificate: string): Look {
    return this.#certifier.look(certificate);
  }

  /** The pin of the trusted CA that has signed it; undefined if none has. */
  issuerOf(certificate: string): string | undefined {
    return this.#trusted.find((ca) => this.#certifier.isSignedBy(certificate, ca.certificate))?.pin;
  }

  /** A host has shown a certificate of this CA; gives what is to be kept of that, if it is news. */
  heard(host: string, pin: string): readonly Secret[] {
    return this.#issuerFor(host) === pin ? [] : [issuerSecret(host, pin)];
  }

  /** Hosts that have not shown a certificate of the active CA; none unless it is rotated. */
  missing(hosts: Iterable<string>): readonly string[] {
    if (this.#kept.previous === undefined) return [];
    return [...hosts].filter((host) => this.#issuerFor(host) !== this.pin);
  }

  state(hosts: Iterable<string>): CaState {
    const { active, previous, sinceMs } = this.#kept;
    const shown = (certificate: string) => {
      const { pin, toMs: untilMs } = this.#certifier.look(certificate);
      return { pin, certificate, untilMs };
    };
    return {
      ...shown(active.certificate),
      sinceMs,
      ...(previous === undefined ? {} : { previous: shown(previous.certificate), missing: this.missing(hosts) }),
    };
  }

  /** From now on another CA signs; both are trusted until the one before is dropped. */
  async rotated(): Promise<Replacing> {
    if (this.#kept.previous !== undefined) throw rotating();
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
    throw blockedBy(missing);
  }

  conditions(hosts: Iterable<string>): Condition[] {
    if (this.#kept.previous === undefined) return [];
    const all = [...hosts];
    return [{ reason: "ca-rotating", object: "cluster", message: rotatingText(this.missing(all), all.length) }];
  }

  #issuerFor(host: string): string | undefined {
    return this.#store.secret(issuerKey(host));
  }

  #replacing(kept: Kept) {
    const done = () => {
      this.#kept = kept;
      this.#trusted = trustedIn(kept, this.#certifier);
      this.#bundle = bundleOf(this.#trusted);
      for (const listener of this.#listeners) listener();
    };
    return { secret: { key: KEY, value: JSON.stringify(kept) }, done };
  }
}

function rotating(): Fault {
  const fix = "see `weft ca show` for hosts that are missing, then `weft ca drop` the one before";
  return new Fault("in-use", { what: "the CA is already being rotated", where: "ca", fix });
}

function blockedBy(missing: readonly string[]): Fault {
  return new Fault("in-use", {
    what: "some hosts have no certificate of the new CA yet",
    where: "ca",
    why: "they would not be let in, and would not trust the server",
    blockers: missing.map((host) => `host ${host}`),
    fix: "wait until `weft ca show` names none, delete them, or use --force: each then needs a new join token",
  });
}

/** Of a host that is removed: undefined. */
export function issuerSecret(host: string, pin: string | undefined): Secret {
  return { key: issuerKey(host), value: pin };
}

function issuerKey(host: string): string {
  return `ca/host/${host}`;
}

async function newCaOf(cluster: string, number: number, certifier: Certifier, nowMs: number): Promise<Kept> {
  const active = await certifier.newCa(`Weft CA ${number} of ${cluster.slice(0, 40)}`, CA_SPAN);
  return { number, active, sinceMs: nowMs };
}

function keptIn(text: string): Kept {
  // Written by this file.
  return JSON.parse(text) as Kept;
}

function trustedIn({ active, previous }: Kept, certifier: Certifier): [Trusted, ...Trusted[]] {
  const of = ({ certificate }: { readonly certificate: string }) => ({
    pin: certifier.look(certificate).pin,
    certificate,
  });
  return previous === undefined ? [of(active)] : [of(active), of(previous)];
}

function bundleOf(trusted: readonly Trusted[]): string {
  return trusted.map(({ certificate }) => certificate).join("");
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
