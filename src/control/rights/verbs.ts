// Who needs what for each verb of a write, by what the write names. A verb without a row does not compile.
import { builtInOf } from "../../model/kinds.ts";
import type { ApplyItem } from "../../model/input.ts";
import { lets } from "../../model/narrowing.ts";
import { peersIn } from "../../model/group.ts";
import { type Membership, type Resource, endpointName } from "../../model/resource.ts";
import { filledTemplate, isMeant } from "../admit/network/template.ts";
import { clustersIn } from "../state/audience.ts";
import { get, listOf } from "../state/view.ts";
import { checkRestricted } from "../../model/template.ts";
import type { Write } from "../write.ts";
import { type Changed, changedFields } from "./fields.ts";
import { checkMode, checkNewOwner, checkRule } from "./grants.ts";
import { type Needs, isLocked } from "./needs.ts";
import { lockedFault, notUnlocked, rightMissing } from "./refusal.ts";
import { hasRight, isGiven, principalOf } from "./rights.ts";

type WriteOf<V extends Write["verb"]> = Extract<Write, { readonly verb: V }>;

/** Throws the Fault of the first need that is not met. */
export function askVerb(needs: Needs, write: Write): void {
  // Each is under the verb whose write it takes; TypeScript cannot relate the two by itself.
  const ask = NEEDS[write.verb] as ((needs: Needs, write: Write) => void) | undefined;
  if (ask === undefined) needs.never(write.verb, "nobody");
  else ask(needs, write);
}

const NEEDS: { readonly [V in Write["verb"]]: (needs: Needs, write: WriteOf<V>) => void } = {
  put,
  apply(needs, { items, pruneVrf }) {
    for (const item of items) put(needs, item);
    needs.right("manage", "vrf", pruneVrf);
  },
  delete(needs, { kind, name, force }) {
    needs.sees(kind, name);
    const at = kind === "conversion" ? get(needs.view, "conversion", name)?.spec : undefined;
    if (kind === "conversion")
      return at?.network === undefined ? needs.right("manage", "vrf", at?.vrf) : manages(needs, at.network);
    const { from, to } = kind === "migration" ? (get(needs.view, "migration", name)?.spec ?? {}) : {};
    if (kind === "migration") return manages(needs, from, to);
    if (kind === "membership") return leave(needs, name);
    needs.right(kind === "host" ? "admin" : "manage", kind, name);
    // Its endpoints are on their hosts until these have heard of it.
    if (kind === "host" && force === true) needs.cluster([], "force for a host", `host/${name}`);
  },
  "join-network": joinNetwork,
  migrate(needs, { request: { from, to, workload, endpoint } }) {
    manages(needs, from, to);
    needs.sees("endpoint", endpoint);
    for (const each of needs.view.networks.get(from)?.endpoints.values() ?? []) {
      const isMeant = (endpoint ?? each.name) === each.name && (workload ?? each.spec.workload) === each.spec.workload;
      if (isMeant && isLocked(each, "manage")) throw lockedFault(each);
    }
  },
  move: (needs) => needs.never("say how far a move is", "its host"),
  "commit-group"(needs, { name, hosts = [] }) {
    needs.right("manage", "securitygroup", name);
    for (const host of hosts) needs.sees("host", host);
  },
  "patch-endpoint"(needs, { name, patch }) {
    needs.right("manage", "endpoint", name);
    usesGroups(needs, patch.securityGroups);
    const network = get(needs.view, "endpoint", name)?.spec.network;
    // Limits and the filter against foreign addresses are the network's to decide.
    if (patch.qos !== undefined || patch.allowedAddresses !== undefined) needs.right("manage", "network", network);
  },
  join: (needs) => needs.never("join a host", "the host, with a join token,"),
  drain: (needs, { host }) => needs.right("manage", "host", host),
  "set-host"(needs, { host }) {
    needs.right("admin", "host", host);
  },
  attach: attachOne,
  "attach-all"(needs, { claims, by }) {
    for (const claim of claims) attachOne(needs, { claim, by });
  },
  detach(needs, { endpoint: name, force }) {
    needs.sees("endpoint", name);
    const endpoint = get(needs.view, "endpoint", name);
    if (endpoint === undefined) return;
    const network = get(needs.view, "network", endpoint.spec.network);
    // By force it goes although its host may still have it: its owner alone may not free the address.
    if (force === true && network !== undefined) needs.right("manage", "network", network.name);
    else if (!needs.either("manage", [endpoint, network])) needs.right("manage", "endpoint", name);
    needs.makes("endpoint", name);
    if (isLocked(endpoint, "manage")) throw lockedFault(endpoint);
  },
  hold: (needs, { request }) => manages(needs, request.network),
  release: (needs, { span }) => manages(needs, span.network),
  "retry-network": (needs, { name }) => manages(needs, name),
  reserve(needs, { network, request }) {
    needs.right("use", "network", network);
    if (get(needs.view, "network", request.name) === undefined) needs.makesNetwork(request.name);
    else needs.right("manage", "network", request.name);
    // Which addresses it gets besides, the server chooses out of what may be used of the network.
    needs.chooses("network", request.name);
    if (request.tenant !== undefined) needs.cluster([], `"tenant"`, "tenant");
  },
  instantiate(needs, { template: name, request }) {
    needs.right("use", "template", name);
    needs.makesNetwork(request.count === undefined ? request.name : undefined);
    const { template, spec } = filledTemplate(needs.view, name, request);
    const { network: part } = template.spec;
    if (request.network !== undefined && !needs.either("admin", [template]))
      checkRestricted(name, template.spec, request.network);
    // The template's own part is its author's; all else is the caller's, with values of inputs and their defaults.
    const changed = changedFields("network", part, spec).filter(isSaid(spec));
    const [now, before] = [spec, part].map((each) => ({ kind: "network", spec: each }) as never);
    needs.fields(changed, { now: now as never, before, target: undefined });
    named(needs, { kind: "network", name: "", spec }, part);
  },
  "clone-template"(needs, { template, name }) {
    needs.right("use", "template", template);
    needs.create("template", name);
  },
  "rename-template"(needs, { template, name }) {
    needs.right("manage", "template", template);
    needs.makes("template", name);
  },
  "advance-conversion": (needs) => needs.never("advance a conversion", "the server"),
  expire: (needs) => needs.never("expire", "the server"),
  chown: checkNewOwner,
  chmod: checkMode,
  lock(needs, { kind, name }) {
    const resource = needs.find(kind, name);
    if (resource === undefined) return;
    // A lock does not keep from unlocking.
    const { lock, lockedBy, ...free } = resource;
    needs.rightTo("manage", free as typeof resource);
    needs.makes(kind, name);
    const { principal } = needs;
    if (lock === undefined || principal === undefined || lockedBy === principal.user) return;
    const isAdmin = hasRight(principal, "admin", resource);
    // What an administrator locks, its owner does not unlock, whatever its mode gives him.
    if (!isAdmin || (lockedBy === undefined && !isGiven(principal, "admin", resource)))
      throw notUnlocked(principal.user, resource);
  },
};

