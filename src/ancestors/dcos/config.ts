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
  judged,
  membersOf,
  networkTextOf,
  readYaml,
  textOf,
  throwProblems,
  titleOf,
  unfold,
  whereIs,
} from "./reader.ts";
import { defined } from "../../model/defined.ts";
import { checkName } from "../../model/parse.ts";
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
  const top = { reading, path: "" };
  if (root === undefined)
    complain(top, "yaml-invalid", { what: "the file is empty", fix: "give the config.yaml of a cluster" });
  const keys = (root && membersOf(root)) ?? new Map<string, Field>();
  if (root !== undefined && !FILE_KEYS.some((key) => keys.has(key)))
    complain(top, "yaml-invalid", {
      what: "the file has none of the keys that Weft reads of a DC/OS configuration",
      fix: `check that this is the config.yaml of a cluster; it has, for instance, ${FILE_KEYS.slice(0, 3).join(", ")}`,
    });
  throwProblems(reading);

  const given = keys.get("dcos_overlay_network");
  const network = given ?? { reading, path: "dcos_overlay_network", node: reading.doc.createNode(INSTALLER_DEFAULT) };
  const config = {
    ...defined({
      clusterName: at(keys, "cluster_name", titleOf),
      overlayMtu: at(keys, "dcos_overlay_mtu", (field) => mtuOf(field, "quoted")),
      defaultNetwork: at(keys, "dcos_overlay_network_default_name", textOf),
      calicoCidr: at(keys, "calico_network_cidr", (field) => networkTextOf(field, 4)),
    }),
    overlayEnable: flag(keys, "dcos_overlay_enable", "quoted"),
    enableIpv6: flag(keys, "enable_ipv6", "quoted"),
    ...networkOf(unfold(network)),
    agents: at(keys, "agent_list", addressesOf) ?? [],
    publicAgents: at(keys, "public_agent_list", addressesOf) ?? [],
    masters: at(keys, "master_list", addressesOf) ?? [],
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
  const items = required(field, keys, "overlays", itemsOf);
  if (items?.length === 0)
    complain(inside(field, "overlays"), "yaml-invalid", { what: "there is no overlay", fix: "list at least one" });
  return {
    vtepSubnet: required(field, keys, "vtep_subnet", (each) => networkTextOf(each, 4)) ?? "",
    vtepMacOui: required(field, keys, "vtep_mac_oui", ouiOf) ?? "",
    overlays: (items ?? []).map(overlayOf),
    ...defined({
      vtepSubnet6: at(keys, "vtep_subnet6", (each) => networkTextOf(each, 6)),
      vtepMtu: at(keys, "vtep_mtu", (each) => mtuOf(each, "bare")),
    }),
  };
}

function overlayOf(field: Field): DcosOverlay {
  const keys = membersOf(field);
  if (keys === undefined) return { name: "", enabled: true };
  if (!keys.has("subnet") && !keys.has("subnet6")) {
    const fix = "give it subnet and prefix, or subnet6 and prefix6";
    complain(field, "yaml-invalid", { what: "the overlay has no addresses", fix });
  }
  for (const pair of [
    ["subnet", "prefix"],
    ["subnet6", "prefix6"],
  ] as const) {
    const there = pair.find((key) => keys.has(key));
    const missing = pair.find((key) => !keys.has(key));
    if (there === undefined || missing === undefined) continue;
    const fix = "a network needs both: all its addresses, and the length of each host's part";
    complain(inside(field, missing), "prefix-invalid", { what: `${there} is given without ${missing}`, fix });
  }
  return {
    name: required(field, keys, "name", nameOf) ?? "",
    ...defined({
      subnet: at(keys, "subnet", (each) => networkTextOf(each, 4)),
      prefix: at(keys, "prefix", (each) => integerOf(each, "bare")),
      subnet6: at(keys, "subnet6", (each) => networkTextOf(each, 6)),
      prefix6: at(keys, "prefix6", (each) => integerOf(each, "bare")),
    }),
    enabled: flag(keys, "enabled", "bare"),
  };
}

function nameOf(field: Field): string | undefined {
  const name = textOf(field);
  if (name !== undefined) judged(field, () => checkName("network", name, field.path));
  return name;
}

/** Six octets, the last three zero; the first three begin the MAC of every VTEP. */
function ouiOf(field: Field): string | undefined {
  const text = textOf(field);
  if (text === undefined) return undefined;
  const mac = macOf(text);
  const no = (why: string) =>
    complain(field, "address-invalid", {
      what: `"${text}" is not an OUI`,
      why,
      fix: "write it like 70:B3:D5:00:00:00",
    });
  if (mac === undefined) no("it has not six octets of two hexadecimal digits");
  else if (!mac.endsWith(":00:00:00")) no("its last three octets are not zero");
  else if (Number.parseInt(mac.slice(0, 2), 16) % 2 === 1) no("its first octet is odd, as that of a multicast address");
  return text;
}

/** Bytes. 552 is the least the installer takes. */
function mtuOf(field: Field, quotes: Quotes): number | undefined {
  const mtu = integerOf(field, quotes);
  if (mtu === undefined || (mtu >= 552 && mtu <= 65_450)) return mtu;
  return complain(field, "mtu-invalid", { what: `${mtu} bytes is not an MTU`, fix: "give 552 to 65450" });
}

/** What `read` makes of a key's value; undefined if the file does not have the key. */
function at<T>(keys: Members, key: string, read: (field: Field) => T | undefined): T | undefined {
  const field = keys.get(key);
  return field && read(field);
}

/** The same of a key that `field` must have. */
function required<T>(field: Field, keys: Members, key: string, read: (field: Field) => T | undefined): T | undefined {
  if (!keys.has(key)) complain(inside(field, key), "yaml-invalid", { what: `${key} is missing`, fix: "add it" });
  return at(keys, key, read);
}

/** Where a field has, or would have, a key. */
function inside({ reading, path }: Field, key: string): Omit<Field, "node"> {
  return { reading, path: `${path}.${key}` };
}

/** true unless the file says otherwise: every flag of DC/OS that matters here is. */
function flag(keys: Members, key: string, quotes: Quotes): boolean {
  return at(keys, key, (field) => flagOf(field, quotes)) ?? true;
}

/** One line for all other keys of the installer; one each for those inside dcos_overlay_network, which are slips. */
function unusedKeys(keys: Members, network: Field, note: (path: string, message: string) => string): readonly string[] {
  const others = [...keys.keys()].filter((key) => !FILE_KEYS.includes(key));
  const parts = membersOf(network) ?? new Map<string, Field>();
  const overlays = parts.get("overlays");
  const groups: readonly (readonly [Members, readonly string[]])[] = [
    [parts, NETWORK_KEYS],
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
