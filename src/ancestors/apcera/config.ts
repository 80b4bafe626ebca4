// Reads what Apcera's cluster.conf says about virtual networks, in `chef.continuum`: how new networks get their
// addresses, which tunnel they use, and the subnet of the cluster's own machines.
import { formatCidr, parseCidr } from "../../model/address.ts";
import type { Driver } from "../../model/driver.ts";
import { Fault } from "../../model/fault.ts";
import { type Value, readConf } from "./reader.ts";

export type ApceraConfig = {
  /** Of new networks. Apcera's own default is global. */
  readonly ipam: "local" | "global";
  /** Of new networks: GRE where VXLAN is switched off. */
  readonly driver: Driver;
  /** The subnets of the cluster's own machines: canonical, each once. */
  readonly clusterSubnets: readonly string[];
  /** Ignored keys, a sentence each. */
  readonly notes: readonly string[];
};

/** Faults name file, line and column: `request-invalid` for syntax and types, `cidr-invalid`. */
export function parseApceraConfig(text: string, file: string): ApceraConfig {
  const top = readConf(text, file);
  const ignored: string[] = [];
  const chef = mapAt(top, "chef", "");
  const continuum = chef && mapAt(chef, "continuum", "chef.");
  const cluster = continuum && mapAt(continuum, "cluster", "chef.continuum.");
  note(top, "", ["chef"], ignored);
  note(chef, "chef.", ["continuum"], ignored);
  note(continuum, "chef.continuum.", ["enable_local_ipam", "vxlan_enabled", "cluster"], ignored);
  if (continuum === undefined) {
    throw new Fault("request-invalid", {
      what: "the file says nothing about virtual networks",
      where: file,
      why: "they are configured in chef.continuum, which is not there",
      fix: 'write chef: { "continuum": { … } }, or check that this is a cluster.conf',
    });
  }
  const isLocal = flagAt(continuum, "enable_local_ipam") ?? false;
  const clusterSubnets = cluster === undefined ? [] : subnetsIn(cluster);
  return {
    ipam: isLocal ? "local" : "global",
    driver: flagAt(continuum, "vxlan_enabled") === false ? "gre" : "vxlan",
    clusterSubnets,
    notes: [
      ...(ignored.length === 0 ? [] : [`ignored, not about virtual networks: ${ignored.join(", ")}`]),
      ...(clusterSubnets.length === 0
        ? ["no chef.continuum.cluster.subnet or subnets: only addresses and routes of joined hosts are kept clear"]
        : []),
    ],
  };
}

type Block = Extract<Value, { readonly type: "map" }>;

function mapAt(parent: Block, key: string, path: string): Block | undefined {
  const value = parent.members.get(key);
  if (value === undefined || value.type === "map") return value;
  throw wrongType(value, `${path}${key}`, "a block in braces");
}

function flagAt(parent: Block, key: string): boolean | undefined {
  const value = parent.members.get(key);
  if (value === undefined) return undefined;
  if (value.type === "word" && !value.quoted && (value.text === "true" || value.text === "false"))
    return value.text === "true";
  throw wrongType(value, `chef.continuum.${key}`, "true or false");
}

/** `subnet` is one, `subnets` a list. Any other key might name machines as well, so none is ignored. */
function subnetsIn(cluster: Block): readonly string[] {
  const top = "chef.continuum.cluster";
  const subnets: string[] = [];
  const add = (value: Value, path: string) => {
    if (value.type !== "word") throw wrongType(value, path, "a subnet in quotes");
    const subnet = formatCidr(parseCidr(value.text, `${value.at} ${path}`));
    if (subnets.includes(subnet)) throw refused(value, path, `${subnet} is given twice`, "keep one of them");
    subnets.push(subnet);
  };
  for (const [key, value] of cluster.members) {
    if (key === "subnet") add(value, `${top}.subnet`);
    else if (key !== "subnets")
      throw refused(value, `${top}.${key}`, `"${key}" is no key of cluster`, "there are subnet and subnets");
    else if (value.type !== "list" || value.items.length === 0)
      throw wrongType(value, `${top}.subnets`, "a list of subnets in quotes");
    else for (const [i, item] of value.items.entries()) add(item, `${top}.subnets[${i}]`);
  }
  return subnets;
}

function refused(value: Value, path: string, what: string, fix: string): Fault {
  return new Fault("request-invalid", { what, where: `${value.at} ${path}`, fix });
}

function note(map: Block | undefined, path: string, known: readonly string[], ignored: string[]): void {
  for (const key of map?.members.keys() ?? []) if (!known.includes(key)) ignored.push(`${path}${key}`);
}

function wrongType(value: Value, path: string, wanted: string): Fault {
  const found =
    value.type === "map"
      ? "a block"
      : value.type === "list"
        ? value.items.length === 0
          ? "an empty list"
          : "a list"
        : value.quoted
          ? `the text "${value.text}"`
          : value.text;
  const isQuotedFlag = value.type === "word" && value.quoted && /^(true|false)$/.test(value.text);
  return new Fault("request-invalid", {
    what: `this must be ${wanted}, not ${found}`,
    where: `${value.at} ${path}`,
    fix: isQuotedFlag ? "remove the quotes" : `write ${wanted}`,
  });
}
