// A write in progress: it changes the view as it goes, so that each step sees the earlier ones, and returns all changes
// at the end. Then the view is as it was before; the caller applies the result. So admission is a function from (view,
// write) to changes, although it works in place.
import { isDeepStrictEqual } from "node:util";
import type { Family } from "../../model/address.ts";
import { defined } from "../../model/defined.ts";
import { keyOfResource } from "../../model/resource.ts";
import type { Change, Key, Kind, Resource, ResourceOf } from "../../model/resource.ts";
import { builtInAccess, recordOf } from "../../model/kinds.ts";
import { type Access, type Lock, newMode } from "../../model/rights.ts";
import type { Context } from "../admit/context.ts";
import type { Identity } from "../write.ts";
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
  /** Who asks; undefined: the server. */
  readonly asking: Identity | undefined;
  readonly #author: string | undefined;
  #before = new Map<Key, Resource | undefined>();
  readonly #touched = new Set<Key>();

  /** What `author`, if it is a user, makes is its own. */
  constructor(view: View, context: Context, author?: Identity) {
    this.view = view;
    this.context = context;
    this.asking = author;
    this.#author = author?.role === "user" ? author.user : undefined;
  }

  /** Makes the resource, or changes its spec; it keeps its uid, access and lock. An equal spec changes nothing. */
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
      ...(old === undefined ? { ...this.#own(kind, spec), ...builtInAccess(kind, name) } : heldOf(old)),
    } as unknown as ResourceOf<K>;
    this.#apply({ put: made });
    return made;
  }

  /** The resource as it is, at a new revision: every host that sees it works on it again. */
  touch<R extends Resource>(resource: R): R {
    const touched = { ...resource, revision: this.view.revision + 1 };
    this.#apply({ put: touched });
    this.#touched.add(keyOfResource(resource));
    return touched;
  }

  /** The same resource under a name that is free; it keeps its uid. */
  rename<R extends Resource>(resource: R, name: string): R {
    this.removeKey(keyOfResource(resource));
    const renamed = { ...resource, name, revision: this.view.revision + 1 };
    this.#apply({ put: renamed });
    return renamed;
  }

  /** The resource with this access, or without any. */
  grant<R extends Resource>(resource: R, access: Access | undefined): R {
    const { access: _, ...rest } = resource;
    return this.#replace(resource, { ...rest, ...(access === undefined ? {} : { access }) } as R);
  }

  /** The resource locked, or not. Without a user it is an administrator's lock. */
  lock<R extends Resource>(resource: R, level: Lock | undefined, by: string | undefined): R {
    const { lock: _, lockedBy: __, ...rest } = resource;
    const held = level === undefined ? {} : defined({ lock: level, lockedBy: by });
    return this.#replace(resource, { ...rest, ...held } as R);
  }

  #replace<R extends Resource>(old: R, wanted: R): R {
    if (isDeepStrictEqual(old, wanted)) return old;
    const made = { ...wanted, revision: this.view.revision + 1 };
    this.#apply({ put: made });
    return made;
  }

  /** The access of a new resource. */
  #own(kind: Kind, spec: object): { readonly access?: Access } {
    const user = this.#author === undefined ? undefined : get(this.view, "user", this.#author);
    if (user === undefined || recordOf(kind).owned !== true) return {};
    return { access: { owner: user.name, group: user.spec.group, mode: newMode(kind, spec) } };
  }

  remove(kind: Kind, name: string): void {
    this.removeKey(`${kind}/${name}`);
  }

  removeKey(key: Key): void {
    if (getKey(this.view, key) !== undefined) this.#apply({ remove: key });
  }

  /** What the work does; nothing of it if it throws. */
  attempt<T>(work: () => T): T {
    const outer = this.#before;
    this.#before = new Map();
    try {
      const result = work();
      for (const [key, old] of this.#before) if (!outer.has(key)) outer.set(key, old);
      return result;
    } catch (error) {
      undoChanges(this.view, this.#before);
      throw error;
    } finally {
      this.#before = outer;
    }
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
      } else if (before === undefined || this.#touched.has(key) || !isSame(before, after)) {
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

/** Whether they differ in nothing but their revision. */
function isSame(a: Resource, b: Resource): boolean {
  return a.uid === b.uid && isDeepStrictEqual(a.spec, b.spec) && isDeepStrictEqual(heldOf(a), heldOf(b));
}

function heldOf({ access, lock, lockedBy }: Resource): Pick<Resource, "access" | "lock" | "lockedBy"> {
  return defined({ access, lock, lockedBy });
}
