// TLS between a simulated host and its server: what each side checks when a connection begins, and the server at each
// request. The host's credential, the server's certificate and the judgement of callers are the real ones.
import { joinHost } from "../../../src/api/routes/hosts.ts";
import { callerOf, type Certificate, shownAs } from "../../../src/api/shown.ts";
import { HostCredential, type HostCertificate, type Proof } from "../../../src/client/hostCredential.ts";
import type { Trust } from "../../../src/client/tls.ts";
import type { Joined } from "../../../src/client/transport.ts";
import type { Control } from "../../../src/control/control.ts";
import type { Caller } from "../../../src/control/write.ts";
import { ServerCertificate } from "../../../src/main/serverCertificate.ts";
import type { Clock } from "../../../src/model/clock.ts";
import { Fault, problemOf } from "../../../src/model/fault.ts";
import type { HostClaim } from "../../../src/model/input.ts";
import type { Certifier } from "../../../src/tls/certifier.ts";
import { certificatesIn, joinTokenOf, joinTokenText } from "../../../src/tls/names.ts";
import { said } from "./certifier.ts";
import { JOIN_TOKEN } from "./host.ts";

/** What a host's disk has: its key and certificate, and a copy of the server's join.token, of whichever day. */
export type TlsDisk = {
  key: string;
  given: HostCertificate | undefined;
  wasLetIn: boolean;
  joinToken: string | undefined;
};
/** The server as hosts reach it. */
export type TlsServer = { readonly control: Control; readonly certificate: ServerCertificate; readonly clock: Clock };

/** The server's certificate, renewed until the signal aborts. */
export async function serveTls(control: Control, clock: Clock, signal: AbortSignal): Promise<TlsServer> {
  const { authority } = control;
  if (authority === undefined) throw new Error("a world with certificates has a CA");
  const heard = { changed: () => undefined, failed: () => undefined };
  const certificate = await ServerCertificate.open({ authority, clock, address: "" }, heard);
  void (async () => {
    while (!signal.aborted) {
      await clock.sleep(10_000, signal);
      if (!signal.aborted) await certificate.renewIfDue();
    }
  })();
  return { control, certificate, clock };
}

/** What the server's join.token says now. */
export function joinTokenFile(control: Control | undefined): string | undefined {
  return control?.authority === undefined ? undefined : joinTokenText(JOIN_TOKEN, control.authority.pin);
}

/** By what the agent that starts proves who it is. */
export function credentialOn(disk: TlsDisk, certifier: Certifier): HostCredential {
  const joinToken = () => {
    if (disk.joinToken !== undefined) return joinTokenOf(disk.joinToken);
    const fix = "give --join-token-file with a copy of the server's join.token";
    throw new Fault("token-wrong", { what: "there is no token to join with", fix });
  };
  const { key, given } = disk;
  return new HostCredential({ key, joinToken, certifier, ...(given === undefined ? {} : { given }) });
}

/** The connections of one agent: what the server has learned of one holds until that ends. */
export class TlsLine {
  readonly #clock: Pick<Clock, "nowMs">;
  readonly credential: HostCredential;
  #open: { readonly to: Control; readonly certificate: Certificate | undefined } | undefined;

  /** `clock`: the host's. */
  constructor(credential: HostCredential, clock: Pick<Clock, "nowMs">) {
    this.credential = credential;
    this.#clock = clock;
  }

  isDue(): boolean {
    return this.credential.isDue(this.#clock.nowMs());
  }

  /** Who asks, as the server judges it; and by the certificate of which CA. */
  caller(server: TlsServer, proof: Proof = "certificate"): { readonly caller: Caller; readonly shown: Shown } {
    const certificate = proof === "certificate" ? this.#connected(server) : this.#connect(server, proof);
    const token = this.credential.bearer(proof);
    const shown = { ...(token === undefined ? {} : { token }), ...(certificate === undefined ? {} : { certificate }) };
    return { caller: callerOf(server.control, { ...shown, from: "a host" }, server.clock.nowMs()), shown };
  }

  async join(server: TlsServer, { host, ...rest }: HostClaim, proof: Proof): Promise<Omit<Joined, "suspectAfterMs">> {
    const csr = this.isDue() ? await this.credential.request(host) : undefined;
    const { caller, shown } = this.caller(server, proof);
    return joinHost(server.control, { caller, shown, identity: caller.identity }, { host, ...rest }, csr);
  }

  /** The answer to a join has arrived. */
  joined({ certificate, ca }: Joined): void {
    if (certificate === undefined || ca === undefined) return;
    this.credential.take({ certificate, ca }, this.#clock.nowMs());
    this.#open = undefined;
  }

  /** A request was refused. */
  refused(error: unknown, proof: Proof = "certificate"): void {
    const { reason } = problemOf(error);
    this.credential.refused(proof, reason);
    if (reason === "certificate-refused") this.#open = undefined;
  }

  close(): void {
    this.#open = undefined;
  }

  #connected(server: TlsServer): Certificate | undefined {
    if (this.#open?.to !== server.control)
      this.#open = { to: server.control, certificate: this.#connect(server, "certificate") };
    return this.#open.certificate;
  }

  #connect({ control: { authority }, certificate }: TlsServer, proof: Proof): Certificate | undefined {
    const { trust, shown } = this.credential.tls(proof);
    checkServer(trust, certificatesIn(certificate.shown.cert), this.#clock.nowMs());
    if (shown === undefined || authority === undefined) return undefined;
    return shownAs(shown.certificate, authority);
  }
}
type Shown = { readonly token?: string; readonly certificate?: Certificate };

/** As TLS does it: a chain to a CA that is trusted, and within the times of each certificate. */
function checkServer({ pin, ca }: Trust, [own = "", ...rest]: readonly string[], nowMs: number): void {
  const chain = rest.map(said);
  const trusted = new Set(ca === undefined ? [pin ?? ""] : certificatesIn(ca).map((one) => said(one).pin));
  const { issuer, fromMs, toMs } = said(own);
  if (pin !== undefined && !chain.some((one) => one.pin === pin)) throw untrusted("its CA is another");
  const crossed = chain.filter((one) => one.pin === issuer).map((one) => one.issuer);
  if (![issuer, ...crossed].some((one) => trusted.has(one)))
    throw untrusted("its certificate is of a CA that is not trusted");
  if (nowMs < fromMs || nowMs > toMs) throw untrusted("its certificate has expired");
}

function untrusted(why: string): Fault {
  const fix = "set the clock that is wrong; or give the agent a new join token";
  return new Fault("ca-untrusted", { what: "the server is not believed", why, fix });
}
