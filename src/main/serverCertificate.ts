// The cluster's own certificate of one server, for a key that never leaves the process: made anew before it expires,
// when the CA is rotated, and when the clock was set back.
import { hostname, networkInterfaces } from "node:os";
import type { Authority } from "../control/hosts/authority.ts";
import type { Clock } from "../model/clock.ts";
import { newKey } from "../tls/key.ts";

type Options = {
  readonly clock: Pick<Clock, "nowMs">;
  readonly authority: Pick<Authority, "serverCertificate" | "bundle" | "onChange">;
  /** The address to listen on: people who use it find it in the certificate. */
  readonly address: string;
};
/** What a server shows, and whom it trusts: PEM texts. */
type Shown = { readonly key: string; readonly cert: string; readonly ca: string };

export class ServerCertificate {
  readonly #options: Options;
  readonly #key = newKey();
  #madeAtMs = 0;
  #untilMs = 0;
  #changed: () => void = () => undefined;
  #own: Omit<Shown, "key"> = { cert: "", ca: "" };
  /** Renewals come one after the other: the last one has what the CA is then. */
  #last: Promise<void> = Promise.resolve();

  /** `changed` is called after each renewal but the first, `failed` when one for another CA has failed. */
  static async open(
    options: Options,
    { changed, failed }: { readonly changed: () => void; readonly failed: (error: unknown) => void },
  ): Promise<ServerCertificate> {
    const certificate = new ServerCertificate(options);
    await certificate.#renew();
    certificate.#changed = changed;
    options.authority.onChange(() => void certificate.#renew().catch(failed));
    return certificate;
  }

  private constructor(options: Options) {
    this.#options = options;
  }

  get shown(): Shown {
    return { key: this.#key, ...this.#own };
  }

  /** Also when the clock was set back since: it would last too long. */
  async renewIfDue(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs > this.#untilMs || nowMs < this.#madeAtMs) await this.#renew();
  }

  #renew(): Promise<void> {
    const renewed = this.#last.then(() => this.#renewNow());
    this.#last = renewed.catch(() => undefined);
    return renewed;
  }

  async #renewNow(): Promise<void> {
    const { authority, clock, address } = this.#options;
    const names = [...new Set(["localhost", hostname(), address, ...ownAddresses()])].filter(isName);
    const nowMs = clock.nowMs();
    const { chain, untilMs } = await authority.serverCertificate(this.#key, names);
    // The CA may have been rotated since: then another renewal follows.
    this.#own = { cert: chain, ca: authority.bundle };
    this.#madeAtMs = nowMs;
    this.#untilMs = nowMs + ((untilMs - nowMs) * 2) / 3;
    this.#changed();
  }
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all = []) =>
    all.filter(({ scopeid = 0 }) => scopeid === 0).map(({ address }) => address),
  );
}

/** What a certificate can name. */
function isName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9.-]*$|^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(name) && name !== "::";
}
