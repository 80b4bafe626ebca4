// Devices that files have made on hosts, and that Weft can go on with: the name of the one that leads out of a
// network's bridge, and what hosts take over of it.
import { deviceName } from "../model/device.ts";
import { switchedDevice } from "../model/driver.ts";
import { type Reading, note } from "./reading.ts";
import { networkText } from "./routes.ts";
import type { Draft, NetworkItem } from "./said.ts";
import type { Segment } from "./segments.ts";

/** What a host takes over for a network: links by name, and addresses on its bridge. */
export type TakeOverOfHost = {
  readonly host: string;
  readonly network: string;
  readonly devices: readonly string[];
  readonly addresses: readonly string[];
};

/** The name that the device leading out of a bridge has on all hosts; what the server has of it stays. */
export function givenDevice(
  { name, said }: Draft,
  old: { readonly device?: string } | undefined,
  reading: Reading,
): { readonly device?: string } {
  const names = said.map(({ segment }) => nameOf(segment, name));
  const [first] = names;
  const device = old === undefined ? (names.every((one) => one === first) ? first : undefined) : old.device;
  for (const { segment } of said) {
    const own = nameOf(segment, name);
    if (own === device || own === undefined) continue;
    const other = device === undefined ? "Weft names it" : `the network's is called ${device} on all hosts`;
    note(reading, segment.at, `${segment.name}: ${own}`, `the name of its device is not kept: ${other}`);
  }
  return device === undefined ? {} : { device };
}

/** Undefined where Weft names it: as it would, where there is no such device, or one for each peer. */
function nameOf({ isBridge, way }: Segment, network: string): string | undefined {
  if (!isBridge || (way.driver !== "vxlan" && way.driver !== "vlan")) return undefined;
  const byWeft = way.driver === "vxlan" ? [switchedDevice({ driver: "vxlan" }, way.vni, {}), `wx${way.vni}b`] : [];
  return [...byWeft, deviceName("wv", network)].includes(way.name) ? undefined : way.name;
}

/** What hosts take over of a network; none, with notes, where its frames would be lost meanwhile. */
export function takeOversOf(
  { name, spec }: NetworkItem,
  drafts: ReadonlyMap<string, Draft>,
  reading: Reading,
): readonly TakeOverOfHost[] {
  const said = drafts.get(name)?.said ?? [];
  const reasons = said.flatMap(({ segment }) => {
    const why = whyNot(segment, name, spec.device);
    return why === undefined ? [] : [{ segment, why }];
  });
  for (const { segment, why } of reasons) note(reading, segment.at, segment.name, `it is not taken over: ${why}`);
  if (reasons.length > 0) return [];
  return said.flatMap(({ host, segment }) => {
    const { way, addresses } = segment;
    const devices = [segment.name, ...(way.driver === "vxlan" || way.driver === "vlan" ? [way.name] : [])];
    const own = addresses.filter((address) => spec.subnets?.some(({ cidr }) => cidr === networkText(address)));
    return host === undefined ? [] : [{ host, network: name, devices, addresses: own }];
  });
}

function whyNot(segment: Segment, network: string, device: string | undefined): string | undefined {
  const { isBridge, way, name } = segment;
  if (!isBridge) return "its address would have to move to a bridge; take it down when Weft's is to come";
  if (way.driver === "bridge" && way.device === undefined)
    return "without a device of the host in it, it stays the host's, and the network is plugged into it";
  if (way.driver === "gre") return "Weft names GRE devices by peer; take them down when Weft's are to come";
  if (way.driver === "vlan" && way.outerVlan !== undefined)
    return `${name} is on two VLANs, and Weft names the outer one`;
  if (way.driver === "bridge" || nameOf(segment, network) === device) return undefined;
  return `its device ${way.name} has another name on other hosts`;
}
