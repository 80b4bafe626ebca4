// Resources as a viewer sees them, built-in ones too: pages in order of names, and one by its name.
import type { Kind } from "../../model/kinds.ts";
import { labelsOf } from "../../model/labels.ts";
import { type Selector, selects } from "../../model/selector.ts";
import { type Resource, type ResourceOf, type Snapshot, snapshotWith } from "../../model/resource.ts";
import type { Viewer } from "../write.ts";
import { allNamesOf, builtIn } from "./builtIn.ts";
import { type View, get } from "./view.ts";
import { type Asking, principalOf } from "../rights/rights.ts";
import { isSeenBy, namesFor, sightOf } from "../rights/sight.ts";
import { bare, isVisible } from "./visibility.ts";

export type Listing<K extends Kind> = {
  readonly revision: number;
  readonly items: readonly ResourceOf<K>[];
  /** Whether there are others after these. */
  readonly hasMore: boolean;
};
/** Those after `after` (default: all) with these labels, at most `limit` of them. */
export type Page = { readonly after?: string; readonly limit?: number; readonly selector?: Selector };

export function listingOf<K extends Kind>(view: View, kind: K, viewer: Viewer, page: Page): Listing<K> {
  const { after = "", limit = Number.POSITIVE_INFINITY, selector = [] } = page;
  const look = lookOf(view, viewer);
  const items: ResourceOf<K>[] = [];
  for (const name of namesIn(view, kind, viewer, after)) {
    const item = get(view, kind, name) ?? builtIn(kind, name);
    const seen = item === undefined || !selects(selector, labelsOf(item)) ? undefined : look(item);
    if (seen === undefined) continue;
    if (items.length === limit) return { revision: view.revision, items, hasMore: true };
    items.push(seen);
  }
  return { revision: view.revision, items, hasMore: false };
}

/** Names above `after` of all that the viewer may see, the built-in one too, in order. */
function namesIn(view: View, kind: Kind, viewer: Viewer, after: string): Iterable<string> {
  if (viewer.role === "user") return namesFor(view, kind, principalOf(view, viewer), after);
  return allNamesOf(view, kind, after);
}

export function findIn<K extends Kind>(view: View, kind: K, name: string, viewer: Viewer): ResourceOf<K> | undefined {
  const resource = get(view, kind, name) ?? builtIn(kind, name);
  return resource === undefined ? undefined : lookOf(view, viewer)(resource);
}

type Look = <R extends Resource>(resource: R) => R | undefined;

/** The resource as the viewer sees it, if it does. */
function lookOf(view: View, viewer: Viewer): Look {
  if (viewer.role === "admin") return (resource) => resource;
  if (viewer.role === "host")
    return (resource) => (isVisible(view, viewer.host, resource) ? bare(resource) : undefined);
  const sight = sightOf(view, principalOf(view, viewer));
  return (resource) => (isSeenBy(sight, resource) ? resource : undefined);
}

/** Everything a user sees. */
export function snapshotForUser(view: View, asking: Asking): Snapshot {
  const sight = sightOf(view, principalOf(view, asking));
  return snapshotWith(view, (kind) =>
    [...namesFor(view, kind, sight.principal, "")].flatMap((name) => {
      const resource = get(view, kind, name);
      return resource !== undefined && isSeenBy(sight, resource) ? [resource] : [];
    }),
  );
}
