// Puts and deletes of resources of any kind: what holds for all of them, and the judgement of kinds that have their
// own (../kinds.ts). What a kind's record says of references holds for every write: nothing refers to what is gone.
import { Fault } from "../../model/fault.ts";
import type { ApplyItem } from "../../model/input.ts";
import type { Reader } from "../../model/kind.ts";
import {
  ALL_KINDS,
  KINDS,
  type Kind,
  builtInOf,
  calledOf,
  putOf,
  referencesIn,
  unknownFault,
} from "../../model/kinds.ts";
import { checkName } from "../../model/parse.ts";
import { type Resource, keyOfResource } from "../../model/resource.ts";
import { DELETES, PUTS } from "../kinds.ts";
import type { Draft } from "../state/draft.ts";
import { type View, get, listOf } from "../state/view.ts";
import type { Delete, Match, Put, Write } from "../write.ts";
import { existing, refuseWhile } from "./context.ts";

type OwnPut = (draft: Draft, put: Put<never>) => Resource;
type OwnDelete = (draft: Draft, wanted: Delete) => void;

/** Makes the resource, or changes it to what its writer wants. */
export function putResource(draft: Draft, item: ApplyItem & Pick<Put<never>, "force">): Resource {
  const { kind, name } = item;
  // Each is under the kind whose input it takes; TypeScript cannot relate the two by itself.
  const own = PUTS[kind] as OwnPut | undefined;
  if (own !== undefined) return own(draft, item as unknown as Put<never>);
  checkName(kind, name, "name");
  const { complete, admit } = putOf(kind);
  const spec = (complete?.(item.spec as never) ?? item.spec) as Resource["spec"];
  for (const { kind: to, name: other, field } of referencesIn(kind, spec))
    if (!isThere(draft.view, to, other)) throw unknownFault(to, other, `spec.${field}`);
  admit?.(spec as never, readerOf(draft.view), name);
  return draft.put(kind, name, spec as never);
}

/** Removes the resource; with `force` also if something stands on it. */
export function deleteResource(draft: Draft, write: Extract<Write, { readonly verb: "delete" }>): undefined {
  const { kind, name } = write;
  if (builtInOf(kind, name) === undefined) {
    existing(draft.view, kind, name);
    checkMatch(draft, kind, name, write);
  }
  const own = DELETES[kind] as OwnDelete | undefined;
  if (own === undefined) draft.remove(kind, name);
  else own(draft, write);
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

function isThere(view: View, kind: Kind, name: string): boolean {
  return get(view, kind, name) !== undefined || builtInOf(kind, name) !== undefined;
}

/** What a record's `admit` may ask. */
function readerOf(view: View): Reader {
  const kindOf = (record: object): Kind => {
    const kind = ALL_KINDS.find((each) => KINDS[each] === record);
    if (kind === undefined) throw new Error("a record that is not in the table of kinds");
    return kind;
  };
  return {
    // The spec of a kind is what its record's schema describes; TypeScript cannot relate the two by itself.
    get: (record, name) => get(view, kindOf(record), name)?.spec as never,
    has: (kind, name) => isThere(view, kind as Kind, name),
    all: (record) => listOf(view, kindOf(record)) as never,
  };
}

/**
 * After a write: what refers to something that it removed goes along. If a person deletes or applies without `force`,
 * that is refused instead.
 */
export function alignReferences(draft: Draft, write: Write): void {
  const { referrers } = draft.view;
  if (referrers.size === 0) return;
  const isAsked = write.verb === "apply" || (write.verb === "delete" && write.force !== true);
  for (let again = true; again; ) {
    again = false;
    for (const gone of draft.removed()) {
      const names = [...(referrers.get(keyOfResource(gone)) ?? [])];
      if (isAsked)
        refuseWhile(names, {
          what: `${calledOf(gone.kind)} "${gone.name}" is in use`,
          why: "these refer to it",
          fix: "delete them first, or use force",
        });
      for (const key of names) draft.removeKey(key);
      again ||= names.length > 0;
    }
  }
}
