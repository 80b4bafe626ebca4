// `weft pool`: where networks get ids and subnets from. Pools are made by `weft apply` and `weft import apcera`.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import type { Network, Pool, Subnet } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { isSame, sameText } from "../output/changes.ts";
import { connect } from "../input/connect.ts";
import { requiredOption, withOutput, withServer, type ReadOptions, type WriteOptions } from "../input/options.ts";
import { fields, printOne, type Column } from "../output/format.ts";
import { registerDelete, registerList } from "../resource/verbs.ts";
import { table } from "../output/table.ts";

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "pool", {
    about: "List pools.",
    columns: COLUMNS,
    empty: "No pools. Make one: weft import apcera FILE, or weft apply -f FILE",
  });
  const show = noun
    .command("show")
    .argument("<name>")
    .description("Show a pool: its rules, and which networks have its ids.");
  withOutput(withServer(show)).action(cli.verb((name: string, options: ReadOptions) => showPool(cli, name, options)));
  const edit = noun
    .command("edit")
    .argument("<name>")
    .description("Change the address mode of new networks; existing ones stay as they are.");
  withServer(requiredOption(edit, "--ipam <mode>", "local or global")).action(
    cli.verb((name: string, options: WriteOptions & { readonly ipam: string }) => editPool(cli, name, options)),
  );
  registerDelete(noun, cli, "pool", {
    about: "Delete pools.",
    force: "even if networks have its ids; they keep their subnets",
    losses: async (server, name) =>
      (await server.list("network"))
        .filter(({ spec }) => spec.pool?.name === name)
        .map((network) => `network ${network.name} loses its id ${idOf(network)}`),
  });
}

const COLUMNS: readonly Column<Pool>[] = [
  { header: "NAME", of: (p) => p.name },
  { header: "IDS", of: (p) => `${p.spec.ids.first}-${p.spec.ids.last}` },
  { header: "IPAM", of: (p) => p.spec.ipam },
  { header: "GLOBAL", of: (p) => textOf(p.spec.globalSubnets) },
  { header: "LOCAL", of: (p) => textOf(p.spec.localSubnets) },
  { header: "RESERVED", of: (p) => p.spec.reserved.join(", ") },
  { header: "OVERFLOW", of: overflowOf, wide: true },
];

function textOf(subnets: readonly Subnet[] | undefined): string {
  return (subnets ?? [])
    .map(({ cidr, hostPrefix }) => (hostPrefix === undefined ? cidr : `${cidr} in /${hostPrefix}s`))
    .join(", ");
}

function overflowOf({ spec: { overflow } }: Pool): string {
  if (overflow === undefined) return "";
  const blocks = overflow.hostPrefix === undefined ? "" : `, in /${overflow.hostPrefix}s if local`;
  return `${overflow.cidr} in /${overflow.prefix}s${blocks}`;
}

async function showPool(cli: Cli, name: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const [pool, all] = await Promise.all([server.get("pool", name), server.list("network")]);
  const networks = all.filter(({ spec }) => spec.pool?.name === name).toSorted((a, b) => idOf(a) - idOf(b));
  await printOne(cli.io, options, { name: `pool/${name}`, value: pool }, () => {
    const head = fields(cli.io, [
      ["Name", name],
      ["Description", pool.spec.description],
      ["Ids", `${pool.spec.ids.first} to ${pool.spec.ids.last}`],
      ["New networks", pool.spec.ipam],
      ["Global", textOf(pool.spec.globalSubnets)],
      ["Local", textOf(pool.spec.localSubnets)],
      ["Reserved", pool.spec.reserved.join(", ")],
      ["Overflow", overflowOf(pool)],
      ["Revision", String(pool.revision)],
    ]);
    const rows = networks.map((n) => [String(idOf(n)), n.name, n.spec.ipam, textOf(n.spec.subnets)]);
    return rows.length === 0 ? head : `${head}\n${table(cli.io, ["ID", "NETWORK", "IPAM", "SUBNETS"], rows)}`;
  });
}

function idOf(network: Network): number {
  return network.spec.pool?.id ?? 0;
}

async function editPool(cli: Cli, name: string, options: WriteOptions & { readonly ipam: string }): Promise<void> {
  const { ipam } = options;
  if (ipam !== "local" && ipam !== "global")
    throw new Fault("request-invalid", {
      what: `"${ipam}" is not an address mode`,
      where: "--ipam",
      fix: "choose local or global",
    });
  const server = await connect(cli.io, options);
  const before = await server.get("pool", name);
  const after = await server.put("pool", name, { ...before.spec, ipam }, { ifRevision: before.revision });
  if (isSame(before, after)) return cli.io.err(sameText(`pool ${name}`, after));
  cli.io.err(`pool ${name}: new networks are ${after.spec.ipam}; those that are there stay as they are\n`);
}
