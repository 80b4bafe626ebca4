// `weft host preflight`: what passes between hosts, tried with packets as tunnels send them, before or after networks
// are there.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import { packetsText } from "../../model/driver.ts";
import type { PreflightReport, Way } from "../../model/preflight.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { reading, repeated, type ReadOptions } from "../input/options.ts";
import { count, paint, type Io } from "../io.ts";
import { printList, printValue, type Column } from "../output/format.ts";

type PreflightOptions = ReadOptions & { readonly network?: string; readonly host?: readonly string[] };

const EXIT_PROBLEMS = 1;
const QUIET_MS = 300;

export function register(noun: Command, cli: Cli): void {
  const verb = noun
    .command("preflight")
    .description("Try between every two hosts what their tunnels need: reachable, port open, largest packet.")
    .option("--network <name>", "only hosts that carry this network, by its tunnel")
    .option("--host <name>", "only these hosts; repeatable", repeated)
    .addHelpText("after", `\nExit status: 0 if whole packets pass everywhere; ${EXIT_PROBLEMS} if not.`);
  reading(verb).action(cli.verb(runPreflight));
}

const WORDS: Readonly<Record<Way["state"], string>> = {
  passes: "passes",
  small: "only small packets",
  "one-way": "no answer",
  blocked: "blocked",
  dead: "unreachable",
  untried: "not tried",
};

const COLUMNS: readonly Column<Way>[] = [
  { header: "FROM", of: ({ from }) => from },
  { header: "TO", of: ({ to }) => to },
  { header: "PACKETS", of: ({ channel: { driver, port } }) => packetsText(driver, port) },
  { header: "STATE", of: ({ state }) => ({ text: WORDS[state], tone: toneOf(state) }) },
  { header: "LARGEST", of: ({ size }) => (size === 0 ? "" : String(size)) },
];

function toneOf(state: Way["state"]): "good" | "warn" | "bad" {
  if (state === "passes") return "good";
  return state === "small" || state === "untried" ? "warn" : "bad";
}

async function runPreflight(cli: Cli, options: PreflightOptions): Promise<number> {
  const { io } = cli;
  const server = await connect(io, options);
  const { network, host: hosts, output } = options;
  const answered = new AbortController();
  if (output === undefined) sayLater(io, answered.signal);
  const report = await server.preflight(defined({ network, hosts })).finally(() => answered.abort());
  if (output === "json" || output === "yaml") await printValue(io, output, report);
  else await printWays(io, options, report);
  for (const problem of report.problems) io.err(`${paint(io, "bad", "problem:")} ${problem}\n`);
  const passing = report.ways.filter(({ state }) => state === "passes").length;
  io.err(`whole packets pass on ${passing} of ${count(report.ways.length, "way")} between ${hostsText(report)}\n`);
  return passing === report.ways.length && report.problems.length === 0 ? 0 : EXIT_PROBLEMS;
}

/** Not before a refusal, which comes at once. */
function sayLater(io: Io, answered: AbortSignal): void {
  void io.clock.sleep(QUIET_MS, answered).then(() => {
    if (!answered.aborted) io.err("trying: this takes some seconds ...\n");
  });
}

function hostsText({ hosts }: PreflightReport): string {
  return count(hosts.length, "host");
}

async function printWays(io: Io, options: PreflightOptions, { ways }: PreflightReport): Promise<void> {
  const name = ({ from, to, channel: { driver, port } }: Way) => `way/${from}/${to}/${packetsText(driver, port)}`;
  await printList(io, options, { columns: COLUMNS, name, empty: "No ways to try." }, ways);
}
