// A network's spec in flags: what `weft network create` and `edit` understand, and parts of it in words. Says nothing
// about defaults: what was not given is not sent, and the server fills it in.
import { AUTO } from "../../model/carrying.ts";
import { defined } from "../../model/defined.ts";
import { PLACEMENTS } from "../../model/driver.ts";
import type { Spoofing } from "../../model/group.ts";
import type { NetworkInput } from "../../model/input.ts";
import type { Subnet } from "../../model/resource.ts";
import { type LimitFlags, qosOf } from "../endpoint/limit.ts";
import { listOrNone, type Lists, type Switches, type Texts, wholeNumber, wordOf } from "../input/options.ts";
import { misuse } from "../output/error.ts";
import { type WayFlags, wayDraft } from "./way.ts";

export type SpecFlags = LimitFlags &
  WayFlags &
  Texts<
    | "pool"
    | "id"
    | "ipam"
    | "vrf"
    | "placement"
    | "bridge"
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
    | "description"
  > &
  Lists<
    "subnet" | "hostPrefix" | "gateway" | "slice" | "dns" | "sg" | "spoofing" | "hosts" | "hostAddress" | "outsider"
  > &
  Switches<"stp" | "masquerade" | "enabled" | "sticky" | "cni" | "cniPortmap">;

export const IPAM_MODES = ["local", "global"] as const;
const PEERS = ["unicast", "multicast"] as const;
export const STRATEGIES = ["lowest", "next", "random"] as const;

/** The part of a spec that the flags say; a Fault `request-invalid` for a flag that cannot be meant. */
export function draftOf(flags: SpecFlags): NetworkInput {
  const { pool, vrf, hosts, masquerade, enabled, sticky, tenant, description } = flags;
  const id = wholeNumber(flags.id, "--id");
  if (id !== undefined && pool === undefined) {
    const why = "an id is one of a pool, and no pool is given";
    throw misuse("--id", "--id needs --pool", "add --pool NAME, or leave out --id", why);
  }
  return defined({
    ipam: wordOf(flags.ipam, "--ipam", "an address mode", IPAM_MODES),
    subnets: flags.subnet && subnetsOf(flags.subnet, flags),
    pool: pool === undefined ? undefined : { name: pool, ...defined({ id }) },
    vrf,
    placement: wordOf(flags.placement, "--placement", "a placement", PLACEMENTS),
    hosts: hosts && listOrNone(hosts, "--hosts"),
    ...wayDraft(flags),
    bridge: flags.bridge,
    hostAddresses: flags.hostAddress && hostAddressesOf(flags.hostAddress),
    stp: flags.stp,
    forwardDelay: wholeNumber(flags.forwardDelay, "--forward-delay", 4),
    vni: wholeNumber(flags.vni, "--vni", 5000),
    ...peersOf(flags),
    mtu: flags.mtu === "auto" ? undefined : wholeNumber(flags.mtu, "--mtu", 1400),
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
    description,
  });
}

function peersOf(flags: SpecFlags) {
  const { group, ttl, underlayDevice, outsider } = flags;
  return {
    peers: wordOf(flags.peers, "--peers", "a way to many hosts", PEERS),
    group: group === "auto" ? undefined : group,
    ttl: ttl === "auto" ? undefined : wholeNumber(ttl, "--ttl", 5),
    underlayDevice: underlayDevice === "auto" ? undefined : underlayDevice,
    outsiders: outsider && listOrNone(outsider, "--outsider"),
  };
}

const OF_MULTICAST = ["group", "ttl", "underlayDevice", "outsiders"] as const;
type Cleared =
  | "mtu"
  | "dns"
  | "hosts"
  | "hostAddresses"
  | "allocatedAddresses"
  | "description"
  | (typeof OF_MULTICAST)[number];

/** Fields that the flags take away, so that the default is what counts again. */
export function clearedBy(flags: SpecFlags): readonly Cleared[] {
  const { mtu, dns, hosts, hostAddress, description, peers, outsider } = flags;
  return [
    ...(hosts?.join() === "none" ? (["hosts"] as const) : []),
    ...(hostAddress?.join() === "none" ? (["hostAddresses", "allocatedAddresses"] as const) : []),
    ...OF_MULTICAST.filter((field) => peers === "unicast" || (field !== "outsiders" && flags[field] === "auto")),
    ...(outsider?.join() === "none" ? (["outsiders"] as const) : []),
    ...(mtu === "auto" ? (["mtu"] as const) : []),
    ...(dns?.join() === "none" ? (["dns"] as const) : []),
    ...(description === "" ? (["description"] as const) : []),
  ];
}

/** Each given subnet in the place of the one of its family; what is not said of it stays. */
export function mergedSubnets(before: readonly Subnet[], given: readonly Subnet[] | undefined): readonly Subnet[] {
  const isSix = ({ cidr }: Subnet) => cidr.includes(":");
  const added = (given ?? []).filter((subnet) => !before.some((old) => isSix(old) === isSix(subnet)));
  const kept = before.map((old) => ({ ...old, ...given?.find((subnet) => isSix(old) === isSix(subnet)) }));
  return [...kept, ...added];
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

/** `auto`, or each host's by itself. */
function hostAddressesOf(given: readonly string[]): NetworkInput["hostAddresses"] {
  if (given.join() === AUTO) return AUTO;
  return listOrNone(given, "--host-address").map((text) => {
    const [host = "", address = "", ...rest] = text.split("=");
    if (host !== "" && address !== "" && rest.length === 0) return { host, address };
    const fix = "write it like --host-address h1=10.7.0.11, once per host, or only auto or none";
    throw misuse("--host-address", `"${text}" is not the address of a host`, fix);
  });
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
