// Takes reports of hosts, and makes the status of them.
import { Fault } from "../../model/fault.ts";
import type { ClusterStatus, HostReport } from "../../model/status.ts";
import { conversionConditions } from "../hosts/conversions.ts";
import { prefixSecret } from "../hosts/prefixes.ts";
import type { Parts } from "../parts.ts";
import { type Condition, conditionsOf, undelivered } from "./conditions.ts";

export type ControlStatus = ClusterStatus & { readonly conditions: readonly Condition[] };

export async function takeReport(parts: Parts, report: HostReport, issuer?: string): Promise<void> {
  const { committer, boots, lifecycle, prefixes, meter } = parts;
  await committer.settled();
  const { view, replayLog } = committer;
  if (!view.host.has(report.host)) {
    throw new Fault("host-unknown", { what: `there is no host "${report.host}"`, where: "host", fix: "join first" });
  }
  boots.checkReport(report, view.host.get(report.host)?.spec.underlay ?? "");
  const lagMs = lifecycle.reports.receive(report, view, replayLog);
  if (lagMs !== undefined) meter.converged(lagMs / 1000);
  const { host, hostPrefixes } = report;
  const secrets = [
    ...(prefixes.set(host, hostPrefixes) ? [prefixSecret(host, hostPrefixes)] : []),
    ...(issuer === undefined ? [] : (parts.authority?.heard(host, issuer) ?? [])),
  ];
  if (secrets.length === 0) return;
  try {
    await committer.submit({ about: undefined, secrets: () => secrets });
  } catch (error) {
    prefixes.unkept(host);
    throw error;
  }
}

export async function statusOf({
  committer,
  lifecycle,
  prefixes,
  boots,
  histories,
  authority,
}: Parts): Promise<ControlStatus> {
  await committer.settled();
  const { status, losses } = lifecycle.status(committer);
  const { view } = committer;
  const conditions = [
    ...conditionsOf(view, prefixes.byHost),
    ...undelivered(view, status.groups ?? []),
    ...conversionConditions(view, lifecycle.reports),
    ...(authority?.conditions(view.host.keys()) ?? []),
  ];
  return { ...status, conditions: [...conditions, ...losses, ...boots.conditions(), ...histories.conditions()] };
}
