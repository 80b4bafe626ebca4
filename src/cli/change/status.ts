// `weft status`: one screen that says whether what was written is in every kernel, and if not, where and why.
import type { Command } from "commander";
import type { ClusterStatus, HostCondition } from "../../model/status.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { count, paint, type Io } from "../io.ts";
import { reading, withWait, type ReadOptions } from "../input/options.ts";
import { printOne } from "../output/format.ts";
import { provenText, undeliveredLines, unprovenLines } from "../host/paths.ts";
import { table, type Cell } from "../output/table.ts";
import { hasReached, readyHosts, waitFor } from "./wait.ts";

type StatusOptions = ReadOptions & { readonly watch?: boolean; readonly wait?: string };

const WATCH_MS = 1_000;

export function register(command: Command, cli: Cli): void {
  command.option("-w, --watch", "print it again after each change");
  withWait(reading(command)).action(cli.verb(showStatus));
}

export function stateCell(state: HostCondition["state"]): Cell {
  const tones = { ready: "good", suspect: "warn", lost: "bad", reclaimed: "dim", expected: "dim" } as const;
  return { text: state, tone: tones[state] };
}

async function showStatus(cli: Cli, options: StatusOptions): Promise<void> {
  const { io } = cli;
  const server = await connect(io, options);
  let status = await server.status();
  if (options.wait !== undefined) {
    await waitFor(io, options.wait, status.revision, server);
    status = await server.status();
  }
  const print = () =>
    printOne(io, options, { name: `revision/${status.revision}`, value: status }, () => statusText(io, status));
  await print();
  let shown = signatureOf(status);
  while (options.watch === true && !io.signal.aborted) {
    await io.clock.sleep(WATCH_MS, io.signal);
    if (io.signal.aborted) return;
    status = await server.status();
    if (signatureOf(status) === shown) continue;
    shown = signatureOf(status);
    if (options.output === undefined) io.out("\n");
    await print();
  }
}

/** What makes a screen worth printing again: everything but the time of the last report. */
function signatureOf(status: ClusterStatus): string {
  return JSON.stringify(status, (key, value: unknown) => (key === "reportedAtMs" ? undefined : value));
}

export function statusText(io: Pick<Io, "color">, status: ClusterStatus): string {
  const ready = readyHosts(status);
  const reached = ready.filter((host) => hasReached(host, status.revision));
  const wanted = status.hosts.filter((host) => host.state !== "reclaimed").length;
  const isConverged = reached.length === wanted;
  const headline = `converged at revision ${status.revision} on ${reached.length} of ${count(wanted, "host")}`;
  const { paths } = status;
  const isProven = paths === undefined || paths.proven === paths.pairs;
  const headers = ["HOST", "STATE", "UNDERLAY", "REVISION", "LAG", "OBJECTS", "DRIFT-REPAIRED", "ERRORS"];
  const rows = status.hosts.map((host) => rowOf(host, status.revision));
  const hosts = rows.length === 0 ? "" : `\n${table(io, headers, rows)}`;
  const tone = isConverged && isProven ? "good" : "warn";
  return `${paint(io, tone, `${headline}${provenText(status)}`)}\n${hosts}${remarks(io, status)}`;
}

function rowOf({ host, state, underlay, status }: HostCondition, revision: number): Cell[] {
  const at = String(status?.revision ?? "");
  return [
    host,
    stateCell(state),
    underlay,
    status === undefined || status.revision >= revision ? at : { text: at, tone: "warn" },
    status?.lagMs === undefined ? "" : `${Math.round(status.lagMs)} ms`,
    String(status?.objects ?? ""),
    String(status?.driftRepaired ?? ""),
    (status?.errors.length ?? 0) === 0 ? "0" : { text: String(status?.errors.length), tone: "bad" },
  ];
}

/** Errors and conditions in full, each with its host: a number alone would not help. */
function remarks(io: Pick<Io, "color">, status: ClusterStatus): string {
  const lines = status.hosts.flatMap((host) => [
    ...(host.status?.errors ?? []).map((text) => `${host.host}: ${paint(io, "bad", "error")} ${text}\n`),
    ...(host.status?.conditions ?? []).map((text) => `${host.host}: ${text}\n`),
  ]);
  lines.push(...unprovenLines(io, status), ...undeliveredLines(io, status));
  for (const { reason, message } of status.conditions) lines.push(`${reason}: ${message}\n`);
  return lines.length === 0 ? "" : `\n${lines.join("")}`;
}
