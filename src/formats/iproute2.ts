// Writes a plan as a script of iproute2, and as a unit that runs it at boot.
import { type LinkPlan, type PlanLink, inOrder, isBare, portsOf } from "./plan.ts";
import { addLine, addressLine, entryLines, fdbLines, offloadLines, portLines } from "./lines.ts";
import { type Order, type Written, PLAIN, comments, fileName } from "./writing.ts";

export function writeIproute2({ plan, name, header }: Order): Written {
  const file = fileName(name);
  const program = { path: `${file}.sh`, text: scriptText(plan, header), mode: 0o755 };
  const unit = { path: `${file}.service`, text: unitText(header, `/etc/weft/export/${program.path}`), mode: PLAIN };
  return { folder: "/etc/weft/export", files: [program, unit], lacks: [] };
}

const USE = ['Without an argument it makes the devices; with "down" it removes them.'];

function scriptText(plan: LinkPlan, header: readonly string[]): string {
  const links = inOrder(plan).filter((link) => !isBare(link));
  const made = links.filter(({ kind }) => kind !== "nic").toReversed();
  const down = made.map(({ name }) => `  ! ip link show ${name} >/dev/null 2>&1 || ip link delete ${name}\n`).join("");
  return [
    `#!/bin/bash\n${comments([...header, ...USE])}set -euo pipefail\n`,
    `if [ "\${1:-up}" = down ]; then\n${down}  exit 0\nfi\n`,
    ...links.map((link) => `${linkLines(plan, link).join("\n")}\n`),
  ].join("\n");
}

function linkLines(plan: LinkPlan, link: PlanLink): readonly string[] {
  const { name, addresses } = link;
  return [
    `# ${name}`,
    ...(link.kind === "nic" ? nicLines(link) : [addLine(link)]),
    ...offloadLines(link),
    ...fdbLines(link),
    // Ports stand before their bridge.
    ...portsOf(plan, name).flatMap((port) => [`ip link set ${port.name} master ${name}`, ...portLines(port)]),
    `ip link set ${name} up`,
    ...addresses.map((address) => addressLine(address, name)),
    ...entryLines(link),
  ];
}

function nicLines({ name, mac, mtu }: PlanLink): readonly string[] {
  const words = [...(mac === undefined ? [] : [`address ${mac}`]), ...(mtu === undefined ? [] : [`mtu ${mtu}`])];
  return words.map((word) => `ip link set ${name} ${word}`);
}

function unitText(header: readonly string[], program: string): string {
  return `${comments(header)}[Unit]
Description=Links exported from Weft
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=${program}
ExecStop=${program} down

[Install]
WantedBy=multi-user.target
`;
}