function manages(needs: Needs, ...networks: readonly (string | undefined)[]): void {
  for (const network of networks) needs.right("manage", "network", network);
}

function usesGroups(needs: Needs, groups: readonly string[] | undefined): void {
  for (const group of groups ?? [])
    if (builtInOf("securitygroup", group) === undefined) needs.right("use", "securitygroup", group);
}

function put(needs: Needs, { kind, name, spec }: ApplyItem): void {
  const old = needs.find(kind, name);
  if (old === undefined) {
    const now = { kind, name, spec } as Resource;
    needs.create(kind, name, clustersIn(now));
    const fields = changedFields(kind, undefined, spec).filter(isSaid(kind === "template" ? spec.network : spec));
    needs.fields(fields, { now, before: undefined, target: undefined });
  } else {
    needs.right("manage", kind, name);
    // Before it is said whether somebody else has the number.
    const now = { ...old, spec: { ...old.spec, ...spec } } as Resource;
    needs.fields(changedFields(kind, old.spec, now.spec).filter(isNumber(spec)), { now, before: old, target: old });
  }
  // What has become another thing since is named anew.
  const isAnew = old?.kind === "template" && !isMeant(needs.view, old.spec);
  named(needs, { kind, name, spec } as ApplyItem, isAnew ? undefined : old?.spec);
}

/** Not what everybody gets who does not say it. */
function isSaid(spec: object): (changed: Changed) => boolean {
  return ({ field }) => field !== "driver" || (spec as { readonly driver?: string }).driver !== "vxlan";
}

/** A number or a flag is written in one way only, so that it differs is known before admission. */
function isNumber(spec: object): (changed: Changed) => boolean {
  const values = new Map(Object.entries(spec));
  return ({ field }) => ["number", "boolean"].includes(typeof values.get(field));
}

