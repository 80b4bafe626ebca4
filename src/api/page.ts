// Lists in pages: resources in order of their names, and the last name as the cursor. A page is of one revision, and
// each says which; pages of one list may be of different ones. A resource that is there all the time is in exactly
// one page.
import type { Kind, ResourceOf } from "../model/resource.ts";

export const PAGE_DEFAULT = 1000;
export const PAGE_MAX = 10_000;

export type Page = {
  readonly revision: number;
  readonly items: readonly { readonly name: string }[];
  readonly cursor?: string;
};

/** A list is the same value until something in it changes, so sorting it is worth remembering. */
const sorted = new WeakMap<object, readonly { readonly name: string }[]>();

/** At most `limit` resources whose names come after the cursor. */
export function pageOf<K extends Kind>(
  listing: { readonly revision: number; readonly items: readonly ResourceOf<K>[] },
  limit: number,
  cursor: string | undefined,
): Page {
  const items = inOrder(listing.items);
  const start = cursor === undefined ? 0 : firstAfter(items, cursor);
  const page = items.slice(start, start + limit);
  const last = page.at(-1);
  return {
    revision: listing.revision,
    items: page,
    ...(last === undefined || start + limit >= items.length ? {} : { cursor: last.name }),
  };
}

function inOrder<T extends { readonly name: string }>(items: readonly T[]): readonly { readonly name: string }[] {
  let order = sorted.get(items);
  if (order === undefined) sorted.set(items, (order = items.toSorted((a, b) => (a.name < b.name ? -1 : 1))));
  return order;
}

function firstAfter(items: readonly { readonly name: string }[], name: string): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((items[middle]?.name ?? "") <= name) low = middle + 1;
    else high = middle;
  }
  return low;
}
