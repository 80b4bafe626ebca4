// Names and texts of trust: the pin of a CA, what a join token looks like, and the one name that every server's
// certificate has, whatever its address. Imports only node:crypto, so that commands which need no TLS start quickly.
import { createHash, X509Certificate } from "node:crypto";
import { Fault } from "../model/fault.ts";

/** Agents and the CLI ask for a certificate of this name: the server's address may change, and have no name at all. */
export const SERVER_NAME = "server.weft";
/** TLS 1.3 only, on every side. */
export const TLS_VERSION = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3" } as const;

/** A secret, and the pin of the CA to trust. */
export type JoinToken = { readonly secret: string; readonly pin?: string };

const PIN = /^[A-Za-z0-9_-]{43}$/;

/** SHA-256 of a public key (SPKI), in base64url: 43 characters. A CA that another one has signed has the same. */
export function pinOfKey(spki: Uint8Array): string {
  return createHash("sha256").update(spki).digest("base64url");
}

export function pinOf(certificate: X509Certificate): string {
  return pinOfKey(certificate.publicKey.export({ type: "spki", format: "der" }));
}

export function pinOfPem(pem: string): string {
  return pinOf(new X509Certificate(pem));
}

/** The pin as it was given; a Fault `request-invalid` for anything else. */
export function checkPin(text: string, where: string): string {
  if (PIN.test(text)) return text;
  const fix = "give the 43 characters that `weft ca show` prints as pin on the server's machine";
  // The text is not repeated: it may be a token that was pasted into the wrong place.
  const what =
    joinTokenOf(text).pin === undefined
      ? `a text of ${text.length} characters is not the pin of a CA`
      : "this is a join token; the pin is what follows its last dot";
  throw new Fault("request-invalid", { what, where, fix });
}

/** The text that a host is given: the secret, a dot, the pin of the CA. */
export function joinTokenText(secret: string, pin: string): string {
  return `${secret}.${pin}`;
}

export function joinTokenOf(text: string): JoinToken {
  const [, secret, pin = ""] = /^(.+)\.([^.]*)$/s.exec(text) ?? [];
  return secret !== undefined && PIN.test(pin) ? { secret, pin } : { secret: text };
}

/** The certificates of a PEM file, one text each. */
export function certificatesIn(pem: string): readonly string[] {
  return [...pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].map(([one]) => `${one}\n`);
}
