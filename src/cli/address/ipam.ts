// `weft ipam`: the address space as a whole. `check` compares store, journals and kernels and says who says what, `map`
// draws.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import type { CheckReport, CheckRequest, Finding } from "../../model/check.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { registerHolds } from "./hold.ts";
import { count, paint, type Io, type Tone } from "../io.ts";
import { reading, type ReadOptions } from "../input/options.ts";
import { mapText } from "./map.ts";
import { type Column, printOne, printValue } from "../output/format.ts";
import { EXIT_FINDINGS, EXIT_OK, EXIT_UNCHECKED } from "../output/error.ts";
import { table, type Cell } from "../output/table.ts";

type CheckOptions = ReadOptions & CheckRequest;

export function register(noun: Command, cli: Cli): void {
  const check = noun
    .command("check")
    .description("Compare the addresses of the server, of each host's journal and of each host's kernel.")
    .option("--network <name>", "only findings in this network")
    .option("--host <name>", "check only this host")
    .option("--repair", "repair what can be repaired, then check again")
    .option("--evict", "with --repair: if two endpoints have one address, detach the later one")
    .addHelpText(
      "after",
      `
Without --repair it changes nothing. Exit codes: 0: no findings; ${EXIT_FINDINGS}: findings (with --repair: findings
that are left); ${EXIT_UNCHECKED}: no findings, but a host could not be checked.`,
    );
  reading(check).action(cli.verb(runCheck));
  const map = noun
    .command("map <network>")
    .description("Draw which addresses of a network are used, free, held or reserved.");
  reading(map).action(cli.verb(showMap));
  registerHolds(noun, cli);
}

async function showMap(cli: Cli, network: string, options: ReadOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const map = await server.spaceMap(network);
  await printOne(cli.io, options, { name: `network/${network}`, value: map }, () => mapText(cli.io, map));
}

async function runCheck(cli: Cli, options: CheckOptions): Promise<number> {
  const { io } = cli;
  const server = await connect(io, options);
  const { network, host, repair, evict } = options;
  const report = await server.check(defined({ network, host, repair, evict }));
  const format = options.output;
  if (format === "json" || format === "yaml") await printValue(io, format, report);
  else if (format === "name")
    io.out(report.findings.map((finding) => `${finding.rule}/${finding.endpoint}\n`).join(""));
  else io.out(findingsText(io, report, options));
  for (const line of summary(io, report)) io.err(`${line}\n`);
  return exitOf(report);
}

/** What is still there decides; a host that was not asked may hide anything. */
function exitOf(report: CheckReport): number {
  if ((report.left ?? report.findings.length) > 0) return EXIT_FINDINGS;
  return report.unchecked.length > 0 ? EXIT_UNCHECKED : EXIT_OK;
}

const TONES: Readonly<Record<Finding["kind"], Tone>> = {
  doubled: "bad",
  conflicting: "bad",
  leaked: "warn",
  orphaned: "warn",
};

const COLUMNS: readonly Column<Finding>[] = [
  { header: "KIND", of: ({ kind }) => ({ text: kind, tone: TONES[kind] }) },
  { header: "ADDRESS", of: ({ addresses }) => addresses.join(",") },
  { header: "NETWORK", of: ({ network, vrf }) => (network === "" ? `(vrf ${vrf})` : network) },
  { header: "HOST", of: ({ host }) => host },
  { header: "ENDPOINT", of: ({ endpoint }) => endpoint },
  { header: "WHY", of: ({ rule }) => rule },
];
const REPAIRED: Column<Finding> = {
  header: "REPAIR",
  of: ({ repair }) => (repair?.done === true ? { text: "done", tone: "good" } : { text: "not done", tone: "bad" }),
};

/** A row per finding; below, for each, who says what and what is to be done. */
function findingsText(io: Pick<Io, "color">, report: CheckReport, options: ReadOptions): string {
  const { findings } = report;
  if (findings.length === 0) return "";
  const columns = report.left === undefined ? COLUMNS : [...COLUMNS, REPAIRED];
  const headers = options.headers === false ? undefined : columns.map(({ header }) => header);
  const rows = findings.map((finding) => columns.map((column) => column.of(finding)));
  return table(io, headers, rows) + findings.map((finding) => `\n${detail(io, finding)}`).join("");
}

function detail(io: Pick<Io, "color">, finding: Finding): string {
  const { kind, rule, addresses, endpoint, evidence, remedy, repair, mendable } = finding;
  const about = [...addresses, endpoint].filter((text) => text !== "").join(" ");
  const head = `${paint(io, TONES[kind], kind)} ${about} (${rule})`;
  const lines = evidence.map(({ source, host, says }): Cell[] => [
    source === "server" ? "  server" : `  ${source} of ${host}`,
    says,
  ]);
  const todo = mendable && repair === undefined ? `${remedy} (--repair)` : remedy;
  if (repair === undefined) lines.push(["  do", todo]);
  else lines.push([repair.done ? "  done" : "  not done", repair.done ? repair.says : `${repair.says}; ${remedy}`]);
  return `${head}\n${table(io, undefined, lines)}`;
}

function summary(io: Pick<Io, "color">, report: CheckReport): string[] {
  const { findings, checked, unchecked, endpoints, passing, left } = report;
  const where = `${count(endpoints, "endpoint")} on ${count(checked.length, "host")} at revision ${report.revision}`;
  const found = findings.length === 0 ? paint(io, "good", "nothing found") : count(findings.length, "finding");
  const after = left === undefined || findings.length === 0 ? "" : `, ${findings.length - left} mended, ${left} left`;
  return [
    ...unchecked.map(({ host, why }) => `${paint(io, "bad", "not checked:")} host ${host}: ${why}`),
    ...(passing === 0 ? [] : [`${count(passing, "difference")} went away while looking`]),
    `${found}${after}: ${where}`,
  ];
}
