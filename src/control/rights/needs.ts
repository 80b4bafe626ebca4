// What a caller needs for one write: asked one need after the other, each of which throws the Fault of its refusal.
// Locks hold for everybody; rights are asked of users.
import { ALL_KINDS, recordOf } from "../../model/kinds.ts";
import type { AclKind, Right } from "../../model/rights.ts";
import {
  type AclRule,
  type Key,
  type Kind,
  type Resource,
  type ResourceOf,
  keyOfResource,
} from "../../model/resource.ts";
import { membersOf } from "../../model/cluster.ts";
import { lets } from "../../model/narrowing.ts";
import type { Principal } from "../state/principal.ts";
import { clustersIn } from "../state/audience.ts";
import { builtIn } from "../state/builtIn.ts";
import { type View, get, listOf } from "../state/view.ts";
import { type Changed, changedFields } from "./fields.ts";
import * as refusal from "./refusal.ts";
import { clusterRights, hasRight, isAble } from "./rights.ts";
import { isSeenBy, sightOf } from "./sight.ts";

/** Kinds that a user changes only as far as its rights to each go; of others, those to their network decide. */
const JUDGED: ReadonlySet<Kind> = new Set([
  ...ALL_KINDS.filter((kind) => recordOf(kind).owned === true),
  "host",
  "user",
  "usergroup",
  "aclrule",
  "hostcluster",
] as const);

type Said = Pick<Resource, "kind" | "spec">;
/** What becomes of what; without a target it is new, and `before` is what its template says of it. */
type Step = { readonly now: Said; readonly before: Said | undefined; readonly target: Resource | undefined };

export class Needs {
  readonly view: View;
  /** Undefined: an administrator. */
  readonly principal: Principal | undefined;
  /** What the write names and was asked for. */
  readonly #named = new Set<Key>();
  readonly #made = new Set<Kind>();
  /** Named ones of which the server chooses what changes. */
  readonly #chosen = new Set<Key>();

  constructor(view: View, principal: Principal | undefined) {
    this.view = view;
    this.principal = principal;
  }

  get user(): string {
    return this.principal?.user ?? "";
  }

  find(kind: Kind, name: string): Resource | undefined {
    return get(this.view, kind, name) ?? builtIn(kind, name);
  }

  /** The right to a resource, if it is there; that it is not, admission says. */
  right(right: Right, kind: Kind, name: string | undefined): void {
    const resource = name === undefined ? undefined : this.find(kind, name);
    if (resource === undefined) return;
    this.#named.add(keyOfResource(resource));
    this.rightTo(right, resource);
  }

  rightTo(right: Right, resource: Resource, field?: string): void {
    const { principal } = this;
    if (principal !== undefined && !hasRight(principal, right, resource)) {
      if (!this.isKnown(resource)) throw new refusal.Unseen(resource);
      throw refusal.rightMissing(principal.user, right, resource, field);
    }
    if (isLocked(resource, right)) throw refusal.lockedFault(resource);
  }

  /** What the write names, if it is there: who does not see it asks as if it were not. */
  sees(kind: Kind, name: string | undefined): void {
    const resource = name === undefined ? undefined : this.find(kind, name);
    if (resource !== undefined && !this.isKnown(resource)) throw new refusal.Unseen(resource);
  }

