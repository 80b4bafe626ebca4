// What a network looks like in a terminal.
import { bridgeOfOthers } from "../../model/bridges.ts";
import { ALL_HOSTS } from "../../model/carrying.ts";
import { cniText } from "../../model/cni.ts";
import { DRIVERS, isPhysical } from "../../model/driver.ts";
import { labelsText } from "../../model/labels.ts";
import { ETHERNET_MTU, leastMtu } from "../../model/mtu.ts";
import { quarantineMs } from "../../model/range.ts";
import type { Network, NetworkSpec, Snapshot, Vrf } from "../../model/resource.ts";
import type { Cli } from "../context.ts";
import type { ClusterStatus } from "../../model/status.ts";
import { deliveryText } from "../host/paths.ts";
import { limitText, shortLimits } from "../endpoint/limit.ts";
import type { ServerClient } from "../input/connect.ts";
import { count } from "../io.ts";
import { fields, type Column } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { spoofingText, subnetsText } from "./draft.ts";
import { changingFields, formerWay } from "./changing.ts";
import { carriersOf, hostsText, leftOutFields } from "./hosts.ts";
import { progressFields } from "./progress.ts";
import { reservationsText } from "./reserve.ts";
import { vlanText, wayText } from "./way.ts";

export function networkColumns(snapshot: Snapshot): readonly Column<Network>[] {
  const vrfs = new Map(snapshot.vrfs.map((vrf) => [vrf.name, vrf]));
  return [
    { header: "NAME", of: (n) => n.name },
    {
      header: "SUBNETS",
      of: ({ spec }) => (spec.reservedFrom ? `from ${spec.reservedFrom}` : subnetsText(spec.subnets)),
    },
    { header: "IPAM", of: (n) => n.spec.ipam },
    { header: "VNI", of: (n) => vniCell(n, vrfs.get(n.spec.vrf), snapshot) },
    { header: "VRF", of: (n) => n.spec.vrf },
    { header: "DRIVER", of: (n) => DRIVERS[n.spec.driver].title, wide: true },
    { header: "VLAN", of: (n) => vlanText(n.spec) ?? "", wide: true },
    { header: "ENABLED", of: (n) => (n.spec.enabled ? "yes" : { text: "no", tone: "warn" }) },
    { header: "MTU", of: (n) => (n.spec.mtu === undefined ? "auto" : String(n.spec.mtu)), wide: true },
    { header: "MASQUERADE", of: (n) => (n.spec.masquerade ? "yes" : "no"), wide: true },
    {
      header: "POOL",
      of: (n) => poolText(n.spec, "/"),
      wide: true,
    },
    { header: "LIMITS", of: (n) => shortLimits(n.spec.qos), wide: true },
    { header: "LABELS", of: (n) => labelsText(n.spec.labels), wide: true },
    { header: "SLICES", of: (n) => (n.spec.slices ?? []).map((s) => s.name).join(","), wide: true },
    { header: "DESCRIPTION", of: (n) => n.spec.description ?? "", wide: true },
  ];
}

function poolText({ pool }: NetworkSpec, id: string): string {
  return pool === undefined ? "" : `${pool.name}${pool.id === undefined ? "" : `${id}${pool.id}`}`;
}

function vniOf(network: Network, vrf: Vrf | undefined): number | undefined {
  return network.spec.ipam === "local" ? vrf?.spec.vni : network.spec.vni;
}

function wayFields(network: Network, vrf: Vrf | undefined, snapshot: Snapshot): [string, string | undefined][] {
  return [
    ["VNI", vniOf(network, vrf)?.toString()],
    ...wayText(network, vrf?.spec.tunnelPort),
    ["Group", groupText(network)],
    ["MTU", mtuText(network, snapshot)],
  ];
}

function formerFields(network: Network, vrf: Vrf | undefined, snapshot: Snapshot) {
  const former = formerWay(network, vrf, snapshot);
  return former && { ...former, before: wayFields(former.before.network, former.before.vrf, snapshot) };
}

/** `4097`; while it changes, `4097 to 5000`. */
function vniCell(network: Network, vrf: Vrf | undefined, snapshot: Snapshot): string {
  const { before } = formerWay(network, vrf, snapshot) ?? {};
  const [was, is] = [before && vniOf(before.network, before.vrf), vniOf(network, vrf)];
  return before === undefined || was === is ? String(is ?? "") : `${was ?? "none"} to ${is ?? "none"}`;
}

