// `weft attach`: gives a process or a network namespace an interface on a network, through the socket of the
// host's agent, and says what it got.
import { defined } from "../../model/defined.ts";
import type { Command } from "commander";
import { formatIp, parseIp, parseMac } from "../../model/address.ts";
import type { AllowedAddress } from "../../model/group.ts";
import type { AttachRequest, Attachment } from "../../model/status.ts";
import type { Cli } from "../context.ts";
import { connect, connectAgent } from "../input/connect.ts";
import { newLabels, withNewLabels } from "../input/labels.ts";
import { type SelectionFlags, selectionFlags } from "../network/select.ts";
import { type LimitFlags, limitFlags, qosOf } from "./limit.ts";
import {
  reading,
  repeated,
  requiredOption,
  wholeNumber,
  withWait,
  type Lists,
  type ReadOptions,
  type Switches,
  type Texts,
} from "../input/options.ts";
import { type AgentOptions, locateServer } from "../input/locate.ts";
import type { Io } from "../io.ts";
import { misuse } from "../output/error.ts";
import { fields, printOne } from "../output/format.ts";
import { pendingAt, waitUntil } from "../change/wait.ts";

type AttachOptions = ReadOptions &
  AgentOptions &
  LimitFlags &
  Texts<"netns" | "pid" | "mac" | "ifname" | "name" | "range" | "slice" | "workload" | "tenant" | "wait"> &
  Lists<"ip" | "sg" | "allowAddress" | "label"> &
  SelectionFlags &
  Switches<"defaultRoute" | "differentNetworks" | "asUser"> & { readonly network: string };

export function register(command: Command, cli: Cli): void {
  const about = "network of the new interface; auto: one that the server selects";
  selectionFlags(requiredOption(limitFlags(command, "none"), "--network <name>", about))
    .option(
      "--as-user",
      "it is the user's who is logged in (or of --token-file), who needs the right to use the network",
    )
    .option("--different-networks", "network auto: none in which another interface of its owner is")
    .option("--netns <path>", "network namespace of the workload: a path, or a name that ip netns lists")
    .option("--pid <n>", "a process in that namespace, instead of --netns")
    .option("--name <name>", "owner of the interface (default: name of the namespace)")
    .option("--ip <address>", "use this address, not the next free one; once per family", repeated)
    .option("--mac <mac>", "use this MAC")
    .option("--ifname <name>", "name of the interface in the workload (default: eth0)")
    .option("--workload <name>", "workload it is an instance of; weft network join adds all its instances to a network")
    .option("--range <name>", "address range of the network")
    .option("--slice <name>", "slice of the network")
    .option("--no-default-route", "no default route through this interface, only routes to the networks of its VRF")
    .option("--tenant <name>", "tenant whose quota it counts against")
    .option("--sg <name>", "security group of this endpoint, in addition to the network's; repeatable", repeated)
    .option("--allow-address <ip[,mac]>", "additional address the endpoint may use (virtual IP); repeatable", repeated)
    .option("--host <name>", "host of the agent, if several run on this machine")
    .option("--agent-socket <path>", "socket of the agent (default: /run/weft/agent.sock)");
  withWait(reading(withNewLabels(command)))
    .addHelpText(
      "after",
      `
Examples:
  ip netns add web && weft attach --netns web --network blue
  weft attach --netns web --network auto --requires 'zone = a & FREE_LEASES > 10' --policy packing
  weft attach --netns db --network blue --inbound avg=100mbit --outbound avg=20mbit,peak=100mbit,burst=1MB
  weft attach --pid 4711 --network blue --name web --ip 10.7.1.10 --wait`,
    )
    .action(cli.verb(attach));
}

