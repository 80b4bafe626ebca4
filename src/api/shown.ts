// By what a caller proves who it is: a bearer token, or the certificate of a host. TLS lets every caller in; what a
// certificate is worth is judged here at each request, because it may end, and its host be removed, while the
// connection stays open.
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { credentialOfKey } from "../control/hosts/credentials.ts";
import type { Authority } from "../control/hosts/authority.ts";
import type { Control } from "../control/control.ts";
import type { Caller } from "../control/write.ts";
import { Fault } from "../model/fault.ts";
import { defined } from "../model/defined.ts";

/** A certificate that a caller has shown. */
export type Certificate = {
  readonly host: string;
  /** Of its key: the server knows hosts by it. */
  readonly pin: string;
  /** The trusted CA that has signed it, by its pin. */
  readonly issuer: () => string | undefined;
  readonly toMs: number;
  /** Whether it is one of a host: the CA signs others, too. */
  readonly isHosts: boolean;
  /** Why TLS does not believe it. Only told: the clock and the CAs that TLS goes by are those of the handshake. */
  readonly doubt?: string;
};
export type Shown = { readonly token?: string; readonly certificate?: Certificate };

const seen = new WeakMap<TLSSocket, Certificate | undefined>();

/** The certificate of the connection by which a request came. */
export function certificateOf({ socket }: IncomingMessage, authority: Authority | undefined): Certificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  if (!seen.has(socket)) seen.set(socket, read(socket, authority));
  return seen.get(socket);
}

function read(socket: TLSSocket, authority: Authority | undefined): Certificate | undefined {
  const certificate = socket.getPeerX509Certificate()?.toString();
  if (certificate === undefined || authority === undefined) return undefined;
  return shownAs(certificate, authority, socket.authorized ? undefined : String(socket.authorizationError));
}

/** As it is judged at each request: whether the CA that has signed it is trusted then. */
export function shownAs(
  certificate: string,
  authority: Pick<Authority, "look" | "bundle" | "issuerOf">,
  doubt?: string,
): Certificate {
  const { name: host, pin, toMs, isHosts } = authority.look(certificate);
  let known: { readonly by: string; readonly issuer: string | undefined } | undefined;
  const issuer = () => {
    const { bundle } = authority;
    if (known?.by !== bundle) known = { by: bundle, issuer: authority.issuerOf(certificate) };
    return known.issuer;
  };
  return { host, pin, toMs, isHosts, issuer, ...defined({ doubt }) };
}

/** Who asks. A token counts before a certificate, because a host that joins anew may still show an old one. */
export function callerOf(
  control: Control,
  { token, certificate, from }: Shown & { readonly from: string },
  nowMs: number,
): Caller {
  if (token !== undefined || certificate === undefined) return control.caller(token, from);
  checkCertificate(certificate, nowMs);
  const identity = control.identify(credentialOfKey(certificate.pin));
  if (identity.role === "host" && identity.host === certificate.host)
    return { identity, credential: "host certificate", from };
  throw refusal(`it is for "${certificate.host.slice(0, 100)}", and the server knows another host by its key`);
}

/** What control knows the caller by, for a join. */
export function credentialOf({ token, certificate }: Shown): string | undefined {
  return token ?? (certificate === undefined ? undefined : credentialOfKey(certificate.pin));
}

const DOUBTS: Readonly<Record<string, string>> = {
  SELF_SIGNED_CERT_IN_CHAIN: "it is of another cluster's CA",
  DEPTH_ZERO_SELF_SIGNED_CERT: "it is signed by itself, not by the cluster's CA",
};

/** A begin in the future says only that the clock was ahead that it was made by. */
function checkCertificate({ toMs, isHosts, issuer, doubt = "" }: Certificate, nowMs: number): void {
  if (issuer() === undefined)
    throw refusal(DOUBTS[doubt] ?? "it is of another cluster's CA, or of one that was dropped");
  if (!isHosts) throw refusal("it is not one of a host");
  if (nowMs <= toMs) return;
  const clock = `the server's clock says ${new Date(nowMs).toISOString()}`;
  throw refusal(`it has expired at ${new Date(toMs).toISOString()}, and ${clock}`);
}

function refusal(why: string): Fault {
  return new Fault("certificate-refused", {
    what: "the server does not take this certificate",
    why,
    fix: "set the clock that is wrong; or put a valid join token into the agent's --join-token-file",
  });
}
