// A runtime's request as the shim sends it: the CNI_ variables, each ended by a zero byte, one more zero byte, and the
// network configuration from standard input. Everything is checked here, once; what Weft would have to ignore is
// refused by its key and value. Pure.
import { attemptOf } from "../../files/files.ts";
import { formatIp, interfaceOf, ipOf, isMapped, parseMac } from "../../model/address.ts";
import { IFNAME_RULE, isIfname } from "../../model/endpointName.ts";
import { type CniBandwidth, type QosInput, qosOfCni } from "../../model/qos.ts";
import { defined } from "../../model/defined.ts";
import { type Labels, checkLabels } from "../../model/labels.ts";
import { POLICIES } from "../../model/selection.ts";
import type { AttachRequest } from "../../model/status.ts";
import { folded, foldedIn, foldedResult, isObject, type Json } from "./fold.ts";
import { CniRefusal } from "./refusal.ts";

/** Oldest first. */
export const VERSIONS = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type Version = (typeof VERSIONS)[number];
/** The first version that has a command. */
const COMMANDS = { ADD: "0.3.1", DEL: "0.3.1", CHECK: "0.4.0", STATUS: "1.1.0", GC: "1.1.0" } as const;
type Command = keyof typeof COMMANDS;

/** A list of attachments: a container and an interface in it. */
type Attached = { readonly containerId: string; readonly ifname: string };
export type Dns = {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
};

type Selection = Pick<AttachRequest, "requires" | "rank" | "policy" | "differentNetworks">;
export type Config = {
  readonly version: Version;
  /** The configuration's own name: with container and interface the key of an attachment. */
  readonly name: string;
  /** The network of Weft's. */
  readonly network: string;
  readonly slice?: string;
  /** Of network auto: what it has to be, and which is best. */
  readonly selection: Selection;
  readonly labels?: Labels;
  /** A file with the token of the user that the endpoints are for. */
  readonly userTokenFile?: string;
  readonly defaultRoute?: boolean;
  readonly ipMasq?: boolean;
  readonly addresses: readonly string[];
  readonly mac?: string;
  readonly qos?: QosInput;
  readonly dns: Dns;
  readonly prevResult?: Json;
  /** GC: the attachments that stay. */
  readonly valid?: readonly Attached[];
};
export type Request = {
  readonly command: Command;
  readonly containerId: string;
  /** Empty only for DEL, GC and STATUS. */
  readonly netns: string;
  readonly ifname: string;
  readonly config: Config;
};
/** VERSION needs no configuration but its version. */
export type VersionRequest = { readonly command: "VERSION"; readonly version: string };

export type Environment = ReadonlyMap<string, string>;

/** The two parts of what the shim sends; a CniRefusal `decode` if it is something else. */
export function partsOf(message: Buffer): { readonly environment: Environment; readonly input: string } {
  const environment = new Map<string, string>();
  let from = 0;
  for (;;) {
    const end = message.indexOf(0, from);
    if (end < 0) throw new CniRefusal("decode", "this is not a request of the CNI plugin's");
    if (end === from) return { environment, input: message.toString("utf8", end + 1) };
    const pair = message.toString("utf8", from, end);
    const equals = pair.indexOf("=");
    environment.set(pair.slice(0, equals), pair.slice(equals + 1));
    from = end + 1;
  }
}

/** The configuration as JSON, keys in the specification's spelling; a CniRefusal `decode` if it is not JSON. */
export function decode(input: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(input);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "";
    throw new CniRefusal("decode", "the network configuration is not JSON", why);
  }
  if (!isObject(value)) throw new CniRefusal("decode", "the network configuration is not a JSON object");
  return folded(value, KEYS);
}

/** The version to answer in, also if everything else is wrong. */
export function versionIn(json: Json): string {
  const { cniVersion } = json;
  return typeof cniVersion === "string" && cniVersion !== "" ? cniVersion : "0.1.0";
}

export function requestOf(environment: Environment, json: Json): Request | VersionRequest {
  const command = environment.get("CNI_COMMAND") ?? "";
  const version = versionIn(json);
  if (command === "VERSION") return { command, version };
  if (!isCommand(command))
    throw invalidVariable("CNI_COMMAND", command, `it is one of ${Object.keys(COMMANDS).join(", ")}, VERSION`);
  // DEL, CHECK and GC name something that was added, whatever happened to its configuration since.
  const isLenient = command === "DEL" || command === "CHECK" || command === "GC";
  const spoken = VERSIONS.find((one) => one === version) ?? (isLenient ? VERSIONS.at(-1) : undefined);
  const first = VERSIONS.indexOf(COMMANDS[command]);
  if (spoken === undefined || VERSIONS.indexOf(spoken) < first) {
    const what =
      spoken === undefined ? `CNI version "${version}" is not supported` : `there is no ${command} in CNI ${version}`;
    throw new CniRefusal("version", what, `set cniVersion to one of ${VERSIONS.slice(first).join(", ")}`);
  }
  const target = targetOf(command, environment);
  if (isLenient) return { command, ...target, config: leftOf(command, spoken, json) };
  const args = command === "ADD" ? argsOf(environment.get("CNI_ARGS") ?? "") : {};
  return { command, ...target, config: configOf(spoken, json, args) };
}

