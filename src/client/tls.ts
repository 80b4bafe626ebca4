// TLS to a server: whom to trust, and what this side shows of itself. Loaded only when TLS is spoken.
import { once } from "node:events";
import { Agent } from "node:https";
import { connect, type DetailedPeerCertificate } from "node:tls";
import { X509Certificate } from "node:crypto";
import { Fault } from "../model/fault.ts";
import { pinOf, SERVER_NAME, TLS_VERSION } from "../tls/names.ts";

/**
 * `pin`: the CA of this pin, whatever the server's name. `ca`: these CAs of a cluster (PEM), whatever its name.
 * `file`: any of these CAs, for the name in the address. Nothing: the CAs that Node knows, for that name.
 */
export type Trust = { readonly pin?: string; readonly ca?: string; readonly file?: string };
/** What this side shows: a certificate with its key, in PEM. */
export type Shown = { readonly key: string; readonly certificate: string };
type Place = { readonly host: string; readonly port: number; readonly url: string };

const CONNECT_MS = 15_000;

/** Connections are kept alive, and sessions resumed. */
export async function tlsAgent(place: Place, trust: Trust, shown: Shown | undefined): Promise<Agent> {
  return new Agent({
    keepAlive: true,
    scheduling: "lifo",
    ...TLS_VERSION,
    ...(await trusted(place, trust)),
    ...(shown === undefined ? {} : { key: shown.key, cert: shown.certificate }),
  });
}

async function trusted(place: Place, { pin, ca, file }: Trust) {
  if (file !== undefined) return { ca: file };
  const known = ca ?? (pin === undefined ? undefined : await pinnedCa(place, pin));
  // A CA that another one has signed is trusted for itself, not for that other one.
  return known === undefined ? {} : { ca: known, servername: SERVER_NAME, allowPartialTrustChain: true };
}

/** The CA of this pin, which the server shows. Nothing is sent over this connection: the next one is verified. */
async function pinnedCa({ host, port, url }: Place, pin: string): Promise<string> {
  const socket = connect({ host, port, servername: SERVER_NAME, rejectUnauthorized: false, ...TLS_VERSION });
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(CONNECT_MS) });
    const chain = chainOf(socket.getPeerCertificate(true)).map((raw) => new X509Certificate(raw));
    const found = chain.find((certificate) => certificate.ca && pinOf(certificate) === pin);
    if (found !== undefined) return found.toString();
    const shown = chain.filter((certificate) => certificate.ca).map(pinOf);
    throw new Fault("ca-untrusted", {
      what: "the server is not of the cluster that was named",
      where: url,
      why: `the CA to trust has the pin ${pin}, and the server shows ${shown.join(" and ") || "none"}`,
      fix:
        "check the address; if its CA was rotated since, get a new join token, or for the CLI a new pin " +
        "(`weft ca show` on the server's machine): weft login --ca-pin PIN",
    });
  } finally {
    socket.destroy();
  }
}

function chainOf(first: DetailedPeerCertificate): Buffer[] {
  const chain: Buffer[] = [];
  // A root is its own issuer; a server that shows no chain has none.
  for (let one: DetailedPeerCertificate | undefined = first; one !== undefined; one = one.issuerCertificate) {
    const { raw } = one;
    if (raw === undefined || chain.some((known) => known.equals(raw))) break;
    chain.push(raw);
  }
  return chain;
}
