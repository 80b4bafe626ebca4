// The server's judgement: a write becomes a complete set of changes (defaults, VNIs, addresses, everything that
// follows), or a Fault that says why not. A function of view, write and context: the view is used as a scratchpad and
// left as it was.
import type { Family } from "../../model/address.ts";
import { Fault } from "../../model/fault.ts";
import { DEFAULT_GROUP } from "../../model/group.ts";
import type { ApplyItem } from "../../model/input.ts";
import { type Change, type Resource, keyOfResource } from "../../model/resource.ts";
import { Draft } from "../state/draft.ts";
import { type View, get } from "../state/view.ts";
import type { Write } from "../write.ts";
import { networksOf, vacateVrf } from "./network/allocate.ts";
import { type Context, inUse, within } from "./context.ts";
import { attach, attachAll, detach, patchEndpoint, unknown } from "./workload/endpoint.ts";
import { hold, release, sweep } from "./address/hold.ts";
import { commitGroup, deleteGroup, putGroup } from "./group/group.ts";
import { deleteHost, drainHost, joinHost } from "./host/host.ts";
import { joinNetwork, leaveNetwork } from "./workload/membership.ts";
import { deleteMigration, migrate, reportMove } from "./workload/migrate.ts";
import { deleteNetwork, endpointsOf, putNetwork, removeNetwork } from "./network/network.ts";
import { deletePool, putPool } from "./network/pool.ts";
import { reservationsText, reserve } from "./address/reservation.ts";
import { deleteVrf, putVrf } from "./network/vrf.ts";

/** `resource` is what was put, marked or found; its revision is of the coming commit if it is among the changes. */
export type Admission = {
  readonly changes: readonly Change[];
  readonly resource?: Resource;
  readonly created: boolean;
};

