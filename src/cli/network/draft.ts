// A network's spec in flags: what `weft network create` and `edit` understand. Says nothing about defaults: what
// was not given is not sent, and the server fills it in.
import { Fault } from "../../model/fault.ts";
import type { NetworkInput } from "../../model/input.ts";
import type { Subnet } from "../../model/resource.ts";
import { type LimitFlags, qosOf } from "../endpoint/limit.ts";
import { listOrNone, wholeNumber } from "../input/options.ts";
import { spoofingOf } from "./spoofing.ts";

export type Draft = NetworkInput;
export type SpecFlags = LimitFlags & {
  readonly subnet?: readonly string[];
  readonly pool?: string;
  readonly id?: string;
  readonly ipam?: string;
  readonly hostPrefix?: readonly string[];
  readonly gateway?: readonly string[];
  readonly vrf?: string;
  readonly vni?: string;
  readonly mtu?: string;
  readonly slice?: readonly string[];
  readonly masquerade?: boolean;
  readonly enabled?: boolean;
  readonly strategy?: string;
  readonly sticky?: boolean;
  readonly quarantine?: string;
  readonly dns?: readonly string[];
  readonly cni?: boolean;
  readonly cniPortmap?: boolean;
  readonly tenant?: string;
  readonly description?: string;
  readonly sg?: readonly string[];
  readonly spoofing?: readonly string[];
};

/** The part of a spec that the flags say; a Fault `request-invalid` for a flag that cannot be meant. */
export function draftOf(flags: SpecFlags): Draft {
  const vni = wholeNumber(flags.vni, "--vni", 5000);
  const mtu = flags.mtu === "auto" ? undefined : wholeNumber(flags.mtu, "--mtu", 1400);
  const quarantine = wholeNumber(flags.quarantine, "--quarantine");
  const { ipam, strategy } = flags;
  if (strategy !== undefined && strategy !== "lowest" && strategy !== "next" && strategy !== "random") {
    throw new Fault("request-invalid", {
      what: `"${strategy}" is not a strategy`,
      where: "--strategy",
      fix: "choose lowest, next or random",
    });
  }
  const qos = qosOf(flags);
  if (ipam !== undefined && ipam !== "local" && ipam !== "global") {
    throw new Fault("request-invalid", {
      what: `"${ipam}" is not an address mode`,
      where: "--ipam",
      fix: "choose local or global",
    });
  }
  const id = wholeNumber(flags.id, "--id");
  if (id !== undefined && flags.pool === undefined) {
    const why = "an id is one of a pool, and no pool is given";
    const fix = `add --pool NAME, or leave out --id`;
    throw new Fault("request-invalid", { what: "--id needs --pool", where: "--id", why, fix });
  }
  return {
    ...(ipam === undefined ? {} : { ipam }),
    ...(flags.subnet === undefined ? {} : { subnets: subnetsOf(flags.subnet, flags) }),
    ...(flags.pool === undefined ? {} : { pool: { name: flags.pool, ...(id === undefined ? {} : { id }) } }),
    ...(flags.vrf === undefined ? {} : { vrf: flags.vrf }),
    ...(vni === undefined ? {} : { vni }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(flags.slice === undefined ? {} : { slices: flags.slice.map(sliceOf) }),
    ...(qos === undefined ? {} : { qos }),
    ...(flags.masquerade === undefined ? {} : { masquerade: flags.masquerade }),
    ...(flags.enabled === undefined ? {} : { enabled: flags.enabled }),
    ...(strategy === undefined ? {} : { strategy }),
    ...(flags.sticky === undefined ? {} : { sticky: flags.sticky }),
    ...(quarantine === undefined ? {} : { quarantine }),
    ...(flags.dns === undefined ? {} : { dns: listOrNone(flags.dns, "--dns") }),
    ...(flags.cni === undefined ? {} : { cni: flags.cni }),
    ...(flags.cniPortmap === true ? { cni: "portmap" as const } : {}),
    ...(flags.tenant === undefined ? {} : { tenant: flags.tenant }),
    ...(flags.sg === undefined ? {} : { securityGroups: listOrNone(flags.sg, "--sg") }),
    ...(flags.spoofing === undefined ? {} : { spoofing: spoofingOf(flags.spoofing) }),
    ...(flags.description === undefined ? {} : { description: flags.description }),
  };
}

/** Fields that the flags take away, so that the default is what counts again. */
export function clearedBy({ mtu, dns, description }: SpecFlags): readonly ("mtu" | "dns" | "description")[] {
  return [
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

function subnetsOf(cidrs: readonly string[], { hostPrefix = [], gateway = [] }: SpecFlags): Subnet[] {
  if (hostPrefix.length > cidrs.length || gateway.length > cidrs.length) {
    throw new Fault("request-invalid", {
      what: "there are more --host-prefix or --gateway options than --subnet options",
      where: "--subnet",
      fix: "give each once per --subnet, in the same order",
    });
  }
  return cidrs.map((cidr, i) => {
    const length = wholeNumber(hostPrefix[i], "--host-prefix", 24);
    return {
      cidr,
      ...(length === undefined ? {} : { hostPrefix: length }),
      ...(gateway[i] === undefined ? {} : { gateway: gateway[i] }),
    };
  });
}

function sliceOf(text: string): { readonly name: string; readonly bridge: string } {
  const [name = "", bridge = "", ...rest] = text.split("=");
  if (name !== "" && bridge !== "" && rest.length === 0) return { name, bridge };
  throw new Fault("request-invalid", {
    what: `"${text}" is not a slice`,
    where: "--slice",
    fix: "write it like --slice docker=d: the bridge is then d-<network>",
  });
}
