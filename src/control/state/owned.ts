// How much each user and group of users owns, and which of them have a quota: an index of the view, so that a write is
// judged by what it changes and by sums, however much there is.
import { type Quantity, amountsOf, subjectsOf } from "../../model/owning.ts";
import type { Resource } from "../../model/resource.ts";
import { count } from "./networkIndex.ts";

/** By key of the user or group: how much it owns. Those that own nothing are absent. */
export type Owned = Map<string, Map<Quantity, number>>;

export function indexOwned(view: { readonly owned: Owned }, resource: Resource, enters: boolean): void {
  // Of most, nobody is the owner: this is asked with each attach.
  if (resource.access === undefined) return;
  for (const subject of subjectsOf(resource)) {
    const sums = view.owned.get(subject) ?? new Map<Quantity, number>();
    for (const [quantity, amount] of amountsOf(resource)) count(sums, quantity, enters ? amount : -amount);
    if (sums.size === 0) view.owned.delete(subject);
    else view.owned.set(subject, sums);
  }
}
