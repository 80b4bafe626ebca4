// `weft apply`: writes the resources of a file, of every kind that users put, all of them or none.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import { writableText } from "../../model/kinds.ts";
import type { Cli } from "../context.ts";
import { changeLinesOf, changesText } from "../output/changes.ts";
import { connect } from "../input/connect.ts";
import { inFile } from "../input/places.ts";
import { checkPruned, itemsOf, readText } from "../input/resourceFile.ts";
import { reading, requiredOption, withWait, type ReadOptions, type WriteOptions } from "../input/options.ts";
import { printOne } from "../output/format.ts";
import { followChanges } from "../network/conversion.ts";
import { waitFor } from "./wait.ts";

type ApplyOptions = ReadOptions &
  WriteOptions & { readonly file: string; readonly dryRun?: boolean; readonly pruneVrf?: string };

export function register(command: Command, cli: Cli): void {
  requiredOption(command, "-f, --file <file>", `YAML or JSON with ${writableText()}; - for stdin`)
    .option("--dry-run", "only show what would change")
    .option(
      "--prune-vrf <name>",
      "delete networks of this VRF that are not in the file; refused if they have endpoints",
    );
  withWait(reading(command)).action(cli.verb(apply));
}

async function apply(cli: Cli, options: ApplyOptions): Promise<void> {
  const { io } = cli;
  const { file, pruneVrf, dryRun = false } = options;
  const resources = await itemsOf(await readText(io, file), file);
  const server = await connect(io, options);
  const before = await server.snapshot();
  checkPruned(pruneVrf, resources, before);
  const outcome = await inFile(resources, server.apply({ resources, dryRun, ...defined({ pruneVrf }) }));
  if (!dryRun) await waitFor(io, options.wait, outcome.revision, server);
  const told = changeLinesOf(outcome.changes, before);
  await printOne(io, options, { name: `revision/${outcome.revision}`, value: outcome }, () =>
    changesText(io, told, dryRun),
  );
  if (told.length === 0) io.err("nothing to change\n");
  else io.err(dryRun ? "only a dry run: nothing was changed\n" : `applied at revision ${outcome.revision}\n`);
  if (!dryRun) await followChanges(cli, options, outcome.changes);
}
