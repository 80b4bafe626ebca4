// Checks the values of a config.yaml against each other. Pure: a config in, problems and notes with their paths out;
// reader.ts knows the position of a path in the file. A value that was refused while reading is "" or missing, and
// skipped.
import { type Cidr, cidrOf, contains, ipOf, overlaps } from "../../model/address.ts";
import { IPV6_MTU_MIN, NETWORK_MTU } from "../../model/limits.ts";
import { checkName } from "../../model/parse.ts";
import type { DcosConfig, DcosOverlay } from "./overlay.ts";
import { type Problem, refusalOf } from "./reader.ts";

/** Address bits of one half of a block at least: network, gateway, a container and broadcast. */
const HALF_BITS = 2;

/** Address space without owners on the internet: private (RFC 1918, 4193), shared (6598), benchmarks (2544). */
const PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7"].map(
  mustCidr,
);

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
    const path = `${overlayPath(i)}.name`;
    if (name === "") return [];
    const refusal = refusalOf(path, () => checkName("network", name, path));
    const first = overlays.findIndex((overlay) => overlay.name === name);
    const what = `"${name}" is the name of overlays[${first}] too`;
    const taken: Problem = { path, reason: "name-taken", detail: { what, fix: "give each overlay its own name" } };
    return [...(refusal === undefined ? [] : [refusal]), ...(first === i ? [] : [taken])];
  });
}

function prefixes({ overlays }: DcosConfig): readonly Problem[] {
  return overlays.flatMap((overlay, i) =>
    familiesOf(overlay).flatMap(({ key, cidr, prefix }): Problem[] => {
      const path = `${overlayPath(i)}.${key}`;
      const most = (cidr.family === 4 ? 32 : 128) - HALF_BITS - 1;
      if (prefix === undefined || (prefix >= cidr.length && prefix <= most)) return [];
      const small = prefix > most;
      const what = `a block of /${prefix} for each host does not fit`;
      const why = small
        ? "half a block must have an address for a gateway and for a container"
        : `the whole network is a /${cidr.length}`;
      return [{ path, reason: "prefix-invalid", detail: { what, why, fix: `give ${cidr.length} to ${most}` } }];
    }),
  );
}

function vtepSubnets({ vtepSubnet, vtepSubnet6, overlays }: DcosConfig): readonly Problem[] {
  const [v4, v6] = [cidrOf(vtepSubnet), cidrOf(vtepSubnet6 ?? "")];
  const problems: Problem[] = [];
  const no = (key: string, why: string, fix: string) =>
    problems.push({
      path: `dcos_overlay_network.${key}`,
      reason: "prefix-invalid",
      detail: { what: `${key} has an unfit length`, why, fix },
    });
  if (v4 !== undefined && v4.length < 8)
    no("vtep_subnet", "only the low 24 bits of an address are in its VTEP's MAC", "use a /8 or longer");
  if (v4 !== undefined && v4.length > 30)
    no("vtep_subnet", "without its first and last address none is left", "use a /30 or shorter");
  if (v6 !== undefined && v6.length > 126)
    no("vtep_subnet6", "without its first and last address none is left", "use a /126 or shorter");
  const needs6 = overlays.findIndex((overlay) => overlay.subnet6 !== undefined);
  if (needs6 >= 0 && vtepSubnet6 === undefined) {
    const what = "vtep_subnet6 is missing";
    const detail = { what, why: `overlays[${needs6}] has a subnet6`, fix: "add it, like vtep_subnet6: fd01:a::/64" };
    problems.push({ path: "dcos_overlay_network.vtep_subnet6", reason: "yaml-invalid", detail });
  }
  return problems;
}

/** Overlays, VTEPs and Calico share one routing table: no two of them may share an address. */
function spacesApart(config: DcosConfig): readonly Problem[] {
  const spaces = [...spacesOf(config), ...spaceAt("calico_network_cidr", "calico_network_cidr", config.calicoCidr)];
  return spaces.flatMap((space, i) =>
    spaces.slice(0, i).flatMap((other): Problem[] => {
      const isForeign = space.path === "calico_network_cidr" && other.path.startsWith("dcos_overlay_network.vtep");
      if (!overlaps(space.cidr, other.cidr) || isForeign) return [];
      return [
        {
          path: space.path,
          reason: "overlap",
          detail: { what: `${space.title} overlaps ${other.title}`, fix: "take another range for one of them" },
        },
      ];
    }),
  );
}

/** If a host's own address is inside a network, packets to it would go into the tunnel that needs this address. */
function hostsOutside(config: DcosConfig): readonly Problem[] {
  const hosts = [
    ...config.agents.map((address, i) => ({ address, path: `agent_list[${i}]` })),
    ...config.publicAgents.map((address, i) => ({ address, path: `public_agent_list[${i}]` })),
    ...config.masters.map((address, i) => ({ address, path: `master_list[${i}]` })),
  ];
  return hosts.flatMap(({ address, path }) => {
    const ip = ipOf(address);
    const around = ip && spacesOf(config).find((space) => contains(space.cidr, ip));
    if (around === undefined) return [];
    return [
      {
        path,
        reason: "overlap" as const,
        detail: {
          what: `the host's address ${address} is inside ${around.title}`,
          fix: "take another range for the network",
        },
      },
    ];
  });
}

