// The records of the journal, and their validation.
import { ipOf } from "../../model/address.ts";
import type { Endpoint } from "../../model/resource.ts";

/** `detaching`: its port goes or is gone; its address is not free before the server has released the lease. */
export type Entry = {
  readonly endpoint: Endpoint;
  readonly netnsId: string;
  readonly bootId: string;
  /** Of its network: a network that was deleted and made again under the same name is another one. */
  readonly networkUid?: string;
  readonly state: "attached" | "detaching";
  /** The CNI configuration that it was made by, whose GC may detach it. */
  readonly cni?: string;
};
/** The last owner of an address, and when it was released. */
export type Former = { readonly endpoint: string; readonly atMs: number };
export type Record =
  | { readonly boot: string }
  | { readonly put: Entry }
  | { readonly remove: string; readonly atMs: number }
  | { readonly freed: string; readonly former: Former };

/** Whether a line's JSON is a record. */
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

/** A checksum proves that the line is as it was written, not that this version's fields are in it. */
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
