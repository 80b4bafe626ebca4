// Physical networks as hosts have them: which device of a host carries which one, and what is known of the device. A
// host's agent says which devices it was given (`--physical lan=eth1`), and what they are like; what the server was
// told of the host (`weft host set`) counts instead of what the agent says about the same physical network.
import Type from "typebox";
import { isReservedDevice } from "./device.ts";
import { DRIVERS, type Driver } from "./driver.ts";
import { PREFIXES_MAX } from "./cleanText.ts";
import { Fault } from "./fault.ts";
import { type Value, Flag, Name, Text, Texts, optional, strictObject } from "./schema.ts";

/** Physical networks of one host. */
export const PHYSICAL_MAX = 1024;
/** In place of a device: the host does not have the physical network, whatever its agent says. */
export const NO_DEVICE = "none";

const MayTakeOver = Flag(
  "Whether the device may become a port of a bridge though the host itself has addresses or its default route on it: " +
    "these go onto the bridge. Default: false.",
);

export const PhysicalDevice = strictObject({
  name: Text("The physical network."),
  device: Text("The host's device that leads to it."),
  takeOver: optional(MayTakeOver),
});
export type PhysicalDevice = Value<typeof PhysicalDevice>;

export const PhysicalSetting = strictObject({
  name: Text("The physical network."),
  device: Text(`The host's device that leads to it, or \`${NO_DEVICE}\`: the host does not have it.`),
  takeOver: optional(MayTakeOver),
});

/** What an agent sees of a device that a network or a setting names. One that is not listed is not there. */
export const DeviceFacts = strictObject({
  name: Name,
  mtu: Type.Integer({ minimum: 0, maximum: 4_294_967_295 }),
  mac: optional(Text("Its MAC.")),
  addresses: optional(Texts("The host's own on it; those that others can send to.", PREFIXES_MAX)),
  onBridge: optional(Texts("The host's own on the bridge of Weft's that it is a port of.", PREFIXES_MAX)),
  ownBridge: optional(
    strictObject({ name: Name, mtu: Type.Integer() }, "That bridge, if the host has addresses there."),
  ),
  leased: optional(Texts("Those of them that a program renews from time to time (DHCP).", PREFIXES_MAX)),
  defaultRoutes: optional(Texts("The host's default routes by it, as `0.0.0.0/0 via 192.0.2.1`.")),
  leadsToServer: optional(Flag("The host reaches the server by it.")),
  down: optional(Flag("It is not up: nothing passes.")),
  master: optional(Text("The bridge, bond or other device that it is a port of, unless Weft made that.")),
  bridge: optional(
    strictObject(
      {
        stp: optional(Flag("It runs the spanning tree protocol.")),
        forwardDelay: Type.Integer({ minimum: 0, maximum: 255, description: "In seconds." }),
        vlanFiltering: optional(Flag("Its ports are in VLANs.")),
      },
      "Of a bridge of Linux: how it is set.",
    ),
  ),
});
export type DeviceFacts = Value<typeof DeviceFacts>;

/** What a host's spec has of physical networks. */
type HasPhysical = {
  readonly physical?: readonly PhysicalDevice[];
  readonly physicalSet?: readonly PhysicalDevice[];
  readonly devices?: readonly DeviceFacts[];
};

/** The device that carries each physical network of a host: as the server was told, for the rest as the agent says. */
export function physicalOf({ physical = [], physicalSet = [] }: HasPhysical): readonly PhysicalDevice[] {
  const set = new Set(physicalSet.map(({ name }) => name));
  const given = physicalSet.filter(({ device }) => device !== NO_DEVICE);
  const taken = new Set(given.map(({ device }) => device));
  return [...given, ...physical.filter(({ name, device }) => !set.has(name) && !taken.has(device))];
}

/** The host's device for a physical network; undefined if the host does not have the network. */
export function deviceFor(host: HasPhysical, parent: string): string | undefined {
  return settingFor(host, parent)?.device;
}

function settingFor(host: HasPhysical, parent: string): PhysicalDevice | undefined {
  return physicalOf(host).find(({ name }) => name === parent);
}

/** What is known of a device of the host; undefined while it is not there. */
export function factsOf({ devices = [] }: HasPhysical, device: string): DeviceFacts | undefined {
  return devices.find(({ name }) => name === device);
}

/** The same of the device that leads to a physical network. */
export function parentOn(host: HasPhysical, parent: string): DeviceFacts | undefined {
  const device = deviceFor(host, parent);
  return device === undefined ? undefined : factsOf(host, device);
}

/**
 * `lan=eth1` each; a Fault `request-invalid` for what cannot be meant, or for a network or device that is there twice,
 * `device-unfit` for a device that is Weft's or leads nowhere.
 */
export function parsePhysical(words: readonly string[], where: string, takeOver = false): readonly PhysicalDevice[] {
  const all = words.map((word): PhysicalDevice => {
    const [name = "", device = "", ...rest] = word.split("=");
    if (name === "" || rest.length > 0 || !isDeviceName(device)) throw notPhysical(word, where);
    checkLeads(device, where);
    return { name, device, ...(takeOver && device !== NO_DEVICE ? { takeOver } : {}) };
  });
  checkOnce(all, where);
  return all;
}

