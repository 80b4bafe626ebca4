// For tests: certificates as short texts, `cert-HOST.KEY`, which hosts show as if they were tokens. So tests need no
// TLS, and still ask as hosts do. What real certificates do is tested in test/unit/tls and uninvited.test.ts.
import type { IncomingMessage } from "node:http";
import type { Certificate } from "../../../src/api/shown.ts";
import type { TransportCredential } from "../../../src/client/transportHttp.ts";
import { Fault } from "../../../src/model/fault.ts";
import { type Certifier, look, newCa } from "../../../src/tls/certifier.ts";
import { pinOfPem } from "../../../src/tls/names.ts";

const NOW = Date.now();
const ca = await newCa("test", { fromMs: NOW, toMs: NOW + 1e9 });

export const csrOf = (host: string, key: string) => `csr ${host} ${key}`;

/** Its CA is always the same. */
export const certifier: Certifier = {
  newCa: () => Promise.resolve(ca),
  crossSigned: () => Promise.resolve(ca.certificate),
  serverCertificate: () => Promise.resolve(ca.certificate),
  readRequest: async (text) => {
    const [, host = "", pin = ""] = /^csr (\S+) (\S+)$/.exec(text) ?? [];
    if (pin === "") throw new Fault("request-invalid", { what: "not a request", where: "csr", fix: "send one" });
    return { host, pin, spki: new Uint8Array() };
  },
  hostCertificate: ({ host, pin }) => Promise.resolve(`cert-${host}.${pin}`),
  requestFor: (host, key) => Promise.resolve(csrOf(host, key)),
  look,
  isSignedBy: () => true,
};

const seen = new WeakMap<IncomingMessage, Certificate>();

/** The certificate that a request shows as its token. */
export function certificateOf(request: IncomingMessage): Certificate | undefined {
  const [, host, pin] = /^Bearer cert-([^.]+)\.(.+)$/.exec(request.headers.authorization ?? "") ?? [];
  if (host === undefined || pin === undefined) return seen.get(request);
  delete request.headers.authorization;
  const certificate = {
    host,
    pin,
    issuer: () => pinOfPem(ca.certificate),
    isHosts: true,
    toMs: Number.MAX_SAFE_INTEGER,
  };
  seen.set(request, certificate);
  return certificate;
}

/** Of a host that shows `token` until it has a certificate for the key. */
export function credentialWith(token: string, key = "own"): TransportCredential {
  let shown = token;
  let own = key;
  let isJoining = !/^(cert-|own)/.test(token);
  return {
    get proof() {
      return isJoining ? ("token" as const) : ("certificate" as const);
    },
    bearer: () => shown,
    tls: () => ({ trust: {} }),
    isDue: () => isJoining,
    request: (host) => Promise.resolve(csrOf(host, own)),
    take({ certificate }) {
      shown = certificate;
      isJoining = false;
    },
    refused: () => undefined,
    heardSigner: () => undefined,
    begin(another) {
      shown = token.startsWith("own") ? "join" : token;
      own = another;
      isJoining = true;
    },
  };
}
