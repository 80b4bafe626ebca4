// A network's spec in flags: what `weft network create` and `edit` understand, and parts of it in words. Says nothing
// about defaults: what was not given is not sent, and the server fills it in.
import { defined } from "../../model/defined.ts";
import { PLACEMENTS } from "../../model/driver.ts";
import type { Spoofing } from "../../model/group.ts";
import { Fault } from "../../model/fault.ts";
import type { NetworkInput } from "../../model/input.ts";
import { OFFLOADS } from "../../model/offload.ts";
import type { Network, NetworkSpec, Subnet } from "../../model/resource.ts";
import { type LimitFlags, qosOf } from "../endpoint/limit.ts";
import { mergedLabels } from "../input/labels.ts";
import { listOrNone, type Lists, type Switches, type Texts, unless, wholeNumber, wordOf } from "../input/options.ts";
import { misuse } from "../output/error.ts";
import { hostAddressesOf } from "./hostAddresses.ts";
import { type WayFlags, wayDraft } from "./way.ts";

export type SpecFlags = LimitFlags &
  WayFlags &
  Texts<
    | "pool"
    | "id"
    | "prefix"
    | "prefix6"
    | "ipam"
    | "vrf"
    | "placement"
    | "bridge"
    | "device"
    | "forwardDelay"
    | "vni"
    | "mtu"
    | "strategy"
    | "quarantine"
    | "tenant"
    | "peers"
    | "group"
    | "ttl"
    | "underlayDevice"
    | "offload"
    | "description"
  > &
  Lists<
    | "subnet"
    | "hostPrefix"
    | "gateway"
    | "slice"
    | "dns"
    | "sg"
    | "spoofing"
    | "hosts"
    | "cluster"
    | "hostAddress"
    | "outsider"
    | "label"
  > &
  Switches<"stp" | "takeOver" | "masquerade" | "enabled" | "sticky" | "cni" | "cniPortmap">;

export const IPAM_MODES = ["local", "global"] as const;
const PEERS = ["unicast", "multicast"] as const;
export const STRATEGIES = ["lowest", "next", "random"] as const;

/** The part of a spec that the flags say; a Fault `request-invalid` for a flag that cannot be meant. */
export function draftOf(flags: SpecFlags): NetworkInput {
  const { pool, vrf, hosts, masquerade, enabled, sticky, tenant, description } = flags;
  const ofPool = defined({
    id: wholeNumber(flags.id, "--id"),
    prefix: wholeNumber(flags.prefix, "--prefix", 24),
    prefix6: wholeNumber(flags.prefix6, "--prefix6", 64),
  });
  const alone = Object.keys(ofPool).find(() => pool === undefined);
  if (alone !== undefined) {
    const why = "it is said of a pool, and no pool is given";
    throw misuse(`--${alone}`, `--${alone} needs --pool`, `add --pool NAME, or leave out --${alone}`, why);
  }
  const stray = (["hostPrefix", "gateway"] as const).find((flag) => flags.subnet === undefined && flags[flag]);
  if (stray !== undefined) {
    const option = optionOf(stray);
    throw misuse(option, `${option} needs --subnet`, "add --subnet CIDR, once for each", "it is said of a subnet");
  }
  return defined({
    ipam: wordOf(flags.ipam, "--ipam", "an address mode", IPAM_MODES),
    subnets: flags.subnet && subnetsOf(flags.subnet, flags),
    pool: pool === undefined ? undefined : { name: pool, ...ofPool },
    vrf,
    placement: wordOf(flags.placement, "--placement", "a placement", PLACEMENTS),
    hosts: hosts && listOrNone(hosts, "--hosts"),
    clusters: flags.cluster && listOrNone(flags.cluster, "--cluster"),
    ...wayDraft(flags),
    bridge: unless(flags.bridge, "auto"),
    device: unless(flags.device, "auto"),
    takeOver: flags.takeOver,
    hostAddresses: flags.hostAddress && hostAddressesOf(flags.hostAddress),
    stp: flags.stp,
    forwardDelay: wholeNumber(unless(flags.forwardDelay, "auto"), "--forward-delay", 4),
    vni: wholeNumber(flags.vni, "--vni", 5000),
    ...peersOf(flags),
    mtu: wholeNumber(unless(flags.mtu, "auto"), "--mtu", 1400),
    offload: wordOf(flags.offload, "--offload", "a way to write checksums", OFFLOADS),
    slices: flags.slice?.map(sliceOf),
    qos: qosOf(flags),
    masquerade,
    enabled,
    strategy: wordOf(flags.strategy, "--strategy", "a strategy", STRATEGIES),
    sticky,
    quarantine: wholeNumber(flags.quarantine, "--quarantine"),
    dns: flags.dns && listOrNone(flags.dns, "--dns"),
    cni: flags.cniPortmap === true ? ("portmap" as const) : flags.cni,
    tenant,
    securityGroups: flags.sg && listOrNone(flags.sg, "--sg"),
    spoofing: flags.spoofing && spoofingOf(flags.spoofing),
    labels: flags.label && mergedLabels(undefined, flags.label),
    description,
  });
}

