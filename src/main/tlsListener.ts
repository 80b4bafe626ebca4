// The server's side of TLS: its own certificate (serverCertificate.ts), and one that an administrator gives for
// people's browsers, which is read again when its file changes. Agents and the CLI ask for the
// name SERVER_NAME and get the cluster's own, whatever else there is.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { RequestListener } from "node:http";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Authority, CertificateLife } from "../control/hosts/authority.ts";
import type { Files } from "../files/files.ts";
import { parseDuration } from "../model/duration.ts";
import { Fault } from "../model/fault.ts";
import { certificatesIn, SERVER_NAME, TLS_VERSION } from "../tls/names.ts";
import { ServerCertificate } from "./serverCertificate.ts";
import { CONNECTION_BOUNDS, type ConnectionBounds, boundConnections, timesOf } from "./connections.ts";
import type { Surroundings } from "./surroundings.ts";

/** Files of a certificate with its chain, and of its key. */
export type GivenFiles = { readonly cert: string; readonly key: string };
type Options = Pick<Surroundings, "clock" | "log"> & {
  readonly authority: Pick<Authority, "serverCertificate" | "bundle" | "onChange">;
  /** The address to listen on: people who use it find it in the certificate. */
  readonly address: string;
  readonly given?: GivenFiles;
  readonly bounds?: ConnectionBounds;
  readonly files: Pick<Files, "read">;
};

const LOOK_EVERY_MS = 10_000;

export class TlsListener {
  readonly #options: Options;
  readonly #own: ServerCertificate;
  #server: Server | undefined;
  #given: { readonly text: string; readonly context: SecureContext } | undefined;
  #problem: string | undefined;

  /** Throws a Fault if the files that were given do not fit. */
  static async open(options: Options): Promise<TlsListener> {
    const own: ServerCertificate = await ServerCertificate.open(options, {
      changed: () => listener.#server?.setSecureContext(listener.#context()),
      failed: (error) => listener.#say(messageOf(error)),
    });
    const listener = new TlsListener(options, own);
    listener.#readGiven();
    return listener;
  }

  private constructor(options: Options, own: ServerCertificate) {
    this.#options = options;
    this.#own = own;
  }

  /** For the API's `listener`. Every client is let in here: what a certificate is worth is judged at each request. */
  readonly serve = (handler: RequestListener): Server => {
    const bounds = this.#options.bounds ?? CONNECTION_BOUNDS;
    const server = createServer(
      {
        ...this.#context(),
        requestCert: true,
        rejectUnauthorized: false,
        ...timesOf(bounds),
        SNICallback: (name, done) => done(null, name === SERVER_NAME ? undefined : this.#given?.context),
      },
      handler,
    );
    boundConnections(server, bounds, (origin) => this.#options.log("too many connections", { origin }));
    this.#server = server;
    return server;
  };

  /** Renews what expires, and reads the given files again, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      await clock.sleep(LOOK_EVERY_MS, signal);
      if (signal.aborted) return;
      // Each by itself: a given file that cannot be read keeps nobody from renewing the cluster's own certificate.
      const looks = await Promise.allSettled([this.#own.renewIfDue(), (async () => this.#readGiven())()]);
      const problems = looks.flatMap((look) => (look.status === "rejected" ? [messageOf(look.reason)] : []));
      this.#say(problems.length === 0 ? undefined : problems.join("; "));
    }
  }

  /** The certificate that was there before is used on. */
  #say(problem: string | undefined): void {
    if (problem !== undefined && problem !== this.#problem) this.#options.log("certificate", { problem });
    this.#problem = problem;
  }

  #context() {
    return { ...this.#own.shown, ...TLS_VERSION };
  }

  #readGiven(): void {
    const { given, files } = this.#options;
    if (given === undefined) return;
    const text = textIn(files, given.cert, "--tls-cert") + textIn(files, given.key, "--tls-key");
    if (text === this.#given?.text) return;
    const isAgain = this.#given !== undefined;
    this.#given = { text, context: this.#contextOf(given) };
    if (isAgain) this.#options.log("certificate read again", { file: given.cert });
  }

  #contextOf(given: GivenFiles): SecureContext {
    const cert = textIn(this.#options.files, given.cert, "--tls-cert");
    const key = textIn(this.#options.files, given.key, "--tls-key");
    const nowMs = this.#options.clock.nowMs();
    try {
      const certificate = new X509Certificate(certificatesIn(cert)[0] ?? "");
      if (!certificate.checkPrivateKey(createPrivateKey(key))) throw new Error("the key is not the certificate's");
      if (certificate.validToDate.getTime() < nowMs)
        throw new Error(`it has expired at ${certificate.validToDate.toISOString()}`);
      return createSecureContext({ cert, key, ...TLS_VERSION });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const fix = "give --tls-cert a certificate with its chain, and --tls-key its key, both in PEM";
      const what = "the certificate that was given cannot be used";
      throw new Fault("request-invalid", { what, where: given.cert, why, fix }, { cause });
    }
  }
}

/** Agents look once a heartbeat whether they have to renew: a host must have the time to try again. */
const LIFE_LEAST_MS = 600_000;

export function lifeFrom({
  "certificate-life": life,
}: {
  readonly "certificate-life"?: string;
}): CertificateLife | undefined {
  if (life === undefined) return undefined;
  const hostMs = parseDuration(life, "--certificate-life");
  if (hostMs >= LIFE_LEAST_MS) return { hostMs };
  const what = `${life} is too short for a certificate`;
  const why = "hosts renew at two thirds of that time, and would be locked out whenever the server is away";
  throw new Fault("request-invalid", { what, where: "--certificate-life", why, fix: "give at least 10m" });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function textIn(files: Pick<Files, "read">, path: string, where: string): string {
  try {
    return files.read(path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const fix = `give ${where} a file that this user may read`;
    throw new Fault("request-invalid", { what: `${path} cannot be read`, where, why, fix }, { cause });
  }
}