  isKnown(resource: Resource): boolean {
    const { principal } = this;
    if (principal === undefined || (resource.kind === "host" && this.#decidesAbout(resource))) return true;
    return isSeenBy(sightOf(this.view, principal), resource) || isAble(principal, resource);
  }

  /** Who has admin of a cluster of hosts may name its hosts. */
  #decidesAbout(host: ResourceOf<"host">): boolean {
    const { principal } = this;
    if (principal === undefined || clusterRights(principal, "admin", [])) return true;
    return listOf(this.view, "hostcluster").some(
      ({ name, spec }) => clusterRights(principal, "admin", [name]) && membersOf(spec, [host]).length > 0,
    );
  }

  /** Whoever is in a group of the user's may be named, too. */
  knows(user: string | undefined): void {
    const { group = "", groups = [] } = get(this.view, "user", user ?? "")?.spec ?? {};
    if (![group, ...groups].some((each) => this.principal?.groups.has(each) === true)) this.sees("user", user);
  }

  /** Whether the user has the right to one of these, or is an administrator. */
  either(right: Right, resources: readonly (Resource | undefined)[]): boolean {
    const { principal } = this;
    if (principal === undefined) return true;
    return resources.some((each) => each !== undefined && hasRight(principal, right, each));
  }

  /** To make a resource that is not there. */
  create(kind: Kind, name: string, clusters: readonly string[] = []): void {
    this.sees(kind, name);
    this.#named.add(`${kind}/${name}`);
    const { principal } = this;
    if (principal === undefined) return;
    const passes = lets(principal.narrowing, "create", kind === "network" ? name : undefined);
    if (kind === "securitygroup" && passes) return;
    const isGiven = creating(principal, kind).some(
      ({ all, usergroup }) => all === true || usergroup === principal.group,
    );
    const isInside = clusters.length > 0 && clusters.every((each) => this.createsIn(kind, each));
    if (!passes || (!isGiven && !isInside)) throw refusal.createMissing(principal.user, kind, name);
  }

  /** Whether a rule lets the user make what is for this cluster of hosts; it may then say so. */
  createsIn(kind: Kind, cluster: string): boolean {
    const { principal } = this;
    return principal === undefined || creating(principal, kind).some(({ hostcluster }) => hostcluster === cluster);
  }

  /** What the verb makes for whoever may use what it is made of. Without a name: all that it makes of the kind. */
  makes(kind: Kind, name: string | undefined): void {
    this.sees(kind, name);
    if (name === undefined) this.#made.add(kind);
    else this.#named.add(`${kind}/${name}`);
  }

  /** Of this one the server chooses what changes: the right to the verb is enough. */
  chooses(kind: Kind, name: string): void {
    this.#chosen.add(`${kind}/${name}`);
  }

  /** A network whose maker needs no right create; a narrowed token does. Without a name: whatever it is called. */
  makesNetwork(name: string | undefined): void {
    this.sees("network", name);
    const { principal } = this;
    if (principal !== undefined && !lets(principal.narrowing, "create", name))
      throw refusal.createMissing(principal.user, "network", name ?? "*");
    this.makes("network", name);
  }

  /** Admin of these clusters of hosts; of all, if there are none. */
  cluster(clusters: readonly string[], what: string, where: string): void {
    const { principal } = this;
    if (principal === undefined) return;
    if (!clusterRights(principal, "admin", clusters)) throw refusal.clusterMissing(principal.user, what, where);
  }

  fields(changed: readonly Changed[], step: Step): void {
    for (const { field, level } of changed) {
      if (level === "cluster") this.#reaching(field, step);
      if (level === "restricted" && this.principal !== undefined && !clusterRights(this.principal, "admin", []))
        throw refusal.restricted(this.user, field);
      if (level === "admin" && step.target !== undefined) this.rightTo("admin", step.target, field);
    }
  }

  /** What goes from some clusters of hosts to others reaches all of them. */
  #reaching(field: string, { now, before, target }: Step): void {
    const had = before === undefined ? [] : clustersIn(before);
    // A new one could be on every host: with clusters it is on fewer. Which may be named, is asked by itself.
    if (field === "clusters" && target === undefined && had.length === 0) return;
    this.cluster(clustersIn(now), `"${field}"`, `spec.${field}`);
    if (before !== undefined && (target !== undefined || field === "clusters"))
      this.cluster(had, `"${field}"`, `spec.${field}`);
  }

  /** Users alone are refused. */
  never(what: string, who: string): void {
    if (this.principal !== undefined) throw refusal.notForUsers(this.principal.user, what, who);
  }

  /** What the write has come to, whether it was named or not. */
  touched(old: Resource | undefined, now: Resource | undefined): void {
    const resource = old ?? now;
    if (resource === undefined || !JUDGED.has(resource.kind)) return;
    const isNamed = this.#named.has(keyOfResource(resource));
    // It goes with what it names.
    if (resource.kind === "aclrule" && !isNamed) return;
    if (old === undefined) {
      // Of a selection it is known only now which network it is.
      if (resource.kind === "endpoint") return this.right("use", "network", resource.spec.network);
      // A VRF comes along with the network that has one of its own.
      if (!isNamed && !this.#made.has(resource.kind) && resource.kind !== "vrf" && this.principal !== undefined)
        throw refusal.createMissing(this.user, resource.kind, resource.name);
      return;
    }
    if (!isNamed) this.#also(old, now);
    else if (now !== undefined && !isWhole(old.kind) && !this.#chosen.has(keyOfResource(old)))
      this.fields(changedFields(old.kind, old.spec, now.spec), { now, before: old, target: old });
  }

  /** What was changed or removed although the write does not name it. */
  #also(old: Resource, now: Resource | undefined): void {
    if (old.kind === "endpoint") {
      const network = get(this.view, "network", old.spec.network);
      if (!this.isKnown(old)) throw refusal.beyondSight(this.user, old.kind);
      if (!this.either("manage", [old, network])) throw refusal.rightMissing(this.user, "manage", old);
      if (now === undefined && isLocked(old, "manage")) throw refusal.lockedFault(old);
      return;
    }
    // A VRF that was not put goes with its last network.
    if (old.kind !== "vrf" || now !== undefined) this.#alsoManages(old);
    else if (isLocked(old, "manage")) throw refusal.lockedFault(old);
  }

  #alsoManages(resource: Resource): void {
    if (!this.isKnown(resource)) throw refusal.beyondSight(this.user, resource.kind);
    this.rightTo("manage", resource);
  }
}

/** What the rules with create for the kind are about. */
function creating({ rules }: Principal, kind: Kind): readonly AclRule["spec"]["resource"][] {
  return rules.flatMap(({ rights, resource }) =>
    rights.includes("create") && resource.kinds.includes(kind as AclKind) ? [resource] : [],
  );
}

/** Of these no field is judged by itself: the verbs that change them ask for all that they need. */
function isWhole(kind: Kind): boolean {
  return kind === "endpoint" || kind === "host";
}

/** Whether its lock blocks the right. */
export function isLocked({ lock }: Resource, right: Right): boolean {
  if (lock === undefined) return false;
  if (lock === "use" || lock === "all") return true;
  return lock === "manage" ? right !== "use" : right === "admin";
}
