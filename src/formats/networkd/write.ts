// Writes a plan as files of systemd-networkd: a .netdev for each link that is made, a .network for what is on it, and a
// drop-in for a device that has a .network of its own, because a device names what stands on it. A .link for what only
// udev sets.
import { FLOOD_MAC } from "../../datapath/kinds/entries.ts";
import { familyOf } from "../../model/address.ts";
import { type LinkPlan, type PlanLink, isBare, needsOf } from "../plan.ts";
import { isDefault } from "../routes.ts";
import { type Order, type Written, type WrittenFile, PLAIN, comments, fileName } from "../writing.ts";

type Entry = readonly [key: string, value: string | number | undefined];
type Section = readonly [name: string, entries: readonly Entry[]];

export function writeNetworkd({ plan, name, header }: Order): Written {
  const file = (path: string, sections: readonly Section[]): WrittenFile => ({
    path,
    mode: PLAIN,
    text: [comments(header), ...sections.map(sectionText)].join("\n"),
  });
  const prefix = `50-${fileName(name)}`;
  const files = plan.links.flatMap((link): readonly WrittenFile[] => {
    const carried = carriedOf(plan, link);
    if (isBare(link)) {
      if (carried.length === 0) return [];
      const match: Section = ["Match", [["Name", link.name]]];
      return [file(`${link.name}.network.d/${fileName(name)}.conf`, [match, ["Network", carried]])];
    }
    const network = file(`${prefix}-${link.name}.network`, networkOf(link, carried));
    const own = link.offload === false ? [file(`${prefix}-${link.name}.link`, linkOf(link))] : [];
    return link.kind === "nic" ? [network] : [file(`${prefix}-${link.name}.netdev`, netdevOf(link)), ...own, network];
  });
  return { folder: "/etc/systemd/network", files, lacks: [] };
}

function sectionText([name, entries]: Section): string {
  const lines = entries.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}\n`]));
  return `[${name}]\n${lines.join("")}`;
}

const CARRIED = { vxlan: "VXLAN", vlan: "VLAN", gretap: "Tunnel" } as const;

/** What stands on a link, in the words of its [Network]. */
function carriedOf({ links }: LinkPlan, { name }: PlanLink): readonly Entry[] {
  return links.flatMap((link): readonly Entry[] =>
    link.kind === "nic" || link.kind === "bridge" || !needsOf(link).includes(name)
      ? []
      : [[CARRIED[link.kind], link.name]],
  );
}

function netdevOf(link: Exclude<PlanLink, { kind: "nic" }>): readonly Section[] {
  const isSix = link.kind === "gretap" && familyOf(link.local) === 6;
  const head: Section = [
    "NetDev",
    [
      ["Name", link.name],
      ["Kind", isSix ? "ip6gretap" : link.kind],
      ["MTUBytes", link.mtu],
      ["MACAddress", link.mac],
    ],
  ];
  return [head, kindSection(link, isSix)];
}

/** For udev, which applies it when the device appears. */
function linkOf({ name }: PlanLink): readonly Section[] {
  return [
    ["Match", [["OriginalName", name]]],
    ["Link", [["TransmitChecksumOffload", flag(false)]]],
  ];
}

function kindSection(link: Exclude<PlanLink, { kind: "nic" }>, isSix: boolean): Section {
  switch (link.kind) {
    case "bridge":
      return [
        "Bridge",
        [
          ["STP", flag(link.stp)],
          ["ForwardDelaySec", link.forwardDelay],
        ],
      ];
    case "vxlan":
      return [
        "VXLAN",
        [
          ["VNI", link.vni],
          ["Group", link.group],
          ["Local", link.local],
          ["TTL", link.ttl],
          ["DestinationPort", link.port],
          ["MacLearning", flag(link.learning)],
          // On, as the kernel has it by itself; networkd would turn it off.
          ["UDPChecksum", "yes"],
          ["Independent", link.dev === undefined ? "yes" : undefined],
        ],
      ];
    case "gretap":
      return [
        "Tunnel",
        [
          ["Local", link.local],
          ["Remote", link.remote],
          ["Key", link.key],
          ["TTL", link.ttl],
          // networkd would ask for a limit of 0 otherwise, which costs 8 bytes of each packet.
          ["EncapsulationLimit", isSix ? "none" : undefined],
          ["Independent", link.dev === undefined ? "yes" : undefined],
        ],
      ];
    case "vlan":
      return [
        "VLAN",
        [
          ["Id", link.id],
          ["Protocol", link.outer ? "802.1ad" : undefined],
        ],
      ];
  }
}

const flag = (value: boolean) => (value ? "yes" : "no");

function networkOf(link: PlanLink, carried: readonly Entry[]): readonly Section[] {
  const { name, master, addresses, routes, neighbours } = link;
  const entries = link.kind === "vxlan" ? [...link.remotes.map((dst) => ({ mac: FLOOD_MAC, dst })), ...link.fdb] : [];
  const own: Section[] =
    link.kind === "nic"
      ? [
          [
            "Link",
            [
              ["MTUBytes", link.mtu],
              ["MACAddress", link.mac],
            ],
          ],
        ]
      : [];
  return [
    ["Match", [["Name", name]]],
    ...own.filter(([, pairs]) => pairs.some(([, value]) => value !== undefined)),
    [
      "Network",
      [
        ["Bridge", master],
        // A port of a bridge needs no address, and a segment of several hosts no router that somebody announces.
        ["LinkLocalAddressing", master === undefined ? undefined : "no"],
        ["IPv6AcceptRA", "no"],
        ["ConfigureWithoutCarrier", link.kind === "nic" ? undefined : "yes"],
        ...carried,
        ...addresses.map((address): Entry => ["Address", address]),
      ],
    ],
    ...(link.isolated === true ? [["Bridge", [["Isolated", "yes"]]] satisfies Section] : []),
    ...routes.map((route): Section => {
      const { to, via, onlink, source, metric } = route;
      return [
        "Route",
        [
          ["Destination", isDefault(route) && via !== undefined ? undefined : to],
          ["Gateway", via],
          ["GatewayOnLink", onlink === true ? "yes" : undefined],
          ["PreferredSource", source],
          ["Metric", metric],
        ],
      ];
    }),
    ...neighbours.map(
      ({ ip, mac }): Section => [
        "Neighbor",
        [
          ["Address", ip],
          ["LinkLayerAddress", mac],
        ],
      ],
    ),
    ...entries.map(
      ({ mac, dst }): Section => [
        "BridgeFDB",
        [
          ["MACAddress", mac],
          ["Destination", dst],
        ],
      ],
    ),
  ];
}