/**
 * Throws a Fault `device-unfit` if a device cannot lead to a physical network by its name alone, or is that of an
 * `owner`.
 */
export function checkLeads(device: string, where: string, owner?: string): void {
  if (owner === undefined && !isReservedDevice(device)) return;
  const isLoopback = device === "lo";
  throw new Fault("device-unfit", {
    what: `device ${device} cannot lead to a physical network`,
    where,
    why: isLoopback
      ? "it is the host's loopback, and leads nowhere"
      : owner === undefined
        ? "Weft, or the kernel, gives such names to devices of its own"
        : `it is that of ${owner}`,
    fix: "name a device of the host's that a cable, a bond or another switch is behind: see `ip link` there",
  });
}

/** What Linux takes as the name of a link (dev_valid_name, net/core/dev.c), without what `ip` would not print alike. */
export function isDeviceName(text: string): boolean {
  return /^[a-zA-Z0-9_][a-zA-Z0-9_.@-]{0,14}$/.test(text);
}

function notPhysical(word: string, where: string): Fault {
  return new Fault("request-invalid", {
    what: `"${word}" does not say which device carries a physical network`,
    where,
    fix: "write it like lan=eth1: the name of the physical network, and that of the device",
  });
}

/** A physical network has one device on a host, and a device carries one: else two networks would share a segment. */
export function checkOnce(all: readonly PhysicalDevice[], where: string): void {
  for (const [i, { name, device }] of all.entries()) {
    const before = all.slice(0, i);
    if (before.some((other) => other.name === name))
      throw new Fault("request-invalid", {
        what: `physical network "${name}" is given twice`,
        where,
        fix: "give it one device; for two, make a bond of them and give that",
      });
    const other = before.find((one) => one.device === device && device !== NO_DEVICE);
    if (other !== undefined)
      throw new Fault("device-unfit", {
        what: `device ${device} cannot carry physical network "${name}"`,
        where,
        why: `it carries "${other.name}" already, and their networks would be on one segment`,
        fix: "give each physical network a device of its own, or use one name for both",
      });
  }
}

/** What the host itself has on a device, and would lose if it became a port of a bridge. */
export function usesOf({ addresses = [], defaultRoutes = [], leadsToServer }: DeviceFacts): readonly string[] {
  return [
    ...addresses,
    ...defaultRoutes.map((route) => `the default route ${route}`),
    ...(leadsToServer === true ? ["its connection to the server"] : []),
  ];
}

type OnParent = { readonly driver: Driver; readonly parent?: string; readonly isolated?: boolean };

/**
 * The device of a host that becomes a port of a network's bridge together with what the host has on it; undefined if
 * there is none that may.
 */
export function takeOverOn(host: HasPhysical, network: OnParent): DeviceFacts | undefined {
  const { parent } = network;
  if (parent === undefined || !mayTakeOver(host, network) || whyUnfitFor(host, network) !== undefined) return undefined;
  return parentOn(host, parent);
}

/** Islands share a bridge, whose addresses would be on none of them. */
function mayTakeOver(host: HasPhysical, { driver, parent, isolated }: OnParent): boolean {
  if (driver !== "bridge" || isolated === true || parent === undefined) return false;
  return settingFor(host, parent)?.takeOver === true;
}

/** Why the device of a host never carries a network; undefined if it does, or is not there. */
export function whyUnfitFor(host: HasPhysical, network: OnParent): string | undefined {
  const facts = network.parent === undefined ? undefined : parentOn(host, network.parent);
  if (facts === undefined) return undefined;
  return whyUnfit(network.driver, facts, network.isolated === true ? "never" : mayTakeOver(host, network));
}

/** Why the host's device never carries a network of this driver; undefined if it does, or will when it comes up. */
function whyUnfit(driver: Driver, facts: DeviceFacts, takesOver: boolean | "never" = false): string | undefined {
  const { name, master, bridge, leased = [], onBridge = [] } = facts;
  if (master !== undefined) return `is a port of ${master}: give ${master} in its place if that may carry it`;
  if (DRIVERS[driver].takesDevice !== true) return undefined;
  if (bridge !== undefined) return `is a bridge: driver bridge takes it with --bridge ${name}, without a parent`;
  const uses = usesOf(facts);
  if (uses.length === 0) return undefined;
  const lost = `is the host's own: as a port of a bridge ${name} would lose ${uses.join(", ")}`;
  if (driver !== "bridge" || takesOver === "never") return lost;
  if (!takesOver) return `${lost}; with --take-over these go onto the bridge`;
  // It is taken over already: taking it away from the bridge would cut the host off.
  if (leased.length === 0 || onBridge.length > 0) return undefined;
  const lease = `has ${leased.join(", ")} by a lease (DHCP), whose client would go on with ${name}`;
  return `${lease}: give the host a fixed address`;
}
