// A write in progress: it changes the view as it goes, so that each step sees the earlier ones, and returns all changes
// at the end. Then the view is as it was before; the caller applies the result. So admission is a function from (view,
// write) to changes, although it works in place.
import { isDeepStrictEqual } from "node:util";
import type { Family } from "../../model/address.ts";
import { keyOfResource } from "../../model/resource.ts";
import type { Change, Key, Kind, Resource, ResourceOf } from "../../model/resource.ts";
import type { Context } from "../admit/context.ts";
import { type View, applyChanges, get, getKey, undoChanges } from "./view.ts";

/** What a write of several resources comes to, while one of them is admitted. */
type Coming = {
  /** Networks that are put later: what they have now is not what they will have. */
  readonly networks: ReadonlySet<string>;
  /** Keys of all that is put, earlier or later. */
  readonly keys: ReadonlySet<string>;
  /** Families that local networks will have, by their VRF. */
  readonly families: ReadonlyMap<string, ReadonlySet<Family>>;
};

const NOTHING_COMING: Coming = { networks: new Set(), keys: new Set(), families: new Map() };

export class Draft {
  readonly view: View;
  readonly context: Context;
  coming: Coming = NOTHING_COMING;
  readonly #before = new Map<Key, Resource | undefined>();

  constructor(view: View, context: Context) {
    this.view = view;
    this.context = context;
  }

  /** Makes the resource, or changes its spec; it keeps its uid. An equal spec changes nothing. */
  put<K extends Kind>(kind: K, name: string, spec: ResourceOf<K>["spec"]): ResourceOf<K> {
    const old = get(this.view, kind, name);
    if (old !== undefined && isDeepStrictEqual(old.spec, spec)) return old;
    // An envelope of kind K around a spec of kind K; TypeScript cannot see that the union member is K's.
    const made = {
      kind,
      name,
      uid: old?.uid ?? this.context.uid(),
      revision: this.view.revision + 1,
      spec,
    } as unknown as ResourceOf<K>;
    this.#apply({ put: made });
    return made;
  }

  remove(kind: Kind, name: string): void {
    this.removeKey(`${kind}/${name}`);
  }

  removeKey(key: Key): void {
    if (getKey(this.view, key) !== undefined) this.#apply({ remove: key });
  }

  /** What was there before, and is not any more. */
  removed(): Resource[] {
    return [...this.#before].flatMap(([key, old]) =>
      old !== undefined && getKey(this.view, key) === undefined ? [old] : [],
    );
  }

  /** What all steps came to: one change per key, none for what is again as it was. */
  changes(): Change[] {
    const changes: Change[] = [];
    for (const [key, before] of this.#before) {
      const after = getKey(this.view, key);
      if (after === undefined) {
        if (before !== undefined) changes.push({ remove: key });
      } else if (before === undefined || before.uid !== after.uid || !isDeepStrictEqual(before.spec, after.spec)) {
        changes.push({ put: after });
      }
    }
    return changes;
  }

  rollback(): void {
    undoChanges(this.view, this.#before);
    this.#before.clear();
  }

  #apply(change: Change): void {
    const key = "put" in change ? keyOfResource(change.put) : change.remove;
    const old = applyChanges(this.view, [change]).get(key);
    if (!this.#before.has(key)) this.#before.set(key, old);
  }
}
