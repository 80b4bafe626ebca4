// The DC/OS installer's config.yaml as a value: a whole file, as operators have it, of which Weft reads the keys that
// describe virtual networks. Types and single values are judged here, values against each other in rules.ts. Every
// problem of a file is found in one go and told with its place; the file is taken or refused as a whole.
//
// The rules are those of the installer (gen/calc.py) and of the overlay master module of DC/OS 1.8 to 2.2, and some
// that neither has. One is dropped: names may be longer than 13 characters, because Weft derives device names.
import { macOf } from "../../model/address.ts";
import {
  type Field,
  type Quotes,
  addressesOf,
  complain,
  flagOf,
  integerOf,
  itemsOf,
  membersOf,
  networkTextOf,
  readYaml,
  textOf,
  throwProblems,
  titleOf,
  unfold,
  whereIs,
} from "./reader.ts";
import type { DcosConfig, DcosOverlay } from "./overlay.ts";
import { notesOn, problemsOf } from "./rules.ts";

/** What the installer of DC/OS 2.x makes of a config.yaml that says nothing about virtual networks. */
const INSTALLER_DEFAULT = {
  vtep_subnet: "44.128.0.0/20",
  vtep_subnet6: "fd01:a::/64",
  vtep_mac_oui: "70:B3:D5:00:00:00",
  overlays: [
    { name: "dcos", subnet: "9.0.0.0/8", prefix: 24 },
    { name: "dcos6", subnet6: "fd01:b::/64", prefix6: 80 },
  ],
};

const FILE_KEYS = [
  "cluster_name",
  "dcos_overlay_enable",
  "dcos_overlay_mtu",
  "dcos_overlay_network",
  "dcos_overlay_network_default_name",
  "enable_ipv6",
  "calico_network_cidr",
  "agent_list",
  "public_agent_list",
  "master_list",
];
const NETWORK_KEYS = ["vtep_subnet", "vtep_subnet6", "vtep_mac_oui", "vtep_mtu", "overlays"];
const OVERLAY_KEYS = ["name", "subnet", "prefix", "subnet6", "prefix6", "enabled"];

type Members = ReadonlyMap<string, Field>;

/**
 * The virtual networks of a whole config.yaml; `file` is its name in messages. One Fault tells every problem with
 * file:line:column and path; if there are several, they are its `blockers`.
 */
export function parseDcosConfig(text: string, file: string): DcosConfig {
  const { reading, root } = readYaml(text, file);
  if (root === undefined)
    complain(reading, "", "yaml-invalid", { what: "the file is empty", fix: "give the config.yaml of a cluster" });
  const keys = (root && membersOf(root)) ?? new Map<string, Field>();
  if (root !== undefined && !FILE_KEYS.some((key) => keys.has(key)))
    complain(reading, "", "yaml-invalid", {
      what: "the file has none of the keys that Weft reads of a DC/OS configuration",
      fix: `check that this is the config.yaml of a cluster; it has, for instance, ${FILE_KEYS.slice(0, 3).join(", ")}`,
    });
  throwProblems(reading);

  const given = keys.get("dcos_overlay_network");
  const network = given ?? { reading, path: "dcos_overlay_network", node: reading.doc.createNode(INSTALLER_DEFAULT) };
  const config = {
    ...optional("clusterName", keys.get("cluster_name"), titleOf),
    overlayEnable: flag(keys, "dcos_overlay_enable", "quoted"),
    ...optional("overlayMtu", keys.get("dcos_overlay_mtu"), (field) => mtuOf(field, "quoted")),
    enableIpv6: flag(keys, "enable_ipv6", "quoted"),
    ...networkOf(unfold(network)),
    ...optional("defaultNetwork", keys.get("dcos_overlay_network_default_name"), textOf),
    ...optional("calicoCidr", keys.get("calico_network_cidr"), (field) => networkTextOf(field, 4)),
    agents: list(keys, "agent_list"),
    publicAgents: list(keys, "public_agent_list"),
    masters: list(keys, "master_list"),
    notes: [],
  };
  reading.problems.push(...problemsOf(config));
  throwProblems(reading);

  const note = (path: string, message: string) => `${whereIs(reading, path)}: ${message}`;
  const notes = notesOn(config).map(({ path, message }) => note(path, message));
  if (given === undefined)
    notes.unshift(note("", "no dcos_overlay_network: taking the installer's default, the networks dcos and dcos6"));
  return { ...config, notes: [...notes, ...unusedKeys(keys, unfold(network), note)] };
}

function networkOf(
  field: Field,
): Pick<DcosConfig, "vtepSubnet" | "vtepSubnet6" | "vtepMacOui" | "vtepMtu" | "overlays"> {
  const keys = membersOf(field);
  // Not a mapping: that its parts are missing too would be noise.
  if (keys === undefined) return { vtepSubnet: "", vtepMacOui: "", overlays: [] };
  const overlays = required(field, keys, "overlays");
  const items = overlays && itemsOf(overlays);
  if (items?.length === 0)
    complain(field.reading, `${field.path}.overlays`, "yaml-invalid", {
      what: "there is no overlay",
      fix: "list at least one",
    });
  const oui = required(field, keys, "vtep_mac_oui");
  const subnet = required(field, keys, "vtep_subnet");
  return {
    vtepSubnet: (subnet && networkTextOf(subnet, 4)) ?? "",
    ...optional("vtepSubnet6", keys.get("vtep_subnet6"), (at) => networkTextOf(at, 6)),
    vtepMacOui: (oui && ouiOf(oui)) ?? "",
    ...optional("vtepMtu", keys.get("vtep_mtu"), (at) => mtuOf(at, "bare")),
    overlays: (items ?? []).map(overlayOf),
  };
}