function defaultName({ defaultNetwork, overlays }: DcosConfig): readonly Problem[] {
  if (defaultNetwork === undefined || overlays.some((overlay) => overlay.name === defaultNetwork)) return [];
  const what = `Default overlay network name does not reference a defined overlay network: ${defaultNetwork}`;
  const fix = `give the name of one: ${overlays.map((overlay) => overlay.name).join(", ")}`;
  return [{ path: "dcos_overlay_network_default_name", reason: "network-unknown", detail: { what, fix } }];
}

/** What is allowed but should be mentioned. */
export function notesOn(config: DcosConfig): readonly Note[] {
  const off = { path: "dcos_overlay_enable", message: "false: the file asks for no virtual network" };
  return [
    ...(config.overlayEnable ? [] : [off]),
    ...publicSpace(config),
    ...room(config),
    ...leastMtu(config),
    ...roles(config),
  ];
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
function room(config: DcosConfig): readonly Note[] {
  const { overlays, vtepSubnet } = config;
  const hosts = config.agents.length + config.publicAgents.length + config.masters.length;
  const vteps = cidrOf(vtepSubnet);
  const vtepCount = vteps === undefined ? 0 : 2 ** (32 - vteps.length) - 2;
  const few =
    vtepCount >= hosts
      ? []
      : [
          {
            path: "dcos_overlay_network.vtep_subnet",
            message: `has addresses for ${counted(vtepCount)}, and the file lists ${hosts}`,
          },
        ];
  const blocks = overlays.flatMap((overlay, i) =>
    familiesOf(overlay).flatMap(({ key, cidr, prefix }): Note[] => {
      const fits = 2 ** ((prefix ?? cidr.length) - cidr.length);
      if (fits > 1 && fits >= hosts) return [];
      const listed = hosts > fits ? `, and the file lists ${hosts}` : "";
      const message =
        fits === 1
          ? `each host's block is the whole network: it works on one host only${listed}`
          : `there are blocks for ${counted(fits)}${listed}`;
      return [{ path: `${overlayPath(i)}.${key}`, message }];
    }),
  );
  return [...few, ...blocks];
}

function mtuForIpv6({ overlayMtu, overlays, enableIpv6 }: DcosConfig): readonly Problem[] {
  const first = overlays.findIndex((overlay) => overlay.subnet6 !== undefined);
  if (overlayMtu === undefined || overlayMtu >= IPV6_MTU_MIN || !enableIpv6 || first < 0) return [];
  const why = `overlays[${first}] has IPv6, which needs ${IPV6_MTU_MIN} bytes (RFC 8200)`;
  const detail = { what: `an MTU of ${overlayMtu} is too small`, why, fix: "raise it, or set enable_ipv6 to false" };
  return [{ path: "dcos_overlay_mtu", reason: "mtu-invalid", detail }];
}

function leastMtu({ overlayMtu }: DcosConfig): readonly Note[] {
  if (overlayMtu === undefined || overlayMtu >= NETWORK_MTU.minimum) return [];
  const message = `the least MTU of a Weft network is ${NETWORK_MTU.minimum}; it is used instead`;
  return [{ path: "dcos_overlay_mtu", message }];
}

function roles({ masters, overlays, enableIpv6 }: DcosConfig): readonly Note[] {
  const mentioned = `${counted(masters.length)}: members of every network, with blocks but no bridges, as in DC/OS`;
  const without = overlays.flatMap((overlay) => (overlay.subnet6 === undefined ? [] : [overlay.name]));
  return [
    ...(masters.length === 0 ? [] : [{ path: "master_list", message: mentioned }]),
    ...(enableIpv6 || without.length === 0
      ? []
      : [{ path: "enable_ipv6", message: `false: no IPv6 in ${without.join(", ")}` }]),
  ];
}

function spacesOf({ vtepSubnet, vtepSubnet6, overlays }: DcosConfig): readonly Space[] {
  return [
    ...spaceAt("dcos_overlay_network.vtep_subnet", "vtep_subnet", vtepSubnet),
    ...spaceAt("dcos_overlay_network.vtep_subnet6", "vtep_subnet6", vtepSubnet6),
    ...overlays.flatMap(({ name, subnet, subnet6 }, i) => [
      ...spaceAt(`${overlayPath(i)}.subnet`, name === "" ? `overlays[${i}]` : name, subnet),
      ...spaceAt(`${overlayPath(i)}.subnet6`, name === "" ? `overlays[${i}]` : name, subnet6),
    ]),
  ];
}

function spaceAt(path: string, owner: string, text: string | undefined): readonly Space[] {
  const cidr = cidrOf(text ?? "");
  return cidr === undefined ? [] : [{ path, cidr, title: `${text} (${owner})` }];
}

function familiesOf(
  overlay: DcosOverlay,
): readonly { readonly key: string; readonly cidr: Cidr; readonly prefix: number | undefined }[] {
  const families = [
    { key: "prefix", cidr: cidrOf(overlay.subnet ?? ""), prefix: overlay.prefix },
    { key: "prefix6", cidr: cidrOf(overlay.subnet6 ?? ""), prefix: overlay.prefix6 },
  ];
  return families.flatMap(({ key, cidr, prefix }) => (cidr === undefined ? [] : [{ key, cidr, prefix }]));
}

function overlayPath(index: number): string {
  return `dcos_overlay_network.overlays[${index}]`;
}

function counted(hosts: number): string {
  return hosts === 1 ? "1 host" : `${hosts} hosts`;
}

function mustCidr(text: string): Cidr {
  const cidr = cidrOf(text);
  if (cidr === undefined) throw new Error(`not a network: ${text}`);
  return cidr;
}
