// Writes a plan as netplan's YAML.
import { stringify } from "yaml";
import { familyOf } from "../../model/address.ts";
import { defined } from "../../model/defined.ts";
import { type LinkPlan, type PlanLink, type PlanRoute, isBare, needsOf, portsOf } from "../plan.ts";
import { type Order, type Written, comments, fileName } from "../writing.ts";

export function writeNetplan({ plan, name, header }: Order): Written {
  const sections: Record<string, Record<string, unknown>> = {};
  const needed = new Set(plan.links.filter(({ kind }) => kind !== "gretap").flatMap(needsOf));
  for (const link of plan.links) {
    if (isBare(link) && !needed.has(link.name)) continue;
    const section = (sections[SECTIONS[link.kind]] ??= {});
    section[link.name] = { ...commonOf(link), ...kindOf(plan, link) };
  }
  const text = comments(header) + stringify({ network: { version: 2, renderer: "networkd", ...sections } });
  const file = { path: `60-${fileName(name)}.yaml`, text, mode: 0o600 };
  return { folder: "/etc/netplan", files: [file], lacks: plan.links.flatMap(lacksOf) };
}

const SECTIONS = {
  nic: "ethernets",
  bridge: "bridges",
  vlan: "vlans",
  vxlan: "tunnels",
  gretap: "tunnels",
} as const satisfies Readonly<Record<PlanLink["kind"], string>>;

function commonOf({ mac: macaddress, mtu, addresses, routes }: PlanLink): Readonly<Record<string, unknown>> {
  return {
    ...defined({ macaddress, mtu }),
    ...(addresses.length === 0 ? {} : { addresses }),
    ...(routes.length === 0 ? {} : { routes: routes.map(routeOf) }),
  };
}

function routeOf({ to, via, onlink, source, metric }: PlanRoute): Readonly<Record<string, unknown>> {
  return defined({ to, via, "on-link": onlink, from: source, metric });
}

function kindOf(plan: LinkPlan, link: PlanLink): Readonly<Record<string, unknown>> {
  switch (link.kind) {
    case "nic":
      return {};
    case "bridge": {
      const interfaces = portsOf(plan, link.name).map(({ name }) => name);
      return { interfaces, parameters: { stp: link.stp, "forward-delay": link.forwardDelay } };
    }
    case "vxlan": {
      const { vni: id, dev, local, group, remotes, ttl, port, learning, master } = link;
      const to = defined({ id, link: dev, local, remote: group ?? remotes[0], ttl, port, "mac-learning": learning });
      // On, as the kernel has it by itself; networkd would turn it off.
      return { mode: "vxlan", ...to, checksums: ["udp"], ...(master === undefined ? {} : { "link-local": [] }) };
    }
    case "gretap": {
      const { local, remote, key, ttl } = link;
      return { mode: familyOf(local) === 6 ? "ip6gretap" : "gretap", ...defined({ local, remote, key, ttl }) };
    }
    case "vlan":
      return { id: link.id, link: link.parent };
  }
}

/** What netplan has no words for. */
function lacksOf(link: PlanLink): readonly string[] {
  const { name, neighbours } = link;
  return [
    ...(link.isolated === true
      ? [`${name}: netplan cannot isolate a port: with several hosts, frames would go round in circles`]
      : []),
    ...(link.offload === false ? [`${name}: netplan cannot let the kernel write a tunnel's checksums`] : []),
    ...(neighbours.length > 0 ? [`${name}: netplan cannot say permanent neighbours`] : []),
    ...(link.kind === "vxlan" && link.fdb.length > 0 ? [`${name}: netplan cannot say which host has a MAC`] : []),
    ...(link.kind === "vxlan" && link.remotes.length > 1
      ? [`${name}: netplan can name one remote host, not ${link.remotes.length}; only ${link.remotes[0]} is written`]
      : []),
    ...(link.kind === "gretap" && link.dev !== undefined ? [`${name}: netplan cannot bind GRE to ${link.dev}`] : []),
    ...(link.kind === "gretap" && familyOf(link.local) === 6
      ? [`${name}: netplan cannot turn the encapsulation limit off: packets are 8 bytes longer`]
      : []),
    ...(link.kind === "vlan" && link.outer ? [`${name}: netplan cannot say 802.1ad; an 802.1Q tag is written`] : []),
  ];
}
