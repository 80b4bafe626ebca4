// What came of security groups: which rules count for an endpoint and where each comes from, which endpoints have the
// newest rules in their host's kernel, and how to make hosts load them again.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import { DEFAULT_GROUP, DEFAULT_GROUP_SPEC, PRIORITY_DEFAULT, type Rule, groupsOf } from "../../model/group.ts";
import type { Endpoint, Network, SecurityGroup, Snapshot } from "../../model/resource.ts";
import type { ClusterStatus } from "../../model/status.ts";
import type { Cli } from "../context.ts";
import { connect, type ServerClient } from "../input/connect.ts";
import { ruleText } from "./rule.ts";
import { count, type Tone } from "../io.ts";
import { reading, writing, type ReadOptions, type WriteOptions } from "../input/options.ts";
import { printList, type Column } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { waitFor } from "../change/wait.ts";

type EffectiveRule = {
  readonly rule: Rule;
  readonly group: string;
  /** Its number in weft sg show. */
  readonly number: number;
  /** `network/blue`, `endpoint/web.eth0`, or both. */
  readonly from: string;
};
type HostProgress = {
  readonly host: string;
  readonly upToDate: readonly string[];
  readonly pending: readonly string[];
  readonly failed: readonly string[];
};

export function registerStatus(noun: Command, cli: Cli): void {
  const effective = noun
    .command("effective")
    .argument("<endpoint>", "like web1.eth0, or web1")
    .description("List all rules of an endpoint in the order they are checked, and where each comes from.");
  reading(effective).action(cli.verb(showEffective));
  const status = noun
    .command("status")
    .argument("[name]", "count only endpoints with this group")
    .description("Show for each host how many endpoints have their rules in the kernel, wait for them, or failed.");
  reading(status).action(cli.verb(showStatus));
  const commit = noun
    .command("commit <name>")
    .description("Make hosts load a security group again, even if they have it.")
    .option("--failed", "only hosts where it failed or is pending");
  writing(commit).action(cli.verb(commitGroup));
}

type CommitOptions = WriteOptions & { readonly failed?: boolean };

const RULE_COLUMNS: readonly Column<EffectiveRule>[] = [
  { header: "PRIORITY", of: ({ rule }) => String(rule.priority ?? PRIORITY_DEFAULT) },
  { header: "RULE", of: ({ rule }) => ruleText(withoutPriority(rule)) },
  { header: "GROUP", of: ({ group, number }) => `${group}[${number}]` },
  { header: "FROM", of: ({ from }) => from },
];

function withoutPriority({ priority: _, ...rule }: Rule): Rule {
  return rule;
}

async function showEffective(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [snapshot, groups] = await Promise.all([snapshotOf(server), server.list("securitygroup")]);
  const endpoint = snapshot.endpoints.find((one) => one.name === name || one.spec.owner === name);
  if (endpoint === undefined)
    throw new Fault("endpoint-unknown", { what: `there is no endpoint "${name}"`, fix: "see weft endpoint list" });
  const network = snapshot.networks.find((one) => one.name === endpoint.spec.network);
  const rules = effectiveRules(endpoint, network, groups);
  const named = groupsOf(network?.spec, endpoint.spec);
  const empty =
    named.length === 0
      ? `${endpoint.name} has no groups: nothing is filtered.`
      : `${named.join(", ")} has no rules: everything is dropped.`;
  const listing = { columns: RULE_COLUMNS, name: ({ group, number }: EffectiveRule) => `${group}[${number}]`, empty };
  await printList(cli.io, options, listing, rules);
  cli.io.err(overridden(rules));
}

/** With each reservation's endpoints as those of the network that it is of. */
async function snapshotOf(server: ServerClient): Promise<Snapshot> {
  const { withoutReservations } = await import("../../datapath/world/reservations.ts");
  return withoutReservations(await server.snapshot());
}

/** In the order they are asked: by priority, deny before allow. */
export function effectiveRules(
  endpoint: Endpoint,
  network: Network | undefined,
  groups: readonly SecurityGroup[],
): EffectiveRule[] {
  const specs = new Map(groups.map((group) => [group.name, group.spec]));
  const range = network?.spec.ranges?.find(({ name }) => name === endpoint.spec.range);
  const rules = groupsOf(network?.spec, endpoint.spec).flatMap((group): EffectiveRule[] => {
    const from = [
      ...(network?.spec.securityGroups?.includes(group) === true ? [`network/${network.name}`] : []),
      ...(range?.securityGroups?.includes(group) === true ? [`range/${range.name}`] : []),
      ...(endpoint.spec.securityGroups?.includes(group) === true ? [`endpoint/${endpoint.name}`] : []),
    ].join(", ");
    const spec = specs.get(group) ?? (group === DEFAULT_GROUP ? DEFAULT_GROUP_SPEC : { rules: [] });
    return spec.rules.map((rule, number) => ({ rule, group, number, from }));
  });
  const rank = ({ rule }: EffectiveRule) => (rule.priority ?? PRIORITY_DEFAULT) * 2 + (rule.action === "deny" ? 0 : 1);
  return rules.toSorted((a, b) => rank(a) - rank(b));
}

