// `weft pool`: where networks get ids and subnets from. Pools are made by `weft apply` and `weft import apcera`.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import { DRIVERS, DRIVER_NAMES } from "../../model/driver.ts";
import type { Network, Pool } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import type { ServerClient } from "../input/connect.ts";
import { type Texts, withServer, wordOf, type WriteOptions } from "../input/options.ts";
import { fields, type Column } from "../output/format.ts";
import { edit, noChange, registerDelete, registerList, registerShow } from "../resource/verbs.ts";
import { table } from "../output/table.ts";
import { IPAM_MODES, subnetsText } from "./draft.ts";

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "pool", {
    about: "List pools.",
    columns: COLUMNS,
    empty: "No pools. Make one: weft import apcera FILE, or weft apply -f FILE",
  });
  registerShow(noun, cli, "pool", {
    about: "Show a pool: its rules, and which networks have its ids.",
    text: poolText,
  });
  const change = noun
    .command("edit <name>")
    .description("Change the address mode or driver of new networks; existing ones stay as they are.")
    .option("--ipam <mode>", "local or global")
    .option("--driver <name>", `how frames cross between hosts: ${DRIVER_NAMES.join(" or ")}`);
  withServer(change).action(cli.verb(editPool));
  registerDelete(noun, cli, "pool", {
    about: "Delete pools.",
    force: "even if networks have its ids; they keep their subnets",
    losses: async (server, name) =>
      (await networksOf(server, name)).map(
        ({ name: network, spec }) =>
          `network ${network} loses ${spec.pool?.id === undefined ? "its pool" : `its id ${spec.pool.id}`}`,
      ),
  });
}

const COLUMNS: readonly Column<Pool>[] = [
  { header: "NAME", of: (p) => p.name },
  { header: "IDS", of: ({ spec: { ids } }) => (ids === undefined ? "" : `${ids.first}-${ids.last}`) },
  { header: "IPAM", of: (p) => p.spec.ipam },
  { header: "GLOBAL", of: (p) => subnetsText(p.spec.globalSubnets) },
  { header: "LOCAL", of: (p) => subnetsText(p.spec.localSubnets) },
  { header: "SPACES", of: spacesOf },
  { header: "RESERVED", of: (p) => p.spec.reserved.join(", ") },
  { header: "OVERFLOW", of: overflowOf, wide: true },
];

function spacesOf({ spec: { spaces = [] } }: Pool): string {
  return spaces.map(({ cidr, prefix }) => `${cidr} in /${prefix}s`).join(", ");
}

function overflowOf({ spec: { overflow } }: Pool): string {
  if (overflow === undefined) return "";
  const blocks = overflow.hostPrefix === undefined ? "" : `, in /${overflow.hostPrefix}s if local`;
  return `${overflow.cidr} in /${overflow.prefix}s${blocks}`;
}

async function poolText({ io }: Cli, pool: Pool, server: ServerClient): Promise<string> {
  const networks = (await networksOf(server, pool.name)).toSorted((a, b) => idOf(a) - idOf(b));
  const { ids, reuse, vnis } = pool.spec;
  const head = fields(io, [
    ["Name", pool.name],
    ["Description", pool.spec.description],
    ["Ids", ids && `${ids.first} to ${ids.last}`],
    ["Spaces", spacesOf(pool)],
    ["Same subnets", reuse === true ? "again in each VRF" : undefined],
    ["VNIs", vnis && `${vnis.first} to ${vnis.last}`],
    ["New networks", newText(pool)],
    ["Global", subnetsText(pool.spec.globalSubnets)],
    ["Local", subnetsText(pool.spec.localSubnets)],
    ["Reserved", pool.spec.reserved.join(", ")],
    ["Overflow", overflowOf(pool)],
    ["Revision", String(pool.revision)],
  ]);
  const rows = networks.map((n) => [
    n.spec.pool?.id?.toString() ?? "",
    n.name,
    n.spec.ipam,
    subnetsText(n.spec.subnets),
  ]);
  return rows.length === 0 ? head : `${head}\n${table(io, ["ID", "NETWORK", "IPAM", "SUBNETS"], rows)}`;
}

/** What new networks are that do not say it. */
function newText({ spec }: Pool): string {
  return `${spec.ipam}, ${DRIVERS[spec.driver].title}`;
}

async function networksOf(server: ServerClient, pool: string): Promise<Network[]> {
  return (await server.list("network")).filter(({ spec }) => spec.pool?.name === pool);
}

function idOf(network: Network): number {
  return network.spec.pool?.id ?? 0;
}

async function editPool(cli: Cli, name: string, options: WriteOptions & Texts<"ipam" | "driver">): Promise<void> {
  const changed = defined({
    ipam: wordOf(options.ipam, "--ipam", "an address mode", IPAM_MODES),
    driver: wordOf(options.driver, "--driver", "a driver", DRIVER_NAMES),
  });
  if (Object.keys(changed).length === 0) throw noChange("pool");
  await edit(cli, options, {
    kind: "pool",
    name,
    change: ({ spec }) => ({ ...spec, ...changed }),
    done: (pool) => `pool ${name}: new networks are ${newText(pool)}; those that are there stay as they are\n`,
  });
}
