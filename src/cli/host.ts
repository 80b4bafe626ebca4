// `weft host`: machines with an agent, what they hold, and how they are.
import type { Command } from "commander";
import { Fault } from "../model/fault.ts";
import type { Host, Snapshot } from "../model/resource.ts";
import type { ClusterStatus, HostCondition } from "../model/status.ts";
import type { Cli } from "./cli.ts";
import { connect } from "./connect.ts";
import { count } from "./io.ts";
import { printing, remote, sure, waiting, type ReadOptions, type SureOptions, type WriteOptions } from "./options.ts";
import { byName, fields, printList, printOne, type Column } from "./output.ts";
import { confirm } from "./refuse.ts";
import { stateCell } from "./status.ts";
import { table } from "./table.ts";
import { waitFor } from "./wait.ts";

export function register(noun: Command, cli: Cli): void {
  const list = noun.command("list").alias("ls").description("List hosts.");
  printing(remote(list)).action(cli.verb((options: ReadOptions) => listHosts(cli, options)));

  const show = noun
    .command("show")
    .argument("<name>")
    .description("One host: its blocks, tunnel endpoints and condition.");
  printing(remote(show)).action(cli.verb((name: string, options: ReadOptions) => showHost(cli, name, options)));

  const remove = noun
    .command("delete")
    .alias("rm")
    .argument("<name>")
    .description("Forget a host that is gone for good: its blocks and addresses become free.");
  waiting(remote(sure(remove, "also if it has endpoints"))).action(
    cli.verb((name: string, options: WriteOptions & SureOptions) => deleteHost(cli, name, options)),
  );
}

/** A host as the CLI shows it: what it is, and how it is. */
type Row = Host & { readonly state: HostCondition["state"]; readonly status?: HostCondition["status"] };

function rowOf(host: Host, status: ClusterStatus): Row {
  const condition = status.hosts.find((one) => one.host === host.name);
  return {
    ...host,
    state: condition?.state ?? "expected",
    ...(condition?.status === undefined ? {} : { status: condition.status }),
  };
}

const COLUMNS: readonly Column<Row>[] = [
  { header: "NAME", of: (h) => h.name },
  { header: "STATE", of: (h) => stateCell(h.state) },
  { header: "UNDERLAY", of: (h) => h.spec.underlay },
  { header: "MTU", of: (h) => String(h.spec.underlayMtu) },
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
    { columns: COLUMNS, name: (h) => `host/${h.name}`, empty },
    byName(hosts.map((host) => rowOf(host, status))),
  );
}

async function showHost(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [host, status, snapshot] = await Promise.all([server.get("host", name), server.status(), server.snapshot()]);
  const row = rowOf(host, status);
  await printOne(
    cli.io,
    options,
    row,
    `host/${name}`,
    () =>
      fields(cli.io, [
        ["Name", name],
        ["State", stateCell(row.state)],
        ["Underlay", `${host.spec.underlay}, MTU ${host.spec.underlayMtu}`],
        ["Slices", host.spec.slices?.join(", ") ?? "all"],
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
      ]) + holdingsText(cli, name, snapshot),
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

async function deleteHost(cli: Cli, name: string, options: WriteOptions & SureOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [status, endpoints] = await Promise.all([server.status(), server.list("endpoint")]);
  const own = endpoints.filter((endpoint) => endpoint.spec.host === name);
  if (status.hosts.some((host) => host.host === name && host.state === "ready") && options.force !== true) {
    throw new Fault("in-use", {
      what: `host ${name} is ready: its agent would join again`,
      where: `host/${name}`,
      fix: "stop its agent first, or use --force",
    });
  }
  if (own.length > 0 && options.force === true)
    await confirm(
      cli.io,
      `deleting host ${name} by force`,
      own.map((e) => `endpoint ${e.name} (${e.spec.addresses.join(", ")})`),
      options.yes,
    );
  const { revision } = await server.remove("host", name, { force: options.force === true });
  await waitFor(cli.io, options.wait, revision, () => server.status());
  const along = own.length === 0 ? "" : `, with ${count(own.length, "endpoint")}`;
  cli.io.err(`host ${name} deleted at revision ${revision}${along}\n`);
}
