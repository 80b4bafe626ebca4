// What the audit log says of a write: who asked for what, and what became different. Made for every commit, so it costs
// little: of a resource that is made or removed its values, of one that stays only those that have changed.
import { isDeepStrictEqual } from "node:util";
import { defined } from "../../model/defined.ts";
import type { AuditChange, AuditEntry } from "../../model/audit.ts";
import { type Change, type Resource, keyOfResource } from "../../model/resource.ts";
import type { Caller, Identity, Write } from "../write.ts";
import { type View, getKey } from "../state/view.ts";

/** What the audit log says was asked for. */
export type Asked = {
  readonly verb: string;
  readonly object?: string;
  /** It was only to say what would change. */
  readonly isDry?: boolean;
};

/** The changes by resources. Call with the view before them. */
export function auditChangesOf(view: View, changes: readonly Change[]): AuditChange[] {
  return changes.map((change) => {
    if ("remove" in change) return changeOf(change.remove, getKey(view, change.remove), undefined);
    const key = keyOfResource(change.put);
    return changeOf(key, getKey(view, key), change.put);
  });
}

function changeOf(key: string, before: Resource | undefined, after: Resource | undefined): AuditChange {
  if (before === undefined) return after === undefined ? { key } : { key, after: valuesOf(after) };
  if (after === undefined) return { key, before: valuesOf(before) };
  if (before.uid !== after.uid) return { key, before: valuesOf(before), after: valuesOf(after) };
  const { spec: oldSpec, ...oldRest } = valuesOf(before);
  const { spec: newSpec, ...newRest } = valuesOf(after);
  const [oldParts, newParts] = [different(oldSpec, newSpec), different(newSpec, oldSpec)];
  return {
    key,
    before: { ...different(oldRest, newRest), ...(isEmpty(oldParts) ? {} : { spec: oldParts }) },
    after: { ...different(newRest, oldRest), ...(isEmpty(newParts) ? {} : { spec: newParts }) },
  };
}

type Values = Readonly<Record<string, unknown>>;

function valuesOf({ kind: _, name: __, uid: ___, revision: ____, ...values }: Resource): Values & { spec: Values } {
  return values;
}

/** The members of `values` that `others` has otherwise, or not at all. */
function different(values: Values, others: Values): Values {
  const result: Record<string, unknown> = {};
  for (const name in values) {
    const [value, other] = [values[name], others[name]];
    if (value !== undefined && value !== other && !isDeepStrictEqual(value, other)) result[name] = value;
  }
  return result;
}

function isEmpty(values: Values): boolean {
  for (const _ in values) return false;
  return true;
}

/** The record of something that was done. */
export function doneEntry(caller: Caller, { verb, object }: Asked, atMs: number, changes?: AuditChange[]): AuditEntry {
  return {
    atMs,
    ...recordedCaller(caller),
    verb,
    result: "done",
    ...(object === undefined ? {} : { object }),
    ...(changes === undefined ? {} : { changes }),
  };
}

/** As the audit log names a caller. */
export function recordedCaller({
  identity,
  uid,
  credential,
  from,
}: Caller): Pick<AuditEntry, "who" | "uid" | "credential" | "from"> {
  return { who: credential === "server" ? "server" : nameOf(identity), ...defined({ uid }), credential, from };
}

function nameOf(identity: Identity): string {
  if (identity.role === "user") return `user/${identity.user}`;
  return identity.role === "host" ? `host/${identity.host}` : identity.role;
}

type WriteOf<V extends Write["verb"]> = Extract<Write, { readonly verb: V }>;
const OBJECTS: { readonly [V in Write["verb"]]: (write: WriteOf<V>) => string | undefined } = {
  put: ({ kind, name }) => `${kind}/${name}`,
  delete: ({ kind, name }) => `${kind}/${name}`,
  apply: () => undefined,
  join: ({ claim }) => `host/${claim.host}`,
  drain: ({ host }) => `host/${host}`,
  "set-host": ({ host }) => `host/${host}`,
  attach: ({ claim: { owner, ifname } }) => `endpoint/${owner}.${ifname}`,
  "attach-all": ({ claims }) => (claims[0] === undefined ? undefined : `endpoint/${claims[0].owner}.*`),
  "patch-endpoint": ({ name }) => `endpoint/${name}`,
  detach: ({ endpoint }) => `endpoint/${endpoint}`,
  "join-network": ({ claim }) => `network/${claim.network}`,
  migrate: ({ request }) => `network/${request.from}`,
  move: ({ move }) => `move/${move}`,
  "commit-group": ({ name }) => `securitygroup/${name}`,
  "retry-network": ({ name }) => `network/${name}`,
  hold: ({ request }) => `network/${request.network}`,
  release: ({ span }) => `network/${span.network}`,
  reserve: ({ network }) => `network/${network}`,
  instantiate: ({ template }) => `template/${template}`,
  "clone-template": ({ template }) => `template/${template}`,
  "rename-template": ({ template }) => `template/${template}`,
  chown: ({ kind, name }) => `${kind}/${name}`,
  chmod: ({ kind, name }) => `${kind}/${name}`,
  lock: ({ kind, name }) => `${kind}/${name}`,
  expire: () => undefined,
  "advance-conversion": ({ name }) => `conversion/${name}`,
};

/** What a write asks for, in short. */
export function askedBy(write: Write): Asked {
  // Each is under the verb whose write it takes; TypeScript cannot relate the two by itself.
  const object = (OBJECTS[write.verb] as (write: Write) => string | undefined)(write);
  return object === undefined ? { verb: write.verb } : { verb: write.verb, object };
}
