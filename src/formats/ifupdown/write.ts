// Writes a plan as stanzas of ifupdown: its own words for bridges and addresses, commands of iproute2 for all else.
import { familyOf } from "../../model/address.ts";
import { addLine, addressLine, entryLines, fdbLines, offloadLines, portLines } from "../lines.ts";
import { type LinkPlan, type PlanLink, inOrder, isBare, portsOf } from "../plan.ts";
import { type Order, type Written, PLAIN, comments, fileName } from "../writing.ts";

/** Anything can be said, because anything can be run. */
export function writeIfupdown({ plan, name, header }: Order): Written {
  const stanzas = inOrder(plan)
    .filter((link) => !isBare(link))
    .map((link) => stanzaText(plan, link));
  const file = { path: fileName(name), text: [comments(header), ...stanzas].join("\n"), mode: PLAIN };
  return { folder: "/etc/network/interfaces.d", files: [file], lacks: [] };
}

function stanzaText(plan: LinkPlan, link: PlanLink): string {
  const { name, addresses } = link;
  const first = addresses.find((address) => familyOf(address) === 4);
  const others = addresses.filter((address) => address !== first);
  const lines = [
    ...(first === undefined ? [] : [`address ${first}`]),
    ...deviceLines(plan, link),
    ...[
      ...offloadLines(link),
      ...fdbLines(link),
      ...others.map((address) => addressLine(address, name)),
      ...entryLines(link),
    ].map((line) => `up ${line}`),
    ...(link.kind === "nic" || link.kind === "bridge" ? [] : [`post-down ip link del ${name}`]),
  ];
  const method = first === undefined ? "manual" : "static";
  return `auto ${name}\niface ${name} inet ${method}\n${lines.map((line) => `    ${line}\n`).join("")}`;
}

function deviceLines(plan: LinkPlan, link: PlanLink): readonly string[] {
  const { name, mtu, mac } = link;
  const set = [...(mac === undefined ? [] : [`address ${mac}`]), ...(mtu === undefined ? [] : [`mtu ${mtu}`])];
  // bridge-utils would give every port the bridge's `mtu`, and sleep for a second over its `bridge_hw`.
  const sets = set.map((what) => `up ip link set ${name} ${what}`);
  // An interface without an address is not brought up by the method itself.
  const up = link.addresses.length > 0 && familyOf(link.addresses[0] ?? "") === 4 ? [] : [`up ip link set ${name} up`];
  if (link.kind === "nic") return [...sets, ...up];
  if (link.kind !== "bridge") return [`pre-up ${addLine(link)}`, ...up];
  const ports = portsOf(plan, name).map((port) => port.name);
  return [
    `bridge_ports ${ports.length === 0 ? "none" : ports.join(" ")}`,
    `bridge_stp ${link.stp ? "on" : "off"}`,
    `bridge_fd ${link.forwardDelay}`,
    "bridge_waitport 0",
    "bridge_maxwait 0",
    ...sets,
    ...up,
    ...portsOf(plan, name).flatMap((port) => portLines(port).map((line) => `up ${line}`)),
  ];
}
