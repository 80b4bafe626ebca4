// What a certificate says, and whether a CA has signed it. Imports only node:crypto, so that agents which renew nothing
// need not load what makes certificates.
import { X509Certificate } from "node:crypto";
import { pinOf } from "./names.ts";

/** What a certificate says, whoever has signed it. */
export type Look = {
  /** The common name of its subject. */
  readonly name: string;
  /** Of its key. */
  readonly pin: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Whether it says who a host is: those of servers and CAs do not. */
  readonly isHosts: boolean;
};

/** The extended key usage of those that prove who a client is (RFC 5280). */
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

export function look(pem: string): Look {
  const certificate = new X509Certificate(pem);
  return {
    name: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? "",
    pin: pinOf(certificate),
    fromMs: certificate.validFromDate.getTime(),
    toMs: certificate.validToDate.getTime(),
    isHosts: !certificate.ca && (certificate.keyUsage ?? []).includes(CLIENT_AUTH),
  };
}

/** Whether the key of this CA has signed it; that the names fit is not enough, because anybody can write names. */
export function isSignedBy(pem: string, ca: string): boolean {
  const [certificate, issuer] = [new X509Certificate(pem), new X509Certificate(ca)];
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