export async function networkText(cli: Cli, network: Network, server: ServerClient): Promise<string> {
  const { name, spec, revision } = network;
  const [snapshot, status, progress] = await Promise.all([server.snapshot(), server.status(), server.progress(name)]);
  const told = status.conditions.filter(({ object }) => object === `network/${name}` || object === `vrf/${spec.vrf}`);
  const vrf = snapshot.vrfs.find((one) => one.name === spec.vrf);
  const endpoints = snapshot.endpoints.filter((endpoint) => endpoint.spec.network === name);
  const isLocal = spec.ipam === "local";
  const head = fields(cli.io, [
    ["Name", name],
    ["Description", spec.description],
    ["Labels", labelsText(spec.labels) || undefined],
    ["Subnets", subnetsText(spec.subnets)],
    ["Gateway", gatewayText(network)],
    ["Reserved from", spec.reservedFrom],
    ["Tenant", spec.tenant],
    [
      "Addresses",
      isLocal ? "local: each host assigns from its block" : "global: the server assigns, one segment over all hosts",
    ],
    ["Ranges", spec.ranges?.map((range) => `${range.name} (${range.type})`).join(", ")],
    ["Strategy", strategyText(network)],
    ["DNS", spec.dns?.join(", ")],
    ["Slices", spec.slices?.map((slice) => `${slice.name} (bridge ${slice.bridge}-${name})`).join(", ")],
    ["Pool", poolText(spec, ", id ")],
    ["VRF", spec.vrf],
    ["Placement", vrf?.spec.placement === "host" ? "host: in the hosts' own namespace" : undefined],
    ["Bridge", bridgeOfOthers(spec) === undefined ? spec.bridge : `${spec.bridge}, which hosts have already`],
    ["Device", spec.device],
    ["Takes over", spec.takeOver === true ? "its bridge and device, where other programs made them" : undefined],
    ["Spanning tree", spanningTreeText(spec)],
    ["Hosts", spec.hosts?.map((host) => (host === ALL_HOSTS ? "all" : host)).join(", ")],
    ["Clusters", spec.clusters && `${spec.clusters.join(", ")}: ${spec.clusterHosts?.join(", ") || "no hosts"}`],
    ...leftOutFields(network, snapshot),
    ...changingFields(wayFields(network, vrf, snapshot), formerFields(network, vrf, snapshot)),
    ...deliveryFields(name, status),
    ["Outsiders", spec.outsiders?.join(", ")],
    ["Offload", spec.offload],
    ["Inbound", limitText([["network", spec.qos]], "inbound")],
    ["Outbound", limitText([["network", spec.qos]], "outbound")],
    ["Masquerade", spec.masquerade ? "yes" : "no"],
    ["Security groups", spec.securityGroups?.join(", ")],
    ["Spoofing", spoofingText(spec.spoofing)],
    ["Enabled", spec.enabled ? "yes" : "no"],
    ["CNI", cniText(network)],
    ...progressFields(progress, endpoints.length),
    ["Revision", String(revision)],
    ...told.map(({ message }): [string, Cell] => ["Condition", { text: message, tone: "warn" }]),
  ]);
  return head + reservationsText(cli, network, snapshot) + hostsText(cli, network, snapshot);
}

/** Of a segment; nothing for one without subnets. */
function gatewayText({ spec }: Network): string | undefined {
  if (spec.ipam === "local") return "the first address of each block, on its host";
  const gateways = spec.subnets.flatMap(({ gateway }) =>
    gateway === undefined || gateway === "none" ? [] : [gateway],
  );
  const outside = (spec.parent ?? spec.bridge) === undefined ? "none of the hosts" : "a machine outside";
  if (gateways.length === 0) return spec.subnets.length === 0 ? undefined : "none";
  return `${gateways.join(", ")}, ${isPhysical(spec) ? outside : "on each host"}`;
}

function spanningTreeText(spec: Network["spec"]): string | undefined {
  const { stp, forwardDelay } = spec;
  const delay = forwardDelay === undefined ? undefined : `forward delay ${forwardDelay} s`;
  if (stp !== true) return bridgeOfOthers(spec) === undefined ? undefined : delay;
  return delay === undefined ? "on" : `on, ${delay}`;
}

function strategyText({ spec }: Network): string | undefined {
  if (spec.ipam === "local") return undefined;
  const kept = `quarantine ${quarantineMs(spec) / 1000} s`;
  return [spec.strategy ?? "lowest", ...(spec.sticky === true ? ["sticky"] : []), kept].join(", ");
}

/** Between how many pairs of hosts the group is delivered, and those between which it is not. */
function deliveryFields(name: string, { groups = [] }: ClusterStatus): [string, Cell][] {
  const seen = groups.find(({ network }) => network === name);
  if (seen === undefined) return [];
  const { pairs, proven, unproven } = seen;
  return [
    ["Delivered", `between ${proven} of ${count(pairs, "pair")} of hosts`],
    ...unproven.map((pair): [string, Cell] => {
      return ["Delivery", { text: deliveryText(pair), tone: pair.state === "unknown" ? "warn" : "bad" }];
    }),
  ];
}

function groupText({ spec: { group, ttl, underlayDevice } }: Network): string | undefined {
  if (group === undefined) return undefined;
  return [
    group,
    ...(ttl === undefined ? [] : [`TTL ${ttl}`]),
    ...(underlayDevice === undefined ? [] : [`on ${underlayDevice}`]),
  ].join(", ");
}

/** The one that was chosen, or what its hosts carry. */
function mtuText(network: Network, snapshot: Snapshot): string {
  const { spec } = network;
  if (spec.mtu !== undefined) return String(spec.mtu);
  const carriers = carriersOf(network, snapshot);
  const hosts = carriers.length === 0 && isPhysical(spec) ? snapshot.hosts : carriers;
  const least = leastMtu(spec, hosts, new Map((snapshot.physicalNetworks ?? []).map((one) => [one.name, one])));
  const bridge = bridgeOfOthers(spec) ?? (spec.driver === "ovs" ? spec.bridge : undefined);
  if (!isPhysical(spec)) return `auto: ${least === undefined ? "" : `${least}, `}what the underlay leaves`;
  if (bridge === undefined && spec.parent === undefined) return `auto: ${ETHERNET_MTU}, as nothing leads outside`;
  const way = bridge === undefined ? "the physical network" : `bridge ${bridge}`;
  return `auto: ${least ?? `${ETHERNET_MTU}, until a host says`}${least === undefined ? "" : ","} what ${way} carries`;
}
