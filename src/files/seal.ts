// JSON with a checksum as its last field, on one line: `{"put":…,"crc":"1a2b3c4d"}`. It is still JSON for jq, and a
// digit that flipped on the disk does not become another address.
import { crc32 } from "node:zlib";

const SEAL = /,?"crc":"([0-9a-f]{8})"\}$/;

export function sealed(value: object): string {
  const text = JSON.stringify(value);
  const open = text.slice(0, -1);
  return `${open}${open === "{" ? "" : ","}"crc":"${sum(text)}"}`;
}

/** Undefined if it is not JSON or its checksum does not match. An earlier version wrote no checksums. */
export function unsealed(line: string): { readonly value: unknown; readonly isSealed: boolean } | undefined {
  const match = SEAL.exec(line);
  const text = match === null ? line : `${line.slice(0, match.index)}}`;
  if (match !== null && sum(text) !== match[1]) return undefined;
  try {
    return { value: JSON.parse(text), isSealed: match !== null };
  } catch {
    return undefined;
  }
}

function sum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}