function peersOf(flags: SpecFlags) {
  const { group, ttl, underlayDevice, outsider } = flags;
  return {
    peers: wordOf(flags.peers, "--peers", "a way to many hosts", PEERS),
    group: unless(group, "auto"),
    ttl: wholeNumber(unless(ttl, "auto"), "--ttl", 5),
    underlayDevice: unless(underlayDevice, "auto"),
    outsiders: outsider && listOrNone(outsider, "--outsider"),
  };
}

const OF_MULTICAST = ["group", "ttl", "underlayDevice", "outsiders"] as const;

/** Fields, each with the flag and word that take it away, so that the default is what counts again. */
const CLEARING = [
  ["bridge", "bridge", "auto"],
  ["device", "device", "auto"],
  ["forwardDelay", "forwardDelay", "auto"],
  ["mtu", "mtu", "auto"],
  ["group", "group", "auto"],
  ["ttl", "ttl", "auto"],
  ["underlayDevice", "underlayDevice", "auto"],
  ["tunnel", "tunnel", "auto"],
  ["parent", "parent", "none"],
  ["vlan", "vlan", "none"],
  ["outerVlan", "outerVlan", "none"],
  ["trunks", "trunk", "none"],
  ["dns", "dns", "none"],
  ["hosts", "hosts", "none"],
  ["clusters", "cluster", "none"],
  ["hostAddresses", "hostAddress", "none"],
  ["allocatedAddresses", "hostAddress", "none"],
  ["outsiders", "outsider", "none"],
  ["description", "description", ""],
] as const satisfies readonly (readonly [keyof NetworkSpec, keyof SpecFlags, string])[];
type Cleared = (typeof CLEARING)[number][0];

/** Fields that the flags take away. */
export function clearedBy(flags: SpecFlags): readonly Cleared[] {
  const isGiven = (flag: keyof SpecFlags, word: string) => flags[flag] !== undefined && String(flags[flag]) === word;
  const isUnicast = (field: Cleared) => flags.peers === "unicast" && OF_MULTICAST.some((one) => one === field);
  return CLEARING.flatMap(([field, flag, word]) => (isGiven(flag, word) || isUnicast(field) ? [field] : []));
}

const SWITCHED_OFF: Readonly<Record<string, string>> = {
  stp: "--no-stp",
  takeOver: "--no-take-over",
  isolated: "--no-isolated",
  masquerade: "--no-masquerade",
  sticky: "--no-sticky",
  cni: "--no-cni",
  spoofing: "--spoofing none",
  securityGroups: "--sg none",
};

/** What `weft network edit` is given to take a field away: `--vlan none`; undefined if only a file can. */
function clearingFlag(field: string): string | undefined {
  const row = CLEARING.find(([name]) => name === field);
  return row === undefined ? SWITCHED_OFF[field] : `${optionOf(row[1])} ${row[2] || '""'}`;
}

