// Where a network is on hosts, and so in which VRF: networks in the hosts' own namespace share its routes and
// addresses, so all of them are in one VRF, which has no others.
import { HOST_VRF, ALL_HOSTS } from "../../../model/carrying.ts";
import { isReservedDevice } from "../../../model/device.ts";
import { DRIVERS, type Driver, type Placement } from "../../../model/driver.ts";
import { Fault } from "../../../model/fault.ts";
import type { NetworkInput } from "../../../model/input.ts";
import { unknownFault } from "../../../model/kinds.ts";
import { checkName } from "../../../model/parse.ts";
import type { Network, NetworkSpec, Vrf, VrfSpec } from "../../../model/resource.ts";
import type { View } from "../../state/view.ts";
import { networksOf } from "../contents.ts";
import { refuseWhile } from "../context.ts";

/** The VRF in the hosts' own namespace, if there is one. */
function hostVrf(view: View): Vrf | undefined {
  for (const vrf of view.vrf.values()) if (vrf.spec.placement === "host") return vrf;
  return undefined;
}

function placementOf({ driver, placement = DRIVERS[driver].placement }: NetworkSpec): Placement {
  return placement;
}

type Place = { readonly vrf: string; readonly placement?: Placement };
type Wish = Pick<NetworkInput, "vrf" | "placement"> & { readonly driver: Driver; readonly ipam: NetworkSpec["ipam"] };

/**
 * VRF and placement of a network that is put; what is its driver's default is not written. A network that is in the
 * hosts' VRF, as one that was, need not say that it is placed there.
 */
export function vrfAndPlacement(view: View, name: string, wish: Wish, old: Network | undefined): Place {
  const there = hostVrf(view);
  const before = old === undefined ? undefined : placementOf(old.spec);
  const isNamed = wish.vrf !== undefined && wish.vrf === there?.name;
  const placement = wish.placement ?? (isNamed ? "host" : (before ?? DRIVERS[wish.driver].placement));
  const written = placement === "host" || DRIVERS[wish.driver].placement === "host" ? { placement } : {};
  if (placement === "own") {
    const vrf = wish.vrf ?? name;
    if (vrf === there?.name) throw inHostVrf(name, vrf);
    return { vrf, ...written };
  }
  if (wish.ipam === "local") throw hasBlocks(name);
  const vrf = wish.vrf ?? there?.name ?? HOST_VRF;
  if (there === undefined ? view.vrf.has(vrf) : vrf !== there.name) throw elsewhere(name, vrf, there);
  return { vrf, ...written };
}

function inHostVrf(name: string, vrf: string): Fault {
  return new Fault("request-invalid", {
    what: `network "${name}" has a namespace of its own, and VRF "${vrf}" has none`,
    where: "spec.vrf",
    why: "all networks of that VRF are in the hosts' own namespace",
    fix: "choose another VRF, or placement host",
  });
}

function elsewhere(name: string, vrf: string, there: Vrf | undefined): Fault {
  return new Fault("request-invalid", {
    what: `network "${name}" is to be in the hosts' own namespace, and VRF "${vrf}" is not`,
    where: "spec.vrf",
    why: "all networks that are placed there share the host's routes, so they are in one VRF",
    fix:
      there === undefined
        ? `make the VRF first, under a name that is free: weft vrf create NAME --placement host`
        : `leave the VRF out, or give "${there.name}"`,
  });
}

function hasBlocks(name: string): Fault {
  return new Fault("request-invalid", {
    what: `network "${name}" cannot be local in the hosts' own namespace`,
    where: "spec.placement",
    why: "routes to other hosts' blocks would be routes of the host itself",
    fix: "set ipam to global, or leave placement at own",
  });
}

/** The name that is reserved elsewhere says what this VRF is. */
export function checkVrfName(name: string, placement: Placement | undefined, where: string): void {
  if (name !== HOST_VRF || placement !== "host") checkName("vrf", name, where);
}

/** Placement of a VRF that is put: given once, and only while it has no networks. */
export function vrfPlacement(
  view: View,
  name: string,
  wanted: VrfSpec["placement"],
  old: Vrf | undefined,
): "host" | undefined {
  if (wanted === undefined || wanted === old?.spec.placement) return old?.spec.placement;
  const there = hostVrf(view);
  if (there !== undefined) {
    throw new Fault("name-taken", {
      what: `VRF "${there.name}" is the one in the hosts' own namespace`,
      where: "spec.placement",
      why: "a namespace has one routing table for all that is in it",
      fix: `put networks into VRF "${there.name}", or delete it first`,
    });
  }
  refuseWhile(
    networksOf(view, name).map((network) => network.name),
    {
      what: `VRF "${name}" cannot move into the hosts' own namespace`,
      why: "it has networks",
      fix: "make another VRF with placement host",
    },
  );
  return wanted;
}

/** Linux's rule for the name of a bridge in the hosts' own namespace. */
const DEVICE = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,14}$/;

/** The name of a network's bridge on hosts, or of the device that leads out of it, where it is given. */
export function checkBridge(
  name: string,
  placement: Placement | undefined,
  what: "bridge" | "device" = "bridge",
): string {
  const where = `spec.${what}`;
  if (placement !== "host") {
    throw new Fault("request-invalid", {
      what: `a network with a namespace of its own has no given ${what}`,
      where,
      why: "nothing else in that namespace could use it",
      fix: "leave it out, or set placement to host",
    });
  }
  if (DEVICE.test(name) && !isReservedDevice(name)) return name;
  throw new Fault("name-invalid", {
    what: `"${name.slice(0, 40)}" cannot be the name of a ${what}`,
    where,
    ...(isReservedDevice(name) ? { why: "devices that Weft or the kernel name by themselves begin like this" } : {}),
    fix: "choose at most 15 letters, digits and dashes, like br-mgmt",
  });
}

/** A Fault `host-unknown` for a name that no host has, unless the network had it before. */
export function checkHosts(view: View, hosts: readonly string[], old: Network | undefined): readonly string[] {
  const unknown = hosts.find(
    (host) => host !== ALL_HOSTS && !view.host.has(host) && old?.spec.hosts?.includes(host) !== true,
  );
  if (unknown !== undefined) throw unknownFault("host", unknown, "spec.hosts");
  return hosts.includes(ALL_HOSTS) ? [ALL_HOSTS] : [...new Set(hosts)].sort();
}