function isCommand(command: string): command is Command {
  return Object.hasOwn(COMMANDS, command);
}

/** Which commands need the container's variables. */
function targetOf(command: Command, environment: Environment): Pick<Request, "containerId" | "netns" | "ifname"> {
  const of = (name: string) => environment.get(name) ?? "";
  const [containerId, netns, ifname] = [of("CNI_CONTAINERID"), of("CNI_NETNS"), of("CNI_IFNAME")];
  if (command === "STATUS" || command === "GC") return { containerId: "", netns: "", ifname: "" };
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,200}$/.test(containerId))
    throw invalidVariable("CNI_CONTAINERID", containerId, "it begins with a letter or digit; then also _ . and -");
  if (!isIfname(ifname)) throw invalidVariable("CNI_IFNAME", ifname, IFNAME_RULE);
  if (command !== "DEL" && !/^\/(?!proc\/(thread-)?self\/)./.test(netns))
    throw invalidVariable("CNI_NETNS", netns, "it is the absolute path of the container's network namespace");
  return { containerId, netns, ifname };
}

function invalidVariable(name: string, value: string, why: string): CniRefusal {
  const what = value === "" ? `${name} is missing` : `${name} is invalid: "${value.slice(0, 80)}"`;
  return new CniRefusal("environment", what, why);
}

type Args = { readonly ip?: string; readonly mac?: string };