/** Throws a Fault for a refusal. No changes: everything is so already. */
export function admit(view: View, write: Write, context: Context): Admission {
  const draft = new Draft(view, context.uid);
  try {
    const resource = decide(draft, write, context);
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

function decide(draft: Draft, write: Write, context: Context): Resource | undefined {
  const { view } = draft;
  switch (write.verb) {
    case "put-network":
      checkMatch(get(view, "network", write.name), write.ifRevision, `network "${write.name}"`);
      return putNetwork(draft, write.name, write.spec, context, write.force === true);
    case "put-vrf":
      checkMatch(get(view, "vrf", write.name), write.ifRevision, `vrf "${write.name}"`);
      return putVrf(draft, write.name, write.spec, context);
    case "put-pool":
      checkMatch(get(view, "pool", write.name), write.ifRevision, `pool "${write.name}"`);
      return putPool(draft, write.name, write.spec);
    case "join-network":
      return joinNetwork(draft, write.claim);
    case "migrate":
      return migrate(draft, write.request);
    case "move":
      return reportMove(draft, write.move, write.report, write.by, context);
    case "put-group":
      checkMatch(get(view, "securitygroup", write.name), write.ifRevision, `security group "${write.name}"`);
      return putGroup(draft, write.name, write.spec);
    case "commit-group":
      return commitGroup(draft, write.name, write.hosts);
    case "delete": {
      if (write.kind === "securitygroup" && write.name === DEFAULT_GROUP) deleteGroup(draft, write.name);
      const resource = get(view, write.kind, write.name);
      if (resource === undefined) throw unknown(write.kind, write.name, "name");
      checkMatch(resource, write.ifRevision, `${write.kind} "${write.name}"`);
      return remove(draft, write.kind, write.name, write.force === true, context);
    }
    case "join":
      return joinHost(draft, write.claim, write.by);
    case "drain":
      checkMatch(get(view, "host", write.host), write.ifRevision, `host "${write.host}"`);
      return drainHost(draft, write.host, write.drained);
    case "attach":
      return attach(draft, write.claim, write.by, context);
    case "attach-all":
      attachAll(draft, write.claims, write.by, context);
      return undefined;
    case "patch-endpoint":
      checkMatch(get(view, "endpoint", write.name), write.ifRevision, `endpoint "${write.name}"`);
      return patchEndpoint(draft, write.name, write.patch);
    case "detach":
      checkMatch(get(view, "endpoint", write.endpoint), write.ifRevision, `endpoint "${write.endpoint}"`);
      return detach(draft, write.endpoint, write.by, write.force === true, context);
    case "hold":
      return hold(draft, write.request, context);
    case "release":
      release(draft, write.span);
      return undefined;
    case "reserve":
      checkMatch(get(view, "network", write.request.name), write.ifRevision, `network "${write.request.name}"`);
      return reserve(draft, write.network, write.request, context);
    case "sweep":
      sweep(draft, context);
      return undefined;
    case "apply":
      return apply(draft, write.items, write.pruneVrf, context);
  }
}

type Deletable = Extract<Write, { readonly verb: "delete" }>["kind"];

function remove(draft: Draft, kind: Deletable, name: string, force: boolean, context: Context): undefined {
  if (kind === "securitygroup") deleteGroup(draft, name);
  else if (kind === "network") deleteNetwork(draft, name, force, context);
  else if (kind === "host") deleteHost(draft, name, force, context);
  else if (kind === "pool") deletePool(draft, name, force);
  else if (kind === "membership") leaveNetwork(draft, name);
  else if (kind === "migration") deleteMigration(draft, name, force);
  else deleteVrf(draft, name, force, (network) => removeNetwork(draft, network, context));
  return undefined;
}

/**
 * All items in one commit: what is no longer listed goes first, so that its addresses are free; then VRFs and pools,
 * then networks. Judged by what all of it comes to: each network against those that are where they will be, so that
 * two may change places.
 */
function apply(draft: Draft, items: readonly ApplyItem[], pruneVrf: string | undefined, context: Context): undefined {
  checkDistinct(items);
  const listed = new Set(items.filter((item) => item.kind === "network").map((item) => item.name));
  // What is reserved from a network goes with it, or stays.
  const pruned =
    pruneVrf === undefined
      ? []
      : networksOf(draft.view, pruneVrf).filter(
          ({ name, spec }) => !listed.has(name) && spec.reservedFrom === undefined,
        );
  const blockers = pruned.flatMap(({ name }) => [
    ...endpointsOf(draft.view, name),
    ...reservationsText(draft.view, name),
  ]);
  if (blockers.length > 0) {
    const have = blockers.some((each) => each.startsWith("reservation ")) ? "reservations" : "endpoints";
    const names = pruned
      .map((network) => `"${network.name}"`)
      .sort()
      .join(", ");
    throw inUse(
      `networks ${names} of VRF "${pruneVrf}" cannot go`,
      `they are not listed, but have ${have}`,
      "detach or delete them first, or list the networks",
      blockers,
    );
  }
  const moving = new Set([...listed, ...pruned.map((network) => network.name)]);
  const after = { ...context, moving, coming: comingFamilies(draft.view, items) };
  for (const [i, item] of items.entries())
    if (item.kind === "vrf") within(`resources[${i}]`, () => putVrf(draft, item.name, item.spec, after));
  for (const [i, item] of items.entries())
    if (item.kind === "pool") within(`resources[${i}]`, () => putPool(draft, item.name, item.spec));
  // Before the networks that they are assigned to; what they have as peers may come with the same file.
  const coming = new Set(items.map((item) => `${item.kind}/${item.name}`));
  for (const [i, item] of items.entries())
    if (item.kind === "securitygroup") within(`resources[${i}]`, () => putGroup(draft, item.name, item.spec, coming));
  for (const network of pruned) removeNetwork(draft, network.name, context);
  for (const [i, item] of items.entries()) {
    if (item.kind !== "network") continue;
    moving.delete(item.name);
    within(`resources[${i}]`, () => putNetwork(draft, item.name, item.spec, { ...context, moving }, false));
  }
  // Only now: a VRF that gets a new network must not go with its last old one and come back as another.
  if (pruned.length > 0 && pruneVrf !== undefined) vacateVrf(draft, pruneVrf);
  return undefined;
}

/** Families of the local networks of a file, by VRF; what a pool will give to a new one is added when it is put. */
function comingFamilies(view: View, items: readonly ApplyItem[]): ReadonlyMap<string, ReadonlySet<Family>> {
  const families = new Map<string, Set<Family>>();
  for (const item of items) {
    if (item.kind !== "network") continue;
    const old = get(view, "network", item.name)?.spec;
    const subnets = item.spec.subnets ?? old?.subnets ?? [];
    const isLocal = subnets.some(({ hostPrefix }) => hostPrefix !== undefined);
    const vrf = item.spec.vrf ?? item.name;
    const known = families.get(vrf) ?? new Set();
    for (const { cidr } of isLocal ? subnets : []) known.add(cidr.includes(":") ? 6 : 4);
    families.set(vrf, known);
  }
  return families;
}

function checkDistinct(items: readonly ApplyItem[]): void {
  const seen = new Set<string>();
  for (const [i, item] of items.entries()) {
    const key = `${item.kind}/${item.name}`;
    if (seen.has(key))
      throw new Fault("request-invalid", {
        what: `${key} is listed twice`,
        where: `resources[${i}].name`,
        fix: "list each resource once",
      });
    seen.add(key);
  }
}

/** What the writer has seen must still be so. */
function checkMatch(resource: Resource | undefined, wanted: number | "any" | undefined, what: string): void {
  if (wanted === undefined || (wanted === "any" ? resource !== undefined : (resource?.revision ?? 0) === wanted))
    return;
  const is = resource === undefined ? "does not exist" : `is at revision ${resource.revision}`;
  throw new Fault("revision-stale", {
    what: `${what} ${is}`,
    why:
      wanted === 0
        ? "the write was to make it"
        : wanted === "any"
          ? "the write was to change it"
          : `the write was made for revision ${wanted}`,
    fix: "read it again and repeat the write",
  });
}
