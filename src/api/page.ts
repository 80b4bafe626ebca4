// Lists in pages: resources in order of their names, with the last name as the cursor. Each page is of one revision and
// names it; pages of one list may have different ones. A resource that exists all the time is in exactly one page.
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