/** `IP=10.1.2.3;MAC=…;K8S_POD_NAME=web;IgnoreUnknown=1`: keys that are not Weft's need the last one. */
export function argsOf(text: string): Args {
  const refuse = (pair: string, why: string) => invalidVariable("CNI_ARGS", pair, why);
  const args = new Map<string, string>();
  for (const pair of text.split(";").filter((one) => one !== "")) {
    const equals = pair.indexOf("=");
    if (equals < 1) throw refuse(pair, "it is pairs like IP=10.1.2.3;IgnoreUnknown=1");
    args.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
  const ignore = /^(1|t|true)$/i.test(args.get("IgnoreUnknown") ?? "");
  const unknown = [...args.keys()].find((key) => key !== "IP" && key !== "MAC" && key !== "IgnoreUnknown");
  if (unknown !== undefined && !ignore)
    throw refuse(`${unknown}=${args.get(unknown)}`, "Weft knows IP and MAC; others need IgnoreUnknown=1");
  const [ip, mac] = [args.get("IP"), args.get("MAC")];
  if (ip !== undefined && plainAddress(ip) === undefined) throw refuse(`IP=${ip}`, "it is no address");
  if (mac !== undefined && macIn(mac) === undefined) throw refuse(`MAC=${mac}`, "it is no unicast MAC");
  return { ...(ip === undefined ? {} : { ip }), ...(mac === undefined ? {} : { mac }) };
}

/** Keys of any configuration, and Weft's own; the shim found the agent by `socket`. `cni.dev/…` are the standard's. */
const KEYS: readonly string[] = (
  "cniVersion cniVersions name type args capabilities runtimeConfig prevResult ipMasq ipam dns " +
  "disableCheck disableGC network requires rank policy differentNetworks slice defaultRoute socket labels " +
  "userTokenFile cni.dev/valid-attachments cni.dev/attachments"
).split(" ");
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** The valid parts of a configuration that an ADD may refuse by now; the others are empty text. */
function leftOf(command: Command, version: Version, json: Json): Config {
  const { name, network, prevResult } = json;
  if (command === "CHECK" && (prevResult ?? undefined) === undefined)
    throw wrong("prevResult", "the result of the ADD");
  return {
    version,
    name: typeof name === "string" && NAME.test(name) ? name : "",
    network: typeof network === "string" ? network : "",
    selection: {},
    addresses: [],
    dns: {},
    ...(isObject(prevResult) ? { prevResult: foldedResult(prevResult) } : {}),
    ...(command === "GC" ? { valid: validOf(json) } : {}),
  };
}

function configOf(version: Version, json: Json, args: Args): Config {
  for (const [key, value] of Object.entries(json)) {
    if (!KEYS.includes(key) && !key.startsWith("cni.dev/"))
      throw unsupported(
        key,
        value,
        "docs/cni.md has Weft's own, like network, requires, slice, defaultRoute and socket",
      );
  }
  const { prevResult } = json;
  const ipam = foldedIn(json["ipam"], ["type"]);
  if (isObject(ipam) ? (ipam["type"] ?? "") !== "" : ipam !== undefined && ipam !== null)
    throw unsupported("ipam", ipam, "Weft allocates the addresses of its networks itself; leave it out");
  if (prevResult !== undefined && prevResult !== null && !isObject(prevResult)) throw wrong("prevResult", "an object");
  const runtime = runtimeConfigOf(json);
  const mac = runtime.mac ?? args.mac;
  const slice = textOf(json, "slice");
  return {
    version,
    name: required(json, "name", NAME),
    network: required(json, "network", /./),
    ...(slice === undefined ? {} : { slice }),
    selection: selectionOf(json),
    ...defined({ userTokenFile: textOf(json, "userTokenFile"), labels: labelsIn(json) }),
    ...flagIn(json, "defaultRoute"),
    ...flagIn(json, "ipMasq"),
    addresses: addressesOf([...runtime.ips, ...argsIps(json), ...(args.ip === undefined ? [] : [args.ip])]),
    ...(mac === undefined ? {} : { mac }),
    ...(runtime.qos === undefined ? {} : { qos: runtime.qos }),
    dns: { ...dnsOf(json["dns"], "dns", ["nameservers", "search", "options"]), ...runtime.dns },
    ...(isObject(prevResult) ? { prevResult: foldedResult(prevResult) } : {}),
  };
}

function labelsIn({ labels }: Json): Labels | undefined {
  if (isEmpty(labels)) return undefined;
  if (!isObject(labels) || !Object.values(labels).every((value) => typeof value === "string"))
    throw wrong("labels", 'an object of texts, like {"tier": "web"}');
  return checkLabels(labels as Labels, "labels");
}

function selectionOf(json: Json): Selection {
  const [requires, rank, policy] = [textOf(json, "requires"), textOf(json, "rank"), textOf(json, "policy")];
  const known = POLICIES.find((each) => each === policy);
  if (policy !== undefined && known === undefined) throw wrong("policy", `one of ${POLICIES.join(", ")}`);
  return { ...defined({ requires, rank, policy: known }), ...flagIn(json, "differentNetworks") };
}

type Runtime = {
  readonly ips: readonly string[];
  readonly mac?: string;
  readonly qos?: QosInput;
  readonly dns: Dns;
};
const NOT_HERE: Readonly<Record<string, string>> = {
  portMappings: "Weft publishes no ports; chain the portmap plugin behind it and declare the capability there",
  aliases: "Weft answers no names; remove the capability, or declare it at a plugin that does",
};

const RUNTIME_KEYS = ["ips", "mac", "dns", "bandwidth", ...Object.keys(NOT_HERE)];

/** What the runtime says about this container, as far as the configuration declared the capability. */
function runtimeConfigOf(json: Json): Runtime {
  const given = foldedIn(json["runtimeConfig"] ?? {}, RUNTIME_KEYS);
  if (!isObject(given)) throw wrong("runtimeConfig", "an object");
  const { ips = [], mac, dns, bandwidth, ...others } = given;
  for (const [key, value] of Object.entries(others)) {
    if (isEmpty(value)) continue;
    const why = NOT_HERE[key] ?? "Weft knows ips, mac, dns and bandwidth; remove the capability";
    throw unsupported(`runtimeConfig.${key}`, value, why);
  }
  const { servers, searches, options } = dnsOf(dns, "runtimeConfig.dns", ["servers", "searches", "options"]);
  return {
    ips: listOf(ips, "runtimeConfig.ips"),
    ...(isEmpty(mac) ? {} : { mac: checkedMac(mac) }),
    ...(isEmpty(bandwidth) ? {} : { qos: qosOfCni(bandwidthOf(bandwidth)) }),
    dns: {
      ...(servers === undefined ? {} : { nameservers: servers }),
      ...(searches === undefined ? {} : { search: searches }),
      ...(options === undefined ? {} : { options }),
    },
  };
}

const RATES = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"] as const;

/** Bits per second, and bits. */
function bandwidthOf(given: unknown): CniBandwidth {
  if (!isObject(given)) throw wrong("runtimeConfig.bandwidth", "an object");
  const bandwidth: { -readonly [K in keyof CniBandwidth]: number } = {};
  for (const [key, value] of Object.entries(folded(given, RATES))) {
    const field = RATES.find((each) => each === key);
    if (field === undefined)
      throw unsupported(`runtimeConfig.bandwidth.${key}`, value, `Weft knows ${RATES.join(", ")}`);
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0)
      throw wrong(`runtimeConfig.bandwidth.${key}`, "a whole number");
    bandwidth[field] = value;
  }
  return bandwidth;
}