function overlayOf(field: Field): DcosOverlay {
  const keys = membersOf(field);
  if (keys === undefined) return { name: "", enabled: true };
  const name = required(field, keys, "name");
  if (!keys.has("subnet") && !keys.has("subnet6")) {
    complain(field.reading, field.path, "yaml-invalid", {
      what: "the overlay has no addresses",
      fix: "give it subnet and prefix, or subnet6 and prefix6",
    });
  }
  for (const [subnet, prefix] of [
    ["subnet", "prefix"],
    ["subnet6", "prefix6"],
  ] as const) {
    const [missing, there] = keys.has(subnet) ? [prefix, subnet] : [subnet, prefix];
    if (keys.has(subnet) === keys.has(prefix)) continue;
    complain(field.reading, `${field.path}.${missing}`, "prefix-invalid", {
      what: `${there} is given without ${missing}`,
      fix: "a network needs both: all its addresses, and the length of each host's part",
    });
  }
  return {
    name: (name && textOf(name)) ?? "",
    ...optional("subnet", keys.get("subnet"), (at) => networkTextOf(at, 4)),
    ...optional("prefix", keys.get("prefix"), (at) => integerOf(at, "bare")),
    ...optional("subnet6", keys.get("subnet6"), (at) => networkTextOf(at, 6)),
    ...optional("prefix6", keys.get("prefix6"), (at) => integerOf(at, "bare")),
    enabled: flag(keys, "enabled", "bare"),
  };
}

/** Six octets, the last three zero; the first three begin the MAC of every VTEP. */
function ouiOf(field: Field): string | undefined {
  const text = textOf(field);
  if (text === undefined) return undefined;
  const mac = macOf(text);
  const no = (why: string) =>
    complain(field.reading, field.path, "address-invalid", {
      what: `"${text}" is not an OUI`,
      why,
      fix: "write it like 70:B3:D5:00:00:00",
    });
  if (mac === undefined) no("it has not six octets of two hexadecimal digits");
  else if (!mac.endsWith(":00:00:00")) no("its last three octets are not zero");
  else if ((Number.parseInt(mac.slice(0, 2), 16) & 1) === 1)
    no("its first octet is odd, as that of a multicast address");
  return text;
}

/** Bytes. 552 is the least the installer takes. */
function mtuOf(field: Field, quotes: Quotes): number | undefined {
  const mtu = integerOf(field, quotes);
  if (mtu === undefined || (mtu >= 552 && mtu <= 65_450)) return mtu;
  complain(field.reading, field.path, "mtu-invalid", { what: `${mtu} bytes is not an MTU`, fix: "give 552 to 65450" });
  return undefined;
}

function required(field: Field, keys: Members, key: string): Field | undefined {
  if (!keys.has(key))
    complain(field.reading, `${field.path}.${key}`, "yaml-invalid", { what: `${key} is missing`, fix: "add it" });
  return keys.get(key);
}

/** A member of the value to be built; none when the file has none, or one that was complained about. */
function optional<K extends string, T>(
  name: K,
  field: Field | undefined,
  read: (field: Field) => T | undefined,
): { readonly [key in K]?: T } {
  const value = field && read(field);
  return (value === undefined ? {} : { [name]: value }) as { readonly [key in K]?: T };
}

/** true unless the file says otherwise: every flag of DC/OS that matters here is. */
function flag(keys: Members, key: string, quotes: Quotes): boolean {
  const field = keys.get(key);
  return (field && flagOf(field, quotes)) ?? true;
}

function list(keys: Members, key: string): readonly string[] {
  const field = keys.get(key);
  return field === undefined ? [] : addressesOf(field);
}

/** One line for all other keys of the installer; one each for those inside dcos_overlay_network, which are slips. */
function unusedKeys(keys: Members, network: Field, note: (path: string, message: string) => string): readonly string[] {
  const others = [...keys.keys()].filter((key) => !FILE_KEYS.includes(key));
  const inside = membersOf(network) ?? new Map<string, Field>();
  const overlays = inside.get("overlays");
  const groups: readonly (readonly [Members, readonly string[]])[] = [
    [inside, NETWORK_KEYS],
    ...((overlays && itemsOf(overlays)) ?? []).map(
      (item) => [membersOf(item) ?? new Map<string, Field>(), OVERLAY_KEYS] as const,
    ),
  ];
  return [
    ...groups.flatMap(([members, known]) =>
      [...members].filter(([key]) => !known.includes(key)).map(([, { path }]) => note(path, "this key has no effect")),
    ),
    ...(others.length === 0 ? [] : [note("", `these keys have no effect in Weft: ${others.join(", ")}`)]),
  ];
}
