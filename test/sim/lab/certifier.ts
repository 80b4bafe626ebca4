// For simulations: certificates as text, which nobody forges. What real ones do is tested in test/unit/tls.
import { Fault } from "../../../src/model/fault.ts";
import type { Certifier, Validity } from "../../../src/tls/certifier.ts";
import type { Look } from "../../../src/tls/look.ts";
import { SERVER_NAME } from "../../../src/tls/names.ts";

/** What a certificate says; `issuer` is the pin of the CA that has signed it. */
type Said = Look & { readonly issuer: string; readonly isCa: boolean };

/** Keys count up: `key PIN`. */
export function textKeys(): () => string {
  let keys = 0;
  return () => `key ${String(++keys).padStart(43, "0")}`;
}

/** With keys of its own for CAs. */
export function textCertifier(newKey: () => string): Certifier {
  return {
    newCa: async (name, span) => {
      const key = newKey();
      const pin = pinIn(key);
      return { key, certificate: textOf({ name, pin, issuer: pin, ...span, isHosts: false, isCa: true }) };
    },
    crossSigned: async (ca, by) => textOf({ ...said(ca.certificate), issuer: said(by.certificate).pin }),
    requestFor: async (host, key) => `csr ${host} ${pinIn(key)}`,
    readRequest: async (text) => {
      const [, host = "", pin = ""] = /^csr (\S+) (\S+)$/.exec(text) ?? [];
      if (pin === "") throw new Fault("request-invalid", { what: "not a request", where: "csr", fix: "send one" });
      return { host, pin, spki: new Uint8Array() };
    },
    hostCertificate: async ({ host, pin }, by, span) =>
      signed({ name: host, pin, isHosts: true }, by.certificate, span),
    serverCertificate: async (_, __, by, span) =>
      signed({ name: SERVER_NAME, pin: "of a server", isHosts: false }, by.certificate, span),
    look: said,
    isSignedBy: (certificate, ca) => said(certificate).issuer === said(ca).pin && said(ca).isCa,
  };
}

function signed(of: Pick<Said, "name" | "pin" | "isHosts">, by: string, { fromMs, toMs }: Validity): string {
  const issuer = said(by);
  return textOf({ ...of, fromMs, toMs: Math.min(toMs, issuer.toMs), issuer: issuer.pin, isCa: false });
}

function textOf(certificate: Said): string {
  const text = Buffer.from(JSON.stringify(certificate)).toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
}

/** What one certificate says. */
export function said(pem: string): Said {
  const [, text = ""] = /-----BEGIN CERTIFICATE-----\n(.+)\n/.exec(pem) ?? [];
  return JSON.parse(Buffer.from(text, "base64").toString()) as Said;
}

function pinIn(key: string): string {
  return key.replace(/^key /, "");
}
