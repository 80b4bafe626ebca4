// Keys, requests and certificates (X.509). @peculiar/x509 encodes and decodes them, node's webcrypto makes the keys and
// signatures. Values in, values out: nothing is kept, no clock is read. Keys are ECDSA on P-256: every TLS
// implementation has it, and a signature takes a tenth of a millisecond.
import "reflect-metadata";
import { createPrivateKey, createPublicKey, randomBytes, webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  type Extension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { Fault } from "../model/fault.ts";
import { newKey } from "./key.ts";
import type { isSignedBy, look } from "./look.ts";
import { pinOfKey, SERVER_NAME } from "./names.ts";

export { isSignedBy, look } from "./look.ts";

/** PEM texts. */
export type Issuer = { readonly certificate: string; readonly key: string };
export type Validity = { readonly fromMs: number; readonly toMs: number };
/** What a request for a certificate says: the name of the host, and its public key. */
export type CertificateRequest = { readonly host: string; readonly spki: Uint8Array; readonly pin: string };

/** What makes certificates; a simulation has another. */
export type Certifier = {
  readonly newCa: typeof newCa;
  readonly crossSigned: typeof crossSigned;
  readonly readRequest: (text: string) => Promise<CertificateRequest>;
  readonly hostCertificate: typeof hostCertificate;
  readonly serverCertificate: typeof serverCertificate;
  readonly requestFor: typeof requestFor;
  readonly look: typeof look;
  readonly isSignedBy: typeof isSignedBy;
};

const CURVE = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNED = { name: "ECDSA", hash: "SHA-256" } as const;

/** A CA that signs itself. */
export async function newCa(name: string, { fromMs, toMs }: Validity): Promise<Issuer> {
  const key = newKey();
  const { publicKey, privateKey } = await pairOf(key);
  const subject = subjectOf(name);
  const certificate = await X509CertificateGenerator.create({
    ...named(subject),
    issuer: subject,
    ...spanOf({ fromMs, toMs }),
    signingAlgorithm: SIGNED,
    publicKey,
    signingKey: privateKey,
    extensions: await caExtensions(publicKeyOf(key), publicKeyOf(key)),
  });
  return { certificate: pem(certificate), key };
}

/** The certificate of a CA, signed by another one: who trusts only that one trusts it, too. */
export async function crossSigned(ca: Issuer, by: Issuer): Promise<string> {
  const own = new X509Certificate(ca.certificate);
  return signed(own.subjectName, own.publicKey, by, {
    fromMs: own.notBefore.getTime(),
    toMs: own.notAfter.getTime(),
    extensions: await caExtensions(own.publicKey, new X509Certificate(by.certificate).publicKey),
  });
}

/** What a host sends to get a certificate: its name and key, signed with the key. */
export async function requestFor(host: string, key: string): Promise<string> {
  const keys = await pairOf(key);
  const name = subjectOf(host);
  return pem(await Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm: SIGNED }));
}

/** Reads what a host sent; a Fault `request-invalid` if it is not a request, or not signed with its key. */
export async function readRequest(text: string): Promise<CertificateRequest> {
  try {
    const request = new Pkcs10CertificateRequest(text);
    const host = request.subjectName.getField("CN")[0];
    const { algorithm } = request.publicKey;
    if (!("namedCurve" in algorithm) || algorithm.namedCurve !== CURVE.namedCurve)
      throw new Error("its key is not an ECDSA key on P-256");
    if (host === undefined) throw new Error("its subject has no common name");
    if (!(await request.verify())) throw new Error("it is not signed with the key that it names");
    const spki = new Uint8Array(request.publicKey.rawData);
    return { host, spki, pin: pinOfKey(spki) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const fix = "send a certificate request (PKCS #10, PEM) of this host's own key";
    const what = "this is not a request for a certificate";
    throw new Fault("request-invalid", { what, where: "csr", why, fix }, { cause });
  }
}

/** The certificate with which a host proves who it is. */
export async function hostCertificate(request: CertificateRequest, by: Issuer, validity: Validity): Promise<string> {
  const publicKey = new PublicKey(request.spki);
  const extensions = await leafExtensions(publicKey, by, ExtendedKeyUsage.clientAuth);
  return signed(new Name(subjectOf(request.host)), publicKey, by, { ...validity, extensions });
}

/** The certificate with which a server proves who it is, for its key, at these addresses and names. */
export async function serverCertificate(
  key: string,
  names: readonly string[],
  by: Issuer,
  validity: Validity,
): Promise<string> {
  const publicKey = publicKeyOf(key);
  const alternatives = [...new Set([SERVER_NAME, ...names])].map((value) => ({
    type: /^[\d.]+$|:/.test(value) ? ("ip" as const) : ("dns" as const),
    value,
  }));
  const extensions = [
    ...(await leafExtensions(publicKey, by, ExtendedKeyUsage.serverAuth)),
    new SubjectAlternativeNameExtension(alternatives),
  ];
  return signed(new Name(subjectOf(SERVER_NAME)), publicKey, by, { ...validity, extensions });
}

type Leaf = Validity & { readonly extensions: Extension[] };

async function signed(
  subject: Name,
  publicKey: PublicKey,
  by: Issuer,
  { extensions, ...validity }: Leaf,
): Promise<string> {
  const issuer = new X509Certificate(by.certificate);
  const certificate = await X509CertificateGenerator.create({
    ...named(subject.toJSON()),
    issuer: issuer.subjectName.toJSON(),
    ...spanOf({ ...validity, toMs: Math.min(validity.toMs, issuer.notAfter.getTime()) }),
    signingAlgorithm: SIGNED,
    publicKey,
    signingKey: (await pairOf(by.key)).privateKey,
    extensions,
  });
  return pem(certificate);
}

function named<Subject>(subject: Subject) {
  // Positive, and not to be guessed.
  const serialNumber = `4${randomBytes(15).toString("hex").slice(1)}`;
  return { serialNumber, subject };
}

function spanOf({ fromMs, toMs }: Validity) {
  return { notBefore: new Date(fromMs), notAfter: new Date(toMs) };
}

function subjectOf(name: string) {
  return [{ CN: [name] }];
}

async function caExtensions(own: PublicKey, issuer: PublicKey) {
  return [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    await SubjectKeyIdentifierExtension.create(own),
    await AuthorityKeyIdentifierExtension.create(issuer),
  ];
}

async function leafExtensions(own: PublicKey, by: Issuer, use: ExtendedKeyUsage) {
  return [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([use], true),
    await SubjectKeyIdentifierExtension.create(own),
    await AuthorityKeyIdentifierExtension.create(new X509Certificate(by.certificate).publicKey),
  ];
}

async function pairOf(key: string): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = createPrivateKey(key).toCryptoKey(CURVE, true, ["sign"]);
  const { x, y, crv, kty } = await webcrypto.subtle.exportKey("jwk", privateKey);
  const open = { kty, crv, x, y } as webcrypto.JsonWebKey;
  return { privateKey, publicKey: await webcrypto.subtle.importKey("jwk", open, CURVE, true, ["verify"]) };
}

function publicKeyOf(key: string): PublicKey {
  return new PublicKey(createPublicKey(key).export({ type: "spki", format: "der" }));
}

function pem(value: { toString(format: "pem"): string }): string {
  return `${value.toString("pem").trimEnd()}\n`;
}
