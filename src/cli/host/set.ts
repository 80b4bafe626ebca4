// `weft host set`: what counts of a host instead of what its agent was told when it was started.
import type { Command } from "commander";
import { Fault } from "../../model/fault.ts";
import { type PhysicalDevice, deviceFor, factsOf, parsePhysical } from "../../model/physical.ts";
import type { Host } from "../../model/resource.ts";
import { waitFor } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import { listOrNone, repeated, writing, type Lists, type WriteOptions } from "../input/options.ts";

export function registerSet(noun: Command, cli: Cli): void {
  const set = noun
    .command("set <name>")
    .description("Say of a host what counts instead of what its agent was started with.")
    .option(
      "--physical <name=device>",
      "device that leads to a physical network, or NAME=none: the host does not have it; repeatable. " +
        "--physical none takes back all that was said here",
      repeated,
    );
  writing(set).action(cli.verb(setHost));
}

async function setHost(cli: Cli, name: string, options: Lists<"physical"> & WriteOptions): Promise<void> {
  const { physical: words } = options;
  if (words === undefined)
    throw new Fault("request-invalid", {
      what: "no change is given",
      fix: "see weft host set --help for what can change",
    });
  const said = parsePhysical(listOrNone(words, "--physical"), "--physical");
  const server = await connect(cli.io, options);
  const { spec, revision: ifRevision } = await server.get("host", name);
  // What is not named stays as it was set before.
  const kept =
    said.length === 0 ? [] : (spec.physicalSet ?? []).filter((one) => !said.some((other) => other.name === one.name));
  const { revision } = await server.setHost(name, { physical: [...kept, ...said] }, { ifRevision });
  await waitFor(cli.io, options.wait, revision, server);
  const done = said.length === 0 ? "what its agent says counts again" : said.map(wordOf).join(", ");
  cli.io.err(`host ${name} changed at revision ${revision}: ${done}\n`);
}

const wordOf = ({ name, device }: PhysicalDevice) => `${name}=${device}`;

/** `lan=eth1 (set here; its agent says eth2), dmz=eth3 (missing)`. */
export function physicalText({ spec }: Host): string | undefined {
  const { physical = [], physicalSet = [] } = spec;
  const names = [...new Set([...physical, ...physicalSet].map(({ name }) => name))].sort();
  const texts = names.map((name) => {
    const device = deviceFor(spec, name);
    const set = physicalSet.find((one) => one.name === name);
    const claimed = physical.find((one) => one.name === name)?.device;
    const notes = [
      ...(set === undefined ? [] : [claimed === undefined ? "set here" : `set here; its agent says ${claimed}`]),
      ...(device === undefined || factsOf(spec, device) !== undefined ? [] : ["missing"]),
      ...(factsOf(spec, device ?? "")?.down === true ? ["down"] : []),
    ];
    return `${name}=${device ?? set?.device ?? "none"}${notes.length === 0 ? "" : ` (${notes.join(", ")})`}`;
  });
  return texts.length === 0 ? undefined : texts.join(", ");
}
