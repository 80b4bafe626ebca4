// A link in the words of iproute2: what scripts run, and what ifupdown runs where it has no words of its own.
import { FLOOD_MAC } from "../datapath/kinds/entries.ts";
import { familyOf } from "../model/address.ts";
import type { BridgeLink, PlanLink, PlanRoute } from "./plan.ts";
import { isDefault } from "./routes.ts";

/** A link that a command makes. */
export type MadeLink = Exclude<PlanLink, { kind: "nic" }>;

/** `ip link add …`, without what is said of the link afterwards. */
export function addLine(link: MadeLink): string {
  const { name, mac, mtu } = link;
  const parent = link.kind === "vlan" ? ` link ${link.parent}` : "";
  const common = `${wordIf("address", mac)}${wordIf("mtu", mtu)}`;
  return `ip link add${parent} name ${name}${common} type ${typeWords(link)}`;
}

function typeWords(link: MadeLink): string {
  switch (link.kind) {
    case "bridge":
      return `bridge ${bridgeWords(link)}`;
    case "vxlan": {
      const { vni, group, dev, local, ttl, port, learning } = link;
      const to = `${wordIf("group", group)}${wordIf("dev", dev)}${wordIf("local", local)}${wordIf("ttl", ttl)}`;
      return `vxlan id ${vni}${to} dstport ${port}${learning ? "" : " nolearning"}`;
    }
    case "gretap": {
      const { local, remote, key, ttl, dev } = link;
      // With the limit of six nested tunnels, the kernel's default, each packet is 8 bytes longer.
      const [type, limit] = familyOf(local) === 6 ? ["ip6gretap", " encaplimit none"] : ["gretap", ""];
      const rest = `${wordIf("key", key)}${wordIf("ttl", ttl)}${wordIf("dev", dev)}`;
      return `${type} local ${local} remote ${remote}${rest}${limit}`;
    }
    case "vlan":
      return `vlan${link.outer ? " protocol 802.1ad" : ""} id ${link.id}`;
  }
}

function bridgeWords({ stp, forwardDelay }: BridgeLink): string {
  return `stp_state ${stp ? 1 : 0} forward_delay ${Math.round(forwardDelay * 100)}`;
}

function wordIf(word: string, value: string | number | undefined): string {
  return value === undefined ? "" : ` ${word} ${value}`;
}

/** The entries of a VXLAN device. */
export function fdbLines(link: PlanLink): readonly string[] {
  if (link.kind !== "vxlan") return [];
  const entries = [...link.remotes.map((dst) => ({ mac: FLOOD_MAC, dst })), ...link.fdb];
  return entries.map(({ mac, dst }) => `bridge fdb append ${mac} dev ${link.name} dst ${dst} self permanent`);
}

/** Neighbours and routes of a link. Lines may be run twice. */
export function entryLines({ name, neighbours, routes }: PlanLink): readonly string[] {
  return [
    ...neighbours.map(({ ip, mac }) => `ip neigh replace ${ip} lladdr ${mac} dev ${name} nud permanent`),
    ...routes.map((route) => `ip route replace ${routeWords(route, name)}`),
  ];
}

function routeWords(route: PlanRoute, dev: string): string {
  const { via, onlink, source, metric } = route;
  const how = `${onlink === true ? " onlink" : ""}${wordIf("src", source)}${wordIf("metric", metric)}`;
  const to = isDefault(route) && via !== undefined ? "default" : route.to;
  return `${to}${wordIf("via", via)} dev ${dev}${how}`;
}

/** A port that is set apart from other isolated ones, when it is one. */
export function portLines({ name, isolated }: PlanLink): readonly string[] {
  return isolated === true ? [`bridge link set dev ${name} isolated on`] : [];
}

/** Who writes the checksums of what enters a tunnel, if not the device that carries it. */
export function offloadLines({ name, offload }: PlanLink): readonly string[] {
  return offload === false ? [`ethtool -K ${name} tx-checksum-ip-generic off`] : [];
}

export function addressLine(address: string, dev: string): string {
  return `ip address replace ${address} dev ${dev}${familyOf(address) === 6 ? " nodad" : ""}`;
}
