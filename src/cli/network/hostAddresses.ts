// `--host-address`: the hosts' own addresses in a network, given one by one.
import { AUTO, allHostAddresses } from "../../model/carrying.ts";
import type { NetworkInput } from "../../model/input.ts";
import type { HostAddress, NetworkSpec } from "../../model/resource.ts";
import { listOrNone } from "../input/options.ts";
import { misuse } from "../output/error.ts";

type Given = NetworkInput["hostAddresses"];
const NONE = "none";

/** `auto`, or each host's by itself; one with the address `none` is for mergedHostAddresses(). */
export function hostAddressesOf(given: readonly string[]): NonNullable<Given> {
  if (given.join() === AUTO) return AUTO;
  return listOrNone(given, "--host-address").map((text) => {
    const [host = "", address = "", ...rest] = text.split("=");
    if (host !== "" && address !== "" && rest.length === 0) return { host, address };
    const fix = "write it like --host-address h1=10.7.0.11, once per host, or only auto or none";
    throw misuse("--host-address", `"${text}" is not the address of a host`, fix);
  });
}

/**
 * Each given address in the place of those of its host and family; with `none`, those of its host go. Other hosts keep
 * what they have, also what the server allocated.
 */
export function mergedHostAddresses(before: NetworkSpec, given: Given): Given {
  if (given === undefined || given === AUTO) return given;
  const isReplaced = (old: HostAddress) => given.some((one) => one.host === old.host && isAbout(one, old));
  return [
    ...allHostAddresses(before).filter((old) => !isReplaced(old)),
    ...given.filter(({ address }) => address !== NONE),
  ];
}

function isAbout({ address }: HostAddress, old: HostAddress): boolean {
  return address === NONE || address.includes(":") === old.address.includes(":");
}
