// `weft host list` and `show`: machines with an agent, what they hold, and how they are.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import { formatDuration } from "../../model/duration.ts";
import { labelsText } from "../../model/labels.ts";
import { lackingText } from "../../model/lacking.ts";
import type { Host, HostSpec, Snapshot } from "../../model/resource.ts";
import type { ClusterStatus, HostCondition } from "../../model/status.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { register as registerLife } from "./lifecycle.ts";
import { register as registerPreflight } from "./preflight.ts";
import { listing, reading, type ListOptions, type ReadOptions } from "../input/options.ts";
import { byName, fields, printList, printOne, type Column } from "../output/format.ts";
import { pathsTable } from "./paths.ts";
import { physicalFields, registerSet } from "./set.ts";
import { registerTokens } from "./token.ts";
import { stateCell } from "../change/status.ts";
import { type Cell, table } from "../output/table.ts";

export function register(noun: Command, cli: Cli): void {
  listing(noun.command("list").alias("ls").description("List hosts.")).action(cli.verb(listHosts));
  const show = noun
    .command("show <name>")
    .description("Show a host: its state, blocks, tunnel addresses and paths to other hosts.");
  reading(show).action(cli.verb(showHost));
  registerSet(noun, cli);
  registerPreflight(noun, cli);
  registerLife(noun, cli);
  registerTokens(noun, cli);
}

/** A host as the CLI shows it: what it is, and how it is. One that was reclaimed is no resource any more. */
type Row = Pick<Host, "kind" | "name"> & { readonly spec: Pick<HostSpec, "underlay"> & Partial<HostSpec> } & Pick<
    HostCondition,
    "state" | "sinceMs" | "status"
  >;

function rowOf(host: Omit<Row, "state">, status: ClusterStatus): Row {
  const { state = "expected", sinceMs, status: report } = status.hosts.find((one) => one.host === host.name) ?? {};
  return { ...host, state, ...defined({ sinceMs, status: report }) };
}

function reclaimedRows(hosts: readonly Host[], status: ClusterStatus): Row[] {
  const known = new Set(hosts.map((host) => host.name));
  return status.hosts
    .filter((one) => one.state === "reclaimed" && !known.has(one.host))
    .map(({ host, underlay }) => rowOf({ kind: "host", name: host, spec: { underlay } }, status));
}

function stateOf({ state, spec }: Row): Cell {
  const cell = stateCell(state);
  if (spec.drained !== true || typeof cell === "string") return cell;
  return { text: `${state}, drained`, tone: state === "ready" ? "warn" : cell.tone };
}

/** How long ago, by this machine's clock. */
function ago(cli: Cli, ms: number | undefined): string {
  return ms === undefined ? "" : formatDuration(cli.io.clock.nowMs() - ms);
}

const columnsOf = (cli: Cli): readonly Column<Row>[] => [
  { header: "NAME", of: (h) => h.name },
  { header: "STATE", of: stateOf },
  { header: "SINCE", of: (h) => ago(cli, h.sinceMs) },
  { header: "LAST-REPORT", of: (h) => ago(cli, h.status?.reportedAtMs) },
  { header: "UNDERLAY", of: (h) => h.spec.underlay },
  { header: "MTU", of: (h) => String(h.spec.underlayMtu ?? "") },
  { header: "REVISION", of: (h) => String(h.status?.revision ?? "") },
  { header: "SLICES", of: (h) => h.spec.slices?.join(",") ?? "all", wide: true },
  { header: "OBJECTS", of: (h) => String(h.status?.objects ?? ""), wide: true },
  { header: "VERSION", of: (h) => h.status?.version ?? "", wide: true },
  { header: "LABELS", of: (h) => labelsText(h.spec.labels), wide: true },
];

async function listHosts(cli: Cli, options: ListOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const { selector } = options;
  const [hosts, status] = await Promise.all([server.list("host", selector), server.status()]);
  const empty = "No hosts. Start an agent on one: weft agent --server URL --join-token-file FILE";
  // One that was reclaimed has no labels any more.
  const gone = selector === undefined ? reclaimedRows(hosts, status) : [];
  const rows = byName([...hosts.map((host) => rowOf(host, status)), ...gone]);
  await printList(cli.io, options, { columns: columnsOf(cli), name: (h) => `host/${h.name}`, empty }, rows);
}

async function showHost(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [host, status, snapshot] = await Promise.all([server.get("host", name), server.status(), server.snapshot()]);
  const row = rowOf(host, status);
  await printOne(cli.io, options, { name: `host/${name}`, value: row }, () => {
    const { spec } = host;
    const report = row.status;
    const head = fields(cli.io, [
      ["Name", name],
      ["State", stateOf(row)],
      ["Since", row.sinceMs === undefined ? undefined : `${ago(cli, row.sinceMs)} ago`],
      ["Last report", report === undefined ? "none" : `${ago(cli, report.reportedAtMs)} ago`],
      [
        "Underlay",
        `${spec.underlay}, MTU ${spec.underlayMtu}${spec.underlayDevice ? `, on ${spec.underlayDevice}` : ""}`,
      ],
      ["Labels", labelsText(spec.labels) || undefined],
      ["Slices", spec.slices?.join(", ") ?? "all"],
      ["Limits", spec.shaping?.join(", ") || "none: its kernel cannot limit traffic"],
      ["Features", spec.features === undefined ? undefined : spec.features.join(", ") || "none"],
      ["Lacks", spec.lacks?.map((feature) => lackingText([feature])).join("; ") || undefined],
      ...physicalFields(host),
      ["Agent", report?.version],
      ["Revision", report && `${report.revision} of ${status.revision}`],
      ["Objects", report && `${report.objects} in the kernel, ${report.driftRepaired} repaired`],
      ["Endpoints", String(snapshot.endpoints.filter((e) => e.spec.host === name).length)],
      ["Errors", report?.errors.join("; ")],
      ["Conditions", report?.conditions.join("; ")],
    ]);
    return head + holdingsText(cli, name, snapshot) + pathsTable(cli.io, row);
  });
}

function holdingsText(cli: Cli, host: string, snapshot: Snapshot): string {
  const of = <T extends { readonly name: string; readonly spec: { readonly host: string } }>(list: readonly T[]) =>
    byName(list.filter(({ spec }) => spec.host === host));
  const blocks = of(snapshot.blocks).map(({ spec }) => [spec.network, spec.cidr]);
  const vteps = of(snapshot.vteps).map(({ spec: { vrf, ip = "", ip6 = "", mac } }) => [vrf, ip, ip6, mac]);
  return [
    blocks.length === 0 ? "" : `\n${table(cli.io, ["NETWORK", "BLOCK"], blocks)}`,
    vteps.length === 0 ? "" : `\n${table(cli.io, ["VRF", "VTEP", "VTEP6", "VTEP-MAC"], vteps)}`,
  ].join("");
}
