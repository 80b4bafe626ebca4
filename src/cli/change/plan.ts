// `weft plan`: what a file would do to which host's kernel, and who would lose packets. The server says which
// resources would change; the rest is arithmetic on values, done here with the same functions that the agents use.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import type { Op } from "../../datapath/state/state.ts";
import type { Change, Snapshot } from "../../model/resource.ts";
import { writableText } from "../../model/kinds.ts";
import type { Cli } from "../context.ts";
import { changeLinesOf, changesText, type ChangeLine } from "../output/changes.ts";
import { connect } from "../input/connect.ts";
import { checkPruned, itemsOf, readText } from "../input/resourceFile.ts";
import { checkKnown } from "../input/names.ts";
import { count, paint, type Io } from "../io.ts";
import { reading, requiredOption, type ReadOptions, type Texts } from "../input/options.ts";
import { byName, printOne } from "../output/format.ts";
import { EXIT_CHANGES, EXIT_OK } from "../output/error.ts";

type PlanOptions = ReadOptions & Texts<"pruneVrf" | "host" | "netnsPrefix"> & { readonly file: string };

/** One host's part of a plan. */
type HostPlan = {
  readonly host: string;
  readonly ops: readonly Op[];
  readonly lines: readonly string[];
  readonly endpointsHit: readonly string[];
};
type Plan = {
  readonly revision: number;
  readonly changes: readonly ChangeLine[];
  readonly hosts: readonly HostPlan[];
};

export function register(command: Command, cli: Cli): void {
  requiredOption(command, "-f, --file <file>", `YAML or JSON with ${writableText()}; - for stdin`)
    .option("--prune-vrf <name>", "also delete networks of this VRF that are not in the file")
    .option("--host <name>", "only this host")
    .option("--netns-prefix <text>", "as the host's agent has it, for lines that can be pasted there (weft-)");
  reading(command)
    .addHelpText("after", `\nIt changes nothing. Exit codes: ${EXIT_OK}: nothing to change; ${EXIT_CHANGES}: changes.`)
    .action(cli.verb(plan));
}

async function plan(cli: Cli, options: PlanOptions): Promise<number> {
  const { io } = cli;
  const { file, host, pruneVrf } = options;
  const resources = await itemsOf(await readText(io, file), file);
  const server = await connect(io, options);
  const before = await server.snapshot();
  checkKnown({ host }, before);
  checkPruned(pruneVrf, resources, before);
  const { changes } = await server.apply({ resources, dryRun: true, ...defined({ pruneVrf }) });
  const whole = await planOf(before, changes, options);
  // The lines say what the operations are.
  const value = { ...whole, hosts: whole.hosts.map(({ ops: _, ...shown }) => shown) };
  await printOne(io, options, { name: `revision/${before.revision}`, value }, () => planText(io, whole));
  if (whole.changes.length > 0) return EXIT_CHANGES;
  io.err("nothing would change\n");
  return EXIT_OK;
}

async function planOf(before: Snapshot, changes: readonly Change[], { host, netnsPrefix }: PlanOptions): Promise<Plan> {
  const [{ compile }, { diff }, { printOps }, { endpointsHit }, { applyChanges }] = await Promise.all([
    import("../../datapath/compile.ts"),
    import("../../datapath/state/diff.ts"),
    import("../../datapath/state/print.ts"),
    import("../../datapath/state/impact.ts"),
    import("../../client/mirror.ts"),
  ]);
  const after = applyChanges(before, { revision: before.revision + 1, changes });
  const hosts = byName(before.hosts)
    .filter(({ name }) => host === undefined || name === host)
    .map(({ name }): HostPlan => {
      const ops = diff(compile(before, name), compile(after, name));
      return { host: name, ops, lines: printOps(ops, netnsPrefix), endpointsHit: endpointsHit(ops, before, name) };
    });
  return { revision: before.revision, changes: changeLinesOf(changes, before), hosts };
}

function planText(io: Pick<Io, "color">, { changes, hosts }: Plan): string {
  const parts = hosts
    .filter(({ ops }) => ops.length > 0)
    .map((host) => {
      const title = `${host.host}: ${count(host.ops.length, "operation")}, ${lossText(host.endpointsHit)}`;
      return `\n${paint(io, "bold", title)}\n${host.lines.map((line) => `  ${line}\n`).join("")}`;
    });
  const untouched = hosts.filter(({ ops }) => ops.length === 0).map(({ host }) => host);
  const rest = untouched.length === 0 || changes.length === 0 ? "" : `\nNothing to do on ${untouched.join(", ")}.\n`;
  return changesText(io, changes, true) + parts.join("") + rest;
}

function lossText(hit: readonly string[]): string {
  return hit.length === 0
    ? "no endpoint loses packets"
    : `${count(hit.length, "endpoint")} would lose packets: ${hit.join(", ")}`;
}
