// Checks the values of a config.yaml against each other. Pure: a config in, problems and notes with their paths out;
// reader.ts knows the position of a path in the file. A value that was refused while reading is "" or missing, and
// skipped.
import { BITS, type Cidr, cidrOf, contains, ipOf, overlaps, parseCidr } from "../../model/address.ts";
import { IPV6_MTU_MIN, NETWORK_MTU } from "../../model/limits.ts";
import type { DcosConfig, DcosOverlay } from "./overlay.ts";
import type { Problem } from "./reader.ts";

/** Address bits of one half of a block at least: network, gateway, a container and broadcast. */
const HALF_BITS = 2;

/** Address space without owners on the internet: private (RFC 1918, 4193), shared (6598), benchmarks (2544). */
const PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7"].map(
  (text) => parseCidr(text, "private"),
);

const NETWORK = "dcos_overlay_network";

type Rule = (config: DcosConfig) => readonly Problem[];
type Note = { readonly path: string; readonly message: string };
/** Addresses with the path that gives them, and a name for messages. */
type Space = { readonly path: string; readonly cidr: Cidr; readonly title: string };

/** Everything that is wrong between values that are each right. */
export function problemsOf(config: DcosConfig): readonly Problem[] {
  return RULES.flatMap((rule) => rule(config));
}

const RULES: readonly Rule[] = [names, prefixes, vtepSubnets, spacesApart, hostsOutside, defaultName, mtuForIpv6];

function names({ overlays }: DcosConfig): readonly Problem[] {
  return overlays.flatMap(({ name }, i): Problem[] => {
    const first = overlays.findIndex((overlay) => overlay.name === name);
    if (name === "" || first === i) return [];
    const what = `"${name}" is the name of overlays[${first}] too`;
    return [{ path: `${overlayPath(i)}.name`, reason: "name-taken", what, fix: "give each overlay its own name" }];
  });
}

function prefixes({ overlays }: DcosConfig): readonly Problem[] {
  return overlays.flatMap((overlay, i) =>
    familiesOf(overlay).flatMap(({ key, cidr, prefix }): Problem[] => {
      const most = BITS[cidr.family] - HALF_BITS - 1;
      if (prefix === undefined || (prefix >= cidr.length && prefix <= most)) return [];
      const what = `a block of /${prefix} for each host does not fit`;
      const why =
        prefix > most
          ? "half a block must have an address for a gateway and for a container"
          : `the whole network is a /${cidr.length}`;
      const fix = `give ${cidr.length} to ${most}`;
      return [{ path: `${overlayPath(i)}.${key}`, reason: "prefix-invalid", what, why, fix }];
    }),
  );
}

function vtepSubnets({ vtepSubnet, vtepSubnet6, overlays }: DcosConfig): readonly Problem[] {
  const problems: Problem[] = [];
  const unfit = (key: string, why: string, fix: string) =>
    problems.push({
      path: `${NETWORK}.${key}`,
      reason: "prefix-invalid",
      what: `${key} has an unfit length`,
      why,
      fix,
    });
  const [length4 = 8, length6 = 0] = [cidrOf(vtepSubnet)?.length, cidrOf(vtepSubnet6 ?? "")?.length];
  const none = "without its first and last address none is left";
  if (length4 < 8)
    unfit("vtep_subnet", "only the low 24 bits of an address are in its VTEP's MAC", "use a /8 or longer");
  if (length4 > 30) unfit("vtep_subnet", none, "use a /30 or shorter");
  if (length6 > 126) unfit("vtep_subnet6", none, "use a /126 or shorter");
  const needs6 = overlays.findIndex((overlay) => overlay.subnet6 !== undefined);
  if (needs6 >= 0 && vtepSubnet6 === undefined) {
    const [what, why] = ["vtep_subnet6 is missing", `overlays[${needs6}] has a subnet6`];
    const fix = "add it, like vtep_subnet6: fd01:a::/64";
    problems.push({ path: `${NETWORK}.vtep_subnet6`, reason: "yaml-invalid", what, why, fix });
  }
  return problems;
}

/** Overlays, VTEPs and Calico share one routing table: no two of them may share an address. */
function spacesApart(config: DcosConfig): readonly Problem[] {
  const spaces = [...spacesOf(config), ...spaceAt("calico_network_cidr", "calico_network_cidr", config.calicoCidr)];
  const fix = "take another range for one of them";
  return spaces.flatMap(({ path, cidr, title }, i) =>
    spaces.slice(0, i).flatMap((other): Problem[] => {
      const isForeign = path === "calico_network_cidr" && other.path.startsWith(`${NETWORK}.vtep`);
      if (!overlaps(cidr, other.cidr) || isForeign) return [];
      return [{ path, reason: "overlap", what: `${title} overlaps ${other.title}`, fix }];
    }),
  );
}

/** If a host's own address is inside a network, packets to it would go into the tunnel that needs this address. */
function hostsOutside(config: DcosConfig): readonly Problem[] {
  const { agents, publicAgents, masters } = config;
  const lists = Object.entries({ agent_list: agents, public_agent_list: publicAgents, master_list: masters });
  return lists.flatMap(([list, addresses]) =>
    addresses.flatMap((address, i): Problem[] => {
      const ip = ipOf(address);
      const around = ip && spacesOf(config).find((space) => contains(space.cidr, ip));
      if (around === undefined) return [];
      const what = `the host's address ${address} is inside ${around.title}`;
      return [{ path: `${list}[${i}]`, reason: "overlap", what, fix: "take another range for the network" }];
    }),
  );
}

