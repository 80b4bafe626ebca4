// `weft network`: what a user says about networks in flags.
import type { Command } from "commander";
import { bridgeOfOthers } from "../../model/bridges.ts";
import { defined } from "../../model/defined.ts";
import { DRIVERS } from "../../model/driver.ts";
import { Fault } from "../../model/fault.ts";
import type { NetworkInput } from "../../model/input.ts";
import { noHostText } from "../../model/noHost.ts";
import { NETWORK_FIELDS } from "../../model/kinds/conversion.ts";
import type { Network, NetworkSpec } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import { overriddenText } from "../group/rule.ts";
import { connect, type ServerClient } from "../input/connect.ts";
import { mergedLabels, newLabels, withLabels, withNewLabels } from "../input/labels.ts";
import { repeated, withForce, writing, type SureOptions, type WriteOptions } from "../input/options.ts";
import { count } from "../io.ts";
import { misuse } from "../output/error.ts";
import { changedNames } from "../output/changes.ts";
import { create, edit, noChange, registerDelete, registerList, registerShow } from "../resource/verbs.ts";
import {
  clearedBy,
  draftOf,
  mergedGateways,
  mergedSubnets,
  refusedEdit,
  type SpecFlags,
  subnetsText,
} from "./draft.ts";
import { newFlags, specFlags } from "./flags.ts";
import { networkColumns, networkText } from "./shown.ts";
import { type CarriageFlags, editTunnel, followConversion, isAboutVrf, registerConversions } from "./conversion.ts";
import { registerExport } from "./export.ts";
import { listChanges } from "./listChanges.ts";
import { mergedHostAddresses } from "./hostAddresses.ts";
import { registerMembers } from "./members.ts";
import { registerMigrations } from "./migration.ts";
import { registerRetry } from "./progress.ts";
import { registerRanges } from "./range.ts";
import { registerReservations, reservedUnder } from "./reserve.ts";
import { registerSelect } from "./select.ts";

export function register(noun: Command, cli: Cli): void {
  registerList(noun, cli, "network", {
    about: "List networks.",
    columns: async (server) => networkColumns(await server.snapshot()),
    empty: "No networks. Create one: weft network create NAME --subnet CIDR",
  });
  registerShow(noun, cli, "network", {
    about: "Show a network: its subnets, its blocks and how many addresses are used.",
    text: networkText,
  });
  registerCreate(noun, cli);
  registerEdit(noun, cli);
  registerRanges(noun.command("range").description("Address ranges: list, add, resize, remove."), cli);
  registerReservations(noun, cli);
  registerExport(noun, cli);
  registerRetry(noun, cli);
  registerSelect(noun, cli);
  registerDelete(noun, cli, "network", {
    about: "Delete networks.",
    force: "even if the network has endpoints; their workloads lose the interfaces",
    losses: lossesOf,
    along: alongText,
    hasWait: true,
  });
  registerMembers(noun, cli);
  registerMigrations(noun, cli);
  registerConversions(noun, cli);
}

function registerCreate(noun: Command, cli: Cli): void {
  const make = noun
    .command("create <name>")
    .description("Create a network.")
    .addHelpText(
      "after",
      `
Examples:
  weft network create blue --subnet 10.7.0.0/16 --host-prefix 24
  weft network create lab --ipam global --subnet 10.8.0.0/24 --subnet fd00:8::/64
  weft network create web --pool apcera`,
    );
  newFlags(specFlags(make));
  writing(withNewLabels(make)).action(cli.verb(createNetwork));
}

function registerEdit(noun: Command, cli: Cli): void {
  const change = noun.command("edit <name>").description("Change a network while it is in use.");
  specFlags(change)
    .option(
      "--subnet <cidr>",
      "replace the subnet of this family (by a larger one if it has endpoints), or add a family",
      repeated,
    )
    .option("--host-prefix <length>", "ipam local: block length in an added family; once per --subnet", repeated)
    .option("--vni <n>", "VNI of the segment; of a routed network, of its VRF")
    .option(
      "--tunnel-port <port>",
      "UDP port of the tunnels, of all networks of the VRF; none that other VXLAN devices of hosts use",
    )
    .option("--tenant <name>", "of a reservation: its tenant, whose quota it counts against")
    .option("--enabled", "allow new blocks and endpoints again")
    .option("--no-enabled", "allow no new blocks and no new endpoints");
  change.addHelpText(
    "after",
    "\nWhile endpoints use it, --driver, --mtu, --peers, --vni and --tunnel-port change in phases, without losses.\n" +
      "What has no option is written in a file: weft network show NAME -o yaml > FILE, weft apply -f FILE.",
  );
  withForce(withLabels(change), "even if endpoints are on hosts outside of its --cluster; the hosts detach them");
  writing(change).action(cli.verb(editNetwork));
}

async function createNetwork(cli: Cli, name: string, options: SpecFlags & WriteOptions): Promise<void> {
  if (options.subnet === undefined && options.pool === undefined) {
    const fix =
      `for instance: weft network create ${name} --subnet 10.7.0.0/16; or take them from a --pool; ` +
      "for a network without addresses see examples/addresses.yaml";
    throw misuse("--subnet", "a network needs addresses", fix);
  }
  const server = await connect(cli.io, options);
  const spec = { ...draftOf(options), ...defined({ labels: options.label && newLabels(options.label) }) };
  const isNewVrf = spec.vrf !== undefined && !(await server.list("vrf")).some((vrf) => vrf.name === spec.vrf);
  const network = await create(cli, options, { kind: "network", name, spec, noun: "network", called: "network" });
  const nowhere = await nowhereNote(server, network);
  const place = isNewVrf ? `, in the new VRF "${network.spec.vrf}"` : "";
  cli.io.err(
    `network ${name} created at revision ${network.revision}${place}: ${subnetsText(network.spec.subnets)}\n` +
      overriddenText(network.spec.securityGroups) +
      delayNote(options, network.spec) +
      nowhere,
  );
}

