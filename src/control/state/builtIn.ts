// Resources that are there before they are written.
import { merged } from "../../ipam/sorted.ts";
import { type Kind, builtInAccess, builtInOf, recordOf } from "../../model/kinds.ts";
import type { ResourceOf } from "../../model/resource.ts";
import { type View, namesOf } from "./view.ts";

/** The one of this name as it is until it is written; undefined if the kind has none. */
export function builtIn<K extends Kind>(kind: K, name: string): ResourceOf<K> | undefined {
  const spec = builtInOf(kind, name);
  // An envelope of kind K around a spec of kind K; TypeScript cannot see that the union member is K's.
  return spec === undefined
    ? undefined
    : ({ kind, name, uid: name, revision: 0, spec, ...builtInAccess(kind, name) } as unknown as ResourceOf<K>);
}

/** Names of a kind above `after`, the built-in one too, in order. */
export function allNamesOf(view: View, kind: Kind, after: string): Iterable<string> {
  const given = recordOf(kind).builtIn?.name ?? "";
  const names = namesOf(view, kind).after(after);
  return given > after ? merged([[given], names]) : names;
}
