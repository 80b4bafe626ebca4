// Quotas of users and groups: a commit in which one of them comes to own more than its quota is refused, whatever kind
// of write made it. What is owned already stays.
import { Fault } from "../../model/fault.ts";
import { type Quantity, amountText, amountsOf, limitsOf, subjectsOf } from "../../model/owning.ts";
import { type OwnedQuota, USER_QUOTA } from "../../model/quota.ts";
import type { Change, Resource } from "../../model/resource.ts";
import { count } from "../state/networkIndex.ts";
import { type View, get, getKey } from "../state/view.ts";
import type { Viewer, Write } from "../write.ts";
import { findIn, listingOf } from "../state/listing.ts";

/** What a host says about a local network is a fact: it is counted, and refused to nobody. */
export function isFact(view: View, write: Write): boolean {
  if (write.verb !== "attach" || write.by.role !== "host") return false;
  return get(view, "network", write.claim.network)?.spec.ipam === "local";
}

/** Call with the view as it was before the changes. */
export function checkQuotas(view: View, changes: readonly Change[]): void {
  const quotas = quotasIn(view, changes);
  // An attach makes nothing of what users have limits without a quota.
  if (quotas.size === 0 && !changes.some((change) => "put" in change && isShared(change.put))) return;
  const growth = new Map<string, Map<Quantity, number>>();
  const add = (resource: Resource | undefined, sign: 1 | -1) => {
    if (resource?.access === undefined) return;
    for (const subject of subjectsOf(resource)) {
      if (!quotas.has(subject) && !subject.startsWith("user/")) continue;
      const sums = growth.get(subject) ?? new Map<Quantity, number>();
      growth.set(subject, sums);
      for (const [quantity, amount] of amountsOf(resource)) count(sums, quantity, sign * amount);
    }
  };
  for (const change of changes) {
    add("put" in change ? getKey(view, `${change.put.kind}/${change.put.name}`) : getKey(view, change.remove), -1);
    if ("put" in change) add(change.put, 1);
  }
  for (const [subject, sums] of growth) check(view, subject, quotas.get(subject) ?? {}, sums);
}

function isShared({ kind, access }: Resource): boolean {
  return access?.owner !== undefined && kind !== "endpoint";
}

/** Those that are there, and as the changes make them. */
function quotasIn(view: View, changes: readonly Change[]): ReadonlyMap<string, OwnedQuota> {
  const given = changes.flatMap((change): (readonly [string, OwnedQuota | undefined])[] => {
    if (!("put" in change)) return [];
    const { put } = change;
    return put.kind === "user" || put.kind === "usergroup" ? [[`${put.kind}/${put.name}`, put.spec.quota]] : [];
  });
  if (given.length === 0) return view.quotas;
  const quotas = new Map(view.quotas);
  for (const [subject, quota] of given) {
    if (quota === undefined) quotas.delete(subject);
    else quotas.set(subject, quota);
  }
  return quotas;
}

function check(view: View, subject: string, quota: OwnedQuota, growth: ReadonlyMap<Quantity, number>): void {
  const limits = limitsOf(subject.startsWith("user/") ? { ...USER_QUOTA, ...quota } : quota);
  for (const [quantity, more] of growth) {
    const limit = limits.get(quantity);
    const used = view.owned.get(subject)?.get(quantity) ?? 0;
    if (limit !== undefined && more > 0 && used + more > limit)
      throw exceeded(subject, quantity, { used, more, limit });
  }
}

type Sums = { readonly used: number; readonly more: number; readonly limit: number };

function exceeded(subject: string, quantity: Quantity, { used, more, limit }: Sums): Fault {
  const [kind = "", name = ""] = subject.split("/");
  const who = `${kind === "user" ? "user" : "group"} "${name}"`;
  const noun = kind === "user" ? "user" : "group";
  if (quantity === "unlimited")
    return new Fault("quota-exceeded", {
      what: `${who} cannot have an endpoint without limits of its own`,
      where: `${subject}: quota.bandwidth`,
      why: "its bandwidth has a quota, and is counted by these limits",
      fix: "give it both: weft attach --inbound avg=RATE --outbound avg=RATE",
    });
  const flag =
    quantity === "securityGroups"
      ? "security-groups"
      : quantity.startsWith("leases in ")
        ? "leases-in"
        : quantity.endsWith("bound")
          ? "bandwidth"
          : quantity;
  return new Fault("quota-exceeded", {
    what: `${who} cannot own ${amountText(quantity, more)} more`,
    where: `${subject}: quota`,
    why: `it owns ${amountText(quantity, used)}, and may own ${amountText(quantity, limit)}`,
    fix: `delete something of its own, or ask an administrator to raise it: weft quota set ${noun} ${name} --${flag} …`,
  });
}

/** What users and groups that the viewer sees own, and may own, by networks that it sees; not of who has neither. */
export function quotasFor(view: View, viewer: Viewer) {
  return (["user", "usergroup"] as const).flatMap((kind) =>
    listingOf(view, kind, viewer, {}).items.flatMap(({ name, spec }) => {
      const owned = view.owned.get(`${kind}/${name}`);
      if (owned === undefined && spec.quota === undefined) return [];
      const used = usedOf(owned ?? new Map<Quantity, number>());
      const leasesIn = used.leasesIn.filter(({ network }) => findIn(view, "network", network, viewer) !== undefined);
      return [{ kind, name, quota: spec.quota ?? {}, used: { ...used, leasesIn } }];
    }),
  );
}

function usedOf(owned: ReadonlyMap<Quantity, number>) {
  const sum = (quantity: Quantity) => owned.get(quantity) ?? 0;
  const leasesIn = [...owned].flatMap(([quantity, leases]) =>
    quantity.startsWith("leases in ") ? [{ network: quantity.slice("leases in ".length), leases }] : [],
  );
  return {
    networks: sum("networks"),
    reservations: sum("reservations"),
    vrfs: sum("vrfs"),
    securityGroups: sum("securityGroups"),
    templates: sum("templates"),
    endpoints: sum("endpoints"),
    leases: sum("leases"),
    leasesIn: leasesIn.sort((a, b) => (a.network < b.network ? -1 : 1)),
    inbound: sum("inbound"),
    outbound: sum("outbound"),
  };
}