/** For a network of all hosts that none can have. */
async function nowhereNote(server: ServerClient, { spec }: Network): Promise<string> {
  const isOfAll = (spec.hosts ?? spec.clusterHosts) !== undefined;
  const text = isOfAll ? noHostText(spec, await server.list("host")) : undefined;
  return text === undefined ? "" : `note: ${text}\n`;
}

type EditOptions = SpecFlags & CarriageFlags & SureOptions & WriteOptions;

async function editNetwork(cli: Cli, name: string, options: EditOptions): Promise<void> {
  const { gateway, ...rest } = options;
  const isAlone = options.subnet === undefined;
  const draft = draftOf(isAlone ? rest : options);
  const gateways = isAlone ? gateway : undefined;
  const cleared = clearedBy(options);
  const changed = [...new Set([...Object.keys(draft), ...(gateways === undefined ? [] : ["subnets"]), ...cleared])];
  const { tunnelPort, vni } = options;
  if (changed.length === 0 && tunnelPort === undefined) throw noChange("network");
  if (tunnelPort !== undefined || vni !== undefined) {
    const { spec } = await (await connect(cli.io, options)).get("network", name);
    const others = changed.filter((field) => field !== "vni" || spec.ipam === "global");
    if (isAboutVrf(options, spec.ipam)) return editTunnel(cli, options, { name, ...spec, others });
  }
  let before: Network | undefined;
  const edited = edit(cli, options, {
    kind: "network",
    name,
    ...defined({ force: options.force }),
    change(network) {
      before = network;
      return editedSpec(network.spec, draft, { gateways, cleared, labels: options.label });
    },
    done(after, old) {
      const head = `network ${name} changed at revision ${after.revision}: ${changedNames(old, after)}\n`;
      const notes = overriddenText(after.spec.securityGroups) + delayNote(options, after.spec);
      return head + listChanges(old.spec, after.spec) + notes;
    },
    follow: changed.some((field) => NETWORK_FIELDS.some((one) => one === field))
      ? async (after) => {
          const { spec, revision } = after;
          cli.io.err(await nowhereNote(await connect(cli.io, options), after));
          await followConversion(cli, options, { vrf: spec.vrf, network: name, revision });
        }
      : undefined,
  });
  await edited.catch((error: unknown) => {
    throw error instanceof Fault && before !== undefined ? refusedEdit(error, before, changed) : error;
  });
}

type Beside = {
  readonly gateways: readonly string[] | undefined;
  readonly cleared: readonly string[];
  readonly labels: readonly string[] | undefined;
};

function editedSpec(spec: NetworkSpec, draft: NetworkInput, { gateways, cleared, labels }: Beside): object {
  // A direction that is not given stays.
  const qos = draft.qos === undefined ? {} : { qos: { ...spec.qos, ...draft.qos } };
  const subnets = mergedGateways(mergedSubnets(spec.subnets, draft.subnets), gateways);
  const hostAddresses = defined({ hostAddresses: mergedHostAddresses(spec, draft.hostAddresses) });
  const labelled = defined({ labels: labels && mergedLabels(spec.labels, labels) });
  const { placement = DRIVERS[spec.driver].placement } = spec;
  // Another placement is another VRF.
  const isMoved = draft.vrf === undefined && (draft.placement ?? placement) !== placement;
  const gone = [...cleared, ...(isMoved ? ["vrf"] : [])];
  const whole = Object.entries({ ...spec, ...draft, ...qos, subnets, ...hostAddresses, ...labelled });
  return Object.fromEntries(whole.filter(([field]) => !gone.includes(field)));
}

/** What was given and has no effect. */
function delayNote({ forwardDelay = "auto" }: SpecFlags, spec: NetworkSpec): string {
  if (forwardDelay === "auto" || spec.stp === true || bridgeOfOthers(spec) !== undefined) return "";
  return "note: the forward delay has no effect without --stp: ports forward at once\n";
}

async function lossesOf(server: ServerClient, name: string): Promise<readonly string[]> {
  const { networks, endpoints } = await server.snapshot();
  const reservations = reservedUnder(networks, name).map((each) => each.name);
  return [
    ...reservations.map((reservation) => `reservation ${reservation}`),
    ...endpoints
      .filter(({ spec }) => [name, ...reservations].includes(spec.network))
      .map((e) => `endpoint ${e.name} on ${e.spec.host} (${e.spec.addresses.join(", ")})`),
  ];
}

/** `, with 2 reservations and 1 endpoint`. */
function alongText(losses: readonly string[]): string {
  const along = ["reservation", "endpoint"].flatMap((kind) => {
    const n = losses.filter((loss) => loss.startsWith(`${kind} `)).length;
    return n === 0 ? [] : [count(n, kind)];
  });
  return along.length === 0 ? "" : `, with ${along.join(" and ")}`;
}
