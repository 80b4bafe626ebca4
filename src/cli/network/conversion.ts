// `weft network conversion`, and edits that begin one: how the frames of a network cross changes while it is in use.
import type { Command } from "commander";
import { conversionText, phasesOf } from "../../model/conversion.ts";
import { DRIVERS, type Driver, OVS_TUNNEL_PORT } from "../../model/driver.ts";
import type { Change, Conversion } from "../../model/resource.ts";
import { waitFor as waitForRevision, waitUntil } from "../change/wait.ts";
import type { Cli } from "../context.ts";
import { connect, type ServerClient } from "../input/connect.ts";
import { forEachName } from "../input/names.ts";
import { type Texts, wholeNumber, type WriteOptions, withServer, withWait } from "../input/options.ts";
import { misuse } from "../output/error.ts";
import type { Column } from "../output/format.ts";
import { edit, registerList } from "../resource/verbs.ts";

export type CarriageFlags = Texts<"tunnelPort">;

export function registerConversions(noun: Command, cli: Cli): void {
  const conversion = noun.command("conversion").description("Live changes of how frames cross: list, cancel.");
  registerList(conversion, cli, "conversion", {
    about: "List running conversions.",
    columns: async (server) => columnsFor(await waitsOf(server)),
    empty: "No conversions.",
    whole: async (server) => {
      const { conditions } = await server.status();
      const byObject = new Map(conditions.filter(isConverting).map((one) => [one.object, one.waitsFor]));
      return (one) => ({ ...one, waitsFor: byObject.get(objectOf(one)) ?? [] });
    },
  });
  const cancel = conversion
    .command("cancel <name...>")
    .description("Take conversions back: at once while nothing is sent the new way, else in the other direction.");
  withWait(withServer(cancel)).action(
    cli.verb(
      forEachName(async ({ io }, name, options: WriteOptions) => {
        const server = await connect(io, options);
        const { revision } = await server.remove("conversion", name, {});
        const left = (await server.list("conversion")).find((one) => one.name === name);
        io.err(`conversion ${name} cancelled at revision ${revision}${left === undefined ? "" : ": hosts go back"}\n`);
        await waitFor(cli, options, server, name);
      }),
    ),
  );
}

const isConverting = ({ reason }: { readonly reason: string }) => reason === "converting";

/** By name of the conversion: what it waits for, as the server says it. */
async function waitsOf(server: ServerClient): Promise<ReadonlyMap<string, string>> {
  const { conditions } = await server.status();
  return new Map(
    conditions.filter(isConverting).map(({ object, message }) => [object, message.replace(/^.*: phase \w+, /, "")]),
  );
}

function columnsFor(waits: ReadonlyMap<string, string>): readonly Column<Conversion>[] {
  return [
    { header: "NAME", of: (c) => c.name },
    { header: "OF", of: objectOf },
    { header: "CHANGE", of: (c) => conversionText(c.spec) + (c.spec.back === true ? " (cancelled)" : "") },
    {
      header: "PHASE",
      of: ({ spec }) => `${spec.phase} (${phasesOf(spec).indexOf(spec.phase) + 1} of ${phasesOf(spec).length})`,
    },
    { header: "STATE", of: (c) => waits.get(objectOf(c)) ?? "" },
  ];
}

function objectOf({ spec }: Conversion): string {
  return spec.network === undefined ? `vrf/${spec.vrf}` : `network/${spec.network}`;
}

type Followed = { readonly vrf: string; readonly network?: string; readonly revision: number };

/**
 * Says that a write has begun a conversion of the VRF, or of the network, if it has; with --wait, waits until that is
 * over and hosts have the revision.
 */
export async function followConversion(
  cli: Cli,
  options: WriteOptions,
  { vrf, network, revision }: Followed,
): Promise<void> {
  const server = await connect(cli.io, options);
  const all = await server.list("conversion");
  const begun = all.filter(({ name, spec }) => name === vrf && spec.network === network);
  tellBegun(cli, begun);
  for (const { name } of begun) await waitFor(cli, options, server, name);
  await waitForRevision(cli.io, options.wait, revision, server);
}

/** The same of conversions that are in the changes of a write; the revision has been waited for. */
export async function followChanges(cli: Cli, options: WriteOptions, changes: readonly Change[]): Promise<void> {
  const begun = changes.flatMap((change) => ("put" in change && change.put.kind === "conversion" ? [change.put] : []));
  tellBegun(cli, begun);
  const server = await connect(cli.io, options);
  for (const { name } of begun) await waitFor(cli, options, server, name);
}

function tellBegun({ io }: Cli, begun: readonly Conversion[]): void {
  for (const { name, spec } of begun) {
    const phases = phasesOf(spec).join(", ");
    io.err(`conversion ${name}: ${conversionText(spec)}; no packet is lost, hosts go through ${phases}\n`);
  }
}

async function waitFor(cli: Cli, options: WriteOptions, server: ServerClient, name: string): Promise<void> {
  await waitUntil(cli.io, options.wait, async () => {
    const one = (await server.list("conversion")).find((each) => each.name === name);
    if (one === undefined) return undefined;
    const missing = [(await waitsOf(server)).get(objectOf(one)) ?? ""];
    return { text: `waiting for conversion ${name}, phase ${one.spec.phase}`, missing };
  });
}

/** Whether an edit of a network is about the tunnel of its VRF: its port, and the VNI of routed networks. */
export function isAboutVrf({ tunnelPort, vni }: CarriageFlags & Texts<"vni">, ipam: "local" | "global"): boolean {
  return tunnelPort !== undefined || (vni !== undefined && ipam === "local");
}

type VrfEdit = {
  readonly name: string;
  readonly vrf: string;
  readonly driver: Driver;
  readonly others: readonly string[];
};

/** Changes the tunnel of the network's VRF. `others`: what else was to change. */
export async function editTunnel(
  cli: Cli,
  options: WriteOptions & CarriageFlags & Texts<"vni">,
  { name, vrf, driver, others }: VrfEdit,
): Promise<void> {
  if (options.tunnelPort !== undefined && !DRIVERS[driver].hasPort) throw noPort(name, vrf, driver);
  const flag = options.tunnelPort === undefined ? "--vni" : "--tunnel-port";
  if (others.length > 0) {
    const why = `it changes VRF "${vrf}" and with it all of its networks, and conversions follow one another`;
    throw misuse(flag, `${flag} cannot be given together with other changes`, "make two edits", why);
  }
  const tunnelPort = wholeNumber(options.tunnelPort, "--tunnel-port", 8472);
  const vni = wholeNumber(options.vni, "--vni", 5000);
  await edit(cli, options, {
    kind: "vrf",
    name: vrf,
    change: ({ spec }) => ({
      ...spec,
      ...(tunnelPort === undefined ? {} : { tunnelPort }),
      ...(vni === undefined ? {} : { vni }),
    }),
    done: ({ revision }) => `VRF ${vrf} of network ${name} changed at revision ${revision}\n`,
    follow: ({ revision }) => followConversion(cli, options, { vrf, revision }),
  });
}

function noPort(name: string, vrf: string, driver: Driver): Error {
  const why =
    driver === "ovs"
      ? `Open vSwitch has UDP port ${OVS_TUNNEL_PORT} on all hosts, whatever the port of the VRF is`
      : `${DRIVERS[driver].title} has no ports`;
  const fix = `for other networks of the VRF: weft vrf edit ${vrf} --tunnel-port PORT`;
  return misuse("--tunnel-port", `network "${name}" does not use the tunnel port of VRF "${vrf}"`, fix, why);
}
