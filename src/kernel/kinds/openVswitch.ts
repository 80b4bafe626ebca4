// What Weft has in Open vSwitch: rows of its database, and devices that it made of them. How they are made, changed and
// removed is in ../ovsdb.
import type { KernelObject } from "../../datapath/kinds.ts";
import type { OvsBridge, OvsDevice, OvsPort } from "../../datapath/kinds/openVswitch.ts";
import { refuse } from "../errno.ts";
import type { Machine } from "../fakeMachine.ts";
import * as k from "../netlink/constants.ts";
import { type Fake, fakeAlone } from "./fake.ts";
import { type StepContext, aloneKind, kernelKind } from "./kind.ts";
import { changeLink, configureTunnelPort, linkKind, tunnelPortOf } from "./links.ts";

const BY_DATABASE = { put: "ovsdb", remove: "ovsdb" } as const;

export const ovsBridge = rowKind<OvsBridge>("ovs-bridge", fakeAlone("ovs-bridge"));
export const ovsPort = rowKind<OvsPort>("ovs-port", withDevice(fakeAlone("ovs-port")));

function rowKind<T extends OvsBridge | OvsPort>(kind: T["kind"], fake: Fake<T>) {
  return aloneKind<T>({
    way: BY_DATABASE,
    standing: ({ ns }, { ovs }) =>
      ns === "host" ? ovs.objects().filter((object): object is T => object.kind === kind) : [],
    fake,
  });
}

/** With the port its device goes, wherever it is. */
function withDevice(fake: Fake<OvsPort>): Fake<OvsPort> {
  const lose = (machine: Machine, { name }: OvsPort) => {
    for (const { devices } of machine.spaces.values()) {
      const link = devices.get(name)?.link;
      if (link?.object.kind === "openvswitch") machine.removeLink(link);
    }
  };
  return {
    ...fake,
    run(machine, op) {
      fake.run(machine, op);
      if (op.op === "remove" && !fake.has(machine.spaces.get("host"), op.object)) lose(machine, op.object);
    },
    disturb(machine, object) {
      fake.disturb(machine, object);
      lose(machine, object);
    },
  };
}

function configure(context: StepContext, object: OvsDevice, index: number): void {
  if (object.master === undefined) return;
  configureTunnelPort(context, object, index, (w) => w.attrU8(k.IFLA_BRPORT_ISOLATED, 1));
}

const device = linkKind<OvsDevice>({
  // It is there when this is sent, and has its mark.
  create: (context, object) => configure(context, object, changeLink(context, object, undefined)),
  configure,
  decode(link, seen) {
    const isIntact = link.hasCarrier && (seen.master === undefined || link.isolated);
    return { kind: "openvswitch", ...seen.common(isIntact), ...tunnelPortOf(link, seen) };
  },
  fake: {},
});

export const openvswitch = kernelKind<OvsDevice>({ ...device, way: BY_DATABASE, fake: ofPort(device.fake) });

/** It is made of a port. */
function ofPort(fake: Fake<OvsDevice>): Fake<OvsDevice> {
  return {
    ...fake,
    run(machine, op) {
      const rows: readonly KernelObject[] = [...machine.space("host").alone.values()].map(({ object }) => object);
      const isThere = rows.some((row) => row.kind === "ovs-port" && row.name === op.object.name);
      if (op.op === "add" && !isThere) refuse("missing", `Open vSwitch has no port ${op.object.name}`);
      fake.run(machine, op);
    },
  };
}
