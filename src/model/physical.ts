// Physical networks as hosts have them: which device of a host carries which one, and what is known of the device. A
// host's agent says which devices it was given (`--physical lan=eth1`), and what they are like; what the server was
// told of the host (`weft host set`) counts instead of what the agent says about the same physical network.
import Type from "typebox";
import { DRIVERS, type Driver } from "./driver.ts";
import { Fault } from "./fault.ts";
import { type Value, Flag, Text, Texts, optional, strictObject } from "./schema.ts";

/** In place of a device: the host does not have the physical network, whatever its agent says. */
export const NO_DEVICE = "none";

export const PhysicalDevice = strictObject({
  name: Text("The physical network."),
  device: Text("The host's device that leads to it."),
});
export type PhysicalDevice = Value<typeof PhysicalDevice>;

export const PhysicalSetting = strictObject({
  name: Text("The physical network."),
  device: Text(`The host's device that leads to it, or \`${NO_DEVICE}\`: the host does not have it.`),
});

/** What an agent sees of a device that a network or a setting names. One that is not listed is not there. */
export const DeviceFacts = strictObject({
  name: Type.String(),
  mtu: Type.Integer({ minimum: 0, maximum: 4_294_967_295 }),
  addresses: optional(Texts("The host's own on it; those that others can send to.")),
  defaultRoutes: optional(Texts("The host's default routes by it, as `0.0.0.0/0 via 192.0.2.1`.")),
  down: optional(Flag("It is not up: nothing passes.")),
  master: optional(Text("The bridge, bond or other device that it is a port of, unless Weft made that.")),
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
  return physicalOf(host).find(({ name }) => name === parent)?.device;
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
 * `lan=eth1` each; a Fault `request-invalid` for what cannot be meant, or for a network or device that is there twice.
 */
export function parsePhysical(words: readonly string[], where: string): readonly PhysicalDevice[] {
  const all = words.map((word): PhysicalDevice => {
    const [name = "", device = "", ...rest] = word.split("=");
    if (name === "" || rest.length > 0 || !isDeviceName(device)) throw notPhysical(word, where);
    return { name, device };
  });
  checkOnce(all, where);
  return all;
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
export function usesOf({ addresses = [], defaultRoutes = [] }: DeviceFacts): readonly string[] {
  return [...addresses, ...defaultRoutes.map((route) => `the default route ${route}`)];
}

/** Why the host's device never carries a network of this driver; undefined if it does, or will when it comes up. */
export function whyUnfit(driver: Driver, facts: DeviceFacts): string | undefined {
  const { name, master } = facts;
  if (master !== undefined) return `is a port of ${master}: give ${master} in its place if that may carry it`;
  const uses = usesOf(facts);
  if (DRIVERS[driver].takesDevice !== true || uses.length === 0) return undefined;
  return `is the host's own: as a port of a bridge ${name} would lose ${uses.join(", ")}`;
}
