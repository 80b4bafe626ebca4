// `weft plan`: what a file would do to which host's kernel, and who would lose packets. The server says which
// resources would change; the rest is arithmetic on values, done here with the same functions that the agents use.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import type { Op } from "../../datapath/state/state.ts";
import { ANEW_MS, conversionText, phaseAfter, phasesOf } from "../../model/conversion.ts";
import type { Phase } from "../../model/kinds/conversion.ts";
import { type Change, type Snapshot, listIn } from "../../model/resource.ts";
import { writableText } from "../../model/kinds.ts";
import type { Cli } from "../context.ts";
import { changeLinesOf, changesText, type ChangeLine } from "../output/changes.ts";
import { connect } from "../input/connect.ts";
import { inFile } from "../input/places.ts";
import { checkPruned, itemsOf, readText } from "../input/resourceFile.ts";
import { checkKnown } from "../input/names.ts";
import { count, paint, type Io } from "../io.ts";
import { reading, requiredOption, type ReadOptions, type Texts } from "../input/options.ts";
import { byName, printOne } from "../output/format.ts";
import { EXIT_CHANGES, EXIT_OK } from "../output/error.ts";

type PlanOptions = ReadOptions & Texts<"pruneVrf" | "host" | "netnsPrefix"> & { readonly file: string };

/** Of which host alone, and how its agent calls namespaces. */
type PlanOf = Texts<"host" | "netnsPrefix">;

/** One host's part of a plan. */
type HostPlan = {
  readonly host: string;
  readonly ops: readonly Op[];
  readonly lines: readonly string[];
  readonly endpointsHit: readonly string[];
  /** For about how long, of those that lose packets only until something is made anew. */
  readonly lossMs?: number;
};
/** A conversion that would begin: the operations are those of its first phase, the losses those of all. */
type Begun = { readonly name: string; readonly change: string; readonly phases: readonly Phase[] };
type Plan = {
  readonly revision: number;
  readonly changes: readonly ChangeLine[];
  readonly conversions: readonly Begun[];
  readonly hosts: readonly HostPlan[];
};

export function register(command: Command, cli: Cli): void {
  requiredOption(command, "-f, --file <file>", `YAML or JSON with ${writableText()}; - for stdin`)
    .option("--prune-vrf <name>", "also delete networks of this VRF that are not in the file")
    .option("--host <name>", "only this host")
    .option("--netns-prefix <text>", "as the host's agent has it, for lines that can be pasted there (weft-)");
  reading(command)
    .addHelpText(
      "after",
      "\nIt changes nothing. nft tables are a line each; -o wide shows them whole. " +
        `Exit codes: ${EXIT_OK}: nothing to change; ${EXIT_CHANGES}: changes.`,
    )
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
  const { changes } = await inFile(resources, server.apply({ resources, dryRun: true, ...defined({ pruneVrf }) }));
  const whole = await planOf(before, changes, options);
  // The lines say what the operations are.
  const value = { ...whole, hosts: whole.hosts.map(({ ops: _, ...shown }) => shown) };
  await printOne(io, options, { name: `revision/${before.revision}`, value }, () =>
    planText(io, whole, options.output === "wide"),
  );
  if (whole.changes.length > 0) return EXIT_CHANGES;
  io.err("nothing would change\n");
  return EXIT_OK;
}