/** What a spec names besides itself. */
function named(needs: Needs, { kind, name, spec }: ApplyItem, old: object | undefined): void {
  const had = new Set(old === undefined ? [] : clustersIn({ kind, spec: old } as Resource));
  for (const cluster of clustersIn({ kind, spec } as Resource))
    if (!had.has(cluster) && !needs.createsIn(kind, cluster)) needs.right("use", "hostcluster", cluster);
  if (kind === "template") {
    const { clusters: _, ...part } = spec.network;
    named(needs, { kind: "network", name: "", spec: part }, (old as typeof spec | undefined)?.network);
  }
  if (kind === "network") {
    const before = old as typeof spec | undefined;
    for (const host of spec.hosts ?? []) needs.sees("host", host);
    const vrf = spec.vrf ?? (name === "" ? undefined : name);
    // Networks of a VRF reach each other.
    if (vrf !== before?.vrf) needs.right("manage", "vrf", vrf);
    if (spec.pool?.name !== before?.pool?.name) needs.right("use", "pool", spec.pool?.name);
    if (spec.parent !== before?.parent) needs.right("use", "physicalnetwork", spec.parent);
    const groups = [spec, ...(spec.ranges ?? [])].flatMap(({ securityGroups = [] }) => securityGroups);
    const had = [...(before === undefined ? [] : [before]), ...(before?.ranges ?? [])];
    const known = new Set(had.flatMap(({ securityGroups = [] }) => securityGroups));
    usesGroups(
      needs,
      groups.filter((group) => !known.has(group)),
    );
  }
  if (kind === "securitygroup") {
    // A network that a rule names does not go without it.
    for (const { peer } of spec.rules) needs.right("use", "network", peer?.network);
    usesGroups(
      needs,
      peersIn({ ...spec, rules: spec.rules }).filter((group) => group !== name),
    );
  }
  if (kind === "user" && needs.principal !== undefined) {
    const { group, groups = [] } = (old ?? { group: "" }) as { readonly group: string; readonly groups?: string[] };
    const known = new Set([group, ...groups]);
    for (const each of [spec.group, ...(spec.groups ?? [])])
      if (!known.has(each)) needs.right("manage", "usergroup", each);
  }
  if (kind === "aclrule") {
    const { user, usergroup } = spec.subject;
    needs.knows(user);
    needs.sees("usergroup", usergroup);
    needs.sees("usergroup", spec.resource.usergroup);
    checkRule(needs, name, spec);
  }
}

/** Use of the network, of who asks and of whose workload it is, and manage of the workload. */
function joinNetwork(needs: Needs, { claim: { network: name, workload, user: given } }: WriteOf<"join-network">): void {
  needs.right("use", "network", name);
  const { view, principal } = needs;
  needs.knows(given);
  const user = given ?? principal?.user;
  const network = get(view, "network", name);
  if (user === undefined || network === undefined || get(view, "user", user) === undefined) return;
  managesWorkload(needs, { network: name, workload, user });
  if (user !== principal?.user && !hasRight(principalOf(view, { user }), "use", network))
    throw rightMissing(user, "use", network);
}

/** Manage of all instances; of another's there is one at least. Who may not is told nothing of them. */
function managesWorkload(needs: Needs, { network, workload, user }: Membership["spec"]): void {
  const { principal, view } = needs;
  if (principal === undefined) return;
  const instances = listOf(view, "endpoint").filter(
    ({ spec, access }) => spec.workload === workload && access?.owner === user,
  );
  const isOwn = user === principal.user;
  const isManaged = instances.every((instance) => needs.either("manage", [instance]));
  if (!isOwn && (instances.length === 0 || !isManaged))
    needs.never(
      `let workload "${workload}" of ${user === undefined ? "no user" : `user "${user}"`} join or leave`,
      WHO,
    );
  for (const instance of instances) needs.rightTo("manage", instance);
  if (isOwn && !lets(principal.narrowing, "manage", network)) needs.never("let workloads join or leave", WHO);
}
const WHO = "who manages the workload";

/** Either side ends it: who manages the network, or the workload. */
function leave(needs: Needs, name: string): void {
  const membership = get(needs.view, "membership", name);
  const network = get(needs.view, "network", membership?.spec.network ?? "");
  if (membership === undefined || network === undefined) return;
  if (needs.either("manage", [network])) return needs.right("manage", "network", network.name);
  managesWorkload(needs, membership.spec);
}

/** The host that asks vouches for the user; by itself a user makes no interface. */
function attachOne(needs: Needs, { claim, by }: Pick<WriteOf<"attach">, "claim" | "by">): void {
  if (claim.user !== undefined && claim.user !== needs.principal?.user)
    return needs.never(`make an endpoint of user "${claim.user}"`, "this user");
  if (by.role === "user") return needs.never("make an endpoint", "the host that it is on");
  if (by.role === "host" && by.host !== claim.host) needs.sees("host", claim.host);
  const name = endpointName(claim.owner, claim.ifname);
  const old = get(needs.view, "endpoint", name);
  if (old !== undefined) {
    needs.makes("endpoint", name);
    return needs.right("manage", "endpoint", name);
  }
  needs.right("use", "network", claim.network);
  usesGroups(needs, claim.securityGroups);
  if (claim.tenant !== undefined) needs.cluster([], `"tenant"`, "tenant");
  if (claim.qos !== undefined || claim.allowedAddresses !== undefined) manages(needs, claim.network);
}
