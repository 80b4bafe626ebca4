// Resources that are there before they are written.
import { type Kind, builtInAccess, builtInOf } from "../../model/kinds.ts";
import type { ResourceOf } from "../../model/resource.ts";

/** The one of this name as it is until it is written; undefined if the kind has none. */
export function builtIn<K extends Kind>(kind: K, name: string): ResourceOf<K> | undefined {
  const spec = builtInOf(kind, name);
  // An envelope of kind K around a spec of kind K; TypeScript cannot see that the union member is K's.
  return spec === undefined
    ? undefined
    : ({ kind, name, uid: name, revision: 0, spec, ...builtInAccess(kind, name) } as unknown as ResourceOf<K>);
}
