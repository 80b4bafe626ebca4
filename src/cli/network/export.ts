// `weft network export`: a network as a configuration of CNI, or as the files that bring it up on a host without an
// agent.
import { writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Option, type Command } from "commander";
import { makeDirectory } from "../../files/directories.ts";
import type { Format } from "../../formats/formats.ts";
import type { Written } from "../../formats/writing.ts";
import { cniConfigList, shortcomings } from "../../model/cni.ts";
import { defined } from "../../model/defined.ts";
import { Fault } from "../../model/fault.ts";
import type { Cli } from "../context.ts";
import { connect } from "../input/connect.ts";
import type { RemoteOptions } from "../input/locate.ts";
import { checkKnown } from "../input/names.ts";
import { type Switches, type Texts, withServer } from "../input/options.ts";
import { whyUnread } from "../input/settings.ts";
import type { Io } from "../io.ts";
import { misuse } from "../output/error.ts";

/** As in the table of formats, which is loaded only when one is asked for. */
const FORMATS = ["ifupdown", "ifupdown2", "netplan", "networkd", "iproute2"] as const satisfies readonly Format[];

type ExportOptions = RemoteOptions &
  Texts<"slice" | "socket" | "host" | "dir"> &
  Switches<"cni" | "portmap"> &
  AsFormat;
type AsFormat = { readonly as?: Format };

export function registerExport(noun: Command, cli: Cli): void {
  const out = noun
    .command("export <name>")
    .description("Print a network in the format of another system.")
    .option("--cni", "as a CNI configuration list, for /etc/cni/net.d")
    .option("--slice <name>", "with --cni: put the endpoints into this slice")
    .option("--socket <path>", "with --cni: socket of the agent (default: /run/weft/agent.sock)")
    .option("--portmap", "with --cni: add the portmap plugin after Weft (needs a VRF with hostAccess)")
    .addOption(new Option("--as <format>", "as files that bring it up on a host without an agent").choices(FORMATS))
    .option("--host <name>", "with --as: the host (default with --dir: each, in a folder of its name)")
    .option("--dir <folder>", "with --as: write the files there, and do not print them")
    .addHelpText(
      "after",
      `
Examples:
  weft network export blue --cni > /etc/cni/net.d/blue.conflist
  weft network export mgmt --as networkd --host h1 --dir /etc/systemd/network
Files have no policy: no security groups, no spoofing filters, no limits.`,
    );
  withServer(out).action(cli.verb(exportNetwork));
}

async function exportNetwork(cli: Cli, name: string, options: ExportOptions): Promise<void> {
  if (options.as !== undefined) return exportFiles(cli, name, { ...options, as: options.as });
  const { cni, slice, portmap, socket } = options;
  if (cni !== true)
    throw misuse("--cni", "no format is given", `give --cni, or --as with one of ${FORMATS.join(", ")}`);
  const stray = (["host", "dir"] as const).find((option) => options[option] !== undefined);
  if (stray !== undefined) throw misuse(`--${stray}`, `--${stray} is not for --cni`, "leave it out, or give --as");
  const server = await connect(cli.io, options);
  const network = await server.get("network", name);
  const slices = (network.spec.slices ?? []).map((one) => one.name);
  if (slice !== undefined && !slices.includes(slice)) {
    const fix = slices.length === 0 ? "leave it out: the network is not divided" : `choose one of ${slices.join(", ")}`;
    throw misuse("--slice", `network "${name}" has no slice "${slice}"`, fix);
  }
  const isMapped = portmap === true || network.spec.cni === "portmap";
  cli.io.out(cniConfigList(network, { ...defined({ slice, socket }), portmap: isMapped }));
  const vrf = await server.get("vrf", network.spec.vrf);
  cli.io.err(shortcomings(network, vrf, isMapped));
}

async function exportFiles({ io }: Cli, name: string, options: ExportOptions & Required<AsFormat>): Promise<void> {
  const { as, host, dir } = options;
  const stray = (["cni", "slice", "socket", "portmap"] as const).find((option) => options[option] !== undefined);
  if (stray !== undefined) throw misuse(`--${stray}`, `--${stray} is not for --as`, "leave one of them out");
  const server = await connect(io, options);
  const [network, snapshot] = await Promise.all([server.get("network", name), server.snapshot()]);
  checkKnown({ host }, snapshot);
  const hosts = host === undefined ? snapshot.hosts.map((one) => one.name) : [host];
  const [only, ...others] = hosts;
  if (only === undefined) throw misuse("--host", "there is no host yet", "a network is written for a host that joined");
  if (others.length > 0 && dir === undefined)
    throw misuse(
      "--host",
      "files differ from host to host",
      "name one, or give a folder for all of them: --dir FOLDER",
    );
  const { exportNetwork: written } = await import("../../formats/export.ts");
  for (const one of hosts.toSorted()) {
    const { files, folder, lacks } = written(snapshot, network, one, as);
    for (const lack of lacks) io.err(`note: ${one}: ${lack}\n`);
    if (dir === undefined) print(io, folder, files);
    else write(io, { dir: host === undefined ? join(dir, one) : dir, folder, host: one }, files);
  }
}

function print(io: Io, folder: string, files: Written["files"]): void {
  for (const [i, { path, text }] of files.entries())
    io.out(files.length === 1 ? text : `${i === 0 ? "" : "\n"}# --- ${folder}/${path}\n${text}`);
}

type Place = { readonly dir: string; readonly folder: string; readonly host: string };

/** `folder`: where the files are read on the host. */
function write(io: Io, { dir, folder, host }: Place, files: Written["files"]): void {
  for (const { path, text, mode } of files) {
    const file = join(dir, path);
    try {
      makeDirectory(dirname(file), 0o777);
      writeFileSync(file, text, { mode });
    } catch (error) {
      const detail = { what: `${file} cannot be written`, why: whyUnread(error), fix: "check the folder" };
      throw new Fault("request-invalid", detail, { cause: error });
    }
    io.err(`wrote ${file}\n`);
  }
  if (resolve(dir) !== folder) io.err(`next: copy what is in ${dir} to ${folder} on host ${host}\n`);
}