/** `--host-prefix` of `hostPrefix`. */
function optionOf(flag: keyof SpecFlags): string {
  return `--${flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/**
 * The refusal of an edit. If it asks to leave out a field that no flag gave, because the network has it already, it
 * says how that goes, too.
 */
export function refusedEdit(error: Fault, { name, spec }: Network, changed: readonly string[]): Fault {
  const { where = "", fix } = error.detail;
  const field = /^spec\.(\w+)/.exec(where)?.[1] ?? "";
  if (!Object.hasOwn(spec, field) || changed.includes(field) || !/leave .*out(?! \(--)/.test(fix)) return error;
  const flag = clearingFlag(field);
  const how =
    flag === undefined
      ? `write it without that in a file (weft network show ${name} -o yaml), for weft apply -f FILE`
      : `add ${flag}`;
  return new Fault(
    error.reason,
    { ...error.detail, fix: `${fix}. The network has it already: ${how}` },
    { cause: error },
  );
}

/** Each given subnet in the place of the one of its family; what is not said of it stays. */
export function mergedSubnets(before: readonly Subnet[], given: readonly Subnet[] | undefined): readonly Subnet[] {
  const isSix = ({ cidr }: Subnet) => cidr.includes(":");
  const added = (given ?? []).filter((subnet) => !before.some((old) => isSix(old) === isSix(subnet)));
  const kept = before.map((old) => ({ ...old, ...given?.find((subnet) => isSix(old) === isSix(subnet)) }));
  return [...kept, ...added];
}

/** Each given gateway in the subnet of its family; `none` alone in all. A Fault for one that finds no subnet. */
export function mergedGateways(subnets: readonly Subnet[], given: readonly string[] | undefined): readonly Subnet[] {
  if (given === undefined) return subnets;
  if (given.join() === "none") return subnets.map((subnet) => ({ ...subnet, gateway: "none" }));
  const isOf =
    ({ cidr }: Subnet) =>
    (text: string) =>
      text.includes(":") === cidr.includes(":");
  const stray = given.find((text) => !subnets.some((subnet) => given.find(isOf(subnet)) === text));
  if (stray === undefined)
    return subnets.map((subnet) => ({ ...subnet, ...defined({ gateway: given.find(isOf(subnet)) }) }));
  const fix = "give one address for each subnet, of its family, or only none; another subnet with --subnet";
  throw misuse("--gateway", `no subnet of the network is left for gateway ${stray}`, fix);
}

/** `9.0.0.0/8 in /24s`: each subnet, and how it is carved. */
export function subnetsText(subnets: readonly Subnet[] | undefined): string {
  return (subnets ?? [])
    .map(({ cidr, hostPrefix }) => (hostPrefix === undefined ? cidr : `${cidr} in /${hostPrefix}s`))
    .join(", ");
}

function subnetsOf(cidrs: readonly string[], { hostPrefix = [], gateway = [] }: SpecFlags): Subnet[] {
  if (hostPrefix.length > cidrs.length || gateway.length > cidrs.length) {
    const what = "there are more --host-prefix or --gateway options than --subnet options";
    throw misuse("--subnet", what, "give each once per --subnet, in the same order");
  }
  return cidrs.map((cidr, i) => ({
    cidr,
    ...defined({ hostPrefix: wholeNumber(hostPrefix[i], "--host-prefix", 24), gateway: gateway[i] }),
  }));
}

function sliceOf(text: string): { readonly name: string; readonly bridge: string } {
  const [name = "", bridge = "", ...rest] = text.split("=");
  if (name !== "" && bridge !== "" && rest.length === 0) return { name, bridge };
  throw misuse("--slice", `"${text}" is not a slice`, "write it like --slice docker=d: the bridge is then d-<network>");
}

/** What spoofing filters let pass on a network, in words. */
const FIELDS: ReadonlyMap<string, keyof Spoofing> = new Map([
  ["mac", "mac"],
  ["ip", "ip"],
  ["dhcp-server", "dhcpServer"],
  ["router-advertisements", "routerAdvertisements"],
  ["broadcasts", "broadcasts"],
  ["tags", "tags"],
]);
export const SPOOFING_WORDS = [...FIELDS.keys()];

/** All that is allowed from now on; `none` is nothing. A Fault `request-invalid` for another word. */
export function spoofingOf(words: readonly string[]): Spoofing {
  const allowed = listOrNone(words, "--spoofing");
  return Object.fromEntries(
    allowed.map((word) => {
      const field = FIELDS.get(word);
      if (field !== undefined) return [field, true];
      const what = `"${word}" is not something that spoofing filters can allow`;
      throw misuse("--spoofing", what, `choose from ${SPOOFING_WORDS.join(", ")}, or only none`);
    }),
  );
}

export function spoofingText(spoofing: Spoofing = {}): string | undefined {
  const words = [...FIELDS].flatMap(([word, field]) => (spoofing[field] === true ? [word] : []));
  return words.length === 0 ? undefined : `allowed: ${words.join(", ")}`;
}
