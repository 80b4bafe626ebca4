// How much of a network a tenant may have: its reservations and endpoints together. A write that exceeds the quota is
// refused; a quota below the current use takes nothing away.
import { Fault } from "../../../model/fault.ts";
import type { Network, Quota } from "../../../model/resource.ts";
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

/** Names of tenants come from other systems; any text of one line is valid. */
export function checkTenant(tenant: string, where: string): string {
  if (/^[^\s\p{C}](?:[^\p{C}]{0,251}[^\s\p{C}])?$/u.test(tenant)) return tenant;
  throw new Fault("name-invalid", {
    what: `"${tenant.slice(0, 80)}" cannot be the name of a tenant`,
    where,
    why: "a name has 1 to 253 characters, without control characters or space at its ends",
    fix: "choose another name",
  });
}

/** How many leases a tenant has of a network; 0 without a tenant. */
export function leasesOfTenant(view: View, network: string, tenant: string | undefined): number {
  return view.networks.get(network)?.tenants.get(tenant ?? "") ?? 0;
}

/** Call after the change, with what the tenant had before it. A tenant above its quota may still release. */
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
