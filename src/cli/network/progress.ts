// How far a network's endpoints are with its latest change, and trying again where it failed.
import type { Command } from "commander";
import { type NetworkProgress, progressText } from "../../model/progress.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { type WriteOptions, writing } from "../input/options.ts";
import { count } from "../io.ts";
import type { Cell } from "../output/table.ts";
import { waitFor } from "../change/wait.ts";

export function registerRetry(noun: Command, cli: Cli): void {
  const retry = noun
    .command("retry")
    .argument("<name>", "the network")
    .description("Make hosts work on a network again, where its latest change failed.");
  writing(retry).action(cli.verb(retryNetwork));
}

async function retryNetwork(cli: Cli, name: string, options: WriteOptions): Promise<void> {
  const server = await connect(cli.io, options);
  const progress = await server.progress(name);
  if (progress.failed === 0) return cli.io.err(`network ${name}: nothing has failed; ${progressText(progress)}\n`);
  const { revision } = await server.retryNetwork(name);
  await waitFor(cli.io, options.wait, revision, server);
  const hosts = progress.hosts.filter(({ state, failed = [] }) => state === "failed" || failed.length > 0);
  const names = hosts.map(({ host }) => host).join(", ");
  cli.io.err(`network ${name}: ${count(hosts.length, "host")} (${names}): tried again at revision ${revision}\n`);
}

/** How many endpoints there are, how far they are, and what the kernel of a host said. */
export function progressFields(progress: NetworkProgress, endpoints: number): [string, Cell][] {
  const isDone = progress.updating + progress.outdated + progress.failed === 0;
  const text = isDone ? String(endpoints) : `${endpoints}: ${progressText(progress)}`;
  const tone = progress.failed > 0 ? "bad" : "warn";
  return [
    ["Endpoints", isDone ? text : { text, tone }],
    ...progress.hosts.flatMap(({ host, errors = [], failed = [] }): [string, Cell][] => {
      const why = errors[0] ?? (failed.length === 0 ? undefined : `the policy of ${failed.join(", ")} was refused`);
      return why === undefined ? [] : [["Failed", { text: `on ${host}: ${why}`, tone: "bad" }]];
    }),
  ];
}
