// `weft network select`: which network an attach to `auto` would get, and why it would pass over the others.
import { type Command, Option } from "commander";
import { defined } from "../../model/defined.ts";
import { type Policy, POLICIES, type Selected, checkSelection } from "../../model/selection.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { reading, type ReadOptions, type Texts } from "../input/options.ts";
import { type Column, printList, printOne } from "../output/format.ts";

export type SelectionFlags = Texts<"requires" | "rank"> & { readonly policy?: Policy };

/** For verbs that may leave the choice of a network to the server. */
export function selectionFlags(command: Command): Command {
  return command
    .option("--requires <expression>", "what the network has to be, like 'zone = \"a*\" & FREE_LEASES > 10'")
    .option("--rank <expression>", "arithmetic over fields, like 'FREE_LEASES - 2 * USED_LEASES'; the greatest is best")
    .addOption(
      new Option(
        "--policy <name>",
        "which of several: most free leases (striping), fewest, rank, label priority",
      ).choices(POLICIES),
    );
}

export function registerSelect(noun: Command, cli: Cli): void {
  const select = noun
    .command("select")
    .description("Show which network an attach to network auto would get, and why not the others.")
    .option("--host <name>", "where the endpoint is to be")
    .addHelpText(
      "after",
      `
Examples:
  weft network select --requires 'zone = a & !(NAME = "*test*")' --host h1
  weft network select --policy packing`,
    );
  reading(selectionFlags(select)).action(cli.verb(selectNetworks));
}

type Row = Selected["networks"][number] | Selected["passedOver"][number];

const COLUMNS: readonly Column<Row & { readonly place: string }>[] = [
  { header: "PLACE", of: (row) => row.place },
  { header: "NETWORK", of: (row) => row.network },
  { header: "FREE", of: (row) => ("free" in row ? String(row.free) : "-") },
  { header: "SCORE", of: (row) => ("score" in row ? String(row.score) : "-") },
  { header: "WHY NOT", of: (row) => ("why" in row ? row.why : "-") },
];

async function selectNetworks(cli: Cli, options: ReadOptions & SelectionFlags & Texts<"host">): Promise<void> {
  const { requires, rank, policy, host } = options;
  const asked = defined({ requires, rank, policy });
  checkSelection(asked, "--");
  const server = await connect(cli.io, options);
  const selected = await server.select({ ...asked, ...defined({ host }) });
  if (options.output === "json" || options.output === "yaml")
    return printOne(cli.io, options, { name: "", value: selected }, () => "");
  const rows = [
    ...selected.networks.map((network, i) => ({ ...network, place: String(i + 1) })),
    ...selected.passedOver.map((network) => ({ ...network, place: "-" })),
  ];
  const empty = "No networks. Create one: weft network create NAME --subnet CIDR";
  await printList(cli.io, options, { columns: COLUMNS, name: (row) => `network/${row.network}`, empty }, rows);
}
