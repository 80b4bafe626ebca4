// `weft host list` and `show`: machines with an agent, what they hold, and how they are.
import type { Command } from "commander";
import { formatDuration } from "../../model/duration.ts";
import type { Host, HostSpec, Snapshot } from "../../model/resource.ts";
import type { ClusterStatus, HostCondition } from "../../model/status.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { register as registerHistory } from "./history.ts";
import { register as registerLife } from "./lifecycle.ts";
import { withOutput, withServer, type ReadOptions } from "../input/options.ts";
import { byName, fields, printList, printOne, type Column } from "../output/format.ts";
import { pathsTable } from "./paths.ts";
import { stateCell } from "../change/status.ts";
import { type Cell, table } from "../output/table.ts";

export function register(noun: Command, cli: Cli): void {
  const list = noun.command("list").alias("ls").description("List hosts.");
  withOutput(withServer(list)).action(cli.verb((options: ReadOptions) => listHosts(cli, options)));

  const show = noun
    .command("show")
    .argument("<name>")
    .description("Show a host: its state, blocks, tunnel addresses and paths to other hosts.");
  withOutput(withServer(show)).action(cli.verb((name: string, options: ReadOptions) => showHost(cli, name, options)));
  registerLife(noun, cli);
  registerHistory(noun, cli);
}

/** A host as the CLI shows it: what it is, and how it is. One that was reclaimed is no resource any more. */
type Row = Pick<Host, "kind" | "name"> & { readonly spec: Pick<HostSpec, "underlay"> & Partial<HostSpec> } & Pick<
    HostCondition,
    "state" | "sinceMs" | "status"
  >;

function rowOf(host: Omit<Row, "state">, status: ClusterStatus): Row {
  const condition = status.hosts.find((one) => one.host === host.name);
  const { state = "expected", sinceMs, status: report } = condition ?? {};
  return {
    ...host,
    state,
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(report === undefined ? {} : { status: report }),
  };
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
];

async function listHosts(cli: Cli, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [hosts, status] = await Promise.all([server.list("host"), server.status()]);
  const empty = "No hosts. Start an agent on one: weft agent --server URL --join-token-file FILE";
  await printList(
    cli.io,
    options,
    { columns: columnsOf(cli), name: (h) => `host/${h.name}`, empty },
    byName([...hosts.map((host) => rowOf(host, status)), ...reclaimedRows(hosts, status)]),
  );
}

async function showHost(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [host, status, snapshot] = await Promise.all([server.get("host", name), server.status(), server.snapshot()]);
  const row = rowOf(host, status);
  await printOne(
    cli.io,
    options,
    { name: `host/${name}`, value: row },
    () =>
      fields(cli.io, [
        ["Name", name],
        ["State", stateOf(row)],
        ["Since", row.sinceMs === undefined ? undefined : `${ago(cli, row.sinceMs)} ago`],
        ["Last report", row.status === undefined ? "none" : `${ago(cli, row.status.reportedAtMs)} ago`],
        ["Underlay", `${host.spec.underlay}, MTU ${host.spec.underlayMtu}`],
        ["Slices", host.spec.slices?.join(", ") ?? "all"],
        ["Limits", host.spec.shaping?.join(", ") || "none: its kernel cannot limit traffic"],
        ["Agent", row.status?.version],
        ["Revision", row.status === undefined ? undefined : `${row.status.revision} of ${status.revision}`],
        [
          "Objects",
          row.status === undefined
            ? undefined
            : `${row.status.objects} in the kernel, ${row.status.driftRepaired} repaired`,
        ],
        ["Endpoints", String(snapshot.endpoints.filter((e) => e.spec.host === name).length)],
        ["Errors", row.status?.errors.join("; ")],
        ["Conditions", row.status?.conditions.join("; ")],
      ]) +
      holdingsText(cli, name, snapshot) +
      pathsTable(cli.io, row),
  );
}

function holdingsText(cli: Cli, host: string, snapshot: Snapshot): string {
  const blocks = byName(snapshot.blocks.filter((block) => block.spec.host === host)).map((block) => [
    block.spec.network,
    block.spec.cidr,
  ]);
  const vteps = byName(snapshot.vteps.filter((vtep) => vtep.spec.host === host)).map((v) => [
    v.spec.vrf,
    v.spec.ip ?? "",
    v.spec.ip6 ?? "",
    v.spec.mac,
  ]);
  return [
    blocks.length === 0 ? "" : `\n${table(cli.io, ["NETWORK", "BLOCK"], blocks)}`,
    vteps.length === 0 ? "" : `\n${table(cli.io, ["VRF", "VTEP", "VTEP6", "VTEP-MAC"], vteps)}`,
  ].join("");
}
