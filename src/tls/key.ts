// Private keys: made here, and written nowhere but where the caller keeps them.
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { pinOfKey } from "./names.ts";

/** A private key in PEM (PKCS #8). */
export function newKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** SHA-256 of the public key that belongs to it. */
export function pinOfPrivate(key: string): string {
  return pinOfKey(createPublicKey(key).export({ type: "spki", format: "der" }));
}
