// `weft import dcos`: a DC/OS config.yaml becomes a VRF and its networks, in one atomic step. Importing a changed
// file changes what is there, which DC/OS itself needs a reinstallation for.
import type { Command } from "commander";
import type { Cli } from "./cli.ts";
import { toldOf, toldText, type Told } from "./changes.ts";
import { connect } from "./connect.ts";
import { readText } from "./file.ts";
import { printing, remote, waiting, wholeNumber, type ReadOptions, type WriteOptions } from "./options.ts";
import { printOne } from "./output.ts";
import { confirm } from "./refuse.ts";
import { waitFor } from "./wait.ts";

type ImportOptions = ReadOptions &
  WriteOptions & { readonly dryRun?: boolean; readonly tunnelPort?: string; readonly yes?: boolean };

export function register(noun: Command, cli: Cli): void {
  const dcos = noun
    .command("dcos")
    .argument("<file>", "DC/OS's config.yaml; - is stdin")
    .description("Make the virtual networks of a DC/OS configuration.")
    .option("--dry-run", "only say what it would do")
    .option("--tunnel-port <port>", "UDP port of the tunnel (4789 by default; DC/OS itself uses 64000)")
    .option("-y, --yes", "do not ask before networks are deleted");
  waiting(printing(remote(dcos))).action(
    cli.verb((file: string, options: ImportOptions) => importDcos(cli, file, options)),
  );
}

async function importDcos(cli: Cli, file: string, options: ImportOptions): Promise<void> {
  const { io } = cli;
  const [{ parseDcosConfig }, { applyOf }] = await Promise.all([
    import("../ancestors/dcos/config.ts"),
    import("../ancestors/dcos/resources.ts"),
  ]);
  const config = parseDcosConfig(await readText(io, file), file);
  for (const note of config.notes) io.err(`note: ${note}\n`);
  const tunnelPort = wholeNumber(options.tunnelPort, "--tunnel-port");
  const wanted = applyOf(config, tunnelPort === undefined ? {} : { tunnelPort });
  const server = await connect(io, options);
  const before = await server.snapshot();
  const planned = toldOf((await server.apply({ ...wanted, dryRun: true })).changes, before);
  if (options.dryRun !== true) await confirmLosses(cli, planned, options);
  const outcome = options.dryRun === true || planned.length === 0 ? undefined : await server.apply(wanted);
  if (outcome !== undefined) await waitFor(io, options.wait, outcome.revision, () => server.status());
  await printOne(
    io,
    options,
    { revision: outcome?.revision ?? before.revision, changes: planned },
    `revision/${outcome?.revision ?? before.revision}`,
    () => toldText(io, planned),
  );
  if (planned.length === 0) io.err(`nothing to change: everything is as ${file} says\n`);
  else
    io.err(
      outcome === undefined ? "only a dry run: nothing was changed\n" : `imported at revision ${outcome.revision}\n`,
    );
}

async function confirmLosses(cli: Cli, planned: readonly Told[], options: ImportOptions): Promise<void> {
  const gone = planned
    .filter(({ verb, key }) => verb === "deleted" && key.startsWith("network/"))
    .map(({ key }) => key);
  if (gone.length > 0)
    await confirm(
      cli.io,
      "this import",
      gone.map((key) => `${key}: the file no longer has it`),
      options.yes,
    );
}
