// The status of the cluster as a user is shown it: hosts that carry what it manages or have its endpoints, how far they
// are, and what it should know of its own. Nothing else of a host, and of no other.
import type { ClusterPaths } from "../../model/paths.ts";
import type { Network } from "../../model/resource.ts";
import type { HostCondition, HostStatus } from "../../model/status.ts";
import type { Parts } from "../parts.ts";
import { shownEndpoints } from "../rights/own.ts";
import { hasRight, principalOf } from "../rights/rights.ts";
import { isSeenBy, sightOf } from "../rights/sight.ts";
import { type View, carries, getKey, listOf } from "../state/view.ts";
import type { Viewer } from "../write.ts";
import type { Condition } from "./conditions.ts";
import { networkProgress } from "./progress.ts";
import { type ControlStatus, statusOf } from "./status.ts";

type User = Extract<Viewer, { readonly role: "user" }>;
/** What a user is shown of. */
type Own = {
  readonly networks: ReadonlySet<string>;
  readonly hosts: ReadonlySet<string>;
  isSeen(key: string): boolean;
};

/** Of everything; to a user, of its own. */
export async function statusFor(parts: Parts, viewer: Viewer): Promise<ControlStatus> {
  const status = await statusOf(parts);
  return viewer.role === "user" ? statusForUser(parts.committer.view, status, viewer) : status;
}

/** Of the endpoints that the viewer sees. */
export function progressFor(view: View, { lifecycle }: Parts, name: string, viewer: Viewer) {
  return networkProgress(view, lifecycle.reports, name, shownEndpoints(view, viewer));
}

function statusForUser(view: View, status: ControlStatus, user: User): ControlStatus {
  const own = ownOf(view, status, user);
  const { cluster, revision } = status;
  const conditions: readonly Condition[] = status.conditions;
  const groups = status.groups?.filter(({ network }) => own.networks.has(network));
  return {
    cluster,
    revision,
    ...(status.paths === undefined ? {} : { paths: pathsAmong(own.hosts, status.paths) }),
    ...(groups === undefined || groups.length === 0
      ? {}
      : { groups: groups.map(({ network, ...paths }) => ({ network, ...pathsAmong(own.hosts, paths) })) }),
    hosts: status.hosts.filter(({ host }) => own.hosts.has(host)).map((host) => shownHost(own, host)),
    conditions: conditions
      .filter(({ object, host, waitsFor }) => own.isSeen(object) && host === undefined && waitsFor === undefined)
      .map(({ reason, object }) => ({ reason, object, message: `${object}: ask an administrator about it` })),
  };
}

function ownOf(view: View, { hosts }: ControlStatus, user: User): Own {
  const principal = principalOf(view, user);
  const sight = sightOf(view, principal);
  const managed = listOf(view, "network").filter((network: Network) => hasRight(principal, "manage", network));
  const vrfs = new Set(managed.map(({ spec }) => spec.vrf));
  const carrying = hosts.filter(({ host }) => [...vrfs].some((vrf) => carries(view, vrf, host)));
  const endpoints = listOf(view, "endpoint").filter((endpoint) => isSeenBy(sight, endpoint));
  return {
    networks: new Set(managed.map(({ name }) => name)),
    hosts: new Set([...carrying.map(({ host }) => host), ...endpoints.map(({ spec }) => spec.host)]),
    isSeen(key) {
      const resource = getKey(view, key as Parameters<typeof getKey>[1]);
      return resource !== undefined && hasRight(principal, "manage", resource);
    },
  };
}

function shownHost(own: Own, { host, state, sinceMs, status }: HostCondition): HostCondition {
  return {
    host,
    underlay: "",
    state,
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(status === undefined ? {} : { status: shownStatus(own, status) }),
  };
}

/** What its kernel has reached. */
function shownStatus(own: Own, { host, revision, networks, policyRevision, policyFailed, reportedAtMs }: HostStatus) {
  return {
    host,
    bootId: "",
    version: "",
    revision,
    driftRepaired: 0,
    errors: [],
    networks: networks.filter((network) => own.networks.has(network)),
    conditions: [],
    hostPrefixes: [],
    objects: 0,
    ...(policyRevision === undefined ? {} : { policyRevision }),
    ...(policyFailed === undefined
      ? {}
      : { policyFailed: policyFailed.filter((endpoint) => own.isSeen(`endpoint/${endpoint}`)) }),
    reportedAtMs,
  };
}

/** Of pairs among these hosts: whether packets pass, and not why. */
function pathsAmong(hosts: ReadonlySet<string>, { unproven }: ClusterPaths): ClusterPaths {
  const own = unproven.filter((pair) => pair.hosts.every((host) => hosts.has(host)));
  const pairs = (hosts.size * (hosts.size - 1)) / 2;
  return {
    pairs,
    proven: Math.max(0, pairs - own.length),
    unproven: own.map(({ obstacles: _, ...pair }) => ({ ...pair, obstacles: [] })),
  };
}
