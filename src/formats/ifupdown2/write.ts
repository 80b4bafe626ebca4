// Writes a plan as stanzas of ifupdown2, in its own words as far as it has them. Its tunnels have no key, so GRE is
// made by a command.
import { addLine, entryLines, fdbLines, offloadLines, portLines } from "../lines.ts";
import { type LinkPlan, type PlanLink, type VxlanLink, inOrder, isBare, portsOf } from "../plan.ts";
import { type Order, type Written, PLAIN, comments, fileName } from "../writing.ts";

export function writeIfupdown2({ plan, name, header }: Order): Written {
  const stanzas = inOrder(plan)
    .filter((link) => !isBare(link))
    .map((link) => stanzaText(plan, link));
  const file = { path: fileName(name), text: [comments(header), ...stanzas].join("\n"), mode: PLAIN };
  const lacks = plan.links
    .filter(({ kind, mtu }) => mtu === undefined && (kind === "bridge" || kind === "vxlan"))
    .map((link) => `${link.name}: its MTU is not known, and ifupdown2 would make it 1500, not what the tunnel allows`);
  return { folder: "/etc/network/interfaces.d", files: [file], lacks };
}

function stanzaText(plan: LinkPlan, link: PlanLink): string {
  const { name, addresses, mtu, mac } = link;
  const isRun = link.kind === "gretap";
  const known = link.kind === "vxlan" ? fdbLines({ ...link, remotes: [] }) : [];
  const lines = [
    ...addresses.map((address) => `address ${address}`),
    ...(mac === undefined || isRun ? [] : [`hwaddress ${mac}`]),
    ...(mtu === undefined || isRun ? [] : [`mtu ${mtu}`]),
    ...kindLines(plan, link),
    ...[...offloadLines(link), ...known, ...entryLines(link)].map((line) => `post-up ${line}`),
    ...(isRun ? [`post-down ip link del ${name}`] : []),
  ];
  return `auto ${name}\niface ${name}\n${lines.map((line) => `    ${line}\n`).join("")}`;
}

function kindLines(plan: LinkPlan, link: PlanLink): readonly string[] {
  switch (link.kind) {
    case "nic":
      return [];
    case "bridge": {
      const ports = portsOf(plan, link.name).map((port) => port.name);
      return [
        `bridge-ports ${ports.length === 0 ? "none" : ports.join(" ")}`,
        `bridge-stp ${link.stp ? "on" : "off"}`,
        `bridge-fd ${link.forwardDelay}`,
        ...portsOf(plan, link.name).flatMap((port) => portLines(port).map((line) => `post-up ${line}`)),
      ];
    }
    case "vxlan":
      return vxlanLines(link);
    case "gretap":
      return [`pre-up ${addLine(link)}`];
    case "vlan":
      return [`vlan-raw-device ${link.parent}`, `vlan-id ${link.id}`, ...(link.outer ? ["vlan-protocol 802.1ad"] : [])];
  }
}

function vxlanLines({ vni, port, learning, local, remotes, group, dev, ttl }: VxlanLink): readonly string[] {
  const six = group?.includes(":") === true ? "6" : "";
  return [
    `vxlan-id ${vni}`,
    `vxlan-port ${port}`,
    `vxlan-learning ${learning ? "on" : "off"}`,
    ...(local === undefined ? [] : [`vxlan-local-tunnelip ${local}`]),
    ...(group === undefined ? [] : [`vxlan-mcastgrp${six} ${group}`]),
    ...(dev === undefined ? [] : [`vxlan-physdev ${dev}`]),
    ...(ttl === undefined ? [] : [`vxlan-ttl ${ttl}`]),
    ...remotes.map((remote) => `vxlan-remoteip ${remote}`),
  ];
}
