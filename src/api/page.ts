// Lists in pages: resources in order of their names, and the last name as the cursor. A page is of one revision, and
// each says which; pages of one list may be of different ones. A resource that is there all the time is in exactly
// one page.
import type { Listing } from "../control/state/listing.ts";
import type { Kind } from "../model/resource.ts";

export const PAGE_DEFAULT = 1000;
export const PAGE_MAX = 10_000;

export type Page = {
  readonly revision: number;
  readonly items: readonly { readonly name: string }[];
  readonly cursor?: string;
};

export function pageOf({ revision, items, hasMore }: Listing<Kind>): Page {
  const last = items.at(-1);
  return { revision, items, ...(hasMore && last !== undefined ? { cursor: last.name } : {}) };
}
