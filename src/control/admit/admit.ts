// Admission: turns a write into a complete set of changes (defaults, VNIs, addresses, everything that follows), or
// throws a Fault with the reason. A function of view, write and context: the view is used as a scratchpad and left as
// it was.
import { type Change, type Kind, type Resource, keyOfResource } from "../../model/resource.ts";
import { Draft } from "../state/draft.ts";
import { type View, get } from "../state/view.ts";
import type { Identity, Match, Write } from "../write.ts";
import { hold, release, expire } from "./address/hold.ts";
import { reserve } from "./address/reservation.ts";
import { apply } from "./apply.ts";
import { type Context, existing } from "./context.ts";
import { commitGroup } from "./group/group.ts";
import { drainHost, joinHost, setHost } from "./host/host.ts";
import { advanceConversion } from "./network/convert.ts";
import { cloneTemplate, instantiate, renameTemplate } from "./network/template.ts";
import { checkQuotas, isFact } from "./quotas.ts";
import { checkMatch, deleteResource, putResource, alignReferences } from "./resource.ts";
import { alignRules } from "./user/rule.ts";
import { chmod, chown, lock } from "./user/access.ts";
import { attachAll, attachAnywhere, detach, patchEndpoint } from "./workload/endpoint.ts";
import { joinNetwork } from "./workload/membership.ts";
import { migrate, reportMove } from "./workload/migrate.ts";

/** `resource` is what was put, marked or found; its revision is of the coming commit if it is among the changes. */
export type Admission = {
  readonly changes: readonly Change[];
  readonly resource?: Resource;
  readonly created: boolean;
};

/** Throws a Fault for a refusal. No changes: everything is so already. What is made is `by`'s, if that is a user. */
export function admit(view: View, write: Write, context: Context, by?: Identity): Admission {
  const draft = new Draft(view, context, by);
  try {
    const resource = decide(draft, write);
    alignReferences(draft, write);
    alignRules(draft);
    const changes = draft.changes();
    draft.rollback();
    if (!isFact(view, write)) checkQuotas(view, changes);
    if (resource === undefined) return { changes, created: false };
    const key = keyOfResource(resource);
    const change = changes.find((c) => "put" in c && keyOfResource(c.put) === key);
    const put = change !== undefined && "put" in change ? change.put : undefined;
    return {
      changes,
      resource: put ?? resource,
      created: put !== undefined && get(view, put.kind, put.name)?.uid !== put.uid,
    };
  } finally {
    draft.rollback();
  }
}

function decide(draft: Draft, write: Write): Resource | undefined {
  // Each is under the verb whose write it takes; TypeScript cannot relate the two by itself.
  const matched = (MATCHED[write.verb] as ((write: Write) => readonly [Kind, string]) | undefined)?.(write);
  if (matched !== undefined) checkMatch(draft, ...matched, write as Match);
  return (DECIDE[write.verb] as Decide<Write>)(draft, write);
}

type WriteOf<V extends Write["verb"]> = Extract<Write, { readonly verb: V }>;
type Decide<W> = (draft: Draft, write: W) => Resource | undefined;

const DECIDE: { readonly [V in Write["verb"]]: Decide<WriteOf<V>> } = {
  put: putResource,
  delete: deleteResource,
  apply,
  join: (draft, { claim, by }) => joinHost(draft, claim, by),
  drain: (draft, { host, drained }) => drainHost(draft, host, drained),
  "set-host": (draft, { host, settings, force }) => setHost(draft, { host, settings, force: force === true }),
  attach: (draft, { claim, by }) => attachAnywhere(draft, claim, by),
  "attach-all": (draft, { claims, by }) => attachAll(draft, claims, by),
  "patch-endpoint": (draft, { name, patch }) => patchEndpoint(draft, name, patch),
  detach,
  "join-network": (draft, { claim }) => joinNetwork(draft, claim),
  migrate: (draft, { request }) => migrate(draft, request),
  move: reportMove,
  "commit-group": (draft, { name, hosts }) => commitGroup(draft, name, hosts),
  hold: (draft, { request }) => hold(draft, request),
  release: (draft, { span }) => release(draft, span),
  "retry-network": (draft, { name }) => draft.touch(existing(draft.view, "network", name)),
  reserve: (draft, { network, request }) => reserve(draft, network, request),
  instantiate(draft, { template, request }) {
    instantiate(draft, template, request);
    return undefined;
  },
  "clone-template": (draft, { template, name }) => cloneTemplate(draft, template, name),
  "rename-template": (draft, { template, name }) => renameTemplate(draft, template, name),
  chown,
  chmod,
  lock,
  expire,
  "advance-conversion": advanceConversion,
};

/** The resource whose revision a write may name; of what is deleted, resource.ts asks first whether it is there. */
const MATCHED: { readonly [V in Write["verb"]]?: (write: WriteOf<V>) => readonly [Kind, string] } = {
  put: ({ kind, name }) => [kind, name],
  drain: ({ host }) => ["host", host],
  "set-host": ({ host }) => ["host", host],
  "patch-endpoint": ({ name }) => ["endpoint", name],
  detach: ({ endpoint }) => ["endpoint", endpoint],
  "retry-network": ({ name }) => ["network", name],
  reserve: ({ request }) => ["network", request.name],
  "rename-template": ({ template }) => ["template", template],
  chown: ({ kind, name }) => [kind, name],
  chmod: ({ kind, name }) => [kind, name],
  lock: ({ kind, name }) => [kind, name],
};
