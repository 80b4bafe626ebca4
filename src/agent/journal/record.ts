// The records of the journal, and what of a line's JSON is one.
import { ipOf } from "../../model/address.ts";
import type { Endpoint } from "../../model/resource.ts";

/** `detaching`: its port goes or has gone; the address is not free before the server has heard of it. */
export type Entry = {
  readonly endpoint: Endpoint;
  readonly netnsId: string;
  readonly bootId: string;
  /** Of its network: one that was deleted and made again under the same name is another. */
  readonly networkUid?: string;
  readonly state: "attached" | "detaching";
  /** Name of the CNI configuration it was made by, if it was: what that configuration's GC may take away. */
  readonly cni?: string;
};
/** Whose an address was, until when. */
export type Former = { readonly endpoint: string; readonly atMs: number };
export type Record =
  | { readonly boot: string }
  | { readonly put: Entry }
  | { readonly remove: string; readonly atMs: number }
  | { readonly freed: string; readonly former: Former };

/** Whole enough to be used. */
export function isRecord(value: unknown): value is Record {
  if (typeof value !== "object" || value === null) return false;
  if ("boot" in value) return typeof value.boot === "string";
  if ("remove" in value) return typeof value.remove === "string" && "atMs" in value && typeof value.atMs === "number";
  if ("freed" in value) return typeof value.freed === "string" && "former" in value && isFormer(value.former);
  return "put" in value && isEntry(value.put);
}

function isFormer(value: unknown): value is Former {
  if (typeof value !== "object" || value === null) return false;
  const { endpoint, atMs } = value as Partial<Former>;
  return typeof endpoint === "string" && typeof atMs === "number";
}

/** Whether a record has what its readers need: a checksum shows that it was written so, not by which version. */
function isEntry(value: unknown): value is Entry {
  if (typeof value !== "object" || value === null || !("endpoint" in value) || !("state" in value)) return false;
  const { endpoint, state, netnsId, bootId } = value as Partial<Entry>;
  if ((state !== "attached" && state !== "detaching") || !areTexts(netnsId, bootId, endpoint?.name)) return false;
  const { network, host, owner, netns, ifname, mac, addresses } = endpoint?.spec ?? {};
  if (!areTexts(network, host, owner, netns, ifname, mac)) return false;
  return Array.isArray(addresses) && addresses.every((one) => typeof one === "string" && ipOf(one) !== undefined);
}

function areTexts(...values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === "string" && value !== "");
}
