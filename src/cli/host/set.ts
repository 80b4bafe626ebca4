// `weft host set`: what counts of a host instead of what its agent was told when it was started.
import type { Command } from "commander";
import { defined } from "../../model/defined.ts";
import type { Fault } from "../../model/fault.ts";
import { labelsText } from "../../model/labels.ts";
import { type PhysicalDevice, NO_DEVICE, deviceFor, factsOf, parsePhysical, physicalOf } from "../../model/physical.ts";
import type { Host } from "../../model/resource.ts";
import { hasReached, readyHosts, waitFor } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { type ServerClient, connect } from "../input/connect.ts";
import { mergedLabels, withLabels } from "../input/labels.ts";
import { listOrNone, repeated, writing, type Lists, type WriteOptions } from "../input/options.ts";
import { misuse } from "../output/error.ts";
import type { Cell } from "../output/table.ts";
import { noChange } from "../resource/verbs.ts";

export function registerSet(noun: Command, cli: Cli): void {
  const set = noun
    .command("set <name>")
    .description("Give a host labels; say of it what counts instead of what its agent was started with.")
    .option(
      "--physical <name=device>",
      "device that leads to a physical network, or NAME=none: the host does not have it; repeatable. " +
        "--physical none takes back all that was said here",
      repeated,
    )
    .option(
      "--take-over",
      "these devices may become ports of bridges though the host has addresses or its default route on them: the " +
        "bridge gets these",
    );
  writing(withLabels(set)).action(cli.verb(setHost));
}

type SetOptions = Lists<"physical" | "label"> & WriteOptions & { readonly takeOver?: boolean };

async function setHost(cli: Cli, name: string, options: SetOptions): Promise<void> {
  const { physical: words, takeOver = false, label } = options;
  if (words === undefined && !takeOver && label === undefined) throw noChange("host", "set");
  const said = parsePhysical(listOrNone(words ?? [], "--physical"), "--physical", takeOver);
  if (takeOver && !said.some((one) => one.takeOver === true)) throw withoutDevice(name);
  const server = await connect(cli.io, options);
  const { spec, revision: ifRevision } = await server.get("host", name);
  // What is not named stays as it was set before.
  const kept =
    said.length === 0 ? [] : (spec.physicalSet ?? []).filter((one) => !said.some((other) => other.name === one.name));
  const physical = words && [...kept, ...said];
  const labels = label && mergedLabels(spec.labels, label);
  const { revision } = await server.setHost(name, defined({ physical, labels }), { ifRevision });
  await waitFor(cli.io, options.wait, revision, server);
  const done = [
    ...(labels === undefined ? [] : [`labels ${labelsText(labels) || "none"}`]),
    ...(words !== undefined && said.length === 0 ? ["what its agent says counts again"] : said.map(wordOf)),
  ];
  cli.io.err(`host ${name} changed at revision ${revision}: ${done.join(", ")}\n`);
  for (const { name: network, device } of await missingOf(cli, server, { name, revision, said }))
    cli.io.err(`note: ${name} has no device ${device} now: until it has, nothing of ${network} leaves it\n`);
}

/** A host that works tells at once which of the devices it has. */
const TELL_MS = 3_000;
/** It may report a revision just before it tells what devices it has. */
const SURE_MS = 500;
const LOOK_MS = 100;

type Set = { readonly name: string; readonly revision: number; readonly said: readonly PhysicalDevice[] };

/** What of it the host does not have now; nothing if it does not say in time. */
async function missingOf(
  { io: { clock, signal } }: Cli,
  server: ServerClient,
  { name, revision, said }: Set,
): Promise<readonly PhysicalDevice[]> {
  const endMs = clock.monotonicMs() + TELL_MS;
  for (let reachedMs = Number.POSITIVE_INFINITY; clock.monotonicMs() < endMs; ) {
    const [{ spec }, status] = await Promise.all([server.get("host", name), server.status()]);
    const missing = said.filter(({ device }) => device !== NO_DEVICE && factsOf(spec, device) === undefined);
    const host = readyHosts(status).find((one) => one.host === name);
    if (missing.length === 0 || host === undefined) return [];
    if (hasReached(host, revision)) reachedMs = Math.min(reachedMs, clock.monotonicMs());
    if (clock.monotonicMs() - reachedMs >= SURE_MS) return missing;
    await clock.sleep(LOOK_MS, signal);
    signal.throwIfAborted();
  }
  return [];
}

function withoutDevice(name: string): Fault {
  const fix = `add the device: weft host set ${name} --physical NAME=DEVICE --take-over`;
  return misuse("--take-over", "--take-over needs --physical", fix, "it is said of the devices that are given with it");
}

const wordOf = ({ name, device, takeOver }: PhysicalDevice) => {
  return `${name}=${device}${takeOver === true ? ", which may be taken over" : ""}`;
};

/** A line per physical network: `lan=eth1, down (set here; the agent says eth2)`. */
export function physicalFields({ spec }: Host): [string, Cell][] {
  const { physical = [], physicalSet = [] } = spec;
  const names = [...new Set([...physical, ...physicalSet].map(({ name }) => name))].sort();
  return names.map((name) => {
    const device = deviceFor(spec, name);
    const set = physicalSet.find((one) => one.name === name);
    const claimed = physical.find((one) => one.name === name)?.device;
    const takesOver = physicalOf(spec).find((one) => one.name === name)?.takeOver === true;
    const facts = factsOf(spec, device ?? "");
    const state = [
      `${name}=${device ?? set?.device ?? NO_DEVICE}`,
      ...(device === undefined || facts !== undefined ? [] : ["missing"]),
      ...(facts?.down === true ? ["down"] : []),
      ...(takesOver ? ["may be taken over"] : []),
    ].join(", ");
    if (set === undefined) return ["Physical network", state];
    return ["Physical network", `${state} (set here${claimed === undefined ? "" : `; the agent says ${claimed}`})`];
  });
}
