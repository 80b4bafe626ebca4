// What tenants may have of a network at most: addresses reserved for them, and their endpoints, together. A write that
// takes more is refused; a limit that is put below what is used takes nothing away.
import { Fault } from "../../../model/fault.ts";
import type { Quota } from "../../../model/quota.ts";
import type { Network } from "../../../model/resource.ts";
import { type View, get } from "../../state/view.ts";

/** Quotas of a put: each tenant once, in the order of their names. */
export function quotasOf(wanted: readonly Quota[]): Quota[] {
  for (const [i, { tenant }] of wanted.entries()) {
    const where = `spec.quotas[${i}].tenant`;
    checkTenant(tenant, where);
    if (wanted.findIndex((other) => other.tenant === tenant) === i) continue;
    throw new Fault("name-taken", {
      what: `tenant "${tenant}" has two quotas`,
      where,
      fix: "give each tenant one",
    });
  }
  return wanted.toSorted((a, b) => (a.tenant < b.tenant ? -1 : 1));
}

/** Names of tenants come from elsewhere, and may be whatever people there write in a line. */
export function checkTenant(tenant: string, where: string): string {
  if (/^[^\s\p{C}](?:[^\p{C}]{0,251}[^\s\p{C}])?$/u.test(tenant)) return tenant;
  throw new Fault("name-invalid", {
    what: `"${tenant.slice(0, 80)}" cannot be the name of a tenant`,
    where,
    why: "a name has 1 to 253 characters, without control characters or space at its ends",
    fix: "choose another name",
  });
}

/** How many leases a tenant has of a network; none for nobody. */
export function leasesOfTenant(view: View, network: string, tenant: string | undefined): number {
  return view.networks.get(network)?.tenants.get(tenant ?? "") ?? 0;
}

/** Call after the change, with what the tenant had before it. Who has too much already may still give back. */
export function checkQuota(view: View, { name }: Network, tenant: string | undefined, before: number): void {
  if (tenant === undefined) return;
  const limit = get(view, "network", name)?.spec.quotas?.find((quota) => quota.tenant === tenant)?.leases;
  const now = leasesOfTenant(view, name, tenant);
  if (limit === undefined || now <= limit || now <= before) return;
  throw new Fault("quota-exceeded", {
    what: `tenant "${tenant}" cannot have ${now - before} more of network "${name}"`,
    where: "tenant",
    why: `the quota is ${limit}, and ${before} ${before === 1 ? "is" : "are"} used`,
    fix: `detach something or return a reservation, or raise the quota (weft network quota ${name} ${tenant}=${now})`,
  });
}