/** The request that the options mean; a Fault `request-invalid` if they contradict each other. */
export function requestOf(options: AttachOptions): AttachRequest {
  const { network, netns, ip: addresses, mac, ifname, range, slice, workload, tenant, sg: securityGroups } = options;
  const pid = wholeNumber(options.pid, "--pid");
  if (pid !== undefined && netns !== undefined)
    throw misuse("--pid", "both --netns and --pid are given", "give only one of them");
  if (pid === undefined && netns === undefined) {
    const why = "attach makes an interface in a namespace: --netns names it, --pid names a process in it";
    const fix = "give one of them, for instance: weft attach --pid $$ --network blue";
    throw misuse("--netns", "no network namespace is given", fix, why);
  }
  return {
    network,
    netns: netns === undefined ? `/proc/${pid}/ns/net` : pathOf(netns),
    ...defined({ addresses, mac, ifname, range, slice, workload, tenant, securityGroups }),
    ...defined({
      owner: options.name ?? (pid === undefined ? undefined : `pid-${pid}`),
      // Without the flag commander says true, and that means: as Weft thinks best.
      defaultRoute: options.defaultRoute === false ? false : undefined,
      qos: qosOf(options),
      allowedAddresses: options.allowAddress?.map(allowedOf),
      requires: options.requires,
      rank: options.rank,
      policy: options.policy,
      differentNetworks: options.differentNetworks,
      labels: options.label && newLabels(options.label),
    }),
  };
}

/** `10.7.0.99`, or with its MAC behind a comma; a Fault `address-invalid` for anything else. */
export function allowedOf(text: string): AllowedAddress {
  const where = "--allow-address";
  const [, ip = text, mac] = /^([^,]*),(.*)$/.exec(text) ?? [];
  const address = formatIp(parseIp(ip, where));
  return { address, ...defined({ mac: mac === undefined ? mac : parseMac(mac, where) }) };
}

function pathOf(netns: string): string {
  return netns.includes("/") ? netns : `/run/netns/${netns}`;
}

async function tokenOf(io: Io, options: AttachOptions): Promise<string> {
  const { token } = await locateServer(io, options);
  if (token !== undefined) return token;
  throw misuse("--as-user", "nobody is logged in", "log in first: weft login; or give --token-file");
}

async function attach(cli: Cli, options: AttachOptions): Promise<void> {
  const { io } = cli;
  const own = requestOf(options);
  const request = options.asUser === true ? { ...own, userToken: await tokenOf(io, options) } : own;
  const agent = await connectAgent(io, options);
  // Who waits asks the server; whether that can be done is found out before anything is.
  const server = options.wait === undefined ? undefined : await connect(io, options);
  await server?.status();
  const attachment = await agent.attach(request);
  await printOne(io, options, { name: `endpoint/${attachment.endpoint}`, value: attachment }, () =>
    attachmentText(cli, attachment),
  );
  if (server === undefined) return;
  // Until the other hosts have the endpoint too. In a local network the agent attaches on its own and tells the server
  // afterwards, so the endpoint may not be known there yet.
  await waitUntil(io, options.wait, async () => {
    const { endpoint: name, spec } = attachment;
    const endpoint = (await server.list("endpoint")).find((one) => one.name === name && one.spec.host === spec.host);
    if (endpoint === undefined) return { text: "waiting for the server to know it", missing: [name] };
    return pendingAt(await server.status(), endpoint.revision, options.wait);
  });
}

function attachmentText(cli: Cli, { endpoint, spec, mtu, interfaceAddresses, gateways, dns }: Attachment): string {
  return fields(cli.io, [
    ["Endpoint", endpoint],
    ["Network", `${spec.network}${spec.slice === undefined ? "" : `, slice ${spec.slice}`}`],
    ["Workload", spec.workload],
    ["Range", spec.range],
    ["Host", spec.host],
    ["Interface", spec.ifname],
    ["Addresses", interfaceAddresses.join(", ")],
    ["Gateway", gateways.join(", ")],
    ["DNS", dns.join(", ")],
    ["MAC", spec.mac],
    ["MTU", String(mtu)],
  ]);
}