function defaultName({ defaultNetwork, overlays }: DcosConfig): readonly Problem[] {
  if (defaultNetwork === undefined || overlays.some((overlay) => overlay.name === defaultNetwork)) return [];
  const what = `Default overlay network name does not reference a defined overlay network: ${defaultNetwork}`;
  const fix = `give the name of one: ${overlays.map((overlay) => overlay.name).join(", ")}`;
  return [{ path: "dcos_overlay_network_default_name", reason: "network-unknown", what, fix }];
}

function mtuForIpv6({ overlayMtu, overlays, enableIpv6 }: DcosConfig): readonly Problem[] {
  const first = overlays.findIndex((overlay) => overlay.subnet6 !== undefined);
  if (overlayMtu === undefined || overlayMtu >= IPV6_MTU_MIN || !enableIpv6 || first < 0) return [];
  const what = `an MTU of ${overlayMtu} is too small`;
  const why = `overlays[${first}] has IPv6, which needs ${IPV6_MTU_MIN} bytes (RFC 8200)`;
  return [{ path: "dcos_overlay_mtu", reason: "mtu-invalid", what, why, fix: "raise it, or set enable_ipv6 to false" }];
}

/** What is allowed but should be mentioned. */
export function notesOn(config: DcosConfig): readonly Note[] {
  return [...switchedOff(config), ...publicSpace(config), ...room(config), ...leastMtu(config), ...roles(config)];
}

function switchedOff({ overlayEnable }: DcosConfig): readonly Note[] {
  return overlayEnable ? [] : [{ path: "dcos_overlay_enable", message: "false: the file asks for no virtual network" }];
}

function publicSpace(config: DcosConfig): readonly Note[] {
  return spacesOf(config)
    .filter(({ cidr }) => !PRIVATE.some((range) => range.length <= cidr.length && overlaps(range, cidr)))
    .map(({ path, title }) => ({
      path,
      message: `${title} is public address space: its real owners are out of reach from these networks`,
    }));
}

/** Blocks and VTEP addresses run out at a number of hosts; the file may already list more. */
function room({ agents, publicAgents, masters, overlays, vtepSubnet }: DcosConfig): readonly Note[] {
  const hosts = agents.length + publicAgents.length + masters.length;
  const vteps = 2 ** (32 - (cidrOf(vtepSubnet)?.length ?? 31)) - 2;
  const few = {
    path: `${NETWORK}.vtep_subnet`,
    message: `has addresses for ${counted(vteps)}, and the file lists ${hosts}`,
  };
  const blocks = overlays.flatMap((overlay, i) =>
    familiesOf(overlay).flatMap(({ key, cidr, prefix }): Note[] => {
      const fits = 2 ** ((prefix ?? cidr.length) - cidr.length);
      if (fits > 1 && fits >= hosts) return [];
      const message =
        fits === 1
          ? "each host's block is the whole network: it works on one host only"
          : `there are blocks for ${counted(fits)}`;
      const listed = hosts > fits ? `, and the file lists ${hosts}` : "";
      return [{ path: `${overlayPath(i)}.${key}`, message: `${message}${listed}` }];
    }),
  );
  return [...(vteps >= hosts ? [] : [few]), ...blocks];
}

function leastMtu({ overlayMtu }: DcosConfig): readonly Note[] {
  if (overlayMtu === undefined || overlayMtu >= NETWORK_MTU.minimum) return [];
  const message = `the least MTU of a Weft network is ${NETWORK_MTU.minimum}; it is used instead`;
  return [{ path: "dcos_overlay_mtu", message }];
}

function roles({ masters, overlays, enableIpv6 }: DcosConfig): readonly Note[] {
  const mentioned = `${counted(masters.length)}: members of every network, with blocks but no bridges, as in DC/OS`;
  const without = overlays.flatMap((overlay) => (overlay.subnet6 === undefined ? [] : [overlay.name]));
  const off = { path: "enable_ipv6", message: `false: no IPv6 in ${without.join(", ")}` };
  return [
    ...(masters.length === 0 ? [] : [{ path: "master_list", message: mentioned }]),
    ...(enableIpv6 || without.length === 0 ? [] : [off]),
  ];
}

function spacesOf({ vtepSubnet, vtepSubnet6, overlays }: DcosConfig): readonly Space[] {
  return [
    ...spaceAt(`${NETWORK}.vtep_subnet`, "vtep_subnet", vtepSubnet),
    ...spaceAt(`${NETWORK}.vtep_subnet6`, "vtep_subnet6", vtepSubnet6),
    ...overlays.flatMap(({ name, subnet, subnet6 }, i) => {
      const owner = name === "" ? `overlays[${i}]` : name;
      return [
        ...spaceAt(`${overlayPath(i)}.subnet`, owner, subnet),
        ...spaceAt(`${overlayPath(i)}.subnet6`, owner, subnet6),
      ];
    }),
  ];
}

function spaceAt(path: string, owner: string, text: string | undefined): readonly Space[] {
  const cidr = cidrOf(text ?? "");
  return cidr === undefined ? [] : [{ path, cidr, title: `${text} (${owner})` }];
}

function familiesOf({ subnet = "", subnet6 = "", prefix, prefix6 }: DcosOverlay) {
  const families = [
    { key: "prefix", cidr: cidrOf(subnet), prefix },
    { key: "prefix6", cidr: cidrOf(subnet6), prefix: prefix6 },
  ];
  return families.flatMap(({ cidr, ...rest }) => (cidr === undefined ? [] : [{ ...rest, cidr }]));
}

function overlayPath(index: number): string {
  return `${NETWORK}.overlays[${index}]`;
}

function counted(hosts: number): string {
  return hosts === 1 ? "1 host" : `${hosts} hosts`;
}