/** What the changes come to on each host, in all phases of the conversions that they begin. */
export async function planOf(
  before: Snapshot,
  changes: readonly Change[],
  { host, netnsPrefix }: PlanOf,
): Promise<Plan> {
  const [{ compile }, { diff }, { printOps }, { lossesBy }, { applyChanges }] = await Promise.all([
    import("../../datapath/compile.ts"),
    import("../../datapath/state/diff.ts"),
    import("../../datapath/state/print.ts"),
    import("../../datapath/state/impact.ts"),
    import("../../client/mirror.ts"),
  ]);
  const after = applyChanges(before, { revision: before.revision + 1, changes });
  const phases = [after, ...laterPhases(after)];
  const hosts = byName(before.hosts)
    .filter(({ name }) => host === undefined || name === host)
    .map(({ name }): HostPlan => {
      let from = { snapshot: before, state: compile(before, name) };
      const steps = phases.map((snapshot) => {
        const state = compile(snapshot, name);
        const ops = diff(from.state, state);
        const losses = lossesBy(ops, from.snapshot, name, from.state);
        from = { snapshot, state };
        return { ops, losses };
      });
      const losses = new Map(steps.flatMap((step) => [...step.losses]));
      const isShort = losses.size > 0 && [...losses.values()].every((loss) => loss === "anew");
      const { ops } = steps[0] ?? { ops: [] };
      const endpointsHit = [...losses.keys()].sort();
      return {
        host: name,
        ops,
        lines: printOps(ops, netnsPrefix),
        endpointsHit,
        ...(isShort ? { lossMs: ANEW_MS } : {}),
      };
    });
  return { revision: before.revision, changes: changeLinesOf(changes, before), conversions: begunBy(changes), hosts };
}

/** The snapshot in each phase that conversions have still before them, and at their end. */
function laterPhases(snapshot: Snapshot): Snapshot[] {
  const conversions = listIn(snapshot, "conversion");
  if (conversions.length === 0) return [];
  const next = conversions.flatMap((conversion) => {
    const phase = phaseAfter(conversion.spec);
    return phase === undefined ? [] : [{ ...conversion, spec: { ...conversion.spec, phase } }];
  });
  const later = { ...snapshot, conversions: next };
  return [later, ...laterPhases(later)];
}

function begunBy(changes: readonly Change[]): Begun[] {
  return changes.flatMap((change) => {
    if (!("put" in change) || change.put.kind !== "conversion") return [];
    const { name, spec } = change.put;
    return [{ name, change: conversionText(spec), phases: phasesOf(spec) }];
  });
}

/** `isWide`: with the text of nft tables. */
export function planText(io: Pick<Io, "color">, { changes, conversions, hosts }: Plan, isWide = false): string {
  const parts = hosts
    .filter(({ ops }) => ops.length > 0)
    .map((host) => {
      const title = `${host.host}: ${count(host.ops.length, "operation")}, ${lossText(host)}`;
      const lines = isWide ? host.lines : folded(host.lines);
      return `\n${paint(io, "bold", title)}\n${lines.map((line) => `  ${line}\n`).join("")}`;
    });
  const untouched = hosts.filter(({ ops }) => ops.length === 0).map(({ host }) => host);
  const rest = untouched.length === 0 || changes.length === 0 ? "" : `\nNothing to do on ${untouched.join(", ")}.\n`;
  const begun = conversions.map(({ name, change, phases }) => {
    const only = phases.length > 1 ? "; the operations are those of the first phase" : "";
    return `  conversion ${name}: ${change}; hosts go through ${phases.join(", ")}${only}\n`;
  });
  return changesText(io, changes, true) + begun.join("") + parts.join("") + rest;
}

const TABLES = "nft -f - <<< '";

/** A transaction of whole nft tables as one line: it has some hundred. */
function folded(lines: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] ?? "";
    const at = line.indexOf(TABLES);
    if (at < 0) kept.push(line);
    else {
      const end = lines.findIndex((each, j) => j >= i && each.endsWith("'"));
      const whole = lines.slice(i, end + 1);
      const tables = whole.flatMap((each) => /(?:^|')(table \w+ \w+) \{$/.exec(each)?.[1] ?? []).join(", ");
      kept.push(`${line.slice(0, at)}nft … (${tables}, ${count(whole.length, "line")}; -o wide shows them)`);
      i = end;
    }
  }
  return kept;
}

function lossText({ endpointsHit: hit, lossMs }: HostPlan): string {
  if (hit.length === 0) return "no endpoint loses packets";
  const time = lossMs === undefined ? "" : ` for about ${lossMs} ms`;
  return `${count(hit.length, "endpoint")} would lose packets${time}: ${hit.join(", ")}`;
}