function checkedMac(mac: unknown): string {
  const parsed = typeof mac === "string" ? macIn(mac) : undefined;
  if (parsed === undefined)
    throw new CniRefusal("config", `runtimeConfig.mac: ${JSON.stringify(mac)} is no unicast MAC`);
  return parsed;
}

/** The places for requested addresses, by convention. */
function argsIps(json: Json): readonly string[] {
  const args = foldedIn(json["args"], ["cni"]);
  const cni = isObject(args) ? foldedIn(args["cni"], ["ips"]) : undefined;
  return isObject(cni) && !isEmpty(cni["ips"]) ? listOf(cni["ips"], "args.cni.ips") : [];
}

/** With or without a prefix length, which the network knows better; one per family, even if it is repeated. */
function addressesOf(texts: readonly string[]): readonly string[] {
  const byFamily = new Map<number, string>();
  for (const text of texts) {
    const address = plainAddress(text);
    const family = address?.includes(":") === true ? 6 : 4;
    const other = byFamily.get(family);
    if (address === undefined) throw new CniRefusal("config", `ips: "${text}" is not an address`);
    const both = `ips: both ${other} and ${address} are asked for`;
    if (other !== undefined && other !== address)
      throw new CniRefusal("config", both, "an interface has one address per family");
    byFamily.set(family, address);
  }
  return [...byFamily.values()];
}

function plainAddress(text: string): string | undefined {
  const ip = ipOf(text) ?? interfaceOf(text)?.ip;
  return ip === undefined || isMapped(ip) ? undefined : formatIp(ip);
}

function macIn(text: string): string | undefined {
  return attemptOf(() => parseMac(text, "mac"));
}

/** `domain` and lists of text, as far as they are present and not empty. */
function dnsOf<Key extends string>(
  said: unknown,
  where: string,
  lists: readonly Key[],
): { readonly [K in Key]?: readonly string[] } & { readonly domain?: string } {
  if (isEmpty(said)) return {};
  const value = foldedIn(said, ["domain", ...lists]);
  if (!isObject(value)) throw wrong(where, "an object");
  const domain = textOf(value, "domain");
  const found = lists.filter((key) => !isEmpty(value[key])).map((key) => [key, listOf(value[key], `${where}.${key}`)]);
  return { ...(domain === undefined ? {} : { domain }), ...Object.fromEntries(found) };
}

function validOf(json: Json): readonly Attached[] {
  const given = json["cni.dev/valid-attachments"] ?? json["cni.dev/attachments"];
  const where = "cni.dev/valid-attachments";
  // Without the list, GC would remove everything.
  if (!Array.isArray(given)) throw wrong(where, "a list");
  return given.map((item: unknown) => {
    const { containerID, ifname } = isObject(item) ? folded(item, ["containerID", "ifname"]) : {};
    if (typeof containerID !== "string" || typeof ifname !== "string")
      throw wrong(where, "a list of {containerID, ifname}");
    return { containerId: containerID, ifname };
  });
}

function required(json: Json, key: string, form: RegExp): string {
  const text = textOf(json, key);
  if (text === undefined) throw wrong(key, "a value");
  if (!form.test(text)) throw new CniRefusal("config", `${key}: "${text.slice(0, 80)}" cannot be a name`);
  return text;
}

function textOf(json: Json, key: string): string | undefined {
  const value = json[key];
  if (value === undefined || value === "") return undefined;
  if (typeof value !== "string") throw wrong(key, "text");
  return value;
}

function flagIn<Key extends string>(json: Json, key: Key): { readonly [K in Key]?: boolean } {
  const { [key]: value } = json;
  if (value !== undefined && typeof value !== "boolean") throw wrong(key, "true or false");
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]: boolean });
}

function listOf(value: unknown, where: string): readonly string[] {
  if (isEmpty(value)) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw wrong(where, "a list of text");
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function wrong(key: string, expected: string): CniRefusal {
  return new CniRefusal("config", `${key}: expected ${expected}`);
}

function unsupported(key: string, value: unknown, why: string): CniRefusal {
  return new CniRefusal("unsupported", `${key} is not supported: ${JSON.stringify(value).slice(0, 200)}`, why);
}
