// Puts and deletes of resources of any kind: what holds for all of them, and the judgement of kinds that have their
// own (../kinds.ts). What a kind's record says of references holds for every write: nothing refers to what is gone.
import { Fault } from "../../model/fault.ts";
import type { ApplyItem } from "../../model/input.ts";
import type { Reader } from "../../model/kind.ts";
import { type Key, KINDS, type Kind, builtInOf, keyOf, partsOf, referencesIn, unknownFault } from "../../model/kinds.ts";
import { checkName } from "../../model/parse.ts";
import type { Resource } from "../../model/resource.ts";
import { DELETES, PUTS } from "../kinds.ts";
import type { Draft } from "../state/draft.ts";
import { type View, get, getKey, listOf } from "../state/view.ts";
import type { Delete, Match, Put, Write } from "../write.ts";
import { type Context, inUse } from "./context.ts";

type OwnPut = (draft: Draft, put: Put<never>, context: Context) => Resource;
type OwnDelete = (draft: Draft, wanted: Delete, context: Context) => void;

/** Makes the resource, or changes it to what its writer wants. */
export function putResource(draft: Draft, item: ApplyItem & Pick<Put<never>, "force">, context: Context): Resource {
  const { kind, name } = item;
  // Each judgement is under the kind whose input it takes; TypeScript cannot relate the two by itself.
  const own = PUTS[kind] as OwnPut | undefined;
  if (own !== undefined) return own(draft, item as Put<never>, context);
  checkName(kind, name, "name");
  const { complete, judge } = KINDS[kind].put as KindPut;
  const spec = complete === undefined ? item.spec : complete(item.spec as never);
  for (const { key, field } of referencesIn(kind, spec))
    if (!isThere(draft.view, key) && context.listed?.has(key) !== true)
      throw unknownFault(...partsOf(key), `spec.${field}`);
  judge?.(spec as never, readerOf(draft.view), name);
  return draft.put(kind, name, spec as never);
}

/** Removes the resource; with `force` also if something stands on it. */
export function deleteResource(
  draft: Draft,
  write: Extract<Write, { readonly verb: "delete" }>,
  context: Context,
): undefined {
  const { kind, name } = write;
  if (builtInOf(kind, name) === undefined) {
    if (get(draft.view, kind, name) === undefined) throw unknownFault(kind, name, "name");
    checkMatch(draft, kind, name, write);
  }
  const own = DELETES[kind] as OwnDelete | undefined;
  if (own === undefined) draft.remove(kind, name);
  else own(draft, write, context);
}

/** What the writer has seen must still be so. */
export function checkMatch({ view }: Draft, kind: Kind, name: string, { ifRevision: wanted }: Match): void {
  const resource = get(view, kind, name);
  if (wanted === undefined || (wanted === "any" ? resource !== undefined : (resource?.revision ?? 0) === wanted))
    return;
  const is = resource === undefined ? "does not exist" : `is at revision ${resource.revision}`;
  throw new Fault("revision-stale", {
    what: `${calledOf(kind)} "${name}" ${is}`,
    why:
      wanted === 0
        ? "the write was to make it"
        : wanted === "any"
          ? "the write was to change it"
          : `the write was made for revision ${wanted}`,
    fix: "read it again and repeat the write",
  });
}

/**
 * After a write: what refers to something that it removed goes along. If somebody who deletes or applies has not said
 * `force`, that is refused instead.
 */
export function settleReferences(draft: Draft, write: Write): void {
  const { referrers } = draft.view;
  if (referrers.size === 0) return;
  const isAsked = write.verb === "apply" || (write.verb === "delete" && write.force !== true);
  for (let gone = goneWith(draft); gone.length > 0; gone = goneWith(draft)) {
    if (isAsked) {
    }
  }
}
