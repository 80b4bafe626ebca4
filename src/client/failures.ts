// What the errors of a connection mean, as Faults: who was asked for what, why there is no answer, and what to do.
import { Fault } from "../model/fault.ts";

type Peer = { readonly url: string; readonly name: string; readonly fix: string };
type Call = { readonly method: string; readonly path: string };

/** What the usual errors of a connection mean to a person. */
const MEANING: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOENT: "there is no such socket",
  EACCES: "this user may not open the socket",
  ENOTFOUND: "the name is unknown",
  EAI_AGAIN: "the name cannot be looked up now",
  EHOSTUNREACH: "there is no way to this host",
  ENETUNREACH: "there is no way to this network",
  ETIMEDOUT: "the host does not answer",
  ECONNRESET: "the connection was cut",
  EPIPE: "the connection was cut",
  ERR_SSL_WRONG_VERSION_NUMBER: "it speaks no TLS: it is another program, or a server of an earlier build",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it speaks no TLS: it is another program, or a server of an earlier build",
  EPROTO: "it speaks no TLS 1.3",
  HPE_INVALID_CONSTANT: "what it answers is not HTTP; if it speaks TLS, write https:// for http://",
};

/** How TLS says that the server's certificate is not believed. */
const UNTRUSTED: Readonly<Record<string, string>> = {
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is of a CA that is not trusted here",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is of no CA",
  UNABLE_TO_GET_ISSUER_CERT: "its certificate is of a CA that is not trusted here",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is of a CA that is not trusted here",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is of a CA that is not trusted here",
  CERT_SIGNATURE_FAILURE: "its certificate is forged",
  INVALID_PURPOSE: "its certificate is not one of a server",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
};
const CLOCK: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
};

function untrusted(error: unknown, peer: Peer): Fault | undefined {
  const why = UNTRUSTED[codeOf(error)];
  if (why === undefined) return undefined;
  const fix = "check the address; give --ca-pin with the pin that `weft ca show` prints on the server's machine";
  return new Fault(
    "ca-untrusted",
    { what: `${peer.name} is not trusted`, where: peer.url, why, fix },
    { cause: error },
  );
}

export function faultFrom(error: unknown, peer: Peer, call: Call): Fault {
  if (error instanceof Fault) return error;
  const distrust = untrusted(error, peer);
  if (distrust !== undefined) return distrust;
  const expired = CLOCK[codeOf(error)];
  if (expired !== undefined) {
    const what = `cannot believe ${peer.name}: ${expired}, by the clock of this machine`;
    const fix = "compare the clocks of both machines (`date -u`), and set the one that is wrong";
    return new Fault("unavailable", { what, where: peer.url, fix }, { cause: error });
  }
  const why = MEANING[codeOf(error)] ?? (error instanceof Error ? error.message : String(error));
  const what = `cannot reach ${peer.name} for ${call.method} ${call.path}`;
  return new Fault("unavailable", { what, why, where: peer.url, fix: peer.fix }, { cause: error });
}

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
