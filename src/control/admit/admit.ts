// Admission: turns a write into a complete set of changes (defaults, VNIs, addresses, everything that follows), or
// throws a Fault with the reason. A function of view, write and context: the view is used as a scratchpad and left as
// it was.
import { type Change, type Resource, keyOfResource } from "../../model/resource.ts";
import { Draft } from "../state/draft.ts";
import { type View, get } from "../state/view.ts";
import type { Write } from "../write.ts";
import { hold, release, expire } from "./address/hold.ts";
import { reserve } from "./address/reservation.ts";
import { apply } from "./apply.ts";
import type { Context } from "./context.ts";
import { commitGroup } from "./group/group.ts";
import { drainHost, joinHost } from "./host/host.ts";
import { checkMatch, deleteResource, putResource, settleReferences } from "./resource.ts";
import { attach, attachAll, detach, patchEndpoint } from "./workload/endpoint.ts";
import { joinNetwork } from "./workload/membership.ts";
import { migrate, reportMove } from "./workload/migrate.ts";

/** `resource` is what was put, marked or found; its revision is of the coming commit if it is among the changes. */
export type Admission = {
  readonly changes: readonly Change[];
  readonly resource?: Resource;
  readonly created: boolean;
};

/** Throws a Fault for a refusal. No changes: everything is so already. */
export function admit(view: View, write: Write, context: Context): Admission {
  const draft = new Draft(view, context);
  try {
    const resource = decide(draft, write);
    settleReferences(draft, write);
    const changes = draft.changes();
    if (resource === undefined) return { changes, created: false };
    const key = keyOfResource(resource);
    const change = changes.find((c) => "put" in c && keyOfResource(c.put) === key);
    const put = change !== undefined && "put" in change ? change.put : undefined;
    draft.rollback();
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
  switch (write.verb) {
    case "put":
      checkMatch(draft, write.kind, write.name, write);
      return putResource(draft, write);
    case "delete":
      return deleteResource(draft, write);
    case "apply":
      return apply(draft, write);
    case "join":
      return joinHost(draft, write.claim, write.by);
    case "drain":
      checkMatch(draft, "host", write.host, write);
      return drainHost(draft, write.host, write.drained);
    case "attach":
      return attach(draft, write.claim, write.by);
    case "attach-all":
      return attachAll(draft, write.claims, write.by);
    case "patch-endpoint":
      checkMatch(draft, "endpoint", write.name, write);
      return patchEndpoint(draft, write.name, write.patch);
    case "detach":
      checkMatch(draft, "endpoint", write.endpoint, write);
      return detach(draft, write);
    case "join-network":
      return joinNetwork(draft, write.claim);
    case "migrate":
      return migrate(draft, write.request);
    case "move":
      return reportMove(draft, write);
    case "commit-group":
      return commitGroup(draft, write.name, write.hosts);
    case "hold":
      return hold(draft, write.request);
    case "release":
      return release(draft, write.span);
    case "reserve":
      checkMatch(draft, "network", write.request.name, write);
      return reserve(draft, write.network, write.request);
    case "expire":
      return expire(draft);
  }
}