/** A rule that allows everything makes every other allow of its direction, of its priority or behind it, idle. */
function overridden(rules: readonly EffectiveRule[]): string {
  const isWide = ({ rule }: EffectiveRule) =>
    rule.action === "allow" && rule.protocol === "all" && rule.peer === undefined;
  const wide = rules.filter(isWide);
  const idle = rules.filter(
    (one) =>
      !isWide(one) && one.rule.action === "allow" && wide.some(({ rule }) => rule.direction === one.rule.direction),
  );
  if (idle.length === 0) return "";
  const by = [...new Set(wide.map(({ group }) => group))].join(", ");
  return `note: ${by} allows everything, so ${count(idle.length, "other rule")} that allow make no difference\n`;
}

const HOST_COLUMNS: readonly Column<HostProgress>[] = [
  { header: "HOST", of: ({ host }) => host },
  { header: "UP-TO-DATE", of: ({ upToDate }) => String(upToDate.length) },
  { header: "PENDING", of: ({ pending }) => someOf(pending, "warn") },
  { header: "FAILED", of: ({ failed }) => someOf(failed, "bad") },
];

/** How many there are, and the first three. */
function someOf(names: readonly string[], tone: Tone): Cell {
  if (names.length === 0) return "0";
  return { text: `${names.length}: ${names.slice(0, 3).join(", ")}${names.length > 3 ? " …" : ""}`, tone };
}

async function showStatus(cli: Cli, name: string | undefined, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  if (name !== undefined) await server.get("securitygroup", name);
  const [snapshot, status] = await Promise.all([snapshotOf(server), server.status()]);
  const listing = { columns: HOST_COLUMNS, name: ({ host }: HostProgress) => host, empty: "No endpoint has a group." };
  await printList(cli.io, options, listing, progressOf(snapshot, status, name));
}

/** Hosts with endpoints that have the group, or any; by what their agents reported. */
export function progressOf(snapshot: Snapshot, status: ClusterStatus, name: string | undefined): HostProgress[] {
  const networks = new Map(snapshot.networks.map((network) => [network.name, network]));
  const groups = new Map(snapshot.securityGroups.map((group) => [group.name, group]));
  const rows = new Map<string, { upToDate: string[]; pending: string[]; failed: string[] }>();
  for (const endpoint of snapshot.endpoints) {
    const network = networks.get(endpoint.spec.network);
    const own = groupsOf(network?.spec, endpoint.spec);
    if (own.length === 0 || (name !== undefined && !own.includes(name))) continue;
    const row = rows.get(endpoint.spec.host) ?? { upToDate: [], pending: [], failed: [] };
    rows.set(endpoint.spec.host, row);
    const wanted = Math.max(network?.revision ?? 0, ...own.map((group) => groups.get(group)?.revision ?? 0));
    const report = status.hosts.find(({ host }) => host === endpoint.spec.host)?.status;
    if (report?.policyFailed?.includes(endpoint.name) === true) row.failed.push(endpoint.name);
    else if ((report?.policyRevision ?? 0) >= wanted) row.upToDate.push(endpoint.name);
    else row.pending.push(endpoint.name);
  }
  return [...rows].map(([host, row]) => ({ host, ...row })).sort((a, b) => (a.host < b.host ? -1 : 1));
}

async function commitGroup(cli: Cli, name: string, options: CommitOptions): Promise<void> {
  const server = await connect(cli.io, options);
  let hosts: readonly string[] | undefined;
  if (options.failed === true) {
    const [snapshot, status] = await Promise.all([snapshotOf(server), server.status()]);
    hosts = progressOf(snapshot, status, name)
      .filter(({ pending, failed }) => pending.length + failed.length > 0)
      .map(({ host }) => host);
    if (hosts.length === 0) return cli.io.err(`security group ${name} is up to date everywhere; nothing to do\n`);
  }
  const group = await server.commitGroup(name, hosts);
  await waitFor(cli.io, options.wait, group.revision, server);
  const where = hosts === undefined ? "every host loads" : `${hosts.join(", ")} load${hosts.length === 1 ? "s" : ""}`;
  cli.io.err(`security group ${name}: ${where} it again at revision ${group.revision}\n`);
}
